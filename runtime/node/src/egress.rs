//! Messages that leave the node.
//!
//! Run in the sender's task, and never wait: the transport takes a message or
//! says that nobody is there. One that gets lost on the way is the sender's
//! timeout, unless the transport learns that it will not arrive and says so.

use std::sync::Arc;

use node_api::{Handover, Receipt};
use node_kernel::depart;
use node_services::Delivery;
use node_types::{KernelMessage, MessageId, ProcessId, SendErrorKind};

use crate::kernel::Kernel;
use crate::routing::Sent;

impl Kernel {
    /// Sends a process' message to another node.
    pub(crate) fn send_away_from_process(self: &Arc<Self>, message: KernelMessage) -> Sent {
        let receipt = if message.message.expects_response() {
            // Weak: what lies in a queue of the host must not keep a node.
            let kernel = Arc::downgrade(self);
            let (process, id) = (message.source.process.clone(), message.id);
            Receipt::new(move |kind| {
                if let Some(kernel) = kernel.upgrade() {
                    kernel.undelivered(&process, id, kind);
                }
            })
        } else {
            Receipt::none()
        };
        match self.hand_over(message, receipt) {
            Some(Handover::Offline) => Sent::Failed(SendErrorKind::Offline),
            // Too large: nobody is told, so its own time runs out.
            Some(Handover::Accepted) | None => Sent::Queued,
        }
    }

    /// Sends a module's message to another node.
    pub(crate) fn send_away_from_module(&self, message: KernelMessage) -> Delivery {
        match self.hand_over(message, Receipt::none()) {
            Some(Handover::Accepted) => Delivery::Queued,
            Some(Handover::Offline) | None => Delivery::Refused,
        }
    }

    fn hand_over(&self, message: KernelMessage, receipt: Receipt) -> Option<Handover> {
        let source = message.source.process.clone();
        let sign = |capability: &_| self.network.sign_capability(capability);
        match depart(message, &self.our, sign) {
            Ok(message) => Some(self.network.send(message, receipt)),
            Err(error) => {
                self.say(0, &format!("kernel: {source}: {error}"));
                None
            }
        }
    }

    /// A request of `process` will not be answered.
    fn undelivered(&self, process: &ProcessId, id: MessageId, kind: SendErrorKind) {
        let mailbox = self.mailboxes.read().get(process).cloned();
        if let Some(mailbox) = mailbox {
            mailbox.undelivered(id, kind);
        }
    }
}
