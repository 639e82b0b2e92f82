//! Hours of tenants that wake, sleep, restart, are removed and made anew: what
//! the host holds does not grow, and nobody is left stuck (`make soak`).

use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::StatusCode;

use super::storm::{Door, Tenant, populate, visit};
use super::support::{Database, Footprint, Host, Metrics, Random, eventually};

/// How long it goes on, unless `BERTH_SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 3600;
const TENANTS: usize = 60;
/// Visitors at once.
const VISITORS: usize = 8;
/// Rounds between two starts of the host, while there are any.
const RESTART_EVERY: usize = 10;
/// Tenants removed and made anew at each of them.
const REMOVED: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);
/// Fewest samples that say anything.
const FEWEST: usize = 16;
/// Goal: growth of resident memory, percent an hour.
const GROWTH_GOAL: f64 = 1.0;
/// Descriptors and threads come and go with the files of the store and with
/// work in the background: so many more at the end are no leak.
const DESCRIPTORS_SLACK: f64 = 24.0;
const THREADS_SLACK: f64 = 4.0;

/// The host while everybody sleeps, so many hours after the first sample.
struct Sample {
    hours: f64,
    footprint: Footprint,
}

/// A host and whom it is tormented with.
struct Soak {
    host: Host,
    tenants: Vec<Tenant>,
    random: Random,
}

impl Soak {
    async fn start() -> Self {
        let random = Random::seeded();
        let host = Host::start_with(&["--plan-nodes", "20", "--idle-after", "2s"]);
        let tenants = populate(&host, TENANTS).await;
        Self {
            host,
            tenants,
            random,
        }
    }

    /// Half of them are visited by any door, and some of the others are treated
    /// otherwise meanwhile.
    async fn round(&mut self) {
        let mut order: Vec<usize> = (0..TENANTS).collect();
        self.random.shuffle(&mut order);
        let (visited, left_alone) = order.split_at(TENANTS / 2);
        let visits: Vec<(usize, Door)> = visited
            .iter()
            .map(|number| (*number, Door::any(&mut self.random)))
            .collect();
        let wishes: Vec<(usize, &str)> = left_alone[..TENANTS / 10]
            .iter()
            .map(|number| {
                let wish = ["hibernate", "restart", "start"][self.random.below(3)];
                (*number, wish)
            })
            .collect();
        let (ssh_port, tenants) = (self.host.ssh_port(), &self.tenants);
        let visited = futures::stream::iter(&visits).for_each_concurrent(
            VISITORS,
            |(number, door)| async move {
                visit(ssh_port, &tenants[*number], *door).await;
            },
        );
        let wished = async {
            for (number, wish) in &wishes {
                let tenant = &tenants[*number];
                let path = format!("/nodes/{}/{wish}", tenant.label);
                let status = tenant.api.act(&path).await.status();
                // A node that is being started cannot be put to sleep.
                let fine = [StatusCode::ACCEPTED, StatusCode::CONFLICT];
                assert!(fine.contains(&status), "{path}: {status}");
            }
        };
        tokio::join!(visited, wished);
    }

    /// Some are removed for good, the host is started again, in order or not,
    /// and others come in their place.
    async fn turn_over(&mut self, in_order: bool) {
        let mut removed: Vec<usize> = (0..TENANTS).collect();
        self.random.shuffle(&mut removed);
        removed.truncate(REMOVED);
        for number in &removed {
            let tenant = &self.tenants[*number];
            let path = format!("/nodes/{}?purge=true", tenant.label);
            let status = tenant.api.delete(&path).await.status();
            assert_eq!(status, StatusCode::ACCEPTED);
        }
        Database::of(&self.host)
            .query("UPDATE tenants SET purge_at = created_at WHERE desired_state = 'archived'");
        if in_order {
            self.host.restart();
        } else {
            self.host.crash_and_restart();
        }
        for tenant in &mut self.tenants {
            *tenant = tenant.again(&self.host);
        }
        for number in removed {
            let tenant = &self.tenants[number];
            eventually("a purge", PATIENCE, async || {
                let status = tenant.api.status(&tenant.label).await;
                (status == "absent").then_some(())
            })
            .await;
            tenant.api.create_node(&tenant.label).await;
            let password = tenant.api.ssh_password(&tenant.label).await;
            self.tenants[number].password = password;
        }
    }

