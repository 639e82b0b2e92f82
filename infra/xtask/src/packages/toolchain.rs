//! The compiler for Wasm: rustup's, or Debian's where rustup's target cannot
//! be had.
//!
//! `infra/setup` installs one of them and notes which in `TARGET/wasm-toolchain`;
//! what is really there decides.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

const TARGET: &str = "wasm32-wasip1";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_LINKER: &str = "wasm-ld-19";
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";
/// Settings for the machine's own compiler that must not reach this one.
const FOREIGN_SETTINGS: [&str; 5] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_DIR",
];

/// A compiler that was found.
pub struct Toolchain {
    debian: bool,
    description: String,
}

/// Looks for a compiler.
pub fn find(checkout: &Path, target: &Path) -> anyhow::Result<Toolchain> {
    let noted = std::fs::read_to_string(target.join("wasm-toolchain")).unwrap_or_default();
    let prefer_debian = noted.trim() == "debian";
    let order = if prefer_debian {
        [true, false]
    } else {
        [false, true]
    };
    for debian in order {
        let found = if debian {
            debian_version()
        } else {
            rustup_version(checkout)
        };
        if let Some(version) = found {
            let source = if debian { "Debian" } else { "rustup" };
            return Ok(Toolchain {
                debian,
                description: format!("{version}, {source}"),
            });
        }
    }
    bail!("no compiler for {TARGET}: run `infra/setup build`, which installs one")
}

/// The version of the checkout's own toolchain, if it can build for Wasm.
fn rustup_version(checkout: &Path) -> Option<String> {
    let rustc = |arguments: &[&str]| {
        output(
            Command::new("rustc")
                .args(arguments)
                .current_dir(checkout)
                .env_remove("RUSTC"),
        )
    };
    let libraries = rustc(&["--print", "target-libdir", "--target", TARGET])?;
    let installed = std::fs::read_dir(libraries).ok()?.next().is_some();
    installed.then(|| rustc(&["--version"]))?
}

/// The version of Debian's compiler, if all that belongs to it is there.
fn debian_version() -> Option<String> {
    let sysroot = output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))?;
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.toml");
    let complete = sources.is_file()
        && Path::new(DEBIAN_CARGO).is_file()
        && Path::new(DEBIAN_LIBC).is_dir()
        && output(Command::new(DEBIAN_LINKER).arg("--version")).is_some();
    complete.then(|| output(Command::new(DEBIAN_RUSTC).arg("--version")))?
}

/// Standard output of a command that succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

impl Toolchain {
    /// Version and origin, for people and for the fingerprint.
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// Builds all processes in `workspace`; returns where the modules are.
    pub fn build(&self, workspace: &Path, target: &Path) -> anyhow::Result<PathBuf> {
        let mut command = Command::new(if self.debian { DEBIAN_CARGO } else { "cargo" });
        for setting in FOREIGN_SETTINGS {
            command.env_remove(setting);
        }
        command.current_dir(workspace).args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--target",
            TARGET,
            "--workspace",
            "--exclude",
            "distro-logic",
        ]);
        command.arg("--target-dir").arg(target);
        if self.debian {
            command
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", DEBIAN_RUSTC)
                // `-Zbuild-std` on a stable compiler.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_WASIP1_LINKER", DEBIAN_LINKER)
                .env(
                    "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS",
                    format!("-L native={DEBIAN_LIBC}"),
                );
        }
        let status = command.status().context("start cargo for the packages")?;
        ensure!(status.success(), "the packages do not compile");
        Ok(target.join(TARGET).join("release"))
    }
}
