//! Whole sessions: keys in, window out.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_line_is_edited_sent_and_remembered() {
    let mut harness = Harness::new();
    let mut window = Window::open(&harness, 60, 20).await;
    assert_eq!(
        window.vt.lines(),
        [
            "Welcome to alice.dev. Type help for commands, exit to leave.",
            "alice.dev >"
        ]
    );
    window
        .keys("hi bx world\x1b[D\x1bb\x1b[D\x7f\x7fo\u{e9}\x05!")
        .await;
    assert_eq!(window.lines(), ["alice.dev > hi o\u{e9} world!"]);
    window.keys("\x01\x1b[C\x1b[3~\x1b[3~\x0b").await;
    assert_eq!(window.lines(), ["alice.dev > h"]);
    window.keys("ello  \r\n").await;
    assert_eq!(window.lines(), ["alice.dev > hello", "alice.dev >"]);
    let message = harness.sent.recv().await.unwrap();
    let shell = harness.port.address("terminal:terminal:sys");
    assert_eq!((&message.source, &message.target), (&shell, &shell));
    assert_eq!(
        (message.message.body(), message.rsvp),
        (&Bytes::from("hello"), None)
    );
    assert!(!message.message.expects_response());
    // Empty lines are no lines; two in one go are two.
    window.keys("\r  \rtop\rtop\recho 1\r").await;
    for wanted in ["top", "top", "echo 1"] {
        assert_eq!(harness.sent.recv().await.unwrap().message.body(), wanted);
    }
    assert_eq!(harness.store.load(), ["hello", "top", "echo 1"]);
    // Another terminal of the node, and a later one, know them too.
    let mut other = Window::open(&harness, 60, 20).await;
    other.keys("\x1b[A\x1b[A").await;
    assert_eq!(other.lines(), ["alice.dev > top"]);
    let again = Terminal::new(
        harness.port.clone(),
        harness.tasks.clone(),
        harness.store.clone(),
        harness.overrides.clone(),
    );
    assert_eq!(again.history.with(<[String]>::to_vec), harness.store.load());
}

