//! What the operator may set, and the rules that settings must meet.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use http::Uri;

/// Longest host name that may be served, leaving room for two labels of 63
/// characters below it within the 253 that DNS allows.
const MAX_DOMAIN_LENGTH: usize = 253 - 2 * 64;

/// Settings of the HTTP door.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 picks a free one.
    pub http: SocketAddr,
    /// Host name of the dashboard and the API.
    pub domain: String,
    /// Nodes are `<label>.<node_domain>`.
    pub node_domain: String,
    /// Node names are `<label>.<node_suffix>`; shown to people only.
    pub node_suffix: String,
    /// How people reach the dashboard when something in front ends TLS.
    pub public_url: Option<String>,
    /// Peers whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Host name of the SSH gateway as told to users.
    pub ssh_host: String,
    /// Port of the SSH gateway as told to users.
    pub ssh_port: u16,
    /// The node's HTTP port as seen through an SSH tunnel.
    pub local_http_port: u16,
    /// Lets dashboard and nodes share a domain other than `localhost`.
    pub allow_shared_domain: bool,
    /// Limits per client address.
    pub rate_limits: RateLimits,
}

/// How often one client address may do what costs the host work.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Creating accounts.
    pub sign_up: Rate,
    /// Trying a password.
    pub sign_in: Rate,
    /// Asking whether a label is free.
    pub names: Rate,
    /// Signing in to a node, by password or by a link that does not work.
    pub node_sign_in: Rate,
    /// Whether clients on this machine are counted too, here and in the bounds
    /// of what one address may have at once.
    pub count_loopback: bool,
}

/// `burst` at once, and `burst` more in each `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// Time in which a used-up burst is whole again.
    pub per: Duration,
}

impl Default for RateLimits {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            sign_up: Rate {
                burst: 10,
                per: minutes(60),
            },
            sign_in: Rate {
                burst: 30,
                per: minutes(5),
            },
            names: Rate {
                burst: 120,
                per: minutes(1),
            },
            node_sign_in: Rate {
                burst: 20,
                per: minutes(1),
            },
            count_loopback: false,
        }
    }
}

/// Why settings cannot be used; the text says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A host name is not one.
    #[error("`{name}` is not a usable {what}: {why}")]
    Domain {
        /// Which setting.
        what: &'static str,
        /// Its value.
        name: String,
        /// The broken rule.
        why: &'static str,
    },
    /// Dashboard and nodes would share cookies.
    #[error(
        "the dashboard and the nodes share the domain `{0}`, so a node could plant cookies on the \
         dashboard: give nodes a domain of their own (--node-domain) or accept it with \
         --allow-shared-domain"
    )]
    SharedDomain(String),
    /// The public address is malformed.
    #[error("`{url}` is not a usable public address: {why}")]
    PublicUrl {
        /// Its value.
        url: String,
        /// The broken rule.
        why: &'static str,
    },
}

/// The part of the public address that differs from the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicAddress {
    pub(crate) secure: bool,
    pub(crate) port: Option<u16>,
}

impl Options {
    /// Checks everything that can be checked without opening a socket.
    ///
    /// # Errors
    /// [`OptionsError`] naming the first broken rule.
    pub fn validate(&self) -> Result<(), OptionsError> {
        check_domain("domain", &self.domain)?;
        check_domain("node domain", &self.node_domain)?;
        if self.domain == self.node_domain
            && self.domain != "localhost"
            && !self.allow_shared_domain
        {
            return Err(OptionsError::SharedDomain(self.domain.clone()));
        }
        self.public_address().map(|_| ())
    }

    /// The parsed public address, if one is set.
    pub(crate) fn public_address(&self) -> Result<Option<PublicAddress>, OptionsError> {
        let Some(url) = &self.public_url else {
            return Ok(None);
        };
        let bad = |why| OptionsError::PublicUrl {
            url: url.clone(),
            why,
        };
        let uri: Uri = url.parse().map_err(|_| bad("it is not a URL"))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host name"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it must not contain a user name"));
        }
        if !authority.host().eq_ignore_ascii_case(&self.domain) {
            return Err(bad("its host name must be the one given by --domain"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(bad("it must not have a path or a query"));
        }
        Ok(Some(PublicAddress {
            secure,
            port: authority.port_u16(),
        }))
    }
}

