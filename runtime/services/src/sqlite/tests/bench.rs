//! Databases in a temporary directory, asked by messages.

use lifecycle::TaskKind;
use lifecycle::queue::{self, Bounds};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::*;
use crate::database::{DbKey, Kind};
use crate::quota::Store;
use crate::testing::FakePort;

pub(super) const APP: &str = "app:pkg:me.dev";
/// Of the package of [`APP`], and of the generation up to 0.9.
pub(super) const OLD: &str = "old:pkg:me.dev";
/// Of another package.
pub(super) const OTHER: &str = "spy:other:you.dev";
pub(super) const SQLITE: &str = "sqlite:distro:sys";
pub(super) const MIB: u64 = 1 << 20;

pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) port: Arc<FakePort>,
    pub(super) sent: UnboundedReceiver<KernelMessage>,
    pub(super) quota: Arc<DiskQuota>,
    pub(super) sqlite: Arc<Sqlite>,
    pub(super) tasks: Tasks,
    pub(super) inbox: queue::Sender<KernelMessage>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::with(dir, 256 * MIB, Limits::default())
    }

    /// Over the databases of an earlier life, if there are any in `dir`.
    pub(super) fn with(dir: tempfile::TempDir, quota: u64, limits: Limits) -> Self {
        let (port, sent) = FakePort::new("me.dev");
        port.set_edition(APP, node_types::Edition::V1_0);
        port.set_edition(OLD, node_types::Edition::V0_8);
        let quota = DiskQuota::new(quota).of(Store::Sqlite);
        let tasks = Tasks::new(
            tokio::runtime::Handle::current(),
            &tokio_util::sync::CancellationToken::new(),
        );
        let options = Options {
            root: dir.path().join("sqlite"),
            quota: quota.clone(),
            limits,
            turns: Arc::new(tokio::sync::Semaphore::new(
                super::super::CONCURRENT_ON_HOST,
            )),
        };
        let sqlite = Sqlite::new(options, port.clone(), tasks.clone());
        let (inbox, received) = queue::channel(Bounds {
            items: 10_000,
            cost: usize::MAX,
        });
        tasks.spawn(TaskKind::graceful("sqlite"), sqlite.clone().run(received));
        Self {
            dir,
            port,
            sent,
            quota,
            sqlite,
            tasks,
            inbox,
        }
    }

    /// A request of `who` about the database `notes` of the package of [`APP`].
    pub(super) fn request(&self, who: &str, action: &Value, params: Option<&str>) -> KernelMessage {
        let body = json!({
            "package_id": {"package_name": "pkg", "publisher_node": "me.dev"},
            "db": "notes",
            "action": action,
        });
        let params = params.map(str::as_bytes);
        self.port.request(who, SQLITE, body.to_string(), params)
    }

    pub(super) fn send(&self, message: KernelMessage) {
        self.inbox.try_send(message, 0).unwrap();
    }

    pub(super) async fn next(&mut self) -> KernelMessage {
        tokio::time::timeout(Duration::from_secs(30), self.sent.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&mut self, who: &str, action: Value, params: Option<&str>) -> Value {
        let request = self.request(who, &action, params);
        self.send(request);
        body(&self.next().await)
    }

    pub(super) async fn ok(&mut self, who: &str, action: Value, params: Option<&str>) {
        let shown = action.to_string();
        assert_eq!(self.ask(who, action, params).await, "Ok", "{shown}");
    }

    /// Rows of a query, in the shape of either generation.
    pub(super) async fn rows(&mut self, who: &str, sql: &str) -> Value {
        let action = if who == OLD {
            json!({"Read": {"query": sql}})
        } else {
            json!({ "Query": sql })
        };
        let request = self.request(who, &action, None);
        self.send(request);
        let answer = self.next().await;
        assert_eq!(body(&answer), "Read", "{sql}");
        let blob = answer.lazy_load_blob.unwrap();
        assert_eq!(blob.mime.as_deref(), Some("application/octet-stream"));
        serde_json::from_slice(&blob.bytes).unwrap()
    }

    /// Gives `who` one right to `notes`, as its owner can.
    pub(super) fn give(&self, who: &str, kind: Kind) {
        let kind = match kind {
            Kind::Read => "read",
            Kind::Write => "write",
        };
        let package = json!({"package_name": "pkg", "publisher_node": "me.dev"});
        let params = json!({"kind": kind, "db_key": [package, "notes"]});
        let issuer = self.port.address(SQLITE);
        let capability = node_types::Capability::new(issuer, params.to_string());
        self.port.grant(&who.parse().unwrap(), capability);
    }

    /// The key of `notes`.
    pub(super) fn key(&self) -> DbKey {
        DbKey::parse(&"pkg:me.dev".parse().unwrap(), "notes").unwrap()
    }
}

pub(super) fn body(message: &KernelMessage) -> Value {
    serde_json::from_slice(message.message.body()).unwrap()
}

pub(super) fn write(sql: &str) -> Value {
    json!({"Write": {"statement": sql, "tx_id": null}})
}

pub(super) fn write_in(tx: u64, sql: &str) -> Value {
    json!({"Write": {"statement": sql, "tx_id": tx}})
}
