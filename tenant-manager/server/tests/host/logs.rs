//! What apps print is kept, bounded, and shown to their owner only.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{self, Api, Host, Kit, Ssh, Tunnel, test_package};

const TRAP: &str = "trap:hostile:tester.dev";
/// Most that the two files of a log take.
const MOST_BYTES: u64 = 2 << 20;

/// Alice's node with an app that prints what it is told.
struct Bench {
    api: Api,
    /// Dropped before the host, and gone once that is killed.
    tunnel: Option<(Tunnel, Kit)>,
    host: Host,
}

impl Bench {
    async fn start() -> Self {
        let host = Host::start();
        let api = host.api().sign_up("alice@example.org").await;
        api.create_node("alice").await;
        let mut bench = Self {
            api,
            tunnel: None,
            host,
        };
        bench.open_tunnel().await;
        bench.install().await;
        bench
    }

    async fn install(&self) {
        let package = test_package("hostile:tester.dev");
        self.kit().install(&package).await;
    }

    async fn open_tunnel(&mut self) {
        let password = self.api.ssh_password("alice").await;
        let tunnel = Ssh::new(self.host.ssh_port(), "alice", &password).tunnel();
        let kit = Kit::new(tunnel.port);
        self.tunnel = Some((tunnel, kit));
    }

    /// Becomes alice again, at a host that was started anew.
    async fn sign_in(&mut self) {
        let nobody = self.host.api();
        self.api = nobody.sign_in("alice@example.org", "correct horse").await;
    }

    fn kit(&self) -> &Kit {
        &self.tunnel.as_ref().unwrap().1
    }

    async fn say(&self, text: &str, times: u64) {
        let body = json!({"Say": text, "times": times}).to_string();
        let answer = self.kit().inject(TRAP, &body).await;
        assert!(answer.body.contains("alive"), "{answer:?}");
    }

    async fn log(&self, query: &str) -> Vec<Value> {
        log(&self.api, query).await
    }

    /// Waits for a line with `text`; gives it.
    async fn line(&self, text: &str) -> Value {
        support::eventually(text, Duration::from_secs(10), async || {
            let lines = self.log("?limit=1000").await;
            lines.into_iter().find(|line| has(line, text))
        })
        .await
    }

    /// The files of its log.
    fn files(&self) -> Vec<PathBuf> {
        let logs = self.host.data().join("logs");
        let tenants = std::fs::read_dir(logs).unwrap();
        let files = tenants.flat_map(|tenant| std::fs::read_dir(tenant.unwrap().path()).unwrap());
        let paths = files.map(|file| file.unwrap().path());
        // Beside them is where its apps connected to.
        paths.filter(|path| path.is_file()).collect()
    }

    fn berth(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_berth"))
            .args(arguments)
            .arg("--data-dir")
            .arg(self.host.data())
            .output()
            .unwrap()
    }
}

