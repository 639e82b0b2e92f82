//! `manifest.json` and `scripts.json` of a package.
//!
//! Invariant: a parsed [`Manifest`] has distinct, well-formed process names
//! and Wasm paths that stay inside the package.

use std::collections::{BTreeMap, BTreeSet};

use node_types::{OnExit, PackageId, ProcessId};
use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::right::Entry;

/// Most processes a package may start.
const MOST_PROCESSES: usize = 64;
/// Most scripts that a sentence lists.
const MOST_LISTED: usize = 20;
/// Most of a wrong value that a sentence quotes, characters.
const MOST_QUOTED: usize = 60;

/// Why a file of a package cannot be used; a sentence for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

/// A process that a package wants started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: ProcessId,
    /// Path of its component in the VFS.
    pub wasm_path: String,
    /// What happens when it ends, in the kernel's JSON form.
    pub on_exit: Value,
    /// Whether it may use the network.
    pub networking: bool,
    /// Rights it wants.
    pub requests: Vec<Entry>,
    /// Rights it gives.
    pub grants: Vec<Entry>,
    /// Whether every process of the node may message it.
    pub public: bool,
}

/// The processes of a package.
pub type Manifest = Vec<Process>;

#[derive(Deserialize)]
struct ManifestEntry {
    process_name: String,
    process_wasm_path: String,
    #[serde(default = "on_exit_none")]
    on_exit: Value,
    #[serde(default)]
    request_networking: bool,
    #[serde(default)]
    request_capabilities: Vec<Entry>,
    #[serde(default)]
    grant_capabilities: Vec<Entry>,
    #[serde(default)]
    public: bool,
}

fn on_exit_none() -> Value {
    Value::from("None")
}

/// The VFS directory that holds the files of `package`.
#[must_use]
pub fn package_dir(package: &PackageId) -> String {
    format!("/{package}/pkg")
}

/// Reads the `manifest.json` of `package`.
///
/// # Errors
/// [`Invalid`] when it is not one, or names something impossible.
pub fn parse_manifest(package: &PackageId, bytes: &[u8]) -> Result<Manifest, Invalid> {
    let entries: Vec<ManifestEntry> = serde_json::from_slice(bytes)
        .map_err(|error| Invalid(format!("manifest.json cannot be read: {error}")))?;
    if entries.len() > MOST_PROCESSES {
        return Err(Invalid(format!(
            "manifest.json has more than {MOST_PROCESSES} processes"
        )));
    }
    let mut seen = BTreeSet::new();
    let mut manifest = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = &entry.process_name;
        let id = ProcessId::in_package(name, package)
            .map_err(|error| Invalid(format!("manifest.json: process name {error}")))?;
        if !seen.insert(id.clone()) {
            return Err(Invalid(format!("manifest.json names process {name} twice")));
        }
        serde_json::from_value::<OnExit>(entry.on_exit.clone()).map_err(|_| {
            Invalid(format!(
                "manifest.json: on_exit of {name} must be \"None\", \"Restart\" or {{\"Requests\":[…]}}"
            ))
        })?;
        manifest.push(Process {
            wasm_path: inside(package, &entry.process_wasm_path)
                .ok_or_else(|| Invalid(format!(
                    "manifest.json: process_wasm_path of {name} must be a path inside the package, such as \"/{name}.wasm\""
                )))?,
            id,
            on_exit: entry.on_exit,
            networking: entry.request_networking,
            requests: entry.request_capabilities,
            grants: entry.grant_capabilities,
            public: entry.public,
        });
    }
    Ok(manifest)
}

/// The VFS path of a file of the package, unless it would leave it.
fn inside(package: &PackageId, path: &str) -> Option<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let sound = !path.is_empty()
        && path.len() <= 512
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
        && !path.contains('\0');
    sound.then(|| format!("{}/{path}", package_dir(package)))
}

/// How the terminal starts a script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Whether it gets every right that the terminal has.
    pub root: bool,
    /// Whether every process of the node may message it.
    pub public: bool,
    /// Whether it may use the network.
    pub request_networking: bool,
    /// Rights it wants.
    pub requests: Vec<Entry>,
    /// Rights it gives.
    pub grants: Vec<Entry>,
    /// Interface version of its component.
    pub wit_version: Option<u32>,
}

