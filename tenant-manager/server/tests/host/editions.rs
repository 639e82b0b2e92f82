//! Apps of every generation, side by side on one node, each on the process
//! library that was published for it.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::sockets::Socket;
use super::support::{Host, Kit, Ssh, Visitor, eventually, json as body_of, test_package};

const PATIENCE: Duration = Duration::from_secs(20);

/// One of the apps, and what its generation calls the HTTP server.
struct App {
    process: &'static str,
    edition: &'static str,
    server: &'static str,
    /// Whether it has a library, and with it files, timers and a WebSocket.
    library: bool,
}

const APPS: [App; 6] = [
    App {
        process: "v0-7",
        edition: "v0_7",
        server: "http_server:distro:sys",
        library: false,
    },
    App {
        process: "v0-8",
        edition: "v0_8",
        server: "http_server:distro:sys",
        library: true,
    },
    App {
        process: "v0-9",
        edition: "v0_9",
        server: "http_server:distro:sys",
        library: true,
    },
    App {
        process: "v0-10",
        edition: "v0_10",
        server: "http-server:distro:sys",
        library: true,
    },
    App {
        process: "v1-0",
        edition: "v1_0",
        server: "http-server:distro:sys",
        library: true,
    },
    App {
        process: "hyperware",
        edition: "hyperware",
        server: "http-server:distro:sys",
        library: true,
    },
];

impl App {
    fn id(&self) -> String {
        format!("{}:editions:test.dev", self.process)
    }

    async fn facts(&self, kit: &Kit) -> Value {
        let answer = kit.inject(&self.id(), r#""facts""#).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", self.edition);
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
    }
}

#[tokio::test]
async fn apps_of_every_generation_run_on_one_node() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let owner = Visitor::owner(&host, &api, "alice").await;
    let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
    let tunnel = ssh.tunnel();
    let kit = Kit::new(tunnel.port);
    kit.install(&test_package("editions:test.dev")).await;

    for app in &APPS {
        let path = format!("/{}/?a=b", app.id());
        let page = eventually(app.edition, PATIENCE, async || {
            let answer = api.node_get("alice.localhost", &path).await;
            (answer.0 == StatusCode::OK).then_some(answer.1)
        })
        .await;
        let page: Value = serde_json::from_str(&page).unwrap();
        assert_eq!(page["source"], format!("alice.dev@{}", app.server));
        let asked = &page["asked"];
        assert_eq!(asked["method"], "GET", "{page}");
        assert_eq!(asked["query_params"], json!({"a": "b"}), "{page}");

        let facts = app.facts(&kit).await;
        assert_eq!(facts["edition"], app.edition);
        assert_eq!(facts["our"], format!("alice.dev@{}", app.id()));
        assert_eq!(facts["source"], format!("alice.dev@{}", app.server));
        assert_eq!(
            (&facts["lives"], &facts["unknown"]),
            (&json!(1), &json!("Timeout"))
        );
        let issuers: Vec<&str> = facts["issuers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|issuer| issuer.as_str().unwrap())
            .collect();
        let server = format!("alice.dev@{}", app.server);
        assert!(issuers.contains(&server.as_str()), "{facts}");
        if app.library {
            assert_eq!(
                (&facts["file"], &facts["timer"]),
                (&json!("written"), &json!(true))
            );
            live(&host, app).await;
            let guarded = format!("/{}/guarded", app.id());
            let (status, _) = api.node_get("alice.localhost", &guarded).await;
            assert_eq!(status, StatusCode::OK, "a sign-in page");
            let page = owner.page(&host, &guarded).await;
            assert!(page.contains("guarded"), "{page}");
        } else {
            assert_eq!(facts["bound"], r#"{"Ok":null}"#, "{facts}");
        }
    }

    // All that ask for it stand on the homepage.
    eventually("the tiles", PATIENCE, async || {
        let apps = owner.apps(&host).await;
        (apps.len() == 5).then_some(())
    })
    .await;

    // And all come back with the node, with what they saved.
    api.act("/nodes/alice/hibernate").await;
    api.wait_for_status("alice", "hibernated").await;
    for app in &APPS {
        let facts = eventually(app.edition, PATIENCE, async || {
            let answer = kit.inject(&app.id(), r#""facts""#).await;
            serde_json::from_str::<Value>(&answer.body).ok()
        })
        .await;
        assert_eq!(facts["lives"], 2, "{facts}");
    }
    let node = body_of(api.get("/nodes/alice").await).await;
    assert_eq!(node["status"], "active");
}

/// A WebSocket of the app tells its path, and echoes.
async fn live(host: &Host, app: &App) {
    let authority = format!("alice.{}", host.http().replace("127.0.0.1", "localhost"));
    let path = format!("/{}/", app.id());
    let mut socket = Socket::open(&host.http(), &authority, &path, &[])
        .await
        .unwrap();
    let opened = socket.next().await.into_text().unwrap();
    let opened: Value = serde_json::from_str(&opened).unwrap();
    assert_eq!(opened["path"], "/", "{opened}");
    let tells_client = opened.get("source_socket_addr").is_some();
    assert_eq!(tells_client, app.edition == "hyperware", "{opened}");
    socket.send(Message::text("echo")).await;
    assert_eq!(socket.next().await, Message::text("echo"));
}
