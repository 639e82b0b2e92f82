//! The power fails while every store is written to: what was promised to
//! survive that is there, what was not may be lost but is never half there.
//!
//! The data directory is on a file system of its own, which is shut down: what
//! it had not written by then is gone. The database is elsewhere and goes on,
//! so that the host finds older data than it knows of.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::load::{Load, is_sound, millis, settle};
use super::writer::{Kind, writers};
use super::{Books, Host, PATIENCE, Postgres, Random, SmallDisk};

/// Times the power is cut in every run of the tests.
const CUTS: u32 = 6;
/// The same in a long one.
const MANY_CUTS: u32 = 60;
/// Writes to state and databases survive a second after they were
/// acknowledged; the rest is the way of the answer.
const PROMISE: Duration = Duration::from_millis(1200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_promised_to_survive_a_power_cut_survives_6_of_them() {
    write_through_cuts(CUTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a long proof: make soak"]
async fn soak_what_was_promised_to_survive_a_power_cut_survives_60_of_them() {
    write_through_cuts(MANY_CUTS).await;
}

async fn write_through_cuts(cuts: u32) {
    let home = tempfile::tempdir().unwrap();
    // Unmounted after the host has ended: what is declared first goes last.
    let Some(disk) = SmallDisk::mount_with_power(home.path()) else {
        println!("not run: no file system can be mounted from a file here");
        return;
    };
    let mut random = Random::seeded();
    let postgres = Postgres::start().await;
    let flags = postgres.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut host = Host::start_in_with(home, &flags);
    let mut books = Books::open(&host, "alice").await;
    let mut writers = writers(&mut random, true);
    books.prepare(&writers).await;
    // The node and its app are there; this is about what the app writes.
    disk.sync();

    let mut controls = 0;
    let mut promised = BTreeMap::new();
    let mut lost = BTreeMap::new();
    for round in 0..cuts {
        let load = Load::start(&books, writers);
        // Long enough for writes of which some are promised and some are not.
        tokio::time::sleep(millis(&mut random, 1500, 3000)).await;
        load.expect_end();
        let control = disk.path().join(format!("control-{round}"));
        std::fs::write(&control, vec![b'c'; 64 << 10]).unwrap();
        let cut = Instant::now();
        disk.cut_power();
        host.signal("KILL");
        host.wait(PATIENCE);
        writers = load.end().await;
        disk.restore_power().await;
        controls += u32::from(is_lost(&control));

        host.start_again();
        books = books.again(&host);
        books.ready().await;
        for writer in &mut writers {
            let until = match writer.kind {
                // Each of these was synced before it was acknowledged.
                Kind::Files | Kind::Journal => cut,
                Kind::KeyValue | Kind::Sqlite | Kind::State => cut - PROMISE,
            };
            let settled = settle(&books, writer, Some(until)).await;
            *promised.entry(writer.kind).or_insert(0) += settled.promised;
            *lost.entry(writer.kind).or_insert(0) += settled.lost;
        }
        is_sound(&books).await;
    }
    println!(
        "{cuts} cuts; writes promised: {promised:?}; of the last moments, lost: {lost:?}; \
         unsynced files lost: {controls}"
    );
    assert!(
        controls > 0,
        "this proved nothing: what nobody had synced survived every cut"
    );
    for (kind, count) in promised {
        assert!(count > cuts as usize, "{kind:?}: only {count} promised");
    }
}

/// Whether a file that nobody synced is missing or empty.
fn is_lost(control: &Path) -> bool {
    let left = std::fs::metadata(control).map_or(0, |metadata| metadata.len());
    let _ = std::fs::remove_file(control);
    left == 0
}
