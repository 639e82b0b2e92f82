//! Has components compiled in worker processes.
//!
//! Owns the queue in front of the one worker that runs at a time: bounded in
//! components and bytes, beyond that callers get [`PrepareError::Busy`].
//! Invariant: no async thread ever compiles, and whatever the worker does, the
//! host sees a typed error. A compile that is dropped kills its worker.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use crate::artifact::Artifacts;
use crate::hash::WasmHash;
use crate::inspect::{InspectError, MAX_WASM_BYTES};
use crate::worker::{EXIT_INVALID, head};

/// Compiles at once. Each takes a core for a second or more a megabyte.
const WORKERS: usize = 1;
/// Compiles that may be running or waiting.
const MAX_WAITING: usize = 64;
/// Bytes of components that may be running or waiting.
const MAX_WAITING_BYTES: u32 = 256 << 20;
/// CPU time for the smallest component.
const BASE_CPU: u64 = 30;
/// CPU time for each further megabyte.
const CPU_PER_MIB: u64 = 30;
/// CPU time at most.
const MAX_CPU: u64 = 300;
/// The wall-clock limit, as a multiple of the CPU limit: workers are nice.
const WALL_FACTOR: u32 = 3;
/// How much of a worker's complaint is read.
const MAX_COMPLAINT: u64 = 4096;

/// How to start a compile worker: a program whose main function ends in
/// [`crate::compile_worker`], such as this one through `/proc/self/exe`.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// Why a component could not be made ready to run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PrepareError {
    /// It is no process, or not one for this host.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The compiler refuses it.
    #[error("the component does not compile: {0}")]
    Invalid(String),
    /// It compiles, but what it imports differs from what nodes provide.
    #[error("the component does not fit the interface it imports: {0}")]
    Mismatch(String),
    /// The compiler needed longer than allowed.
    #[error("the component took longer to compile than the {0} seconds allowed for its size")]
    TooSlow(u64),
    /// The compiler died, most likely of its memory limit.
    #[error("the compiler died on this component ({0}); it may need more memory than allowed")]
    WorkerDied(String),
    /// Too many compiles are waiting.
    #[error("the host is busy compiling: try again in a minute")]
    Busy,
    /// The host's own failure.
    #[error("failed to compile the component: {0}")]
    Host(String),
    /// The host is stopping.
    #[error("the host is shutting down")]
    ShuttingDown,
}

/// The queue and the worker command.
#[derive(Debug)]
pub(crate) struct Compiler {
    command: WorkerCommand,
    workers: Semaphore,
    waiting: Semaphore,
    waiting_bytes: Semaphore,
    artifacts: Arc<Artifacts>,
    /// Replaces the CPU seconds that follow from the size.
    cpu_limit: Option<u64>,
}

impl Compiler {
    pub(crate) fn new(
        command: WorkerCommand,
        artifacts: Arc<Artifacts>,
        cpu_limit: Option<u64>,
    ) -> Self {
        Self {
            command,
            workers: Semaphore::new(WORKERS),
            waiting: Semaphore::new(MAX_WAITING),
            waiting_bytes: Semaphore::new(MAX_WAITING_BYTES as usize),
            artifacts,
            cpu_limit,
        }
    }

    /// Compiles `wasm` and stores the artifact.
    ///
    /// # Cancel-Safety
    /// Dropping it kills the worker and removes what it wrote.
    pub(crate) async fn compile(&self, hash: &WasmHash, wasm: &Bytes) -> Result<(), PrepareError> {
        let size = u32::try_from(wasm.len()).map_err(|_| InspectError::TooLarge(wasm.len()))?;
        let _waiting = self.waiting.try_acquire().map_err(|_| PrepareError::Busy)?;
        let _bytes = self
            .waiting_bytes
            .try_acquire_many(size)
            .map_err(|_| PrepareError::Busy)?;
        let _worker = self.workers.acquire().await;
        let host = |error: io::Error| PrepareError::Host(error.to_string());
        let mut output = self.artifacts.temporary().map_err(host)?;
        let stdout = output.file.try_clone().map_err(host)?;
        let cpu = self.cpu_limit.unwrap_or_else(|| cpu_seconds(wasm.len()));
        let child = self.start(stdout.into()).map_err(host)?;
        let wall = Duration::from_secs(cpu) * WALL_FACTOR;
        match tokio::time::timeout(wall, converse(child, wasm, cpu)).await {
            Err(_elapsed) => return Err(PrepareError::TooSlow(cpu)),
            Ok(Err(error)) => return Err(host(error)),
            Ok(Ok((status, complaint))) => judge(status, complaint, cpu)?,
        }
        let artifacts = Arc::clone(&self.artifacts);
        let hash = *hash;
        tokio::task::spawn_blocking(move || artifacts.commit(&hash, &mut output))
            .await
            .map_err(|error| PrepareError::Host(error.to_string()))?
            .map_err(host)
    }

    fn start(&self, stdout: Stdio) -> io::Result<Child> {
        Command::new(&self.command.program)
            .args(&self.command.args)
            // Nothing of the host's environment is the worker's business.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Feeds the worker and waits for its end.
async fn converse(mut child: Child, wasm: &Bytes, cpu: u64) -> io::Result<(ExitStatus, String)> {
    let stdin = child.stdin.take();
    let stderr = child.stderr.take();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A worker that dies early closes the pipe; its status says why.
            let head = head(wasm.len() as u64, cpu);
            if stdin.write_all(&head).await.is_ok() {
                let _ = stdin.write_all(wasm).await;
            }
        }
    };
    let listen = async move {
        let mut complaint = Vec::new();
        if let Some(stderr) = stderr {
            let _ = stderr.take(MAX_COMPLAINT).read_to_end(&mut complaint).await;
        }
        String::from_utf8_lossy(&complaint).trim().to_owned()
    };
    let ((), complaint, status) = tokio::join!(feed, listen, child.wait());
    Ok((status?, complaint))
}

fn judge(status: ExitStatus, complaint: String, cpu: u64) -> Result<(), PrepareError> {
    use std::os::unix::process::ExitStatusExt;

    if status.success() {
        return Ok(());
    }
    if status.code() == Some(i32::from(EXIT_INVALID)) {
        return Err(PrepareError::Invalid(complaint));
    }
    match status.signal() {
        Some(libc::SIGXCPU) => Err(PrepareError::TooSlow(cpu)),
        _ if complaint.is_empty() => Err(PrepareError::WorkerDied(status.to_string())),
        _ => Err(PrepareError::WorkerDied(format!("{status}: {complaint}"))),
    }
}

fn cpu_seconds(bytes: usize) -> u64 {
    debug_assert!(bytes <= MAX_WASM_BYTES);
    (BASE_CPU + CPU_PER_MIB * (bytes as u64 >> 20)).min(MAX_CPU)
}