/// Finds the script called `name` in a `scripts.json`. Only its own entry need
/// be sound; fields that are absent or null have their default, and unknown
/// ones are left alone.
///
/// # Errors
/// [`Invalid`] when the file cannot be read or does not name the script.
pub fn find_script(name: &str, bytes: &[u8]) -> Result<Script, Invalid> {
    let scripts: BTreeMap<String, Value> = serde_json::from_slice(bytes)
        .map_err(|error| Invalid(format!("scripts.json cannot be read: {error}")))?;
    let entry = scripts.get(&format!("{name}.wasm")).ok_or_else(|| {
        Invalid(format!(
            "script {name} is not in the scripts.json file, which has {}",
            listed(&scripts)
        ))
    })?;
    let Value::Object(fields) = entry else {
        return Err(Invalid(format!(
            "scripts.json: {name}.wasm must be an object, such as {{\"root\":false}}"
        )));
    };
    let entry = ScriptEntry { name, fields };
    Ok(Script {
        root: entry.field("root", "true or false")?,
        public: entry.field("public", "true or false")?,
        request_networking: entry.field("request_networking", "true or false")?,
        requests: entry.field("request_capabilities", RIGHTS)?,
        grants: entry.field("grant_capabilities", RIGHTS)?,
        wit_version: entry.field("wit_version", "a number, such as 1")?,
    })
}

/// What a list of rights looks like.
const RIGHTS: &str = "a list of \"PROCESS:PACKAGE:PUBLISHER\" and \
                      {\"process\":\"PROCESS:PACKAGE:PUBLISHER\",\"params\":…}";

struct ScriptEntry<'a> {
    name: &'a str,
    fields: &'a Map<String, Value>,
}

impl ScriptEntry<'_> {
    fn field<T: DeserializeOwned + Default>(
        &self,
        field: &str,
        wanted: &str,
    ) -> Result<T, Invalid> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => T::deserialize(value).map_err(|_| {
                let value: String = value.to_string().chars().take(MOST_QUOTED).collect();
                Invalid(format!(
                    "scripts.json: {field} of {}.wasm must be {wanted}, not {value}",
                    self.name
                ))
            }),
        }
    }
}

