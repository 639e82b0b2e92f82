//! `http-server:distro:sys`: HTTP in, messages to apps out.
//!
//! Owns the node's bound paths and the requests that wait for an answer.
//! Invariants: where a request came from is its [`Origin`], never a header;
//! the RPC and local-only paths answer [`Origin::Tunnel`] alone; every request
//! gets an answer within its deadline. It stops when its inbox closes or its
//! tasks are cancelled: waiting requests then get a 503.
//!
//! One file per concern: [`routes`] (table), [`pattern`] (what a bound path
//! stands for), [`path`] (spellings), [`actions`] (requests of processes),
//! [`request`] (order of processing), [`statics`] and [`content`] (answers
//! without a process), [`conditions`] (which the client may not need), [`app`]
//! (messages to apps), [`cookies`] (which apps see), [`rpc`], [`login`],
//! [`serve`] (connections), [`site`] (hosts and origins), [`local`] (what is
//! for the owner's machine), [`framing`] (whose pages show ours), [`client`]
//! and [`body`] (who may take how much), [`sockets`] (WebSockets and
//! extensions), [`kept`] (what outlasts a sleep).

mod action_error;
mod actions;
mod app;
mod bind_error;
mod body;
mod client;
mod conditions;
mod content;
mod cookies;
mod framing;
pub(crate) mod fuzzing;
mod kept;
mod local;
mod login;
mod path;
mod pattern;
mod request;
mod respond;
mod routes;
mod rpc;
mod serve;
mod site;
mod sockets;
mod statics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lifecycle::{Clock, Tasks};
use node_api::{LoginVerifiers, Secret};
use node_types::{Address, KernelMessage, Message, NodeName, PackageId, ProcessId};
use parking_lot::RwLock;
use tokio::sync::{Semaphore, watch};

use crate::pending::Pending;
use crate::port::next_message;
use crate::{Delivery, Inbox, KernelPort, Sending, Service, Share, module};
use body::{Budget, Limits};
use client::Standing;
pub use kept::Kept;
use login::Login;
pub use login::SignedOut;
use routes::Routes;
use site::Subdomains;
use sockets::Sockets;

/// How long an answer to the RPC may take; the time of apps.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// How long a request for an unknown path waits for a booting node.
const READY_TIME: Duration = Duration::from_secs(10);
/// Most requests that wait for an app at once; the next gets a 503.
const MAX_PENDING: usize = 1024;
/// Of these, what strangers may have.
const STRANGERS_PENDING: usize = 768;
/// Bodies in memory at once, as a multiple of the largest public one.
const PUBLIC_BODIES: u64 = 8;
/// Of these, what strangers may have.
const STRANGERS_BODIES: u64 = 6;
/// Of these, what one stranger may have.
const ONE_STRANGERS_BODIES: u64 = 2;
/// The same for the tunnel, where one request is body and decoded blob.
const TUNNEL_BODIES: u64 = 2;

/// What the module needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's name.
    pub our: NodeName,
    /// HMAC key of the login cookies.
    pub jwt_secret: Secret<[u8; 32]>,
    /// What proves the owner's password.
    pub login: LoginVerifiers,
    /// Largest request body from the public.
    pub public_message_bytes: u64,
    /// Largest request body through the tunnel.
    pub local_message_bytes: u64,
    /// The logins that were given up.
    pub signed_out: SignedOut,
    /// Whether the public reaches the node by TLS.
    pub tls: bool,
    /// Permits for hashing a password (a memory-hungry hash); one semaphore
    /// for the whole host, see [`HASHING_PERMITS`].
    pub hashing: Arc<Semaphore>,
}

/// Permits that [`Config::hashing`] should have.
pub const HASHING_PERMITS: usize = 2;

