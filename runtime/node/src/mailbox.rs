//! How large mailboxes are, and what is in them.
//!
//! Bounded in messages and bytes. A full mailbox parks a sending *process* for
//! a while and refuses a *module* at once (`routing`). Other nodes get a share
//! only, so that they never keep a process of this node waiting, and so do the
//! senders behind the HTTP module, each less than those who matter more.

#![expect(
    clippy::result_large_err,
    reason = "a message that finds no room is sent again: a box would cost every sender"
)]

use lifecycle::queue::{self, Bounds, NotSent};
use node_services::Share;
use node_types::{KernelMessage, MessageId, SendErrorKind};

const MIB: usize = 1 << 20;

/// Of a Wasm process: what a burst of small messages or a few blobs need.
pub(crate) const PROCESS_BOUNDS: Bounds = Bounds {
    items: 1024,
    cost: 32 * MIB,
};
/// What other nodes may fill of it.
const PROCESS_SHARE: Bounds = Bounds {
    items: 512,
    cost: 16 * MIB,
};
/// What frames of strangers may fill of it. Below what other nodes may, and
/// room for one message of the largest size.
const STRANGERS_FRAMES: Bounds = Bounds {
    items: 256,
    cost: 12 * MIB,
};
/// What requests of strangers may fill of it.
const STRANGERS_REQUESTS: Bounds = Bounds {
    items: 640,
    cost: 20 * MIB,
};
/// What frames of the owner may fill of it.
const OWNERS_FRAMES: Bounds = Bounds {
    items: 832,
    cost: 26 * MIB,
};
/// Of a module, which serves every process of the node.
pub(crate) const MODULE_BOUNDS: Bounds = Bounds {
    items: 4096,
    cost: 160 * MIB,
};
/// What other nodes may fill of it.
const MODULE_SHARE: Bounds = Bounds {
    items: 512,
    cost: 16 * MIB,
};
/// What a notice counts.
const NOTICE: usize = 64;

/// What a process finds in its mailbox.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly always a message, and moved as rarely as one: a box would cost more"
)]
pub(crate) enum Letter {
    /// A message.
    Message(KernelMessage),
    /// A request of its own that nobody will answer.
    Undelivered {
        /// Which.
        id: MessageId,
        /// Why.
        kind: SendErrorKind,
    },
}

/// The sending end of the mailbox of a process or module.
#[derive(Clone)]
pub(crate) enum Mailbox {
    /// Of a Wasm process.
    Process(queue::Sender<Letter>),
    /// Of a module.
    Module(queue::Sender<KernelMessage>),
}

impl Mailbox {
    /// What is in it, and what it can hold.
    pub(crate) fn filled(&self) -> (Bounds, Bounds) {
        match self {
            Self::Process(sender) => (sender.held(), sender.bounds()),
            Self::Module(sender) => (sender.held(), sender.bounds()),
        }
    }

    /// Queues a message of this node if there is room.
    pub(crate) fn try_send(&self, message: KernelMessage) -> Result<(), NotSent<KernelMessage>> {
        let cost = message.cost();
        match self {
            Self::Process(sender) => returned(sender.try_send(Letter::Message(message), cost)),
            Self::Module(sender) => sender.try_send(message, cost),
        }
    }

    /// Waits for room; whether the message was queued, which it is not once
    /// the mailbox is closed.
    ///
    /// # Cancel-Safety
    /// Safe, but the message is lost.
    pub(crate) async fn send(&self, message: KernelMessage) -> bool {
        let cost = message.cost();
        match self {
            Self::Process(sender) => sender.send(Letter::Message(message), cost).await.is_ok(),
            Self::Module(sender) => sender.send(message, cost).await.is_ok(),
        }
    }

    /// Queues a message of a module if there is room in `share`.
    pub(crate) fn try_send_within(
        &self,
        message: KernelMessage,
        share: Share,
    ) -> Result<(), NotSent<KernelMessage>> {
        let (cost, share) = (message.cost(), self.bounds_of(share));
        match self {
            Self::Process(sender) => {
                returned(sender.try_send_within(Letter::Message(message), cost, share))
            }
            Self::Module(sender) => sender.try_send_within(message, cost, share),
        }
    }

    /// Waits for room in `share`; whether the message was queued.
    ///
    /// # Cancel-Safety
    /// Safe, but the message is lost.
    pub(crate) async fn send_within(&self, message: KernelMessage, share: Share) -> bool {
        let (cost, share) = (message.cost(), self.bounds_of(share));
        match self {
            Self::Process(sender) => {
                let letter = Letter::Message(message);
                sender.send_within(letter, cost, share).await.is_ok()
            }
            Self::Module(sender) => sender.send_within(message, cost, share).await.is_ok(),
        }
    }

