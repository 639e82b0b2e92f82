//! A Kinode node: boots it, runs its processes, stops it.
//!
//! Puts together the pure kernel (`node-kernel`), the engine (`node-engine`)
//! and the modules (`node-services`). Invariant: a node's tasks, mailboxes and
//! memory are its own; what goes wrong in one node is seen by nobody else.
//! Nodes are launched by [`Launcher`] and stop through their handle.

#![forbid(unsafe_code)]

mod activity;
mod boot;
mod commands;
mod counters;
mod distro;
mod egress;
mod history;
mod ingress;
mod kernel;
mod launcher;
mod log;
mod mailbox;
mod node;
mod overrides;
mod persist;
mod prints;
mod process;
mod readiness;
mod rest;
mod routing;
mod sleep;
mod spawns;
mod usage;

pub use distro::{Distro, DistroError, DistroPackage, ManifestCapability, ManifestEntry};
pub use node_store::{HostStore, StoreError};

pub use launcher::{Launcher, LauncherError, LauncherOptions};
pub use log::LogFiles;

#[cfg(test)]
mod tests;
