//! Figures of nodes that sleep, beside those of goals.md (`make bench`): what
//! many of them cost, and what many cost that are awake and do nothing. How
//! long waking takes is in `bench.rs`.

use std::cell::Cell;
use std::time::Duration;

use futures::StreamExt;
use reqwest::StatusCode;

use super::storm::{Tenant, populate};
use super::support::{Database, Footprint, Host, Metrics, eventually, json};

/// Records of tenants of whom nobody is awake.
const SLEEPERS: usize = 10_000;
/// Goal: resident memory of each, bytes.
const SLEEPER_GOAL: f64 = 8192.0;
/// Nodes that are awake and do nothing.
const IDLE: usize = 1000;
/// Goal: their share of one processor, percent.
const IDLE_GOAL: f64 = 2.0;
/// How long it is measured.
const WATCH: Duration = Duration::from_secs(30);
/// Nodes whose memory is measured, awake in this order.
const AWAKE: [usize; 3] = [1, 10, 100];
/// Goal: proportional memory of each, KiB.
const AWAKE_GOAL: f64 = 4096.0;
/// Nodes woken at once.
const WAKERS: usize = 16;

/// What has been begun at a start is over, and memory that was only needed for
/// it is given back: allocators do that with delay.
async fn settled(host: &Host) -> Footprint {
    let before = Cell::new(0_u64);
    eventually("a steady host", Duration::from_secs(120), async || {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = Footprint::of(host);
        let steady = now.rss_kib.abs_diff(before.replace(now.rss_kib)) <= 64;
        steady.then_some(now)
    })
    .await
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_what_a_sleeping_node_costs() {
    let mut host = Host::start_with(&["--plan-nodes", "5"]);
    let alice = host.api().sign_up("alice@example.org").await;
    alice.create_node("alice").await;
    let empty_start = host.restart();
    let empty = settled(&host).await;
    Database::of(&host).add_sleepers("alice", SLEEPERS);
    let full_start = host.restart();
    let full = settled(&host).await;
    let metrics = Metrics::of(&host).await;
    assert_eq!(metrics.nodes("hibernated"), (SLEEPERS + 1) as f64);
    assert_eq!(metrics.boots(), 0.0);
    let grown = full.rss_kib as f64 - empty.rss_kib as f64;
    let each = grown * 1024.0 / SLEEPERS as f64;
    println!(
        "{SLEEPERS} asleep: {each:.0} bytes of RSS each (goal: at most {SLEEPER_GOAL}; {:.2}x), \
         {:.1} MiB in all",
        each / SLEEPER_GOAL,
        grown / 1024.0
    );
    println!(
        "  {} descriptors against {} of a host with one (goal: no more), {} threads against {}",
        full.descriptors, empty.descriptors, full.threads, empty.threads
    );
    println!(
        "  ready after {full_start:?} against {empty_start:?}, {:.1}x",
        full_start.as_secs_f64() / empty_start.as_secs_f64()
    );
    // Asleep they do nothing at all.
    let (begun, nobody) = (full.cpu, settled_cpu(&host).await);
    println!(
        "  {:.2} % of a processor while nobody is awake",
        share(nobody - begun, WATCH)
    );
}

/// Time on a processor once [`WATCH`] has passed.
async fn settled_cpu(host: &Host) -> Duration {
    tokio::time::sleep(WATCH).await;
    Footprint::of(host).cpu
}

/// Percent of one processor.
fn share(cpu: Duration, watched: Duration) -> f64 {
    100.0 * cpu.as_secs_f64() / watched.as_secs_f64()
}

/// Makes `count` nodes and a host on which none of them was awake yet: what
/// making them took is not part of what they cost.
async fn sleepers(count: usize) -> (Host, Vec<Tenant>) {
    let most = (count + 1).to_string();
    let flags = [
        "--plan-nodes",
        "20",
        "--idle-after",
        "0",
        "--max-awake",
        most.as_str(),
    ];
    let mut host = Host::start_with(&flags);
    let tenants = populate(&host, count).await;
    host.restart();
    let tenants = tenants.iter().map(|tenant| tenant.again(&host)).collect();
    (host, tenants)
}

/// Wakes all of them.
async fn wake(tenants: &[Tenant]) {
    futures::stream::iter(tenants)
        .for_each_concurrent(WAKERS, |tenant| async move {
            let name = format!("{}.localhost", tenant.label);
            let (status, page) = tenant.api.node_get(&name, "/login").await;
            assert_eq!(status, StatusCode::OK, "{name}: {page}");
        })
        .await;
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_what_a_node_costs() {
    let all = AWAKE[AWAKE.len() - 1];
    let (host, tenants) = sleepers(all).await;
    let asleep = settled(&host).await;
    println!(
        "{all} asleep: {} mappings, {} KiB of PSS, {} descriptors in all",
        asleep.mappings, asleep.pss_kib, asleep.descriptors
    );
    let mut woken = 0;
    for count in AWAKE {
        wake(&tenants[woken..count]).await;
        woken = count;
        let awake = settled(&host).await;
        let each = |awake: u64, asleep: u64| (awake as f64 - asleep as f64) / count as f64;
        let pss = each(awake.pss_kib, asleep.pss_kib);
        println!(
            "{count} awake and idle: {pss:.0} KiB of PSS each (goal: at most {AWAKE_GOAL}; \
             {:.2}x), {:.2} descriptors, {:.1} mappings",
            pss / AWAKE_GOAL,
            each(awake.descriptors as u64, asleep.descriptors as u64),
            each(awake.mappings as u64, asleep.mappings as u64),
        );
    }
    for tenant in &tenants {
        tenant.api.hibernate(&tenant.label).await;
    }
    let again = settled(&host).await;
    let kept = again.pss_kib as f64 - asleep.pss_kib as f64;
    println!(
        "  asleep again: {:.0} KiB of PSS each are not given back, {} descriptors against {} \
         before",
        kept / all as f64,
        again.descriptors,
        asleep.descriptors
    );
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_cpu_of_nodes_that_are_awake_and_idle() {
    let (host, tenants) = sleepers(IDLE).await;
    wake(&tenants).await;
    let begun = settled(&host).await;
    let ended = settled_cpu(&host).await;
    let share = share(ended - begun.cpu, WATCH);
    println!(
        "{IDLE} awake and idle for {WATCH:?}: {share:.2} % of a processor (goal: at most \
         {IDLE_GOAL}; {:.2}x), {} threads, {} descriptors, {} KiB of RSS",
        share / IDLE_GOAL,
        begun.threads,
        begun.descriptors,
        begun.rss_kib
    );
    let one = json(
        tenants[0]
            .api
            .get(&format!("/nodes/{}", tenants[0].label))
            .await,
    )
    .await;
    assert_eq!(one["status"], "active");
}
