//! The host side of one Wasm process: what its imports do.
//!
//! Lives on the process' own task and ends with it. Everything it decides is
//! in its [`Conversation`] and the kernel; this is the place where the two
//! meet.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use lifecycle::TaskKind;
use node_engine::{
    GuestMeter, HostTrap, OutgoingRequest, ProcessHost, Received, SpawnChild, SpawnError, TempDrive,
};
use node_kernel::{
    BlobPolicy, Conversation, Outgoing, check_on_exit, localise_capability, localise_on_exit,
    names_databases_alone,
};
use node_services::state::StateError;
use node_store::StoreError;
use node_types::{
    Address, Blob, Capability, Edition, KernelMessage, Message, MessageId, OnExit, ProcessId,
    Request, Response, SendError,
};
use tokio::sync::oneshot;

use super::WasmProcess;
use super::inbox::{Inbox, Next};
use super::slept::Timers;
use super::temp::{self, Temp};
use crate::counters::Counters;
use crate::kernel::Kernel;
use crate::readiness::Starting;

/// Complaints about one call; the rest would say the same.
const MOST_COMPLAINTS: usize = 4;
/// State of more bytes may wait for the disk.
const LARGE_STATE: usize = 8 << 10;
/// See the module's documentation.
pub(crate) struct Host {
    pub(super) kernel: Arc<Kernel>,
    process: Arc<WasmProcess>,
    pub(super) our: Address,
    pub(super) conversation: Conversation,
    pub(super) inbox: Inbox,
    pub(super) timers: Timers,
    /// See [`super::rights`].
    pub(super) names_databases_alone: bool,
    /// Whether its edition has files through WASI.
    has_files: bool,
    /// Held until the process first waits for a message.
    starting: Option<Starting>,
}

impl Host {
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        process: Arc<WasmProcess>,
        starting: Option<Starting>,
    ) -> Self {
        let our = kernel.address(&process.id);
        let inbox = Inbox::new(process.slot.clone(), kernel.epoch);
        let edition = kernel
            .table
            .read()
            .get(&process.id)
            .and_then(|entry| entry.edition);
        let conversation = Conversation::new(our.clone(), BlobPolicy::of(edition));
        Self {
            names_databases_alone: names_databases_alone(edition),
            has_files: edition != Some(Edition::Hyperware),
            timers: Timers::new(kernel.sleep.take(&process.id)),
            kernel,
            process,
            our,
            conversation,
            inbox,
            starting,
        }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.process.counters
    }

    /// What the kernel has to say about it.
    pub(super) fn say(&self, verbosity: u8, text: &str) {
        self.kernel.say_about(&self.process.id, verbosity, text);
    }

    /// What the process gets to see of a message from its mailbox.
    fn ingest(&mut self, message: KernelMessage) -> Option<(Address, Message)> {
        let bytes = message.cost() as u64;
        let seen = self.conversation.ingest(message);
        let counters = self.counters();
        counters.messages_in.add(1);
        counters.bytes_in.add(bytes);
        self.show_outstanding();
        seen
    }

    pub(super) fn show_outstanding(&self) {
        let counters = self.counters();
        counters.outstanding.set(self.conversation.outstanding());
        let bytes = self.conversation.outstanding_bytes();
        counters.outstanding_bytes.set(bytes);
    }

    /// What the process means by the capabilities that it names.
    fn localised(&self, mut capabilities: Vec<Capability>) -> Vec<Capability> {
        for capability in &mut capabilities {
            localise_capability(capability, &self.our.node);
        }
        self.meant(capabilities)
    }

    fn trap_on<E: std::fmt::Display>(error: E) -> HostTrap {
        HostTrap(error.to_string())
    }

    /// Waits for the answer to `id` and for nothing else.
    async fn answer_to(
        &mut self,
        id: MessageId,
    ) -> Result<Result<(Address, Message), SendError>, HostTrap> {
        loop {
            match self.inbox.next_for(id, &mut self.conversation).await {
                Next::Message(message) => {
                    if let Some((source, seen)) = self.ingest(message) {
                        return Ok(Ok((source, self.shown_in(seen))));
                    }
                }
                Next::Due => return self.failed_or_closed(id).map(Err),
                Next::Closed => return Err(HostTrap("the process is being removed".into())),
            }
        }
    }

    fn failed_or_closed(&mut self, id: MessageId) -> Result<SendError, HostTrap> {
        let now = self.inbox.now();
        let failed = self.conversation.fail_if_due(id, now);
        self.show_outstanding();
        match failed {
            Some((error, _context)) => Ok(self.shown_failure(error)),
            None => Err(HostTrap("the request it waits for was overtaken".into())),
        }
    }
}

