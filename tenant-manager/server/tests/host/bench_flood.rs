//! What a flood of sign-ins at one node costs its neighbour (`make bench`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::bench::percentile;
use super::support::{Api, Host};

/// Requests that are timed.
const REQUESTS: usize = 20_000;
/// Who tries passwords at once.
const FLOODERS: usize = 200;

/// Times one request of the neighbour after the other.
pub async fn neighbour(api: &Api) -> (Duration, Duration) {
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        let (status, _) = api.node_get("bob.localhost", "/our").await;
        assert_eq!(status, StatusCode::OK);
        times.push(begun.elapsed());
    }
    (percentile(&mut times, 0.5), percentile(&mut times, 0.99))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_login_flood_beside_a_neighbour() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    api.create_node("bob").await;
    neighbour(&api).await;
    let (idle_p50, idle_p99) = neighbour(&api).await;

    let stop = Arc::new(AtomicBool::new(false));
    let tried = Arc::new(AtomicUsize::new(0));
    let flood: Vec<_> = (0..FLOODERS)
        .map(|_| {
            let (api, stop, tried) = (host.api(), stop.clone(), tried.clone());
            tokio::task::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let form = "password=wrong&subdomain=&redirect=%2F";
                    let answer = api.node_form("alice.localhost", "/login", form).await;
                    let refusals = [StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
                    assert!(refusals.contains(&answer.status()), "{answer:?}");
                    tried.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let begun = Instant::now();
    let (p50, p99) = neighbour(&api).await;
    let rate = tried.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for flooder in flood {
        flooder.await.unwrap();
    }
    let ratio = |with: Duration, without: Duration| with.as_secs_f64() / without.as_secs_f64();
    println!(
        "a neighbour's page beside {rate:.0} sign-ins a second: p50 {p50:?} against {idle_p50:?} \
         ({:.1}x), p99 {p99:?} against {idle_p99:?} ({:.1}x; goal: at most 2)",
        ratio(p50, idle_p50),
        ratio(p99, idle_p99),
    );
}
