//! What one waiting process costs: mappings, resident memory and the time to
//! start it. Prints `name value` lines. Takes the number of instances, and
//! optionally the file of a component to use instead of a small one; it has to
//! print or receive.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement: its output is its purpose, and any failure ends it"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;
use std::sync::Arc;

use common::{MIB, Seen, init};
use lifecycle::{TaskKind, Tasks};
use node_engine::{Engine, EngineOptions, TenantBudget, WorkerCommand};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let count: usize = args.next().map_or(1000, |text| text.parse().unwrap());
    let wasm = args.next().map_or_else(
        // Writes to one page, then waits in a host call.
        || init("(i32.store (i32.const 70) (i32.const 1)) (call $print (i32.const 0) (i32.const 8) (i32.const 5))"),
        |path| fs::read(path).unwrap().into(),
    );
    let dir = tempfile::tempdir().unwrap();
    node_engine::precompile(&wasm, dir.path()).unwrap();
    let worker = WorkerCommand {
        program: "/bin/false".into(),
        args: Vec::new(),
    };
    let mut options = EngineOptions::new(dir.path().join("cache"), worker);
    options.extra_artifact_dirs = vec![dir.path().to_owned()];
    let tasks = Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new());
    let engine = Engine::new(options, &tasks).unwrap();
    let component = engine.prepare(wasm).await.unwrap();
    let budget = TenantBudget::new(1 << 40);
    let seen = Arc::new(Seen::default());
    *seen.hold.lock() = Some(Arc::new(Notify::new()));

    let start_all = async |count: usize| {
        let target = seen.prints.lock().len() + count;
        for _ in 0..count {
            let (engine, component) = (engine.clone(), Arc::clone(&component));
            let (budget, host) = (Arc::clone(&budget), seen.host());
            tasks.spawn(TaskKind::abortable("guest"), async move {
                engine.run(&component, host, &budget).await;
            });
        }
        while seen.prints.lock().len() < target {
            seen.printed.notified().await;
        }
    };
    start_all(10).await;
    let before = (mappings(), resident_kib());
    let start = Instant::now();
    start_all(count).await;
    let took = start.elapsed();
    let after = (mappings(), resident_kib());
    println!("instances {count}");
    println!(
        "mappings_each {:.2}",
        (after.0 - before.0) as f64 / count as f64
    );
    println!(
        "resident_kib_each {:.2}",
        after.1.saturating_sub(before.1) as f64 / count as f64
    );
    println!(
        "start_us_each {:.1}",
        took.as_micros() as f64 / count as f64
    );
    println!("budget_mib {}", budget.memory_in_use() / MIB);
}
