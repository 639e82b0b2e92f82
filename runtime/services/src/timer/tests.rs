use std::time::Duration;

use lifecycle::queue::{self, Bounds};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::ProcessExit;
use crate::testing::FakePort;

const APP: &str = "app:pkg:me.dev";
const TIMER: &str = "timer:distro:sys";

struct Bench {
    port: Arc<FakePort>,
    sent: UnboundedReceiver<KernelMessage>,
    inbox: queue::Sender<KernelMessage>,
    timer: Arc<Timer>,
    tasks: lifecycle::Tasks,
}

fn bench() -> Bench {
    let (port, sent) = FakePort::new("me.dev");
    let timer = Timer::new(port.clone());
    let (inbox, receiver) = queue::channel(Bounds {
        items: 200_000,
        cost: usize::MAX,
    });
    let tasks = lifecycle::Tasks::new(
        tokio::runtime::Handle::current(),
        &tokio_util::sync::CancellationToken::new(),
    );
    tasks.spawn(
        lifecycle::TaskKind::abortable("timer"),
        timer.clone().run(receiver),
    );
    Bench {
        port,
        sent,
        inbox,
        timer,
        tasks,
    }
}

impl Bench {
    fn set(&self, who: &str, millis: u64) -> MessageId {
        let body = format!("{{\"SetTimer\":{millis}}}");
        let message = self.port.request(who, TIMER, body, None);
        let id = message.id;
        self.inbox.try_send(message, 0).unwrap();
        id
    }
}

#[tokio::test(start_paused = true)]
async fn timers_answer_in_the_order_they_elapse_with_an_empty_body() {
    let mut bench = bench();
    let start = Instant::now();
    let late = bench.set(APP, 5_000);
    let soon = bench.set(APP, 20);
    let now = bench.set(APP, 0);
    for (wanted, millis) in [(now, 0), (soon, 20), (late, 5_000)] {
        let answer = bench.sent.recv().await.unwrap();
        let elapsed = start.elapsed().as_millis();
        assert_eq!(answer.id, wanted);
        // The clock of sleeps has steps of a millisecond; what is due takes none.
        let late = if millis == 0 { 1 } else { 3 };
        assert!((millis..millis + late).contains(&elapsed), "{elapsed}");
        assert_eq!(answer.target.process.as_str(), APP);
        assert_eq!(
            answer.message,
            Message::Response(Response::default(), None),
            "an empty answer that inherits nothing"
        );
        assert_eq!(answer.lazy_load_blob, None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_earliest_deadline_is_known() {
    let mut bench = bench();
    assert_eq!(bench.timer.next_deadline(), None);
    let start = Instant::now();
    bench.set(APP, u64::MAX);
    bench.set(APP, 60_000);
    bench.set(APP, 0);
    bench.sent.recv().await.unwrap();
    while bench.timer.next_deadline() != Some(start + Duration::from_secs(60)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn other_nodes_and_nonsense_set_nothing() {
    let mut bench = bench();
    let mut remote = bench.port.request(APP, TIMER, r#"{"SetTimer":0}"#, None);
    remote.source.node = "stranger.dev".parse().unwrap();
    bench.inbox.try_send(remote, 0).unwrap();
    let nonsense = bench.port.request(APP, TIMER, "{", None);
    bench.inbox.try_send(nonsense, 0).unwrap();
    let ours = bench.set(APP, 0);
    assert_eq!(bench.sent.recv().await.unwrap().id, ours);
    assert!(bench.sent.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_process_is_bounded_and_told_once_and_others_go_on() {
    let mut bench = bench();
    for _ in 0..MAX_PER_PROCESS + 10 {
        bench.set(APP, 1_000);
    }
    let other = bench.set("other:pkg:me.dev", 0);
    assert_eq!(bench.sent.recv().await.unwrap().id, other);
    let complaints = bench.port.prints();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].2.contains(APP), "{complaints:?}");
    for _ in 0..MAX_PER_PROCESS {
        bench.sent.recv().await.unwrap();
    }
    let again = bench.set(APP, 1);
    assert_eq!(bench.sent.recv().await.unwrap().id, again);
}

#[tokio::test(start_paused = true)]
async fn timers_end_with_their_process() {
    let mut bench = bench();
    bench.set(APP, 1_000);
    let other = bench.set("other:pkg:me.dev", 2_000);
    while bench.timer.next_deadline().is_none() || !bench.inbox.is_empty() {
        tokio::task::yield_now().await;
    }
    bench.port.emit(NodeEvent::Exited {
        process: APP.parse().unwrap(),
        exit: ProcessExit::Killed,
    });
    assert_eq!(bench.sent.recv().await.unwrap().id, other);
    assert!(bench.sent.try_recv().is_err());
}

#[tokio::test]
async fn a_hundred_thousand_timers_are_cheap_and_end_with_the_module() {
    let mut bench = bench();
    let start = Instant::now();
    for process in 0..10 {
        for number in 0..10_000 {
            bench.set(&format!("p{process}:pkg:me.dev"), 100 + number % 100);
        }
    }
    for _ in 0..100_000 {
        bench.sent.recv().await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{start:?}");
    assert_eq!(bench.tasks.len(), 1, "one task for all timers");
    drop(bench.inbox);
}
