//! What a door knows about a request that no header can claim.

use std::net::SocketAddr;

/// Who asks, and under which of the node's host names. The proxy puts one into
/// the extensions of every request it hands over; through a tunnel there is
/// none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The client, as far back as trusted proxies vouch for it. The port is 0
    /// where only an address is known.
    pub client: SocketAddr,
    /// Whether the client speaks TLS.
    pub secure: bool,
    /// The node's own host with the port that the client used.
    pub site: String,
    /// The label before the node's own host, in lower case, if the request
    /// was sent to one of its subdomains.
    pub subdomain: Option<String>,
}
