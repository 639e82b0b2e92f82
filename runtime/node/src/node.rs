//! A running node: what the doors hold on to.
//!
//! Owns the node's tasks, its kernel and its modules. `Booting → Active →
//! Stopping → Stopped`; a module that panics makes it `Broken`, with nothing
//! left running. Stops by [`Node::stop`], which everybody may call and the
//! first call carries out.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lifecycle::Tasks;
use node_api::{
    ByteStream, HttpRequest, HttpResponse, Ingress, LineOutcome, LoginVerifiers, NodeError,
    NodeHandle, NodeStatus, NodeUsage, Origin, Peer, Rest, Secret, StopReason, TerminalSession,
    TerminalSize, Upgrade, UsageReport,
};
use node_services::http_server::HttpServer;
use node_services::terminal::Terminal;
use node_types::{NodeName, PeerMessage};
use tokio::sync::{mpsc, watch};

use crate::activity::{Activity, InUse};
use crate::kernel::Kernel;
use crate::log::{EgressFiles, NodeLog};
use crate::rest::Bed;

/// How long processes and modules may take to see that they shall end. Guests
/// are dropped at their next host call or tick, so this is plenty.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// See the module's documentation.
pub(crate) struct Node {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) http: Arc<HttpServer>,
    pub(crate) terminal: Arc<Terminal>,
    pub(crate) tasks: Tasks,
    pub(crate) log: NodeLog,
    pub(crate) egress_log: Arc<EgressFiles>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) status: watch::Sender<NodeStatus>,
    pub(crate) bed: Bed,
    /// What it left when it stopped.
    pub(crate) rest: OnceLock<Rest>,
}

impl Node {
    fn refuse_when_stopping(&self) -> Result<(), NodeError> {
        match *self.status.borrow() {
            NodeStatus::Booting | NodeStatus::Active => Ok(()),
            NodeStatus::Stopping | NodeStatus::Stopped | NodeStatus::Broken(_) => {
                Err(NodeError::Stopping)
            }
        }
    }

    /// What came of a peer's message; only one that somebody gets is a use.
    fn used_by_peer(&self, outcome: Ingress) -> Ingress {
        if matches!(outcome, Ingress::Taken) {
            self.activity.touch();
        }
        outcome
    }

    /// Ends every task and saves; for a rest also what the node waits for.
    /// Without a reason it failed: what it left before is gone, and it stays
    /// marked as running, so that it is looked at when the host starts anew.
    /// Returns when nothing is left.
    async fn wind_down(&self, reason: Option<StopReason>) {
        let rests = reason.is_some_and(StopReason::is_rest);
        if rests {
            self.kernel.sleep.begin();
        }
        if !self.tasks.shutdown(STOP_GRACE).await {
            tracing::warn!(node = %self.kernel.our, "some tasks had to be dropped at stop");
        }
        self.kernel.save_if(true).await;
        // Nothing writes any more.
        let disk = self.kernel.disk_use();
        self.bed.keep_disk(disk).await;
        let wake_in = if rests {
            self.bed.rests(&self.kernel, &self.http).await
        } else {
            if reason.is_some() {
                self.bed.ends().await;
            }
            None
        };
        // Empty: a node winds down once.
        let _ = self.rest.set(Rest { wake_in, disk });
        self.log.close().await;
        self.egress_log.close().await;
        self.kernel.forget_everything();
    }

    /// Waits for what ends a node from inside: a failed module, or a process
    /// that asks for it.
    pub(crate) async fn supervise(self: Arc<Self>) {
        let asked = tokio::select! {
            () = self.kernel.shutdown.cancelled() => true,
            () = self.tasks.token().cancelled() => false,
        };
        if asked {
            self.stop(StopReason::Owner).await;
            return;
        }
        let failed = self.status.send_if_modified(|status| {
            let running = matches!(status, NodeStatus::Booting | NodeStatus::Active);
            if running {
                *status = NodeStatus::Stopping;
            }
            running
        });
        if failed {
            tracing::error!(node = %self.kernel.our, "a module of the node failed");
            // Told only when nothing is left: whoever hears it may boot anew.
            self.wind_down(None).await;
            let reason = "a part of the node failed".to_owned();
            self.status.send_replace(NodeStatus::Broken(reason));
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.kernel.our)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl NodeHandle for Node {
    fn name(&self) -> &NodeName {
        &self.kernel.our
    }

    fn status(&self) -> watch::Receiver<NodeStatus> {
        self.status.subscribe()
    }

    fn usage(&self) -> NodeUsage {
        self.kernel.usage()
    }

    fn report(&self) -> UsageReport {
        self.kernel.usage_report()
    }

    fn idle_for(&self) -> Duration {
        self.activity.idle_for()
    }

    async fn http(&self, mut request: HttpRequest, origin: Origin) -> HttpResponse {
        let _open = self.activity.begin();
        // A WebSocket counts as use for as long as its connection lasts.
        if let Some(upgrading) = Upgrade::take(request.extensions_mut()) {
            let open = self.activity.begin();
            let kept = async move {
                let io = upgrading.await?;
                Ok(Box::new(InUse { io, _open: open }) as Box<dyn ByteStream>)
            };
            request.extensions_mut().insert(Upgrade::new(kept));
        }
        self.http.handle(request, origin).await
    }

    fn login_cookie(&self, secure: bool) -> Option<String> {
        self.http.login_cookie(secure)
    }

    fn renew_login(&self, login: LoginVerifiers, jwt_secret: Secret<[u8; 32]>) {
        self.http.renew_login(login, &jwt_secret);
    }

    async fn serve_http(&self, io: Box<dyn ByteStream>, origin: Origin) {
        let _open = self.activity.begin();
        self.http
            .serve(io, origin, self.tasks.token().clone())
            .await;
    }

    async fn open_terminal(&self, size: TerminalSize) -> Result<TerminalSession, NodeError> {
        self.refuse_when_stopping()?;
        self.terminal.open(size, self.activity.begin())
    }

    async fn run_line(
        &self,
        line: String,
        output: mpsc::Sender<Bytes>,
        limit: Duration,
    ) -> Result<LineOutcome, NodeError> {
        self.refuse_when_stopping()?;
        let _open = self.activity.begin();
        self.terminal.run_line(line, output, limit).await
    }

    fn ingress(&self, from: &Peer, message: PeerMessage) -> Ingress {
        if self.refuse_when_stopping().is_err() {
            return Ingress::Stopping(message);
        }
        self.used_by_peer(self.kernel.ingress(from, message))
    }

    async fn ingress_when_room(&self, from: &Peer, message: PeerMessage) -> Ingress {
        if self.refuse_when_stopping().is_err() {
            return Ingress::Stopping(message);
        }
        self.used_by_peer(self.kernel.ingress_when_room(from, message).await)
    }

    async fn stop(&self, reason: StopReason) -> Rest {
        let first = self.status.send_if_modified(|status| {
            let running = matches!(status, NodeStatus::Booting | NodeStatus::Active);
            if running {
                *status = NodeStatus::Stopping;
            }
            running
        });
        if !first {
            let mut status = self.status.subscribe();
            // The sender lives in `self`, so waiting cannot fail.
            let _ = status
                .wait_for(|status| matches!(status, NodeStatus::Stopped | NodeStatus::Broken(_)))
                .await;
            return self.rest.get().copied().unwrap_or_default();
        }
        self.http.stops_for(reason);
        self.terminal.close_all(reason).await;
        self.wind_down(Some(reason)).await;
        self.status.send_replace(NodeStatus::Stopped);
        self.rest.get().copied().unwrap_or_default()
    }
}
