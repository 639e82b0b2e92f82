//! Booting a node: the same path for its first start, a wake and a restart.
//!
//! Order: process map and rights, modules, processes. Nothing of a failed
//! boot is left running.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lifecycle::{TaskKind, Tasks, queue};
use node_api::{LaunchError, NodeSpec, NodeStatus};
use node_engine::TenantBudget;
use node_kernel::{ProcessEntry, ProcessTable, boot_requests, exit_message};
use node_services::http_server::{self, HttpServer};
use node_services::net::{Net, Network};
use node_services::state::{State, StateStore};
use node_services::terminal::Terminal;
use node_services::timer::Timer;
use node_services::vfs::{Caller, Options as VfsOptions, Vfs};
use node_services::{DiskQuota, KernelPort, NodeEvent, Service, module};
use node_types::{Capability, ProcessId, alias};
use tokio::sync::{broadcast, watch};

use crate::activity::Activity;
use crate::commands::userspace;
use crate::distro::{DistroPackage, ManifestCapability, ManifestEntry};
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

/// Runtime modules, and whether any process may message them.
const MODULES: [(&str, bool); 7] = [
    ("kernel", false),
    ("state", false),
    ("timer", true),
    ("vfs", false),
    ("http-server", false),
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

    let quota = DiskQuota::new(spec.limits.disk_bytes);
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
    let vfs = open_files(host, &spec, &port, &quota, tasks).await?;
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
    kernel.know_modules(&vfs, &http);

    attach(&kernel, vfs, FINISHES);
    attach(&kernel, http.clone(), FINISHES);
    attach(&kernel, terminal.clone(), FINISHES);
    attach(&kernel, Timer::new(port.clone()), DROPPED);
    attach(
        &kernel,
        Net::new(port.clone(), network, tasks.clone()),
        DROPPED,
    );
    attach(&kernel, State::new(port, kernel.states.clone()), DROPPED);
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
        activity: Activity::new(),
        status: watch::Sender::new(NodeStatus::Booting),
        bed,
        rest: OnceLock::new(),
    }))
}

/// Opens the node's files off the async threads, and has them counted.
async fn open_files(
    host: &Launcher,
    spec: &NodeSpec,
    port: &Arc<dyn KernelPort>,
    quota: &Arc<DiskQuota>,
    tasks: &Tasks,
) -> Result<Arc<Vfs>, LaunchError> {
    let options = VfsOptions {
        root: spec.vfs_root.clone(),
        overlays: host.overlays.clone(),
        quota: quota.clone(),
        max_blob_bytes: spec.limits.local_message_bytes,
    };
    let (port, own_tasks) = (port.clone(), tasks.clone());
    let opened = tasks
        .blocking(move || Vfs::new(options, port, own_tasks))
        .await;
    let vfs = opened
        .ok_or_else(|| LaunchError::Storage("opening the node's files failed".into()))?
        .map_err(|error| LaunchError::Storage(format!("the node's files: {error}")))?;
    let counted = vfs.clone();
    tasks.spawn(TaskKind::abortable("count files"), async move {
        if let Err(error) = counted.used_bytes().await {
            tracing::warn!("failed to count a node's files: {error}");
        }
    });
    Ok(vfs)
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

/// Enters the processes of the distro packages, as at every boot: what the
/// packages say replaces what was stored, rights are only added.
fn enter_distro(host: &Launcher, table: &mut ProcessTable) {
    for package in &host.distro {
        for entry in &package.manifest {
            let Ok(id) = ProcessId::in_package(&entry.process_name, &package.id) else {
                continue;
            };
            let edition = host
                .components
                .get(&id)
                .and_then(|component| component.edition());
            let process = ProcessEntry::userspace(
                package.handle(entry),
                package.wit_version,
                edition,
                entry.on_exit.clone(),
                entry.public,
            );
            let rights = requested(table, package, entry, &id);
            table.upsert(id, process.with_capabilities(rights));
        }
    }
    // Once all are entered: what they give to each other and to the modules.
    for package in &host.distro {
        for entry in &package.manifest {
            let Ok(id) = ProcessId::in_package(&entry.process_name, &package.id) else {
                continue;
            };
            for grant in &entry.grant_capabilities {
                let (holder, capability) = match grant {
                    ManifestCapability::Messaging(holder) => {
                        (holder, Capability::messaging(table.address(&id)))
                    }
                    ManifestCapability::WithParams { process, params } => (
                        process,
                        Capability::new(table.address(&id), params.to_string()),
                    ),
                };
                if let Ok(holder) = holder.parse() {
                    table.grant(&alias::canonical(holder), [capability]);
                }
            }
        }
    }
}

/// What a distro process gets: all that its manifest asks for.
fn requested(
    table: &ProcessTable,
    package: &DistroPackage,
    entry: &ManifestEntry,
    id: &ProcessId,
) -> Vec<Capability> {
    let our = table.our();
    let mut rights = vec![Capability::messaging(table.address(id))];
    if entry.request_networking {
        rights.push(Capability::network(our));
    }
    for request in &entry.request_capabilities {
        let (issuer, params) = match request {
            ManifestCapability::Messaging(issuer) => (issuer, node_types::MESSAGING.to_owned()),
            ManifestCapability::WithParams { process, params } => (process, params.to_string()),
        };
        if let Ok(issuer) = issuer.parse() {
            rights.push(Capability::new(
                table.address(&alias::canonical(issuer)),
                params,
            ));
        }
    }
    for kind in ["read", "write"] {
        let params = serde_json::json!({"kind": kind, "drive": package.drive()});
        rights.push(Capability::new(
            table.address(&module("vfs")),
            params.to_string(),
        ));
    }
    rights
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
