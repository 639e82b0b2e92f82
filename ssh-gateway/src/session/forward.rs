//! Tunnels: one channel, one HTTP connection to the signed-in node.
//!
//! The destination is compared, never dialled: `localhost` means the node's
//! own world, not the host's network. The lease is held for as long as the
//! tunnel carries a connection.

use bytes::Bytes;
use node_api::Origin;
use russh::ChannelOpenFailure;
use russh::server::ChannelOpenHandle;
use tokio::sync::mpsc;

use super::channels::Outlet;
use super::job::{DRAIN, Job, leaving};

/// Whether a tunnel may go there.
pub(super) fn is_allowed(host: &str, port: u32, http_port: u16) -> bool {
    let local = host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "::1";
    local && port == u32::from(http_port)
}

/// Serves one tunnel. Returns when either side has ended it, and when told to stop.
pub(super) async fn run(
    job: &Job,
    outlet: Outlet,
    inlet: mpsc::Receiver<Bytes>,
    reply: ChannelOpenHandle,
) {
    let waking = tokio::select! {
        biased;
        () = job.stop.cancelled() => Err("the connection is ending".to_owned()),
        () = outlet.closed().cancelled() => Err("the connection is ending".to_owned()),
        lease = job.lease_for_tunnel() => lease,
    };
    let lease = match waking {
        Ok(lease) => lease,
        Err(reason) => {
            return reply
                .reject(ChannelOpenFailure::Other { code: 2, reason })
                .await;
        }
    };
    reply.accept().await;
    let node = lease.node().clone();
    let serving = node.serve_http(Box::new(outlet.stream(inlet)), Origin::Tunnel);
    tokio::pin!(serving);
    let node_leaves = tokio::select! {
        () = &mut serving => false,
        () = outlet.closed().cancelled() => false,
        () = job.stop.cancelled() => false,
        () = leaving(node.status()) => true,
    };
    // Given back before anything that waits for the client.
    drop(lease);
    if node_leaves {
        // Answers on their way may still arrive.
        tokio::select! {
            _ = tokio::time::timeout(DRAIN, &mut serving) => {}
            () = outlet.closed().cancelled() => {}
        }
    }
    if !outlet.closed().is_cancelled() {
        outlet.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nodes_own_http_can_be_reached() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "::1"] {
            assert!(is_allowed(host, 8080, 8080), "{host}");
            for port in [0, 22, 80, 443, 2222, 5432, 8000, 8081, 9464, 8080 + 65_536] {
                assert!(!is_allowed(host, port, 8080), "{host}:{port}");
            }
        }
        for host in [
            "",
            "0.0.0.0",
            "::",
            "[::1]",
            "127.1",
            "127.0.0.2",
            "2130706433",
            "0x7f000001",
            "::ffff:127.0.0.1",
            "localhost.",
            "localhost\0",
            " localhost",
            "localhost.localdomain",
            "alice.localhost",
            "169.254.169.254",
            "10.0.0.1",
            "example.org",
            "/var/run/docker.sock",
        ] {
            assert!(!is_allowed(host, 8080, 8080), "{host}");
        }
    }
}
