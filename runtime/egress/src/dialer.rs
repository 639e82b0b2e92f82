//! Resolves, checks, dials: what all nodes of the host share.
//!
//! Owns the resolver, the TLS setup, the list of the machine's own addresses
//! and the bounds on connections open and being opened at once. Invariant: `dial`, the
//! one place that connects, gets addresses from `choose` only. Stops when it
//! is dropped.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::Stream;
use crate::egress::Wish;
use crate::error::{DialerError, EgressError, RefusedWhy};
use crate::own::Own;
use crate::policy::{EgressPolicy, check_port};
use crate::record::Attempt;
use crate::resolver::Resolver;
use crate::target::{LOOPBACK, Target, shown};
use crate::tls::Tls;

/// Most connections of all nodes that are being opened at once. Whoever comes
/// then waits for [`TURN_TIME`]. A node takes its own permit first, so no node
/// has more of these than it may have connections.
const MOST_OPENING: usize = 1024;
/// The part of the process' descriptors that connections of nodes to the
/// outside may take: the doors and the stores need the others.
const PART_OF_DESCRIPTORS: u64 = 4;
/// Most of these if there is no telling how many descriptors there are.
const FEW_OPEN: usize = 256;
/// How long to wait for a turn.
const TURN_TIME: Duration = Duration::from_secs(5);
/// How long all addresses of a host together may take to answer.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long one of them may take.
const ATTEMPT_TIME: Duration = Duration::from_secs(5);

/// How to reach the outside.
#[derive(Debug, Clone, Default)]
pub struct EgressOptions {
    /// Who resolves names, over UDP and TCP; the machine's name servers if
    /// empty.
    pub name_servers: Vec<SocketAddr>,
}

/// See the module's documentation. One per process.
#[derive(Debug)]
pub struct Dialer {
    resolver: Resolver,
    tls: Tls,
    own: Own,
    opening: Semaphore,
    /// Connections of all nodes that are open.
    places: Arc<Semaphore>,
}

impl Dialer {
    /// A way out. Neither name servers nor trusted roots that are missing are
    /// an error here: a host without them serves its nodes, and apps are told
    /// when they need them.
    ///
    /// # Errors
    /// [`DialerError`].
    pub fn new(options: &EgressOptions) -> Result<Arc<Self>, DialerError> {
        let resolver = Resolver::new(&options.name_servers)?;
        Ok(Arc::new(Self::with(
            resolver,
            Tls::default(),
            Own::default(),
        )))
    }

    pub(crate) fn with(resolver: Resolver, tls: Tls, own: Own) -> Self {
        Self {
            resolver,
            tls,
            own,
            opening: Semaphore::new(MOST_OPENING),
            places: Arc::new(Semaphore::new(most_open())),
        }
    }

    /// A place among the open connections of the host.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, EgressError> {
        let place = self.places.clone().try_acquire_owned();
        place.map_err(|_| EgressError::TooMany)
    }

    /// Does what is wished, as far as the policy lets it.
    pub(crate) async fn open(
        &self,
        policy: &EgressPolicy,
        wish: &Wish,
        attempt: &mut Attempt,
    ) -> Result<(Stream, SocketAddr), EgressError> {
        let host = shown(&wish.host);
        check_port(wish.port).map_err(|why| EgressError::Refused {
            host: host.clone(),
            why,
        })?;
        let target =
            Target::parse(&wish.host).ok_or_else(|| EgressError::NotFound(host.clone()))?;
        let _turn = match timeout(TURN_TIME, self.opening.acquire()).await {
            Ok(Ok(turn)) => turn,
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => return Err(EgressError::TooFast),
        };
        let addresses = self.choose(policy, &target, wish, &host, attempt).await?;
        let handshake = if wish.tls {
            Some(self.tls.prepare(&target, &host, &wish.alpn).await?)
        } else {
            None
        };
        let (stream, address) = dial(&addresses, wish.port, attempt).await?;
        let stream = match handshake {
            Some(handshake) => Stream::Tls(Box::new(handshake.over(stream).await?)),
            None => Stream::Plain(stream),
        };
        Ok((stream, address))
    }

    /// The addresses of the target that may be dialled: at least one. Those
    /// that may not are left out, as if the name did not have them.
    async fn choose(
        &self,
        policy: &EgressPolicy,
        target: &Target,
        wish: &Wish,
        host: &str,
        attempt: &mut Attempt,
    ) -> Result<Vec<IpAddr>, EgressError> {
        let mut addresses = match target {
            Target::Address(address) => vec![*address],
            Target::Localhost => LOOPBACK.to_vec(),
            Target::Name(name) => self.resolver.lookup(name, host).await?,
        };
        let own = self.own.addresses().map_err(EgressError::Connect)?;
        addresses.retain(|address| policy.admits(*address, &own));
        if addresses.is_empty() {
            // What a name means in the operator's network is told to nobody.
            if let Target::Address(refused) = target {
                attempt.goes_to(SocketAddr::new(*refused, wish.port));
            }
            return Err(EgressError::Refused {
                host: host.to_owned(),
                why: RefusedWhy::NotPublic,
            });
        }
        Ok(addresses)
    }
}

/// Most connections of all nodes together.
fn most_open() -> usize {
    let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return FEW_OPEN;
    };
    let part = usize::try_from(soft / PART_OF_DESCRIPTORS).unwrap_or(usize::MAX);
    part.min(Semaphore::MAX_PERMITS)
}

/// Connects to the first of these addresses that answers.
async fn dial(
    addresses: &[IpAddr],
    port: u16,
    attempt: &mut Attempt,
) -> Result<(TcpStream, SocketAddr), EgressError> {
    let end = Instant::now() + CONNECT_TIME;
    let mut error = EgressError::TimedOut;
    for address in addresses {
        let now = Instant::now();
        if now >= end {
            break;
        }
        let address = SocketAddr::new(*address, port);
        attempt.goes_to(address);
        match timeout_at(end.min(now + ATTEMPT_TIME), TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are written whole; there is nothing to wait for.
                stream.set_nodelay(true).map_err(EgressError::Connect)?;
                return Ok((stream, address));
            }
            Ok(Err(failure)) => error = EgressError::Connect(failure),
            Err(_) => error = EgressError::TimedOut,
        }
    }
    Err(error)
}
