//! What the distro packages decide, apart from any message: command lines,
//! aliases, manifests, the app store's requests and its book-keeping, the homepage.
//!
//! Plain data in and out, so that it is tested on the machine that builds it.
//! There is nothing to stop.

#![forbid(unsafe_code)]

pub mod alias;
pub mod homepage;
pub mod line;
pub mod manifest;
pub mod processes;
pub mod right;
pub mod store_api;
pub mod store_state;
pub mod usage;

pub use node_types::{PackageId, ProcessId};
