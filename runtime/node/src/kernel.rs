//! The kernel of one node: process table, mailboxes, events.
//!
//! Decisions are `node-kernel`'s pure functions; this module owns the shared
//! state they decide over. Invariant: a process of the table that has been
//! initialised has a mailbox, and a mailbox belongs to a process of the table
//! or to a module. There is no central loop: whoever sends does the work
//! (`routing`), and kernel commands take effect in their sender's task
//! (`commands`). Stops with the node's tasks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use lifecycle::{Entropy, Tasks, queue};
use node_api::{NodeLimits, NodeUsage};
use node_engine::{Engine, TenantBudget};
use node_kernel::{MAX_CAPABILITIES, MAX_CAPABILITY_BYTES, ProcessTable};
use node_services::http_client::HttpClient;
use node_services::http_server::HttpServer;
use node_services::net::Network;
use node_services::state::StateStore;
use node_services::vfs::Vfs;
use node_services::{
    Delivery, DiskQuota, KernelPort, NodeEvent, Sending, Share, Traffic, TrafficWatch, module,
};
use node_types::{Address, Capability, Edition, KernelMessage, MessageId, NodeName, ProcessId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;
use crate::ingress::Complaints;
use crate::mailbox::Mailbox;
use crate::persist::ProcessMap;
use crate::process::{Executor, WasmProcess};
use crate::readiness::Readiness;
use crate::sleep::Sleep;
use crate::spawns::Spawns;

/// Events kept for slow terminals; a slower one skips and says so.
pub(crate) const EVENTS: usize = 512;
/// Printed lines longer than this are cut, bytes.
pub(crate) const MAX_PRINT: usize = 64 << 10;

/// See the module's documentation.
pub(crate) struct Kernel {
    /// Itself, for what happens later.
    pub(crate) me: Weak<Self>,
    pub(crate) our: NodeName,
    /// **Lock order**: `table` before `mailboxes` before `processes`; none is
    /// held across an await.
    pub(crate) table: RwLock<ProcessTable>,
    pub(crate) mailboxes: RwLock<HashMap<ProcessId, Mailbox>>,
    pub(crate) processes: RwLock<HashMap<ProcessId, Arc<WasmProcess>>>,
    pub(crate) engine: Engine,
    pub(crate) budget: Arc<TenantBudget>,
    pub(crate) map: ProcessMap,
    pub(crate) states: StateStore,
    pub(crate) quota: Arc<DiskQuota>,
    /// The modules that the kernel itself uses; set once at boot, before any
    /// process runs. Weak, since modules hold on to the kernel.
    vfs: OnceLock<Weak<Vfs>>,
    http: OnceLock<Weak<HttpServer>>,
    http_client: OnceLock<Weak<HttpClient>>,
    /// Cancelled when a process asks the node to shut down.
    pub(crate) shutdown: CancellationToken,
    /// The zero of all moments of this node.
    pub(crate) epoch: Instant,
    pub(crate) tasks: Tasks,
    /// Runs the Wasm processes.
    pub(crate) executor: Arc<Executor>,
    pub(crate) limits: NodeLimits,
    pub(crate) readiness: Readiness,
    /// Timers from before the node slept, and for when it does.
    pub(crate) sleep: Sleep,
    /// Commands that modules send; processes run theirs themselves.
    pub(crate) module_commands: queue::Sender<KernelMessage>,
    pub(crate) kernel_address: Address,
    /// The way to other nodes.
    pub(crate) network: Arc<Network>,
    /// What is printed about messages of other nodes.
    pub(crate) complaints: Complaints,
    /// How fast processes are made.
    pub(crate) spawns: Spawns,
    /// What processes used that are gone.
    pub(crate) gone: Mutex<NodeUsage>,
    events: broadcast::Sender<NodeEvent>,
    /// Shown every message that is routed.
    pub(crate) traffic: Traffic,
    entropy: Arc<dyn Entropy>,
    dropped: AtomicU64,
}

/// What a [`Kernel`] is made of.
pub(crate) struct KernelParts {
    pub(crate) our: NodeName,
    pub(crate) table: ProcessTable,
    pub(crate) engine: Engine,
    pub(crate) budget: Arc<TenantBudget>,
    pub(crate) map: ProcessMap,
    pub(crate) states: StateStore,
    pub(crate) quota: Arc<DiskQuota>,
    pub(crate) tasks: Tasks,
    pub(crate) limits: NodeLimits,
    pub(crate) module_commands: queue::Sender<KernelMessage>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) network: Arc<Network>,
    pub(crate) events: broadcast::Sender<NodeEvent>,
}

