//! How large mailboxes are.
//!
//! Bounded in messages and bytes. A full mailbox parks a sending *process* for
//! a while and refuses a *module* at once (`routing`).

use lifecycle::queue::{self, Bounds};
use node_types::KernelMessage;

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

/// The sending end of the mailbox of a process or module.
pub(crate) type Mailbox = queue::Sender<KernelMessage>;
