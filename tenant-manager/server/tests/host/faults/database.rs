//! The database is away: what runs goes on, what sleeps wakes, and what needs
//! it says when to try again.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::support::{self, process};
use super::{Api, Database, Host, Kit, Metrics, PATIENCE, Postgres, Ssh, eventually, test_package};

const COUNT: &str = "/counter:counter:tester.dev/api";

/// Two nodes of one owner, both with an app.
struct Town {
    owner: Api,
    warm: Ssh,
    asleep: Ssh,
    late: Ssh,
}

impl Town {
    async fn build(host: &Host) -> Self {
        let owner = host.api().sign_up("alice@example.org").await;
        let mut ssh = Vec::new();
        for label in ["warm", "asleep", "late"] {
            owner.create_node(label).await;
            let password = owner.ssh_password(label).await;
            let found = Ssh::new(host.ssh_port(), label, &password);
            {
                let tunnel = found.tunnel();
                let kit = Kit::new(tunnel.port);
                kit.install(&test_package("counter:tester.dev")).await;
            }
            ssh.push(found);
        }
        for label in ["asleep", "late"] {
            owner.hibernate(label).await;
        }
        let [warm, asleep, late]: [Ssh; 3] = ssh.try_into().unwrap_or_else(|_| unreachable!());
        let town = Self {
            owner,
            warm,
            asleep,
            late,
        };
        town.counts("warm").await;
        town
    }

    /// The app of a node counts one more.
    async fn counts(&self, label: &str) {
        let name = format!("{label}.localhost");
        eventually(label, PATIENCE, async || {
            let answer = self
                .owner
                .node(reqwest::Method::POST, &name, COUNT, "")
                .await;
            (answer.status() == StatusCode::OK).then_some(())
        })
        .await;
    }

    async fn create(&self, label: &str) -> Response {
        let node = json!({"label": label, "password": "node password"});
        self.owner.post("/nodes", &node).await
    }

    /// What must work whether there is a database or not: the warm node by every
    /// door, and the sleeping ones wake.
    async fn lives_without_database(&self) {
        self.counts("warm").await;
        says(&self.warm);
        let tunnel = self.warm.tunnel();
        let kit = Kit::new(tunnel.port);
        let told = kit.inject("counter:counter:tester.dev", "\"Get\"").await;
        assert_eq!(told.status, StatusCode::OK, "{told:?}");
        // One wakes by HTTP, the other by SSH.
        let (status, page) = self.owner.node_get("asleep.localhost", "/login").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        self.counts("asleep").await;
        says(&self.asleep);
        says(&self.late);
        self.counts("late").await;
    }
}

fn says(ssh: &Ssh) {
    let echo = ssh.exec("echo hello");
    assert_eq!(echo.stdout.trim_ascii(), b"hello", "{echo:?}");
}

/// Checks that an answer is a problem that says when to try again.
async fn is_unavailable(what: &str, answer: Response) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{what}");
    let headers = answer.headers();
    assert_eq!(
        headers["content-type"], "application/problem+json",
        "{what}"
    );
    let wait = headers["retry-after"].to_str().unwrap();
    assert!(wait.parse::<u64>().unwrap() > 0, "{what}: {wait}");
    let problem: Value = support::json(answer).await;
    assert_eq!(problem["status"], 503, "{what}");
    // Whoever reads it learns nothing about how the host is built.
    let detail = problem["detail"].as_str().unwrap().to_lowercase();
    assert!(
        !detail.contains("sql") && !detail.contains("pool"),
        "{detail}"
    );
}

async fn health(host: &Host, path: &str) -> StatusCode {
    let url = format!("http://{}{path}", host.metrics());
    // It must answer whatever the database does.
    let answer = tokio::time::timeout(PATIENCE, support::fetch(url)).await;
    answer.unwrap().unwrap().status()
}

