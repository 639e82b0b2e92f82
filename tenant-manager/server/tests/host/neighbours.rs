//! Nodes of one host that talk, each the node of another account.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Api, Host, Kit, Ssh, Tunnel, test_package};

const RELAY: &str = "relay:relay:test.dev";

/// A node with its owner's ways to it.
struct Node {
    api: Api,
    label: &'static str,
    ssh: Ssh,
}

impl Node {
    async fn create(host: &Host, label: &'static str) -> Self {
        let api = host.api().sign_up(&format!("{label}@example.org")).await;
        api.create_node(label).await;
        let ssh = Ssh::new(host.ssh_port(), label, &api.ssh_password(label).await);
        Self { api, label, ssh }
    }

    /// What a command line prints.
    fn run(&self, line: &str) -> String {
        let output = self.ssh.exec(line);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    async fn act(&self, what: &str, status: &str) {
        let path = format!("/nodes/{}/{what}", self.label);
        let answer = self.api.act(&path).await;
        assert!(answer.status().is_success(), "{what}: {answer:?}");
        self.api.wait_for_status(self.label, status).await;
    }

    /// Installs the relay.
    async fn relay(&self) -> Relay {
        let tunnel = self.ssh.tunnel();
        let kit = Kit::new(tunnel.port);
        kit.install(&test_package("relay:test.dev")).await;
        Relay {
            kit,
            _tunnel: tunnel,
        }
    }
}

/// The relay of a node, driven by its owner.
struct Relay {
    kit: Kit,
    _tunnel: Tunnel,
}

impl Relay {
    async fn tell(&self, command: &Value) -> Value {
        let answer = self.kit.inject(RELAY, &command.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{command}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{command}: {answer:?}"))
    }
}

async fn neighbours(host: &Host) -> (Node, Node) {
    (
        Node::create(host, "alice").await,
        Node::create(host, "bob").await,
    )
}

#[tokio::test]
async fn a_greeting_appears_on_the_neighbours_terminal_and_is_answered() {
    let host = Host::start();
    let (alice, bob) = neighbours(&host).await;
    let mut shell = bob.ssh.shell();
    shell.expect("bob.dev > ");
    assert_eq!(
        alice.run("hi bob.dev hello there"),
        "response from bob.dev: ack"
    );
    shell.expect("\x1b[3;32malice.dev: hello there\x1b[0m");

    // Who does not exist says so, and at once.
    let asked = Instant::now();
    let told = alice.run("hi nobody.dev hello");
    assert_eq!(told, "nobody.dev is offline or does not exist");
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!(alice.run("hi our hello"), "alice.dev is this very node");

    for (line, facts) in [
        ("peers", &["bob.dev", "networking_key", "0x"][..]),
        ("peer bob.dev", &["bob.dev", "0x"]),
        ("peer nobody.dev", &["no node called 'nobody.dev' is known"]),
        (
            "net-diagnostics",
            &["alice.dev", "bob.dev", "2 of this host"],
        ),
        ("net_diagnostics", &["alice.dev"]),
    ] {
        let told = alice.run(line);
        for fact in facts {
            assert!(told.contains(fact), "{line}: {fact} is not in {told}");
        }
    }
    assert!(bob.run("peers").contains("alice.dev"));
}

#[tokio::test]
async fn a_sleeping_neighbour_wakes_and_a_stopped_one_is_offline() {
    let host = Host::start();
    let (alice, bob) = neighbours(&host).await;
    bob.act("hibernate", "hibernated").await;
    assert_eq!(
        alice.run("hi bob.dev wake up"),
        "response from bob.dev: ack"
    );
    bob.api.wait_for_status("bob", "active").await;

    bob.act("stop", "stopped").await;
    let offline = "bob.dev is offline or does not exist";
    assert_eq!(alice.run("hi bob.dev hello"), offline);
    assert_eq!(
        alice.run("m bob.dev@net:distro:sys hello -a 5"),
        "m: awaiting response for 5s\nm: bob.dev is offline or does not exist"
    );
    bob.api.wait_for_status("bob", "stopped").await;
    bob.act("start", "active").await;
    assert_eq!(alice.run("hi bob.dev hello"), "response from bob.dev: ack");

    let gone = bob.api.delete("/nodes/bob").await;
    assert!(gone.status().is_success(), "{gone:?}");
    assert_eq!(alice.run("hi bob.dev hello"), offline);
}

#[tokio::test]
async fn a_neighbour_commands_nothing() {
    let host = Host::start();
    let (alice, bob) = neighbours(&host).await;
    for (process, body) in [
        ("kernel:distro:sys", r#""Shutdown""#),
        ("kernel:terminal:sys", r#""Shutdown""#),
        (
            "vfs:distro:sys",
            r#"{"path":"/terminal:sys/pkg","action":"ReadDir"}"#,
        ),
        (
            "state:distro:sys",
            r#"{"GetState":"terminal:terminal:sys"}"#,
        ),
        ("http-server:distro:sys", r#"{"Unbind":{"path":"/"}}"#),
        ("timer:distro:sys", r#"{"SetTimer":1}"#),
        ("terminal:distro:sys", "echo hi"),
        ("main:app-store:sys", r#""Apis""#),
        ("nobody:here:sys", "hello"),
    ] {
        let line = format!("m bob.dev@{process} '{body}' -a 1");
        let told = alice.run(&line);
        assert!(told.ends_with("timed out"), "{process}: {told}");
    }
    let mut shell = bob.ssh.shell();
    shell.expect("bob.dev > ");
    // A typed line comes from the terminal's own process, and only from there.
    alice.run("m bob.dev@terminal:terminal:sys 'echo from afar' -a 1");
    shell.type_keys("echo still here\r");
    let seen = shell.expect("still here\r\n");
    assert!(!seen.contains("from afar"), "{seen}");
    assert_eq!(
        super::support::json(bob.api.get("/nodes/bob").await).await["status"],
        "active"
    );
}

#[tokio::test]
async fn apps_of_two_nodes_exchange_blobs_and_hear_of_failures() {
    let host = Host::start();
    let (alice, bob) = neighbours(&host).await;
    let (relay, at_bobs) = (alice.relay().await, bob.relay().await);
    let asked = relay
        .tell(&json!({"Ask": {"node": "bob.dev", "bytes": 1 << 20}}))
        .await;
    let answer = &asked["Answered"];
    assert_eq!(answer["source"], format!("bob.dev@{RELAY}"));
    let echoed = &answer["body"]["Echoed"];
    assert_eq!(echoed["source"], format!("alice.dev@{RELAY}"));
    assert_eq!(echoed["blob"]["bytes"], 1 << 20);
    assert_eq!(echoed["blob"], answer["sent"]);
    assert_eq!(answer["blob"], answer["sent"]);
    let back = relay
        .tell(&json!({"Ask": {"node": "bob.dev", "bytes": 1, "answer_bytes": 1 << 20}}))
        .await;
    assert_eq!(back["Answered"]["blob"]["bytes"], 1 << 20);

    // What is too large to travel is the sender's timeout, and harms nobody.
    let ask = |bytes: u64| json!({"Ask": {"node": "bob.dev", "bytes": bytes, "timeout": 1}});
    let large = relay.tell(&ask(11 << 20)).await;
    assert_eq!(large["Failed"]["kind"], "Timeout", "{large}");
    let fits = json!({"Ask": {"node": "bob.dev", "bytes": 10_000_000}});
    assert_eq!(
        relay.tell(&fits).await["Answered"]["blob"]["bytes"],
        10_000_000
    );

    let mute = json!({"Ask": {"node": "bob.dev", "mute": true, "timeout": 2}});
    let failed = &relay.tell(&mute).await["Failed"];
    assert_eq!(failed["kind"], "Timeout");
    let micros = failed["micros"].as_u64().unwrap();
    assert!((1_900_000..8_000_000).contains(&micros), "{micros}");
    let nobody = json!({"Ask": {"node": "nobody.dev", "timeout": 10}});
    let failed = &relay.tell(&nobody).await["Failed"];
    assert_eq!(failed["kind"], "Offline");
    assert!(failed["micros"].as_u64().unwrap() < 2_000_000, "{failed}");

    // Order holds, and whoever asked is answered by the one whom its request was
    // handed on to.
    let burst = json!({"Burst": {"node": "bob.dev", "count": 200, "bytes": 1000}});
    assert_eq!(relay.tell(&burst).await["sent"], 200);
    let seen = super::support::eventually("the burst", Duration::from_secs(10), async || {
        let seen = at_bobs.tell(&json!("Seen")).await;
        (seen["count"] == 200).then_some(seen)
    })
    .await;
    assert_eq!((&seen["disorder"], &seen["last"]), (&json!(0), &json!(199)));
    let command = r#"{"Chain":{"node":"bob.dev"}}"#;
    let chained = alice.run(&format!("m our@{RELAY} '{command}' -a 5"));
    let source = format!(r#""source":"alice.dev@{RELAY}""#);
    assert!(
        chained.contains("Echoed") && chained.contains(&source),
        "{chained}"
    );

    // Asleep, stopped: as for greetings.
    bob.act("hibernate", "hibernated").await;
    let woken = relay.tell(&ask(1000)).await;
    let woken = match woken["Failed"]["kind"].as_str() {
        // Waking may take longer than its second on a busy machine.
        Some("Timeout") => relay.tell(&ask(1000)).await,
        _ => woken,
    };
    assert_eq!(woken["Answered"]["blob"]["bytes"], 1000, "{woken}");
    bob.act("stop", "stopped").await;
    assert_eq!(relay.tell(&ask(1000)).await["Failed"]["kind"], "Offline");
}

#[tokio::test]
async fn a_flood_loses_messages_and_holds_up_nobody() {
    const FLOOD: u64 = 50_000;
    let host = Host::start();
    let (alice, bob) = neighbours(&host).await;
    let (relay, at_bobs) = (alice.relay().await, bob.relay().await);
    let ask = json!({"Ask": {"node": "bob.dev", "bytes": 1}});
    assert_eq!(relay.tell(&ask).await["Answered"]["blob"]["bytes"], 1);
    let burst = json!({"Burst": {"node": "bob.dev", "count": FLOOD, "bytes": 1000}});
    let (sent, greeting) = tokio::join!(relay.tell(&burst), async { bob.run("echo still here") });
    assert_eq!(
        (&sent["sent"], greeting.as_str()),
        (&json!(FLOOD), "still here")
    );
    // What arrived is in order, and the next message arrives after it.
    assert_eq!(relay.tell(&ask).await["Answered"]["blob"]["bytes"], 1);
    let seen = at_bobs.tell(&json!("Seen")).await;
    assert_eq!(seen["disorder"], 0, "{seen}");
    let count = seen["count"].as_u64().unwrap();
    assert!((256..=FLOOD).contains(&count), "{seen}");

    // Nothing is left in the way of other messages.
    assert_eq!(alice.run("hi bob.dev hello"), "response from bob.dev: ack");
}

#[tokio::test]
async fn who_is_flooded_still_gets_answers_of_its_own_node() {
    let host = Host::start();
    let (alice, bob) = neighbours(&host).await;
    let (relay, at_bobs) = (alice.relay().await, bob.relay().await);
    at_bobs.tell(&json!({"Work": true})).await;
    let burst = json!({"Burst": {"node": "bob.dev", "count": 20_000, "bytes": 10}});
    assert_eq!(relay.tell(&burst).await["sent"], 20_000);
    // Its turn comes after what waits.
    let seen = super::support::eventually("bob's relay", Duration::from_secs(30), async || {
        let answer = at_bobs.kit.inject(RELAY, r#""Seen""#).await;
        serde_json::from_str::<Value>(&answer.body).ok()
    })
    .await;
    assert_eq!(seen["failed"], 0, "{seen}");
    assert!(seen["count"].as_u64().unwrap() >= 512, "{seen}");
    assert_eq!(seen["disorder"], 0, "{seen}");
}

#[tokio::test]
async fn capabilities_travel_signed_and_cannot_be_made_up() {
    let host = Host::start();
    let (alice, bob) = neighbours(&host).await;
    let (relay, _at_bobs) = (alice.relay().await, bob.relay().await);
    let to_bob = json!({"node": "bob.dev"});

    // Rights in other names do not leave the node, and the source is ours.
    let spoofed = relay.tell(&json!({ "Spoof": &to_bob })).await;
    let echoed = &spoofed["Answered"]["body"]["Echoed"];
    assert_eq!(echoed["capabilities"], json!([]), "{spoofed}");
    assert_eq!(echoed["source"], format!("alice.dev@{RELAY}"));

    // Nor does saving make them real: what is left is in the name of a third
    // node, which would not know it.
    let spoofed = relay
        .tell(&json!({ "Spoof": {"node": "bob.dev", "save": true} }))
        .await;
    let echoed = &spoofed["Answered"]["body"]["Echoed"]["capabilities"];
    let issuers: Vec<_> = echoed
        .as_array()
        .unwrap()
        .iter()
        .map(|capability| &capability["issuer"])
        .collect();
    assert_eq!(
        issuers,
        [&json!(format!("nobody.dev@{RELAY}"))],
        "{spoofed}"
    );

    // One that alice gives comes back from bob; what bob makes up does not.
    let lend = json!({"Lend": {"node": "bob.dev", "params": {"level": 3}}});
    let lent = relay.tell(&lend).await;
    assert_eq!(lent["Answered"]["body"]["Echoed"]["kept"], 1, "{lent}");
    let only_the_lent =
        json!([{"issuer": format!("alice.dev@{RELAY}"), "params": r#"{"level":3}"#}]);
    let recalled = relay.tell(&json!({ "Recall": &to_bob })).await;
    assert_eq!(
        recalled["Answered"]["capabilities"], only_the_lent,
        "{recalled}"
    );

    // The signature is kept with it, over a restart of bob's node.
    bob.act("hibernate", "hibernated").await;
    bob.act("start", "active").await;
    let recalled = relay.tell(&json!({ "Recall": &to_bob })).await;
    assert_eq!(
        recalled["Answered"]["capabilities"], only_the_lent,
        "{recalled}"
    );
}
