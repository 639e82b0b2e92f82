//! What is shown at which verbosity, and to whom the overrides belong.

use node_api::LineOutcome;
use std::sync::atomic::Ordering;

use super::*;

const LIMIT: Duration = Duration::from_secs(60);

async fn line(harness: &Harness, line: &str) -> (LineOutcome, String) {
    let (output, mut text) = mpsc::channel(8);
    let terminal = Arc::clone(&harness.terminal);
    let outcome = terminal.run_line(line.to_owned(), output, LIMIT).await;
    let mut all = String::new();
    while let Some(piece) = text.recv().await {
        all.push_str(std::str::from_utf8(&piece).unwrap());
    }
    (outcome.unwrap(), all)
}

impl Window {
    /// What is above the prompt and new since it was asked last.
    fn above(&mut self, seen: &mut usize) -> Vec<String> {
        let mut lines = self.vt.lines();
        lines.pop();
        let new = lines.split_off(*seen);
        *seen += new.len();
        new
    }
}

#[tokio::test(start_paused = true)]
async fn the_line_lists_sets_and_takes_back() {
    let mut harness = Harness::new();
    let mut window = Window::open(&harness, 200, 100).await;
    let mut other = Window::open(&harness, 200, 100).await;
    let (mut seen, mut seen_other) = (1, 1);
    window.keys("verbosity 1\r").await;
    harness.print("x:y:sys", 1, "debug");
    window.settle().await;
    let new = window.above(&mut seen);
    assert_eq!(
        new,
        ["alice.dev > verbosity 1", "verbosity 1", "y:sys: debug"]
    );
    window.keys("verbosity chat:chat:alice.dev 2\r").await;
    window.keys("verbosity noisy:sys mute\r").await;
    window.keys("verbosity\r").await;
    let new = window.above(&mut seen);
    assert!(new[5].starts_with("this terminal is at verbosity 1"));
    assert_eq!(
        new[6..],
        [
            "in all terminals of this node:",
            "  chat:chat:alice.dev  2",
            "  noisy:sys  muted"
        ]
    );
    for (source, verbosity) in [
        ("chat:chat:alice.dev", 2),
        ("chat:chat:alice.dev", 3),
        ("a:noisy:sys", 0),
        ("x:y:sys", 1),
    ] {
        harness.print(source, verbosity, &format!("at {verbosity}"));
    }
    harness.port.emit(NodeEvent::Print {
        source: "kernel:distro:sys".parse().unwrap(),
        about: Some("b:noisy:sys".parse().unwrap()),
        verbosity: 0,
        text: "it may not".into(),
    });
    window.settle().await;
    other.settle().await;
    let new = window.above(&mut seen);
    assert_eq!(new, ["chat:alice.dev: at 2", "y:sys: at 1"]);
    let new = other.above(&mut seen_other);
    assert_eq!(new, ["chat:alice.dev: at 2"]);
    window.keys("verbosity noisy:sys default\r").await;
    harness.print("a:noisy:sys", 0, "again");
    window.settle().await;
    let new = window.above(&mut seen);
    assert_eq!(
        new[1..],
        ["noisy:sys has no verbosity of its own", "noisy:sys: again"]
    );
    // Such lines are remembered, and nobody else gets them.
    assert!(harness.store.load().contains(&"verbosity 1".to_owned()));
    assert!(harness.sent.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn single_lines_set_them_too_and_say_what_is_wrong() {
    let harness = Harness::new();
    let done = |text: &str| (LineOutcome::Done, format!("{text}\n"));
    for (given, wanted) in [
        (
            "verbosity http_server:distro:sys 2",
            "http-server:distro:sys  2",
        ),
        (
            "verbosity http-server:distro:sys",
            "http-server:distro:sys  2",
        ),
        (
            "verbosity",
            "in all terminals of this node:\n  http-server:distro:sys  2",
        ),
        (
            "verbosity our@http_server:distro:sys default",
            "http-server:distro:sys has no verbosity of its own",
        ),
    ] {
        assert_eq!(line(&harness, given).await, done(wanted), "{given}");
    }
    for (given, wanted) in [
        ("verbosity 2", "type `verbosity 2` there"),
        ("verbosity chat 2", "usage: verbosity"),
        (
            "verbosity a:b:c loud",
            "'loud' is not 0, 1, 2, 3, mute or default",
        ),
    ] {
        let (outcome, text) = line(&harness, given).await;
        assert_eq!(outcome, LineOutcome::Failed, "{given}");
        assert!(text.contains(wanted), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_saved_and_what_cannot_be_is_not_in_force() {
    let harness = Harness::new();
    assert_eq!(
        line(&harness, "verbosity a:b:c mute").await.0,
        LineOutcome::Done
    );
    harness.overrides.failing.store(true, Ordering::Relaxed);
    let (outcome, text) = line(&harness, "verbosity a:b:c 2").await;
    assert_eq!(outcome, LineOutcome::Failed);
    assert!(text.contains("the disk is full"), "{text}");
    let muted = (LineOutcome::Done, "a:b:c  muted\n".to_owned());
    assert_eq!(line(&harness, "verbosity a:b:c").await, muted);
    let mut again = Harness::new();
    *again.overrides.saved.lock() = harness.overrides.load();
    again.terminal = Terminal::new(
        again.port.clone(),
        again.tasks.clone(),
        again.store.clone(),
        again.overrides.clone(),
    );
    assert_eq!(line(&again, "verbosity a:b:c").await, muted);
}

#[tokio::test(start_paused = true)]
async fn messages_are_seen_at_verbosity_3_or_of_the_process_that_is_watched() {
    let harness = Harness::new();
    let mut window = Window::open(&harness, 200, 100).await;
    let mut seen = 1;
    let mut between = async |source: &str, target: &str, body: &'static str| {
        let message = harness.port.request(source, target, body, Some(b"blob"));
        // What was changed before has come to the terminal.
        window.settle().await;
        harness.port.route(&message);
        window.settle().await;
        let shown = window.above(&mut seen);
        shown.iter().any(|line| {
            line.contains(&format!(
                " alice.dev@{source} -> alice.dev@{target} request (waits 5 s), {} B and a blob of \
                 4 B: {body}",
                body.len()
            ))
        })
    };
    let (chat, vfs, timer) = ("chat:chat:a.dev", "vfs:distro:sys", "timer:distro:sys");
    assert!(!between(chat, vfs, "one").await);
    line(&harness, "verbosity chat:chat:a.dev 3").await;
    assert!(between(chat, vfs, "two").await && between(vfs, chat, "three").await);
    assert!(!between(timer, vfs, "four").await);
    line(&harness, "verbosity timer:distro:sys mute").await;
    line(&harness, "verbosity vfs:distro:sys 1").await;
    assert!(between(timer, chat, "five").await);
    line(&harness, "verbosity chat:chat:a.dev default").await;
    assert!(!between(chat, vfs, "six").await);
    let mut window = Window::open(&harness, 200, 100).await;
    let mut seen = 1;
    window.keys("\x16\x16\x16").await;
    for (source, target) in [(timer, chat), (chat, vfs), (chat, "x:y:sys")] {
        let message = harness.port.request(source, target, "seven", None);
        harness.port.route(&message);
    }
    window.settle().await;
    let new = window.above(&mut seen);
    assert_eq!(new.len(), 4, "{new:?}");
    assert!(new[3].contains("x:y:sys request"));
    // At verbosity 0 again, nothing.
    window.keys("\x16").await;
    let message = harness.port.request(chat, "x:y:sys", "eight", None);
    harness.port.route(&message);
    window.settle().await;
    assert_eq!(window.above(&mut seen), ["verbosity 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_messages_is_paced_counted_and_leaves_room_for_prints() {
    let harness = Harness::new();
    let mut window = Window::open(&harness, 200, 5000).await;
    window.keys("verbosity 3\r").await;
    let message = harness.port.request("a:b:c", "d:e:f", "flood", None);
    for n in 0..5000 {
        harness.port.route(&message);
        if n % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    harness.print("a:noisy:sys", 0, "a print");
    window.settle().await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    harness.port.route(&message);
    window.settle().await;
    let lines = window.vt.lines();
    let shown = lines.iter().filter(|line| line.contains("flood")).count();
    assert!((10..=270).contains(&shown), "{shown}");
    assert!(lines.contains(&"noisy:sys: a print".to_owned()));
    let unseen: usize = lines
        .iter()
        .filter_map(|line| {
            line.strip_prefix('[')?
                .split_once(" messages were not shown")
        })
        .map(|(count, _)| count.parse::<usize>().unwrap())
        .sum();
    assert_eq!(shown + unseen, 5001);
}
