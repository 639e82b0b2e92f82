//! Why there is no connection, in one sentence each.
//!
//! Apps see these: they tell what the app did and what came of it, not how the
//! host's network looks. Which address a name led to is told nowhere unless it
//! was dialled: the record is the owner's to read, and the names of the
//! operator's network are not.

use std::io;

/// What apps are told in both cases: to them it is the same.
const BUSY: &str = "too many connections at once; try again later";

/// Why something may not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedWhy {
    /// The address, or every address of the name, lies outside what the node
    /// may reach.
    #[error("it has no public address")]
    NotPublic,
    /// Nothing may be reached at this port.
    #[error("port {0} is closed to apps")]
    Port(u16),
}

/// Why TLS was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The machine trusts nobody.
    #[error("this host has no trusted root certificates")]
    NoRoots,
    /// The name cannot stand in a certificate.
    #[error("{0} cannot be the name of a TLS server")]
    BadName(String),
    /// Our side could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
    /// The two sides did not agree, or the other one is not who it should be.
    #[error("TLS failed: {0}")]
    Handshake(io::Error),
}

/// There is no connection.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// It may not be reached.
    #[error("{host} may not be reached: {why}")]
    Refused {
        /// What was asked for.
        host: String,
        /// Why not.
        why: RefusedWhy,
    },
    /// There is no such name, or it has no address.
    #[error("{0} has no address")]
    NotFound(String),
    /// The name servers do not say.
    #[error("no name server answers for {0}")]
    Unresolved(String),
    /// No address of it took the connection; this is what the last one said.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The connection is not secure.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nothing came back in time.
    #[error("there was no answer in time")]
    TimedOut,
    /// Too many connections are open: one that is closed makes place.
    #[error("{BUSY}")]
    TooMany,
    /// Too many were opened just now, or are being opened: only waiting helps.
    #[error("{BUSY}")]
    TooFast,
}

impl EgressError {
    /// Whether there was too much of it, whatever it was.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::TooMany | Self::TooFast)
    }
}

/// There is no way out at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialerError {
    /// Names cannot be resolved.
    #[error("failed to set up name resolution: {0}")]
    Resolver(String),
}