/// See the module's documentation.
#[derive(Debug)]
pub struct HttpServer {
    config: Config,
    address: Address,
    port: Arc<dyn KernelPort>,
    tasks: Tasks,
    clock: Arc<dyn Clock>,
    routes: RwLock<Routes>,
    subdomains: Subdomains,
    sockets: Arc<Sockets>,
    pending: Arc<Pending>,
    login: RwLock<Arc<Login>>,
    /// Passwords whose hashes are computed one after the other.
    login_turns: Semaphore,
    /// Content is compressed one after the other.
    packing: Arc<Semaphore>,
    public_bodies: Budget,
    tunnel_bodies: Budget,
    login_bodies: Budget,
    /// Whether every process has started; marked changed at each binding
    /// until then, so that requests for paths to come look again.
    ready: watch::Sender<bool>,
    /// Requests that it was asked to answer.
    requests: AtomicU64,
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoAnswer {
    /// Too many requests wait already.
    Busy,
    /// The kernel did not deliver the request.
    Refused,
    /// The deadline passed.
    TimedOut,
    /// The node stops.
    Stopping,
}

impl HttpServer {
    /// The module of one node, not ready yet.
    #[must_use]
    pub fn new(
        config: Config,
        port: Arc<dyn KernelPort>,
        tasks: Tasks,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let address = Address::new(config.our.clone(), module("http-server"));
        Arc::new(Self {
            login: RwLock::new(Arc::new(Login::new(
                &config.our,
                config.login.clone(),
                &config.jwt_secret,
                config.signed_out.clone(),
            ))),
            public_bodies: Budget::new(Limits {
                all: config.public_message_bytes.saturating_mul(PUBLIC_BODIES),
                strangers: config.public_message_bytes.saturating_mul(STRANGERS_BODIES),
                each: config
                    .public_message_bytes
                    .saturating_mul(ONE_STRANGERS_BODIES),
            }),
            tunnel_bodies: Budget::new(Limits {
                all: config.local_message_bytes.saturating_mul(TUNNEL_BODIES),
                strangers: 0,
                each: 0,
            }),
            login_bodies: Budget::new(login::BODIES),
            sockets: Sockets::new(config.public_message_bytes, config.local_message_bytes),
            config,
            address,
            port,
            tasks,
            clock,
            routes: RwLock::default(),
            subdomains: Subdomains::default(),
            login_turns: Semaphore::new(1),
            packing: Arc::new(Semaphore::new(1)),
            pending: Pending::new(MAX_PENDING),
            ready: watch::Sender::new(false),
            requests: AtomicU64::new(0),
        })
    }

    /// How many requests came so far, of whatever origin.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Says whether every restored process has started. Until then a request
    /// for an unknown path waits a while before it is told 404.
    pub fn set_ready(&self, ready: bool) {
        self.ready.send_replace(ready);
    }

    /// Forgets every path of `process` and ends its WebSockets; to be called
    /// when it leaves the process map, so that its paths answer 404.
    pub fn forget(&self, process: &ProcessId) {
        self.routes.write().forget(process);
        self.sockets.forget(process);
        self.release_unused(&process.package_id());
    }

    /// Ends the WebSockets of a process whose life ended; the next one, if it
    /// is restarted, finds its paths as they were.
    pub fn process_ended(&self, process: &ProcessId) {
        self.sockets.process_ended(process);
    }

    /// Gives up the subdomain of a package without secure paths.
    fn release_unused(&self, package: &PackageId) {
        let used = self.routes.read().has_secure(package)
            || self.sockets.routes.read().has_secure(package);
        if !used {
            self.subdomains.release(package);
        }
    }

    fn routes_changed(&self) {
        self.ready.send_if_modified(|ready| !*ready);
    }

    /// Sends `request` as soon as its receiver has room for it, and waits for
    /// its answer; both within `time`.
    ///
    /// # Cancel-Safety
    /// Safe: a request that has not been taken yet is never sent.
    async fn ask(
        &self,
        request: KernelMessage,
        standing: Standing,
        time: Duration,
    ) -> Result<KernelMessage, NoAnswer> {
        let (share, most) = match standing {
            Standing::Stranger => (Share::StrangersRequests, STRANGERS_PENDING),
            Standing::Owner => (Share::OwnersRequests, MAX_PENDING),
        };
        let Some(mut ticket) = self.pending.ticket_within(request.id, most) else {
            return Err(NoAnswer::Busy);
        };
        let exchange = async {
            let delivery = match self.port.send_when_room(request, share) {
                Sending::Done(delivery) => delivery,
                Sending::Waiting(delivering) => delivering.await,
            };
            match delivery {
                Delivery::Queued => ticket.answer().await.ok_or(NoAnswer::TimedOut),
                Delivery::Refused => Err(NoAnswer::Refused),
            }
        };
        tokio::select! {
            answer = tokio::time::timeout(time, exchange) => {
                answer.unwrap_or(Err(NoAnswer::TimedOut))
            }
            () = self.tasks.token().cancelled() => Err(NoAnswer::Stopping),
        }
    }
}

#[async_trait]
impl Service for HttpServer {
    fn id(&self) -> &ProcessId {
        &self.address.process
    }

    async fn run(self: Arc<Self>, mut inbox: Inbox) {
        while let Some(message) = next_message(&mut inbox, &self.tasks).await {
            match message.message {
                Message::Response(..) => self.pending.resolve(message),
                Message::Request(_) => self.act(&message),
            }
        }
    }
}

pub(crate) use path::percent_decode;

#[cfg(test)]
mod tests;
