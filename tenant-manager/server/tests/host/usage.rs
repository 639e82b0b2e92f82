//! What a node may not use is denied by name, counted, and hurts nobody else;
//! what it uses is told to its owner and to the operator.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{self, Api, Host, Kit, Ssh, Tunnel, test_package};

const TRAP: &str = "trap:hostile:tester.dev";
const HOG: &str = "hog:hostile:tester.dev";
const GROW: &str = "grow:hostile:tester.dev";
const MIB: u64 = 1 << 20;

/// Alice's node with hostile apps.
struct Bench {
    api: Api,
    ssh: Ssh,
    /// Dropped before the host.
    tunnel: Option<(Tunnel, Kit)>,
    host: Host,
}

impl Bench {
    async fn start(flags: &[&str]) -> Self {
        let host = Host::start_with(flags);
        let api = host.api().sign_up("alice@example.org").await;
        api.create_node("alice").await;
        let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
        let tunnel = ssh.tunnel();
        let kit = Kit::new(tunnel.port);
        let bench = Self {
            api,
            ssh,
            tunnel: Some((tunnel, kit)),
            host,
        };
        bench.install().await;
        bench
    }

    /// Installs the apps, anew if need be.
    async fn install(&self) {
        let package = test_package("hostile:tester.dev");
        self.kit().install(&package).await;
    }

    fn kit(&self) -> &Kit {
        &self.tunnel.as_ref().unwrap().1
    }

    /// Tells `process` something and waits for its answer.
    async fn ask(&self, process: &str, body: Value) -> Value {
        let answer = self.kit().inject(process, &body.to_string()).await;
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
    }

    /// Tells `process` something.
    async fn tell(&self, process: &str, body: Value) {
        let told = self.kit().rpc(process, &body.to_string(), None, None).await;
        assert_eq!(told.status, StatusCode::OK);
    }

    async fn log(&self, verbosity: u8) -> Vec<String> {
        let path = format!("/nodes/alice/logs?limit=1000&verbosity={verbosity}");
        let page = support::json(self.api.get(&path).await).await;
        let items = page["items"].as_array().unwrap();
        let texts = items
            .iter()
            .map(|item| item["text"].as_str().unwrap().to_owned());
        texts.collect()
    }

    /// Waits for a line of the log with all of `words`, shown to everybody.
    async fn line(&self, words: &[&str]) -> String {
        support::eventually(&words.join(" … "), Duration::from_secs(30), async || {
            let has = |line: &String| words.iter().all(|word| line.contains(word));
            self.log(0).await.into_iter().find(has)
        })
        .await
    }

    async fn usage(&self) -> Value {
        let answer = self.api.get("/nodes/alice/usage").await;
        assert_eq!(answer.status(), StatusCode::OK);
        support::json(answer).await
    }

    /// What `process` uses.
    async fn usage_of(&self, process: &str) -> Value {
        let usage = self.usage().await;
        let mut processes = usage["processes"].as_array().unwrap().iter();
        let found = processes.find(|entry| entry["process"] == process);
        found
            .unwrap_or_else(|| panic!("{process}: {usage}"))
            .clone()
    }

    /// What `top` prints.
    fn top(&self, arguments: &str) -> String {
        let top = self.ssh.exec(&format!("top {arguments}"));
        assert!(top.status.success(), "{top:?}");
        String::from_utf8(top.stdout).unwrap()
    }
}

/// Runs a command: its exit code, its output and its errors.
fn berth(data: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
}

/// What the API tells of each store on the disk, and of all.
fn on_disk(usage: &Value) -> ([u64; 4], u64) {
    let bytes = |name: &str| {
        let told = usage[name].as_u64();
        told.unwrap_or_else(|| panic!("{name}: {usage}"))
    };
    let stores = ["files", "state", "kv", "sqlite"];
    let stores = stores.map(|store| bytes(&format!("disk_{store}_bytes")));
    (stores, bytes("disk_bytes"))
}

