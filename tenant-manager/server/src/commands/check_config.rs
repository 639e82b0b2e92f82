//! `berth check-config`: what `serve` would use, or why it would refuse.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::commands::say;
use crate::config::Config;

/// Prints the configuration in effect. Secrets of a database URL are hidden.
///
/// # Errors
/// Standard output is closed.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let database = match &config.database_url {
        Some(url) => format!("postgres at {}", without_password(url)),
        None => "private postgres under the data directory".to_owned(),
    };
    let idle = config.idle_after.map_or("never".to_owned(), |time| {
        format!("after {}s", time.as_secs())
    });
    let rate = match config.plan.disk_bytes_per_second {
        0 => "as fast as it likes".to_owned(),
        bytes => format!("at {} MiB a second", bytes >> 20),
    };
    for (name, value) in [
        ("data-dir", config.data_dir.display().to_string()),
        ("http", config.http.to_string()),
        ("ssh", config.ssh.to_string()),
        ("metrics", config.metrics.to_string()),
        ("domain", config.domain.clone()),
        ("node-domain", config.node_domain.clone()),
        ("node-suffix", config.node_suffix.clone()),
        ("database", database),
        ("hibernate", idle),
        (
            "plan",
            format!(
                "{} nodes, {} MiB memory, {} MiB disk, written {rate}, {} processes",
                config.plan.nodes,
                config.plan.memory_bytes >> 20,
                config.plan.disk_bytes >> 20,
                config.plan.processes
            ),
        ),
        ("egress", reachable(&config.plan.egress_allow)),
        ("egress-dns", looked_up(&config.egress_dns)),
        ("packages", config.packages.display().to_string()),
    ] {
        say(&format!("{name:12} {value}"))?;
    }
    say("configuration is valid")
}

/// What apps may connect to.
fn reachable(ranges: &[IpNet]) -> String {
    let internet = std::iter::once("the public internet".to_owned());
    let all: Vec<String> = internet
        .chain(ranges.iter().map(ToString::to_string))
        .collect();
    all.join(", ")
}

/// Where names are looked up.
fn looked_up(name_servers: &[SocketAddr]) -> String {
    if name_servers.is_empty() {
        return "the system's name servers".to_owned();
    }
    let all: Vec<String> = name_servers.iter().map(ToString::to_string).collect();
    all.join(", ")
}

/// `scheme://user:password@host/…` without the password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    // Options of the URL may name a password too.
    let rest = rest.split('?').next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(
            without_password("postgres://me:p@ss@db:5432/x"),
            "postgres://me@db:5432/x"
        );
        assert_eq!(without_password("postgres://db/x"), "postgres://db/x");
        assert_eq!(
            without_password("postgres://db/x?user=me&password=secret"),
            "postgres://db/x"
        );
    }
}
