//! A fingerprint of everything that goes into the packages.

use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

/// Files and folders whose content matters.
const SOURCES: [&str; 4] = [
    "runtime/packages",
    "runtime/types",
    "infra/xtask/src",
    "Cargo.toml",
];

/// The fingerprint, given also what compiles them.
pub fn of(checkout: &Path, compiler: &str) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update(compiler.as_bytes());
    for source in SOURCES {
        add(&mut hash, checkout, Path::new(source)).with_context(|| format!("read {source}"))?;
    }
    Ok(hex::encode(hash.finalize()))
}

fn add(hash: &mut Sha256, checkout: &Path, path: &Path) -> std::io::Result<()> {
    let full = checkout.join(path);
    if !full.is_dir() {
        let bytes = std::fs::read(&full)?;
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
        return Ok(());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&full)? {
        names.push(entry?.file_name());
    }
    names.sort();
    for name in names {
        // What cargo builds, should someone build in there by hand.
        if name != "target" {
            add(hash, checkout, &path.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_changes_with_a_source_and_not_with_what_is_built() {
        let dir = tempfile::tempdir().unwrap();
        for source in SOURCES {
            let path = dir.path().join(source);
            if source.ends_with(".toml") {
                std::fs::write(path, "x").unwrap();
            } else {
                std::fs::create_dir_all(path).unwrap();
            }
        }
        let first = of(dir.path(), "rustc 1").unwrap();
        let built = dir.path().join("runtime/packages/target");
        std::fs::create_dir_all(&built).unwrap();
        std::fs::write(built.join("a.wasm"), "x").unwrap();
        assert_eq!(of(dir.path(), "rustc 1").unwrap(), first);
        assert_ne!(of(dir.path(), "rustc 2").unwrap(), first);
        std::fs::write(dir.path().join("runtime/packages/a.rs"), "x").unwrap();
        assert_ne!(of(dir.path(), "rustc 1").unwrap(), first);
    }
}
