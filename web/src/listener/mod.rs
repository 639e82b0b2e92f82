//! Accepts connections and serves HTTP/1, or HTTP/2 in the clear, on them.
//!
//! Owns the listening socket; every connection is a task of the set that
//! [`Bound::serve`] makes. Binding is separate from serving, so that a port in
//! use is known before anything else starts.
//!
//! Stops in two steps. By [`Closing`] the socket is closed, and everybody who
//! asked gets an answer, which is the connection's last; so does who has come
//! before and waits to be accepted. With the token of
//! the tasks given to [`bind`] the socket closes at once if it still is open,
//! idle connections too, and the others finish what they are doing within
//! [`DRAIN_GRACE`].

mod answer;
mod connection;
mod deadlines;
pub(crate) mod fuzzing;
mod guard;
mod head;
mod http1;
mod http2;
mod linger;
mod preface;
mod signals;
mod slots;
mod write_deadline;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, Gate, TaskKind, Tasks};
use tenant_manager::Manager;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::apex;
use crate::app::App;
use crate::options::{Options, OptionsError};
use slots::{Slot, Slots};

/// How long requests in flight may take once the host is asked to stop.
const DRAIN_GRACE: Duration = Duration::from_secs(10);
/// Most connections that are accepted of those that waited when the door closed.
const MOST_WAITING: usize = 4096;
/// Pause after the system refused a connection, for want of descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The settings cannot be used.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The address cannot be listened on.
    #[error("cannot listen for HTTP on {address}: {source}; choose another address with --http")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// An open door that does not serve yet; connections wait in the backlog.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    tasks: Tasks,
    closing: Closing,
}

/// The first step of the way to a closed door. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Closing {
    asked: CancellationToken,
    done: CancellationToken,
}

impl Closing {
    /// Accepts nothing more, and waits until every connection has ended that
    /// carries requests: after the answer to what was asked on it, or when
    /// nothing is. WebSockets stay; event streams are cut whose clients come
    /// back by themselves. Returns whether all ended within `grace`; the
    /// others go on.
    ///
    /// # Cancel-Safety
    /// Safe; the door goes on closing, and the call may be repeated.
    pub async fn finish(&self, grace: Duration) -> bool {
        self.asked.cancel();
        let done = tokio::time::timeout(grace, self.done.cancelled());
        done.await.is_ok()
    }
}

/// Opens the socket.
///
/// # Errors
/// [`BindError`] when the settings or the address cannot be used.
pub async fn bind(
    options: Options,
    manager: Manager,
    tasks: &Tasks,
    clock: Arc<dyn Clock>,
) -> Result<Bound, BindError> {
    let listener = TcpListener::bind(options.http)
        .await
        .map_err(|source| BindError::Listen {
            address: options.http,
            source,
        })?;
    adopt(listener, options, manager, tasks, clock)
}

/// [`bind`] on a socket that is open already: one bound while the process was
/// still allowed to, or handed over by an older one.
///
/// # Errors
/// [`BindError`] when the settings or the socket cannot be used.
pub fn adopt(
    listener: TcpListener,
    options: Options,
    manager: Manager,
    tasks: &Tasks,
    clock: Arc<dyn Clock>,
) -> Result<Bound, BindError> {
    options.validate()?;
    let address = listener.local_addr().map_err(|source| BindError::Listen {
        address: options.http,
        source,
    })?;
    let app = App::new(options, address.port(), manager, clock)?;
    let tasks = tasks.child();
    let closing = Closing {
        asked: tasks.token().child_token(),
        done: CancellationToken::new(),
    };
    Ok(Bound {
        listener,
        address,
        app: Arc::new(app),
        tasks,
        closing,
    })
}

impl Bound {
    /// The address listened on, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where people find the dashboard, without a slash at the end.
    #[must_use]
    pub fn dashboard_url(&self) -> String {
        self.app.urls.dashboard()
    }

    /// By which the door is closed politely.
    #[must_use]
    pub fn closing(&self) -> Closing {
        self.closing.clone()
    }

    /// Serves until the token of the tasks is cancelled, then until every
    /// connection has ended or its grace period has.
    ///
    /// # Cancel-Safety
    /// Dropping it closes the socket; connections go on until the token.
    pub async fn serve(self) {
        let site = Arc::new(answer::Site {
            apex: apex::router(&self.app),
            app: self.app,
        });
        let slots = Slots::default();
        let stop = Arc::new(answer::Stop {
            closing: self.closing.asked.clone(),
            now: self.tasks.token().clone(),
        });
        let requests = Gate::default();
        let serve = |stream, peer, slot| {
            let asking = requests.enter();
            let visitor = answer::Visitor {
                peer,
                site: site.clone(),
                stop: stop.clone(),
            };
            let serving = connection::serve(stream, visitor, slot, self.tasks.clone());
            self.tasks
                .spawn(TaskKind::graceful("http connection"), async move {
                    serving.await;
                    drop(asking);
                });
        };
        loop {
            let (stream, peer, slot) = tokio::select! {
                biased;
                () = stop.closing.cancelled() => break,
                accepted = accept(&self.listener, &slots, &site.app) => accepted,
            };
            serve(stream, peer, slot);
        }
        // Closed with the socket they would be reset.
        tokio::select! {
            biased;
            () = stop.now.cancelled() => {}
            () = accept_waiting(self.listener, &slots, &site.app, serve) => {}
        }
        tokio::select! {
            () = requests.close() => self.closing.done.cancel(),
            () = stop.now.cancelled() => {}
        }
        stop.now.cancelled().await;
        if !self.tasks.shutdown(DRAIN_GRACE).await {
            tracing::warn!("closed HTTP connections that did not end within the grace period");
        }
    }
}

/// The next connection that may be served.
async fn accept(listener: &TcpListener, slots: &Slots, app: &App) -> (TcpStream, SocketAddr, Slot) {
    loop {
        // While the host is full nothing is accepted: the backlog waits.
        let permit = slots.free().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let counted = app.is_counted(peer.ip());
                if let Some(slot) = slots.take(permit, peer.ip(), counted) {
                    return (stream, peer, slot);
                }
                tracing::debug!(%peer, "too many connections from one address");
            }
            Err(error) => {
                tracing::warn!("failed to accept an HTTP connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Accepts who waits already, and closes the socket.
async fn accept_waiting(
    listener: TcpListener,
    slots: &Slots,
    app: &App,
    serve: impl Fn(TcpStream, SocketAddr, Slot),
) {
    // Asked of the system itself: what tokio knows may be older.
    let listener = match listener.into_std() {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!("failed to look who waits to be accepted: {error}");
            return;
        }
    };
    for _ in 0..MOST_WAITING {
        let permit = slots.free().await;
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            // It was there, and has gone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                tracing::warn!("failed to accept an HTTP connection: {error}");
                return;
            }
        };
        let counted = app.is_counted(peer.ip());
        let Some(slot) = slots.take(permit, peer.ip(), counted) else {
            continue;
        };
        let nonblocking = stream.set_nonblocking(true);
        match nonblocking.and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => serve(stream, peer, slot),
            Err(error) => tracing::debug!(%peer, "failed to serve a connection: {error}"),
        }
    }
}
