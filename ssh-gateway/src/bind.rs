//! Listening: [`bind`] takes the port and reads the host key, so that trouble
//! with either shows before anything is served; [`Bound::serve`] accepts, until
//! [`Bound::closing`] is cancelled or the gateway's tasks are.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Backoff, OsEntropy, TaskKind, Tasks};
use russh::keys::PrivateKey;
use russh::server::Config;
use russh::{Preferred, SshId, cipher, compression, kex, mac};
use tenant_manager::Manager;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::admission::Admission;
use crate::connection::{self, Gateway};
use crate::handler;
use crate::host_key::{self, HostKeyError};
use crate::session::Settings;
use crate::{Limits, Options};

/// Flow-control window of a channel: what keeps a fast, distant client busy.
/// It is a promise, not a buffer; see `session::channels` for those.
const WINDOW: u32 = 16 << 20;
/// Largest channel packet; the largest that OpenSSH sends.
const PACKET: u32 = 32 * 1024;
/// Packets from channels to the connection that may wait. When full, the
/// channels wait.
const OUTGOING_PACKETS: usize = 32;
/// Refused requests that russh may count (probes included) beyond the tries,
/// which are counted by [`crate::auth`].
const SPARE_ATTEMPTS: usize = 10;
/// How long open sessions may take to end at shutdown: their channels, then
/// the connection. Whoever stops the gateway should give it a little more.
const SHUTDOWN: Duration = Duration::from_secs(7);

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("cannot listen for SSH on {address}: {source}; choose another address with --ssh")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no host key.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
}

/// A gateway that listens but does not accept yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    fingerprint: String,
    key: PrivateKey,
    options: Options,
    manager: Manager,
    tasks: Tasks,
    closing: CancellationToken,
}

/// Takes the port and the host key.
///
/// # Errors
/// [`BindError`], each with a sentence saying what to do.
pub async fn bind(options: Options, manager: Manager, tasks: &Tasks) -> Result<Bound, BindError> {
    let listener = TcpListener::bind(options.bind)
        .await
        .map_err(|source| BindError::Listen {
            address: options.bind,
            source,
        })?;
    adopt(listener, options, manager, tasks).await
}

/// [`bind`] on a socket that is open already: one bound while the process was
/// still allowed to, or handed over by an older one.
///
/// # Errors
/// [`BindError`], each with a sentence saying what to do.
pub async fn adopt(
    listener: TcpListener,
    options: Options,
    manager: Manager,
    tasks: &Tasks,
) -> Result<Bound, BindError> {
    let path = options.host_key_path.clone();
    let key = tasks
        .blocking(move || host_key::load_or_create(&path, &OsEntropy))
        .await
        .unwrap_or_else(|| {
            Err(HostKeyError::Read {
                path: options.host_key_path.clone(),
                source: std::io::Error::other("reading it failed unexpectedly"),
            })
        })?;
    let address = listener.local_addr().map_err(|source| BindError::Listen {
        address: options.bind,
        source,
    })?;
    let tasks = tasks.child();
    Ok(Bound {
        listener,
        address,
        fingerprint: host_key::fingerprint(&key),
        key,
        options,
        manager,
        closing: tasks.token().child_token(),
        tasks,
    })
}

impl Bound {
    /// The address it listens on, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The host key's fingerprint as `ssh` shows it, `SHA256:…`.
    #[must_use]
    pub fn host_key_fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Cancelled, it closes the socket, and sessions go on.
    #[must_use]
    pub fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Accepts and serves connections until the tasks given to [`bind`] are
    /// cancelled; then tells open sessions why, and returns within seconds.
    pub async fn serve(self) {
        let limits = &self.options.limits;
        let admission = Admission::new(limits.clone());
        let gateway = Arc::new(Gateway {
            config: Arc::new(config(self.key.clone(), limits)),
            manager: self.manager.clone(),
            settings: Settings {
                local_http_port: self.options.local_http_port,
                channels: limits.channels,
                line_limit: limits.line_limit,
                sign_in_deadline: limits.sign_in_deadline,
            },
            sign_in_attempts: limits.sign_in_attempts,
            tasks: self.tasks.clone(),
        });
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.closing.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    backoff.reset();
                    admit(&gateway, &admission, stream, peer);
                }
                Err(error) => {
                    // Out of descriptors, most likely: others must give some
                    // back first.
                    tracing::warn!("failed to accept an ssh connection: {error}");
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
        drop(self.listener);
        self.tasks.token().cancelled().await;
        if !self.tasks.shutdown(SHUTDOWN).await {
            tracing::warn!("some ssh sessions had to be cut off");
        }
    }
}

fn admit(gateway: &Arc<Gateway>, admission: &Arc<Admission>, stream: TcpStream, peer: SocketAddr) {
    let kill = CancellationToken::new();
    let Some(seat) = admission.admit(peer.ip(), &kill) else {
        tracing::warn!(%peer, "refused an ssh connection: there are too many");
        return;
    };
    let span = tracing::info_span!("ssh", %peer, node = tracing::field::Empty);
    let connection = connection::run(gateway.clone(), stream, peer, seat, kill);
    gateway.tasks.spawn(
        TaskKind::graceful("ssh-connection"),
        connection.instrument(span),
    );
}

fn config(key: PrivateKey, limits: &Limits) -> Config {
    Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Berth")),
        methods: handler::methods(),
        auth_rejection_time: limits.refusal_delay,
        // Clients first ask which methods there are; that is no attempt.
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        // Channels are read through `session::channels`, not through russh's.
        channel_buffer_size: 1,
        event_buffer_size: OUTGOING_PACKETS,
        preferred: preferred(),
        max_auth_attempts: limits.sign_in_attempts + SPARE_ATTEMPTS,
        // An idle tunnel stays; a dead client is found by keepalives.
        inactivity_timeout: None,
        keepalive_interval: Some(limits.keepalive_interval),
        keepalive_max: limits.keepalives_missed,
        nodelay: true,
        ..Config::default()
    }
}

/// Algorithms: current ones only, strict key exchange, no compression.
fn preferred() -> Preferred {
    const KEX: &[kex::Name] = &[
        kex::MLKEM768X25519_SHA256,
        kex::CURVE25519,
        kex::CURVE25519_PRE_RFC_8731,
        kex::EXTENSION_SUPPORT_AS_SERVER,
        kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
    ];
    const CIPHERS: &[cipher::Name] = &[
        cipher::CHACHA20_POLY1305,
        cipher::AES_128_GCM,
        cipher::AES_256_GCM,
        cipher::AES_256_CTR,
        cipher::AES_128_CTR,
    ];
    const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];
    Preferred {
        kex: Cow::Borrowed(KEX),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(&[compression::NONE]),
        ..Preferred::DEFAULT
    }
}
