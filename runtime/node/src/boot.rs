//! Booting a node: the same path for its first start, a wake and a restart.
//!
//! Order: process map and rights, modules, processes. Nothing of a failed
//! boot is left running.

mod outside;
mod packages;
mod stores;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lifecycle::{TaskKind, Tasks, queue};
use node_api::{LaunchError, NodeSpec, NodeStatus};
use node_engine::TenantBudget;
use node_kernel::{ProcessTable, boot_requests, exit_message};
use node_services::fd_manager::FdManager;
use node_services::http_server::{self, HttpServer};
use node_services::net::{Net, Network};
use node_services::state::{State, StateStore};
use node_services::terminal::Terminal;
use node_services::timer::Timer;
use node_services::vfs::Caller;
use node_services::{KernelPort, NodeEvent, Service, module};
use node_types::ProcessId;
use tokio::sync::{broadcast, watch};

use crate::activity::Activity;
use crate::commands::userspace;
use crate::history::StoredHistory;
use crate::kernel::{EVENTS, Kernel, KernelParts};
use crate::launcher::Launcher;
use crate::log::{LogParts, NodeLog};
use crate::mailbox::{MODULE_BOUNDS, Mailbox};
use crate::node::Node;
use crate::overrides::StoredOverrides;
use crate::persist::ProcessMap;
use crate::process::{self, WasmProcess};
use crate::rest::Bed;
use outside::outside;
use packages::enter_distro;
use stores::Stores;

/// Runtime modules, and whether any process may message them.
const MODULES: [(&str, bool); 11] = [
    ("kernel", false),
    ("state", false),
    ("timer", true),
    ("vfs", false),
    ("kv", false),
    ("sqlite", false),
    ("fd-manager", false),
    ("http-server", false),
    ("http-client", false),
    ("net", false),
    ("terminal", false),
];
/// A module that finishes what is under way when the node stops.
const FINISHES: TaskKind = TaskKind::essential("module");
/// A module that may be dropped at any time; a panic still ends the node.
const DROPPED: TaskKind = TaskKind {
    wait_on_cancel: false,
    ..FINISHES
};
/// How long a failed boot may take to be undone.
const UNDO_GRACE: Duration = Duration::from_secs(5);

/// Boots the node that `spec` describes.
pub(crate) async fn boot(host: &Launcher, spec: NodeSpec) -> Result<Arc<Node>, LaunchError> {
    let tasks = host.tasks.child();
    let events = broadcast::Sender::new(EVENTS);
    // Its own tasks: it listens until everything that prints has ended.
    let log = NodeLog::start(
        LogParts {
            dir: spec.log_dir.clone(),
            events: events.subscribe(),
            clock: host.clock.clone(),
            files: host.logs.clone(),
        },
        host.tasks.child(),
    );
    match assemble(host, spec, &tasks, events, &log).await {
        Ok(node) => {
            node.status.send_replace(NodeStatus::Active);
            host.tasks.spawn(
                TaskKind::graceful("node supervisor"),
                node.clone().supervise(),
            );
            Ok(node)
        }
        Err(error) => {
            tasks.shutdown(UNDO_GRACE).await;
            log.close().await;
            Err(error)
        }
    }
}

