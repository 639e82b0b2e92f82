//! The gateway, driven by OpenSSH's own client, in front of a real manager
//! whose nodes are scripted.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says so by panicking, helpers too"
)]

mod audit_log;
mod client;
mod exec;
mod host;
mod limits;
mod node;
mod shutdown;
mod sign_in;
mod terminal;
mod tunnel;
