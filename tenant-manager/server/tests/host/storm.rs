//! Many sleeping tenants that are woken at once, through every door, in an
//! order that nobody chose.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::support::{
    self, Api, Database, Footprint, Host, Kit, Metrics, Random, Ssh, eventually, json as body_of,
};

/// Visitors at once.
const VISITORS: usize = 24;
/// Tenants of one account: an account boots few of its nodes at once.
const PER_ACCOUNT: usize = 20;
/// Nodes made at once; the host hashes two passwords at a time.
const MAKERS: usize = 4;
/// How long a visitor who is told to come back does so.
const PATIENCE: Duration = Duration::from_secs(120);

/// A tenant that is visited.
#[derive(Clone)]
pub struct Tenant {
    pub label: String,
    pub api: Api,
    pub password: String,
}

impl Tenant {
    /// The same of a host that has been started again since.
    pub fn again(&self, host: &Host) -> Self {
        Self {
            api: self.api.again(host),
            ..self.clone()
        }
    }
}

/// Makes `count` tenants of many accounts, through the API. They run then.
pub async fn populate(host: &Host, count: usize) -> Vec<Tenant> {
    let mut accounts = Vec::new();
    for number in 0..count.div_ceil(PER_ACCOUNT) {
        let email = format!("owner{number}@example.org");
        accounts.push(host.api().sign_up(&email).await);
    }
    let accounts = &accounts;
    let make = |number: usize| async move {
        let api = accounts[number / PER_ACCOUNT].clone();
        let label = format!("tenant{number}");
        api.create_node(&label).await;
        let password = api.ssh_password(&label).await;
        Tenant {
            label,
            api,
            password,
        }
    };
    futures::stream::iter(0..count)
        .map(make)
        .buffer_unordered(MAKERS)
        .collect()
        .await
}

/// Ways to a node.
#[derive(Debug, Clone, Copy)]
pub enum Door {
    Page,
    Start,
    Command,
    Tunnel,
}

impl Door {
    /// Any. Those that cost a whole SSH connection are not the most frequent.
    pub fn any(random: &mut Random) -> Self {
        match random.below(10) {
            0..4 => Self::Page,
            4..6 => Self::Start,
            6..8 => Self::Command,
            _ => Self::Tunnel,
        }
    }
}

/// Goes in by `door` until let in; how often it was told to come back. Anything
/// else than that and the right answer is a failure.
pub async fn visit(ssh_port: u16, tenant: &Tenant, door: Door) -> usize {
    let told_to_wait = AtomicUsize::new(0);
    eventually(
        &format!("{} by {door:?}", tenant.label),
        PATIENCE,
        async || {
            let let_in = match door {
                Door::Page => page(tenant).await,
                Door::Start => start(tenant).await,
                Door::Command => command(ssh_port, tenant).await,
                Door::Tunnel => tunnel(ssh_port, tenant).await,
            };
            if !let_in {
                told_to_wait.fetch_add(1, Ordering::Relaxed);
            }
            let_in.then_some(())
        },
    )
    .await;
    told_to_wait.into_inner()
}

async fn page(tenant: &Tenant) -> bool {
    let name = format!("{}.localhost", tenant.label);
    let answer = tenant.api.node(Method::GET, &name, "/login", "").await;
    match answer.status() {
        StatusCode::OK => {
            let text = answer.text().await.unwrap();
            let own = format!("{}.dev", tenant.label);
            assert!(text.contains(&own), "{own} is not on {text}");
            true
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
            false
        }
        other => panic!("{}: {other}", tenant.label),
    }
}

async fn start(tenant: &Tenant) -> bool {
    let path = format!("/nodes/{}/start", tenant.label);
    let answer = tenant.api.act(&path).await;
    let status = answer.status();
    assert_eq!(status, StatusCode::ACCEPTED, "{}", tenant.label);
    let node = body_of(answer).await;
    assert_eq!(node["label"], tenant.label.as_str());
    page(tenant).await
}

async fn command(ssh_port: u16, tenant: &Tenant) -> bool {
    let ssh = Ssh::new(ssh_port, &tenant.label, &tenant.password);
    let line = format!("echo {} is awake", tenant.label);
    let ran = tokio::task::spawn_blocking(move || ssh.exec(&line));
    let ran = ran.await.unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    match ran.status.code() {
        Some(0) => {
            assert_eq!(said.trim(), format!("{} is awake", tenant.label));
            true
        }
        Some(1) => {
            let reason = String::from_utf8_lossy(&ran.stderr);
            assert!(reason.contains("try again"), "{}: {reason}", tenant.label);
            false
        }
        other => panic!("{}: {other:?}, {ran:?}", tenant.label),
    }
}

