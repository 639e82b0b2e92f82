//! The packages of the suite, made of the components of the editions' apps.

use std::io::{Cursor, Read, Write};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::super::support::kit::Package;
use super::super::support::test_package;
use super::subject::{COLUMNS, Column};

/// The component of a column.
pub fn component(column: &Column) -> Vec<u8> {
    let editions = test_package("editions:test.dev");
    let mut archive = ZipArchive::new(Cursor::new(editions.zip)).unwrap();
    read(&mut archive, &format!("{}.wasm", column.component))
}

fn read(archive: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = archive.by_name(name).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The site of the package that serves: files below its `pkg/ui`.
pub const SITE: [(&str, &str); 4] = [
    ("index.html", "<!doctype html><title>site</title>"),
    ("main.js", "export default 1;"),
    ("img/logo.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ("data", "no kind"),
];

/// A package of all components with this manifest.
fn package(id: &str, manifest: &[Value]) -> Package {
    package_with(id, manifest, &[])
}

/// The same with these files below `ui`.
fn package_with(id: &str, manifest: &[Value], site: &[(&str, &str)]) -> Package {
    let (name, publisher) = id.split_once(':').unwrap();
    let Package { zip, mut metadata } = test_package("editions:test.dev");
    metadata["properties"]["package_name"] = json!(name);
    metadata["properties"]["publisher"] = json!(publisher);
    let options = SimpleFileOptions::default();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut write = |name: &str, bytes: &[u8]| {
        writer.start_file(name, options).unwrap();
        writer.write_all(bytes).unwrap();
    };
    let manifest = serde_json::to_vec(manifest).unwrap();
    write("manifest.json", &manifest);
    let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    for column in &COLUMNS {
        let name = format!("{}.wasm", column.component);
        write(&name, &read(&mut archive, &name));
    }
    for (name, text) in site {
        write(&format!("ui/{name}"), text.as_bytes());
    }
    Package {
        zip: writer.finish().unwrap().into_inner(),
        metadata,
    }
}

/// The modules that store, and what else is asked about stores. They answer
/// those who let them.
fn stores(column: &Column) -> [&'static str; 4] {
    let fd_manager = if column.newer {
        "fd-manager:distro:sys"
    } else {
        "fd_manager:distro:sys"
    };
    let [kv, sqlite, timer] = ["kv:distro:sys", "sqlite:distro:sys", "timer:distro:sys"];
    [kv, sqlite, timer, fd_manager]
}

/// One process; `asks` are rights beyond those that all need.
fn process(column: &Column, name: &str, asks: &[String]) -> Value {
    let mut requests = vec![json!(column.server), json!("vfs:distro:sys")];
    requests.extend(asks.iter().map(|id| json!(id)));
    json!({
        "process_name": name,
        "process_wasm_path": format!("/{}.wasm", column.component),
        "on_exit": "Restart",
        "request_networking": true,
        "request_capabilities": requests,
        "grant_capabilities": [column.server],
        "public": false,
    })
}

/// Lets a process and the modules that store message each other.
fn let_store(column: &Column, entry: &mut Value) {
    for side in ["request_capabilities", "grant_capabilities"] {
        if let Some(listed) = entry[side].as_array_mut() {
            listed.extend(stores(column).map(|module| json!(module)));
        }
    }
}

/// Six processes of every column: see [`super::subject::Subject`].
pub fn conformance() -> Package {
    package("conformance:test.dev", &six_of_each())
}

/// The same, and they may use the modules that store.
pub fn storing() -> Package {
    let mut manifest = six_of_each();
    for (at, entry) in manifest.iter_mut().enumerate() {
        let_store(&COLUMNS[at / 6], entry);
    }
    package("conformance:test.dev", &manifest)
}

/// The six of every column, which may call out and have a site in their
/// package; and one of each whom the HTTP server may not message, but *a* may.
pub fn serving() -> Package {
    let mut manifest = six_of_each();
    for (at, entry) in manifest.iter_mut().enumerate() {
        let client = COLUMNS[at / 6].client();
        for side in ["request_capabilities", "grant_capabilities"] {
            if let Some(listed) = entry[side].as_array_mut() {
                listed.push(json!(client));
            }
        }
    }
    for column in &COLUMNS {
        let a = format!("{}:conformance:test.dev", column.process);
        let name = format!("{}-unheard", column.process);
        let mut entry = process(column, &name, std::slice::from_ref(&a));
        entry["grant_capabilities"] = json!([a]);
        manifest.push(entry);
    }
    package_with("conformance:test.dev", &manifest, &SITE)
}

/// One process of every column in a package of its own, which anybody may
/// message and which may use the modules that store.
pub fn strangers() -> Package {
    let mut manifest = Vec::new();
    for column in &COLUMNS {
        let a = format!("{}:conformance:test.dev", column.process);
        let mut entry = process(column, column.process, &[a]);
        let_store(column, &mut entry);
        entry["public"] = json!(true);
        manifest.push(entry);
    }
    package("strangers:test.dev", &manifest)
}

fn six_of_each() -> Vec<Value> {
    let mut manifest = Vec::new();
    for column in &COLUMNS {
        let prefix = column.process;
        let asks: Vec<String> = ["", "-b", "-c"]
            .iter()
            .map(|suffix| format!("{prefix}{suffix}:conformance:test.dev"))
            .collect();
        for suffix in ["", "-b", "-c", "-private", "-public"] {
            let mut entry = process(column, &format!("{prefix}{suffix}"), &asks);
            entry["public"] = json!(suffix == "-public");
            manifest.push(entry);
        }
        let kernel = [asks.as_slice(), &["kernel:distro:sys".to_owned()]].concat();
        manifest.push(process(column, &format!("{prefix}-admin"), &kernel));
    }
    manifest
}
