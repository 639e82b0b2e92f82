//! Operations that are interrupted, and a tenant beside them who must not
//! notice.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Api, Database, Host, Kit, PATIENCE, Ssh, eventually, test_package};

const COUNT: &str = "/counter:counter:tester.dev/api";

/// What is done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Wake,
    Stop,
    Hibernate,
    Archive,
    Purge,
}

fn new(label: &str) -> Value {
    json!({"label": label, "password": "node password"})
}

impl Operation {
    /// What must be there for it, on a host on which nothing fails.
    pub async fn prepare(self, bed: &Bed, label: &str) {
        if self == Self::Create {
            return;
        }
        bed.owner.create_node(label).await;
        if self == Self::Purge {
            let path = format!("/nodes/{label}?purge=true");
            let removed = bed.owner.delete(&path).await;
            assert_eq!(removed.status(), StatusCode::ACCEPTED);
            bed.owner.wait_for_status(label, "archived").await;
            // Due at the next start of the host.
            Database::of(&bed.host).query(&format!(
                "UPDATE tenants SET purge_at = created_at WHERE label = '{label}'"
            ));
        }
    }

    /// Begins it; the host may end under it. Purges begin by themselves.
    pub async fn begin(self, bed: &Bed, label: &str) {
        let owner = &bed.owner;
        let node = format!("/nodes/{label}");
        match self {
            Self::Create => {
                owner.attempt(Method::POST, "/nodes", &new(label)).await;
            }
            Self::Wake => {
                let name = format!("{label}.localhost");
                owner.try_node(Method::GET, &name, "/login").await;
            }
            Self::Stop | Self::Hibernate => {
                bed.answers(label).await;
                let verb = match self {
                    Self::Stop => "stop",
                    _ => "hibernate",
                };
                let path = format!("{node}/{verb}");
                owner.attempt(Method::POST, &path, &Value::Null).await;
            }
            Self::Archive => {
                owner.attempt(Method::DELETE, &node, &Value::Null).await;
            }
            Self::Purge => {}
        }
    }

    /// Brings it to its end on a host on which nothing fails any more.
    pub async fn finish(self, bed: &Bed, label: &str, status: &str) {
        let owner = &bed.owner;
        match self {
            Self::Create if status == "absent" => {
                owner.create_node(label).await;
                bed.answers(label).await;
            }
            Self::Create | Self::Wake => bed.answers(label).await,
            Self::Stop => {
                bed.reaches(label, "stop", "stopped").await;
                bed.reaches(label, "start", "active").await;
                bed.answers(label).await;
            }
            Self::Hibernate => {
                bed.answers(label).await;
                bed.reaches(label, "hibernate", "hibernated").await;
                bed.answers(label).await;
            }
            Self::Archive => {
                let again = owner.delete(&format!("/nodes/{label}")).await;
                assert_eq!(again.status(), StatusCode::ACCEPTED, "{label}");
                owner.wait_for_status(label, "archived").await;
            }
            Self::Purge => bed.is_purged(label).await,
        }
    }
}

/// A host with an owner of many nodes, and with Bob.
pub struct Bed {
    pub owner: Api,
    bob: Api,
    counted: u64,
    pub host: Host,
}

impl Bed {
    /// With a node ready for each operation.
    pub async fn make(nodes: &[(Operation, String)]) -> Self {
        let host = Host::start_with(&["--plan-nodes", "50", "--idle-after", "0"]);
        let owner = host.api().sign_up("alice@example.org").await;
        let bob = host.api().sign_up("bob@example.org").await;
        bob.create_node("bob").await;
        {
            let ssh = Ssh::new(host.ssh_port(), "bob", &bob.ssh_password("bob").await);
            let tunnel = ssh.tunnel();
            let kit = Kit::new(tunnel.port);
            kit.install(&test_package("counter:tester.dev")).await;
        }
        let mut bed = Self {
            owner,
            bob,
            counted: 0,
            host,
        };
        for (operation, label) in nodes {
            operation.prepare(&bed, label).await;
        }
        bed.bob_counts().await;
        bed
    }

    /// Starts the host, which has ended, with these failpoints.
    pub fn start(&mut self, failpoints: Option<&str>) {
        self.host.arm(failpoints);
        self.host.start_again();
        self.owner = self.owner.again(&self.host);
        self.bob = self.bob.again(&self.host);
    }

    /// Ends the host in order.
    pub fn end(&mut self) {
        let status = self.host.terminate(PATIENCE);
        assert_eq!(status.code(), Some(0), "{}", self.host.tail());
    }

    /// Bob's app counts on from where it was.
    pub async fn bob_counts(&mut self) {
        let bob = &self.bob;
        let found = eventually("bob's app", PATIENCE, async || {
            let (status, text) = bob.node_get("bob.localhost", COUNT).await;
            (status == StatusCode::OK).then_some(text)
        })
        .await;
        let told: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(told["count"], self.counted);
        let answer = bob.node(Method::POST, "bob.localhost", COUNT, "");
        assert_eq!(answer.await.status(), StatusCode::OK);
        self.counted += 1;
    }

    /// Waits until the node answers a visitor; it may have to be tried again.
    pub async fn answers(&self, label: &str) {
        eventually(label, PATIENCE, async || {
            let name = format!("{label}.localhost");
            let (status, text) = self.owner.node_get(&name, "/login").await;
            assert!(
                status == StatusCode::OK || status == StatusCode::SERVICE_UNAVAILABLE,
                "{label}: {status}: {text}"
            );
            (status == StatusCode::OK).then_some(())
        })
        .await;
    }

    /// Waits until the node is as its owner wants. While it is broken it says
    /// why, and its owner asks again.
    pub async fn reaches(&self, label: &str, wish: &str, status: &str) {
        let path = format!("/nodes/{label}/{wish}");
        let asked = self.owner.act(&path).await.status();
        assert!(asked.is_success() || asked.is_server_error(), "{asked}");
        eventually(&format!("{label} {status}"), PATIENCE, async || {
            let node = super::support::json(self.owner.get(&format!("/nodes/{label}")).await);
            let node = node.await;
            if node["status"] == "broken" {
                let reason = node["status_reason"].as_str().unwrap_or_default();
                assert!(!reason.is_empty(), "{node}");
            }
            // A node that failed to fall asleep is awake, and nobody but who
            // wants it to sleep tries again.
            let stayed_up = wish == "hibernate" && node["status"] == "active";
            if node["status"] == "broken" || asked.is_server_error() || stayed_up {
                self.owner.act(&path).await;
            }
            (node["status"] == status).then_some(())
        })
        .await;
    }

    /// Waits until nothing of the node is left but its empty record.
    pub async fn is_purged(&self, label: &str) {
        eventually(&format!("{label}'s purge"), PATIENCE, async || {
            (self.owner.status(label).await == "absent").then_some(())
        })
        .await;
        let database = Database::of(&self.host);
        let left = database.query(&format!(
            "SELECT id, purged_at IS NOT NULL, length(tenant_key) + length(file_key)
             FROM tenants WHERE label = '{label}'"
        ));
        let [record]: [String; 1] = left.try_into().unwrap();
        let (id, rest) = record.split_once('|').unwrap();
        assert_eq!(rest, "t|0", "{label}");
        for kind in ["nodes", "logs"] {
            let path = self.host.data().join(kind).join(id);
            assert!(!path.exists(), "{}", path.display());
        }
    }
}