/// Whether `name` is a lower-case host name that other names can hang below.
fn check_domain(what: &'static str, name: &str) -> Result<(), OptionsError> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_DOMAIN_LENGTH {
        "it is too long to have nodes below it"
    } else if name.parse::<IpAddr>().is_ok() {
        "an IP address cannot have names below it"
    } else if name.ends_with('.') {
        "leave out the dot at the end"
    } else if !name.split('.').all(is_dns_label) {
        "each part must be 1 to 63 of a-z, 0-9 and inner hyphens"
    } else {
        return Ok(());
    };
    Err(OptionsError::Domain {
        what,
        name: name.to_owned(),
        why,
    })
}

/// Whether `label` may be one part of a host name, in lower case.
pub(crate) fn is_dns_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// A range of addresses: `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// The text is neither an address nor a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an IP address nor a range such as 10.0.0.0/8")]
pub struct NetworkError(String);

impl Network {
    /// Whether `address` lies in the range. A v4 address inside v6 counts as v4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (base, bits) = bits_of(self.base);
        let (address, address_bits) = bits_of(address.to_canonical());
        let shift = u32::from(bits - self.prefix.min(bits));
        bits == address_bits
            && base.checked_shr(128 - u32::from(bits) + shift)
                == address.checked_shr(128 - u32::from(bits) + shift)
    }
}

/// The address as left-aligned bits, and how many there are.
fn bits_of(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let base = address.to_canonical();
        Self {
            base,
            prefix: bits_of(base).1,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let bad = || NetworkError(text.to_owned());
        let Some((base, prefix)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| bad());
        };
        let base: IpAddr = base.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        if prefix > bits_of(base).1 {
            return Err(bad());
        }
        Ok(Self { base, prefix })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The settings of tests.
    pub(crate) fn options(domain: &str, node_domain: &str) -> Options {
        Options {
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            domain: domain.to_owned(),
            node_domain: node_domain.to_owned(),
            node_suffix: "dev".to_owned(),
            public_url: None,
            trusted_proxies: Vec::new(),
            ssh_host: domain.to_owned(),
            ssh_port: 2222,
            local_http_port: 8080,
            allow_shared_domain: false,
            rate_limits: RateLimits::default(),
        }
    }

    #[test]
    fn a_shared_domain_is_for_localhost_or_on_request() {
        assert_eq!(options("localhost", "localhost").validate(), Ok(()));
        assert_eq!(options("berth.example", "nodes.example").validate(), Ok(()));
        let shared = options("berth.example", "berth.example");
        assert!(matches!(
            shared.validate(),
            Err(OptionsError::SharedDomain(_))
        ));
        let accepted = Options {
            allow_shared_domain: true,
            ..shared
        };
        assert_eq!(accepted.validate(), Ok(()));
    }

    #[test]
    fn domains_are_lower_case_host_names() {
        for bad in [
            "",
            "Berth.example",
            "a..b",
            "-a.b",
            "a.b.",
            "127.0.0.1",
            "::1",
            "a_b",
            "é.x",
        ] {
            let result = options(bad, "localhost").validate();
            assert!(matches!(result, Err(OptionsError::Domain { .. })), "{bad}");
        }
    }

    #[test]
    fn a_public_url_is_scheme_and_host_only() {
        let with = |url: &str| {
            let mut options = options("berth.example", "nodes.example");
            options.public_url = Some(url.to_owned());
            options.public_address()
        };
        assert_eq!(
            with("https://berth.example/"),
            Ok(Some(PublicAddress {
                secure: true,
                port: None
            }))
        );
        assert_eq!(
            with("http://berth.example:8443").unwrap().unwrap().port,
            Some(8443)
        );
        for bad in [
            "berth.example",
            "ftp://berth.example",
            "https://other.example",
            "https://me@berth.example",
            "https://berth.example/x",
            "https://berth.example?x",
            "https://",
        ] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_match_by_prefix() {
        let ten: Network = "10.0.0.0/8".parse().unwrap();
        assert!(ten.contains("10.255.1.2".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.1.1".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!ten.contains("::1".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("192.0.2.1".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
        let every: Network = "::/0".parse().unwrap();
        assert!(every.contains("2001:db8::1".parse().unwrap()));
        let one: Network = "2001:db8::1".parse().unwrap();
        assert!(one.contains("2001:db8::1".parse().unwrap()));
        assert!(!one.contains("2001:db8::2".parse().unwrap()));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "localhost", "10/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
