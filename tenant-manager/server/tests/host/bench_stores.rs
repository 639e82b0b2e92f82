//! Figures of the stores as a process sees them (`make bench`): each call
//! through the published library, beside a round trip to another process and,
//! for files, beside the same done to plain files in the same run. What the
//! bare libraries of databases take is measured where they are at home, in the
//! tests of node-store and node-sql, in the same run of `make bench`. Then what
//! it costs when very many tenants write a little.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::bench::percentile;
use super::storm::{Tenant, populate};
use super::support::{
    Footprint, Host, Kit, Metrics, Ssh, eventually, json as body_of, test_package,
};

const APP: &str = "storebench:storebench:tester.dev";
/// No rate slows what is measured down, and nobody falls asleep.
const FLAGS: [&str; 4] = ["--plan-disk-rate", "0", "--idle-after", "0"];
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Largest file, as in the app.
const MOST_FILE: usize = 16 * MIB;

/// Something done to plain files in a directory: so many bytes, so many times;
/// the median.
type Plain = fn(&Path, usize, u32) -> Duration;

/// One measurement.
struct Case {
    name: &'static str,
    /// The kind of run of the app.
    run: &'static str,
    bytes: usize,
    rounds: u32,
    /// Calls a second of upstream, as measured on two processors (goals.md B4),
    /// and how many times that is the goal.
    upstream: Option<(f64, f64)>,
    plain: Option<Plain>,
}

impl Case {
    const fn new(name: &'static str, run: &'static str, bytes: usize, rounds: u32) -> Self {
        Self {
            name,
            run,
            bytes,
            rounds,
            upstream: None,
            plain: None,
        }
    }

    const fn upstream(mut self, per_second: f64, goal: f64) -> Self {
        self.upstream = Some((per_second, goal));
        self
    }

    const fn plain(mut self, plain: Plain) -> Self {
        self.plain = Some(plain);
        self
    }
}

const CASES: [Case; 14] = [
    Case::new("vfs append 4 KiB", "vfs_append", 4 * KIB, 20_000)
        .upstream(9800.0, 2.0)
        .plain(append),
    Case::new("vfs read_at 4 KiB", "vfs_read", 4 * KIB, 20_000)
        .upstream(16_300.0, 2.0)
        .plain(read),
    Case::new("vfs append 1 MiB", "vfs_append", MIB, 1000)
        .upstream(2000.0, 2.0)
        .plain(append),
    Case::new("vfs read_at 1 MiB", "vfs_read", MIB, 1000).plain(read),
    Case::new("vfs write 4 KiB", "vfs_write", 4 * KIB, 10_000).plain(replace),
    Case::new("vfs open+create", "vfs_create", 0, 5000)
        .upstream(8300.0, 2.0)
        .plain(create),
    Case::new("kv set 100 B", "kv_set", 100, 50_000).upstream(29_800.0, 1.0),
    Case::new("kv get 100 B", "kv_get", 100, 50_000).upstream(36_800.0, 1.0),
    Case::new("kv set 100 B in tx", "kv_tx", 100, 500).upstream(36_200.0, 2.0),
    Case::new("sqlite insert", "sqlite_insert", 100, 20_000).upstream(3760.0, 1.0),
    Case::new("sqlite insert in tx", "sqlite_tx", 100, 300).upstream(33_900.0, 1.5),
    Case::new("sqlite select", "sqlite_select", 100, 20_000).upstream(19_900.0, 1.5),
    Case::new("set_state 4 KiB", "state_set", 4 * KIB, 20_000),
    Case::new("timer 0 ms", "timer", 0, 20_000),
];

/// Median time of `call`, in which `ready` has no part.
fn median(rounds: u32, mut ready: impl FnMut(), mut call: impl FnMut()) -> Duration {
    let once = |_| {
        ready();
        let begun = Instant::now();
        call();
        begun.elapsed()
    };
    percentile(&mut (0..rounds).map(once).collect::<Vec<_>>(), 0.5)
}

fn append(dir: &Path, bytes: usize, rounds: u32) -> Duration {
    let open = File::options()
        .append(true)
        .create(true)
        .open(dir.join("append"));
    let mut file = open.unwrap();
    let cut = file.try_clone().unwrap();
    let piece = vec![7; bytes];
    let mut len = 0;
    let ready = || {
        if len + bytes > MOST_FILE {
            cut.set_len(0).unwrap();
            len = 0;
        }
        len += bytes;
    };
    median(rounds, ready, || file.write_all(&piece).unwrap())
}

