//! A node's log on its page and on a page of its own.

use super::hostile::{CORPUS, shape};
use crate::support::{Browser, Host};

const ROWS: &str = "Lines of the log";

/// What stands in the log of the page.
fn shown(browser: &Browser<'_>) -> String {
    let is_log = |_: &str, attributes: &std::collections::HashMap<String, String>| {
        attributes
            .get("aria-label")
            .is_some_and(|text| text == ROWS)
    };
    browser.page.text_of(is_log).unwrap()
}

#[tokio::test]
async fn the_page_of_a_node_shows_the_end_of_its_log_and_leads_to_all_of_it() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    assert!(shown(&ann).contains("Nothing has been printed yet"));
    for number in 0..600 {
        host.print("alice", 0, &format!("line {number}."));
    }
    host.print("alice", 1, "\u{1b}[31mred\u{1b}[0m");
    host.print("alice", 2, "detail");
    ann.open("/nodes/alice").await;
    let text = shown(&ann);
    assert!(text.ends_with("01-01 00:00:00app:pack:me.devred"), "{text}");
    assert!(
        text.contains("line 599.") && !text.contains("line 550."),
        "{text}"
    );
    assert!(ann.page.links().contains(&"/nodes/alice/log"));
    ann.open("/nodes/alice/log").await;
    let text = shown(&ann);
    assert!(text.contains("line 101.") && !text.contains("line 100."));
    assert!(text.contains("red") && !text.contains("detail"));
    let older = ann.page.id("older").unwrap()["href"].clone();
    ann.open(&older).await;
    let text = shown(&ann);
    assert!(text.contains("line 0.") && text.contains("line 100.") && !text.contains("line 101."));
    assert!(ann.page.id("older").is_none());
    let newest = ann.page.id("newest").unwrap()["href"].clone();
    ann.open(&newest).await;
    ann.open("/nodes/alice/log?verbosity=2").await;
    assert!(shown(&ann).contains("detail"));
    ann.open("/nodes/alice/log?verbosity=x&cursor=y").await;
    assert_eq!(ann.answer.status, 200);
    let mut eve = Browser::signed_up(&host, "eve@example.org").await;
    eve.open("/nodes/alice/log").await;
    assert_eq!(eve.answer.status, 404);
}

#[tokio::test]
async fn what_a_node_prints_is_shown_as_text() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    for page in ["/nodes/alice", "/nodes/alice/log"] {
        host.logs.keep(&host.log_of("alice"), 0);
        host.print("alice", 0, "plain");
        ann.open(page).await;
        let plain = shape(&ann.page);
        for text in CORPUS {
            host.logs.keep(&host.log_of("alice"), 0);
            host.print("alice", 0, text);
            ann.open(page).await;
            assert_eq!(shape(&ann.page), plain, "{page}: {text}");
        }
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_read_takes_nothing_else_away() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    host.logs.break_down(true);
    ann.open("/nodes/alice").await;
    assert_eq!(ann.answer.status, 200);
    let alert = ann.page.alert().unwrap();
    assert_eq!(alert, "The node's log cannot be read just now.");
    assert_eq!(ann.form("/nodes/alice/stop").button, "Stop");
}
