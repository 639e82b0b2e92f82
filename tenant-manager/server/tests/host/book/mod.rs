//! The examples of the Kinode Book, written anew, installed and used as the
//! book has its reader do it: kit through the tunnel, lines at the terminal,
//! the pages in a browser, and Python beside the node.

mod chat;
mod chat_with_files;
mod chess;
mod chunks;
mod dev_ui;
mod extension;
mod files;
mod http;
mod kino_files;
mod origin;
mod script;
mod small;
mod storage;
mod website;
mod websockets;

use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::browser::chromium::Chromium;
use super::support::{self, Api, Host, Kit, Ssh, Tunnel, eventually, test_package};

/// On a busy machine a component may take that long to compile.
const PATIENCE: Duration = Duration::from_secs(60);
/// What an operator gives a plan so that its nodes reach servers on loopback.
const LOOPBACK: [&str; 2] = ["--plan-egress-allow", "127.0.0.0/8"];

/// A node with its owner's ways to it.
struct Node {
    label: &'static str,
    api: Api,
    ssh: Ssh,
    kit: Kit,
    /// Where its files are on the host.
    files: PathBuf,
    tunnel: Tunnel,
}

impl Node {
    /// The node called `label`, of an account of its own.
    async fn create(host: &Host, label: &'static str) -> Self {
        let directory = host.data().join("nodes");
        let nodes = || -> Vec<PathBuf> {
            let entries = std::fs::read_dir(&directory).into_iter().flatten();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let before = nodes();
        let api = host.api().sign_up(&format!("{label}@example.org")).await;
        api.create_node(label).await;
        let ssh = Ssh::new(host.ssh_port(), label, &api.ssh_password(label).await);
        let tunnel = ssh.tunnel();
        let mut new = nodes().into_iter().filter(|node| !before.contains(node));
        Self {
            label,
            api,
            kit: Kit::new(tunnel.port),
            ssh,
            files: new.next().expect("a directory of the node's"),
            tunnel,
        }
    }

    /// Installs an example as the kit of the book does.
    async fn install(&self, package: &str) {
        let (new, install) = self.kit.start_package_0_6(&test_package(package)).await;
        assert_eq!(new, r#"{"NewPackageResponse":"Success"}"#, "{package}");
        assert_eq!(install, r#"{"InstallResponse":"Success"}"#, "{package}");
    }

    /// The local end of its owner's tunnel.
    fn tunnel_port(&self) -> u16 {
        self.tunnel.port
    }

    /// What a line at the terminal prints.
    fn run(&self, line: &str) -> String {
        let output = self.ssh.exec(line);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `kit inject-message`; the answer as JSON.
    async fn ask(&self, process: &str, body: &Value) -> Value {
        let answer = self.kit.inject(process, &body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{process}: {body}");
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{body}: {answer:?}"))
    }

    /// Waits until something was printed that has `text` in it.
    async fn printed(&self, text: &str) -> String {
        self.printed_by(text, |line| line.contains(text), |_| true)
            .await
    }

    /// Waits until `process` said that it begins.
    async fn has_begun(&self, process: &str) {
        let what = format!("{process} begins");
        self.printed_by(&what, |line| line == "begin", |source| source == process)
            .await;
    }

    async fn printed_by(
        &self,
        what: &str,
        text: impl Fn(&str) -> bool,
        source: impl Fn(&str) -> bool,
    ) -> String {
        let path = format!("/nodes/{}/logs?limit=1000", self.label);
        eventually(&format!("{}: {what:?}", self.label), PATIENCE, async || {
            let page = support::json(self.api.get(&path).await).await;
            let lines = page["items"].as_array().unwrap();
            let found = lines.iter().find(|line| {
                text(line["text"].as_str().unwrap()) && source(line["source"].as_str().unwrap())
            });
            found.map(|line| line["text"].as_str().unwrap().to_owned())
        })
        .await
    }

    async fn hibernate(&self) {
        self.api
            .act(&format!("/nodes/{}/hibernate", self.label))
            .await;
        self.api.wait_for_status(self.label, "hibernated").await;
    }

    /// A path in the node's files, on the host.
    fn file(&self, path: &str) -> PathBuf {
        self.files.join(path)
    }

    /// Puts a file into a directory of the node's files, as its own.
    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.file(path);
        std::fs::write(&path, bytes).unwrap();
        let directory = path.parent().unwrap().metadata().unwrap();
        chown(&path, Some(directory.uid()), Some(directory.gid())).unwrap();
    }

    /// Waits for a file with these bytes.
    async fn has_file(&self, path: &str, bytes: &[u8]) {
        eventually(path, PATIENCE, async || {
            let there = std::fs::read(self.file(path)).ok()?;
            (there == bytes).then_some(())
        })
        .await;
    }
}

/// Two nodes of one host, as the book's two fake nodes.
async fn two_nodes(host: &Host) -> (Node, Node) {
    (
        Node::create(host, "alice").await,
        Node::create(host, "bob").await,
    )
}

/// Signs a browser in at a node by a one-time link.
async fn sign_in(browser: &Chromium, node: &Node) {
    let path = format!("/nodes/{}/open", node.label);
    let answer = support::json(node.api.act(&path).await).await;
    browser.goto(answer["url"].as_str().unwrap()).await;
    browser.find("#live").await;
}

/// Bytes of which no two pieces are the same.
fn content(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(bytes).collect()
}