#[tokio::test]
async fn every_limit_is_named_and_counted_and_a_neighbour_notices_nothing() {
    let flags = [
        "--plan-processes",
        "20",
        "--plan-memory",
        "64MiB",
        "--plan-disk",
        "12MiB",
    ];
    let bench = Bench::start(&flags).await;
    let bob = bench.host.api().sign_up("bob@example.org").await;
    bob.create_node("bob").await;
    let limits = bench.usage().await["limits"].clone();
    assert_eq!(
        limits,
        json!({"memory_bytes": 64 * MIB, "disk_bytes": 12 * MIB,
               "disk_bytes_per_second": 256 * MIB, "processes": 20})
    );

    // Processes.
    let spawned = bench.ask(HOG, json!({"Idle": 100})).await["spawned"].clone();
    let spawned = spawned.as_array().unwrap();
    assert!((1..20).contains(&spawned.len()), "{spawned:?}");
    bench.line(&["process limit reached", "20 processes"]).await;
    let usage = bench.usage().await;
    assert_eq!(usage["now"]["processes"], 20);
    assert_eq!(bench.usage_of(HOG).await["denied"], 1);
    // The app store tries what it takes in: that needs room too.
    let kill = json!({"KillProcess": spawned[0]});
    bench.tell("kernel:distro:sys", kill).await;
    bench.install().await;

    // Requests that wait for an answer.
    bench.tell(TRAP, json!({"Ask": 5000})).await;
    bench
        .line(&["ended with error", "limit of outstanding requests reached"])
        .await;
    bench.install().await;

    // State and disk.
    bench.tell(TRAP, json!({"State": 17 * MIB})).await;
    bench
        .line(&["ended with error", "state limit reached", "16 MiB"])
        .await;
    bench.install().await;
    bench.tell(TRAP, json!({"State": 14 * MIB})).await;
    bench
        .line(&["ended with error", "disk limit reached"])
        .await;
    bench.install().await;

    // Memory.
    bench.tell(GROW, json!("Forever")).await;
    bench
        .line(&["ended with error", "memory limit reached", "64 MiB"])
        .await;

    // Prints: the process goes on, and one note says how many are missing.
    bench
        .ask(TRAP, json!({"Say": "again", "times": 5000}))
        .await;
    bench
        .line(&["print limit reached", TRAP, "prints of", "left out"])
        .await;
    let printed = bench.log(0).await;
    let printed = printed.iter().filter(|line| *line == "again").count();
    assert!((1..=500).contains(&printed), "{printed}");
    let trap = bench.usage_of(TRAP).await;
    assert_eq!(trap["prints"], 5000);
    assert!(trap["prints_left_out"].as_u64().unwrap() >= 4500, "{trap}");
    assert_eq!(bench.ask(TRAP, json!("?")).await["alive"], true);

    // A storm of processes, beside which a neighbour is served.
    let storm = bench.ask(HOG, json!({"Storm": 300}));
    let (made, ()) = tokio::join!(storm, async {
        for _ in 0..10 {
            let (status, page) = bob.node_get("bob.localhost", "/").await;
            assert!(status.as_u16() < 400, "{status}: {page}");
        }
    });
    assert!(made["made"].as_u64().unwrap() > 0, "{made}");

    // All of it stands in `top` and in the usage.
    let now = bench.usage().await["now"].clone();
    assert!(now["denied"].as_u64().unwrap() >= 5, "{now}");
    for counter in [
        "cpu_ms",
        "messages_in",
        "messages_out",
        "requests",
        "refused",
    ] {
        assert!(now[counter].as_u64().unwrap() > 0, "{counter}: {now}");
    }
    let peak = now["memory_peak_bytes"].as_u64().unwrap();
    assert!((48 * MIB..=64 * MIB).contains(&peak), "{now}");
    let top = bench.top("");
    for words in [
        " of 64 MiB, disk ",
        " of 12 MiB (files ",
        " of 20, cpu ",
        "prints left out",
        "denied",
    ] {
        assert!(top.contains(words), "{words}: {top}");
    }
    assert!(top.trim_end().ends_with("running processes"), "{top}");
    let bobs = support::json(bob.get("/nodes/bob/usage").await).await;
    assert_eq!(bobs["now"]["denied"], 0);
    assert_eq!(bobs["now"]["prints_left_out"], 0);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_by_name() {
    let bench = Bench::start(&["--plan-memory", "512MiB"]).await;
    let told = bench.ask(TRAP, json!({"Send": 129 * MIB + MIB / 2})).await;
    assert_eq!(told["alive"], true);
    bench
        .line(&["message limit reached", TRAP, "may have 128 MiB"])
        .await;
    assert!(bench.usage_of(TRAP).await["refused"].as_u64().unwrap() >= 1);
    // More than crosses into the host at all.
    bench.tell(TRAP, json!({"Send": 200 * MIB})).await;
    bench
        .line(&["ended with error", "message limit reached", "130 MiB"])
        .await;
}

#[tokio::test]
async fn a_crash_loop_backs_off_where_its_owner_sees_it() {
    let bench = Bench::start(&[]).await;
    bench.tell(TRAP, json!("Crash")).await;
    for wait in ["1s", "2s", "4s"] {
        bench
            .line(&[&format!(
                "process {TRAP} restarts in {wait}: it keeps ending"
            )])
            .await;
    }
    // The first one came at once, and is no news.
    let all = bench.log(1).await;
    let at_once = format!("process {TRAP} restarts at once");
    assert_eq!(all.iter().filter(|line| **line == at_once).count(), 1);
    assert!(!bench.log(0).await.contains(&at_once));
    let trap = bench.usage_of(TRAP).await;
    assert!(trap["restarts"].as_u64().unwrap() >= 4, "{trap}");
    assert_eq!(trap["up_ms"], Value::Null);
    let delay = trap["restart_delay_ms"].as_u64().unwrap();
    assert!([4000, 8000].contains(&delay), "{trap}");
    assert!(trap["restart_in_ms"].as_u64().unwrap() <= delay, "{trap}");
    let top = bench.top(TRAP);
    assert!(
        top.contains("restarts in ") && top.contains("backed off to"),
        "{top}"
    );
    assert!(bench.ssh.exec(&format!("kill {TRAP}")).status.success());
    let gone = bench.usage().await;
    assert!(!gone.to_string().contains(TRAP), "{gone}");
    assert!(gone["now"]["restarts"].as_u64().unwrap() >= 4, "{gone}");
}

#[tokio::test]
async fn what_a_sleeping_node_has_on_disk_outlives_its_host() {
    let mut bench = Bench::start(&["--plan-disk-rate", "64MiB"]).await;
    bench.ask(TRAP, json!({"State": 2 * MIB})).await;
    let awake = bench.usage().await;
    assert_eq!(awake["limits"]["disk_bytes_per_second"], 64 * MIB);
    let written = awake["now"]["disk_written_bytes"].as_u64().unwrap();
    assert!(written >= 2 * MIB, "{awake}");
    assert_eq!(awake["now"]["disk_slowed"], 0, "less than a burst");

    bench.tunnel = None;
    bench.api.hibernate("alice").await;
    let asleep = bench.usage().await;
    let (stores, all) = on_disk(&asleep);
    assert_eq!(stores.iter().sum::<u64>(), all, "{asleep}");
    let [files, state, ..] = stores;
    assert!(files > 0 && state >= 2 * MIB, "{asleep}");

    bench.host.crash_and_restart();
    bench.api = bench.api.again(&bench.host);
    let after = bench.usage().await;
    assert_eq!(after["status"], "hibernated");
    assert_eq!(after["now"], Value::Null);
    assert_eq!(on_disk(&after), (stores, all));
    let node = support::json(bench.api.get("/nodes/alice").await).await;
    assert_eq!(node["usage"]["disk_bytes"], all);
    let (_, told, errors) = berth(bench.host.data(), &["node", "usage", "alice"]);
    assert!(told.contains("\nof the disk: files "), "{told}{errors}");

    // Awake it is counted anew, and little has been added for its sleep.
    bench.api.act("/nodes/alice/start").await;
    bench.api.wait_for_status("alice", "active").await;
    support::eventually(
        "the stores are counted",
        Duration::from_secs(30),
        async || {
            let (_, counted) = on_disk(&bench.usage().await);
            (counted.abs_diff(all) < MIB / 4).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn usage_is_told_asleep_too_and_on_the_command_line() {
    let mut bench = Bench::start(&[]).await;
    let eve = bench.host.api().sign_up("eve@example.org").await;
    assert_eq!(
        eve.get("/nodes/alice/usage").await.status(),
        StatusCode::NOT_FOUND
    );
    let data = bench.host.data().to_owned();
    let berth = |arguments: &[&str]| berth(&data, arguments);
    let (code, awake, errors) = berth(&["node", "usage", "alice"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(awake.starts_with("alice is active\nmemory "), "{awake}");
    assert!(
        awake.contains(TRAP) && awake.contains(" of 256 MiB"),
        "{awake}"
    );
    let (code, _, errors) = berth(&["node", "usage", "nobody"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("label nobody"), "{errors}");

    bench.tunnel = None;
    bench.api.act("/nodes/alice/hibernate").await;
    bench.api.wait_for_status("alice", "hibernated").await;
    let asleep = bench.usage().await;
    assert_eq!(asleep["now"], Value::Null);
    assert_eq!(asleep["processes"], json!([]));
    assert!(asleep["disk_bytes"].as_u64().unwrap() > 0, "{asleep}");
    let past = asleep["history"].as_array().unwrap();
    let last = past.last().expect("it ran until a moment ago");
    assert!(last["memory_bytes"].as_u64().unwrap() > 0, "{last}");
    assert!(last["cpu_ms"].as_u64().unwrap() > 0, "{last}");
    bench.api.wait_for_status("alice", "hibernated").await;

    let (_, asleep, _) = berth(&["node", "usage", "alice", "--history"]);
    assert!(asleep.starts_with("alice is hibernated\n"), "{asleep}");
    assert!(asleep.lines().count() >= 4, "{asleep}");
    bench.host.terminate(Duration::from_secs(20));
    let (code, _, errors) = berth(&["node", "usage", "alice"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("no host runs"), "{errors}");
}