/// The scripts of a package as a person types them, or as many as fit.
fn listed(scripts: &BTreeMap<String, Value>) -> String {
    let mut names: Vec<&str> = scripts
        .keys()
        .filter_map(|file| file.strip_suffix(".wasm"))
        .take(MOST_LISTED + 1)
        .collect();
    match names.len() {
        0 => return "none".to_owned(),
        length if length > MOST_LISTED => names[MOST_LISTED] = "…",
        _ => {}
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> PackageId {
        "chat:b.dev".parse().unwrap()
    }

    fn parse(text: &str) -> Result<Manifest, String> {
        parse_manifest(&package(), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_usual_manifest() {
        let manifest = parse(
            r#"[{"process_name":"chat","process_wasm_path":"/chat.wasm","on_exit":"Restart",
                 "request_networking":true,
                 "request_capabilities":["http-server:distro:sys",{"process":"vfs:distro:sys","params":{"root":true}}],
                 "grant_capabilities":["http_server:distro:sys"],"public":false},
                {"process_name":"worker","process_wasm_path":"bin/worker.wasm"}]"#,
        )
        .unwrap();
        assert_eq!(manifest[0].id.to_string(), "chat:chat:b.dev");
        assert_eq!(manifest[0].wasm_path, "/chat:b.dev/pkg/chat.wasm");
        assert!(manifest[0].networking && manifest[0].requests.len() == 2);
        assert_eq!(
            manifest[0].grants[0].process().as_str(),
            "http-server:distro:sys"
        );
        assert_eq!(manifest[1].wasm_path, "/chat:b.dev/pkg/bin/worker.wasm");
        assert_eq!(manifest[1].on_exit, "None");
    }

    #[test]
    fn on_exit_may_be_requests() {
        let text = r#"[{"process_name":"a","process_wasm_path":"/a.wasm","on_exit":
            {"Requests":[["our@b:chat:b.dev",{"inherit":false,"expects_response":null,"body":[1],"metadata":null,"capabilities":[]},null]]}}]"#;
        assert_eq!(parse(text).unwrap().len(), 1);
    }

    #[test]
    fn bad_manifests_say_what_is_wrong() {
        let entry = |name: &str, path: &str, on_exit: &str| {
            format!(
                r#"{{"process_name":"{name}","process_wasm_path":"{path}","on_exit":"{on_exit}"}}"#
            )
        };
        for (text, wanted) in [
            ("{".to_owned(), "cannot be read"),
            ("{}".to_owned(), "cannot be read"),
            (
                format!("[{}]", entry("a:b", "/a.wasm", "None")),
                "process name",
            ),
            (format!("[{0},{0}]", entry("a", "/a.wasm", "None")), "twice"),
            (format!("[{}]", entry("a", "/a.wasm", "Never")), "on_exit"),
            (format!("[{}]", entry("a", "/../b.wasm", "None")), "inside"),
            (format!("[{}]", entry("a", "//a.wasm", "None")), "inside"),
            (format!("[{}]", entry("a", "", "None")), "inside"),
            (
                format!(
                    "[{}]",
                    (0..=MOST_PROCESSES)
                        .map(|n| entry(&format!("p{n}"), "/a.wasm", "None"))
                        .collect::<Vec<_>>()
                        .join(",")
                ),
                "more than",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn scripts_are_found_by_file_name() {
        let text = br#"{"hi.wasm":{"root":true,"public":false,"request_networking":true,
            "request_capabilities":["net:distro:sys"],"grant_capabilities":null,"wit_version":1}}"#;
        let script = find_script("hi", text).unwrap();
        assert!(script.root && script.request_networking && !script.public);
        assert_eq!((script.requests.len(), script.grants.len()), (1, 0));
        assert_eq!(script.wit_version, Some(1));
        let error = |name: &str, text: &[u8]| find_script(name, text).unwrap_err().to_string();
        assert_eq!(
            error("ho", text),
            "script ho is not in the scripts.json file, which has hi"
        );
        assert!(error("ho", b"{}").ends_with("has none"));
        assert!(error("hi", b"{\"hi.wasm\": {}\n oops").contains("line 2"));
        assert!(error("hi", b"[]").contains("cannot be read"));
        let many: Map<String, Value> = (0..64)
            .map(|n| (format!("s{n:02}.wasm"), Value::Null))
            .collect();
        let many = serde_json::to_vec(&many).unwrap();
        assert!(error("ho", &many).ends_with("s18, s19, …"));
    }

    #[test]
    fn absent_and_unknown_fields_of_a_script_do_no_harm() {
        for entry in [
            r#"{}"#,
            r#"{"root":null,"public":null,"request_networking":null,"grant_capabilities":null}"#,
            r#"{"root":false,"request_capabilities":[],"on_exit":"None","x":[1]}"#,
        ] {
            let text = format!(r#"{{"broken.wasm":3,"a.wasm":{entry}}}"#);
            assert_eq!(find_script("a", text.as_bytes()), Ok(Script::default()));
        }
        for version in [0, 1, 7] {
            let text = format!(r#"{{"a.wasm":{{"wit_version":{version}}}}}"#);
            let script = find_script("a", text.as_bytes()).unwrap();
            assert_eq!(script.wit_version, Some(version));
        }
    }

    #[test]
    fn a_wrong_field_of_a_script_is_named() {
        for (entry, wanted) in [
            ("3", "a.wasm must be an object"),
            (
                r#"{"root":"yes"}"#,
                r#"root of a.wasm must be true or false, not "yes""#,
            ),
            (
                r#"{"public":1}"#,
                "public of a.wasm must be true or false, not 1",
            ),
            (
                r#"{"wit_version":-1}"#,
                "wit_version of a.wasm must be a number",
            ),
            (
                r#"{"request_capabilities":"vfs:distro:sys"}"#,
                "request_capabilities of a.wasm must be a list",
            ),
            (
                r#"{"grant_capabilities":["vfs:distro"]}"#,
                r#"must be a list of "PROCESS:PACKAGE:PUBLISHER""#,
            ),
        ] {
            let text = format!(r#"{{"a.wasm":{entry}}}"#);
            let error = find_script("a", text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
