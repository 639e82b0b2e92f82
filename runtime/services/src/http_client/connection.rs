//! One connection to a server, by HTTP/1 or HTTP/2.
//!
//! Owns the connection with the tasks that move its bytes. Stops the moment
//! its last holder drops it: a server that reads nothing could keep us from
//! saying goodbye for ever. Invariant: once a request on it was given up,
//! nothing else begins on it, since its server may be gone.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use lifecycle::{TaskKind, Tasks};
use node_egress::{Connection, EgressError, Wish};
use node_types::ProcessId;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::outgoing::Outgoing;

/// How long a kept connection may take to get over the last request.
const READY_TIME: Duration = Duration::from_secs(1);
/// Head of a response, and what is read ahead of its body.
const BUFFER: usize = 64 << 10;
/// What a server may send ahead of what is read, on one stream of HTTP/2.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Headers of a response in HTTP/2.
const HEADERS: u32 = 64 << 10;

/// How long a server may be silent while it owes an answer by HTTP/2, before it
/// is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(15);
/// How long it may take to say so.
const PONG_TIME: Duration = Duration::from_secs(10);

/// Which protocols a request may be sent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/2 where TLS settles on it, else HTTP/1.
    Any,
    /// HTTP/1.
    One,
    /// HTTP/2; without TLS the server has to know it by itself.
    Two,
}

/// Where a connection leads, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) process: ProcessId,
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) speaks: Speaks,
}

/// Why there was no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the server does not speak HTTP/2")]
    NotTwo,
    #[error("the connection is not ready")]
    NotReady,
}

impl SendError {
    /// Whether the connection ended before a response began, as one does that
    /// its server had closed already.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Http(error) => {
                error.is_closed() || error.is_canceled() || error.is_incomplete_message()
            }
            Self::Egress(_) | Self::NotTwo | Self::NotReady => false,
        }
    }
}

/// A request that failed.
pub(super) struct Failed {
    pub(super) error: SendError,
    /// Nothing of it was sent.
    pub(super) unsent: bool,
}

/// A connection that a request can be sent on.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) route: Route,
    sender: Sender,
    alive: Arc<Alive>,
    /// A request is under way.
    busy: bool,
}

/// What the holders of a connection have together.
#[derive(Debug)]
struct Alive {
    /// Closes the connection once nobody holds it.
    _released: DropGuard,
    /// Somebody gave a request up.
    doubted: AtomicBool,
    /// Cancelled once the connection is closed.
    closed: CancellationToken,
}

#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Runs the parts of an HTTP/2 connection for as long as somebody uses it.
#[derive(Debug, Clone)]
struct Parts {
    tasks: Tasks,
    released: CancellationToken,
    /// Says that all parts are gone, and the connection with them.
    closed: Arc<DropGuard>,
}

impl Parts {
    async fn begin_one(&self, connection: Connection) -> Result<Sender, SendError> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER);
        let (sender, driver) = builder
            .handshake::<_, Full<Bytes>>(TokioIo::new(connection))
            .await?;
        self.drive(driver);
        Ok(Sender::One(sender))
    }

    async fn begin_two(&self, connection: Connection) -> Result<Sender, SendError> {
        let mut builder = http2::Builder::new(self.clone());
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADERS)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PONG_TIME);
        let (sender, driver) = builder
            .handshake::<_, Full<Bytes>>(TokioIo::new(connection))
            .await?;
        self.drive(driver);
        Ok(Sender::Two(sender))
    }

    /// Moves the bytes of a connection until it ends.
    fn drive(&self, driver: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
        let driven = async move {
            if let Err(error) = driver.await {
                tracing::debug!("a connection to a server ended: {error}");
            }
        };
        self.spawn("http connection", driven);
    }

    /// Runs a part for as long as somebody uses the connection.
    fn spawn(&self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let (released, closed) = (self.released.clone(), self.closed.clone());
        let running = async move {
            // Outlives the part.
            let _closed = closed;
            tokio::select! {
                biased;
                () = released.cancelled() => {}
                () = part => {}
            }
        };
        self.tasks.spawn(TaskKind::abortable(name), running);
    }
}