#[tokio::test(start_paused = true)]
async fn prints_appear_above_the_line_and_cannot_do_harm() {
    let harness = Harness::new();
    let mut window = Window::open(&harness, 24, 20).await;
    let mut first = window.vt.lines();
    first.pop();
    window.keys("a long line that wraps around").await;
    harness.print("chat:my-app:bob.dev", 0, "one\ntwo\r\n");
    harness.print("terminal:terminal:sys", 0, "plain");
    harness.print(
        "123:terminal:sys",
        0,
        "\x1b[31mred\x1b]52;c;AAAA\x07\x1b[2J",
    );
    harness.print("vfs:distro:sys", 1, "debug");
    window.settle().await;
    let below = |lines: &[String]| lines[first.len()..].to_vec();
    let line = ["alice.dev > a long line", "that wraps around"];
    let wanted = ["my-app:bob.dev: one", "two", "plain", "red"];
    assert_eq!(below(&window.vt.lines()), [&wanted[..], &line[..]].concat());
    window.keys("\x16").await;
    harness.print("vfs:distro:sys", 1, "debug");
    harness.print("vfs:distro:sys", 2, "more");
    window.settle().await;
    let wanted = [
        &wanted[..],
        &["verbosity 1", "distro:sys: debug"],
        &line[..],
    ]
    .concat();
    assert_eq!(below(&window.vt.lines()), wanted);
    window.keys("\x16\x16\x16\x16").await;
    assert!(window.vt.lines().contains(&"verbosity 0".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn ways_to_leave_and_not_to_leave() {
    let mut harness = Harness::new();
    for leave in ["exit\r", "  logout \r", "\x04"] {
        let mut window = Window::open(&harness, 60, 20).await;
        window.keys(leave).await;
        assert!(window.ended, "{leave:?}");
    }
    let mut window = Window::open(&harness, 30, 20).await;
    window.keys("exitx\x1b[D\x04").await;
    window.keys("y\x01\x03").await;
    assert!(!window.ended);
    let shown = window.vt.lines();
    assert_eq!(
        shown[shown.len() - 2..],
        ["alice.dev > exity^C", "alice.dev >"]
    );
    window.keys("\x0cab").await;
    assert_eq!(window.vt.lines().last().unwrap(), "alice.dev > ab");
    assert!(harness.sent.try_recv().is_err());
    assert!(harness.store.load().is_empty());
    // A person who is gone ends the session.
    drop(window.session.input);
    assert!(window.session.output.recv().await.is_none());
    harness.port.refuse("terminal:terminal:sys");
    let mut window = Window::open(&harness, 70, 20).await;
    window.keys("top\r").await;
    assert!(window.lines()[1].contains("does not take this line"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_prints_but_not_its_echo() {
    let harness = Harness::new();
    let mut window = Window::open(&harness, 80, 5000).await;
    for n in 0..400 {
        harness.print("a:noisy:sys", 0, &format!("{n} {}", "x".repeat(100)));
        if n % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let keys = TerminalInput::Keys(Bytes::from_static(b"still here"));
    window.session.input.send(keys).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(window.session.output.len() <= OUTPUT_QUEUE);
    window.settle().await;
    let lines = window.vt.lines();
    assert_eq!(lines.last().unwrap(), "alice.dev > still here");
    let shown = lines
        .iter()
        .filter(|line| line.starts_with("noisy:sys: "))
        .count();
    assert!((50..400).contains(&shown), "{shown}");
    let note = format!("[{} prints were not shown", 400 - shown);
    assert!(lines.iter().any(|line| line.starts_with(&note)), "{note}");
    // One enormous print costs bounded memory and is cut or lost.
    harness.print("a:noisy:sys", 0, &"y".repeat(20 << 20));
    window.settle().await;
    assert!(window.vt.lines().iter().any(|line| line.contains("[cut:")));
}

#[tokio::test(start_paused = true)]
async fn closing_says_why_and_nothing_opens_after_it() {
    for (reason, wanted) in [
        (StopReason::Owner, "stopped by its owner"),
        (StopReason::Idle, "goes to sleep"),
        (StopReason::HostShutdown, "shutting down"),
    ] {
        let harness = Harness::new();
        let mut windows = Vec::new();
        for _ in 0..MAX_SESSIONS {
            windows.push(Window::open(&harness, 80, 20).await);
        }
        let refused = harness.terminal.open(TerminalSize::default(), ());
        assert!(matches!(refused, Err(NodeError::Limit(text)) if text.contains("16")));
        // What a terminal holds of its node it gives back at its end.
        let held = Arc::new(());
        windows.pop();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let size = TerminalSize::default();
        let session = harness.terminal.open(size, held.clone()).unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        drop(session);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(Arc::strong_count(&held), 1);
        tokio::time::sleep(Duration::from_millis(1)).await;
        windows.push(Window::open(&harness, 80, 20).await);
        windows[0].keys("half a li").await;
        harness.terminal.close_all(reason).await;
        for window in &mut windows {
            window.settle().await;
            assert!(window.ended);
            assert!(window.vt.lines().iter().any(|line| line.contains(wanted)));
        }
        let refused = harness.terminal.open(TerminalSize::default(), ());
        assert_eq!(refused.unwrap_err(), NodeError::Stopping);
        harness.terminal.close_all(StopReason::Owner).await;
    }
    let harness = Harness::new();
    let mut window = Window::open(&harness, 80, 20).await;
    harness.tasks.token().cancel();
    window.settle().await;
    assert!(window.ended);
}

#[tokio::test(start_paused = true)]
async fn resizing_redraws() {
    let harness = Harness::new();
    let mut window = Window::open(&harness, 60, 20).await;
    window.keys("0123456789").await;
    let size = TerminalSize {
        columns: 16,
        rows: 20,
    };
    window.vt.rewrap(16, 1);
    window
        .session
        .input
        .send(TerminalInput::Resize(size))
        .await
        .unwrap();
    window.settle().await;
    window.keys("ab").await;
    let lines = window.vt.lines();
    assert_eq!(lines[lines.len() - 2..], ["alice.dev > 0123", "456789ab"]);
}