impl Host {
    /// Saves the state of the process. What is large is saved by a task of its
    /// own: were it dropped with a process that is killed, its bytes would be
    /// written and not charged.
    async fn keep(&self, state: Bytes) -> Result<(), StateError> {
        let (states, process) = (self.kernel.states.clone(), self.our.process.clone());
        if state.len() <= LARGE_STATE {
            return states.set(&process, state).await;
        }
        let (done, saved) = oneshot::channel();
        let save = async move {
            // Nobody waits any more if the process was killed.
            let _ = done.send(states.set(&process, state).await);
        };
        self.kernel
            .tasks
            .spawn(TaskKind::graceful("save state"), save);
        let stopping = StateError::Store(StoreError::Closed);
        saved.await.unwrap_or(Err(stopping))
    }
}

impl Drop for Host {
    /// With the life end its requests, but for timers if the node only rests.
    fn drop(&mut self) {
        let process = &self.our.process;
        self.kernel.sleep.keep(process, || self.kept_timers());
        self.counters().outstanding.set(0);
        self.counters().outstanding_bytes.set(0);
    }
}

#[async_trait]
impl ProcessHost for Host {
    fn our(&self) -> &Address {
        &self.our
    }

    fn temp_drive(&self) -> Option<TempDrive> {
        let vfs = self.kernel.vfs().filter(|_| self.has_files)?;
        let process = &self.our.process;
        Some(TempDrive {
            path: temp::drive_of(process),
            files: Arc::new(Temp::new(Arc::downgrade(&vfs), process)),
        })
    }

    fn meter(&self) -> Arc<GuestMeter> {
        self.counters().meter.clone()
    }

    async fn print(&mut self, verbosity: u8, text: String) -> Result<(), HostTrap> {
        self.kernel.print_of(&self.process, verbosity, &text);
        Ok(())
    }

    async fn set_on_exit(&mut self, mut on_exit: OnExit) -> Result<(), HostTrap> {
        localise_on_exit(&mut on_exit, &self.our.node);
        let on_exit = self.meant_on_exit(on_exit);
        check_on_exit(&on_exit).map_err(Self::trap_on)?;
        self.kernel
            .set_own_on_exit(&self.our.process, on_exit)
            .await;
        Ok(())
    }

    fn on_exit(&self) -> OnExit {
        let table = self.kernel.table.read();
        let entry = table.get(&self.our.process);
        let on_exit = entry.map(|entry| entry.on_exit_now().clone());
        drop(table);
        self.shown_on_exit(on_exit.unwrap_or_default())
    }

    async fn get_state(&mut self) -> Option<Bytes> {
        match self.kernel.states.get(&self.our.process).await {
            Ok(state) => state,
            Err(error) => {
                self.say(0, &format!("state of {}: {error}", self.our.process));
                None
            }
        }
    }

    async fn set_state(&mut self, state: Bytes) -> Result<(), HostTrap> {
        let saved = self.keep(state).await;
        if let Err(StateError::TooLarge(_) | StateError::Quota(_)) = &saved {
            self.counters().denied.count();
        }
        saved.map_err(Self::trap_on)
    }

    async fn clear_state(&mut self) -> Result<(), HostTrap> {
        self.kernel
            .states
            .delete(&self.our.process)
            .await
            .map_err(Self::trap_on)
    }

    async fn spawn(
        &mut self,
        mut child: SpawnChild,
    ) -> Result<Result<ProcessId, SpawnError>, HostTrap> {
        child.request_capabilities = self.localised(child.request_capabilities);
        Ok(self.kernel.spawn_child(&self.our.process, child).await)
    }