async fn assemble(
    host: &Launcher,
    spec: NodeSpec,
    tasks: &Tasks,
    events: broadcast::Sender<NodeEvent>,
    log: &NodeLog,
) -> Result<Arc<Node>, LaunchError> {
    let storage = |error: &dyn std::fmt::Display| LaunchError::Storage(error.to_string());
    let keyspace = host.store.keyspace(spec.key.tenant, spec.key.incarnation);
    let map = ProcessMap::new(keyspace.clone());
    let mut table = ProcessTable::new(spec.name.clone());
    table.bootstrap_modules(MODULES.map(|(name, public)| (module(name), public)));
    table.restore(map.load().await.map_err(|error| storage(&error))?);
    let bed = Bed::new(&host.store, spec.key, host.clock.clone());
    let record = bed.record().await.map_err(|error| storage(&error))?;
    enter_distro(host, &mut table);
    table.prune_dangling();

    let quota = stores::quota(&spec.limits, tasks);
    let network = Network::new(
        spec.name.clone(),
        &spec.secrets.networking_key,
        spec.transport.clone(),
    );
    let (module_commands, mut commands) = queue::channel(MODULE_BOUNDS);
    let kernel = Kernel::new(KernelParts {
        our: spec.name.clone(),
        table,
        engine: host.engine.clone(),
        budget: TenantBudget::new(spec.limits.memory_bytes),
        map,
        states: StateStore::new(keyspace.clone(), quota.clone()),
        quota: quota.clone(),
        tasks: tasks.clone(),
        limits: spec.limits,
        module_commands,
        entropy: host.entropy.clone(),
        network: network.clone(),
        events,
    });
    let port: Arc<dyn KernelPort> = kernel.clone();
    let stores = Stores::open(host, &spec, &port, &kernel.states, &quota, tasks).await?;
    stores.count(&kernel.states, quota.clone(), tasks);
    let signed_out = http_server::SignedOut::load(keyspace.clone())
        .await
        .map_err(|error| storage(&error))?;
    let http = HttpServer::new(
        http_server::Config {
            our: spec.name.clone(),
            jwt_secret: spec.secrets.jwt_secret.clone(),
            login: spec.login.clone(),
            public_message_bytes: spec.limits.public_message_bytes,
            local_message_bytes: spec.limits.local_message_bytes,
            signed_out,
            tls: host.tls,
            hashing: host.hashing.clone(),
        },
        port.clone(),
        tasks.clone(),
        host.clock.clone(),
    );
    let overrides = StoredOverrides::load(keyspace.clone()).await;
    let history = StoredHistory::load(keyspace, tasks).await;
    let terminal = Terminal::new(port.clone(), tasks.clone(), history, overrides);
    let activity = Activity::new();
    let (http_client, egress_log) = outside(host, &spec, &port, tasks, &activity);
    kernel.know_modules(&stores.vfs, &http, &http_client);

    attach(&kernel, stores.vfs, FINISHES);
    attach(&kernel, stores.kv, FINISHES);
    attach(&kernel, stores.sqlite, FINISHES);
    attach(&kernel, FdManager::new(port.clone()), DROPPED);
    attach(&kernel, http.clone(), FINISHES);
    attach(&kernel, http_client, FINISHES);
    attach(&kernel, terminal.clone(), FINISHES);
    attach(&kernel, Timer::new(port.clone()), DROPPED);
    attach(
        &kernel,
        Net::new(port.clone(), network, tasks.clone()),
        DROPPED,
    );
    attach(
        &kernel,
        State::new(port, kernel.states.clone(), tasks.clone()),
        FINISHES,
    );
    let processes = kernel.executor.clone();
    tasks.spawn(
        TaskKind::essential("processes"),
        processes.run(tasks.token().clone()),
    );
    let commander = kernel.clone();
    tasks.spawn(TaskKind::essential("kernel commands"), async move {
        while let Some((command, _)) = next_command(&commander, &mut commands).await {
            commander.run_command(command).await;
        }
    });
    let saver = kernel.clone();
    tasks.spawn(TaskKind::essential("process map"), async move {
        while !saver.tasks.token().is_cancelled() {
            tokio::select! {
                () = saver.tasks.token().cancelled() => {}
                () = saver.map.due() => saver.save_if(true).await,
            }
        }
    });

    let slept = record.is_some();
    if let Some(record) = record {
        bed.restore(record, &kernel, &http);
    }
    bed.wakes(slept).await.map_err(|error| storage(&error))?;
    start_processes(host, &kernel).await;
    watch_readiness(&kernel, &http);
    Ok(Arc::new(Node {
        kernel,
        http,
        terminal,
        tasks: tasks.clone(),
        log: log.clone(),
        egress_log,
        activity,
        status: watch::Sender::new(NodeStatus::Booting),
        bed,
        rest: OnceLock::new(),
    }))
}

async fn next_command(
    kernel: &Kernel,
    commands: &mut queue::Receiver<node_types::KernelMessage>,
) -> Option<(node_types::KernelMessage, tokio::time::Instant)> {
    tokio::select! {
        biased;
        () = kernel.tasks.token().cancelled() => None,
        next = commands.recv() => next,
    }
}

/// Gives a module its mailbox and its task. A module that panics ends its
/// node, and nothing else.
fn attach(kernel: &Kernel, service: Arc<dyn Service>, kind: TaskKind) {
    let (sender, inbox) = queue::channel(MODULE_BOUNDS);
    kernel
        .mailboxes
        .write()
        .insert(service.id().clone(), Mailbox::Module(sender));
    kernel.tasks.spawn(kind, service.run(inbox));
}

/// Enters, and then starts, every process of the table.
async fn start_processes(host: &Launcher, kernel: &Arc<Kernel>) {
    let ids = userspace(&kernel.table.read());
    for id in &ids {
        let (process, mailbox) = match host.components.get(id) {
            Some(component) => WasmProcess::ready(kernel, id.clone(), component.clone()),
            None => match read_component(kernel, id).await {
                Ok(wasm) => WasmProcess::new(kernel, id.clone(), wasm),
                Err(reason) => {
                    kernel.say(
                        0,
                        &format!("kernel: {id} is dropped: its component: {reason}"),
                    );
                    kernel.remove(id, true);
                    continue;
                }
            },
        };
        kernel.enter(id, process, mailbox);
    }
    for id in &ids {
        let left_behind = boot_requests(&kernel.table.read(), id);
        for request in left_behind {
            let message = exit_message(&kernel.table.read(), id, request, kernel.fresh_id());
            kernel.send_from_module(message);
        }
    }
    let processes: Vec<_> = kernel.processes.read().values().cloned().collect();
    for process in processes {
        process::run(kernel, &process);
    }
    kernel.readiness.all_started();
}

async fn read_component(kernel: &Kernel, id: &ProcessId) -> Result<bytes::Bytes, String> {
    let handle = kernel
        .table
        .read()
        .get(id)
        .map(|entry| entry.wasm_bytes_handle.clone())
        .unwrap_or_default();
    let Some(vfs) = kernel.vfs() else {
        return Err("there is no vfs".into());
    };
    vfs.read_file(&Caller::Kernel, &handle)
        .await
        .map_err(|error| error.to_string())
}

/// Tells the HTTP module when every process waits for messages.
fn watch_readiness(kernel: &Arc<Kernel>, http: &Arc<HttpServer>) {
    let mut ready = kernel.readiness.subscribe();
    let http = http.clone();
    kernel
        .tasks
        .spawn(TaskKind::abortable("readiness"), async move {
            if ready.wait_for(|ready| *ready).await.is_ok() {
                http.set_ready(true);
            }
        });
}
