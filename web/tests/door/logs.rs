//! A node's log over the API: pages, and lines as they are printed.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::events::Events;
use crate::support::{Host, PATIENCE};

const LOG: &str = "/nodes/alice/logs";
const FOLLOW: &str = "/nodes/alice/logs?follow=true";

/// A host with ann's node alice.
async fn host() -> (Host, String) {
    let host = Host::start().await;
    let ann = host.sign_up("ann@example.org").await;
    host.make_node(&ann, "alice").await;
    (host, ann)
}

fn texts(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["text"].as_str().unwrap())
        .collect()
}

/// The next event: its name, its id and its data.
async fn next(events: &mut Events) -> Option<(String, Option<String>, Value)> {
    let event = events.until("\n\n").await?;
    let field = |name: &str| {
        let found = event.lines().find_map(|line| line.strip_prefix(name));
        found.map(str::to_owned)
    };
    let data = serde_json::from_str(&field("data: ").unwrap()).unwrap();
    Some((field("event: ").unwrap(), field("id: "), data))
}

async fn next_text(events: &mut Events) -> String {
    let (name, _, data) = next(events).await.expect("a line");
    assert_eq!(name, "line", "{data}");
    data["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn pages_lead_from_the_newest_lines_to_the_oldest_and_wake_nobody() {
    let (host, ann) = host().await;
    let empty = host.api("GET", LOG, &ann, None).await;
    assert_eq!(empty.json(), json!({"items": [], "next_cursor": null}));
    for number in 0..5 {
        host.print("alice", number % 2, &format!("line {number}"));
    }
    host.print("alice", 2, "chatter");
    host.api("POST", "/nodes/alice/stop", &ann, None).await;
    host.wait_for_status(&ann, "alice", "stopped").await;
    let page = host.api("GET", &format!("{LOG}?limit=3"), &ann, None).await;
    assert_eq!(page.status, 200);
    let page = page.json();
    assert_eq!(texts(&page), ["line 2", "line 3", "line 4"]);
    let item = json!({
        "time": "1970-01-01T00:00:00Z", "verbosity": 0,
        "source": "app:pack:me.dev", "text": "line 2",
    });
    assert_eq!(page["items"][0], item);
    let cursor = page["next_cursor"].as_str().unwrap();
    let older = format!("{LOG}?limit=3&cursor={cursor}");
    let older = host.api("GET", &older, &ann, None).await.json();
    assert_eq!(texts(&older), ["line 0", "line 1"]);
    assert_eq!(older["next_cursor"], Value::Null);
    let quiet = format!("{LOG}?verbosity=0");
    let quiet = host.api("GET", &quiet, &ann, None).await.json();
    assert_eq!(texts(&quiet), ["line 0", "line 2", "line 4"]);
    let all = format!("{LOG}?verbosity=2");
    let all = host.api("GET", &all, &ann, None).await.json();
    assert_eq!(texts(&all).len(), 6);
    assert_eq!(host.control.launches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn logs_of_others_and_parts_that_are_none_are_refused() {
    let (host, ann) = host().await;
    let eve = host.sign_up("eve@example.org").await;
    host.print("alice", 0, "secret");
    for path in [LOG, FOLLOW] {
        host.api("GET", path, &eve, None).await.problem(404);
        host.api("GET", path, "", None).await.problem(401);
        let nobody = path.replace("alice", "nobody");
        host.api("GET", &nobody, &ann, None).await.problem(404);
    }
    for (query, status, word) in [
        ("limit=0", 422, "from 1 to 1000"),
        ("limit=1001", 422, "from 1 to 1000"),
        ("verbosity=4", 422, "from 0 to 3"),
        ("cursor=x", 422, "next_cursor"),
        ("cursor=1&follow=true", 422, "not both"),
        ("limit=many", 400, "limit"),
        ("verbosity=-1", 400, "verbosity"),
        ("follow=perhaps", 400, "follow"),
        ("colour=red", 400, "colour"),
    ] {
        let path = format!("{LOG}?{query}");
        let detail = host.api("GET", &path, &ann, None).await.problem(status);
        assert!(detail.contains(word), "{query}: {detail}");
    }
    host.logs.break_down(true);
    let detail = host.api("GET", LOG, &ann, None).await.problem(503);
    assert!(!detail.contains("no disk"), "{detail}");
}

#[tokio::test]
async fn who_follows_gets_the_end_and_then_every_line_as_it_comes() {
    let (host, ann) = host().await;
    for text in ["one", "two", "three"] {
        host.print("alice", 0, text);
    }
    let path = format!("{FOLLOW}&limit=2");
    let mut events = Events::of(&host, &ann, &path, "").await.ok().unwrap();
    assert_eq!(next_text(&mut events).await, "two");
    let (_, id, data) = next(&mut events).await.unwrap();
    assert_eq!((id.as_deref(), &data["text"]), (Some("3"), &json!("three")));
    host.print("alice", 3, "every event");
    host.print("alice", 0, "a\n\ndata: {}\n\nb");
    assert_eq!(next_text(&mut events).await, "a\n\ndata: {}\n\nb");
    // Coming back: from where it was, with what is missing told.
    for number in 6..=9 {
        host.print("alice", 0, &format!("line {number}"));
    }
    host.logs.keep(&host.log_of("alice"), 2);
    let last = "Last-Event-ID: 5\r\n";
    let mut again = Events::of(&host, &ann, FOLLOW, last).await.ok().unwrap();
    let (name, id, data) = next(&mut again).await.unwrap();
    assert_eq!(
        (name.as_str(), id, data),
        ("skipped", None, json!({"lines": 2}))
    );
    assert_eq!(next_text(&mut again).await, "line 8");
    assert_eq!(next_text(&mut again).await, "line 9");
    host.print("alice", 0, "line 10");
    assert_eq!(next_text(&mut again).await, "line 10");
}

#[tokio::test]
async fn a_followed_log_ends_with_the_session_and_with_the_host() {
    let (host, ann) = host().await;
    let credentials = json!({"email": "ann@example.org", "password": "long enough"});
    let second = host.api("POST", "/sessions", "", Some(credentials)).await;
    let second = second.json()["token"].as_str().unwrap().to_owned();
    let mut hers = Events::of(&host, &ann, FOLLOW, "").await.ok().unwrap();
    let mut other = Events::of(&host, &second, FOLLOW, "").await.ok().unwrap();
    host.print("alice", 0, "hello");
    for events in [&mut hers, &mut other] {
        assert_eq!(next_text(events).await, "hello");
    }
    let out = host.api("DELETE", "/sessions/current", &second, None).await;
    assert_eq!(out.status, 204);
    assert!(other.until("\r\n0\r\n\r\n").await.is_some());
    host.print("alice", 0, "still here");
    assert_eq!(next_text(&mut hers).await, "still here");
    host.manager.shutdown(PATIENCE).await;
    assert!(hers.until("\r\n0\r\n\r\n").await.is_some());
}

#[tokio::test]
async fn streams_of_logs_and_of_nodes_count_together() {
    let (host, ann) = host().await;
    let mut open = Vec::new();
    for number in 0..16 {
        let path = if number % 2 == 0 { FOLLOW } else { "/events" };
        open.push(Events::of(&host, &ann, path, "").await.ok().unwrap());
    }
    let refused = host.api("GET", FOLLOW, &ann, None).await;
    assert!(refused.problem(429).contains("Close a window"));
    // Pages are no streams.
    assert_eq!(host.api("GET", LOG, &ann, None).await.status, 200);
}
