//! Names to addresses, by the host's name servers.
//!
//! Owns the resolver and its cache. Invariant: a lookup ends within
//! [`LOOKUP_TIME`] and gives at most [`MOST_ADDRESSES`] addresses, which nobody
//! has checked yet. Of the machine only the list of name servers is used, as
//! it was when the host started. `/etc/hosts` is not: it names what is on the
//! machine and near it, for those who work on it; an app must see the names
//! that everyone sees. For the same reason the machine's search domains are
//! not tried: names are asked as they are. Stops when it is dropped, and its
//! tasks with it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;

use crate::error::{DialerError, EgressError};

/// How long one lookup may take.
const LOOKUP_TIME: Duration = Duration::from_secs(5);
/// How long one name server may take before another is asked, or the same one
/// again.
const SERVER_TIME: Duration = Duration::from_secs(2);
/// How often a lookup is tried again.
const RETRIES: usize = 1;
/// Most addresses of a name that are looked at.
const MOST_ADDRESSES: usize = 16;
/// Answers kept, for all nodes together.
const CACHED: u64 = 1024;
/// How long an answer is kept, whatever it says itself.
const CACHED_FOR: Duration = Duration::from_secs(3600);
/// How long it is kept that there is no such name.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct Resolver {
    /// None if the machine has no name servers.
    inner: Option<TokioResolver>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// Asks these name servers, or those of the machine if there are none.
    pub(crate) fn new(name_servers: &[SocketAddr]) -> Result<Self, DialerError> {
        let servers = if name_servers.is_empty() {
            match read_system_conf() {
                Ok((config, _)) => config.name_servers().to_vec(),
                // A host without name servers still serves its nodes.
                Err(error) => {
                    tracing::warn!(
                        "apps cannot resolve names: failed to read resolv.conf: {error}"
                    );
                    return Ok(Self { inner: None });
                }
            }
        } else {
            name_servers.iter().copied().map(name_server).collect()
        };
        let mut builder = TokioResolver::builder_with_config(
            ResolverConfig::from_name_servers(servers),
            TokioRuntimeProvider::default(),
        );
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.timeout = SERVER_TIME;
        options.attempts = RETRIES;
        options.try_tcp_on_error = true;
        options.cache_size = CACHED;
        options.positive_max_ttl = Some(CACHED_FOR);
        options.negative_max_ttl = Some(MISSING_FOR);
        match builder.build() {
            Ok(inner) => Ok(Self { inner: Some(inner) }),
            Err(error) => Err(DialerError::Resolver(error.to_string())),
        }
    }

    /// The addresses of a name: IPv4 and IPv6 in turn, in the order given by
    /// the name server.
    pub(crate) async fn lookup(&self, name: &Name, host: &str) -> Result<Vec<IpAddr>, EgressError> {
        let Some(inner) = &self.inner else {
            return Err(EgressError::Unresolved(host.to_owned()));
        };
        let lookup = Box::pin(inner.lookup_ip(name.clone()));
        match tokio::time::timeout(LOOKUP_TIME, lookup).await {
            Ok(Ok(found)) => {
                let addresses = in_turn(found.iter());
                if addresses.is_empty() {
                    return Err(EgressError::NotFound(host.to_owned()));
                }
                Ok(addresses)
            }
            Ok(Err(error)) if error.is_no_records_found() => {
                Err(EgressError::NotFound(host.to_owned()))
            }
            Ok(Err(error)) => {
                log_failure(&error);
                Err(EgressError::Unresolved(host.to_owned()))
            }
            Err(_) => Err(EgressError::Unresolved(host.to_owned())),
        }
    }
}

/// Not the app's fault, and nothing an operator must act on at once.
fn log_failure(error: &NetError) {
    tracing::debug!("failed to look up a name for an app: {error}");
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![
        at_port(ConnectionConfig::udp()),
        at_port(ConnectionConfig::tcp()),
    ];
    NameServerConfig::new(address.ip(), true, connections)
}

/// IPv4 and IPv6 in turn, so that a family that leads nowhere costs one
/// attempt and not all of them. IPv4 first: machines without IPv6 are many.
fn in_turn(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (four, six): (Vec<_>, Vec<_>) = addresses
        .map(crate::address::canonical)
        .partition(IpAddr::is_ipv4);
    let (mut four, mut six) = (four.into_iter(), six.into_iter());
    let mut mixed = Vec::new();
    while mixed.len() < MOST_ADDRESSES {
        let before = mixed.len();
        mixed.extend(four.next());
        mixed.extend(six.next());
        if mixed.len() == before {
            break;
        }
    }
    mixed.truncate(MOST_ADDRESSES);
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_machine_only_its_name_servers_are_used() {
        let resolver = Resolver::new(&[([192, 0, 2, 53], 5353).into()]).unwrap();
        let options = resolver.inner.as_ref().unwrap().options();
        assert_eq!(options.use_hosts_file, ResolveHosts::Never);
        assert_eq!(options.cache_size, CACHED);
        // Also if it has none, as machines without a network.
        crate::Dialer::new(&crate::EgressOptions::default()).unwrap();
    }

    #[test]
    fn families_take_turns() {
        let turns = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|text| text.parse().unwrap());
            let turns: Vec<_> = in_turn(addresses).iter().map(IpAddr::to_string).collect();
            turns.join(" ")
        };
        assert_eq!(turns(&[]), "");
        assert_eq!(turns(&["::2", "::3", "1.1.1.1"]), "1.1.1.1 ::2 ::3");
        assert_eq!(turns(&["1.1.1.1", "1.1.1.2", "::2"]), "1.1.1.1 ::2 1.1.1.2");
        assert_eq!(turns(&["::ffff:1.1.1.1", "::2"]), "1.1.1.1 ::2");
        let many = ["1.1.1.1"; 100];
        assert_eq!(turns(&many).split(' ').count(), MOST_ADDRESSES);
    }
}
