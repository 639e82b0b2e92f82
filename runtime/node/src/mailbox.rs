//! Mailboxes of processes and modules, and what is put into them.
//!
//! Bounded in messages and bytes. A full mailbox parks a sending *process* for
//! a while and refuses a *module* at once (`routing`).

use lifecycle::queue::{self, Bounds, NotSent};
use node_types::{KernelMessage, MessageId, SendErrorKind};

const MIB: usize = 1 << 20;

/// Of a Wasm process: what a burst of small messages or a few blobs need.
pub(crate) const PROCESS_BOUNDS: Bounds = Bounds {
    items: 1024,
    cost: 32 * MIB,
};
/// Of a module, which serves every process of the node.
pub(crate) const MODULE_BOUNDS: Bounds = Bounds {
    items: 4096,
    cost: 160 * MIB,
};

/// What a Wasm process finds in its mailbox.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A message from another process.
    Message(KernelMessage),
    /// One of its own sends failed after it had left.
    Failed {
        /// Which.
        id: MessageId,
        /// Why.
        kind: SendErrorKind,
    },
}

/// The sending end of a mailbox.
#[derive(Debug, Clone)]
pub(crate) enum Mailbox {
    /// Of a Wasm process.
    Process(queue::Sender<Incoming>),
    /// Of a module.
    Module(queue::Sender<KernelMessage>),
}

impl Mailbox {
    /// Puts `message` in if there is room.
    pub(crate) fn try_put(&self, message: KernelMessage) -> Result<(), NotSent<KernelMessage>> {
        let cost = message.cost();
        match self {
            Self::Process(sender) => {
                // The item that comes back is the one that was given.
                let back = |item| match item {
                    Incoming::Message(message) => Some(message),
                    Incoming::Failed { .. } => None,
                };
                match sender.try_send(Incoming::Message(message), cost) {
                    Ok(()) => Ok(()),
                    Err(NotSent::Full(item)) => {
                        back(item).map_or(Ok(()), |m| Err(NotSent::Full(m)))
                    }
                    Err(NotSent::Closed(item)) => {
                        back(item).map_or(Ok(()), |m| Err(NotSent::Closed(m)))
                    }
                }
            }
            Self::Module(sender) => sender.try_send(message, cost),
        }
    }

    /// Waits for room; false if nobody will ever receive it.
    pub(crate) async fn put(&self, message: KernelMessage) -> bool {
        let cost = message.cost();
        match self {
            Self::Process(sender) => sender.send(Incoming::Message(message), cost).await.is_ok(),
            Self::Module(sender) => sender.send(message, cost).await.is_ok(),
        }
    }
}
