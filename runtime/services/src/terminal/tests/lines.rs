//! Single command lines.

use node_api::LineOutcome;

use super::*;

const SCRIPT: &str = "4711:terminal:sys";
const STARTED: &str = r#"{"Started":"4711:terminal:sys"}"#;
const LIMIT: Duration = Duration::from_secs(60);

type Running = tokio::sync::oneshot::Receiver<Result<LineOutcome, NodeError>>;

fn begin(harness: &Harness, line: &str, room: usize) -> (Running, mpsc::Receiver<Bytes>) {
    let (sender, outcome) = tokio::sync::oneshot::channel();
    let (output, text) = mpsc::channel(room);
    let terminal = Arc::clone(&harness.terminal);
    let line = line.to_owned();
    harness
        .tasks
        .spawn(TaskKind::abortable("line"), async move {
            let _ = sender.send(terminal.run_line(line, output, LIMIT).await);
        });
    (outcome, text)
}

async fn ended(outcome: Running, mut text: mpsc::Receiver<Bytes>) -> (LineOutcome, String) {
    let outcome = outcome.await.unwrap().unwrap();
    let mut all = Vec::new();
    while let Some(piece) = text.recv().await {
        all.extend_from_slice(&piece);
    }
    (outcome, String::from_utf8(all).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_script_is_followed_to_its_end() {
    let mut harness = Harness::new();
    let (outcome, text) = begin(&harness, " top \n", 64);
    let asked = harness.sent.recv().await.unwrap();
    assert_eq!(asked.source, harness.port.address("terminal:terminal:sys"));
    assert_eq!(asked.target, asked.source);
    assert_eq!(
        asked.rsvp,
        Some(harness.port.address("terminal:distro:sys"))
    );
    let Message::Request(request) = &asked.message else {
        panic!("not a request");
    };
    assert_eq!(
        (&request.body[..], request.expects_response),
        (&b"top"[..], Some(60))
    );
    // Before the answer: already counts.
    harness.print(SCRIPT, 0, "early");
    harness.print("other:terminal:sys", 0, "not ours");
    tokio::time::sleep(Duration::from_millis(1)).await;
    harness.answer(&asked, STARTED);
    harness.print(SCRIPT, 1, "debug");
    harness.print(SCRIPT, 0, "\x1b]0;t\x07late\n");
    harness.exited("other:terminal:sys", ProcessExit::Finished);
    harness.exited(SCRIPT, ProcessExit::Finished);
    harness.print(SCRIPT, 0, "after the end");
    let (outcome, text) = ended(outcome, text).await;
    assert_eq!(
        (outcome, text.as_str()),
        (LineOutcome::Done, "early\nlate\n")
    );
    assert!(harness.store.load().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_has_its_words() {
    let mut harness = Harness::new();
    let failed = |text: &str| ProcessExit::Failed(text.to_owned());
    for (answer, exit, wanted) in [
        (
            r#"{"Failed":"'x' not found"}"#,
            None,
            (LineOutcome::Failed, "'x' not found\n"),
        ),
        (
            r#"{"Done":"alias set"}"#,
            None,
            (LineOutcome::Done, "alias set\n"),
        ),
        (r#"{"Done":""}"#, None, (LineOutcome::Done, "")),
        (
            "garbage",
            None,
            (
                LineOutcome::Failed,
                "the terminal process gave an answer that is not understood\n",
            ),
        ),
        (
            STARTED,
            Some(failed("trap: \x1b[2Junreachable")),
            (LineOutcome::Failed, "trap: unreachable\n"),
        ),
        (
            STARTED,
            Some(ProcessExit::Killed),
            (LineOutcome::Failed, "the script was killed\n"),
        ),
    ] {
        let (outcome, text) = begin(&harness, "x", 64);
        let asked = harness.sent.recv().await.unwrap();
        harness.answer(&asked, answer);
        if let Some(exit) = exit {
            harness.exited(SCRIPT, exit);
        }
        let (outcome, text) = ended(outcome, text).await;
        assert_eq!((outcome, text.as_str()), wanted, "{answer}");
    }
    // Nobody else can answer for the shell.
    let (outcome, text) = begin(&harness, "x", 64);
    let mut asked = harness.sent.recv().await.unwrap();
    asked.target = harness.port.address("evil:app:bob.dev");
    harness.answer(&asked, r#"{"Done":"evil"}"#);
    let began = tokio::time::Instant::now();
    let silence = (
        LineOutcome::Failed,
        "the terminal process does not answer\n".to_owned(),
    );
    assert_eq!(ended(outcome, text).await, silence);
    assert_eq!(began.elapsed().as_secs(), 5);
    harness.port.refuse("terminal:terminal:sys");
    let (outcome, text) = begin(&harness, "x", 64);
    assert_eq!(ended(outcome, text).await, silence);
}

#[tokio::test(start_paused = true)]
async fn the_limit_ends_waiting() {
    let mut harness = Harness::new();
    let (outcome, text) = begin(&harness, "forever", 64);
    let began = tokio::time::Instant::now();
    let asked = harness.sent.recv().await.unwrap();
    harness.answer(&asked, STARTED);
    harness.print(SCRIPT, 0, "one");
    let (outcome, text) = ended(outcome, text).await;
    assert_eq!(outcome, LineOutcome::Failed);
    assert_eq!(text, "one\nno end in sight: the script was left running\n");
    assert_eq!(began.elapsed(), LIMIT);
    // A reader who is gone ends it, too.
    let (outcome, text) = begin(&harness, "forever", 64);
    let asked = harness.sent.recv().await.unwrap();
    drop(text);
    harness.answer(&asked, STARTED);
    harness.print(SCRIPT, 0, "one");
    assert_eq!(outcome.await.unwrap(), Ok(LineOutcome::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_hide_the_end() {
    let mut harness = Harness::new();
    let (outcome, mut text) = begin(&harness, "flood", 1);
    let asked = harness.sent.recv().await.unwrap();
    harness.answer(&asked, STARTED);
    harness.print(SCRIPT, 0, "first");
    assert_eq!(text.recv().await.unwrap(), "first\n");
    for n in 0..3000 {
        harness.print(SCRIPT, 0, &format!("{n}"));
    }
    harness.exited(SCRIPT, ProcessExit::Finished);
    // The end is skipped by whoever reads this slowly; it is noticed anyway.
    for _ in 0..3000 {
        harness.print("other:noisy:sys", 0, "noise");
    }
    let (outcome, text) = ended(outcome, text).await;
    assert_eq!(outcome, LineOutcome::Done);
    assert!(text.contains("[some output was lost]"));
}

#[tokio::test(start_paused = true)]
async fn bounds_and_stopping() {
    let mut harness = Harness::new();
    let (outcome, text) = begin(&harness, "  ", 1);
    assert_eq!(
        ended(outcome, text).await,
        (LineOutcome::Done, String::new())
    );
    let (outcome, text) = begin(&harness, &"x".repeat(20_000), 1);
    let (outcome, text) = ended(outcome, text).await;
    assert_eq!(outcome, LineOutcome::Failed);
    assert!(text.contains("longer than 16384 bytes"));
    let mut running = Vec::new();
    for _ in 0..MAX_LINES {
        running.push(begin(&harness, "x", 1));
        let asked = harness.sent.recv().await.unwrap();
        harness.answer(&asked, STARTED);
    }
    let (refused, _text) = begin(&harness, "x", 1);
    assert!(matches!(refused.await.unwrap(), Err(NodeError::Limit(_))));
    harness.terminal.close_all(StopReason::Owner).await;
    for (outcome, _text) in running {
        assert_eq!(outcome.await.unwrap(), Err(NodeError::Stopping));
    }
    let (refused, _text) = begin(&harness, "x", 1);
    assert_eq!(refused.await.unwrap(), Err(NodeError::Stopping));
}
