//! A log from prints to pages, on a real disk and with a clock moved by hand.

use lifecycle::ManualClock;
use node_api::{LogPage, LogPlace, LogQuery, NodeLogs};
use node_types::ProcessId;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::*;

const PLENTY: Allowance = Allowance {
    burst: 1 << 30,
    per_second: 1 << 30,
    reserve: 0,
};

struct Bench {
    home: tempfile::TempDir,
    files: Arc<LogFiles>,
    clock: ManualClock,
    events: broadcast::Sender<NodeEvent>,
    log: NodeLog,
}

fn tasks() -> Tasks {
    Tasks::new(Handle::current(), &CancellationToken::new())
}

impl Bench {
    fn start(allowance: Allowance, file_bytes: u64, kept_events: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self::in_home(home, allowance, file_bytes, kept_events)
    }

    fn in_home(home: tempfile::TempDir, allowance: Allowance, bytes: u64, events: usize) -> Self {
        let events = broadcast::Sender::new(events);
        let files = LogFiles::new(tasks());
        let clock = ManualClock::default();
        let parts = LogParts {
            dir: home.path().join("log"),
            events: events.subscribe(),
            clock: Arc::new(clock.clone()),
            files: files.clone(),
        };
        Self {
            log: NodeLog::with(parts, tasks(), allowance, bytes),
            home,
            files,
            clock,
            events,
        }
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("log")
    }

    fn print(&self, verbosity: u8, text: &str) {
        let source = ProcessId::new("app", "pack", "me.dev").unwrap();
        let text = text.into();
        let event = NodeEvent::Print {
            source,
            about: None,
            verbosity,
            text,
        };
        self.events.send(event).unwrap();
    }

    async fn read(&self, verbosity: u8, limit: usize, place: LogPlace) -> LogPage {
        let query = LogQuery {
            verbosity,
            limit,
            place,
        };
        self.files.read(&self.dir(), query).await.unwrap()
    }

    async fn texts(&self) -> Vec<String> {
        let page = self.read(3, usize::MAX, LogPlace::Newest).await;
        page.records.into_iter().map(|record| record.text).collect()
    }

    fn bytes(&self) -> u64 {
        let size = |name| std::fs::metadata(self.dir().join(name)).map_or(0, |file| file.len());
        size(read::CURRENT) + size(read::PREVIOUS)
    }
}

#[tokio::test]
async fn what_is_printed_is_there_with_time_and_source_and_followers_are_told() {
    let bench = Bench::start(PLENTY, 1 << 20, 64);
    let mut grown = bench.files.changes(&bench.dir());
    let other = bench.files.changes(std::path::Path::new("another"));
    bench.clock.advance(90);
    bench.print(0, "hello\n");
    bench.print(2, "chatter");
    grown.changed().await.unwrap();
    assert!(!other.has_changed().unwrap());
    let page = bench.read(1, 10, LogPlace::Newest).await;
    assert_eq!((page.records.len(), page.newest), (1, 2));
    let record = &page.records[0];
    assert_eq!(record.source, "app:pack:me.dev");
    assert_eq!((record.text.as_str(), record.verbosity), ("hello", 0));
    assert_eq!(record.time.unix_timestamp(), 90);
    assert_eq!(bench.texts().await, ["hello", "chatter"]);
}

