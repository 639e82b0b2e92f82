//! What a process sends, on its way from the import to the kernel.
//!
//! Runs on the process' own task, as all of its [`Host`]. Invariant: what is
//! sent has been counted and checked, and a request that expects a response
//! is remembered before it leaves.

use node_engine::HostTrap;
use node_kernel::{Outgoing, Prepared};
use node_types::{Address, KernelMessage, SendErrorKind};

use super::host::Host;
use crate::routing::Sent;

/// What a message may hold beside its largest blob: its body, and what frames
/// them.
const BESIDE: u64 = 1 << 20;

impl Host {
    /// Makes a request ready to be sent; `awaited`: the process waits for the
    /// answer and for nothing else.
    pub(super) fn prepare(
        &mut self,
        outgoing: Outgoing,
        awaited: bool,
    ) -> Result<Prepared, HostTrap> {
        let kernel = &self.kernel;
        let now = self.inbox.now();
        let waking = self.timers.is_waking();
        let context = outgoing.context.clone().filter(|_| waking);
        let prepared = self
            .conversation
            .prepare_request(outgoing, || kernel.fresh_id(), now);
        self.show_outstanding();
        let mut prepared = prepared.map_err(|error| {
            self.counters().denied.count();
            HostTrap(error.to_string())
        })?;
        if waking {
            self.carry_over(&mut prepared, context.as_ref(), awaited);
        }
        Ok(prepared)
    }

    /// Filters what is attached and sends; a failed send becomes an error in
    /// the sender's own mailbox, in its turn.
    pub(super) async fn dispatch(&mut self, mut message: KernelMessage) {
        let attached = message.message.capabilities_mut();
        if !attached.is_empty() {
            let given = self.meant(std::mem::take(attached));
            *attached = self
                .kernel
                .table
                .read()
                .filter_attached(&self.our.process, given);
        }
        let id = message.id;
        let bytes = message.cost() as u64;
        let counters = self.counters();
        counters.messages_out.add(1);
        counters.bytes_out.add(bytes);
        let sent = if bytes
            > self
                .kernel
                .limits
                .local_message_bytes
                .saturating_add(BESIDE)
        {
            self.refuse_large(&message.target, bytes)
        } else {
            self.kernel.send_from_process(message).await
        };
        if let Sent::Failed(kind) = sent {
            self.conversation.bounce(id, kind, self.inbox.now());
        }
    }

    /// A message that is larger than any may be: as refused as any other.
    fn refuse_large(&self, target: &Address, bytes: u64) -> Sent {
        self.counters().refused.count();
        let text = format!(
            "kernel: message limit reached: {} wanted to send {} MiB to {target}; a message may \
             have {} MiB, so keep large data in files",
            self.our.process,
            bytes >> 20,
            self.kernel.limits.local_message_bytes >> 20
        );
        self.say(0, &text);
        Sent::Failed(SendErrorKind::Timeout)
    }
}
