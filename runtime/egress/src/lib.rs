//! The one way out of the host for what apps ask for.
//!
//! Owns name resolution, the decision which addresses may be reached, dialling
//! and TLS ([`Dialer`], one per process), and each node's limits on them
//! ([`Egress`]). Invariant: every connection made here leads to an address
//! that was checked as an address, and to that very address: a name is
//! resolved once per connection, and what was checked is what is dialled. So
//! neither a spelling of an address nor a name server that changes its mind
//! leads to the host itself or to its private networks. Whoever follows
//! redirects asks again for each.
//!
//! Nothing here has a loop of its own. A connection ends when it is dropped,
//! an attempt when its future is; the tasks of the resolver live as long as
//! the [`Dialer`].

#![forbid(unsafe_code)]

mod address;
mod connection;
mod dialer;
mod egress;
mod error;
mod own;
mod policy;
mod record;
mod resolver;
mod target;
#[cfg(test)]
mod tests;
mod tls;

pub use connection::Connection;
pub use dialer::{Dialer, EgressOptions};
pub use egress::{Egress, EgressLimits, Wish};
pub use error::{DialerError, EgressError, RefusedWhy, TlsError};
pub use policy::EgressPolicy;
pub use record::EgressLog;
