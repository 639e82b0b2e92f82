//! The app store's requests in both of their generations, told apart by shape.
//!
//! Kit 0.6 puts a package's metadata into `NewPackage` and sends `Install`
//! with a bare package id; kit 0.7 and later send the metadata with `Install`,
//! beside the version's hash. Of the metadata only what matters to the node is
//! read, so that its many dialects do not.

use node_types::PackageId;
use serde_json::{json, Value};

/// A request the app store carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Take in the package in the blob.
    NewPackage {
        /// Its id.
        package: PackageId,
        /// `wit_version` of its metadata, if that came along.
        wit_version: Option<u32>,
        /// Whether its metadata came along, as the tools of the book send it.
        book: bool,
        /// Whether other nodes may fetch it from here.
        mirror: bool,
    },
    /// Start a package that was taken in.
    Install {
        /// Its id.
        package: PackageId,
        /// SHA-256 of the zip, in hex; none means the newest.
        version_hash: Option<String>,
        /// `wit_version` of its metadata, if that came along.
        wit_version: Option<u32>,
    },
    /// Stop and remove a package.
    Uninstall(PackageId),
    /// Which packages have an API to look at.
    Apis,
    /// The API of one package.
    GetApi(PackageId),
}

/// A request that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What to answer, where the interface has an answer for it.
    pub answer: Option<Value>,
    /// A sentence to print.
    pub reason: String,
}

/// Operations of the interface, each with its answer when it fails.
const FAILURES: [(&str, &str, &str); 11] = [
    ("NewPackage", "NewPackageResponse", "InstallFailed"),
    ("Install", "InstallResponse", "Failure"),
    ("Uninstall", "UninstallResponse", "Failure"),
    ("GetApi", "GetApiResponse", "Failure"),
    ("Download", "DownloadResponse", "BadResponse"),
    ("StartMirroring", "MirrorResponse", "Failure"),
    ("StopMirroring", "MirrorResponse", "Failure"),
    ("StartAutoUpdate", "AutoUpdateResponse", "Failure"),
    ("StopAutoUpdate", "AutoUpdateResponse", "Failure"),
    ("RebuildIndex", "RebuildIndexResponse", "Failure"),
    ("Apis", "ApisResponse", "Failure"),
];

/// The answer `{"<response>": outcome}`.
#[must_use]
pub fn answer(response: &str, outcome: &str) -> Value {
    json!({ response: outcome })
}

/// Reads a request.
///
/// # Errors
/// [`Rejected`] when it is none, or one that this app store does not offer.
pub fn decode(body: &[u8]) -> Result<Request, Rejected> {
    let unknown = |reason: String| Rejected {
        answer: None,
        reason,
    };
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| unknown(format!("a request is not JSON: {error}")))?;
    let (name, value) = match &body {
        Value::String(name) => (name.as_str(), &Value::Null),
        Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
            Some((name, value)) => (name.as_str(), value),
            None => return Err(unknown("a request is empty".to_owned())),
        },
        _ => return Err(unknown("a request names no operation".to_owned())),
    };
    let failing = FAILURES.iter().find(|(operation, ..)| *operation == name);
    let Some((_, response, outcome)) = failing else {
        let name: String = name.chars().take(64).collect();
        return Err(unknown(format!("there is no operation {name}")));
    };
    read(name, value).map_err(|reason| Rejected {
        answer: Some(answer(response, outcome)),
        reason: format!("{name}: {reason}"),
    })
}

fn read(name: &str, value: &Value) -> Result<Request, String> {
    match name {
        "NewPackage" => Ok(Request::NewPackage {
            package: package(value.get("package_id"))?,
            wit_version: wit_version(value.get("metadata")),
            book: value.get("metadata").is_some_and(Value::is_object),
            mirror: value
                .get("mirror")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        }),
        "Install" => match value.get("package_id") {
            id @ Some(_) => Ok(Request::Install {
                package: package(id)?,
                version_hash: version_hash(value.get("version_hash"))?,
                wit_version: wit_version(value.get("metadata")),
            }),
            None => Ok(Request::Install {
                package: package(Some(value))?,
                version_hash: None,
                wit_version: None,
            }),
        },
        "Uninstall" => Ok(Request::Uninstall(package(Some(value))?)),
        "GetApi" => Ok(Request::GetApi(package(Some(value))?)),
        "Apis" => Ok(Request::Apis),
        _ => Err("this node does not offer that yet".to_owned()),
    }
}

