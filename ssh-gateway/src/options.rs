//! What can be set about the gateway.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the gateway listens, and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on; port 0 picks a free one.
    pub bind: SocketAddr,
    /// File of the Ed25519 host key; created once, then kept.
    pub host_key_path: PathBuf,
    /// The port that every tenant is told its node's HTTP is at.
    pub local_http_port: u16,
    /// Bounds on what connections may use.
    pub limits: Limits,
}

impl Options {
    /// Options with the contract's defaults.
    #[must_use]
    pub fn new(bind: SocketAddr, host_key_path: PathBuf) -> Self {
        Self {
            bind,
            host_key_path,
            local_http_port: 8080,
            limits: Limits::default(),
        }
    }
}

/// Bounds on connections and on how long they may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once. One more is closed as soon as it is accepted.
    pub connections: usize,
    /// Connections that have not signed in. One more pushes out the oldest.
    pub strangers: usize,
    /// The same, counted per client address (per /64 for IPv6).
    pub strangers_per_address: usize,
    /// Connections to one node. One more is told so and disconnected.
    pub connections_per_node: usize,
    /// Channels on one connection. One more is refused.
    pub channels: usize,
    /// Sign-in attempts on one connection.
    pub sign_in_attempts: usize,
    /// A connection that has not signed in by then is closed.
    pub sign_in_deadline: Duration,
    /// Every refused attempt takes this long, whatever the reason.
    pub refusal_delay: Duration,
    /// A client silent for this long is asked whether it is there.
    pub keepalive_interval: Duration,
    /// So many unanswered questions close the connection.
    pub keepalives_missed: usize,
    /// How long one command line may run.
    pub line_limit: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            strangers: 512,
            strangers_per_address: 64,
            connections_per_node: 32,
            channels: 256,
            sign_in_attempts: 6,
            sign_in_deadline: Duration::from_secs(30),
            refusal_delay: Duration::from_secs(1),
            keepalive_interval: Duration::from_secs(30),
            keepalives_missed: 4,
            line_limit: Duration::from_secs(60),
        }
    }
}
