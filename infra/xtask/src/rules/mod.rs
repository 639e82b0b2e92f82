//! The rules of the house, checked on what git would commit.

mod arrows;
mod files;

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{checkout, packages, say, say_error};

/// `xtask rules`.
pub fn run() -> anyhow::Result<()> {
    let top = checkout()?;
    let mut broken = arrows::check(&cargo_metadata(&top)?)?;
    for path in committed_files(&top)? {
        // A file that is listed but gone is being removed.
        let Ok(bytes) = std::fs::read(top.join(&path)) else {
            continue;
        };
        if let Ok(text) = String::from_utf8(bytes) {
            broken.extend(files::check(&path, &text));
        }
    }
    let lock = std::fs::read_to_string(top.join("runtime/packages/Cargo.lock"))
        .context("read runtime/packages/Cargo.lock")?;
    if let Err(error) = packages::check_lock(&lock) {
        broken.push(error.to_string());
    }
    if broken.is_empty() {
        say("the rules of the house are kept");
        return Ok(());
    }
    for line in &broken {
        say_error(line);
    }
    bail!("{} rule(s) broken", broken.len())
}

fn cargo_metadata(top: &std::path::Path) -> anyhow::Result<serde_json::Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(top)
        .output()
        .context("start cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout).context("parse cargo metadata")
}

/// Paths of all files that are committed or would be.
fn committed_files(top: &std::path::Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(top)
        .output()
        .context("start git ls-files")?;
    if !output.status.success() {
        bail!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let list = String::from_utf8(output.stdout).context("file names are UTF-8")?;
    Ok(list
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect())
}