    fn bounds_of(&self, share: Share) -> Bounds {
        match (self, share) {
            (Self::Process(_), Share::StrangersFrames) => STRANGERS_FRAMES,
            (Self::Process(_), Share::StrangersRequests) => STRANGERS_REQUESTS,
            (Self::Process(_), Share::OwnersFrames) => OWNERS_FRAMES,
            (Self::Process(_), Share::OwnersRequests) => PROCESS_BOUNDS,
            (Self::Module(_), Share::OwnersRequests) => MODULE_BOUNDS,
            (Self::Module(_), _) => MODULE_SHARE,
        }
    }

    /// Queues a message of another node if there is room in their share.
    pub(crate) fn try_send_of_peer(
        &self,
        message: KernelMessage,
    ) -> Result<(), NotSent<KernelMessage>> {
        let cost = message.cost();
        match self {
            Self::Process(sender) => {
                let letter = Letter::Message(message);
                returned(sender.try_send_within(letter, cost, PROCESS_SHARE))
            }
            Self::Module(sender) => sender.try_send_within(message, cost, MODULE_SHARE),
        }
    }

    /// Waits for room in the share of other nodes; gives the message back once
    /// the mailbox is closed.
    ///
    /// # Cancel-Safety
    /// Safe, but the message is lost.
    pub(crate) async fn send_of_peer(&self, message: KernelMessage) -> Option<KernelMessage> {
        let cost = message.cost();
        match self {
            Self::Process(sender) => {
                let letter = Letter::Message(message);
                match sender.send_within(letter, cost, PROCESS_SHARE).await {
                    Err(Letter::Message(message)) => Some(message),
                    Ok(()) | Err(Letter::Undelivered { .. }) => None,
                }
            }
            Self::Module(sender) => sender.send_within(message, cost, MODULE_SHARE).await.err(),
        }
    }

    /// Tells a process that its request `id` will not be answered. Without
    /// room for that it has to wait for its own time.
    pub(crate) fn undelivered(&self, id: MessageId, kind: SendErrorKind) {
        if let Self::Process(sender) = self {
            let _ = sender.try_send(Letter::Undelivered { id, kind }, NOTICE);
        }
    }
}

/// The message that was not sent; of a notice nothing comes back.
fn returned(sent: Result<(), NotSent<Letter>>) -> Result<(), NotSent<KernelMessage>> {
    match sent {
        Err(NotSent::Full(Letter::Message(message))) => Err(NotSent::Full(message)),
        Err(NotSent::Closed(Letter::Message(message))) => Err(NotSent::Closed(message)),
        Ok(())
        | Err(
            NotSent::Full(Letter::Undelivered { .. }) | NotSent::Closed(Letter::Undelivered { .. }),
        ) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use node_types::{Message, Request};

    use super::*;

    fn message(bytes: usize) -> KernelMessage {
        let app: node_types::Address = "me.dev@app:test:me.dev".parse().unwrap();
        KernelMessage {
            id: MessageId(1),
            source: app.clone(),
            target: app,
            rsvp: None,
            message: Message::Request(Request {
                body: vec![0; bytes].into(),
                ..Request::default()
            }),
            lazy_load_blob: None,
        }
    }

    #[tokio::test]
    async fn whoever_matters_more_always_finds_room() {
        for bytes in [0, 1 << 20] {
            let (sender, mut receiver) = queue::channel(PROCESS_BOUNDS);
            let mailbox = Mailbox::Process(sender);
            for share in [
                Share::StrangersFrames,
                Share::StrangersRequests,
                Share::OwnersFrames,
                Share::OwnersRequests,
            ] {
                let mut sent = 0;
                while mailbox.try_send_within(message(bytes), share).is_ok() {
                    sent += 1;
                }
                assert!(sent >= 5, "{share:?}: {sent} of {bytes} bytes");
                if share == Share::StrangersFrames {
                    mailbox.try_send_of_peer(message(bytes)).unwrap();
                }
            }
            assert!(mailbox.try_send(message(bytes)).is_err());
            // The least waits until there is room in its own share.
            let waiting = mailbox.send_within(message(bytes), Share::StrangersFrames);
            tokio::pin!(waiting);
            while futures::poll!(waiting.as_mut()).is_pending() {
                receiver.try_recv().unwrap();
            }
            let Mailbox::Process(sender) = &mailbox else {
                panic!("not a process' mailbox");
            };
            let left = sender.len();
            assert!(left <= STRANGERS_FRAMES.items && left * bytes <= STRANGERS_FRAMES.cost);
        }
    }
}