async fn log(api: &Api, query: &str) -> Vec<Value> {
    let answer = api.get(&format!("/nodes/alice/logs{query}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = support::json(answer).await;
    page["items"].as_array().unwrap().clone()
}

fn has(line: &Value, text: &str) -> bool {
    line["text"].as_str().unwrap().contains(text)
}

#[tokio::test]
async fn what_an_app_prints_and_why_it_ended_is_there_asleep_and_after_a_kill() {
    let mut bench = Bench::start().await;
    bench.say("hello from the app", 1).await;
    let line = bench.line("hello from the app").await;
    assert_eq!(line["source"], TRAP);
    assert_eq!(line["verbosity"], 0);
    let time = line["time"].as_str().unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    let kit = bench.kit();
    kit.rpc(TRAP, "\"Trap\"", None, None).await;
    bench.line("ended with error").await;

    // Asleep, all that was printed until then is there, and reading wakes nobody.
    bench.tunnel = None;
    bench.api.act("/nodes/alice/hibernate").await;
    bench.api.wait_for_status("alice", "hibernated").await;
    let asleep = bench.log("?limit=1000&verbosity=3").await;
    let ends = |line: &&Value| has(line, "ended with error");
    assert_eq!(
        asleep.iter().filter(ends).count(),
        1,
        "told once: {asleep:?}"
    );
    assert!(asleep.iter().any(|line| has(line, "hello from the app")));
    bench.api.wait_for_status("alice", "hibernated").await;

    bench.host.crash_and_restart();
    bench.sign_in().await;
    let kept = bench.log("?limit=1000&verbosity=3").await;
    assert_eq!(kept, asleep);
}

#[tokio::test]
async fn the_last_line_before_a_kill_is_there_once_it_was_seen_and_more_follow() {
    let mut bench = Bench::start().await;
    bench.say("before the kill", 1).await;
    bench.line("before the kill").await;
    bench.host.crash_and_restart();
    bench.sign_in().await;
    bench.line("before the kill").await;
    bench.open_tunnel().await;
    // Processes that do not ask for a restart are gone after one.
    bench.install().await;
    bench.say("after the kill", 1).await;
    bench.line("after the kill").await;
    let lines = bench.log("?limit=1000").await;
    let at = |text| lines.iter().position(|line| has(line, text)).unwrap();
    assert!(at("before the kill") < at("after the kill"));
}

#[tokio::test]
async fn who_follows_sees_a_new_line_and_nobody_else_sees_any() {
    let bench = Bench::start().await;
    let eve = bench.host.api().sign_up("eve@example.org").await;
    for path in ["/nodes/alice/logs", "/nodes/alice/logs?follow=true"] {
        assert_eq!(eve.get(path).await.status(), StatusCode::NOT_FOUND);
    }
    let mut stream = bench.api.get("/nodes/alice/logs?follow=true").await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    bench.say("one more line", 1).await;
    let mut seen = String::new();
    while !seen.contains("one more line") {
        let chunk = stream.chunk().await.unwrap().expect("no end before it");
        seen.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(
        seen.contains("event: line") && seen.contains("id: "),
        "{seen}"
    );
}

#[tokio::test]
async fn hostile_text_stays_one_record_and_the_command_line_prints_the_same() {
    let bench = Bench::start().await;
    let hostile = "begin\n2026-01-01T00:00:00Z forged:pack:me.dev line\n\n\u{1b}[31mred\u{1b}[0m\
                   \u{1b}]0;title\u{7}\u{1b}[2J\r</script><script>alert(1)</script>";
    let harmless = "begin\n2026-01-01T00:00:00Z forged:pack:me.dev line\n\n\u{1b}[31mred\u{1b}[0m\
                    </script><script>alert(1)</script>";
    bench.say(hostile, 1).await;
    let line = bench.line("begin").await;
    assert_eq!(line["text"], harmless);
    assert_eq!(line["source"], TRAP);

    let lines = bench.log("?limit=1000").await;
    let printed = bench.berth(&["node", "logs", "alice", "--lines", "1000"]);
    let errors = String::from_utf8_lossy(&printed.stderr).into_owned();
    assert!(printed.status.success(), "{errors}");
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(!printed.contains('\u{1b}'), "{printed:?}");
    let printed: Vec<&str> = printed.lines().collect();
    assert_eq!(printed.len(), lines.len());
    for (printed, line) in printed.iter().zip(&lines) {
        let field = |name: &str| line[name].as_str().unwrap().to_owned();
        let start = format!("{} {} ", field("time"), field("source"));
        assert!(printed.starts_with(&start), "{printed} {line}");
    }
    let shown = printed.iter().find(|line| line.contains("begin")).unwrap();
    let plain = "begin\\n2026-01-01T00:00:00Z forged:pack:me.dev line\\n\\nred</script>";
    assert!(shown.contains(plain), "{shown}");

    let unknown = bench.berth(&["node", "logs", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(errors.contains("label nobody"), "{errors}");
}

#[tokio::test]
async fn the_command_line_follows_a_log() {
    let bench = Bench::start().await;
    let mut following = Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(["node", "logs", "alice", "--follow", "--lines", "1"])
        .arg("--data-dir")
        .arg(bench.host.data())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    bench.say("a line that comes", 1).await;
    let found = lines.find(|line| line.as_ref().unwrap().contains("a line that comes"));
    assert!(found.unwrap().unwrap().contains(TRAP));
    following.kill().unwrap();
    following.wait().unwrap();
}

#[tokio::test]
async fn a_flood_is_bounded_counted_and_leaves_the_rest_readable() {
    let bench = Bench::start().await;
    bench.say("before the flood", 1).await;
    bench.line("before the flood").await;
    bench.say(&"flood ".repeat(1000), 2000).await;
    bench.line("prints are missing here").await;
    bench.line("before the flood").await;
    let size = |file: &PathBuf| std::fs::metadata(file).unwrap().len();
    let files = bench.files();
    let total: u64 = files.iter().map(size).sum();
    assert!(
        (1..=2).contains(&files.len()) && total <= MOST_BYTES,
        "{total}"
    );
    // Nothing of it among the app's files, and an app that lives on.
    bench.say("after the flood", 1).await;
    assert_eq!(
        bench.kit().inject(TRAP, "\"Get\"").await.status,
        StatusCode::OK
    );
}

#[test]
fn a_directory_without_a_host_is_named_and_nothing_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let missing = scratch.path().join("nothing");
    let refused = Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(["node", "logs", "alice", "--data-dir"])
        .arg(&missing)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(errors.contains("--data-dir"), "{errors}");
    assert!(!missing.exists());
}
