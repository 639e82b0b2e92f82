//! The runtime modules of a node: processes written in Rust, one folder each.
//!
//! Each module is a [`Service`]: it owns an inbox, answers messages, and talks
//! to the kernel through a [`KernelPort`]. Invariant: a module trusts nothing
//! in a message but its source, which the kernel has checked. A module stops
//! when its inbox closes or its tasks are cancelled.

#![forbid(unsafe_code)]

mod callers;
mod database;
mod dialect;
pub mod fd_manager;
#[doc(hidden)]
pub mod fuzzing;
pub mod http_client;
pub mod http_server;
pub mod kv;
pub mod net;
mod pending;
mod port;
mod quota;
pub mod sqlite;
pub mod state;
mod stored;
pub mod terminal;
#[cfg(test)]
pub(crate) mod testing;
pub mod timer;
mod traffic;
pub mod vfs;
mod websocket;

pub use port::{
    Delivery, Inbox, KernelPort, NodeEvent, ProcessExit, Sending, Service, Share, answer, module,
    request_from,
};
pub use quota::{Charge, DiskQuota, QuotaExceeded, Store, WriteRate};
pub use traffic::{Sighting, Traffic, TrafficWatch};