    /// Waits until everybody sleeps.
    async fn all_asleep(&self) {
        eventually("everybody's sleep", PATIENCE, async || {
            let metrics = Metrics::of(&self.host).await;
            let broken = metrics.nodes("broken");
            assert_eq!(broken, 0.0, "{}", self.host.tail());
            (metrics.nodes("hibernated") == TENANTS as f64).then_some(())
        })
        .await;
    }
}

/// Slope of the line through `points` that fits best, and its standard error.
fn slope(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    let together: f64 = points
        .iter()
        .map(|(x, y)| (x - x_mean) * (y - y_mean))
        .sum();
    let slope = together / spread;
    let rest: f64 = points
        .iter()
        .map(|(x, y)| (y - y_mean - slope * (x - x_mean)).powi(2))
        .sum();
    (slope, (rest / (count - 2.0) / spread).sqrt())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What the first and the last quarter of the samples show of something.
fn ends(samples: &[Sample], of: fn(&Footprint) -> usize) -> (f64, f64) {
    let quarter = samples.len() / 4;
    let middle = |samples: &[Sample]| {
        let values = samples.iter().map(|sample| of(&sample.footprint) as f64);
        median(values.collect())
    };
    (
        middle(&samples[..quarter]),
        middle(&samples[samples.len() - quarter..]),
    )
}

/// Checks that nothing grows. Memory does if its slope is above the goal by
/// more than chance makes it: twice its standard error, which shrinks with the
/// length of the run. So a short run proves little and fails for nothing.
fn is_flat(samples: &[Sample]) {
    // What is filled once is not growth: caches, pools, the allocator's own.
    let samples = &samples[samples.len() / 4..];
    assert!(samples.len() >= FEWEST, "too short: set BERTH_SOAK_SECONDS");
    let memory: Vec<(f64, f64)> = samples
        .iter()
        .map(|sample| (sample.hours, sample.footprint.rss_kib as f64))
        .collect();
    let (slope, error) = slope(&memory);
    let whole = memory.iter().map(|point| point.1).sum::<f64>() / memory.len() as f64;
    let (growth, error) = (100.0 * slope / whole, 100.0 * error / whole);
    println!(
        "RSS {whole:.0} KiB, {growth:+.3} % an hour (standard error {error:.3}; goal: less than \
         {GROWTH_GOAL}) over {} samples",
        memory.len()
    );
    let descriptors = ends(samples, |footprint| footprint.descriptors);
    let threads = ends(samples, |footprint| footprint.threads);
    println!("descriptors {descriptors:?}, threads {threads:?}: first and last quarter");
    assert!(growth - 2.0 * error < GROWTH_GOAL, "memory grows");
    assert!(descriptors.1 <= descriptors.0 + DESCRIPTORS_SLACK);
    assert!(threads.1 <= threads.0 + THREADS_SLACK);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour or more: make soak"]
async fn soak_tenants_come_and_go_and_nothing_grows() {
    let seconds = std::env::var("BERTH_SOAK_SECONDS").map(|text| text.parse().unwrap());
    let length = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let begun = Instant::now();
    let mut soak = Soak::start().await;
    let mut rounds = 0;
    // In the first third the host is started again and again; then one and the
    // same process is watched.
    while begun.elapsed() < length / 3 {
        soak.round().await;
        rounds += 1;
        if rounds % RESTART_EVERY == 0 {
            let in_order = rounds % (2 * RESTART_EVERY) == 0;
            soak.turn_over(in_order).await;
        }
    }
    soak.turn_over(true).await;
    let watched = Instant::now();
    let mut samples = Vec::new();
    while begun.elapsed() < length {
        soak.round().await;
        rounds += 1;
        soak.all_asleep().await;
        samples.push(Sample {
            hours: watched.elapsed().as_secs_f64() / 3600.0,
            footprint: Footprint::of(&soak.host),
        });
    }
    println!("{rounds} rounds in {:?}", begun.elapsed());
    // Nobody is stuck: all of them answer, and sleep again.
    let ssh_port = soak.host.ssh_port();
    for tenant in &soak.tenants {
        visit(ssh_port, tenant, Door::Page).await;
    }
    soak.all_asleep().await;
    is_flat(&samples);
    assert!(soak.host.terminate(Duration::from_secs(60)).success());
}
