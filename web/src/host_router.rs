//! Decides from the host name alone which site a request is for.
//!
//! Pure. Invariant: one request has one host name; a request that names two
//! different ones, or one in a form that others may read differently, is
//! refused here and reaches nobody.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Uri};

use crate::options::is_dns_label;

/// The host names served.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    domain: String,
    /// What follows a label, with the dot.
    node_suffix: String,
}

/// Which site a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Site {
    /// The dashboard host.
    Apex,
    /// The node with this label, or one of its secure subdomains.
    Node {
        /// Not checked further than being one DNS label.
        label: String,
    },
    /// Some host that is not served here.
    Elsewhere,
}

/// Where a request goes, and the name it was sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Routed {
    pub(crate) site: Site,
    /// Host and port as sent, in lower case.
    pub(crate) authority: String,
}

/// Why a request has no usable host name; shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    #[error("the request names no host: send a Host header")]
    Missing,
    #[error("the request names more than one host: send one Host header, equal to the URL's host")]
    Conflicting,
    #[error("the host name is malformed: send a plain lower-case name, optionally with a port")]
    Malformed,
    #[error("the host name ends with a dot: leave it out")]
    TrailingDot,
}

impl Hosts {
    pub(crate) fn new(domain: &str, node_domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            node_suffix: format!(".{node_domain}"),
        }
    }

    /// The host name of the node with `label`.
    pub(crate) fn node_host(&self, label: &str) -> String {
        format!("{label}{}", self.node_suffix)
    }

    /// Finds the one host name of a request and what it stands for.
    pub(crate) fn route(&self, uri: &Uri, headers: &HeaderMap) -> Result<Routed, HostError> {
        let mut values = headers.get_all(HOST).iter();
        let header = values.next();
        if values.next().is_some() {
            return Err(HostError::Conflicting);
        }
        let header = header
            .map(|value| value.to_str().map_err(|_| HostError::Malformed))
            .transpose()?
            .map(str::to_ascii_lowercase);
        let target = uri
            .authority()
            .map(Authority::as_str)
            .map(str::to_ascii_lowercase);
        let authority = match (header, target) {
            (Some(header), Some(target)) if header != target => {
                return Err(HostError::Conflicting);
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => return Err(HostError::Missing),
        };
        let site = self.site(&authority)?;
        Ok(Routed { site, authority })
    }

    fn site(&self, authority: &str) -> Result<Site, HostError> {
        let host = strip_port(authority)?;
        if host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() {
            return self.literal(host);
        }
        if host.ends_with('.') {
            return Err(HostError::TrailingDot);
        }
        if host.is_empty() || host.len() > 253 || !host.split('.').all(is_dns_label) {
            return Err(HostError::Malformed);
        }
        if host == self.domain {
            return Ok(Site::Apex);
        }
        let Some(below) = host.strip_suffix(&self.node_suffix) else {
            return Ok(Site::Elsewhere);
        };
        // Either `alice`, or `app.alice` for a secure subdomain of hers.
        let label = match below.split_once('.') {
            None => below,
            Some((_, label)) if !label.contains('.') => label,
            Some(_) => return Ok(Site::Elsewhere),
        };
        Ok(Site::Node {
            label: label.to_owned(),
        })
    }

    /// An address instead of a name stands for the dashboard of a host that
    /// is used from its own machine, and for nothing else.
    fn literal(&self, host: &str) -> Result<Site, HostError> {
        let inside = host
            .strip_prefix('[')
            .map_or(Some(host), |v6| v6.strip_suffix(']'));
        let address: std::net::IpAddr = inside
            .and_then(|text| text.parse().ok())
            .ok_or(HostError::Malformed)?;
        if address.is_loopback() && self.domain == "localhost" {
            Ok(Site::Apex)
        } else {
            Ok(Site::Elsewhere)
        }
    }
}

/// The host of an authority that was routed, without its port.
pub(crate) fn without_port(authority: &str) -> &str {
    strip_port(authority).unwrap_or(authority)
}

