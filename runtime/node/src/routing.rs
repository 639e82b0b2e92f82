//! Sending: the kernel's verdict, then straight into the receiver's mailbox.
//!
//! Runs in the sender's task. A process that meets a full mailbox is parked
//! (not its thread) for [`PARK`]; a module is never parked, but may wait
//! in a future of its own for room in a share of a mailbox.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lifecycle::queue::NotSent;
use node_kernel::{Verdict, route};
use node_services::{Delivery, Sending, Share};
use node_types::{Address, KernelMessage, SendErrorKind};

use crate::kernel::Kernel;
use crate::mailbox::Mailbox;

/// How long a process waits for room in a mailbox, or on the way to one.
pub(crate) const PARK: Duration = Duration::from_secs(5);

/// What became of a message of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Somebody may answer it.
    Queued,
    /// Nobody ever will.
    Failed(SendErrorKind),
}

/// Where a message goes.
enum Destination {
    Mailbox(Mailbox),
    Kernel,
    Egress,
    Nowhere,
}

impl Kernel {
    fn destination(&self, message: &KernelMessage) -> Destination {
        self.traffic.see(message);
        let verdict = route(&self.table.read(), message);
        match verdict {
            Verdict::Deliver => match self.mailboxes.read().get(&message.target.process) {
                Some(mailbox) => Destination::Mailbox(mailbox.clone()),
                None => {
                    let text = format!("kernel: {} has no mailbox", message.target);
                    self.say_about(&message.source.process, 0, &text);
                    Destination::Nowhere
                }
            },
            Verdict::KernelCommand => Destination::Kernel,
            Verdict::Egress => Destination::Egress,
            Verdict::Refused(refusal) => {
                let source = &message.source.process;
                self.with_counters(source, |counters| counters.refused.count());
                self.say_about(source, refusal.verbosity(), &format!("kernel: {refusal}"));
                Destination::Nowhere
            }
        }
    }

    /// Sends for a process, which waits until the message is in a mailbox or
    /// the kernel command has taken effect.
    pub(crate) async fn send_from_process(self: &Arc<Self>, message: KernelMessage) -> Sent {
        match self.destination(&message) {
            Destination::Mailbox(mailbox) => match mailbox.try_send(message) {
                Ok(()) => Sent::Queued,
                Err(NotSent::Closed(_)) => Sent::Failed(SendErrorKind::Timeout),
                Err(NotSent::Full(message)) => self.park(&mailbox, message).await,
            },
            Destination::Kernel => {
                // Boxed: a command may start processes that send commands.
                Box::pin(self.run_command(message)).await;
                Sent::Queued
            }
            Destination::Egress => self.send_away_from_process(message).await,
            Destination::Nowhere => Sent::Failed(SendErrorKind::Timeout),
        }
    }

    async fn park(&self, mailbox: &Mailbox, message: KernelMessage) -> Sent {
        let expects = message.message.expects_response();
        let witness: Option<(Address, Address)> =
            (!expects).then(|| (message.source.clone(), message.target.clone()));
        match tokio::time::timeout(PARK, mailbox.send(message)).await {
            Ok(true) => Sent::Queued,
            Ok(false) => Sent::Failed(SendErrorKind::Timeout),
            Err(_elapsed) => {
                if let Some((source, target)) = witness {
                    self.count_dropped(&source, &target);
                }
                Sent::Failed(SendErrorKind::Timeout)
            }
        }
    }

    /// Sends for a module, which never waits.
    pub(crate) fn send_from_module(&self, message: KernelMessage) -> Delivery {
        match self.destination(&message) {
            Destination::Mailbox(mailbox) => match mailbox.try_send(message) {
                Ok(()) => Delivery::Queued,
                Err(NotSent::Closed(_)) => Delivery::Refused,
                Err(NotSent::Full(message)) => {
                    self.count_dropped(&message.source, &message.target);
                    Delivery::Refused
                }
            },
            Destination::Kernel => self.command_from_module(message),
            Destination::Egress => self.send_away_from_module(message),
            Destination::Nowhere => Delivery::Refused,
        }
    }

    fn command_from_module(&self, message: KernelMessage) -> Delivery {
        let cost = message.cost();
        match self.module_commands.try_send(message, cost) {
            Ok(()) => Delivery::Queued,
            Err(_) => Delivery::Refused,
        }
    }

    /// Sends for a module that keeps the message until there is room for it in
    /// the module's share of a mailbox.
    pub(crate) fn send_when_room_from_module(
        &self,
        message: KernelMessage,
        share: Share,
    ) -> Sending {
        let mailbox = match self.destination(&message) {
            Destination::Mailbox(mailbox) => mailbox,
            Destination::Kernel => return Sending::Done(self.command_from_module(message)),
            Destination::Egress => return Sending::Done(self.send_away_from_module(message)),
            Destination::Nowhere => return Sending::Done(Delivery::Refused),
        };
        match mailbox.try_send_within(message, share) {
            Ok(()) => Sending::Done(Delivery::Queued),
            Err(NotSent::Closed(_)) => Sending::Done(Delivery::Refused),
            Err(NotSent::Full(message)) => Sending::Waiting(
                async move {
                    if mailbox.send_within(message, share).await {
                        Delivery::Queued
                    } else {
                        Delivery::Refused
                    }
                }
                .boxed(),
            ),
        }
    }
}
