//! One client's connection, from its socket to its end.
//!
//! Owns the transport and the session. However it ends, the transport is
//! killed last, and with it russh's task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::Tasks;
use russh::Disconnect;
use russh::server::{Config, Handle, RunningSession, run_stream};
use tenant_manager::Manager;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admission::Seat;
use crate::auth::SignIn;
use crate::handler::Adapter;
use crate::session::channels::Inlets;
use crate::session::event::EVENTS;
use crate::session::{Ending, FAREWELL, Session, Settings};
use crate::transport::Transport;

/// How long a client may take to leave after its shell has ended.
const LEAVE: Duration = Duration::from_secs(3);
/// How long a client may take to read why it is disconnected.
const PART: Duration = Duration::from_secs(3);

/// What all connections share.
pub(crate) struct Gateway {
    pub config: Arc<Config>,
    pub manager: Manager,
    pub settings: Settings,
    pub sign_in_attempts: usize,
    pub tasks: Tasks,
}

/// Serves `stream` until either side ends it. `kill` cuts it off at once.
pub(crate) async fn run(
    gateway: Arc<Gateway>,
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    kill: CancellationToken,
) {
    let since = Instant::now();
    let _killed_at_the_end = kill.clone().drop_guard();
    // Key presses are small packets that must not wait for each other.
    let _ = stream.set_nodelay(true);
    let shutdown = gateway.tasks.token();
    let (events, inbox) = mpsc::channel(EVENTS);
    let inlets = Inlets::default();
    let sign_in = SignIn::new(gateway.manager.clone(), peer, gateway.sign_in_attempts);
    let adapter = Adapter::new(sign_in, events, inlets.clone());
    let transport = Transport::new(stream, kill.clone());
    let starting = run_stream(gateway.config.clone(), transport, adapter);
    let started = tokio::select! {
        started = starting => started,
        () = tokio::time::sleep_until(since + gateway.settings.sign_in_deadline) => return,
        () = shutdown.cancelled() => return,
    };
    let mut running = match started {
        Ok(running) => running,
        Err(error) => return tracing::debug!("failed to greet an ssh client: {error}"),
    };
    let handle = running.handle();
    let mut session = Session::new(
        gateway.settings.clone(),
        gateway.manager.clone(),
        peer,
        seat,
        inlets,
        gateway.tasks.child(),
    );
    let ending = tokio::select! {
        ended = &mut running => {
            if let Err(error) = ended {
                tracing::debug!("ssh connection ended: {error}");
            }
            session.close(true).await;
            return;
        }
        ending = session.run(inbox, since, shutdown) => ending,
    };
    session.close(ending == Ending::Gone).await;
    take_leave(&handle, &mut running, ending).await;
    kill.cancel();
}

/// Gives the client the time to leave by itself, and tells it why if it does
/// not know yet.
async fn take_leave(handle: &Handle, running: &mut RunningSession<Adapter>, ending: Ending) {
    let why = match ending {
        Ending::Gone => return,
        // The client has seen the exit status and the end of every channel;
        // a disconnect message would only make it report an error.
        Ending::ShellEnded => {
            let _ = tokio::time::timeout(LEAVE, running).await;
            return;
        }
        Ending::Told(why) => why,
        Ending::Shutdown => FAREWELL.to_owned(),
    };
    let parting = async {
        let _ = handle
            .disconnect(Disconnect::ByApplication, why, "en".to_owned())
            .await;
        let _ = running.await;
    };
    let _ = tokio::time::timeout(PART, parting).await;
}
