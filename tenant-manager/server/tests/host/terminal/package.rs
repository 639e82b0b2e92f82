//! A package of scripts of every kind, made of components of the builds at
//! hand: `hello` is the terminal's `echo`, the others are those of the editions
//! and carry out the steps that they are given.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::PathBuf;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::super::support::kit::Package;
use super::super::support::test_package;

/// Builds, and the interface version that their entries name.
pub const EDITIONS: [(&str, Option<u8>); 7] = [
    ("unversioned", None),
    ("v0_7", None),
    ("v0_8", Some(0)),
    ("v0_9", Some(0)),
    ("v0_10", Some(1)),
    ("v1_0", Some(1)),
    ("hyperware", Some(1)),
];
const SERVER: &str = "server:my_scripts:alice.dev";

fn read(zip: &[u8], name: &str) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut bytes = Vec::new();
    let mut file = archive.by_name(name).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// A component of the distribution's terminal.
fn of_the_terminal(name: &str) -> Vec<u8> {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_berth"));
    let zip = binary.with_file_name("berth-packages/terminal:sys.zip");
    read(&std::fs::read(zip).unwrap(), name)
}

/// Scripts by file, with their entries: every field, and none.
fn scripts() -> BTreeMap<String, Value> {
    let mut scripts: BTreeMap<String, Value> = [
        ("hello", json!({})),
        (
            "plain",
            json!({"root": false, "public": false, "request_networking": false,
                   "request_capabilities": [], "grant_capabilities": [], "wit_version": 1}),
        ),
        ("rooted", json!({"root": true})),
        ("open", json!({"public": true})),
        ("net", json!({"request_networking": true})),
        ("files", json!({"request_capabilities": ["vfs:distro:sys"]})),
        (
            "all_files",
            json!({"request_capabilities": ["vfs:distro:sys", "http_server:distro:sys", SERVER,
                        {"process": "vfs:distro:sys", "params": {"root": true}}],
                   "an unknown field": {"of": ["whatever"]}}),
        ),
        (
            "grants",
            json!({"root": null, "request_capabilities": [SERVER], "grant_capabilities": [SERVER,
                   {"process": SERVER, "params": {"may": "sing"}}]}),
        ),
        ("not-there", json!({})),
        ("wrong", json!({"root": "yes"})),
    ]
    .into_iter()
    .map(|(name, entry)| (name.to_owned(), entry))
    .collect();
    for (build, wit_version) in EDITIONS {
        let entry = match wit_version {
            Some(version) => json!({ "wit_version": version }),
            None => json!({}),
        };
        scripts.insert(build.to_owned(), entry);
    }
    let mut filler = 0;
    while scripts.len() < 64 {
        scripts.insert(format!("z-filler-{filler:02}"), json!({"root": false}));
        filler += 1;
    }
    scripts
}

/// The package: a process to talk with, one that is a script all the same, and
/// 64 scripts.
pub fn my_scripts() -> Package {
    let file = |(name, entry): (String, Value)| (format!("{name}.wasm"), entry);
    let listed: serde_json::Map<String, Value> = scripts().into_iter().map(file).collect();
    with_scripts_json(&Value::Object(listed).to_string())
}

/// The same with this `scripts.json`.
pub fn with_scripts_json(scripts_json: &str) -> Package {
    let Package { zip, mut metadata } = test_package("editions:test.dev");
    metadata["properties"]["package_name"] = json!("my_scripts");
    metadata["properties"]["publisher"] = json!("alice.dev");
    let process = |name: &str, component: &str, public: bool| {
        json!({
            "process_name": name,
            "process_wasm_path": format!("/{component}.wasm"),
            "on_exit": "Restart",
            "request_networking": false,
            // An answer is a message, too.
            "request_capabilities": ["http-server:distro:sys"],
            "grant_capabilities": ["terminal:terminal:sys", "http-server:distro:sys"],
            "public": public,
        })
    };
    let manifest = json!([
        process("server", "v1_0", false),
        process("echoer", "hello", true)
    ]);
    let options = SimpleFileOptions::default();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut write = |name: &str, bytes: &[u8]| {
        writer.start_file(name, options).unwrap();
        writer.write_all(bytes).unwrap();
    };
    write("manifest.json", manifest.to_string().as_bytes());
    write("scripts.json", scripts_json.as_bytes());
    write("hello.wasm", &of_the_terminal("echo.wasm"));
    for (build, _) in EDITIONS {
        let name = format!("{build}.wasm");
        write(&name, &read(&zip, &name));
    }
    let component = read(&zip, "v1_0.wasm");
    for name in [
        "plain",
        "rooted",
        "open",
        "net",
        "files",
        "all_files",
        "grants",
        "wrong",
    ] {
        write(&format!("{name}.wasm"), &component);
    }
    Package {
        zip: writer.finish().unwrap().into_inner(),
        metadata,
    }
}
