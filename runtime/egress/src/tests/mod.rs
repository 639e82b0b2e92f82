//! The way out against real sockets: a name server that says what the test
//! wants, and servers that count who comes.

mod dns;
mod limits;
mod reach;
mod spelling;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifecycle::{ManualClock, TaskKind, Tasks, Timestamp};
use node_api::EgressRecord;
use node_types::ProcessId;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::dialer::Dialer;
use crate::egress::{Egress, EgressLimits, Wish};
use crate::own::Own;
use crate::policy::EgressPolicy;
use crate::record::EgressLog;
use crate::resolver::Resolver;
use crate::tls::Tls;

/// Keeps what is written.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<EgressRecord>>);

impl EgressLog for Log {
    fn write(&self, record: EgressRecord) {
        self.0.lock().push(record);
    }
}

/// Owns the tasks of a test.
fn tasks() -> Tasks {
    Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new())
}

/// A node and what it has written.
struct Node {
    egress: Arc<Egress>,
    log: Arc<Log>,
}

#[derive(Default)]
struct Setup<'a> {
    allow: &'a [&'a str],
    name_server: Option<SocketAddr>,
    limits: EgressLimits,
    own: Option<&'a [&'a str]>,
    tls: Tls,
}

impl Setup<'_> {
    fn build(self) -> Node {
        let unused = SocketAddr::from(([127, 0, 0, 1], 9));
        let resolver = Resolver::new(&[self.name_server.unwrap_or(unused)]).unwrap();
        let own = match self.own {
            Some(own) => Own::fixed(own.iter().map(|own| own.parse().unwrap()).collect()),
            None => Own::default(),
        };
        let log = Arc::new(Log::default());
        let clock = ManualClock::default();
        clock.advance(1000);
        let egress = Egress::new(
            Arc::new(Dialer::with(resolver, self.tls, own)),
            EgressPolicy {
                allow: self
                    .allow
                    .iter()
                    .map(|allow| allow.parse().unwrap())
                    .collect(),
            },
            self.limits,
            log.clone(),
            Arc::new(clock),
        );
        Node { egress, log }
    }
}

impl Node {
    fn new(allow: &[&str]) -> Self {
        let allow = allow.to_vec();
        Setup {
            allow: &allow,
            ..Setup::default()
        }
        .build()
    }

    fn asking(name_server: SocketAddr, allow: &[&str]) -> Self {
        Setup {
            allow,
            name_server: Some(name_server),
            ..Setup::default()
        }
        .build()
    }

    async fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> Result<crate::Connection, crate::EgressError> {
        self.egress.connect(&wish(host, port)).await
    }

    /// The records since the last call.
    fn records(&self) -> Vec<EgressRecord> {
        std::mem::take(&mut *self.log.0.lock())
    }

    /// The one record since the last call.
    fn record(&self) -> EgressRecord {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }
}

fn wish(host: &str, port: u16) -> Wish {
    Wish {
        process: ProcessId::new("fetch", "app", "someone.os").unwrap(),
        scheme: "http",
        host: host.to_owned(),
        port,
        tls: false,
        alpn: Vec::new(),
    }
}

/// The time of every record.
fn time() -> Timestamp {
    Timestamp::UNIX_EPOCH + time::Duration::seconds(1000)
}

/// Accepts and counts.
struct Listener {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Listener {
    async fn new(tasks: &Tasks, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        tasks.spawn(TaskKind::abortable("listener"), async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                kept.push(stream);
            }
        });
        Self { address, accepted }
    }

    /// How many have come. Whoever connects is done before the other side has
    /// accepted, so this dials itself and waits for that: what came before is
    /// accepted before.
    async fn count(&self) -> usize {
        let before = self.accepted.load(Ordering::SeqCst);
        let _last = tokio::net::TcpStream::connect(self.address).await.unwrap();
        loop {
            tokio::task::yield_now().await;
            let now = self.accepted.load(Ordering::SeqCst);
            if now > before {
                // Let the listener take whatever else is in its queue.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                let all = self.accepted.fetch_sub(1, Ordering::SeqCst);
                return all - 1;
            }
        }
    }
}
