//! Conformance: what the interface promises to processes, of every edition,
//! on real nodes.
//!
//! One app in as many builds as there are editions carries out scripts (see
//! `test-apps/editions/common/script.rs`); a row is one behaviour, a column
//! one build. What is expected differs between editions only where their
//! interfaces do.

#![expect(
    clippy::needless_pass_by_value,
    reason = "JSON that is written where it is passed"
)]

mod across;
mod blobs;
mod bootstrap;
mod commands;
mod ends;
mod exits;
mod files;
mod http;
mod mailboxes;
mod names;
mod package;
mod requests;
mod rights;
mod spawning;
mod states;
mod storage;
mod subject;
mod table;
mod waiting;

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};

use super::support::{Api, Host, Kit, Ssh, Tunnel};
use subject::{COLUMNS, Subject};
use table::Table;

/// What a cell says when it does not fail.
enum Cell {
    Conforms,
    /// The behaviour cannot be asked for in this edition, and why.
    NotApplicable(&'static str),
}

/// `Err`: what was seen instead.
type Verdict = Result<Cell, String>;

/// A behaviour and how to find out about it.
type Row = (
    &'static str,
    for<'a> fn(&'a Subject) -> BoxFuture<'a, Verdict>,
);

/// Makes rows of functions.
macro_rules! rows {
    ($($name:literal => $check:path,)*) => {
        pub(super) const ROWS: &[super::Row] = &[
            $(($name, |subject| Box::pin($check(subject))),)*
        ];
    };
}
use rows;
pub use spawning::spawn;

/// A node, with its owner's ways to it.
pub struct Node {
    api: Api,
    kit: Arc<Kit>,
    tunnel: Tunnel,
}

impl Node {
    async fn create(host: &Host, label: &'static str) -> Self {
        let api = host.api().sign_up(&format!("{label}@example.org")).await;
        api.create_node(label).await;
        let ssh = Ssh::new(host.ssh_port(), label, &api.ssh_password(label).await);
        let tunnel = ssh.tunnel();
        Self {
            api,
            kit: Arc::new(Kit::new(tunnel.port)),
            tunnel,
        }
    }

    /// The same with the suite's app in all its builds.
    pub async fn of_editions(host: &Host, label: &'static str) -> Self {
        let node = Self::create(host, label).await;
        node.kit.install(&package::conformance()).await;
        for subject in node.subjects() {
            subject.wait_until_it_runs().await;
        }
        node
    }

    /// The same, where the app may use the modules that store, and with a
    /// process of each build in another package.
    async fn of_stores(host: &Host, label: &'static str) -> Self {
        let node = Self::create(host, label).await;
        node.kit.install(&package::storing()).await;
        for subject in node.subjects() {
            subject.wait_until_it_runs().await;
        }
        node.kit.install(&package::strangers()).await;
        node
    }

    /// The same, where the app may call out and its package has a site.
    async fn of_sites(host: &Host, label: &'static str) -> Self {
        let node = Self::create(host, label).await;
        node.kit.install(&package::serving()).await;
        for subject in node.subjects() {
            subject.wait_until_it_runs().await;
        }
        node
    }

    /// The columns of the node `alice`.
    pub fn subjects(&self) -> [Subject; COLUMNS.len()] {
        COLUMNS.each_ref().map(|column| Subject {
            column,
            node: "alice.dev",
            kit: self.kit.clone(),
        })
    }
}

/// More processes than a plan has by default: six of each column.
pub fn host_of_editions() -> Host {
    Host::start_with(&["--plan-processes", "200"])
}

#[tokio::test]
async fn every_edition_behaves_as_its_interface_says() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    let subjects = node.subjects();

    let groups = [
        requests::ROWS,
        waiting::ROWS,
        blobs::ROWS,
        rights::ROWS,
        spawning::ROWS,
        exits::ROWS,
        commands::ROWS,
        files::ROWS,
        states::ROWS,
        names::ROWS,
    ];
    let mut table = Table::new(COLUMNS.map(|column| column.edition));
    look(&mut table, &subjects, &groups).await;

    // What outlives the node.
    node.api.act("/nodes/alice/hibernate").await;
    node.api.wait_for_status("alice", "hibernated").await;
    look(&mut table, &subjects, &[states::ROWS_AFTER_A_WAKE]).await;
    table.finish();
}

/// Looks at the behaviours of each column: editions side by side, the rows of
/// each one after the other.
async fn look(
    table: &mut Table<{ COLUMNS.len() }>,
    subjects: &[Subject],
    groups: &[&'static [Row]],
) {
    let rows = || groups.iter().copied().flatten();
    let columns = join_all(subjects.iter().map(async |subject| {
        let mut cells = Vec::new();
        for (_, check) in rows() {
            cells.push(check(subject).await);
        }
        cells
    }))
    .await;
    table.add(rows(), columns);
}
