//! The host side of one Wasm process: what its imports do.
//!
//! Lives on the process' own task and ends with it. Everything it decides is
//! in its [`Conversation`] and the kernel; this is the place where the two
//! meet.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use node_engine::{HostTrap, OutgoingRequest, ProcessHost, Received, SpawnChild, SpawnError};
use node_kernel::{
    BlobPolicy, Conversation, Outgoing, Prepared, check_on_exit, localise_capability,
    localise_on_exit,
};
use node_services::KernelPort;
use node_types::{
    Address, Blob, Capability, KernelMessage, Message, MessageId, OnExit, ProcessId, Request,
    Response, SendError,
};

use super::inbox::{Inbox, Next, ReceiverSlot};
use crate::kernel::Kernel;
use crate::readiness::Starting;
use crate::routing::Sent;

/// Complaints about one call; the rest would say the same.
const MOST_COMPLAINTS: usize = 4;

/// See the module's documentation.
pub(crate) struct Host {
    kernel: Arc<Kernel>,
    our: Address,
    conversation: Conversation,
    inbox: Inbox,
    /// Held until the process first waits for a message.
    starting: Option<Starting>,
}

impl Host {
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        process: &ProcessId,
        slot: ReceiverSlot,
        starting: Option<Starting>,
    ) -> Self {
        let our = kernel.address(process);
        let inbox = Inbox::new(slot, kernel.epoch);
        let edition = kernel
            .table
            .read()
            .get(process)
            .and_then(|entry| entry.edition);
        let conversation = Conversation::new(our.clone(), BlobPolicy::of(edition));
        Self {
            kernel,
            our,
            conversation,
            inbox,
            starting,
        }
    }

    /// Filters what is attached and sends; a failed send becomes an error in
    /// the sender's own mailbox, in its turn.
    async fn dispatch(&mut self, mut message: KernelMessage) {
        let attached = message.message.capabilities_mut();
        if !attached.is_empty() {
            let given = std::mem::take(attached);
            *attached = self
                .kernel
                .table
                .read()
                .filter_attached(&self.our.process, given);
        }
        let id = message.id;
        if let Sent::Failed(kind) = self.kernel.send_from_process(message).await {
            self.conversation.bounce(id, kind, self.inbox.now());
        }
    }

    fn prepare(&mut self, outgoing: Outgoing) -> Result<Prepared, HostTrap> {
        let kernel = &self.kernel;
        let now = self.inbox.now();
        self.conversation
            .prepare_request(outgoing, || kernel.fresh_id(), now)
            .map_err(|error| HostTrap(error.to_string()))
    }

    fn trap_on<E: std::fmt::Display>(error: E) -> HostTrap {
        HostTrap(error.to_string())
    }

    fn failed_or_closed(&mut self, id: MessageId) -> Result<SendError, HostTrap> {
        let now = self.inbox.now();
        match self.conversation.fail_if_due(id, now) {
            Some((error, _context)) => Ok(error),
            None => Err(HostTrap("the request it waits for was overtaken".into())),
        }
    }
}

#[async_trait]
impl ProcessHost for Host {
    fn our(&self) -> &Address {
        &self.our
    }

    async fn print(&mut self, verbosity: u8, text: String) -> Result<(), HostTrap> {
        self.kernel.print(&self.our.process, verbosity, &text);
        Ok(())
    }

    async fn set_on_exit(&mut self, mut on_exit: OnExit) -> Result<(), HostTrap> {
        check_on_exit(&on_exit).map_err(Self::trap_on)?;
        localise_on_exit(&mut on_exit, &self.our.node);
        self.kernel
            .set_own_on_exit(&self.our.process, on_exit)
            .await;
        Ok(())
    }

    fn on_exit(&self) -> OnExit {
        self.kernel
            .table
            .read()
            .get(&self.our.process)
            .map(|entry| entry.on_exit_now().clone())
            .unwrap_or_default()
    }

    async fn get_state(&mut self) -> Option<Bytes> {
        match self.kernel.states.get(&self.our.process).await {
            Ok(state) => state,
            Err(error) => {
                self.kernel
                    .say(0, &format!("state of {}: {error}", self.our.process));
                None
            }
        }
    }

    async fn set_state(&mut self, state: Bytes) -> Result<(), HostTrap> {
        self.kernel
            .states
            .set(&self.our.process, state)
            .await
            .map_err(Self::trap_on)
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
        child: SpawnChild,
    ) -> Result<Result<ProcessId, SpawnError>, HostTrap> {
        Ok(self.kernel.spawn_child(&self.our.process, child).await)
    }

    async fn save_capabilities(&mut self, capabilities: Vec<Capability>) -> Result<(), HostTrap> {
        // With the signatures they came with, which processes do not see.
        let mut given = Vec::with_capacity(capabilities.len());
        let mut made_up = Vec::new();
        for mut capability in capabilities {
            localise_capability(&mut capability, &self.our.node);
            match self.conversation.as_received(capability.clone()) {
                Some(capability) => given.push(capability),
                None => made_up.push(capability),
            }
        }
        let changed = {
            let mut table = self.kernel.table.write();
            made_up.retain(|capability| !table.holds(&self.our.process, capability));
            table.grant(&self.our.process, given)
        };
        for capability in made_up.iter().take(MOST_COMPLAINTS) {
            let (our, issuer) = (&self.our.process, &capability.issuer);
            let text =
                format!("kernel: {our} has no capability of {issuer} to save: nobody gave it one");
            self.kernel.say(0, &text);
        }
        self.kernel.save_if(changed).await;
        Ok(())
    }

    async fn drop_capabilities(&mut self, capabilities: Vec<Capability>) -> Result<(), HostTrap> {
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
        self.kernel.table.read().caps(&self.our.process)
    }

    async fn receive(&mut self) -> Result<Received, HostTrap> {
        self.starting = None;
        loop {
            match self.inbox.next(&mut self.conversation).await {
                Next::Message(message) => {
                    if let Some(seen) = self.conversation.ingest(message) {
                        return Ok(Ok(seen));
                    }
                }
                Next::Due => {
                    let now = self.inbox.now();
                    if let Some((error, context)) = self.conversation.fail_due(now) {
                        return Ok(Err((error, context)));
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
        let prepared = self.prepare(Outgoing {
            target,
            request,
            context,
            blob,
        })?;
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
            None => self.kernel.say(
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
        let prepared = self.prepare(Outgoing {
            target,
            request,
            context: None,
            blob,
        })?;
        if prepared.message.target == self.our {
            return Err(HostTrap(
                "a process cannot await a response from itself".into(),
            ));
        }
        let id = prepared.message.id;
        self.dispatch(prepared.message).await;
        loop {
            match self.inbox.next_for(id, &mut self.conversation).await {
                Next::Message(message) => {
                    if let Some(seen) = self.conversation.ingest(message) {
                        return Ok(Ok(seen));
                    }
                }
                Next::Due => return self.failed_or_closed(id).map(Err),
                Next::Closed => return Err(HostTrap("the process is being removed".into())),
            }
        }
    }
}
