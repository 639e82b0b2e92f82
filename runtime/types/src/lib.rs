//! The vocabulary every runtime crate speaks: names, messages, capabilities.
//!
//! Owns nothing but data and its text forms. Invariant: a value of one of
//! these types is well formed, so no later layer checks it again; ids are
//! canonical (the closed alias table has been applied by whoever parsed them
//! from a dialect, see [`alias`]). There is nothing to stop.

#![forbid(unsafe_code)]

pub mod alias;
mod capability;
mod edition;
mod id;
mod message;
mod peer;
mod usage;

pub use capability::{CapKey, CapSignature, Capability, MESSAGING, NETWORK};
pub use edition::Edition;
pub use id::{Address, IdError, NodeName, PackageId, ProcessId};
pub use message::{
    Blob, KernelMessage, Message, MessageId, OnExit, Request, Response, SendError, SendErrorKind,
};
pub use peer::{MAX_PEER_MESSAGE, PeerMessage, PeerMessageTooLarge};
pub use usage::{DiskUse, NodeUsage, ProcessUsage, UsageLimits, UsageReport};
