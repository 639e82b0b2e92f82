use std::time::Duration;

use lifecycle::Tasks;
use node_store::{HostStore, StoreError};
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::MAX_STATE_BYTES;
use super::*;
use crate::quota::{DiskQuota, Store, WriteRate};
use crate::testing::FakePort;

const APP: &str = "app:pkg:me.dev";

struct Bench {
    _dir: tempfile::TempDir,
    host: HostStore,
    store: StateStore,
    quota: Arc<DiskQuota>,
    port: Arc<FakePort>,
    sent: UnboundedReceiver<KernelMessage>,
    state: Arc<State>,
}

fn bench(limit: u64) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let token = tokio_util::sync::CancellationToken::new();
    let tasks = Tasks::new(tokio::runtime::Handle::current(), &token);
    let host = HostStore::open(dir.path(), &tasks).unwrap();
    let quota = DiskQuota::new(limit);
    let store = StateStore::new(host.keyspace(1, 0), quota.clone());
    let (port, sent) = FakePort::new("me.dev");
    let state = State::new(port.clone(), store.clone(), tasks);
    Bench {
        _dir: dir,
        host,
        store,
        quota,
        port,
        sent,
        state,
    }
}

impl Bench {
    /// What `source` is answered: body and blob.
    async fn ask(
        &mut self,
        source: &str,
        body: &str,
        blob: Option<&[u8]>,
    ) -> (String, Option<Blob>) {
        let message = self
            .port
            .request(source, "state:distro:sys", body.to_owned(), blob);
        self.state.handle(&message).await;
        let answer = self.sent.try_recv().unwrap();
        assert_eq!(answer.id, message.id);
        let body = String::from_utf8(answer.message.body().to_vec()).unwrap();
        (body, answer.lazy_load_blob)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_saves_reads_and_forgets_its_own_state_only() {
    let mut bench = bench(1 << 20);
    let get = format!(r#"{{"GetState":"{APP}"}}"#);
    let set = format!(r#"{{"SetState":"{APP}"}}"#);
    let delete = format!(r#"{{"DeleteState":"{APP}"}}"#);
    let missing = format!(r#"{{"Err":{{"NotFound":{{"process_id":"{APP}"}}}}}}"#);
    assert_eq!(bench.ask(APP, &get, None).await.0, missing);
    assert_eq!(bench.ask(APP, &set, Some(b"one")).await.0, r#""SetState""#);
    let (body, blob) = bench.ask(APP, &get, None).await;
    assert_eq!(body, r#""GetState""#);
    assert_eq!(blob.unwrap().bytes, "one");
    assert_eq!(
        bench.ask(APP, &set, None).await.0,
        r#"{"Err":{"BadBytes":{"action":"SetState"}}}"#
    );

    for body in [&get, &set, &delete] {
        let (answer, blob) = bench.ask("other:pkg:me.dev", body, Some(b"x")).await;
        assert!(answer.contains("BadRequest") && blob.is_none(), "{answer}");
    }
    let (_, blob) = bench.ask("kernel:distro:sys", &get, None).await;
    assert_eq!(blob.unwrap().bytes, "one");
    assert_eq!(bench.ask(APP, &delete, None).await.0, r#""DeleteState""#);
    assert_eq!(bench.ask(APP, &get, None).await.0, missing);
    assert!(bench.ask(APP, "{", None).await.0.contains("BadJson"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_nodes_are_ignored_and_nobody_is_answered_unasked() {
    let mut bench = bench(1 << 20);
    let set = format!(r#"{{"SetState":"{APP}"}}"#);
    let mut remote = bench
        .port
        .request(APP, "state:distro:sys", set.clone(), Some(b"evil"));
    remote.source.node = "stranger.dev".parse().unwrap();
    bench.state.handle(&remote).await;
    let mut silent = bench
        .port
        .request(APP, "state:distro:sys", set, Some(b"good"));
    if let Message::Request(request) = &mut silent.message {
        request.expects_response = None;
    }
    bench.state.handle(&silent).await;
    assert!(bench.sent.try_recv().is_err());
    let saved = bench.store.get(&APP.parse().unwrap()).await.unwrap();
    assert_eq!(saved.unwrap(), "good");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_bounded_by_size_and_quota_and_reads_go_on() {
    let bench = bench(10_000);
    let app = APP.parse().unwrap();
    bench.store.set(&app, vec![1; 9_000].into()).await.unwrap();
    let used = bench.quota.used();
    assert!((9_000..9_100).contains(&used), "{used}");
    let other = "other:pkg:me.dev".parse().unwrap();
    let denied = bench.store.set(&other, vec![1; 2_000].into()).await;
    assert!(matches!(denied, Err(StateError::Quota(_))), "{denied:?}");
    assert_eq!(bench.quota.used(), used);
    assert_eq!(bench.store.get(&app).await.unwrap().unwrap().len(), 9_000);
    bench.store.set(&app, vec![2; 9_000].into()).await.unwrap();
    bench.store.set(&app, vec![2; 10].into()).await.unwrap();
    bench
        .store
        .set(&other, vec![1; 2_000].into())
        .await
        .unwrap();
    bench.store.delete(&other).await.unwrap();
    bench.store.delete(&app).await.unwrap();
    assert_eq!(bench.quota.used(), 0);
    let large = bench.store.set(&app, vec![0; MAX_STATE_BYTES + 1].into());
    assert!(matches!(large.await, Err(StateError::TooLarge(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_answered_once_the_state_is_on_disk_and_holds_up_nobody() {
    let mut bench = bench(1 << 20);
    let (inbox, receiver) = lifecycle::queue::channel(lifecycle::queue::Bounds {
        items: 10,
        cost: 1 << 20,
    });
    let token = tokio_util::sync::CancellationToken::new();
    Tasks::new(tokio::runtime::Handle::current(), &token).spawn(
        lifecycle::TaskKind::graceful("state"),
        bench.state.clone().run(receiver),
    );
    let body = r#""Backup""#.to_owned();
    let backup = bench
        .port
        .request(APP, "state:distro:sys", body.clone(), None);
    let get = r#"{"GetState":"other:pkg:me.dev"}"#.to_owned();
    let other = bench
        .port
        .request("other:pkg:me.dev", "state:distro:sys", get, None);
    inbox.try_send(backup.clone(), 0).unwrap();
    inbox.try_send(other.clone(), 0).unwrap();
    let answers = [bench.sent.recv().await, bench.sent.recv().await].map(Option::unwrap);
    assert_eq!([answers[0].id, answers[1].id], [other.id, backup.id]);
    assert_eq!(answers[1].message.body(), body.as_bytes());

    bench.host.close().await.unwrap();
    let (answer, _) = bench.ask(APP, &body, None).await;
    let wanted = r#"{"Err":{"RocksDBError":{"action":"Backup","error":"#;
    assert!(answer.starts_with(wanted), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_counts_as_state_and_is_written_at_the_rate_of_the_plan() {
    let dir = tempfile::tempdir().unwrap();
    let token = tokio_util::sync::CancellationToken::new();
    let tasks = Tasks::new(tokio::runtime::Handle::current(), &token);
    let host = HostStore::open(dir.path(), &tasks).unwrap();
    let quota = DiskQuota::with_rate(1 << 20, WriteRate::per_second(20_000));
    let store = StateStore::new(host.keyspace(1, 0), quota.clone());
    let app = APP.parse().unwrap();
    let start = tokio::time::Instant::now();
    for size in [80_000, 20_000] {
        store.set(&app, vec![1; size].into()).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(900));
    assert_eq!(quota.slowed(), 1);
    assert_eq!(quota.used_by(Store::State), quota.used());
    assert!(quota.used() >= 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_earlier_lives_saved_is_charged_once() {
    let bench = bench(10_000);
    let app = APP.parse().unwrap();
    bench.store.set(&app, vec![1; 5_000].into()).await.unwrap();
    let quota = DiskQuota::new(10_000);
    let again = StateStore::new(bench.host.keyspace(1, 0), quota.clone());
    again.count().await.unwrap();
    again.count().await.unwrap();
    assert_eq!(quota.used(), bench.quota.used());

    let close = tokio::time::timeout(Duration::from_secs(10), bench.host.close());
    close.await.unwrap().unwrap();
    assert_eq!(
        again.get(&app).await,
        Err(StateError::Store(StoreError::Closed))
    );
}
