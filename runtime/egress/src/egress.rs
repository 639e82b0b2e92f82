//! One node's way out: its policy, its limits, its records.
//!
//! Owns how many connections the node has and how fast it opens them; the
//! dialling is the [`Dialer`]'s, which all nodes share. Invariant: every
//! connection holds one of the node's permits, and one of the host's, as long as
//! it is there. There is
//! nothing to stop: it may be dropped while connections are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lifecycle::{Clock, Rate, TokenBucket};
use node_types::ProcessId;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::dialer::Dialer;
use crate::error::EgressError;
use crate::policy::EgressPolicy;
use crate::record::{Attempt, EgressLog};

/// How often a record says that the node was too fast.
const BUSY_RECORDS: Rate = Rate {
    burst: 1,
    refill: Duration::from_secs(1),
};

/// How long to wait until fewer of the node's connections are being opened.
const TURN_TIME: Duration = Duration::from_secs(10);

/// How much of the outside one node may have. Beyond that it is told
/// [`EgressError::TooMany`] or [`EgressError::TooFast`] at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressLimits {
    /// Connections open or being opened.
    pub connections: usize,
    /// Of these, being opened; the next wait for a moment. What does not answer
    /// holds few of the turns that all nodes of the host share.
    pub opening: usize,
    /// Attempts to open one, each second.
    pub per_second: u32,
    /// Attempts at once after a quiet time.
    pub burst: u32,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            opening: 8,
            per_second: 32,
            burst: 64,
        }
    }
}

/// A connection that an app wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who wants it.
    pub process: ProcessId,
    /// What for: `http`, `https`, `ws` or `wss`.
    pub scheme: &'static str,
    /// Where to: a name, an IPv4 address, or an IPv6 address in brackets, as a
    /// URL parser gives it.
    pub host: String,
    /// At which port.
    pub port: u16,
    /// With TLS.
    pub tls: bool,
    /// Protocols to offer in TLS, the best first.
    pub alpn: Vec<Vec<u8>>,
}

/// See the module's documentation. Cheap; made when the node starts.
#[derive(Debug)]
pub struct Egress {
    dialer: Arc<Dialer>,
    policy: EgressPolicy,
    log: Arc<dyn EgressLog>,
    clock: Arc<dyn Clock>,
    connections: Arc<Semaphore>,
    opening: Semaphore,
    rate: Mutex<TokenBucket>,
    busy_records: Mutex<TokenBucket>,
    /// Attempts without a record that none has told of yet.
    forgotten: AtomicU64,
}

impl Egress {
    /// The way out of a node.
    #[must_use]
    pub fn new(
        dialer: Arc<Dialer>,
        policy: EgressPolicy,
        limits: EgressLimits,
        log: Arc<dyn EgressLog>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let rate = Rate {
            burst: limits.burst,
            refill: Duration::from_secs(1) / limits.per_second.max(1),
        };
        let now = Instant::now();
        Arc::new(Self {
            dialer,
            policy,
            log,
            clock,
            connections: Arc::new(Semaphore::new(
                limits.connections.min(Semaphore::MAX_PERMITS),
            )),
            opening: Semaphore::new(limits.opening.min(Semaphore::MAX_PERMITS)),
            rate: Mutex::new(TokenBucket::new(rate, now)),
            busy_records: Mutex::new(TokenBucket::new(BUSY_RECORDS, now)),
            forgotten: AtomicU64::new(0),
        })
    }

    /// Resolves the host once, checks, dials a checked address, and speaks TLS
    /// if that is wished. Ends by itself, within three quarters of a minute. Writes
    /// one record whatever comes of it, except that of attempts beyond the
    /// limits only one a second is recorded; the next record of an attempt that
    /// came to nothing says how many were not.
    ///
    /// # Errors
    /// [`EgressError`].
    ///
    /// # Cancel-Safety
    /// May be dropped: nothing is left of the attempt but its record.
    pub async fn connect(&self, wish: &Wish) -> Result<Connection, EgressError> {
        let mut attempt = Attempt::begin(self.log.clone(), wish, self.clock.now());
        match self.open(wish, &mut attempt).await {
            Ok(connection) => {
                attempt.connected();
                Ok(connection)
            }
            Err(error) if error.is_busy() && !self.busy_records.lock().take(Instant::now()) => {
                attempt.forget();
                self.forgotten.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
            Err(error) => {
                attempt.failed(&error, self.forgotten.swap(0, Ordering::Relaxed));
                Err(error)
            }
        }
    }

    async fn open(&self, wish: &Wish, attempt: &mut Attempt) -> Result<Connection, EgressError> {
        if !self.rate.lock().take(Instant::now()) {
            return Err(EgressError::TooFast);
        }
        let Ok(permit) = self.connections.clone().try_acquire_owned() else {
            return Err(EgressError::TooMany);
        };
        let place = self.dialer.place()?;
        let Ok(Ok(_turn)) = timeout(TURN_TIME, self.opening.acquire()).await else {
            return Err(EgressError::TooFast);
        };
        let (stream, address) = self.dialer.open(&self.policy, wish, attempt).await?;
        Ok(Connection::new(stream, address, [permit, place]))
    }
}
