//! `state:distro:sys`: what a process saves between its lives.
//!
//! [`StateStore`] is the direct way, used by the host functions of a process;
//! [`State`] answers messages of the public shape. Invariants: a process
//! reaches its own state only, unless the caller is the kernel; an
//! acknowledged write survives a kill of the host; bytes are charged to the
//! node's disk quota before they are written. The module stops when its inbox
//! closes, after finishing what it has taken out, or when its tasks are
//! cancelled, after finishing what is under way.

mod service;
mod store;

pub use service::State;
pub(crate) use service::understands;
pub use store::{MAX_STATE_BYTES, StateError, StateStore};
