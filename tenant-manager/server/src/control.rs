//! The host's socket in its data directory, by which commands on this machine
//! ask a host that runs.
//!
//! One question a connection, a line; the answer is text until the end, and
//! begins with `ok` or with `error` and a sentence. Invariant: only who may use
//! the data directory reaches it. Stops with its tasks.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use lifecycle::{TaskKind, Tasks};
use tenant_manager::Manager;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::usage_text;

/// Its name in the data directory.
const NAME: &str = "control";
/// Most connections served at once; more are closed at once.
const MAX_CONNECTIONS: usize = 8;
/// Longest question, bytes.
const MAX_QUESTION: u64 = 256;
/// Longest answer, bytes.
const MAX_ANSWER: u64 = 4 << 20;
/// What somebody else is told.
const NOT_ALLOWED: &str = "run this as the user that the host runs as, or as root";
/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Its path while `directory` is open: those of sockets must be short, which
/// those of data directories need not be.
fn short(directory: &std::fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd()))
}

/// Makes the socket, in place of one that a host left that was killed. The
/// store must be open, so that there is no other host.
///
/// # Errors
/// It cannot be made.
pub fn bind(home: &Path) -> anyhow::Result<UnixListener> {
    let path = home.join(NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).context("remove the old control socket");
        }
        _ => {}
    }
    let directory = std::fs::File::open(home).context("open the data directory")?;
    let listener = UnixListener::bind(short(&directory)).context("make the control socket")?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .context("make the control socket private")?;
    Ok(listener)
}

/// Answers on `listener` until the tasks are cancelled.
pub async fn serve(listener: UnixListener, manager: Manager, tasks: Tasks) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let stopped = tasks.token().clone();
    loop {
        let accepted = tokio::select! {
            () = stopped.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("failed to accept on the control socket: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            continue;
        };
        let manager = manager.clone();
        tasks.spawn(TaskKind::abortable("control connection"), async move {
            let _permit = permit;
            let exchange = tokio::time::timeout(PATIENCE, exchange(stream, &manager));
            if let Ok(Err(error)) = exchange.await {
                tracing::debug!("control connection ended: {error}");
            }
        });
    }
}

async fn exchange(stream: UnixStream, manager: &Manager) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut question = String::new();
    (&mut stream)
        .take(MAX_QUESTION)
        .read_line(&mut question)
        .await?;
    let answer = match answer(&question, manager) {
        Ok(text) => format!("ok\n{text}"),
        Err(sentence) => format!("error {sentence}\n"),
    };
    stream.get_mut().write_all(answer.as_bytes()).await?;
    stream.get_mut().shutdown().await
}

fn answer(question: &str, manager: &Manager) -> Result<String, String> {
    let words: Vec<&str> = question.split_whitespace().collect();
    let (label, history) = match words[..] {
        ["usage", label] => (label, false),
        ["usage", label, "history"] => (label, true),
        _ => return Err("the host does not understand this; is it another version?".to_owned()),
    };
    match manager.usage_for_operator(label) {
        Some(usage) => Ok(usage_text::write(&usage, history)),
        None => Err(format!("no node of this host has the label {label}")),
    }
}

/// Asks the host that runs on `data`.
///
/// # Errors
/// There is none, or it says why not.
pub fn ask(data: &Path, question: &str) -> anyhow::Result<String> {
    let directory = match std::fs::File::open(data) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!(NOT_ALLOWED),
        opened => opened.with_context(|| {
            format!(
                "there is no data directory {}; name the host's with --data-dir",
                data.display()
            )
        })?,
    };
    let mut stream = match BlockingStream::connect(short(&directory)) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!(NOT_ALLOWED),
        Err(error) => bail!(
            "no host runs on {}, start it first: {error}",
            data.display()
        ),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{question}")?;
    let mut answer = String::new();
    stream
        .take(MAX_ANSWER)
        .read_to_string(&mut answer)
        .context("read the host's answer")?;
    match answer.split_once('\n') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some((refusal, _)) => bail!("{}", refusal.trim_start_matches("error ")),
        None => bail!("the host is busy or going down; try again in a moment"),
    }
}