/// What cannot work without a database says so.
async fn says_what_is_away(host: &Host, town: &Town) {
    is_unavailable("create", town.create("fresh").await).await;
    let bob = json!({"email": "bob@example.org", "password": "correct horse"});
    let bob = host.api().post("/accounts", &bob).await;
    is_unavailable("sign-up", bob).await;
    let alice = json!({"email": "alice@example.org", "password": "correct horse"});
    let alice = host.api().post("/sessions", &alice).await;
    is_unavailable("sign-in", alice).await;
    is_unavailable("stop", town.owner.act("/nodes/warm/stop").await).await;
    // A session that was seen before is still one; one that was not cannot be
    // told from a wrong one.
    let nodes = support::json(town.owner.get("/nodes").await).await;
    assert_eq!(nodes["items"].as_array().unwrap().len(), 3);
    let stranger = host.api().with_token(Some("berth_unheard-of"));
    is_unavailable("a stranger", stranger.get("/nodes").await).await;
    assert_eq!(
        health(host, "/readyz").await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(health(host, "/healthz").await, StatusCode::OK);
}

/// Everything works, and nothing that was is lost or was started once more.
async fn is_whole_again(host: &Host, town: &Town, boots: f64) {
    eventually("the database again", PATIENCE, async || {
        (health(host, "/readyz").await == StatusCode::OK).then_some(())
    })
    .await;
    let nodes = support::json(town.owner.get("/nodes").await).await;
    let nodes = nodes["items"].as_array().unwrap();
    assert_eq!(nodes.len(), 3, "none lost, none half-made");
    assert!(nodes.iter().all(|node| node["status"] == "active"));
    let now = Metrics::of(host).await.boots();
    assert_eq!(now, boots, "nobody was started because of it");
    for label in ["warm", "asleep", "late"] {
        town.counts(label).await;
    }
    town.owner.create_node("fresh").await;
    let stopped = town.owner.act("/nodes/warm/stop").await;
    assert_eq!(stopped.status(), StatusCode::ACCEPTED);
    town.owner.wait_for_status("warm", "stopped").await;
    host.api().sign_up("bob@example.org").await;
}

#[tokio::test]
async fn nodes_live_on_while_the_database_is_gone() {
    let mut postgres = Postgres::start().await;
    let flags = postgres.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut host = Host::start_with(&flags);
    let town = Town::build(&host).await;
    assert_eq!(health(&host, "/readyz").await, StatusCode::OK);

    postgres.stop().await;
    town.lives_without_database().await;
    says_what_is_away(&host, &town).await;
    let boots = Metrics::of(&host).await.boots();
    // What it could not write down meanwhile does not keep it from ending, and
    // it does not start without what it needs.
    let second = tempfile::tempdir().unwrap();
    let extra: Vec<String> = postgres.flags();
    let refused = process::command(&second.path().join("data"), &extra)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stdout.is_empty(), "no ready line");
    let sentence = String::from_utf8_lossy(&refused.stderr).to_lowercase();
    assert!(sentence.contains("database"), "{sentence}");

    postgres.start_again().await;
    is_whole_again(&host, &town, boots).await;
    let live = "SELECT count(*) FROM tenants WHERE purged_at IS NULL";
    assert_eq!(postgres.database().query(live), ["4"]);

    // Gone once more, and the host ends in order all the same.
    postgres.stop().await;
    let status = host.terminate(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", host.tail());
}

#[tokio::test]
async fn nodes_live_on_while_the_database_stands_still() {
    let host = Host::start();
    let town = Town::build(&host).await;
    // The session is known from a moment when the database answered.
    assert_eq!(town.owner.get("/account").await.status(), StatusCode::OK);
    let boots;
    {
        let _frozen = Database::of(&host).freeze();
        town.lives_without_database().await;
        // Each answers within the bound of the client, which is a minute.
        is_unavailable("create", town.create("fresh").await).await;
        assert_eq!(
            health(&host, "/readyz").await,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(health(&host, "/healthz").await, StatusCode::OK);
        boots = Metrics::of(&host).await.boots();
    }
    // What was refused may have been written after all. It is there then, or it
    // can be made; it is not both taken and nowhere.
    eventually("the refused creation's end", PATIENCE, async || match town
        .owner
        .status("fresh")
        .await
        .as_str()
    {
        "active" => Some(()),
        "absent" => {
            let made = town.create("fresh").await.status();
            assert!(
                made == StatusCode::ACCEPTED
                    || made == StatusCode::CONFLICT
                    || made == StatusCode::SERVICE_UNAVAILABLE,
                "{made}"
            );
            None
        }
        _ => None,
    })
    .await;
    for label in ["warm", "asleep", "late"] {
        town.counts(label).await;
    }
    let now = Metrics::of(&host).await.boots();
    assert_eq!(now, boots + 1.0, "the new one's alone");
    assert_eq!(health(&host, "/readyz").await, StatusCode::OK);
}