impl<F> hyper::rt::Executor<F> for Parts
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, part: F) {
        self.spawn("http/2 connection", part);
    }
}

impl Route {
    /// The connection that leads there.
    pub(super) fn wish(&self) -> Wish {
        Wish {
            process: self.process.clone(),
            scheme: if self.tls { "https" } else { "http" },
            host: self.host.clone(),
            port: self.port,
            tls: self.tls,
            alpn: match self.speaks {
                _ if !self.tls => Vec::new(),
                Speaks::Any => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
                Speaks::One => vec![b"http/1.1".to_vec()],
                Speaks::Two => vec![b"h2".to_vec()],
            },
        }
    }
}

impl Open {
    /// Settles by which protocol to go on over a connection to `route`.
    pub(super) async fn begin(
        connection: Connection,
        tasks: &Tasks,
        route: Route,
    ) -> Result<Self, SendError> {
        let is_two = match (route.speaks, route.tls) {
            (Speaks::One, _) | (Speaks::Any, false) => false,
            (Speaks::Two, false) => true,
            (Speaks::Any | Speaks::Two, true) => connection.alpn() == Some(b"h2"),
        };
        if route.speaks == Speaks::Two && !is_two {
            return Err(SendError::NotTwo);
        }
        let closed = CancellationToken::new();
        let parts = Parts {
            tasks: tasks.clone(),
            released: CancellationToken::new(),
            closed: Arc::new(closed.clone().drop_guard()),
        };
        let alive = Arc::new(Alive {
            _released: parts.released.clone().drop_guard(),
            doubted: AtomicBool::new(false),
            closed,
        });
        let sender = if is_two {
            parts.begin_two(connection).await?
        } else {
            parts.begin_one(connection).await?
        };
        Ok(Self {
            route,
            sender,
            alive,
            busy: true,
        })
    }

    /// Whether nothing can be sent on it any more.
    pub(super) fn is_closed(&self) -> bool {
        let closed = match &self.sender {
            Sender::One(sender) => sender.is_closed(),
            Sender::Two(sender) => sender.is_closed(),
        };
        closed || self.alive.doubted.load(Ordering::Relaxed)
    }

    /// Whether somebody else holds it too.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.alive) > 1
    }

    /// The last request is over, and all is well.
    pub(super) fn rest(&mut self) {
        self.busy = false;
    }

    /// The next request begins.
    pub(super) fn wake(&mut self) {
        self.busy = true;
    }

    /// Closes it, and waits until it is, if nobody else holds it.
    ///
    /// # Cancel-Safety
    /// Safe: it is closed at once.
    pub(super) async fn close(self) {
        let closed = self.alive.closed.clone();
        drop(self);
        closed.cancelled().await;
    }

    /// Whether this is the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.alive, &other.alive)
    }

    /// The same connection once more, if several requests may be on it.
    pub(super) fn share(&self) -> Option<Self> {
        let Sender::Two(sender) = &self.sender else {
            return None;
        };
        Some(Self {
            route: self.route.clone(),
            sender: Sender::Two(sender.clone()),
            alive: self.alive.clone(),
            busy: true,
        })
    }

    /// Sends a request.
    ///
    /// # Cancel-Safety
    /// May be dropped: nothing else can be sent by HTTP/1 then.
    pub(super) async fn send(&mut self, outgoing: &Outgoing) -> Result<Response<Incoming>, Failed> {
        let unsent = |error| Failed {
            error,
            unsent: true,
        };
        match &mut self.sender {
            Sender::One(sender) => {
                match timeout(READY_TIME, sender.ready()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(unsent(error.into())),
                    Err(_) => return Err(unsent(SendError::NotReady)),
                }
                let sent = sender.try_send_request(outgoing.one()).await;
                sent.map_err(|failed| Failed {
                    unsent: failed.message().is_some(),
                    error: failed.into_error().into(),
                })
            }
            Sender::Two(sender) => {
                let sent = sender.try_send_request(outgoing.two()).await;
                sent.map_err(|failed| Failed {
                    unsent: failed.message().is_some(),
                    error: failed.into_error().into(),
                })
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.busy {
            self.alive.doubted.store(true, Ordering::Relaxed);
        }
    }
}
