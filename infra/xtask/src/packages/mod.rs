//! Builds the Wasm packages: `runtime/packages` to one zip per package.
//!
//! Distro packages go to `TARGET/release/berth-packages`, apps for tests to
//! `TARGET/release/test-packages`, each as `PACKAGE:PUBLISHER.zip` with its
//! metadata beside as `.metadata.json`. Nothing is done when nothing changed.
//!
//! What kit makes of APIs is made here too: a crate without an entry point
//! exports functions, which are composed into those that import them, in its
//! own package and in the packages that name it as a dependency.

mod archive;
mod component;
mod compose;
mod lock;
mod stamp;
mod toolchain;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

pub use lock::check as check_lock;

/// Where packages are in the source tree, and where they go.
const FOLDERS: [(&[&str], &str); 2] = [
    (&["."], "berth-packages"),
    (
        &[
            "test-apps",
            "test-apps/book",
            "test-apps/book/remote_file_storage",
        ],
        "test-packages",
    ),
];

use crate::{checkout, say, target_dir};

/// A package in the source tree.
struct Source {
    /// Its folder.
    dir: PathBuf,
    /// `PACKAGE:PUBLISHER`.
    id: String,
    /// Its `metadata.json`.
    metadata: Vec<u8>,
}

impl Source {
    /// A list in the properties of its metadata; empty if it has none.
    fn list(&self, name: &str) -> Vec<String> {
        let metadata: Value = serde_json::from_slice(&self.metadata).unwrap_or_default();
        let list = metadata.pointer(&format!("/properties/{name}"));
        let items = list.and_then(Value::as_array).into_iter().flatten();
        items
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    }
}

/// `xtask packages`.
pub fn run() -> anyhow::Result<()> {
    let top = checkout()?;
    let target = target_dir(&top);
    let workspace = top.join("runtime/packages");
    let lock = std::fs::read_to_string(workspace.join("Cargo.lock"))
        .context("read runtime/packages/Cargo.lock")?;
    check_lock(&lock)?;

    let toolchain = toolchain::find(&top, &target)?;
    let stamp_file = target.join("release/berth-packages/.stamp");
    let stamp = stamp::of(&top, toolchain.describe())?;
    if std::fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
        say("packages are up to date");
        return Ok(());
    }

    say(&format!("building packages ({})", toolchain.describe()));
    let built = toolchain.build(&workspace, &target.join("packages"))?;
    for (folders, out) in FOLDERS {
        let out = target.join("release").join(out);
        let mut packages = Vec::new();
        for folder in folders {
            let found = find(&workspace.join(folder))?;
            ensure!(!found.is_empty(), "no package in runtime/packages/{folder}");
            packages.extend(found);
        }
        replace_dir(&out)?;
        for package in &packages {
            assemble(package, &packages, &built, &out)
                .with_context(|| format!("assemble package {}", package.id))?;
        }
    }
    std::fs::write(&stamp_file, stamp).context("write the stamp of the packages")
}

/// Folders with a `metadata.json` directly inside `dir`.
fn find(dir: &Path) -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let dir = entry?.path();
        let Ok(metadata) = std::fs::read(dir.join("metadata.json")) else {
            continue;
        };
        let id = package_id(&metadata).with_context(|| format!("read {}", dir.display()))?;
        found.push(Source { dir, id, metadata });
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

fn package_id(metadata: &[u8]) -> anyhow::Result<String> {
    let metadata: Value = serde_json::from_slice(metadata).context("parse metadata.json")?;
    let property = |name: &str| {
        let value = metadata.pointer(&format!("/properties/{name}"));
        value
            .and_then(Value::as_str)
            .with_context(|| format!("metadata.json lacks properties.{name}"))
    };
    Ok(format!(
        "{}:{}",
        property("package_name")?,
        property("publisher")?
    ))
}

/// Empties or makes `dir`.
fn replace_dir(dir: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("empty {}", dir.display()));
        }
        _ => {}
    }
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))
}

