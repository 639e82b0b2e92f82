//! What every request may use, built once from the options.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::Clock;
use tenant_manager::Manager;
use tenant_model::AccountId;

use crate::client::{customer, is_trusted};
use crate::hold::Held;
use crate::host_router::Hosts;
use crate::in_flight::{Counted, InFlight, Shares};
use crate::options::{Network, Options, OptionsError, PublicAddress, Rate};
use crate::proxy::Paces;
use crate::rate_limit::RateLimit;

/// Most requests of one tenant at once; one more is answered with 503.
const MAX_REQUESTS: u32 = 256;
/// Most WebSockets of one tenant at once: as many as a node takes.
const MAX_SOCKETS: u32 = 128;
/// One client gets at most this part of either.
const SHARE: u32 = 4;
/// Most event streams of one account at once: tabs with the dashboard.
const MAX_STREAMS: u32 = 16;
/// Most requests of one client address at once on connections that carry many:
/// as many as it could have on connections that carry one each.
const MAX_CLIENT_REQUESTS: u32 = 256;

/// By so many may the requests that a client address gives up outnumber those
/// of which it takes the answer, on connections that carry many: beginning them
/// costs us more than giving them up costs it.
const GIVEN_UP: Rate = Rate {
    burst: 200,
    per: Duration::from_secs(20),
};

/// One request of a client address.
pub(crate) type ClientRequest = Counted<IpAddr>;

/// Shared by all connections.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) manager: Manager,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hosts: Hosts,
    pub(crate) urls: Urls,
    pub(crate) trusted: Vec<Network>,
    pub(crate) limits: Limits,
    count_loopback: bool,
    /// Requests of a tenant, waiting ones included.
    pub(crate) in_flight: Shares,
    /// Open WebSockets of a tenant.
    pub(crate) sockets: Shares,
    /// How fast a tenant's WebSockets are read.
    pub(crate) paces: Paces,
    /// Requests of a client address on connections that carry many.
    pub(crate) client_requests: InFlight<IpAddr>,
    /// Requests that a client address gave up and did not make good for.
    pub(crate) given_up: Arc<RateLimit>,
    /// Refusals that come late.
    pub(crate) held: Held,
    /// Open event streams of an account.
    pub(crate) streams: InFlight<AccountId>,
    pub(crate) ssh_host: String,
    pub(crate) ssh_port: u16,
    pub(crate) local_http_port: u16,
    pub(crate) node_suffix: String,
}

/// Limits per client address.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) sign_up: RateLimit,
    pub(crate) sign_in: RateLimit,
    pub(crate) names: RateLimit,
    pub(crate) node_sign_in: RateLimit,
}

/// Addresses as people type them.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    scheme: &'static str,
    domain: String,
    node_domain: String,
    /// `:8000`, or nothing where the scheme says it.
    port: String,
}

impl App {
    pub(crate) fn new(
        options: Options,
        bound_port: u16,
        manager: Manager,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OptionsError> {
        let urls = Urls::new(&options, bound_port)?;
        let rates = options.rate_limits;
        let limit = |rate| RateLimit::new(rate, rates.count_loopback);
        Ok(Self {
            manager,
            clock,
            hosts: Hosts::new(&options.domain, &options.node_domain),
            urls,
            trusted: options.trusted_proxies,
            limits: Limits {
                sign_up: limit(rates.sign_up),
                sign_in: limit(rates.sign_in),
                names: limit(rates.names),
                node_sign_in: limit(rates.node_sign_in),
            },
            count_loopback: rates.count_loopback,
            in_flight: Shares::new(MAX_REQUESTS, MAX_REQUESTS / SHARE),
            sockets: Shares::new(MAX_SOCKETS, MAX_SOCKETS / SHARE),
            paces: Paces::default(),
            client_requests: InFlight::new(MAX_CLIENT_REQUESTS),
            // Who is not counted is not asked for.
            given_up: Arc::new(RateLimit::new(GIVEN_UP, true)),
            held: Held::default(),
            streams: InFlight::new(MAX_STREAMS),
            ssh_host: options.ssh_host,
            ssh_port: options.ssh_port,
            local_http_port: options.local_http_port,
            node_suffix: options.node_suffix,
        })
    }

    /// Whether what comes from `address` counts against the bounds per address:
    /// a trusted proxy stands for many clients, and so may this machine.
    pub(crate) fn is_counted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        (self.count_loopback || !address.is_loopback()) && !is_trusted(address, &self.trusted)
    }

    /// As whom a client is counted, if it is.
    pub(crate) fn counted(&self, address: IpAddr) -> Option<IpAddr> {
        self.is_counted(address).then(|| customer(address))
    }
}

impl Urls {
    fn new(options: &Options, bound_port: u16) -> Result<Self, OptionsError> {
        let public = options.public_address()?.unwrap_or(PublicAddress {
            secure: false,
            port: Some(bound_port),
        });
        let default_port = if public.secure { 443 } else { 80 };
        let port = match public.port {
            Some(port) if port != default_port => format!(":{port}"),
            _ => String::new(),
        };
        Ok(Self {
            scheme: if public.secure { "https" } else { "http" },
            domain: options.domain.clone(),
            node_domain: options.node_domain.clone(),
            port,
        })
    }

    /// Whether people use these addresses by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    /// Where the dashboard is.
    pub(crate) fn dashboard(&self) -> String {
        format!("{}://{}{}", self.scheme, self.domain, self.port)
    }

    /// A one-time link to the node with `label`.
    pub(crate) fn link(&self, label: &str, token: &str) -> String {
        format!("{}{}", self.node(label), crate::proxy::link_path(token))
    }

    /// What stands before and after a label in a node's address.
    pub(crate) fn around_label(&self) -> (String, String) {
        let start = format!("{}://", self.scheme);
        (start, format!(".{}{}", self.node_domain, self.port))
    }

    /// The origins of all nodes, as a content security policy names them.
    pub(crate) fn any_node(&self) -> String {
        self.node("*")
    }

    /// Where the node with `label` is.
    pub(crate) fn node(&self, label: &str) -> String {
        format!(
            "{}://{label}.{}{}",
            self.scheme, self.node_domain, self.port
        )
    }
}
