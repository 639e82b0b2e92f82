//! Capabilities as the process of an edition names and sees them.
//!
//! Concerns rights to databases only, and only processes that know a database
//! by its name (see `node_kernel::without_packages`): everything else passes as
//! it is.

use node_kernel::{with_packages, without_packages};
use node_types::{Capability, Message, OnExit, SendError};

use super::host::Host;

impl Host {
    /// `capabilities` as the process sees them.
    pub(super) fn shown(&self, capabilities: Vec<Capability>) -> Vec<Capability> {
        if self.names_databases_alone {
            without_packages(capabilities)
        } else {
            capabilities
        }
    }

    /// What the process means by `capabilities`, among what it holds and what
    /// it has been given.
    pub(super) fn meant(&self, capabilities: Vec<Capability>) -> Vec<Capability> {
        if !self.names_databases_alone {
            return capabilities;
        }
        with_packages(capabilities, || {
            let held = self.kernel.table.read().caps(&self.our.process);
            self.conversation.received().chain(held).collect()
        })
    }

    pub(super) fn shown_in(&self, mut message: Message) -> Message {
        let attached = message.capabilities_mut();
        *attached = self.shown(std::mem::take(attached));
        message
    }

    pub(super) fn shown_failure(&self, mut error: SendError) -> SendError {
        error.message = self.shown_in(error.message);
        error
    }

    pub(super) fn shown_on_exit(&self, on_exit: OnExit) -> OnExit {
        self.in_requests(on_exit, Self::shown)
    }

    pub(super) fn meant_on_exit(&self, on_exit: OnExit) -> OnExit {
        self.in_requests(on_exit, Self::meant)
    }

    fn in_requests(
        &self,
        mut on_exit: OnExit,
        change: impl Fn(&Self, Vec<Capability>) -> Vec<Capability>,
    ) -> OnExit {
        if let OnExit::Requests(requests) = &mut on_exit {
            for (_, request, _) in requests {
                request.capabilities = change(self, std::mem::take(&mut request.capabilities));
            }
        }
        on_exit
    }
}
