//! Messages that leave the node.
//!
//! Run in the sender's task. A process is parked (not its thread) while there
//! is no room for its message, for [`PARK`] at most; a module never waits. What
//! gets lost on the way is the sender's timeout, unless the transport learns
//! that it will not arrive and says so.

use std::sync::Arc;

use node_api::{Departure, Handover, Receipt};
use node_kernel::depart;
use node_services::Delivery;
use node_types::{KernelMessage, MessageId, PeerMessage, ProcessId, SendErrorKind};

use crate::kernel::Kernel;
use crate::routing::{PARK, Sent};

impl Kernel {
    /// Sends a process' message to another node.
    pub(crate) async fn send_away_from_process(self: &Arc<Self>, message: KernelMessage) -> Sent {
        let expects = message.message.expects_response();
        let receipt = if expects {
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
        let (source, target) = (message.source.clone(), message.target.clone());
        let Some(message) = self.leaving(message) else {
            // Too large: nobody is told, so its own time runs out.
            return Sent::Queued;
        };
        let handover = match self.network.send_when_room(message, receipt) {
            Departure::Done(handover) => handover,
            Departure::Waiting(handing_over) => {
                let Ok(handover) = tokio::time::timeout(PARK, handing_over).await else {
                    if !expects {
                        self.count_dropped(&source, &target);
                    }
                    return Sent::Failed(SendErrorKind::Timeout);
                };
                handover
            }
        };
        match handover {
            Handover::Offline => Sent::Failed(SendErrorKind::Offline),
            Handover::Accepted => Sent::Queued,
        }
    }

    /// Sends a module's message to another node.
    pub(crate) fn send_away_from_module(&self, message: KernelMessage) -> Delivery {
        let leaving = self.leaving(message);
        match leaving.map(|message| self.network.send(message, Receipt::none())) {
            Some(Handover::Accepted) => Delivery::Queued,
            Some(Handover::Offline) | None => Delivery::Refused,
        }
    }

    /// A message as it leaves, if it may.
    fn leaving(&self, message: KernelMessage) -> Option<PeerMessage> {
        let source = message.source.process.clone();
        let sign = |capability: &_| self.network.sign_capability(capability);
        match depart(message, &self.our, sign) {
            Ok(message) => Some(message),
            Err(error) => {
                self.with_counters(&source, |counters| counters.refused.count());
                self.say_about(&source, 0, &format!("kernel: {source}: {error}"));
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
