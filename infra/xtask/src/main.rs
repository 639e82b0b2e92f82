//! Build steps and rules of the workspace that cargo does not know.
//!
//! `xtask packages` builds the Wasm packages; `xtask rules` checks the rules
//! of the house. Both are run by the Makefile from the top of the checkout and
//! end with exit code 1 and a sentence when something is wrong.

#![forbid(unsafe_code)]

mod packages;
mod rules;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["packages"] => packages::run(),
        ["rules"] => rules::run(),
        _ => Err(anyhow::anyhow!("usage: cargo xtask packages|rules")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_error(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the person at the console how things go.
fn say(line: &str) {
    // A closed console is no reason to fail a build.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn say_error(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The top of the checkout: the nearest directory upwards that holds this tool.
fn checkout() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("find the current directory")?;
    match here
        .ancestors()
        .find(|dir| dir.join("infra/xtask/Cargo.toml").is_file())
    {
        Some(top) => Ok(top.to_owned()),
        None => bail!("run this inside the checkout"),
    }
}

/// Where cargo puts what it builds.
fn target_dir(checkout: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => checkout.join(dir),
        _ => checkout.join("target"),
    }
}
