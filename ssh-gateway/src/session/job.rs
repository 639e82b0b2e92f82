//! What every channel task does alike: get the node, speak to the person,
//! notice the end of either.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use node_api::NodeStatus;
use tenant_manager::{Lease, Manager, TenantAccess};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::channels::Outlet;
use crate::audit;

/// What an open session is told when the host stops.
pub(crate) const FAREWELL: &str =
    "The host is shutting down. Your node keeps everything; connect again in a moment.";
/// How long a word to the person may take; one who does not read is not worth
/// waiting for.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long output may still flow once the node has ended its side.
pub(super) const DRAIN: Duration = Duration::from_secs(3);

/// What is common to the channels of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(super) manager: Manager,
    pub(super) access: Arc<TenantAccess>,
    pub(super) line_limit: Duration,
    /// Cancelled when every channel shall end properly.
    pub(super) stop: CancellationToken,
}

impl Job {
    /// The node, awake; or a sentence saying why not.
    pub(super) async fn lease(&self) -> Result<Lease, String> {
        self.lease_by(&self.access).await
    }

    /// The same for a connection through the tunnel.
    pub(super) async fn lease_for_tunnel(&self) -> Result<Lease, String> {
        self.lease_by(&self.access.by_tunnel()).await
    }

    async fn lease_by(&self, access: &TenantAccess) -> Result<Lease, String> {
        self.manager.acquire(access).await.map_err(|error| {
            // The reason may quote what a tenant's program said.
            audit::printable(&error.to_string(), 500)
        })
    }
}

/// The exit status of `work`; `None` if the client closed the channel first.
/// When the host stops, the person is told and the work is dropped.
pub(super) async fn until_told(
    job: &Job,
    outlet: &Outlet,
    with_terminal: bool,
    work: impl Future<Output = u32>,
) -> Option<u32> {
    let closed = outlet.closed().clone();
    tokio::select! {
        biased;
        () = closed.cancelled() => return None,
        status = work => return Some(status),
        () = job.stop.cancelled() => {}
    }
    say(outlet, with_terminal, FAREWELL).await;
    Some(1)
}

/// Tells the person something outside the output of what runs: on the
/// terminal if there is one, else on standard error.
pub(super) async fn say(outlet: &Outlet, with_terminal: bool, text: &str) {
    let words = async {
        if with_terminal {
            outlet.stdout(format!("\r\n{text}\r\n").into()).await
        } else {
            outlet.stderr(&format!("{text}\n")).await
        }
    };
    let _ = tokio::time::timeout(LAST_WORDS, words).await;
}

/// Waits until the node is no longer there to be used.
pub(super) async fn leaving(mut status: watch::Receiver<NodeStatus>) {
    let over = |status: &NodeStatus| {
        matches!(
            status,
            NodeStatus::Stopping | NodeStatus::Stopped | NodeStatus::Broken(_)
        )
    };
    // An error means that the node is gone altogether.
    let _ = status.wait_for(over).await;
}