async fn tunnel(ssh_port: u16, tenant: &Tenant) -> bool {
    let ssh = Ssh::new(ssh_port, &tenant.label, &tenant.password);
    let tunnel = tokio::task::spawn_blocking(move || ssh.tunnel());
    let tunnel = tunnel.await.unwrap();
    let answer = Kit::new(tunnel.port)
        .try_rpc("main:app-store:sys", "\"Apis\"", Some(15))
        .await;
    // Ending ssh waits for it.
    let ended = tokio::task::spawn_blocking(move || drop(tunnel));
    ended.await.unwrap();
    match answer {
        Some(answer) => {
            assert_eq!(answer.status, StatusCode::OK, "{}", tenant.label);
            assert!(answer.body.contains("ApisResponse"), "{answer:?}");
            true
        }
        // The channel was refused: there is no room just now.
        None => false,
    }
}

/// Has `count` tenants fall asleep, wakes all of them and some of them twice.
async fn storm(count: usize) {
    let mut random = Random::seeded();
    // Those woken first fall asleep again while others are being woken.
    let mut host = Host::start_with(&["--plan-nodes", "20", "--idle-after", "2s"]);
    let begun = Instant::now();
    let tenants = populate(&host, count).await;
    println!("{count} tenants made in {:?}", begun.elapsed());
    // Everybody sleeps after a start of the host.
    println!("started again in {:?}", host.restart());
    let tenants: Vec<Tenant> = tenants.iter().map(|tenant| tenant.again(&host)).collect();
    let asleep = Footprint::of(&host);

    let twice = (0..count / 4)
        .map(|_| random.below(count))
        .collect::<Vec<_>>();
    let mut visits: Vec<(usize, Door)> = (0..count)
        .chain(twice)
        .map(|number| (number, Door::any(&mut random)))
        .collect();
    random.shuffle(&mut visits);
    let begun = Instant::now();
    let ssh_port = host.ssh_port();
    let waited: Vec<usize> = futures::stream::iter(&visits)
        .map(|(number, door)| visit(ssh_port, &tenants[*number], *door))
        .buffer_unordered(VISITORS)
        .collect()
        .await;
    println!(
        "{} visits in {:?}; {} times somebody was told to come back",
        visits.len(),
        begun.elapsed(),
        waited.iter().sum::<usize>()
    );

    let metrics = Metrics::of(&host).await;
    let booted = metrics.sum("berth_node_boots_total", &["outcome=\"ok\""]);
    assert_eq!(metrics.boots(), booted, "no boot failed");
    assert!(booted >= count as f64, "{booted}: every one of them slept");
    let awake = Footprint::of(&host);
    println!(
        "{booted} boots; RSS {} KiB before and {} KiB after, {} and {} descriptors",
        asleep.rss_kib, awake.rss_kib, asleep.descriptors, awake.descriptors
    );
    // Nobody is stuck: all of them fall asleep again.
    eventually("everybody's sleep", PATIENCE, async || {
        let metrics = Metrics::of(&host).await;
        (metrics.nodes("hibernated") == count as f64).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_wakes_200_sleeping_tenants() {
    storm(200).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: make soak"]
async fn soak_a_storm_wakes_1000_sleeping_tenants() {
    storm(1000).await;
}

#[tokio::test]
#[ignore = "minutes: make soak"]
async fn soak_10_000_sleeping_tenants_are_there_at_the_start_of_a_host() {
    const SLEEPERS: usize = 10_000;
    let mut host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    alice.create_node("alice").await;
    let few = (host.restart(), Footprint::of(&host));
    Database::of(&host).add_sleepers("alice", SLEEPERS);
    let many = (host.restart(), Footprint::of(&host));
    println!(
        "a start with one tenant takes {:?}, with {SLEEPERS} more {:?}",
        few.0, many.0
    );
    let more = |many: u64, few: u64| many.saturating_sub(few) as f64 * 1024.0 / SLEEPERS as f64;
    println!(
        "RSS {} KiB, with {SLEEPERS} more {} KiB: {:.0} bytes each (goal: at most 8192)",
        few.1.rss_kib,
        many.1.rss_kib,
        more(many.1.rss_kib, few.1.rss_kib)
    );
    let ready = support::fetch(format!("http://{}/readyz", host.metrics()));
    assert_eq!(ready.await.unwrap().status(), StatusCode::OK);
    let alice = alice.again(&host);
    assert_eq!(alice.status("alice").await, "hibernated");
    assert_eq!(alice.status("sleeper9999").await, "hibernated");
    let (status, page) = alice.node_get("alice.localhost", "/login").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    // These cannot be booted, and say so; nobody else notices.
    let (status, _) = alice.node_get("sleeper1.localhost", "/login").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let taken = json!({"label": "sleeper2", "password": "node password"});
    let taken = alice.post("/nodes", &taken).await;
    assert!(taken.status().is_client_error(), "{taken:?}");
    assert_eq!(alice.status("alice").await, "active");
}