#[tokio::test]
async fn closing_writes_what_was_printed_until_then_and_numbers_go_on() {
    let bench = Bench::start(PLENTY, 1 << 20, 64);
    bench.print(0, "one");
    bench.log.close().await;
    assert_eq!(bench.texts().await, ["one"]);
    // As after a crash in the middle of a line.
    let current = bench.dir().join(read::CURRENT);
    let mut text = std::fs::read(&current).unwrap();
    text.extend(br#"{"number":2,"time":"20"#);
    std::fs::write(&current, text).unwrap();
    assert_eq!(bench.texts().await, ["one"]);
    let bench = Bench::in_home(bench.home, PLENTY, 1 << 20, 64);
    bench.print(0, "two");
    bench.log.close().await;
    let page = bench.read(0, 10, LogPlace::Newest).await;
    let numbers: Vec<u64> = page.records.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(bench.texts().await, ["one", "two"]);
}

#[tokio::test]
async fn two_files_bound_the_size_and_pages_lead_through_both() {
    const FILE: u64 = 4096;
    let bench = Bench::start(PLENTY, FILE, 1024);
    for number in 0..200 {
        bench.print(0, &format!("line {number}"));
    }
    bench.log.close().await;
    assert!(bench.bytes() > FILE && bench.bytes() <= 2 * FILE);
    let all = bench.read(3, usize::MAX, LogPlace::Newest).await;
    assert_eq!((all.newest, all.more), (200, false));
    assert_eq!(all.records.last().unwrap().text, "line 199");
    // Backwards in pages, and forwards from the first that is kept.
    let mut place = LogPlace::Newest;
    let mut pages = Vec::new();
    loop {
        let page = bench.read(3, 7, place).await;
        place = LogPlace::Before(page.records[0].number);
        pages.splice(0..0, page.records);
        if !page.more {
            break;
        }
    }
    assert_eq!(pages, all.records);
    let first = all.records[0].number;
    assert!(first > 1, "the oldest are gone");
    let after = bench.read(3, 7, LogPlace::After(first)).await;
    assert_eq!(after.records, all.records[1..8]);
    assert!(after.more && after.missing == 0);
    let missed = bench.read(3, usize::MAX, LogPlace::After(1)).await;
    assert_eq!(
        (missed.records.len(), missed.missing),
        (all.records.len(), first - 2)
    );
    assert!(
        bench
            .read(3, 9, LogPlace::After(200))
            .await
            .records
            .is_empty()
    );
}

#[tokio::test]
async fn a_flood_is_cut_short_with_a_count_and_leaves_room_for_what_matters() {
    let allowance = Allowance {
        burst: 4000,
        per_second: 0,
        reserve: 2000,
    };
    let bench = Bench::start(allowance, 1 << 20, 1024);
    for _ in 0..500 {
        bench.print(3, "noise");
    }
    bench.print(0, "signal");
    for _ in 0..500 {
        bench.print(0, "flood");
    }
    bench.log.close().await;
    let texts = bench.texts().await;
    let count = |text: &str| texts.iter().filter(|line| *line == text).count();
    assert_eq!(count("signal"), 1);
    assert!((5..20).contains(&count("noise")) && (5..20).contains(&count("flood")));
    let missing = 1000 - count("noise") - count("flood");
    let note =
        format!("[{missing} prints are missing here: there were more than the log could take]");
    assert_eq!(texts.last(), Some(&note));
    assert!(bench.bytes() < 8000);
}

#[tokio::test]
async fn events_that_came_too_fast_are_counted() {
    let bench = Bench::start(PLENTY, 1 << 20, 4);
    // The writer does not get to run in between.
    for number in 0..10 {
        bench.print(0, &format!("line {number}"));
    }
    bench.log.close().await;
    let texts = bench.texts().await;
    assert_eq!(texts[..4], ["line 6", "line 7", "line 8", "line 9"]);
    assert!(
        texts[4].starts_with("[6 prints are missing here"),
        "{texts:?}"
    );
}

#[tokio::test]
async fn hostile_text_stays_one_harmless_record() {
    let bench = Bench::start(PLENTY, 1 << 20, 64);
    let forged = "a\n{\"number\":9,\"time\":\"1970-01-01T00:00:00Z\",\"verbosity\":0,\"source\":\"x\",\"text\":\"y\"}";
    bench.print(0, forged);
    bench.print(
        0,
        "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[31mred\x1b[0m\r\u{9b}1A</script>",
    );
    bench.print(0, &"é".repeat(MAX_TEXT));
    bench.log.close().await;
    let texts = bench.texts().await;
    assert_eq!(texts.len(), 3);
    assert_eq!(texts[0], forged);
    assert_eq!(texts[1], "\x1b[31mred\x1b[0m</script>");
    assert!(texts[2].len() < MAX_TEXT + 16 && texts[2].ends_with("é… [cut]"));
    let lines = std::fs::read_to_string(bench.dir().join(read::CURRENT)).unwrap();
    assert_eq!(lines.lines().count(), 3);
}

#[tokio::test]
async fn a_disk_that_fails_hurts_nobody_and_what_it_cost_is_told() {
    let bench = Bench::start(PLENTY, 1 << 20, 64);
    // A file where the directory should be.
    std::fs::write(bench.dir(), "").unwrap();
    bench.print(0, "lost");
    bench.log.close().await;
    assert!(
        bench
            .events
            .send(NodeEvent::Exited {
                process: module("kernel"),
                exit: node_services::ProcessExit::Finished,
            })
            .is_err(),
        "the writer has ended"
    );
    let query = LogQuery {
        verbosity: 3,
        limit: 1,
        place: LogPlace::Newest,
    };
    assert!(bench.files.read(&bench.dir(), query).await.is_err());
    let bench = {
        std::fs::remove_file(bench.dir()).unwrap();
        Bench::in_home(bench.home, PLENTY, 1 << 20, 64)
    };
    bench.print(0, "kept");
    bench.log.close().await;
    assert_eq!(bench.texts().await, ["kept"]);
}
