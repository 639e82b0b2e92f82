//! Figures, measured in one run and printed as ratios (`make bench`). Ignored
//! by `make test`: a figure is not a test.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::support::{self, Api, Host, Kit, Metrics, Ssh, json, test_package};

/// Sleeps that a node is woken from.
const WAKES: usize = 200;

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
    let (mut sign_up, mut create, mut boot) = (Vec::new(), Vec::new(), Vec::new());
    let mut hash = Vec::new();
    for round in 0..40 {
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
        let accepted = begun.elapsed();
        let name = format!("{label}.localhost");
        while api.node(Method::GET, &name, "/login", "").await.status() != StatusCode::OK {}
        sign_up.push(begun.elapsed());
        create.push(begun.elapsed() - signed_up);
        boot.push(begun.elapsed() - accepted);
        // The same hash and a write of the database, without a node to make.
        let begun = Instant::now();
        let path = format!("/nodes/{label}/password");
        let other = serde_json::json!({"password": "another password"});
        assert_eq!(
            api.post(&path, &other).await.status(),
            StatusCode::NO_CONTENT
        );
        hash.push(begun.elapsed());
    }
    println!(
        "sign-up to first 200: p50 {:?}",
        percentile(&mut sign_up, 0.5)
    );
    let (create, hash) = (percentile(&mut create, 0.5), percentile(&mut hash, 0.5));
    println!("create to first 200: p50 {create:?}; a new password alone: p50 {hash:?}");
    let beside = create.saturating_sub(hash);
    println!(
        "create beside its password hash: p50 {beside:?} (goal: at most 25 ms; {:.2}x), of which \
         {:?} after the answer",
        beside.as_secs_f64() / 0.025,
        percentile(&mut boot, 0.5)
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
    for _ in 0..WAKES {
        api.hibernate("alice").await;
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
        "wake / warm: {:.1}x; p50 {:.2}x of its goal of 5 ms, p99 {:.2}x of its goal of 30 ms",
        p50.as_secs_f64() / warm.as_secs_f64(),
        p50.as_secs_f64() / 0.005,
        p99.as_secs_f64() / 0.030
    );
    // What part of it is what: mean of each step of a boot.
    let metrics = Metrics::of(&host).await;
    let steps = metrics.text().lines().filter_map(|line| {
        let rest = line.strip_prefix("berth_boot_phase_seconds_sum")?;
        rest.split('"').nth(1)
    });
    for step in steps {
        let label = format!("phase=\"{step}\"");
        let of = |what: &str| metrics.sum(&format!("berth_boot_phase_seconds_{what}"), &[&label]);
        println!("  {step}: {:.2} ms", of("sum") * 1000.0 / of("count"));
    }
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
