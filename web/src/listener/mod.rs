//! Accepts connections and serves HTTP/1 on them.
//!
//! Owns the listening socket; every connection is a task of the set that
//! [`Bound::serve`] makes. Binding is separate from serving, so that a port in
//! use is known before anything else starts. Stops with the token of the tasks
//! given to [`bind`]: the socket closes at once, connections finish what they
//! are doing within [`DRAIN_GRACE`].

mod connection;
mod guard;
mod head;
mod signals;
mod slots;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, TaskKind, Tasks};
use tenant_manager::Manager;
use tokio::net::{TcpListener, TcpStream};

use crate::apex;
use crate::app::App;
use crate::options::{Options, OptionsError};
use slots::{Slot, Slots};

/// How long requests in flight may take once the host is asked to stop.
const DRAIN_GRACE: Duration = Duration::from_secs(10);
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
    Ok(Bound {
        listener,
        address,
        app: Arc::new(app),
        tasks: tasks.child(),
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

    /// Serves until the token of the tasks is cancelled, then until every
    /// connection has ended or its grace period has.
    ///
    /// # Cancel-Safety
    /// Dropping it closes the socket; connections go on until the token.
    pub async fn serve(self) {
        let site = Arc::new(connection::Site {
            apex: apex::router(&self.app),
            app: self.app,
        });
        let slots = Slots::default();
        let token = self.tasks.token().clone();
        loop {
            let (stream, peer, slot) = tokio::select! {
                biased;
                () = token.cancelled() => break,
                accepted = accept(&self.listener, &slots, &site.app) => accepted,
            };
            let serving = connection::serve(stream, peer, site.clone(), token.clone(), slot);
            self.tasks
                .spawn(TaskKind::graceful("http connection"), serving);
        }
        drop(self.listener);
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
