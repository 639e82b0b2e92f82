//! Where a node's apps connected to, on a page.

use super::hostile::{CORPUS, shape};
use crate::support::{Browser, Host};

const PAGE: &str = "/nodes/alice/egress";

#[tokio::test]
async fn the_page_of_a_node_leads_to_its_connections_and_those_to_older_ones() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    assert!(ann.page.links().contains(&PAGE));
    ann.open(PAGE).await;
    assert!(ann.page.text().contains("No app of this node"));
    for number in 0..120 {
        host.connects("alice", &format!("host{number}.example"), None);
    }
    host.connects(
        "alice",
        "10.0.0.1",
        Some("it is not on the public internet"),
    );
    ann.open(PAGE).await;
    let text = ann.page.text();
    for words in [
        "https://10.0.0.1:8443",
        "Refused",
        "It is not on the public internet.",
        "https://host119.example:8443",
        "Connected",
        "app:pack:me.dev",
        "192.0.2.1",
        "01-01 00:00:00",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("host21.example") && !text.contains("host20.example"));
    assert!(ann.page.id("newest").is_none());
    let older = ann.page.id("older").unwrap()["href"].clone();
    ann.open(&older).await;
    let text = ann.page.text();
    assert!(text.contains("host20.example") && text.contains("host0.example"));
    assert!(!text.contains("host21.example"));
    assert!(ann.page.id("older").is_none());
    let newest = ann.page.id("newest").unwrap()["href"].clone();
    assert_eq!(newest, PAGE);
    ann.open(&format!("{PAGE}?cursor=1")).await;
    assert!(ann.page.text().contains("Nothing older is kept"));
    ann.open(&format!("{PAGE}?cursor=y")).await;
    assert_eq!(ann.answer.status, 200);
    let mut eve = Browser::signed_up(&host, "eve@example.org").await;
    eve.open(PAGE).await;
    assert_eq!(eve.answer.status, 404);
}

#[tokio::test]
async fn names_of_hosts_and_reasons_are_shown_as_text() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    host.connects("alice", "plain", Some("plain"));
    ann.open(PAGE).await;
    let plain = shape(&ann.page);
    for text in CORPUS {
        host.logs.forget_connections(&host.log_of("alice"));
        host.connects("alice", text, Some(text));
        ann.open(PAGE).await;
        assert_eq!(shape(&ann.page), plain, "{text}");
    }
}

#[tokio::test]
async fn connections_that_cannot_be_read_are_told_of() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    host.logs.break_down(true);
    ann.open(PAGE).await;
    assert_eq!(ann.answer.status, 200);
    let alert = ann.page.alert().unwrap();
    assert_eq!(alert, "The node's log cannot be read just now.");
}
