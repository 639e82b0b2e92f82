//! Where a node's apps connected to, over the API.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tenant_manager::testing::FakeOptions;
use tenant_model::Plan;

use crate::support::{Host, options};

const EGRESS: &str = "/nodes/alice/egress";

/// A host with ann's node alice.
async fn host() -> (Host, String) {
    let host = Host::start().await;
    let ann = host.sign_up("ann@example.org").await;
    host.make_node(&ann, "alice").await;
    (host, ann)
}

fn hosts(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["host"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_lead_from_the_newest_connection_to_the_oldest_and_wake_nobody() {
    let (host, ann) = host().await;
    let empty = host.api("GET", EGRESS, &ann, None).await;
    assert_eq!(empty.json(), json!({"items": [], "next_cursor": null}));
    host.connects("alice", "one.example", None);
    host.connects("alice", "two.example", Some("it is not allowed"));
    host.connects("alice", "three.example", None);
    host.api("POST", "/nodes/alice/stop", &ann, None).await;
    host.wait_for_status(&ann, "alice", "stopped").await;
    let path = format!("{EGRESS}?limit=2");
    let page = host.api("GET", &path, &ann, None).await;
    assert_eq!(page.status, 200);
    let page = page.json();
    assert_eq!(hosts(&page), ["three.example", "two.example"]);
    assert_eq!(
        page["items"][0],
        json!({
            "time": "1970-01-01T00:00:00Z", "process": "app:pack:me.dev", "scheme": "https",
            "host": "three.example", "port": 8443, "address": "192.0.2.1:8443",
            "outcome": "connected", "reason": null,
        })
    );
    let refused = &page["items"][1];
    assert_eq!(refused["outcome"], "refused");
    assert_eq!(refused["reason"], "it is not allowed");
    assert_eq!(refused["address"], Value::Null);
    let cursor = page["next_cursor"].as_str().unwrap();
    let path = format!("{EGRESS}?limit=2&cursor={cursor}");
    let older = host.api("GET", &path, &ann, None).await.json();
    assert_eq!(hosts(&older), ["one.example"]);
    assert_eq!(older["next_cursor"], Value::Null);
    assert_eq!(host.control.launches.load(Ordering::SeqCst), 1);

    let ops = host.sign_up_operator("ops@example.org").await;
    let all = host.api("GET", "/operator/nodes/alice/egress", &ops, None);
    assert_eq!(hosts(&all.await.json()).len(), 3);
}

#[tokio::test]
async fn connections_of_others_and_parts_that_are_none_are_refused() {
    let (host, ann) = host().await;
    let eve = host.sign_up("eve@example.org").await;
    host.connects("alice", "secret.example", None);
    let answer = host.api("GET", EGRESS, &eve, None).await;
    answer.problem(404);
    assert!(!answer.text().contains("secret"));
    host.api("GET", EGRESS, "", None).await.problem(401);
    let nobody = EGRESS.replace("alice", "nobody");
    host.api("GET", &nobody, &ann, None).await.problem(404);
    for (query, status, word) in [
        ("limit=0", 422, "from 1 to 1000"),
        ("limit=1001", 422, "from 1 to 1000"),
        ("cursor=x", 422, "next_cursor"),
        ("cursor=-1", 422, "next_cursor"),
        ("limit=many", 400, "limit"),
        ("verbosity=1", 400, "verbosity"),
    ] {
        let path = format!("{EGRESS}?{query}");
        let detail = host.api("GET", &path, &ann, None).await.problem(status);
        assert!(detail.contains(word), "{query}: {detail}");
    }
    host.logs.break_down(true);
    let detail = host.api("GET", EGRESS, &ann, None).await.problem(503);
    assert!(!detail.contains("no disk"), "{detail}");
}

#[tokio::test]
async fn an_account_is_told_what_its_plan_allows() {
    let ranges = ["10.1.0.0/16", "fd00:1::/32"];
    let fakes = FakeOptions {
        plan: Plan {
            egress_allow: ranges.iter().map(|range| range.parse().unwrap()).collect(),
            ..Plan::default()
        },
        ..FakeOptions::default()
    };
    let host = Host::start_over(options(), fakes).await;
    let ann = host.sign_up("ann@example.org").await;
    let account = host.api("GET", "/account", &ann, None).await.json();
    assert_eq!(account["plan"]["egress_allow"], json!(ranges));
}
