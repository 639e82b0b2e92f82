//! Launching, using and stopping nodes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lifecycle::Timestamp;
use node_types::{DiskUse, NodeName, NodeUsage, PeerMessage, UsageReport};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use crate::{
    HttpRequest, HttpResponse, Ingress, LineOutcome, LoginVerifiers, NodeSpec, Origin, Peer,
    Secret, TenantKey, TerminalSession, TerminalSize,
};

/// How far a node is. `Booting → Active → Stopping → Stopped`; a node that
/// fails becomes `Broken` and keeps no task behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeStatus {
    /// Modules are attached, processes are being started.
    Booting,
    /// Every process it had has been started.
    Active,
    /// No new work is accepted.
    Stopping,
    /// Nothing of it is left in memory.
    Stopped,
    /// It failed; the text says why, for its owner.
    Broken(String),
}

/// Why a node is asked to stop; told to open terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The owner asked for it.
    Owner,
    /// Nobody used it.
    Idle,
    /// An operator of the host holds it.
    Suspended,
    /// The host is going down.
    HostShutdown,
    /// The host starts anew, and is back in a moment.
    HostRestart,
}

impl StopReason {
    /// Whether the node sleeps: nobody asked for an end, and what it waits for
    /// is kept until it wakes.
    #[must_use]
    pub fn is_rest(self) -> bool {
        !matches!(self, Self::Owner)
    }
}

/// What a node that stopped leaves to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest {
    /// How long from its stop until the first timer that it had running; only
    /// after a stop that [is a rest](StopReason::is_rest). It is kept in the
    /// store too, for the next start of the host.
    pub wake_in: Option<Duration>,
    /// What it keeps on disk; nothing if it stopped before that was counted.
    /// [`NodeLauncher::kept_disk`] tells it too.
    pub disk: Option<DiskUse>,
}

/// A tenant that is to be woken, as the store tells it when the host starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm {
    /// Whose.
    pub key: TenantKey,
    /// When.
    pub due: AlarmTime,
}

/// When a tenant is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmTime {
    /// At this time by the wall clock: when the first of its timers elapses.
    At(Timestamp),
    /// Soon: it ran when its host died, so nobody knows what it waited for.
    Interrupted,
}

/// Why a node could not be launched.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The tenant's data could not be read or written.
    #[error("storage: {0}")]
    Storage(String),
    /// The distro packages are missing or unreadable: the host's fault.
    #[error("distro packages: {0}")]
    Packages(String),
    /// The host ran out of something.
    #[error("out of {0}")]
    Resources(String),
}

/// Why a running node refused something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// It is stopping or stopped.
    #[error("the node is stopping")]
    Stopping,
    /// A bound was reached; the text names it.
    #[error("{0}")]
    Limit(String),
}

/// A running node. All methods may be called at once from many tasks.
#[async_trait]
pub trait NodeHandle: Send + Sync + std::fmt::Debug {
    /// Its name in the network.
    fn name(&self) -> &NodeName;

    /// How far it is, and changes of that.
    fn status(&self) -> watch::Receiver<NodeStatus>;

    /// What it uses now, and has used since it was booted.
    fn usage(&self) -> NodeUsage;

    /// The same with what it may use, and process by process.
    fn report(&self) -> UsageReport {
        UsageReport {
            node: self.usage(),
            ..UsageReport::default()
        }
    }

    /// For how long no person and no other node has used it; zero while
    /// something that counts as use is open. By the monotonic clock.
    fn idle_for(&self) -> Duration;

    /// Answers one HTTP request. Never fails: trouble is an HTTP status. 101
    /// is answered only to a request that carries an [`Upgrade`](crate::Upgrade).
    async fn http(&self, request: HttpRequest, origin: Origin) -> HttpResponse;

    /// A `Set-Cookie` value that signs a browser in as the owner, for the
    /// node's own host; `secure` where the browser came by TLS.
    fn login_cookie(&self, secure: bool) -> Option<String>;

    /// Puts a new password and cookie key in place. Cookies made before are
    /// worth nothing from then on, and WebSockets opened with one are closed.
    fn renew_login(&self, login: LoginVerifiers, jwt_secret: Secret<[u8; 32]>);

    /// Serves HTTP/1.1 on `io` until the peer closes it or the node stops.
    async fn serve_http(&self, io: Box<dyn ByteStream>, origin: Origin);

    /// Opens a terminal.
    ///
    /// # Errors
    /// [`NodeError`] when stopping or when too many terminals are open.
    async fn open_terminal(&self, size: TerminalSize) -> Result<TerminalSession, NodeError>;

    /// Runs one terminal line to the end of the script that it starts, at most
    /// `limit`. Text goes to `output` as it comes.
    ///
    /// # Errors
    /// [`NodeError`] when stopping.
    async fn run_line(
        &self,
        line: String,
        output: mpsc::Sender<Bytes>,
        limit: Duration,
    ) -> Result<LineOutcome, NodeError>;

    /// Takes a message of another node, for which the caller vouches. Returns
    /// at once.
    fn ingress(&self, from: &Peer, message: PeerMessage) -> Ingress;

    /// The same, and waits some seconds for room if there is none.
    ///
    /// # Cancel-Safety
    /// Safe, but the message is lost.
    async fn ingress_when_room(&self, from: &Peer, message: PeerMessage) -> Ingress {
        self.ingress(from, message)
    }

    /// Stops: refuses new work, tells terminals why, ends processes and
    /// modules, persists. Returns when nothing is left, with what the node
    /// leaves to be done. Repeated calls wait for the first and say the same.
    async fn stop(&self, reason: StopReason) -> Rest;
}

/// A bidirectional stream of bytes, such as an SSH channel.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Boots nodes and removes what they leave.
#[async_trait]
pub trait NodeLauncher: Send + Sync + std::fmt::Debug {
    /// Boots a node from what is stored for `spec.key`; the first boot creates
    /// it. Returns once it is [`NodeStatus::Active`]. At most one node per key
    /// may run; the caller sees to that.
    ///
    /// # Errors
    /// [`LaunchError`]; then nothing of it is left running.
    async fn launch(&self, spec: NodeSpec) -> Result<Arc<dyn NodeHandle>, LaunchError>;

    /// The tenants that are to be woken although nobody uses them, as stops
    /// before this start of the host left them.
    ///
    /// # Errors
    /// [`LaunchError::Storage`].
    async fn alarms(&self) -> Result<Vec<Alarm>, LaunchError> {
        Ok(Vec::new())
    }

    /// Forgets what a node at rest would wake with: its timers and paths. For
    /// one that its owner stops while it sleeps; the node must not be running.
    ///
    /// # Errors
    /// [`LaunchError::Storage`]; may be repeated.
    async fn forget_rest(&self, _key: TenantKey) -> Result<(), LaunchError> {
        Ok(())
    }

    /// What the node had on disk when it last stopped. Reads a record and
    /// touches no node. `None` if it never stopped.
    ///
    /// # Errors
    /// [`LaunchError::Storage`].
    async fn kept_disk(&self, _key: TenantKey) -> Result<Option<DiskUse>, LaunchError> {
        Ok(None)
    }

    /// Removes everything stored for `key`, and the tenant's `directories`. The
    /// node must not be running.
    ///
    /// # Errors
    /// [`LaunchError::Storage`]; may be repeated.
    async fn purge(
        &self,
        key: TenantKey,
        directories: &[std::path::PathBuf],
    ) -> Result<(), LaunchError>;
}
