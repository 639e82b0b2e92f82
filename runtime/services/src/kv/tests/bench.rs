//! A key-value module over a store in a temporary directory.

use std::time::Duration;

use lifecycle::queue::{self, Bounds};
use lifecycle::{TaskKind, Tasks};
use node_store::HostStore;
use node_types::{Blob, Edition};
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::*;
use crate::quota::DiskQuota;
use crate::state::StateStore;
use crate::testing::FakePort;

pub(crate) const KV: &str = "kv:distro:sys";
/// A process without an edition of its own: answers follow the request.
pub(crate) const APP: &str = "app:pkg:me.dev";
/// Processes of the same package that were built for a generation each.
pub(crate) const OLD: &str = "old:pkg:me.dev";
pub(crate) const NEW: &str = "new:pkg:me.dev";
/// A process of another package.
pub(crate) const OTHER: &str = "spy:other:you.dev";

pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) host: HostStore,
    pub(crate) port: Arc<FakePort>,
    pub(crate) sent: UnboundedReceiver<KernelMessage>,
    pub(crate) quota: Arc<DiskQuota>,
    pub(crate) kv: Arc<Kv>,
    pub(crate) inbox: queue::Sender<KernelMessage>,
    pub(crate) tasks: Tasks,
}

pub(crate) fn tasks() -> Tasks {
    Tasks::new(
        tokio::runtime::Handle::current(),
        &tokio_util::sync::CancellationToken::new(),
    )
}

/// A request to do `action` with the database `db` of `pkg:me.dev`.
pub(crate) fn body(db: &str, action: &str) -> String {
    let db = serde_json::to_string(db).unwrap();
    format!(
        r#"{{"package_id":{{"package_name":"pkg","publisher_node":"me.dev"}},"db":{db},"action":{action}}}"#
    )
}

pub(crate) fn set(key: &[u8], tx_id: Option<u64>) -> String {
    let (key, tx_id) = (numbers(key), numbers(&tx_id));
    format!(r#"{{"Set":{{"key":{key},"tx_id":{tx_id}}}}}"#)
}

pub(crate) fn delete(key: &[u8], tx_id: Option<u64>) -> String {
    let (key, tx_id) = (numbers(key), numbers(&tx_id));
    format!(r#"{{"Delete":{{"key":{key},"tx_id":{tx_id}}}}}"#)
}

pub(crate) fn get(key: &[u8]) -> String {
    format!(r#"{{"Get":{}}}"#, numbers(key))
}

pub(crate) fn old_get(key: &[u8]) -> String {
    format!(r#"{{"Get":{{"key":{}}}}}"#, numbers(key))
}

pub(crate) fn commit(tx_id: u64) -> String {
    format!(r#"{{"Commit":{{"tx_id":{tx_id}}}}}"#)
}

fn numbers(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap()
}

pub(crate) fn text(message: &KernelMessage) -> String {
    String::from_utf8(message.message.body().to_vec()).unwrap()
}

impl Bench {
    pub(crate) fn new(limit: u64) -> Self {
        Self::with_quota(DiskQuota::new(limit))
    }

    pub(crate) fn with_quota(quota: Arc<DiskQuota>) -> Self {
        Self::start(tempfile::tempdir().unwrap(), FakePort::new("me.dev"), quota)
    }

    /// Ends node and host, and starts them again with the rights that there
    /// were.
    pub(crate) async fn reopen(self) -> Self {
        assert!(self.tasks.shutdown(Duration::from_secs(20)).await);
        self.host.close().await.unwrap();
        let quota = DiskQuota::new(self.quota.limit());
        Self::start(self.dir, (self.port, self.sent), quota)
    }

    fn start(
        dir: tempfile::TempDir,
        (port, sent): (Arc<FakePort>, UnboundedReceiver<KernelMessage>),
        quota: Arc<DiskQuota>,
    ) -> Self {
        // The store outlives the node.
        let host = HostStore::open(dir.path(), &tasks()).unwrap();
        port.set_edition(OLD, Edition::V0_8);
        port.set_edition(NEW, Edition::V1_0);
        let tasks = tasks();
        let states = StateStore::new(host.keyspace(1, 0), quota.clone());
        let kv = Kv::new(port.clone(), states.stored().clone(), tasks.clone());
        let (inbox, receiver) = queue::channel(Bounds {
            items: 100_000,
            cost: usize::MAX,
        });
        tasks.spawn(TaskKind::graceful("kv"), kv.clone().run(receiver));
        Self {
            dir,
            host,
            port,
            sent,
            quota,
            kv,
            inbox,
            tasks,
        }
    }

    pub(crate) fn send(&self, message: KernelMessage) {
        let cost = message.cost();
        self.inbox.try_send(message, cost).unwrap();
    }

    pub(crate) async fn next(&mut self) -> KernelMessage {
        tokio::time::timeout(Duration::from_secs(20), self.sent.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// What `process` is answered: body and blob.
    pub(crate) async fn ask_with(
        &mut self,
        process: &str,
        body: String,
        blob: Option<&[u8]>,
    ) -> (String, Option<Blob>) {
        let message = self.port.request(process, KV, body, blob);
        let id = message.id;
        self.send(message);
        let answer = self.next().await;
        assert_eq!((answer.id, answer.target.process.as_str()), (id, process));
        (text(&answer), answer.lazy_load_blob)
    }

    /// The body of that about the database `db`.
    pub(crate) async fn ask(&mut self, process: &str, action: &str) -> String {
        self.ask_with(process, body("db", action), None).await.0
    }

    /// Sets a value; the body of the answer.
    pub(crate) async fn set(&mut self, process: &str, key: &[u8], value: &[u8]) -> String {
        let body = body("db", &set(key, None));
        self.ask_with(process, body, Some(value)).await.0
    }

    /// The value of `key`, for a process that may read it.
    pub(crate) async fn value(&mut self, process: &str, key: &[u8]) -> Option<Bytes> {
        let answer = self.ask_with(process, body("db", &get(key)), None).await;
        answer.1.map(|blob| blob.bytes)
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self, process: &str) -> u64 {
        let answer = self.ask(process, r#""BeginTx""#).await;
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["BeginTx"]["tx_id"].as_u64().unwrap()
    }
}
