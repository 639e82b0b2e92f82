//! Conformance of the stores: what each function of the published libraries'
//! modules `vfs`, `kv`, `sqlite` and `timer` does, and each error in the words
//! of the edition.
//!
//! Functions are called as the column's library has them; in the columns
//! without a library their requests are written by hand. Errors that tell of a
//! failure of the host itself cannot be had here: `BadRequest`,
//! `CapChannelFail`, `AddCapFailed` and `UnexpectedResponse`, and `IOError` of
//! the databases of old editions.

pub(super) mod called;
mod descriptors;
mod drives;
mod handed_on;
mod kv;
mod kv_wire;
mod sqlite;
mod sqlite_wire;
mod timer;
mod vfs;
mod vfs_actions;
mod vfs_file;
mod vfs_wire;
mod wakes;

use super::subject::{COLUMNS, Subject};
use super::table::Table;
use super::{Cell, Node, Row, Verdict, host_of_editions, look, rows};

#[tokio::test]
async fn every_edition_stores_as_its_library_says() {
    let host = host_of_editions();
    let node = Node::of_stores(&host, "alice").await;
    let subjects = node.subjects();
    let groups = [
        vfs::ROWS,
        vfs_file::ROWS,
        vfs_actions::ROWS,
        vfs_wire::ROWS,
        drives::ROWS,
        kv::ROWS,
        kv_wire::ROWS,
        sqlite::ROWS,
        sqlite_wire::ROWS,
        handed_on::ROWS,
        timer::ROWS,
        descriptors::ROWS,
        wakes::ROWS,
    ];
    let mut table = Table::new(COLUMNS.map(|column| column.edition));
    look(&mut table, &subjects, &groups).await;

    node.api.act("/nodes/alice/hibernate").await;
    node.api.wait_for_status("alice", "hibernated").await;
    look(&mut table, &subjects, &[wakes::ROWS_AFTER_A_WAKE]).await;
    table.finish();
}
