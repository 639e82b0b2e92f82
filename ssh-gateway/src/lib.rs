//! The SSH door of the host: `ssh label@host` is a node's terminal, and a
//! tunnel to `localhost:8080` is the node's HTTP seen from inside.
//!
//! Owns the listening socket, the host key and every SSH connection. The only
//! crate that names russh. Invariants: nothing of a node is touched before the
//! manager has accepted its password; a connection reaches the one node it
//! signed in to and nothing else, because a destination is a word compared
//! with a constant, never an address that is dialled; one connection's
//! slowness is felt by that connection only. Stops when the tasks given to
//! [`bind`] are cancelled: open sessions are told why, disconnected properly,
//! and [`Bound::serve`] returns within seconds.

#![forbid(unsafe_code)]

mod admission;
mod audit;
mod auth;
mod bind;
mod connection;
mod handler;
mod host_key;
mod options;
mod session;
mod transport;

pub use bind::{BindError, Bound, adopt, bind};
pub use host_key::HostKeyError;
pub use options::{Limits, Options};
