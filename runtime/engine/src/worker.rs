//! The other side of a compile: a short-lived process that turns Wasm into
//! machine code.
//!
//! Reads a 16-byte head (length and CPU seconds, little endian) and the
//! component on stdin, writes the artifact to stdout. It gives up every right
//! it does not need before it looks at the component: CPU time, address space,
//! file size, new files, core dumps. Ends by itself, or with its parent.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal};
use sha2::{Digest, Sha256};

use crate::artifact::{DIGEST_LIST, file_name};
use crate::config;
use crate::hash::WasmHash;
use crate::inspect::{InspectError, MAX_WASM_BYTES, inspect};

/// Exit code for a component that does not compile; the reason is on stderr.
pub(crate) const EXIT_INVALID: u8 = 3;
/// The length of the head on stdin.
pub(crate) const HEAD: usize = 16;
/// Address space without regard to the component's size.
const BASE_ADDRESS_SPACE: u64 = 1 << 30;
/// Address space for each byte of the component: 2 GiB in all at 64 MiB.
const ADDRESS_SPACE_PER_BYTE: u64 = 16;
/// The largest artifact: four to five times the component is usual.
const MAX_ARTIFACT: u64 = 1 << 30;
/// CPU seconds until the head was read.
const STARTUP_CPU: u64 = 10;
/// A third of a guest's weight: compiling hardly delays a running node, and a
/// node that computes for ever does not keep others from being installed.
const NICE: i32 = 5;

/// The main function of the compile worker.
#[must_use]
pub fn compile_worker() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Invalid(reason)) => {
            let _ = io::stderr().write_all(reason.as_bytes());
            ExitCode::from(EXIT_INVALID)
        }
        Err(Failure::Io(error)) => {
            let _ = io::stderr().write_all(error.to_string().as_bytes());
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    Invalid(String),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn work() -> Result<(), Failure> {
    limit(Resource::Core, 0)?;
    limit(Resource::Cpu, STARTUP_CPU)?;
    limit(Resource::Fsize, MAX_ARTIFACT)?;
    let _ = rustix::process::nice(NICE);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(io::Error::from)?;

    let mut stdin = io::stdin().lock();
    let mut head = [0; HEAD];
    stdin.read_exact(&mut head)?;
    let (length, cpu) = split_head(head);
    if length > MAX_WASM_BYTES as u64 {
        return Err(Failure::Invalid(
            InspectError::TooLarge(MAX_WASM_BYTES + 1).to_string(),
        ));
    }
    limit(Resource::Cpu, cpu)?;
    limit(
        Resource::As,
        BASE_ADDRESS_SPACE + length * ADDRESS_SPACE_PER_BYTE,
    )?;
    let mut wasm = Vec::new();
    stdin.take(length).read_to_end(&mut wasm)?;
    if wasm.len() as u64 != length {
        return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    let engine = new_engine().map_err(Failure::Io)?;
    // From here on the component decides what happens.
    limit(Resource::Nofile, 3)?;
    let artifact = engine
        .precompile_component(&wasm)
        .map_err(|error| Failure::Invalid(format!("{error:#}")))?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&artifact)?;
    stdout.flush()?;
    Ok(())
}

/// Builds the head for a worker.
pub(crate) fn head(length: u64, cpu_seconds: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&length.to_le_bytes());
    head[8..].copy_from_slice(&cpu_seconds.to_le_bytes());
    head
}

fn split_head(head: [u8; HEAD]) -> (u64, u64) {
    let both = u128::from_le_bytes(head);
    (both as u64, (both >> 64) as u64)
}

/// Sets the soft limit; the hard one too where it may still be lowered later.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let old = rustix::process::getrlimit(resource);
    let value = old.maximum.map_or(value, |maximum| value.min(maximum));
    let keeps_hard = matches!(resource, Resource::Cpu);
    rustix::process::setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: if keeps_hard { old.maximum } else { Some(value) },
        },
    )?;
    Ok(())
}

fn new_engine() -> io::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&config::wasmtime_config())
        .map_err(|error| io::Error::other(format!("{error:#}")))
}

/// Why a component was not compiled ahead of time.
#[derive(Debug, thiserror::Error)]
pub enum PrecompileError {
    /// It is no process.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The compiler refuses it.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// The artifact could not be written.
    #[error("failed to write the artifact: {0}")]
    Io(#[from] io::Error),
}

/// Compiles `wasm` into `out_dir`, which can then be one of the host's
/// `extra_artifact_dirs`. For the build: in this process and without limits.
///
/// # Errors
/// [`PrecompileError`] when the component is none, or the folder is not
/// writable.
pub fn precompile(wasm: &[u8], out_dir: &Path) -> Result<WasmHash, PrecompileError> {
    inspect(wasm)?;
    let engine = new_engine()?;
    let artifact = engine
        .precompile_component(wasm)
        .map_err(|error| PrecompileError::Compile(format!("{error:#}")))?;
    let hash = WasmHash::of(wasm);
    let name = file_name(&hash, &config::compatibility_key(&engine));
    fs::create_dir_all(out_dir)?;
    replace(&out_dir.join(&name), &artifact)?;
    let list = out_dir.join(DIGEST_LIST);
    let mut lines: Vec<String> = fs::read_to_string(&list)
        .unwrap_or_default()
        .lines()
        .filter(|line| line.split(' ').next() != Some(&name))
        .map(str::to_owned)
        .collect();
    lines.push(format!("{name} {}", hex::encode(Sha256::digest(&artifact))));
    lines.sort();
    replace(&list, (lines.join("\n") + "\n").as_bytes())?;
    Ok(hash)
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, content)?;
    fs::rename(&temporary, path)
}
