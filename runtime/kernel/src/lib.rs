//! The kernel's decisions, and nothing else: who may message whom, what a
//! process may attach, which answer belongs to which request, what happens
//! when a process ends.
//!
//! Owns the process table of a node and the conversation of each process.
//! Invariant: every function is synchronous and a function of its arguments;
//! there is no clock, no randomness, no task and no I/O in this crate, so
//! there is nothing to stop. Times are [`Moment`]s, message ids come from the
//! caller.

#![forbid(unsafe_code)]

mod blob;
mod caps;
mod command;
mod conversation;
mod database;
mod deadlines;
mod exit;
mod install;
mod local;
mod peer;
mod persist;
mod received;
mod route;
mod table;
mod timers;

pub use blob::BlobPolicy;
pub use caps::{CapSet, Inserted, MAX_CAPABILITIES, MAX_CAPABILITY_BYTES};
pub use command::{
    CommandError, DebugAnswer, InitializeProcess, KernelCommand, KernelDebug, KernelResponse,
    ProcessView, is_no_revoke,
};
pub use conversation::{
    Awaited, Conversation, MAX_OUTSTANDING, MAX_OUTSTANDING_BYTES, Outgoing, PrepareError, Prepared,
};
pub use database::{names_databases_alone, with_packages, without_packages};
pub use deadlines::Moment;
pub use exit::{
    ExitPlan, ExitReason, MAX_ON_EXIT_BYTES, MAX_ON_EXIT_REQUESTS, OnExitTooLarge, RestartBackoff,
    boot_requests, check_on_exit, exit_message, on_exit,
};
pub use install::{InitializeError, Initialized, Killed, MAX_HANDLE};
pub use local::{localise, localise_address, localise_capability, localise_on_exit};
pub use peer::{MAX_TRAVELLING, admit, depart};
pub use persist::{PersistedProcess, PersistedTable};
pub use route::{Refusal, Verdict, owes_timeout, route};
pub use table::{Granted, ProcessEntry, ProcessTable};
pub use timers::{RunningTimer, timer_body, timer_length};
