//! The host's socket in its data directory, by which commands on this machine
//! ask a host that runs.
//!
//! One question a connection, a line; the answer is text until the end, and
//! begins with `ok` or with `error` and a sentence. Questions: `usage LABEL
//! [history]`; `api`, where the API is and a token that is good for a minute;
//! `instance`, which program of which process this is; `restart`. Invariant:
//! only who may use the data directory reaches it. Stops with its tasks.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use lifecycle::{Entropy, OsEntropy, TaskKind, Tasks};
use serde::{Deserialize, Serialize};
use tenant_manager::Manager;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::restart::Asker;
use crate::{accept, usage_text};

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
/// How long one exchange may take; seeing that a new program runs takes some
/// of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the API is, for somebody on this machine.
#[derive(Serialize, Deserialize)]
pub struct Api {
    /// The front door.
    pub address: SocketAddr,
    /// The name to ask it by.
    pub host: String,
    /// Of an operator; good for a minute.
    pub token: String,
}

/// Which program of which process answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Another each time that a program starts.
    pub id: String,
    /// The process.
    pub pid: u32,
}

/// What questions are answered from.
pub struct Control {
    manager: Manager,
    address: SocketAddr,
    host: String,
    instance: String,
    restart: Asker,
}

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

impl Control {
    /// Answers for the host whose front door is at `address` and whose
    /// dashboard is called `host`.
    #[must_use]
    pub fn new(manager: Manager, address: SocketAddr, host: String, restart: Asker) -> Self {
        let mut random = [0; 8];
        OsEntropy.fill(&mut random);
        Self {
            manager,
            address,
            host,
            instance: format!("{:016x}", u64::from_le_bytes(random)),
            restart,
        }
    }

    async fn answer(&self, question: &str) -> Result<String, String> {
        let words: Vec<&str> = question.split_whitespace().collect();
        match words[..] {
            ["usage", label] => self.usage(label, false).await,
            ["usage", label, "history"] => self.usage(label, true).await,
            ["api"] => self.api(),
            ["instance"] => Ok(format!("{} {}\n", self.instance, std::process::id())),
            ["restart"] => self.restart.ask().await.map(|()| String::new()),
            _ => Err("the host does not understand this; is it another version?".to_owned()),
        }
    }

    async fn usage(&self, label: &str, history: bool) -> Result<String, String> {
        match self.manager.usage_for_operator(label).await {
            Some(usage) => Ok(usage_text::write(&usage, history)),
            None => Err(format!("no node of this host has the label {label}")),
        }
    }

    fn api(&self) -> Result<String, String> {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let api = Api {
            address,
            host: self.host.clone(),
            token: self.manager.local_operator_token().expose().clone(),
        };
        serde_json::to_string(&api).map_err(|error| format!("the API cannot be told: {error}"))
    }
}

/// Answers on `listener` until the tasks are cancelled.
pub async fn serve(listener: UnixListener, control: Arc<Control>, tasks: Tasks) {
    let stopped = tasks.token().clone();
    let serve = |stream| connection(stream, control.clone(), stopped.clone());
    // An answer is given to its end.
    let kind = TaskKind::graceful("control connection");
    accept::serve(kind, listener, MAX_CONNECTIONS, tasks, serve).await;
}

async fn connection(stream: UnixStream, control: Arc<Control>, stopped: CancellationToken) {
    let exchange = tokio::time::timeout(PATIENCE, exchange(stream, &control, &stopped));
    if let Ok(Err(error)) = exchange.await {
        tracing::debug!("control connection ended: {error}");
    }
}

async fn exchange(
    stream: UnixStream,
    control: &Control,
    stopped: &CancellationToken,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut question = String::new();
    let mut asking = (&mut stream).take(MAX_QUESTION);
    tokio::select! {
        biased;
        asked = asking.read_line(&mut question) => asked?,
        () = stopped.cancelled() => return Ok(()),
    };
    let answer = match control.answer(&question).await {
        Ok(text) => format!("ok\n{text}"),
        Err(sentence) => format!("error {sentence}\n"),
    };
    stream.get_mut().write_all(answer.as_bytes()).await?;
    stream.get_mut().shutdown().await
}

/// Asks which program runs on `data`.
///
/// # Errors
/// None does, or it is of a version that does not tell.
pub fn ask_instance(data: &Path) -> anyhow::Result<Instance> {
    let answer = ask(data, "instance")?;
    let parsed = answer.trim_end().split_once(' ').and_then(|(id, pid)| {
        Some(Instance {
            id: id.to_owned(),
            pid: pid.parse().ok()?,
        })
    });
    parsed.context("the host answers in words of another version; stop it and start it")
}

/// Asks the host that runs on `data` for its API.
///
/// # Errors
/// As [`ask`].
pub fn ask_api(data: &Path) -> anyhow::Result<Api> {
    let answer = ask(data, "api")?;
    serde_json::from_str(&answer)
        .context("the host answers in words of another version; stop it and start it")
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
