//! What a node has before it sleeps it has after it woke, and once.

use std::time::Duration;

use http_body_util::BodyExt;
use node_api::{
    Alarm, AlarmTime, HttpRequest, NodeHandle, NodeLauncher, Origin, StopReason, TerminalSize, body,
};
use tokio::time::Instant;

use super::guest::{HOUR, never_returns, sets_at_start, sets_when_asked};
use super::*;

/// Seconds that a test takes by the paused clock, which jumps when all wait.
const SLACK: u64 = 20;

fn about(time: Duration, seconds: u64) -> bool {
    time.as_secs().abs_diff(seconds) <= SLACK
}

async fn alarms(host: &Host) -> Vec<AlarmTime> {
    let all = host.launcher.alarms().await.unwrap();
    let due = |alarm: Alarm| {
        assert_eq!(alarm.key, KEY);
        alarm.due
    };
    all.into_iter().map(due).collect()
}

/// When the next timer elapses.
async fn next_tick(events: &mut broadcast::Receiver<NodeEvent>) -> Duration {
    let began = Instant::now();
    assert_eq!(printed(events).await, "tick");
    began.elapsed()
}

/// Whether the node has left something for its next life.
async fn stored(host: &Host) -> bool {
    let keys = host.launcher.store.keyspace(KEY.tenant, KEY.incarnation);
    let left = keys.scan(node_store::Space::Wake, b"rest", None, 9);
    !left.await.unwrap().entries.is_empty()
}