fn read(dir: &Path, bytes: usize, rounds: u32) -> Duration {
    let path = dir.join("read");
    std::fs::write(&path, vec![7; MOST_FILE]).unwrap();
    let mut file = File::open(&path).unwrap();
    // The same cursor.
    let mut rewound = file.try_clone().unwrap();
    let mut buffer = vec![0; bytes];
    let mut at = 0;
    let ready = || {
        if at + bytes > MOST_FILE {
            rewound.rewind().unwrap();
            at = 0;
        }
        at += bytes;
    };
    median(rounds, ready, || file.read_exact(&mut buffer).unwrap())
}

/// In one step, so that no half of it is ever seen, as the node promises.
fn replace(dir: &Path, bytes: usize, rounds: u32) -> Duration {
    let (aside, path) = (dir.join("aside"), dir.join("write"));
    let content = vec![7; bytes];
    let call = || {
        std::fs::write(&aside, &content).unwrap();
        std::fs::rename(&aside, &path).unwrap();
    };
    median(rounds, || (), call)
}

fn create(dir: &Path, _: usize, rounds: u32) -> Duration {
    let mut number = 0;
    let call = || {
        number += 1;
        drop(File::create_new(dir.join(format!("new-{number}"))).unwrap());
    };
    median(rounds, || (), call)
}

/// A run of the app.
async fn run(kit: &Kit, kind: &str, bytes: usize, rounds: u32) -> Value {
    let run = json!({"run": kind, "bytes": bytes, "rounds": rounds}).to_string();
    let answer = kit.inject(APP, &run).await;
    let figures: Value =
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{kind}: {answer:?}"));
    assert!(figures["p50_ns"].is_u64(), "{kind}: {figures}");
    figures
}

