//! All nodes of a host over the API, for operators.

use serde_json::{Value, json};

use crate::events::Events;
use crate::support::Host;

const NODES: &str = "/operator/nodes";
const REASON: &str = "It sends unwanted messages.";

/// A host with nodes alice and carol of ann, bob of bob, and an operator: their
/// tokens.
async fn host() -> (Host, [String; 3]) {
    let host = Host::start().await;
    let ann = host.sign_up("ann@example.org").await;
    let bob = host.sign_up("bob@example.org").await;
    host.make_node(&ann, "carol").await;
    host.make_node(&bob, "bob").await;
    host.make_node(&ann, "alice").await;
    let ops = host.sign_up_operator("ops@example.org").await;
    (host, [ann, bob, ops])
}

fn labels(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["label"].as_str().unwrap())
        .collect()
}

async fn suspend(host: &Host, ops: &str, label: &str, reason: &str) {
    let path = format!("{NODES}/{label}/suspend");
    let input = json!({"reason": reason});
    let answer = host.api("POST", &path, ops, Some(input)).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.json()["label"], label);
}

#[tokio::test]
async fn everybodys_nodes_are_listed_in_pages_and_by_status() {
    let (host, [ann, bob, ops]) = host().await;
    let list = host.api("GET", NODES, &ops, None).await;
    assert_eq!(list.status, 200, "{}", list.text());
    let list = list.json();
    assert_eq!(labels(&list), ["alice", "bob", "carol"]);
    assert_eq!(list["next_cursor"], Value::Null);
    let alice = &list["items"][0];
    let account = host.api("GET", "/account", &ann, None).await.json();
    assert_eq!(alice["owner"], account["account_id"]);
    assert_eq!(alice["desired_state"], "running");
    assert_eq!(alice["generation"], 1);
    // Beside that, all that its owner is shown.
    let hers = host.api("GET", "/nodes/alice", &ann, None).await.json();
    for (key, value) in hers.as_object().unwrap() {
        assert_eq!(alice[key], *value, "{key}");
    }
    let one = host.api("GET", "/operator/nodes/alice", &ops, None).await;
    assert_eq!(one.json(), *alice);

    let path = format!("{NODES}?limit=2");
    let first = host.api("GET", &path, &ops, None).await.json();
    assert_eq!(labels(&first), ["alice", "bob"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let path = format!("{NODES}?limit=2&cursor={cursor}");
    let second = host.api("GET", &path, &ops, None).await.json();
    assert_eq!(labels(&second), ["carol"]);
    assert_eq!(second["next_cursor"], Value::Null);

    host.api("POST", "/nodes/bob/stop", &bob, None).await;
    host.wait_for_status(&bob, "bob", "stopped").await;
    for (status, expected) in [
        ("stopped", &["bob"][..]),
        ("active", &["alice", "carol"]),
        ("suspended", &[]),
    ] {
        let path = format!("{NODES}?status={status}");
        let list = host.api("GET", &path, &ops, None).await.json();
        assert_eq!(labels(&list), expected, "{status}");
    }
}

#[tokio::test]
async fn whoever_is_no_operator_is_told_so() {
    let (host, [ann, _, ops]) = host().await;
    let reason = || Some(json!({"reason": REASON}));
    for (method, path, input) in [
        ("GET", "", None),
        ("GET", "/alice", None),
        ("POST", "/alice/start", None),
        ("POST", "/alice/stop", None),
        ("POST", "/alice/restart", None),
        ("POST", "/alice/hibernate", None),
        ("POST", "/alice/suspend", reason()),
        ("POST", "/alice/resume", None),
        ("GET", "/alice/logs", None),
        ("GET", "/alice/logs?follow=true", None),
        ("GET", "/alice/egress", None),
    ] {
        let path = format!("{NODES}{path}");
        let own = host.api(method, &path, &ann, input.clone()).await;
        let detail = own.problem(403);
        assert!(detail.contains("operators only"), "{path}: {detail}");
        let nobody = host.api(method, &path, "", input.clone()).await;
        nobody.problem(401);
        if !path.contains("alice") {
            continue;
        }
        // It does not tell which nodes there are either.
        let none = path.replace("alice", "nobody");
        let unknown = host.api(method, &none, &ann, input.clone()).await;
        assert_eq!(unknown.body, own.body, "{path}");
        let missing = host.api(method, &none, &ops, input).await.problem(404);
        assert!(missing.contains("no node with this label"), "{missing}");
    }
    host.wait_for_status(&ann, "alice", "active").await;
}

#[tokio::test]
async fn what_is_asked_badly_is_explained() {
    let (host, [ann, _, ops]) = host().await;
    for (query, status, word) in [
        ("limit=0", 422, "from 1 to 500"),
        ("limit=501", 422, "from 1 to 500"),
        ("cursor=", 422, "next_cursor"),
        ("cursor=A--b", 422, "next_cursor"),
        ("limit=many", 400, "limit"),
        ("status=asleep", 400, "status"),
        ("status=", 400, "status"),
        ("owner=ann", 400, "owner"),
    ] {
        let path = format!("{NODES}?{query}");
        let detail = host.api("GET", &path, &ops, None).await.problem(status);
        assert!(detail.contains(word), "{query}: {detail}");
    }
    let act = async |action: &str, input: Value| {
        let path = format!("{NODES}/alice/{action}");
        host.api("POST", &path, &ops, Some(input)).await
    };
    act("stop", json!({"force": true})).await.problem(422);
    act("suspend", json!({})).await.problem(422);
    act("suspend", json!({"reason": 5})).await.problem(422);
    let more = json!({"reason": REASON, "until": "tomorrow"});
    act("suspend", more).await.problem(422);
    for reason in ["", " ", "a\0b", &"x".repeat(501), &"\u{e9}".repeat(501)] {
        let refused = act("suspend", json!({"reason": reason})).await;
        let detail = refused.problem(422);
        assert!(detail.contains("at most 500 characters"), "{detail}");
    }
    host.wait_for_status(&ann, "alice", "active").await;
}

#[tokio::test]
async fn a_session_cookie_acts_only_from_our_own_pages() {
    let (host, [ann, _, ops]) = host().await;
    let cookie = format!("berth-session={ops}");
    let path = "/api/v1/operator/nodes/alice/stop";
    let ask = async |site: &str| {
        let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", site)];
        host.send("POST", "localhost", path, &headers, b"").await
    };
    for site in ["cross-site", "same-site", "none"] {
        let detail = ask(site).await.problem(403);
        assert!(detail.contains("this host's own pages"), "{detail}");
    }
    host.wait_for_status(&ann, "alice", "active").await;
    assert_eq!(ask("same-origin").await.status, 202);
    host.wait_for_status(&ann, "alice", "stopped").await;
}

#[tokio::test]
async fn an_operator_starts_and_stops_what_is_somebody_elses() {
    let (host, [ann, _, ops]) = host().await;
    let act = async |action: &str, status: &str| {
        let path = format!("{NODES}/alice/{action}");
        let answer = host.api("POST", &path, &ops, None).await;
        assert_eq!(answer.status, 202, "{action}: {}", answer.text());
        host.wait_for_status(&ann, "alice", status).await;
    };
    act("stop", "stopped").await;
    act("start", "active").await;
    act("hibernate", "hibernated").await;
    act("start", "active").await;
    act("restart", "active").await;
}

#[tokio::test]
async fn a_suspended_node_answers_nobody_until_it_is_resumed() {
    let (host, [ann, _, ops]) = host().await;
    let mut events = Events::of(&host, &ann, "/events", "").await.ok().unwrap();
    suspend(&host, &ops, "alice", REASON).await;
    host.wait_for_status(&ann, "alice", "suspended").await;
    // Who watches is told as well.
    while !events
        .until("\n\n")
        .await
        .unwrap()
        .contains("\"suspended\"")
    {}
    let node = host.api("GET", "/nodes/alice", &ann, None).await.json();
    let reason = node["status_reason"].as_str().unwrap();
    assert!(reason.contains(REASON), "{reason}");

    let page = host.get("alice.localhost", "/name").await;
    assert_eq!((page.status, page.header("retry-after")), (503, None));
    assert!(page.text().contains("This node is suspended"));
    assert!(
        !page.text().contains("unwanted"),
        "strangers read no reason"
    );
    assert!(!page.text().contains("http-equiv"), "it does not ask again");
    // Whatever its owner does.
    for action in ["start", "restart", "open"] {
        let path = format!("/nodes/alice/{action}");
        let refused = host.api("POST", &path, &ann, None).await.problem(409);
        assert!(refused.contains(REASON), "{action}: {refused}");
        host.wait_for_status(&ann, "alice", "suspended").await;
    }
    let list = format!("{NODES}?status=suspended");
    let list = host.api("GET", &list, &ops, None).await.json();
    assert_eq!(labels(&list), ["alice"]);
    assert_eq!(
        host.get("carol.localhost", "/name").await.text(),
        "carol.dev"
    );

    let resumed = host.api("POST", "/operator/nodes/alice/resume", &ops, None);
    assert_eq!(resumed.await.status, 202);
    assert_eq!(
        host.get("alice.localhost", "/name").await.text(),
        "alice.dev",
        "it wakes again"
    );
}

#[tokio::test]
async fn an_operator_reads_and_follows_any_log() {
    let (host, [_, _, ops]) = host().await;
    for text in ["one", "two", "three"] {
        host.print("alice", 0, text);
    }
    let log = "/operator/nodes/alice/logs";
    let page = format!("{log}?limit=2");
    let page = host.api("GET", &page, &ops, None).await.json();
    assert_eq!(page["items"][0]["text"], "two");
    let cursor = page["next_cursor"].as_str().unwrap();
    let older = format!("{log}?cursor={cursor}");
    let older = host.api("GET", &older, &ops, None).await.json();
    assert_eq!(older["items"][0]["text"], "one");
    let wrong = format!("{log}?limit=0");
    host.api("GET", &wrong, &ops, None).await.problem(422);

    let follow = format!("{log}?follow=true");
    let last = "Last-Event-ID: 2\r\n";
    let mut events = Events::of(&host, &ops, &follow, last).await.ok().unwrap();
    assert!(events.until("\n\n").await.unwrap().contains("three"));
    host.print("alice", 0, "four");
    assert!(events.until("\n\n").await.unwrap().contains("four"));
}
