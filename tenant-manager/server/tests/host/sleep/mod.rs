//! Nodes that sleep and wake, seen through the doors of the host.

mod awake;
mod doors;
mod purge;
mod room;
mod suspended;
mod timers;

use std::time::Duration;

use reqwest::StatusCode;

use super::support::{self, Api, Host, Kit, Metrics, Ssh, Tunnel, eventually, test_package};

/// On a busy machine things may take that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node and its owner's ways to it. The host is elsewhere: it may be started
/// again.
struct Node {
    label: String,
    api: Api,
    password: String,
}

impl Node {
    /// The node called `label`, of an account of its own.
    async fn create(host: &Host, label: &str) -> Self {
        let api = host.api().sign_up(&format!("{label}@example.org")).await;
        api.create_node(label).await;
        let password = api.ssh_password(label).await;
        Self {
            label: label.to_owned(),
            api,
            password,
        }
    }

    /// The same node of a host that has been started again since.
    fn again(&self, host: &Host) -> Self {
        Self {
            label: self.label.clone(),
            api: self.api.again(host),
            password: self.password.clone(),
        }
    }

    fn ssh(&self, host: &Host) -> Ssh {
        Ssh::new(host.ssh_port(), &self.label, &self.password)
    }

    fn kit(&self, host: &Host) -> (Tunnel, Kit) {
        let tunnel = self.ssh(host).tunnel();
        let kit = Kit::new(tunnel.port);
        (tunnel, kit)
    }

    async fn install(&self, host: &Host, package: &str) {
        let (_tunnel, kit) = self.kit(host);
        kit.install(&test_package(package)).await;
    }

    fn name(&self) -> String {
        format!("{}.localhost", self.label)
    }

    /// Status and text of a page.
    async fn page(&self, path: &str) -> (StatusCode, String) {
        self.api.node_get(&self.name(), path).await
    }

    async fn status(&self) -> String {
        self.api.status(&self.label).await
    }

    async fn sleep(&self) {
        self.api.hibernate(&self.label).await;
    }

    async fn is(&self, status: &str) {
        self.api.wait_for_status(&self.label, status).await;
    }

    async fn act(&self, what: &str, status: &str) {
        let path = format!("/nodes/{}/{what}", self.label);
        let answer = self.api.act(&path).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{what}: {answer:?}");
        self.is(status).await;
    }

    /// Waits until `path` is answered by an app: once it is bound it is there.
    async fn serves(&self, path: &str) -> String {
        eventually(path, PATIENCE, async || {
            let (status, text) = self.page(path).await;
            (status == StatusCode::OK).then_some(text)
        })
        .await
    }

    /// Lets a time without use pass: this node, which nobody else uses, is woken
    /// and falls asleep by itself.
    async fn doze(&self) {
        assert_eq!(self.page("/login").await.0, StatusCode::OK);
        self.is("hibernated").await;
    }
}

/// Does `work`, during which one node is woken, through `door`.
async fn wakes(host: &Host, door: &str, work: impl AsyncFnOnce()) {
    let before = Metrics::of(host).await;
    work().await;
    let after = Metrics::of(host).await;
    let woken = |metrics: &Metrics| metrics.sum("berth_node_wakes_total", &[]);
    assert_eq!(after.wakes(door), before.wakes(door) + 1.0, "{door}");
    assert_eq!(woken(&after), woken(&before) + 1.0, "{door} alone");
    assert_eq!(after.boots(), before.boots() + 1.0, "{door}");
}
