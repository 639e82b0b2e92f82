//! Round trips between two nodes of a host, beside those within one node
//! (`make bench`).

use serde_json::{Value, json};

use super::support::{Host, Kit, Ssh, Tunnel, test_package};

async fn node(host: &Host, label: &str) -> (Tunnel, Kit) {
    let api = host.api().sign_up(&format!("{label}@example.org")).await;
    api.create_node(label).await;
    let tunnel = Ssh::new(host.ssh_port(), label, &api.ssh_password(label).await).tunnel();
    let kit = Kit::new(tunnel.port);
    kit.install(&test_package("bench:tester.dev")).await;
    (tunnel, kit)
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_round_trip_between_two_nodes() {
    let host = Host::start();
    let (_tunnel, alice) = node(&host, "alice").await;
    let (_bobs_tunnel, bob) = node(&host, "bob").await;
    let measure = async |kit: &Kit, options: &Value| -> Value {
        let run = json!({ "Run": options }).to_string();
        let answer = kit.inject("ping:bench:tester.dev", &run).await;
        serde_json::from_str(&answer.body).unwrap()
    };
    // Bob's pong is compiled by then.
    measure(&bob, &json!({"rounds": 100})).await;
    for (name, mut options) in [
        ("64 B", json!({"rounds": 100_000, "body_bytes": 64})),
        (
            "1 MiB blob, inherited",
            json!({"rounds": 20_000, "body_bytes": 64, "blob": "Inherit"}),
        ),
        (
            "1 MiB blob, explicit",
            json!({"rounds": 2000, "body_bytes": 64, "blob": "Explicit"}),
        ),
    ] {
        let within = measure(&alice, &options).await;
        options["node"] = json!("bob.dev");
        let between = measure(&alice, &options).await;
        println!("round trip {name} within a node: {within}");
        println!("round trip {name} between nodes: {between}");
        let p50 = |times: &Value| times["p50_ns"].as_f64().unwrap_or(f64::NAN);
        println!("ratio {:.2}", p50(&between) / p50(&within));
        if options["blob"] == "Explicit" {
            println!("{:.0} MiB/s each way", 1e9 / p50(&between));
        }
    }
    println!("(goal: p50 of 64 B between nodes at most 10000 ns)");
}