fn package(value: Option<&Value>) -> Result<PackageId, String> {
    let value = value.ok_or("package_id is missing")?;
    serde_json::from_value(value.clone()).map_err(|error| format!("package id: {error}"))
}

fn version_hash(value: Option<&Value>) -> Result<Option<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(hash)) => Ok(Some(hash.to_ascii_lowercase())),
        Some(_) => Err("version_hash must be text".to_owned()),
    }
}

fn wit_version(metadata: Option<&Value>) -> Option<u32> {
    let version = metadata?.pointer("/properties/wit_version")?.as_u64()?;
    u32::try_from(version).ok()
}

/// The first label of the host name that a package's secure pages are served
/// at. Two packages with one label could read each other's pages.
#[must_use]
pub fn secure_label(package: &PackageId) -> String {
    format!("{}-{}", package.package(), package.publisher())
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat() -> PackageId {
        "chat:b.dev".parse().unwrap()
    }

    #[test]
    fn kit_0_6_sends_metadata_first_and_a_bare_id_then() {
        let body = json!({"NewPackage":{
            "package_id":{"package_name":"chat","publisher_node":"b.dev"},
            "metadata":{"name":null,"properties":{"package_name":"chat","publisher":"b.dev",
                "current_version":"0.1.0","mirrors":[],"code_hashes":[["0.1.0","ab"]],"wit_version":0}},
            "mirror":true}});
        assert_eq!(
            decode(body.to_string().as_bytes()),
            Ok(Request::NewPackage {
                package: chat(),
                wit_version: Some(0),
                book: true,
                mirror: true
            })
        );
        assert_eq!(
            decode(br#"{"Install":{"package_name":"chat","publisher_node":"b.dev"}}"#),
            Ok(Request::Install {
                package: chat(),
                version_hash: None,
                wit_version: None
            })
        );
    }

    #[test]
    fn kit_1_0_sends_hash_and_metadata_with_install() {
        assert_eq!(
            decode(br#"{"NewPackage":{"package_id":{"package_name":"chat","publisher_node":"b.dev"},"mirror":true}}"#),
            Ok(Request::NewPackage { package: chat(), wit_version: None, book: false, mirror: true })
        );
        let body = json!({"Install":{
            "package_id":{"package_name":"chat","publisher_node":"b.dev"},
            "version_hash":"AB01",
            "metadata":{"properties":{"code_hashes":{"0.1.0":"ab"},"wit_version":1,"api_includes":null}}}});
        assert_eq!(
            decode(body.to_string().as_bytes()),
            Ok(Request::Install {
                package: chat(),
                version_hash: Some("ab01".to_owned()),
                wit_version: Some(1)
            })
        );
    }

    #[test]
    fn the_rest_of_the_interface() {
        let id = r#"{"package_name":"chat","publisher_node":"b.dev"}"#;
        assert_eq!(decode(b"\"Apis\""), Ok(Request::Apis));
        assert_eq!(
            decode(format!("{{\"GetApi\":{id}}}").as_bytes()),
            Ok(Request::GetApi(chat()))
        );
        assert_eq!(
            decode(format!("{{\"Uninstall\":{id}}}").as_bytes()),
            Ok(Request::Uninstall(chat()))
        );
    }

    #[test]
    fn a_malformed_request_is_answered_where_an_answer_exists() {
        for (body, wanted) in [
            (
                r#"{"NewPackage":{"mirror":true}}"#,
                Some(json!({"NewPackageResponse":"InstallFailed"})),
            ),
            (
                r#"{"Install":{"package_name":"../x","publisher_node":"b.dev"}}"#,
                Some(json!({"InstallResponse":"Failure"})),
            ),
            (
                r#"{"Uninstall":7}"#,
                Some(json!({"UninstallResponse":"Failure"})),
            ),
            (
                r#"{"Download":{"package_id":null}}"#,
                Some(json!({"DownloadResponse":"BadResponse"})),
            ),
            (r#"{"Dance":1}"#, None),
            ("{}", None),
            ("nonsense", None),
        ] {
            assert_eq!(
                decode(body.as_bytes()).unwrap_err().answer,
                wanted,
                "{body}"
            );
        }
    }

    #[test]
    fn labels_can_meet() {
        let label = |text: &str| secure_label(&text.parse().unwrap());
        assert_eq!(label("my-pkg:alice.os"), "my-pkg-alice-os");
        assert_eq!(label("my:pkg-alice.os"), label("my-pkg:alice.os"));
    }
}
