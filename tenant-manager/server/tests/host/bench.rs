//! Figures, measured in one run and printed as ratios (`make bench`). Ignored
//! by `make test`: a figure is not a test.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::support::{self, Api, Host, Kit, Ssh, json, test_package};

/// The value below which `share` of the sorted `values` lie.
pub fn percentile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let at = ((values.len() - 1) as f64 * share).round() as usize;
    values[at]
}

async fn tunnel(host: &Host, api: &Api, label: &str) -> (support::Tunnel, Kit) {
    let tunnel = Ssh::new(host.ssh_port(), label, &api.ssh_password(label).await).tunnel();
    let kit = Kit::new(tunnel.port);
    (tunnel, kit)
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_round_trip_between_two_wasm_processes() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let (_tunnel, kit) = tunnel(&host, &api, "alice").await;
    kit.install(&test_package("bench:tester.dev")).await;
    for (name, run) in [
        ("64 B", r#"{"Run":{"rounds":100000,"body_bytes":64}}"#),
        (
            "1 MiB blob, inherited",
            r#"{"Run":{"rounds":20000,"body_bytes":64,"blob":"Inherit"}}"#,
        ),
        (
            "1 MiB blob, explicit",
            r#"{"Run":{"rounds":2000,"body_bytes":64,"blob":"Explicit"}}"#,
        ),
    ] {
        let answer = kit.inject("ping:bench:tester.dev", run).await;
        println!("round trip {name}: {}", answer.body);
    }
    println!(
        "(goal: p50 of 64 B at most 4000 ns; bare calls and channel hops: see the engine's example)"
    );
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_from_sign_up_to_the_first_200() {
    let host = Host::start_with(&["--plan-nodes", "100"]);
    let (mut sign_up, mut create) = (Vec::new(), Vec::new());
    for round in 0..20 {
        let begun = Instant::now();
        let api = host
            .api()
            .sign_up(&format!("user{round}@example.org"))
            .await;
        let signed_up = begun.elapsed();
        let label = format!("node{round}");
        let body = serde_json::json!({"label": label, "password": "node password"});
        assert_eq!(
            api.post("/nodes", &body).await.status(),
            StatusCode::ACCEPTED
        );
        let name = format!("{label}.localhost");
        while api.node(Method::GET, &name, "/login", "").await.status() != StatusCode::OK {}
        sign_up.push(begun.elapsed());
        create.push(begun.elapsed() - signed_up);
    }
    println!(
        "sign-up to first 200: p50 {:?}",
        percentile(&mut sign_up, 0.5)
    );
    println!(
        "create to first 200: p50 {:?} (two password hashes included)",
        percentile(&mut create, 0.5)
    );
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_waking_a_node_with_an_app() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let path = "/counter:counter:tester.dev/api";
    {
        let (_tunnel, kit) = tunnel(&host, &api, "alice").await;
        kit.install(&test_package("counter:tester.dev")).await;
        let found = async || api.node_get("alice.localhost", path).await.0 == StatusCode::OK;
        support::eventually("the app", Duration::from_secs(20), async || {
            found().await.then_some(())
        })
        .await;
    }
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        assert!(
            api.act("/nodes/alice/hibernate")
                .await
                .status()
                .is_success()
        );
        api.wait_for_status("alice", "hibernated").await;
        for times in [&mut cold, &mut warm] {
            let begun = Instant::now();
            let (status, text) = api.node_get("alice.localhost", path).await;
            assert_eq!(status, StatusCode::OK, "{text}");
            times.push(begun.elapsed());
        }
    }
    let warm = percentile(&mut warm, 0.5);
    let (p50, p99) = (percentile(&mut cold, 0.5), percentile(&mut cold, 0.99));
    println!("wake to first answer of an app: p50 {p50:?}, p99 {p99:?}; warm {warm:?}");
    println!(
        "wake / warm: {:.1}x (goal: p50 at most 5 ms)",
        p50.as_secs_f64() / warm.as_secs_f64()
    );
}

/// Mappings, proportional memory and descriptors of the host.
fn footprint(host: &Host) -> (usize, u64, usize) {
    let pid = host.ready()["pid"].as_u64().unwrap();
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let pss = read("smaps_rollup")
        .lines()
        .find_map(|line| {
            line.strip_prefix("Pss:")?
                .trim()
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .unwrap();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    (read("maps").lines().count(), pss, descriptors)
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_what_a_node_costs() {
    let host = Host::start_with(&["--plan-nodes", "200", "--idle-after", "0"]);
    let api = host.api().sign_up("alice@example.org").await;
    let empty = footprint(&host);
    println!(
        "no node: {} mappings, {} KiB PSS, {} descriptors",
        empty.0, empty.1, empty.2
    );
    let mut made = 0;
    for goal in [1, 10, 100] {
        while made < goal {
            api.create_node(&format!("node{made}")).await;
            made += 1;
        }
        let (maps, pss, descriptors) = footprint(&host);
        let each = |now: f64, before: f64| (now - before) / f64::from(goal);
        println!(
            "{goal} awake: per node {:.1} mappings, {:.0} KiB PSS, {:.2} descriptors (two processes each)",
            each(maps as f64, empty.0 as f64),
            each(pss as f64, empty.1 as f64),
            each(descriptors as f64, empty.2 as f64),
        );
    }
    println!("(goal: at most 4096 KiB PSS a node awake)");
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_a_victim_beside_eight_infinite_loops() {
    let host = Host::start_with(&["--idle-after", "0"]);
    let api = host.api().sign_up("alice@example.org").await;
    for label in ["victim", "hog"] {
        api.create_node(label).await;
    }
    let (_tunnel, kit) = tunnel(&host, &api, "victim").await;
    kit.install(&test_package("counter:tester.dev")).await;
    let (_hogs_tunnel, hog) = tunnel(&host, &api, "hog").await;
    hog.install(&test_package("hostile:tester.dev")).await;
    let path = "/counter:counter:tester.dev/api";
    support::eventually("the app", Duration::from_secs(20), async || {
        (api.node_get("victim.localhost", path).await.0 == StatusCode::OK).then_some(())
    })
    .await;
    let measure = async || {
        let mut times = Vec::new();
        for _ in 0..3000 {
            let begun = Instant::now();
            let (status, _) = api.node_get("victim.localhost", path).await;
            assert_eq!(status, StatusCode::OK);
            times.push(begun.elapsed());
        }
        (percentile(&mut times, 0.5), percentile(&mut times, 0.99))
    };
    measure().await;
    let idle = measure().await;
    let spawned = hog.inject("hog:hostile:tester.dev", r#"{"Spawn":8}"#).await;
    let spawned: Value = serde_json::from_str(&spawned.body).unwrap();
    assert_eq!(spawned["spawned"].as_array().unwrap().len(), 8);
    let busy = measure().await;
    println!("victim idle: p50 {:?}, p99 {:?}", idle.0, idle.1);
    println!("victim beside 8 loops: p50 {:?}, p99 {:?}", busy.0, busy.1);
    println!(
        "p99 ratio {:.1} (goal: at most 3)",
        busy.1.as_secs_f64() / idle.1.as_secs_f64()
    );
    let alive = json(api.get("/nodes/hog").await).await;
    assert_eq!(alive["status"], "active");
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_a_second_tenant_installs_the_same_app() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    let path = "/counter:counter:tester.dev/api";
    let mut times = Vec::new();
    for label in ["first", "second"] {
        api.create_node(label).await;
        let (_tunnel, kit) = tunnel(&host, &api, label).await;
        let begun = Instant::now();
        kit.install(&test_package("counter:tester.dev")).await;
        let name = format!("{label}.localhost");
        while api.node_get(&name, path).await.0 != StatusCode::OK {}
        times.push(begun.elapsed());
    }
    println!(
        "install to first answer: first tenant {:?}, second {:?}",
        times[0], times[1]
    );
    println!(
        "ratio {:.1}",
        times[0].as_secs_f64() / times[1].as_secs_f64()
    );
}