/// Writes the zip and the metadata of one package.
fn assemble(package: &Source, packages: &[Source], built: &Path, out: &Path) -> anyhow::Result<()> {
    let mut files = archive::read_tree(&package.dir.join("pkg"))?;
    let Parts { processes, apis } = parts(package, built)?;
    let mut plugs: Vec<Vec<u8>> = apis.values().cloned().collect();
    for id in package.list("dependencies") {
        let dependency = packages.iter().find(|other| other.id == id);
        let dependency = dependency.with_context(|| format!("there is no package {id}"))?;
        let theirs = parts(dependency, built)?;
        plugs.extend(theirs.apis.values().cloned());
        // What it includes in its API, such as a worker, the importer has too.
        files.extend(included(dependency, &theirs)?);
    }
    let plugs: Vec<&[u8]> = plugs.iter().map(Vec::as_slice).collect();
    for (name, process) in &processes {
        let composed = compose::plug(process.clone(), &plugs)
            .with_context(|| format!("compose {name} with the APIs that it imports"))?;
        files.insert(name.clone(), composed);
    }
    let api = package.dir.join("api");
    if api.is_dir() {
        let mut api = archive::read_tree(&api)?;
        for (name, component) in &apis {
            api.insert(name.replace('_', "-"), component.clone());
        }
        api.extend(included(package, &Parts { processes, apis })?);
        files.insert("api.zip".to_owned(), archive::zip(&api)?);
    }
    check_names(&files)?;
    let zip = archive::zip(&files)?;
    std::fs::write(out.join(format!("{}.zip", package.id)), zip).context("write the zip")?;
    std::fs::write(
        out.join(format!("{}.metadata.json", package.id)),
        &package.metadata,
    )
    .context("write the metadata")
}

/// The components of a package by the names of their files.
struct Parts {
    processes: BTreeMap<String, Vec<u8>>,
    /// Those that export functions to others.
    apis: BTreeMap<String, Vec<u8>>,
}

fn parts(package: &Source, built: &Path) -> anyhow::Result<Parts> {
    let mut parts = Parts {
        processes: BTreeMap::new(),
        apis: BTreeMap::new(),
    };
    for (folder, name) in process_crates(&package.dir)? {
        let module = built.join(format!("{}.wasm", name.replace('-', "_")));
        let module = std::fs::read(&module)
            .with_context(|| format!("read the module built from crate {name}"))?;
        let (component, outside) = component::from_module(&module)
            .and_then(|component| {
                let outside = component::outside(&component)?;
                Ok((component, outside))
            })
            .with_context(|| format!("make a component of crate {name}"))?;
        let kind = if outside.is_process {
            &mut parts.processes
        } else {
            &mut parts.apis
        };
        kind.insert(format!("{folder}.wasm"), component);
    }
    Ok(parts)
}

/// The processes that the metadata of a package adds to its API.
fn included(package: &Source, parts: &Parts) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut included = BTreeMap::new();
    for name in package.list("api_includes") {
        let component = parts.processes.get(&name);
        let component = component.with_context(|| format!("there is no {name} to include"))?;
        included.insert(name, component.clone());
    }
    Ok(included)
}

/// The crates in a package's folder, each of which is a process, a script or
/// an API: the folder, which names the component, and the crate.
fn process_crates(dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut crates = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(cargo) = std::fs::read_to_string(entry.path().join("Cargo.toml")) else {
            continue;
        };
        let folder = entry.file_name().to_string_lossy().into_owned();
        let name = lock::field(&cargo, "name");
        let name = name.with_context(|| format!("{folder}/Cargo.toml names no crate"))?;
        crates.push((folder, name.to_owned()));
    }
    crates.sort();
    Ok(crates)
}

/// Every component that `manifest.json` or `scripts.json` names must be there.
fn check_names(files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    let manifest = files.get("manifest.json").context("no pkg/manifest.json")?;
    let manifest: Vec<Value> = serde_json::from_slice(manifest).context("parse manifest.json")?;
    let mut named: Vec<String> = Vec::new();
    for entry in &manifest {
        let path = entry.get("process_wasm_path").and_then(Value::as_str);
        let path = path.context("an entry of manifest.json lacks process_wasm_path")?;
        named.push(path.trim_start_matches('/').to_owned());
    }
    if let Some(scripts) = files.get("scripts.json") {
        let scripts: serde_json::Map<String, Value> =
            serde_json::from_slice(scripts).context("parse scripts.json")?;
        named.extend(scripts.keys().cloned());
    }
    for name in named {
        if !files.contains_key(&name) {
            bail!("{name} is named but not built: is its crate in the package's folder?");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        list.iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn the_id_comes_from_the_metadata() {
        let id = package_id(br#"{"properties":{"package_name":"chat","publisher":"b.dev"}}"#);
        assert_eq!(id.unwrap(), "chat:b.dev");
        assert!(package_id(br#"{"properties":{"publisher":"b.dev"}}"#).is_err());
    }

    #[test]
    fn a_named_component_must_be_there() {
        let manifest = r#"[{"process_wasm_path":"/a.wasm"}]"#;
        let whole = files(&[("manifest.json", manifest), ("a.wasm", "")]);
        check_names(&whole).unwrap();
        assert!(check_names(&files(&[("manifest.json", manifest)])).is_err());
        let scripts = files(&[
            ("manifest.json", "[]"),
            ("scripts.json", r#"{"s.wasm":{}}"#),
        ]);
        assert!(
            check_names(&scripts)
                .unwrap_err()
                .to_string()
                .contains("s.wasm")
        );
    }
}