/// The app has bound `/page`.
async fn has_page(node: &Node) {
    binds(node, "/page", "static");
    // The module takes it in its turn.
    while page(node).await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn page(node: &Node) -> (u16, Bytes) {
    let request = HttpRequest::new(body(""));
    let (mut head, content) = request.into_parts();
    head.uri = format!("/{APP}/page").parse().unwrap();
    let request = HttpRequest::from_parts(head, content);
    let answer = node.http(request, Origin::Public).await;
    let status = answer.status().as_u16();
    (
        status,
        answer.into_body().collect().await.unwrap().to_bytes(),
    )
}

#[tokio::test(start_paused = true)]
async fn an_hourly_timer_elapses_each_hour_however_often_its_node_sleeps() {
    let host = Host::new(sets_at_start()).await;
    let mut left = HOUR / 1000;
    for _ in 0..3 {
        let node = host.boot().await;
        assert_eq!(alarms(&host).await, [AlarmTime::Interrupted]);
        host.pass(300).await;
        left -= 300;
        let rest = node.stop(StopReason::Idle).await;
        assert!(about(rest.wake_in.unwrap(), left), "{rest:?}");
        assert_eq!(node.stop(StopReason::Idle).await, rest);
        let [AlarmTime::At(at)] = alarms(&host).await[..] else {
            panic!("it is to be woken");
        };
        let wait = at - lifecycle::Clock::now(&host.clock);
        assert!(about(wait.unsigned_abs(), left), "{wait}");
        // Somebody uses it in the meantime.
        host.clock.advance(600);
        left -= 600;
    }
    let node = host.boot().await;
    let mut events = events(&node);
    let tick = next_tick(&mut events).await;
    assert!(about(tick, left), "{tick:?} instead of {left}");
    // One chain of timers, not one for each wake.
    for _ in 0..3 {
        let tick = next_tick(&mut events).await;
        assert!(about(tick, HOUR / 1000), "{tick:?}");
    }
    // Asleep beyond its time it is overdue, and elapses at once.
    let rest = node.stop(StopReason::HostRestart).await;
    assert!(about(rest.wake_in.unwrap(), HOUR / 1000), "{rest:?}");
    host.clock.advance(2 * 3600);
    let node = host.boot().await;
    let tick = next_tick(&mut super::events(&node)).await;
    assert!(about(tick, 0), "{tick:?}");
    node.stop(StopReason::Owner).await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_set_later_is_set_again_by_the_host() {
    let host = Host::new(sets_when_asked()).await;
    let node = host.boot().await;
    let mut prints = events(&node);
    node.kernel.send_from_module(to_app(&node));
    assert_eq!(printed(&mut prints).await, "here");
    host.pass(600).await;
    node.stop(StopReason::Idle).await;
    host.clock.advance(600);

    let node = host.boot().await;
    let tick = next_tick(&mut events(&node)).await;
    assert!(about(tick, 2400), "{tick:?}");
    // It is done: nothing is left to wake for.
    let rest = node.stop(StopReason::HostShutdown).await;
    assert_eq!(rest.wake_in, None);
    assert_eq!(alarms(&host).await, []);
}

#[tokio::test(start_paused = true)]
async fn what_the_owner_ends_is_over() {
    let host = Host::new(sets_when_asked()).await;
    let node = host.boot().await;
    let mut prints = events(&node);
    node.kernel.send_from_module(to_app(&node));
    assert_eq!(printed(&mut prints).await, "here");
    has_page(&node).await;
    node.stop(StopReason::Idle).await;

    // Kept over a sleep, although nobody binds it again.
    assert!(stored(&host).await);
    let node = host.boot().await;
    assert!(
        !stored(&host).await,
        "a host that dies now leaves nothing old"
    );
    assert_eq!(page(&node).await, (200, "static".into()));
    let rest = node.stop(StopReason::Owner).await;
    assert_eq!(rest.wake_in, None);
    assert_eq!(alarms(&host).await, []);
    assert!(!stored(&host).await);

    let node = host.boot().await;
    assert_eq!(page(&node).await.0, 404);
    let rest = node.stop(StopReason::Idle).await;
    assert_eq!(rest.wake_in, None);
}

#[tokio::test(start_paused = true)]
async fn a_purged_tenant_is_not_woken() {
    let host = Host::new(sets_at_start()).await;
    let node = host.boot().await;
    host.pass(1).await;
    node.stop(StopReason::Idle).await;
    assert_eq!(alarms(&host).await.len(), 1);
    host.launcher.purge(KEY, &[]).await.unwrap();
    assert_eq!(alarms(&host).await, []);
}

/// With real time, since the guest is never idle.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_never_returns_is_ended_and_keeps_its_timer() {
    let host = Host::new(never_returns()).await;
    let node = host.boot().await;
    let mut prints = events(&node);
    // The first print may have been before.
    let _ = tokio::time::timeout(Duration::from_secs(1), printed(&mut prints)).await;
    let began = Instant::now();
    let rest = node.stop(StopReason::Idle).await;
    assert!(began.elapsed() < Duration::from_secs(2), "it was cut off");
    assert!(about(rest.wake_in.unwrap(), HOUR / 1000), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_stopped_node_is_left_in_memory() {
    for app in [sets_at_start(), never_returns()] {
        let host = Host::new(app).await;
        let node = host.boot().await;
        has_page(&node).await;
        let terminal = node.open_terminal(TerminalSize::default()).await.unwrap();
        assert_eq!(node.idle_for(), Duration::ZERO);
        let kernel = std::sync::Arc::downgrade(&node.kernel);
        let http = std::sync::Arc::downgrade(&node.http);
        let shell = std::sync::Arc::downgrade(&node.terminal);
        node.stop(StopReason::Idle).await;
        drop(terminal);
        drop(node);
        // The host's supervisor lets go of it once it has seen the end.
        let limit = Instant::now() + Duration::from_secs(10);
        while kernel.strong_count() + http.strong_count() + shell.strong_count() > 0 {
            assert!(Instant::now() < limit, "something holds on to the node");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_terminal_keeps_its_node_awake() {
    let host = Host::new(sets_when_asked()).await;
    let node = host.boot().await;
    let terminal = node.open_terminal(TerminalSize::default()).await.unwrap();
    host.pass(600).await;
    assert_eq!(node.idle_for(), Duration::ZERO);
    drop(terminal);
    host.pass(60).await;
    let idle = node.idle_for();
    assert!(about(idle, 60), "{idle:?}");
    node.stop(StopReason::Owner).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_node_has_on_disk_is_known_after_its_stop() {
    let host = Host::new(sets_when_asked()).await;
    let kept = async || host.launcher.kept_disk(KEY).await.unwrap();
    assert_eq!(kept().await, None);
    let node = host.boot().await;
    let state = Bytes::from_static(&[7; 5000]);
    node.kernel.states.set(&app(), state).await.unwrap();
    while !node.kernel.quota.is_counted() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let disk = node.usage().disk();
    assert!(disk.state_bytes >= 5000, "{disk:?}");
    assert_eq!(node.usage().disk_bytes, disk.total());
    let rest = node.stop(StopReason::Owner).await;
    assert_eq!(rest.disk, Some(disk));
    assert_eq!(kept().await, Some(disk));

    // It stays while the node runs, and until the stores are counted again.
    let node = host.boot().await;
    node.bed.keep_disk(None).await;
    assert_eq!(kept().await, Some(disk));
    node.stop(StopReason::Idle).await;
    host.launcher.purge(KEY, &[]).await.unwrap();
    assert_eq!(kept().await, None);
}
