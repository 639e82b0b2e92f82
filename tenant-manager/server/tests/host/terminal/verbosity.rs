//! Verbosity: of a terminal, of single processes, and what the log keeps.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::super::support::{self, eventually, test_package};
use super::Bench;

const TRAP: &str = "trap:hostile:tester.dev";

impl Bench {
    async fn with_a_noisy_app() -> Self {
        let bench = Self::start().await;
        bench.kit.install(&test_package("hostile:tester.dev")).await;
        bench
    }

    async fn say(&self, text: &str) {
        let body = json!({ "Say": text }).to_string();
        let answer = self.kit.inject(TRAP, &body).await;
        assert!(answer.body.contains("alive"), "{answer:?}");
    }

    async fn log(&self) -> Vec<Value> {
        let answer = self
            .api
            .get("/nodes/alice/logs?limit=1000&verbosity=3")
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        support::json(answer).await["items"]
            .as_array()
            .unwrap()
            .clone()
    }
}

#[tokio::test]
async fn every_message_is_shown_at_3_and_nothing_of_it_is_logged() {
    let bench = Bench::with_a_noisy_app().await;
    let mut shell = bench.ssh.shell();
    shell.expect("alice.dev > ");
    shell.type_keys("\x16");
    shell.expect("verbosity 1\r\n");
    shell.type_keys("echo at one\r");
    shell.expect("at one\r\n");
    shell.expect("distro:sys: process ");
    shell.type_keys("\x16");
    shell.expect("verbosity 2\r\n");
    shell.type_keys("echo at two\r");
    let seen = shell.expect("at two\r\n");
    assert!(seen.contains("starts") && !seen.contains(" -> "), "{seen}");
    shell.type_keys("verbosity 3\r");
    shell.expect("\nverbosity 3\r\n");
    shell.type_keys("echo at three\r");
    shell.expect("alice.dev@terminal:terminal:sys -> alice.dev@terminal:terminal:sys request, 13 B: echo at three");
    shell.expect(
        "alice.dev@terminal:terminal:sys -> alice.dev@vfs:distro:sys request (waits 12 s), ",
    );
    shell.expect("alice.dev@vfs:distro:sys -> alice.dev@terminal:terminal:sys response, ");
    shell.expect(" and a blob of ");
    shell.expect(
        "alice.dev@terminal:terminal:sys -> alice.dev@kernel:distro:sys request (waits 5 s), ",
    );
    shell.expect("alice.dev@kernel:distro:sys -> alice.dev@terminal:terminal:sys response, 20 B: \"InitializedProcess\"");
    shell.expect("request, 8 B: at three");
    // From outside, too.
    bench.say("from kit").await;
    shell.expect(&format!(
        "alice.dev@http-server:distro:sys -> alice.dev@{TRAP} request"
    ));
    shell.type_keys("verbosity 0\r");
    shell.expect("\nverbosity 0\r\n");
    bench.say("unseen").await;
    let seen = shell.expect("hostile:tester.dev: unseen");
    assert!(!seen.contains(" -> "), "{seen}");
    shell.type_keys("exit\r");
    assert_eq!(shell.finish(Duration::from_secs(10)).0, 0);
    eventually(
        "the print in the log",
        Duration::from_secs(10),
        async || {
            let log = bench.log().await;
            let unseen = |line: &Value| line["text"] == "unseen";
            let routed = |line: &Value| line["text"].as_str().unwrap().contains(" -> ");
            assert!(!log.iter().any(routed), "{log:?}");
            log.iter().any(unseen).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn what_is_said_of_a_process_holds_in_all_terminals_and_is_kept() {
    let mut bench = Bench::with_a_noisy_app().await;
    let mut shell = bench.ssh.shell();
    shell.expect("alice.dev > ");
    bench.say("heard").await;
    shell.expect("hostile:tester.dev: heard");
    assert_eq!(
        bench.line(&format!("verbosity our@{TRAP} mute")).unwrap(),
        format!("{TRAP}  muted")
    );
    bench.say("not heard").await;
    assert_eq!(
        bench.line("verbosity hostile:tester.dev 3").unwrap(),
        "hostile:tester.dev  3, and every message from and to it"
    );
    // Its own setting goes before that of its package.
    bench.say("not heard either").await;
    bench.line(&format!("verbosity {TRAP} default")).unwrap();
    bench.say("heard again").await;
    let seen = shell.expect("hostile:tester.dev: heard again");
    assert!(!seen.contains("not heard"), "{seen}");
    // Messages come on a way of their own, so this one may be shown later than
    // the print that it causes.
    let message = format!(" -> alice.dev@{TRAP} request");
    if !seen.contains(&message) {
        shell.expect(&message);
    }
    shell.type_keys("verbosity http_server:distro:sys 2\rverbosity\r");
    shell.expect("this terminal is at verbosity 0");
    shell.expect("  http-server:distro:sys  2\r\n");
    shell.type_keys("exit\r");
    // Muted or not, the log has it.
    eventually(
        "the prints in the log",
        Duration::from_secs(10),
        async || {
            let log = bench.log().await;
            let has = |text: &str| log.iter().any(|line| line["text"] == text);
            (has("not heard") && has("not heard either") && has("heard again")).then_some(())
        },
    )
    .await;

    let kept = bench.line("verbosity").unwrap();
    assert!(kept.contains("hostile:tester.dev  3"), "{kept}");
    // At once after it was acknowledged.
    bench.line("verbosity last:one:alice.dev mute").unwrap();
    bench.crash().await;
    let after = bench.line("verbosity").unwrap();
    let line = "  last:one:alice.dev  muted\n";
    assert!(after.contains(line), "{after}");
    assert_eq!(after.replace(line, ""), kept);
    bench.sleep().await;
    assert_eq!(bench.line("verbosity").unwrap(), after);
    for (line, wanted) in [
        ("verbosity 2", "type `verbosity 2` there"),
        (
            "verbosity nonsense 2",
            "'nonsense' is neither a level nor a process",
        ),
        (
            "verbosity a:b:c 4",
            "'4' is not 0, 1, 2, 3, mute or default",
        ),
        ("verbosity bob.dev@a:b:c 2", "bob.dev is another node"),
    ] {
        let error = bench.line(line).unwrap_err();
        assert!(error.contains(wanted), "{line}: {error}");
    }
    assert!(
        bench
            .line("help")
            .unwrap()
            .contains("verbosity [[PROCESS] LEVEL]")
    );
}