    async fn save_capabilities(&mut self, capabilities: Vec<Capability>) -> Result<(), HostTrap> {
        // With the signatures they came with, which processes do not see.
        let mut given = Vec::with_capacity(capabilities.len());
        let mut made_up = Vec::new();
        for capability in self.localised(capabilities) {
            match self.conversation.as_received(capability.clone()) {
                Some(capability) => given.push(capability),
                None => made_up.push(capability),
            }
        }
        {
            let table = self.kernel.table.read();
            made_up.retain(|capability| !table.holds(&self.our.process, capability));
        }
        let changed = self.kernel.grant_to(&self.our.process, given);
        for capability in made_up.iter().take(MOST_COMPLAINTS) {
            let (our, issuer) = (&self.our.process, &capability.issuer);
            let text =
                format!("kernel: {our} has no capability of {issuer} to save: nobody gave it one");
            self.say(0, &text);
        }
        self.kernel.save_if(changed).await;
        Ok(())
    }

    async fn drop_capabilities(&mut self, capabilities: Vec<Capability>) -> Result<(), HostTrap> {
        let capabilities = self.localised(capabilities);
        let changed = {
            let mut table = self.kernel.table.write();
            let held = table.filter_attached(&self.our.process, capabilities.clone());
            self.conversation.gave_up(&held);
            table.drop_caps(&self.our.process, &capabilities)
        };
        self.kernel.save_if(changed).await;
        Ok(())
    }

    fn our_capabilities(&self) -> Vec<Capability> {
        let held = self.kernel.table.read().caps(&self.our.process);
        self.shown(held)
    }

    async fn receive(&mut self) -> Result<Received, HostTrap> {
        self.starting = None;
        if self.timers.is_waking() {
            self.set_slept_timers().await;
        }
        loop {
            match self.inbox.next(&mut self.conversation).await {
                Next::Message(message) => {
                    if let Some((source, seen)) = self.ingest(message) {
                        return Ok(Ok((source, self.shown_in(seen))));
                    }
                }
                Next::Due => {
                    let now = self.inbox.now();
                    let failed = self.conversation.fail_due(now);
                    self.show_outstanding();
                    if let Some((error, context)) = failed {
                        return Ok(Err((self.shown_failure(error), context)));
                    }
                }
                Next::Closed => return Err(HostTrap("the process is being removed".into())),
            }
        }
    }

    fn has_blob(&self) -> bool {
        self.conversation.has_blob()
    }

    fn get_blob(&self) -> Option<Blob> {
        self.conversation.get_blob()
    }

    fn last_blob(&self) -> Option<Blob> {
        self.conversation.last_blob()
    }

    async fn send_request(&mut self, outgoing: OutgoingRequest) -> Result<(), HostTrap> {
        let OutgoingRequest {
            target,
            request,
            context,
            blob,
        } = outgoing;
        let outgoing = Outgoing {
            target,
            request,
            context,
            blob,
        };
        let prepared = self.prepare(outgoing, false)?;
        self.dispatch(prepared.message).await;
        Ok(())
    }

    async fn send_response(
        &mut self,
        response: Response,
        blob: Option<Blob>,
    ) -> Result<(), HostTrap> {
        match self.conversation.prepare_response(response, blob) {
            Some(message) => self.dispatch(message).await,
            None => self.say(
                0,
                &format!(
                    "{}: sent a response, but there is no request to answer",
                    self.our.process
                ),
            ),
        }
        Ok(())
    }

    async fn send_and_await_response(
        &mut self,
        target: Address,
        request: Request,
        blob: Option<Blob>,
    ) -> Result<Result<(Address, Message), SendError>, HostTrap> {
        if request.expects_response.is_none() {
            return Err(HostTrap(
                "send-and-await-response needs a request that expects a response".into(),
            ));
        }
        let outgoing = Outgoing {
            target,
            request,
            context: None,
            blob,
        };
        let prepared = self.prepare(outgoing, true)?;
        if prepared.message.target == self.our {
            return Err(HostTrap(
                "a process cannot await a response from itself".into(),
            ));
        }
        let id = prepared.message.id;
        self.timers.awaiting = Some(id);
        self.dispatch(prepared.message).await;
        let answered = self.answer_to(id).await;
        self.timers.awaiting = None;
        answered
    }
}
