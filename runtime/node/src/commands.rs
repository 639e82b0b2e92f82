//! Kernel commands, carried out in their sender's task.
//!
//! A command has taken effect, and is saved if it must outlive the host,
//! before its answer is sent and before its sender's next message.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use lifecycle::queue::NotSent;
use node_engine::{Engine, InspectError};
use node_kernel::{
    DebugAnswer, InitializeError, InitializeProcess, KernelCommand, KernelDebug, KernelResponse,
    OnExitTooLarge, ProcessTable, is_no_revoke,
};
use node_services::answer;
use node_types::{Edition, KernelMessage, Message, OnExit, ProcessId};

use crate::kernel::{Kernel, lossy};
use crate::mailbox::Mailbox;
use crate::process::{self, WasmProcess};
use crate::spawns::TooFast;

/// Why a process was not entered; the sentence for the terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotEntered {
    /// There is no component.
    #[error("{0} was not entered: no component came with the request")]
    NoComponent(ProcessId),
    /// It cannot be run.
    #[error("{id} was not entered: {error}")]
    Component {
        /// The process.
        id: ProcessId,
        /// Why.
        error: InspectError,
    },
    /// The process table does not take it.
    #[error(transparent)]
    Table(#[from] InitializeError),
    /// Too many were made at once.
    #[error(transparent)]
    TooFast(#[from] TooFast),
}

impl Kernel {
    /// Carries out `message`, a command that routing has let through.
    pub(crate) async fn run_command(self: &Arc<Self>, message: KernelMessage) {
        let Message::Request(request) = &message.message else {
            return;
        };
        let command = match KernelCommand::parse(&request.body, &self.our) {
            Ok(command) => command,
            Err(error) => {
                self.say_about(
                    &message.source.process,
                    0,
                    &format!("{error}, from {}: {}", message.source, lossy(&request.body)),
                );
                return;
            }
        };
        let response = match command {
            KernelCommand::Booted => None,
            KernelCommand::InitializeProcess(initialize) => {
                let wasm = message
                    .lazy_load_blob
                    .as_ref()
                    .map(|blob| blob.bytes.clone());
                Some(
                    match self
                        .initialize(&message.source.process, initialize, wasm)
                        .await
                    {
                        Ok(()) => KernelResponse::InitializedProcess,
                        Err(reason) => {
                            let source = &message.source.process;
                            self.not_entered(source, &reason);
                            self.say_about(source, 0, &format!("kernel: {reason}"));
                            KernelResponse::InitializeProcessError
                        }
                    },
                )
            }
            KernelCommand::RunProcess(id) => Some(if self.start(&id) {
                KernelResponse::StartedProcess
            } else {
                KernelResponse::RunProcessError
            }),
            KernelCommand::KillProcess(id) => {
                let asked = request.expects_response.is_some();
                self.kill(&message.source.process, &id, !is_no_revoke(request), asked)
                    .await
                    .then_some(KernelResponse::KilledProcess(id))
                    .filter(|_| asked)
            }
            KernelCommand::GrantCapabilities {
                target,
                capabilities,
            } => {
                let changed = self.grant_to(&target, capabilities);
                self.save_if(changed).await;
                None
            }
            KernelCommand::DropCapabilities {
                target,
                capabilities,
            } => {
                let changed = self.table.write().drop_caps(&target, &capabilities);
                self.save_if(changed).await;
                None
            }
            KernelCommand::SetOnExit { target, on_exit } => {
                self.set_on_exit(&target, on_exit).await;
                None
            }
            KernelCommand::Shutdown => {
                self.shutdown.cancel();
                None
            }
            KernelCommand::Debug(question) => {
                Some(KernelResponse::Debug(self.answer_debug(&question)))
            }
        };
        if let Some(response) = response {
            let edition = self
                .table
                .read()
                .get(&message.source.process)
                .and_then(|entry| entry.edition);
            // Whoever has none is answered in the kernel's own words.
            let response = match edition {
                Some(edition) => response.spelled(edition),
                None => response,
            };
            let body = response.to_body();
            let us = self.kernel_address.clone();
            self.deliver_answer(answer(us, &message, body, None, None));
        }
    }

    /// The kernel is heard by everyone; an answer to another node is not sent.
    fn deliver_answer(&self, message: KernelMessage) {
        self.traffic.see(&message);
        let mailbox = self.mailboxes.read().get(&message.target.process).cloned();
        if let Some(mailbox) = mailbox.filter(|_| message.target.node == self.our)
            && let Err(NotSent::Full(message)) = mailbox.try_send(message)
        {
            // The one who asked is the one whose mailbox is full: waiting here
            // would be waiting for ourselves.
            self.count_dropped(&message.source, &message.target);
        }
    }

    /// Enters a process in the name of `source`.
    pub(crate) async fn initialize(
        self: &Arc<Self>,
        source: &ProcessId,
        request: InitializeProcess,
        wasm: Option<Bytes>,
    ) -> Result<(), NotEntered> {
        let id = request.id.clone();
        self.spawns.turn().await?;
        let Some(wasm) = wasm else {
            return Err(NotEntered::NoComponent(id));
        };
        let inspection = Engine::inspect(&wasm).map_err(|error| NotEntered::Component {
            id: id.clone(),
            error,
        })?;
        let meant = Edition::of_wit_version(request.wit_version);
        let edition = inspection.edition.unwrap_or(meant);
        if edition.wit_version() != meant.wit_version() {
            tracing::debug!(process = %id, ?edition, ?meant, "a package names another edition than its component has");
        }
        let limit = usize::try_from(self.limits.processes).unwrap_or(usize::MAX);
        let initialized = self
            .table
            .write()
            .initialize(source, request, Some(edition), limit)?;
        let (process, mailbox) = WasmProcess::new(self, id.clone(), wasm);
        self.enter(&id, process.clone(), mailbox);
        process::prepare(self, &process);
        for capability in &initialized.skipped {
            self.say_about(
                source,
                0,
                &format!(
                    "kernel: {source} does not hold the capability {} of {}, so {id} does not get it",
                    capability.params, capability.issuer
                ),
            );
        }
        self.save_if(initialized.persist).await;
        Ok(())
    }

    /// Counts for `process` that it could not make another.
    pub(crate) fn not_entered(&self, process: &ProcessId, reason: &NotEntered) {
        if matches!(
            reason,
            NotEntered::TooFast(_) | NotEntered::Table(InitializeError::TooManyProcesses { .. })
        ) {
            self.with_counters(process, |counters| counters.denied.count());
        }
    }

    /// Answers a question about processes. Usage is looked up without the
    /// table's lock, which it takes itself.
    fn answer_debug(&self, question: &KernelDebug) -> DebugAnswer {
        match question {
            KernelDebug::Usage => DebugAnswer::Usage(Box::new(self.usage_report())),
            _ => self.table.read().debug(question),
        }
    }

    /// Gives a process its mailbox.
    pub(crate) fn enter(&self, id: &ProcessId, process: Arc<WasmProcess>, mailbox: Mailbox) {
        self.mailboxes.write().insert(id.clone(), mailbox);
        self.processes.write().insert(id.clone(), process);
    }

    /// Starts a process that has been entered; false if there is none.
    pub(crate) fn start(self: &Arc<Self>, id: &ProcessId) -> bool {
        let process = self.processes.read().get(id).cloned();
        match process {
            Some(process) => {
                if !process.running.load(Ordering::Relaxed) {
                    self.say(2, &format!("kernel: process {id} starts"));
                }
                process::run(self, &process);
                true
            }
            None => false,
        }
    }

    /// Ends a process at once; whether it existed.
    async fn kill(&self, by: &ProcessId, id: &ProcessId, revoke: bool, asked: bool) -> bool {
        let removed = self.remove(id, revoke);
        match removed {
            Some(persist) => {
                let verbosity = if asked { 0 } else { 2 };
                self.say_about(by, verbosity, &format!("kernel: killing process {id}"));
                self.save_if(persist).await;
                true
            }
            None => {
                self.say_about(by, 2, &format!("kernel: no process {id} to kill"));
                false
            }
        }
    }

    /// Removes a process: from the table, its mailbox, its paths; its task
    /// ends. `Some(whether the map must be saved)` if it existed.
    pub(crate) fn remove(&self, id: &ProcessId, revoke: bool) -> Option<bool> {
        let killed = self.table.write().kill(id, revoke)?;
        self.mailboxes.write().remove(id);
        self.sleep.forget(id);
        if let Some(process) = self.processes.write().remove(id) {
            self.keep_usage_of(&process);
            process.killed.cancel();
        }
        if let Some(http) = self.http() {
            http.forget(id);
        }
        if let Some(client) = self.http_client() {
            client.forget(id);
        }
        Some(killed.persist)
    }

    /// Replaces what happens when `id` ends.
    async fn set_on_exit(&self, id: &ProcessId, on_exit: OnExit) {
        let changed = self.table.write().set_on_exit(id, on_exit);
        self.save_on_exit(id, changed).await;
    }

    /// The same in the name of `id` itself.
    pub(crate) async fn set_own_on_exit(&self, id: &ProcessId, on_exit: OnExit) {
        let changed = self.table.write().set_own_on_exit(id, on_exit);
        self.save_on_exit(id, changed).await;
    }

    async fn save_on_exit(&self, id: &ProcessId, changed: Result<bool, OnExitTooLarge>) {
        match changed {
            Ok(changed) => self.save_if(changed).await,
            Err(error) => self.say_about(id, 0, &format!("kernel: {id}: {error}")),
        }
    }

    /// Saves the process map if `changed`. A failure is printed: the change
    /// holds until the node stops.
    pub(crate) async fn save_if(&self, changed: bool) {
        if !changed {
            return;
        }
        if let Err(error) = self.map.save(&self.table).await {
            tracing::error!(node = %self.our, "failed to save the process map: {error}");
            self.say(
                0,
                &format!("kernel: the process map could not be saved: {error}"),
            );
        }
    }
}

impl Kernel {
    /// Breaks the circle of kernel, mailboxes and processes once nothing runs.
    pub(crate) fn forget_everything(&self) {
        self.executor.close();
        self.mailboxes.write().clear();
        self.processes.write().clear();
    }
}

/// Userspace processes of a table, by id.
pub(crate) fn userspace(table: &ProcessTable) -> Vec<ProcessId> {
    table
        .iter()
        .filter(|(_, entry)| !entry.module)
        .map(|(id, _)| id.clone())
        .collect()
}
