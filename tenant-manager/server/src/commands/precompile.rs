//! `berth __precompile`: turns the components of packages into artifacts at
//! build time, so that no host ever compiles them.

use std::io::Read;
use std::path::Path;

use anyhow::Context;

use crate::commands::say;

/// Where artifacts lie beside the archives.
pub const ARTIFACTS: &str = "artifacts";

/// Compiles every `*.wasm` of every archive in `directory`.
///
/// # Errors
/// An archive that cannot be read or a component that does not compile.
pub fn run(directory: &Path) -> anyhow::Result<()> {
    let artifacts = directory.join(ARTIFACTS);
    std::fs::create_dir_all(&artifacts)
        .with_context(|| format!("create {}", artifacts.display()))?;
    let mut count = 0;
    for entry in
        std::fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?
    {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "zip") {
            continue;
        }
        let file =
            std::fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let mut archive =
            zip::ZipArchive::new(file).with_context(|| format!("read {}", path.display()))?;
        for index in 0..archive.len() {
            let mut member = archive.by_index(index)?;
            if !member.name().ends_with(".wasm") {
                continue;
            }
            let mut wasm = Vec::new();
            member.read_to_end(&mut wasm)?;
            node_engine::precompile(&wasm, &artifacts)
                .with_context(|| format!("compile {} of {}", member.name(), path.display()))?;
            count += 1;
        }
    }
    say(&format!(
        "{count} components compiled to {}",
        artifacts.display()
    ))
}
