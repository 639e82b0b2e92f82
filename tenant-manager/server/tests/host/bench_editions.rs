//! Figures of processes of every edition (`make bench`): round trips, spawns,
//! fan-in, and a blob that three processes hand on.

use serde_json::{Value, json};

use super::conformance::{Node, host_of_editions};

/// Senders of the fan-in.
const SENDERS: u64 = 64;

/// Nanoseconds for each, of a measurement.
fn each(result: &Value) -> f64 {
    let count = result["count"].as_f64();
    let count = count.unwrap_or_else(|| panic!("not measured: {result}"));
    result["nanos"].as_f64().unwrap() / count
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_round_trip_and_spawn_of_every_edition() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    for subject in node.subjects() {
        let [_, b, _] = subject.abc();
        let pings = json!({"pings": {"to": b, "count": 50_000, "bytes": 64}});
        let spawns = json!({"spawns": {"path": subject.path(), "node": "alice.dev", "count": 50}});
        // The first of each warms up.
        let steps = json!([pings, pings, spawns, spawns]);
        let results = subject.run(steps).await.unwrap();
        println!(
            "{:<12} round trip of 64 B {:>6.2} µs, spawn {:>7.1} µs ({:.0} a second; goal 4290)",
            subject.column.edition,
            each(&results[1]) / 1e3,
            each(&results[3]) / 1e3,
            1e9 / each(&results[3]),
        );
    }
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_fan_in_of_64_senders() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    for subject in node
        .subjects()
        .iter()
        .filter(|it| it.column.component == "v1_0")
    {
        let a = subject.at("");
        let senders: Vec<Value> = (0..SENDERS)
            .map(|number| {
                super::conformance::spawn(subject, &format!("sender-{number}"), json!({}))
            })
            .collect();
        for spawned in subject.run(json!(senders)).await.unwrap() {
            assert!(spawned["Ok"].is_string(), "{spawned}");
        }
        let sent_by_each = 2000;
        let at = |number: u64| subject.at(&format!("-sender-{number}"));
        let go = |number: u64| {
            let burst = json!({"burst": {"to": a, "count": sent_by_each, "bytes": 64}});
            json!({"send": {"to": at(number), "body": {"do": [burst]}}})
        };
        let mut steps: Vec<Value> = (0..SENDERS).map(go).collect();
        steps.push(json!({"gather": {"count": SENDERS * sent_by_each}}));
        let results = subject.run(json!(steps)).await.unwrap();
        let many = each(&results[SENDERS as usize]);
        // The same number from one.
        let burst = json!({"burst": {"to": a, "count": SENDERS * sent_by_each, "bytes": 64}});
        let one = json!([
            {"send": {"to": at(0), "body": {"do": [burst]}}},
            {"gather": {"count": SENDERS * sent_by_each}},
        ]);
        let alone = each(&subject.run(one).await.unwrap()[1]);
        println!(
            "fan-in of {SENDERS} senders: {:.0} k messages a second; of one: {:.0} k; ratio {:.2}",
            1e6 / many,
            1e6 / alone,
            alone / many
        );
    }
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_a_blob_inherited_through_three_processes() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    for subject in node.subjects().iter().filter(|it| it.column.newer) {
        let [_, b, c] = subject.abc();
        let chain = |bytes: u64, count: u64| json!({"chain": {"to": b, "then": c, "bytes": bytes, "count": count}});
        let steps = json!([chain(64, 2000), chain(64, 20_000), chain(1 << 20, 20_000)]);
        let results = subject.run(steps).await.unwrap();
        let (small, large) = (each(&results[1]), each(&results[2]));
        println!(
            "{:<12} through three processes: 64 B {:.2} µs, 1 MiB {:.2} µs, ratio {:.2} (goal: 1)",
            subject.column.edition,
            small / 1e3,
            large / 1e3,
            large / small
        );
    }
}