fn micros(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or(f64::NAN) / 1e3
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_stores_through_a_process() {
    let host = Host::start_with(&FLAGS);
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
    let tunnel = ssh.tunnel();
    let kit = Kit::new(tunnel.port);
    kit.install(&test_package("storebench:tester.dev")).await;
    // The first one warms up.
    run(&kit, "noop", 100, 20_000).await;
    let round_trip = micros(&run(&kit, "noop", 100, 50_000).await, "p50_ns");
    println!("round trip to another process, 100 B, through the library: p50 {round_trip:.2} µs");

    // On the volume of the node's files.
    let plain = tempfile::tempdir_in(host.data().parent().unwrap()).unwrap();
    for case in &CASES {
        let figures = run(&kit, case.run, case.bytes, case.rounds).await;
        let p50 = micros(&figures, "p50_ns");
        println!(
            "{:<20} p50 {p50:>8.2} µs, p99 {:>8.2} µs, mean {:>8.2} µs; {:.1} round trips",
            case.name,
            micros(&figures, "p99_ns"),
            micros(&figures, "mean_ns"),
            p50 / round_trip
        );
        if let Some((upstream, goal)) = case.upstream {
            let rate = figures["per_second"].as_f64().unwrap_or(f64::NAN);
            println!(
                "    {rate:.0} a second, {:.2}x of upstream's {upstream:.0} (goal: {goal}x)",
                rate / upstream
            );
        }
        if let Some(measure) = case.plain {
            let bare = measure(plain.path(), case.bytes, case.rounds).as_secs_f64() * 1e6;
            println!(
                "    plain files {bare:.2} µs, ratio {:.1}; the rest is {:.1} round trips (goal: \
                 at most 2)",
                p50 / bare,
                (p50 - bare) / round_trip
            );
        }
    }
    println!(
        "(databases, goal: at most 2 round trips more than the bare library, which the benches of \
         node-store and node-sql print)"
    );
}

/// Tenants that write a little.
const TENANTS: usize = 1000;
/// Installs at once.
const INSTALLERS: usize = 8;
/// Rounds of each, in which it sets three keys, inserts a row and writes a
/// file of 1 KiB.
const ROUNDS: u64 = 15;
/// Time between two of them, which spreads the tenants too.
const PAUSE: Duration = Duration::from_secs(2);
/// Until all are done, on a machine that is slow.
const PATIENCE: Duration = Duration::from_secs(300);
const LITTLE: &str = "/storebench:storebench:tester.dev/little";

/// Installs the app on the node of `tenant`.
async fn install(host: &Host, tenant: &Tenant) {
    let ssh = Ssh::new(host.ssh_port(), &tenant.label, &tenant.password);
    let tunnel = tokio::task::spawn_blocking(move || ssh.tunnel());
    let tunnel = tunnel.await.unwrap();
    Kit::new(tunnel.port)
        .install(&test_package("storebench:tester.dev"))
        .await;
    // Ending ssh waits for it.
    let ended = tokio::task::spawn_blocking(move || drop(tunnel));
    ended.await.unwrap();
}

/// Has the app of a tenant begin to write, so long after now.
async fn begin(tenant: &Tenant, after: Duration) {
    let options = json!({
        "rounds": ROUNDS,
        "pause_ms": PAUSE.as_millis() as u64,
        "after_ms": after.as_millis() as u64,
    });
    let name = format!("{}.localhost", tenant.label);
    eventually(&tenant.label, PATIENCE, async || {
        let options = options.to_string();
        let answer = tenant.api.node(Method::POST, &name, LITTLE, &options).await;
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
}

/// What a tenant wrote, once it is done.
async fn written(tenant: &Tenant) -> Value {
    let name = format!("{}.localhost", tenant.label);
    eventually(&tenant.label, PATIENCE, async || {
        let (status, text) = tenant.api.node_get(&name, LITTLE).await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        (status == StatusCode::OK && answer.is_object()).then_some(answer)
    })
    .await
}

/// Bytes that are taken on disk by what is in `dir`.
fn bytes_of(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // Files come and go meanwhile.
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_of(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_a_thousand_tenants_each_writing_a_little() {
    let most = (TENANTS + 1).to_string();
    let more = ["--plan-nodes", "20", "--max-awake", most.as_str()];
    let host = Host::start_with(&[FLAGS.as_slice(), more.as_slice()].concat());
    let tenants = populate(&host, TENANTS).await;
    let begun = Instant::now();
    futures::stream::iter(&tenants)
        .for_each_concurrent(INSTALLERS, |tenant| install(&host, tenant))
        .await;
    println!("{TENANTS} installs in {:?}", begun.elapsed());
    let (before, disk) = (Footprint::of(&host), bytes_of(host.data()));

    let begun = Instant::now();
    let step = PAUSE / TENANTS as u32;
    futures::stream::iter(tenants.iter().enumerate())
        .for_each_concurrent(INSTALLERS, |(number, tenant)| {
            begin(tenant, step * number as u32 + Duration::from_millis(1))
        })
        .await;
    // Half of it: everything is open then.
    tokio::time::sleep((PAUSE * ROUNDS as u32 / 2).saturating_sub(begun.elapsed())).await;
    let during = Footprint::of(&host);
    // Asking earlier would only disturb.
    tokio::time::sleep((PAUSE * (ROUNDS as u32 + 1)).saturating_sub(begun.elapsed())).await;
    let written: Vec<Value> = futures::stream::iter(&tenants)
        .map(written)
        .buffer_unordered(INSTALLERS)
        .collect()
        .await;
    let took = begun.elapsed();
    let (after, grown) = (Footprint::of(&host), bytes_of(host.data()).abs_diff(disk));
    report(&written, took);
    let share = 100.0 * (after.cpu - before.cpu).as_secs_f64() / took.as_secs_f64();
    println!(
        "  RSS {} KiB before, {} during, {} after; descriptors {}, {} and {}; {share:.0} % of a \
         processor; {grown} bytes of disk more, {:.0} each",
        before.rss_kib,
        during.rss_kib,
        after.rss_kib,
        before.descriptors,
        during.descriptors,
        after.descriptors,
        grown as f64 / TENANTS as f64
    );
    let awake = Metrics::of(&host).await.nodes("active");
    assert_eq!(awake, TENANTS as f64, "nobody fell asleep or broke");
    let path = format!("/nodes/{}/usage", tenants[0].label);
    let one = tenants[0].api.get(&path).await;
    println!("  one of them: {}", body_of(one).await);
}

/// Prints the times of all writes of all tenants; none of which may have failed.
fn report(written: &[Value], took: Duration) {
    for (name, kind, each) in [
        ("kv set 100 B", "kv_ns", 3),
        ("sqlite insert", "sqlite_ns", 1),
        ("vfs write 1 KiB", "file_ns", 1),
    ] {
        let mut times = Vec::new();
        for tenant in written {
            assert_eq!(tenant["failed"], 0, "{}", tenant["why"]);
            let nanos = tenant[kind].as_array().unwrap();
            assert_eq!(nanos.len() as u64, each * ROUNDS, "{kind}");
            times.extend(nanos.iter().filter_map(Value::as_u64));
        }
        let mut times: Vec<Duration> = times.into_iter().map(Duration::from_nanos).collect();
        println!(
            "{TENANTS} tenants, {name}: p50 {:?}, p99 {:?}, most {:?}; {:.0} a second in all",
            percentile(&mut times, 0.5),
            percentile(&mut times, 0.99),
            percentile(&mut times, 1.0),
            times.len() as f64 / took.as_secs_f64()
        );
    }
}
