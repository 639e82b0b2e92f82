//! What a node uses, over the API.

use std::sync::atomic::Ordering;

use node_api::{NodeUsage, ProcessUsage, UsageLimits, UsageReport};
use serde_json::{Value, json};

use crate::support::Host;

const USAGE: &str = "/nodes/alice/usage";

/// What a busy node reports.
pub fn busy() -> UsageReport {
    let app = ProcessUsage {
        memory_bytes: 64 << 20,
        cpu_micros: 5_500_000,
        messages_in: 7,
        mailbox_messages: 3,
        mailbox_percent: 2,
        restarts: 4,
        restart_in_ms: Some(7_900),
        restart_delay_ms: Some(8_000),
        prints_left_out: 12,
        ..ProcessUsage::default()
    };
    let module = ProcessUsage {
        module: true,
        ..ProcessUsage::default()
    };
    UsageReport {
        node: NodeUsage {
            memory_bytes: 64 << 20,
            disk_bytes: 1 << 30,
            disk_files_bytes: 512 << 20,
            disk_state_bytes: 128 << 20,
            disk_kv_bytes: 128 << 20,
            disk_sqlite_bytes: 256 << 20,
            disk_written_bytes: 3 << 30,
            disk_slowed: 6,
            processes: 9,
            cpu_micros: 5_500_000,
            messages_in: 7,
            requests: 3,
            ..NodeUsage::default()
        },
        limits: UsageLimits {
            outstanding: 4096,
            ..UsageLimits::default()
        },
        processes: [
            ("app:pack:me.dev".parse().unwrap(), app),
            ("vfs:distro:sys".parse().unwrap(), module),
        ]
        .into(),
    }
}

#[tokio::test]
async fn what_a_node_uses_is_told_beside_what_it_may_and_asking_wakes_nobody() {
    let host = Host::start().await;
    let ann = host.sign_up("ann@example.org").await;
    host.make_node(&ann, "alice").await;
    *host.control.report.lock().unwrap() = Some(busy());
    let usage = host.api("GET", USAGE, &ann, None).await;
    assert_eq!(usage.status, 200, "{}", usage.text());
    let usage = usage.json();
    assert_eq!(usage["label"], "alice");
    assert_eq!(usage["status"], "active");
    assert_eq!(usage["now"]["memory_bytes"], 64 << 20);
    assert_eq!(usage["now"]["cpu_ms"], 5500);
    assert_eq!(usage["now"]["requests"], 3);
    assert_eq!(
        usage["limits"],
        json!({"memory_bytes": 256 << 20, "disk_bytes": 2_147_483_648_u64,
               "disk_bytes_per_second": 256 << 20, "processes": 64})
    );
    assert_eq!(usage["now"]["disk_written_bytes"], 3_u64 << 30);
    assert_eq!(usage["now"]["disk_slowed"], 6);
    assert_eq!(usage["process_limits"]["outstanding"], 4096);
    let processes = usage["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 2);
    let app = &processes[0];
    assert_eq!(app["process"], "app:pack:me.dev");
    assert_eq!(app["restart_in_ms"], 7900);
    assert_eq!(app["up_ms"], Value::Null);
    assert_eq!(processes[1]["module"], true);
    assert_eq!(usage["history"], json!([]));

    // Asleep: what it used is still told, and nothing is used now.
    host.clock.advance(120);
    host.api("POST", "/nodes/alice/hibernate", &ann, None).await;
    host.wait_for_status(&ann, "alice", "hibernated").await;
    let asleep = host.api("GET", USAGE, &ann, None).await.json();
    assert_eq!(asleep["now"], Value::Null);
    assert_eq!(asleep["process_limits"], Value::Null);
    assert_eq!(asleep["processes"], json!([]));
    assert_eq!(asleep["disk_bytes"], 1 << 30);
    let stores = ["files", "state", "kv", "sqlite"];
    let stores = stores.map(|store| asleep[format!("disk_{store}_bytes")].as_u64().unwrap());
    assert_eq!(stores.map(|bytes| bytes >> 20), [512, 128, 128, 256]);
    assert_eq!(
        asleep["history"],
        json!([{
            "at": "1970-01-01T00:02:00Z", "seconds": 120, "memory_bytes": 64 << 20,
            "disk_bytes": 1 << 30, "processes": 9, "cpu_ms": 5500, "messages": 7, "requests": 3,
        }])
    );
    assert_eq!(host.control.launches.load(Ordering::SeqCst), 1);
    host.wait_for_status(&ann, "alice", "hibernated").await;
}

#[tokio::test]
async fn usage_of_others_is_no_ones_business() {
    let host = Host::start().await;
    let ann = host.sign_up("ann@example.org").await;
    host.make_node(&ann, "alice").await;
    let eve = host.sign_up("eve@example.org").await;
    host.api("GET", USAGE, &eve, None).await.problem(404);
    host.api("GET", USAGE, "", None).await.problem(401);
    let nobody = "/nodes/nobody/usage";
    host.api("GET", nobody, &ann, None).await.problem(404);
}