/// The host without its port; the port must be one.
fn strip_port(authority: &str) -> Result<&str, HostError> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => authority.split_at(end + 1),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(host),
        // `u16` alone would also read `+80`.
        Some(digits)
            if digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok() =>
        {
            Ok(host)
        }
        _ => Err(HostError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(hosts: &Hosts, uri: &str, host: Option<&[u8]>) -> Result<Site, HostError> {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(HOST, http::HeaderValue::from_bytes(host).unwrap());
        }
        hosts
            .route(&uri.parse().unwrap(), &headers)
            .map(|routed| routed.site)
    }

    fn node(label: &str) -> Result<Site, HostError> {
        Ok(Site::Node {
            label: label.to_owned(),
        })
    }

    #[test]
    fn names_on_localhost() {
        let hosts = Hosts::new("localhost", "localhost");
        let table: &[(&[u8], Result<Site, HostError>)] = &[
            (b"localhost", Ok(Site::Apex)),
            (b"LOCALHOST:8000", Ok(Site::Apex)),
            (b"127.0.0.1:8000", Ok(Site::Apex)),
            (b"127.8.8.8", Ok(Site::Apex)),
            (b"[::1]:8000", Ok(Site::Apex)),
            (b"192.0.2.1", Ok(Site::Elsewhere)),
            (b"[2001:db8::1]", Ok(Site::Elsewhere)),
            (b"alice.localhost", node("alice")),
            (b"AlIcE.LocalHost:80", node("alice")),
            (b"my-app.alice.localhost:8000", node("alice")),
            (b"a.b.alice.localhost", Ok(Site::Elsewhere)),
            (b"evil.example", Ok(Site::Elsewhere)),
            (b"alicelocalhost", Ok(Site::Elsewhere)),
            (b"localhost.evil.example", Ok(Site::Elsewhere)),
            (b"alice.localhost.evil.example", Ok(Site::Elsewhere)),
            (b"alice.localhost.", Err(HostError::TrailingDot)),
            (b"localhost.", Err(HostError::TrailingDot)),
            (b"", Err(HostError::Malformed)),
            (b".localhost", Err(HostError::Malformed)),
            (b"alice..localhost", Err(HostError::Malformed)),
            (b"-alice.localhost", Err(HostError::Malformed)),
            (b"al_ice.localhost", Err(HostError::Malformed)),
            (b"alice.localhost:", Err(HostError::Malformed)),
            (b"alice.localhost:http", Err(HostError::Malformed)),
            (b"alice.localhost:+80", Err(HostError::Malformed)),
            (b"alice.localhost:99999", Err(HostError::Malformed)),
            (b"alice.localhost:80:80", Err(HostError::Malformed)),
            (b"alice.localhost, bob.localhost", Err(HostError::Malformed)),
            (b"alice.localhost bob.localhost", Err(HostError::Malformed)),
            (b"bob@alice.localhost", Err(HostError::Malformed)),
            (b"alice.localhost/x", Err(HostError::Malformed)),
            (b"alice%2elocalhost", Err(HostError::Malformed)),
            (b"[::1", Err(HostError::Malformed)),
            (b"[::1]x", Err(HostError::Malformed)),
            (b"[alice.localhost]", Err(HostError::Malformed)),
            ("älice.localhost".as_bytes(), Err(HostError::Malformed)),
        ];
        for (host, expected) in table {
            let name = String::from_utf8_lossy(host);
            assert_eq!(&route(&hosts, "/", Some(host)), expected, "{name}");
        }
    }

    #[test]
    fn two_domains_do_not_mix() {
        let hosts = Hosts::new("berth.example", "nodes.example");
        let site = |host: &str| route(&hosts, "/", Some(host.as_bytes()));
        assert_eq!(site("berth.example"), Ok(Site::Apex));
        assert_eq!(site("nodes.example"), Ok(Site::Elsewhere));
        assert_eq!(site("alice.berth.example"), Ok(Site::Elsewhere));
        assert_eq!(site("alice.nodes.example"), node("alice"));
        assert_eq!(site("127.0.0.1"), Ok(Site::Elsewhere));
        assert_eq!(site("localhost"), Ok(Site::Elsewhere));
    }

    #[test]
    fn absolute_targets_must_agree_with_the_header() {
        let hosts = Hosts::new("localhost", "localhost");
        let absolute = "http://alice.localhost:8000/x";
        let same: &[u8] = b"Alice.localhost:8000";
        assert_eq!(route(&hosts, absolute, Some(same)), node("alice"));
        assert_eq!(route(&hosts, absolute, None), node("alice"));
        for other in ["bob.localhost:8000", "localhost", "alice.localhost"] {
            let result = route(&hosts, absolute, Some(other.as_bytes()));
            assert_eq!(result, Err(HostError::Conflicting), "{other}");
        }
        assert_eq!(route(&hosts, "/x", None), Err(HostError::Missing));
        let user = route(&hosts, "http://bob@alice.localhost/", None);
        assert_eq!(user, Err(HostError::Malformed));
    }
}