impl Kernel {
    pub(crate) fn new(parts: KernelParts) -> Arc<Self> {
        let kernel_address = Address::new(parts.our.clone(), module("kernel"));
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            our: parts.our,
            table: RwLock::new(parts.table),
            mailboxes: RwLock::default(),
            processes: RwLock::default(),
            engine: parts.engine,
            budget: parts.budget,
            map: parts.map,
            states: parts.states,
            quota: parts.quota,
            vfs: OnceLock::new(),
            http: OnceLock::new(),
            http_client: OnceLock::new(),
            shutdown: CancellationToken::new(),
            epoch: Instant::now(),
            tasks: parts.tasks,
            executor: Arc::default(),
            limits: parts.limits,
            readiness: Readiness::default(),
            sleep: Sleep::default(),
            module_commands: parts.module_commands,
            kernel_address,
            network: parts.network,
            complaints: Complaints::default(),
            spawns: Spawns::default(),
            gone: Mutex::default(),
            events: parts.events,
            traffic: Traffic::default(),
            entropy: parts.entropy,
            dropped: AtomicU64::new(0),
        })
    }

    /// Makes the modules known that the kernel itself uses.
    pub(crate) fn know_modules(
        &self,
        vfs: &Arc<Vfs>,
        http: &Arc<HttpServer>,
        http_client: &Arc<HttpClient>,
    ) {
        // All are empty: boot calls this once.
        let _ = self.vfs.set(Arc::downgrade(vfs));
        let _ = self.http.set(Arc::downgrade(http));
        let _ = self.http_client.set(Arc::downgrade(http_client));
    }

    /// The files of the node, unless it is stopping.
    pub(crate) fn vfs(&self) -> Option<Arc<Vfs>> {
        self.vfs.get().and_then(Weak::upgrade)
    }

    /// The HTTP module of the node, unless it is stopping.
    pub(crate) fn http(&self) -> Option<Arc<HttpServer>> {
        self.http.get().and_then(Weak::upgrade)
    }

    /// The module for what processes ask for outside, unless the node is
    /// stopping.
    pub(crate) fn http_client(&self) -> Option<Arc<HttpClient>> {
        self.http_client.get().and_then(Weak::upgrade)
    }

    /// The address of a process of this node.
    pub(crate) fn address(&self, process: &ProcessId) -> Address {
        Address::new(self.our.clone(), process.clone())
    }

    pub(crate) fn emit(&self, event: NodeEvent) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    /// Prints in the name of the kernel.
    pub(crate) fn say(&self, verbosity: u8, text: &str) {
        self.printed(&self.kernel_address.process, None, verbosity, text);
    }

    /// Prints, maybe about something that a process did or that happened to it.
    pub(crate) fn printed(
        &self,
        source: &ProcessId,
        about: Option<ProcessId>,
        verbosity: u8,
        text: &str,
    ) {
        let text = if text.len() > MAX_PRINT {
            let end = text.floor_char_boundary(MAX_PRINT);
            format!("{}…", text.get(..end).unwrap_or_default()).into()
        } else {
            text.into()
        };
        self.emit(NodeEvent::Print {
            source: source.clone(),
            about,
            verbosity,
            text,
        });
    }

    /// Counts a message that nobody will get; the first is printed.
    pub(crate) fn count_dropped(&self, source: &Address, target: &Address) {
        if source.node == self.our {
            self.with_counters(&source.process, |counters| counters.dropped.count());
        }
        if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            self.say(
                0,
                &format!(
                    "kernel: dropped a message from {source} because {target} does not empty its \
                     mailbox; further ones are only counted"
                ),
            );
        }
    }

    /// Messages that nobody got.
    pub(crate) fn dropped_messages(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts something of a process, unless it is a module or gone.
    pub(crate) fn with_counters(&self, process: &ProcessId, count: impl FnOnce(&Counters)) {
        if let Some(process) = self.processes.read().get(process) {
            count(&process.counters);
        }
    }

    /// Gives capabilities to a process, as far as they fit; whether anything
    /// changed. What does not fit is counted and printed.
    pub(crate) fn grant_to(
        &self,
        process: &ProcessId,
        capabilities: impl IntoIterator<Item = Capability>,
    ) -> bool {
        let granted = self.table.write().grant_counted(process, capabilities);
        if granted.full > 0 {
            self.with_counters(process, |counters| counters.denied.count());
            let text = format!(
                "kernel: capability limit reached: {process} did not get {} capabilities; a \
                 process may hold {MAX_CAPABILITIES} of them and {} KiB, so drop some first",
                granted.full,
                MAX_CAPABILITY_BYTES >> 10
            );
            self.say_about(process, 0, &text);
        }
        granted.changed
    }

    pub(crate) fn fresh_id(&self) -> MessageId {
        MessageId(self.entropy.next_u64())
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel")
            .field("our", &self.our)
            .finish_non_exhaustive()
    }
}

impl KernelPort for Kernel {
    fn our(&self) -> &NodeName {
        &self.our
    }

    fn send(&self, message: KernelMessage) -> Delivery {
        self.send_from_module(message)
    }

    fn send_when_room(&self, message: KernelMessage, share: Share) -> Sending {
        self.send_when_room_from_module(message, share)
    }

    fn new_message_id(&self) -> MessageId {
        self.fresh_id()
    }

    fn holds(&self, process: &ProcessId, capability: &Capability) -> bool {
        self.table.read().holds(process, capability)
    }

    fn grant(&self, process: &ProcessId, capability: Capability) {
        if self.grant_to(process, [capability]) {
            self.map.save_soon();
        }
    }

    fn edition(&self, process: &ProcessId) -> Option<Edition> {
        self.table
            .read()
            .get(process)
            .and_then(|entry| entry.edition)
    }

    fn print(&self, source: &ProcessId, verbosity: u8, text: &str) {
        self.printed(source, None, verbosity, text);
    }

    fn events(&self) -> broadcast::Receiver<NodeEvent> {
        self.events.subscribe()
    }

    fn watch_traffic(&self) -> TrafficWatch {
        self.traffic.watch()
    }
}

/// The body of a message as text for prints.
pub(crate) fn lossy(body: &Bytes) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&body[..body.len().min(200)])
}
