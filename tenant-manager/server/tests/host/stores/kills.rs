//! `kill -9` of the host while every store is written to: nothing that was
//! acknowledged is lost, and nothing is half there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::load::{Load, is_sound, millis, settle};
use super::writer::{KINDS, writers};
use super::{Books, Host, Random};

/// Times the host is killed in every run of the tests.
const KILLS: u32 = 50;
/// The same in a long one.
const MANY_KILLS: u32 = 500;
/// A killed host usually serves again within this time.
const USUALLY: Duration = Duration::from_secs(2);
/// More than this is a failure on the busiest machine.
const SERVING: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_any_store_acknowledged_is_lost_in_50_kills() {
    write_through_kills(KILLS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a long proof: make soak"]
async fn soak_nothing_that_any_store_acknowledged_is_lost_in_500_kills() {
    write_through_kills(MANY_KILLS).await;
}

/// Kills the host `kills` times at random moments while writers are at work in
/// all stores, and reads everything after each.
async fn write_through_kills(kills: u32) {
    let mut random = Random::seeded();
    let mut host = Host::start();
    let mut books = Books::open(&host, "alice").await;
    let mut writers = writers(&mut random, false);
    books.prepare(&writers).await;

    let began = Instant::now();
    let mut acknowledged = BTreeMap::new();
    let mut serving = Vec::new();
    let mut answering = Duration::ZERO;
    for round in 0..kills {
        let load = Load::start(&books, writers);
        tokio::time::sleep(millis(&mut random, 20, 300)).await;
        load.expect_end();
        let killed = Instant::now();
        serving.push(host.crash_and_restart());
        writers = load.end().await;
        books = books.again(&host);
        books.ready().await;
        answering = answering.max(killed.elapsed());
        for writer in &mut writers {
            let settled = settle(&books, writer, None).await;
            assert_eq!(settled.lost, 0, "round {round}: {}", writer.name());
            *acknowledged.entry(writer.kind).or_insert(0) += settled.acknowledged;
        }
        is_sound(&books).await;
    }
    serving.sort_unstable();
    let (usual, serving) = (serving[serving.len() / 2], serving[serving.len() - 1]);
    assert!(usual <= USUALLY, "{usual:?}");
    println!(
        "{kills} kills in {:?}; serving again after {usual:?}, at most {serving:?}, all apps answering \
         after {answering:?}; acknowledged {acknowledged:?}",
        began.elapsed()
    );
    assert!(serving < SERVING, "serving again after {serving:?} only");
    for kind in KINDS {
        let count = acknowledged[&kind];
        assert!(count > kills as usize, "{kind:?}: only {count} writes");
    }
}
