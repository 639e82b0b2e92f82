//! Conformance of HTTP: what each function of the published libraries' modules
//! for the server and the client does, what the modules say to each action, and
//! each error in the words of the edition.
//!
//! Functions are called as the column's library has them; in the columns
//! without a library their requests are written by hand. What nodes call is a
//! server of the test's own, at an address that the plan allows. Errors that
//! tell of a failure of the host itself cannot be had here: the libraries' own
//! `Timeout` of the server.

mod answers;
mod client;
mod client_sockets;
mod client_wire;
mod crowd;
mod extension;
mod line;
mod msgpack;
mod paths;
mod requests;
mod server;
mod server_wire;
mod site;
mod sockets;
mod sockets_wire;
mod static_ui;
mod web;

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};

use super::super::support::Host;
use super::storage::called;
use super::subject::{COLUMNS, Subject, matches};
use super::table::Table;
use super::{Cell, Node, Verdict, package, rows};
use site::{By, Site};
use web::{ABSENT, Web};

/// A behaviour and how to find out about it.
type Row = (&'static str, for<'a> fn(&'a Web) -> BoxFuture<'a, Verdict>);

#[tokio::test]
async fn every_edition_serves_and_calls_as_its_library_says() {
    let flags = ["--plan-processes", "200"];
    let egress = ["--plan-egress-allow", "127.0.0.0/8"];
    let host = Host::start_with(&[flags, egress].concat());
    let node = Node::of_sites(&host, "alice").await;
    let site = Arc::new(Site::of(&host, &node).await);
    let webs = node.subjects().map(|subject| Web {
        subject,
        site: site.clone(),
    });
    let groups = [
        server::ROWS,
        requests::ROWS,
        server_wire::ROWS,
        paths::ROWS,
        answers::ROWS,
        static_ui::ROWS,
        sockets::ROWS,
        sockets_wire::ROWS,
        extension::ROWS,
        client::ROWS,
        client_wire::ROWS,
        client_sockets::ROWS,
    ];
    let mut table = Table::new(COLUMNS.map(|column| column.edition));
    look(&mut table, &webs, &groups).await;
    crowd::look(&mut table, &webs).await;
    table.finish();
}

/// Looks at the behaviours of each column: editions side by side, the rows of
/// each one after the other.
async fn look(
    table: &mut Table<{ COLUMNS.len() }>,
    webs: &[Web; COLUMNS.len()],
    groups: &[&'static [Row]],
) {
    let rows: Vec<&Row> = groups.iter().copied().flatten().collect();
    let columns = join_all(webs.iter().map(async |web| {
        let mut cells = Vec::new();
        for (_, check) in &rows {
            cells.push(check(web).await);
        }
        cells
    }))
    .await;
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    for (name, _) in rows {
        let cells = columns.iter_mut().filter_map(Iterator::next).collect();
        table.push((*name).to_owned(), cells);
    }
}
