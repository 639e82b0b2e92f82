//! Builds the Wasm packages: `runtime/packages` to one zip per package.
//!
//! Distro packages go to `TARGET/release/berth-packages`, apps for tests to
//! `TARGET/release/test-packages`, each as `PACKAGE:PUBLISHER.zip` with its
//! metadata beside as `.metadata.json`. Nothing is done when nothing changed.

mod archive;
mod component;
mod lock;
mod stamp;
mod toolchain;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

pub use lock::check as check_lock;

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
    for (folder, out) in [(".", "berth-packages"), ("test-apps", "test-packages")] {
        let out = target.join("release").join(out);
        let packages = find(&workspace.join(folder))?;
        ensure!(
            !packages.is_empty(),
            "no package in runtime/packages/{folder}"
        );
        replace_dir(&out)?;
        for package in &packages {
            assemble(package, &built, &out)
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
fn assemble(package: &Source, built: &Path, out: &Path) -> anyhow::Result<()> {
    let mut files = archive::read_tree(&package.dir.join("pkg"))?;
    for name in process_crates(&package.dir)? {
        let module = built.join(format!("{}.wasm", name.replace('-', "_")));
        let module = std::fs::read(&module)
            .with_context(|| format!("read the module built from crate {name}"))?;
        let component = component::from_module(&module)
            .with_context(|| format!("make a component of crate {name}"))?;
        files.insert(format!("{name}.wasm"), component);
    }
    let api = package.dir.join("api");
    if api.is_dir() {
        files.insert(
            "api.zip".to_owned(),
            archive::zip(&archive::read_tree(&api)?)?,
        );
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

/// Names of the crates in a package's folder, each of which is a process or a
/// script.
fn process_crates(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
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
