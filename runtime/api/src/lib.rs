//! The seam between a running node and everyone who uses one.
//!
//! The tenant manager launches nodes through [`NodeLauncher`] and hands the
//! doors (web proxy, SSH gateway) a [`NodeHandle`]; neither side knows the
//! other's crates. Invariant: whoever holds a handle has already been
//! authorised (the manager gives handles only inside leases), and where a
//! request came from is a value of [`Origin`], never a header. A node stops by
//! [`NodeHandle::stop`].

#![forbid(unsafe_code)]

mod egress;
mod handle;
mod http;
mod keyfile;
mod log;
mod secret;
mod spec;
mod terminal;
mod transport;
mod upgrade;
mod visit;

pub use crate::http::{BoxError, HttpBody, HttpRequest, HttpResponse, Origin, body, empty_body};
pub use egress::{EgressOutcome, EgressPage, EgressQuery, EgressRecord};
pub use handle::{
    Alarm, AlarmTime, ByteStream, LaunchError, NodeError, NodeHandle, NodeLauncher, NodeStatus,
    Rest, StopReason,
};
pub use keyfile::Keyfile;
pub use log::{LogError, LogPage, LogPlace, LogQuery, LogRecord, MAX_VERBOSITY, NodeLogs};
pub use secret::Secret;
pub use spec::{LoginVerifiers, NodeLimits, NodeSecrets, NodeSpec, TenantKey};
pub use terminal::{LineOutcome, TerminalInput, TerminalSession, TerminalSize};
pub use transport::{
    Departure, Handover, Ingress, Isolated, Peer, PeerIdentity, Receipt, Transport,
};
pub use upgrade::{Upgrade, Upgrading};
pub use visit::Visit;

pub use node_types::{DiskUse, NodeUsage, ProcessUsage, UsageLimits, UsageReport};
