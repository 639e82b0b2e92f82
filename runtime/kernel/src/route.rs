//! Whether a message may go where it is sent, and by which way.
//!
//! Requests and responses are judged alike. A process whose process part is
//! `kernel` stands for the node's kernel whatever its package, and is judged
//! by the capability for the real one: otherwise a package could name a
//! process of its own `kernel` and command the kernel through it.

use node_types::{Address, KernelMessage, ProcessId};

use crate::table::ProcessTable;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Into the mailbox of the target, a process or module of this node.
    Deliver,
    /// To the kernel itself, which acts on requests and ignores responses.
    KernelCommand,
    /// To another node.
    Egress,
    /// Nowhere.
    Refused(Refusal),
}

/// Why a message goes nowhere. Printed as the sentence for the terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The sender is not in the process table (any more).
    #[error("message from `{source_process}` dropped: no such process")]
    SourceUnknown {
        /// The sender.
        source_process: ProcessId,
        /// Whether it was for another node; then its loss is silent.
        remote: bool,
    },
    /// There is no such process on this node.
    #[error("`{source_process}` sent a message to `{target}`, which is not running")]
    TargetUnknown {
        /// The sender.
        source_process: ProcessId,
        /// The missing process.
        target: ProcessId,
    },
    /// The sender lacks the right to message the target.
    #[error("`{source_process}` may not message `{target}`: it lacks the messaging capability")]
    NoMessagingCapability {
        /// The sender.
        source_process: ProcessId,
        /// The process that has not granted it.
        target: ProcessId,
    },
    /// The sender lacks the right to use the network.
    #[error("`{source_process}` may not message `{target}`: it lacks the network capability")]
    NoNetworkCapability {
        /// The sender.
        source_process: ProcessId,
        /// The address on the other node.
        target: Address,
    },
    /// A message from another node is for a process that may not use the network.
    #[error("message from `{from}` dropped: `{target}` lacks the network capability")]
    RemoteTargetLacksNetwork {
        /// The sender on the other node.
        from: Address,
        /// The process of this node.
        target: ProcessId,
    },
    /// A message from another node is for nobody here.
    #[error("message from `{from}` dropped: `{target}` is not a running process")]
    RemoteTargetUnknown {
        /// The sender on the other node.
        from: Address,
        /// What it asked for.
        target: Address,
    },
    /// A message from another node is for the kernel.
    #[error("message from `{from}` dropped: the kernel takes no orders from other nodes")]
    RemoteKernelCommand {
        /// The sender on the other node.
        from: Address,
    },
}

impl Refusal {
    /// The verbosity at which the terminal shows it: 0 always, 2 runtime
    /// information, 3 every kernel event.
    #[must_use]
    pub fn verbosity(&self) -> u8 {
        match self {
            Self::NoMessagingCapability { .. }
            | Self::NoNetworkCapability { .. }
            | Self::RemoteTargetLacksNetwork { .. } => 0,
            Self::TargetUnknown { .. }
            | Self::RemoteTargetUnknown { .. }
            | Self::RemoteKernelCommand { .. } => 2,
            Self::SourceUnknown { .. } => 3,
        }
    }

    /// Whether a sender on this node learns of it, as an immediate timeout.
    fn is_told(&self) -> bool {
        match self {
            Self::SourceUnknown { remote, .. } => !remote,
            Self::TargetUnknown { .. }
            | Self::NoMessagingCapability { .. }
            | Self::NoNetworkCapability { .. } => true,
            Self::RemoteTargetLacksNetwork { .. }
            | Self::RemoteTargetUnknown { .. }
            | Self::RemoteKernelCommand { .. } => false,
        }
    }
}

/// Whether the refusal of `message` gives its sender a timeout at once:
/// only a Wasm process that waits for an answer gets one.
#[must_use]
pub fn owes_timeout(table: &ProcessTable, message: &KernelMessage, refusal: &Refusal) -> bool {
    let from_module = table
        .get(&message.source.process)
        .is_some_and(|entry| entry.module);
    refusal.is_told() && message.message.expects_response() && !from_module
}

/// Judges one message whose addresses are canonical (see [`crate::localise`]).
/// The source is believed: whoever calls this knows who sent it.
#[must_use]
pub fn route(table: &ProcessTable, message: &KernelMessage) -> Verdict {
    let ours = |address: &Address| address.node == *table.our();
    let verdict = match (ours(&message.source), ours(&message.target)) {
        (true, true) => local(table, message),
        (true, false) => outbound(table, message),
        (false, true) => inbound(table, message),
        (false, false) => Err(Refusal::RemoteTargetUnknown {
            from: message.source.clone(),
            target: message.target.clone(),
        }),
    };
    verdict.unwrap_or_else(Verdict::Refused)
}

fn local(table: &ProcessTable, message: &KernelMessage) -> Result<Verdict, Refusal> {
    let source = &message.source.process;
    let to_kernel = is_kernel(&message.target.process);
    let target = if to_kernel {
        table.kernel()
    } else {
        &message.target
    };
    let trusted = is_trusted(source);
    let sender = table.get(source);
    if sender.is_none() && !trusted {
        return Err(Refusal::SourceUnknown {
            source_process: source.clone(),
            remote: false,
        });
    }
    let Some(receiver) = table.get(&target.process) else {
        return Err(Refusal::TargetUnknown {
            source_process: source.clone(),
            target: message.target.process.clone(),
        });
    };
    let may = trusted
        || receiver.public
        || sender.is_some_and(|entry| entry.capabilities.may_message(target));
    if !may {
        return Err(Refusal::NoMessagingCapability {
            source_process: source.clone(),
            target: message.target.process.clone(),
        });
    }
    Ok(if to_kernel {
        Verdict::KernelCommand
    } else {
        Verdict::Deliver
    })
}

fn outbound(table: &ProcessTable, message: &KernelMessage) -> Result<Verdict, Refusal> {
    let source = &message.source.process;
    let Some(sender) = table.get(source) else {
        return Err(Refusal::SourceUnknown {
            source_process: source.clone(),
            remote: true,
        });
    };
    if !table.may_use_network(sender) {
        return Err(Refusal::NoNetworkCapability {
            source_process: source.clone(),
            target: message.target.clone(),
        });
    }
    Ok(Verdict::Egress)
}

fn inbound(table: &ProcessTable, message: &KernelMessage) -> Result<Verdict, Refusal> {
    let target = &message.target.process;
    let from = || message.source.clone();
    if is_kernel(target) {
        return Err(Refusal::RemoteKernelCommand { from: from() });
    }
    let Some(receiver) = table.get(target) else {
        return Err(Refusal::RemoteTargetUnknown {
            from: from(),
            target: message.target.clone(),
        });
    };
    if !table.may_use_network(receiver) {
        return Err(Refusal::RemoteTargetLacksNetwork {
            from: from(),
            target: target.clone(),
        });
    }
    Ok(Verdict::Deliver)
}

/// Whether messages for `id` are for the kernel.
fn is_kernel(id: &ProcessId) -> bool {
    id.process() == "kernel"
}

/// The modules that every process hears, granted or not: they answer in the
/// course of host calls that need no capability.
fn is_trusted(id: &ProcessId) -> bool {
    id.package() == "distro"
        && id.publisher() == "sys"
        && matches!(id.process(), "kernel" | "state" | "vfs")
}
