//! Searching the history, and output held back.

use super::*;

async fn type_lines(window: &mut Window, lines: &[&str]) {
    for line in lines {
        window.keys(&format!("{line}\r")).await;
    }
}

fn last(window: &Window) -> String {
    window.vt.lines().last().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn control_r_finds_older_lines_as_the_query_grows() {
    let mut harness = Harness::new();
    let mut window = Window::open(&harness, 60, 50).await;
    type_lines(&mut window, &["echo 漢字 one", "top", "echo two"]).await;
    let above = window.vt.lines().len() - 1;
    window.keys("half\x1b[D\x12").await;
    assert_eq!(last(&window), "search '': half");
    window.keys("ech").await;
    assert_eq!(last(&window), "search 'ech': echo two");
    window.keys("o").await;
    // The cursor stands at the match.
    assert_eq!(window.vt.cursor(), (above, "search 'echo': ".len()));
    window.keys("\x12").await;
    assert_eq!(last(&window), "search 'echo': echo 漢字 one");
    window.keys("\x12").await;
    assert_eq!(last(&window), "no match for 'echo': echo 漢字 one");
    window.keys("\x7f\x7f\x7f\x7f").await;
    assert_eq!(last(&window), "search '': half");
    // Prints do not disturb it, and it is given up without a trace.
    window.keys("t").await;
    harness.print("a:noisy:sys", 0, "a print");
    window.settle().await;
    assert_eq!(last(&window), "search 't': echo two");
    for give_up in ["\x07", "\x12t\x03"] {
        window.keys(give_up).await;
        assert_eq!(last(&window), "alice.dev > half");
    }
    window.keys("X").await;
    assert_eq!(last(&window), "alice.dev > halXf");
    // Enter runs what was found.
    window.keys("\x15\x12字\r").await;
    let lines = window.vt.lines();
    let ran = ["alice.dev > echo 漢字 one", "alice.dev >"];
    assert_eq!(lines[lines.len() - 2..], ran);
    for wanted in ["echo 漢字 one", "top", "echo two", "echo 漢字 one"] {
        assert_eq!(harness.sent.recv().await.unwrap().message.body(), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_found_line_is_edited_after_escape_or_an_arrow() {
    let harness = Harness::new();
    let mut window = Window::open(&harness, 60, 50).await;
    type_lines(&mut window, &["first", "echo two", "top"]).await;
    // An arrow acts at once; an escape alone once nothing has followed it.
    window.keys("\x12two\x1b[C").await;
    assert_eq!(last(&window), "alice.dev > echo two");
    window.keys("X\x03").await;
    assert!(
        window
            .vt
            .lines()
            .iter()
            .any(|line| line.ends_with("echo tXwo^C"))
    );
    window.keys("\x12two\x1b").await;
    assert_eq!(last(&window), "search 'two': echo two");
    tokio::time::sleep(Duration::from_millis(150)).await;
    window.settle().await;
    assert_eq!(last(&window), "alice.dev > echo two");
    window.keys("Y").await;
    assert_eq!(last(&window), "alice.dev > echo Ytwo");
    // A sequence that comes in two pieces is one.
    window.keys("\x05\x15\x12two\x1b").await;
    window.keys("[A").await;
    assert_eq!(last(&window), "alice.dev > first", "up goes on from there");
    window.keys("\x1b[B\x1b[B\x1b[B").await;
    assert_eq!(last(&window), "alice.dev >");
    // With nothing to search for, the last query counts.
    window.keys("\x12\x12").await;
    assert_eq!(last(&window), "search 'two': echo two");
}

#[tokio::test(start_paused = true)]
async fn held_output_is_shown_print_by_print() {
    let mut harness = Harness::new();
    let mut window = Window::open(&harness, 80, 50).await;
    window.keys("\x13").await;
    assert_eq!(last(&window), "[held] alice.dev >");
    assert!(window.lines()[0].contains("Ctrl+S shows the next"));
    for text in ["one", "\x1b[31mtwo\nlines", "three", "four"] {
        harness.print("a:noisy:sys", 0, text);
    }
    window.keys("top\r").await;
    assert_eq!(harness.sent.recv().await.unwrap().message.body(), "top");
    window.keys("half a li").await;
    assert_eq!(last(&window), "[held 4] alice.dev > half a li");
    let shown = |window: &Window, from: usize| window.lines().split_off(from);
    window.keys("\x13").await;
    assert_eq!(
        shown(&window, 2),
        ["noisy:sys: one", "[held 3] alice.dev > half a li"]
    );
    window.keys("\x13").await;
    assert_eq!(
        shown(&window, 3),
        ["noisy:sys: two", "lines", "[held 2] alice.dev > half a li"]
    );
    window.keys("\x11").await;
    let freed = [
        "noisy:sys: three",
        "noisy:sys: four",
        "alice.dev > half a li",
    ];
    assert_eq!(shown(&window, 5), freed);
    harness.print("a:noisy:sys", 0, "five");
    window.settle().await;
    assert_eq!(shown(&window, 7), ["noisy:sys: five", freed[2]]);
    // Nothing to show rings, nothing to free is nothing.
    window.keys("\x13\x13\x11\x11").await;
    assert_eq!(last(&window), freed[2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_bounded_and_leaving_is_possible() {
    let harness = Harness::new();
    let mut window = Window::open(&harness, 80, 5000).await;
    window.keys("\x13").await;
    for n in 0..3000 {
        harness.print("a:noisy:sys", 0, &format!("{n}"));
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    window.settle().await;
    assert_eq!(last(&window), "[held 1000] alice.dev >");
    window.keys("\x11").await;
    let lines = window.vt.lines();
    assert!(lines.contains(&"noisy:sys: 999".to_owned()));
    assert!(lines[lines.len() - 2].contains("[2000 prints were not shown"));
    window.keys("\x13\x04").await;
    assert!(window.ended);
}
