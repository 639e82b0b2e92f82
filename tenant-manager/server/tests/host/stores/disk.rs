//! The host's disk is full: every store says so in its own words and is read
//! as before, and once there is room all of them go on by themselves.

use super::pieces::{Pieces, STORES, Store};
use super::{Books, Host, Postgres, SmallDisk};

const PIECE: usize = 1 << 20;
/// Pieces that a store has before the disk is full.
const FIRST: usize = 3;

#[tokio::test]
async fn a_full_disk_is_told_by_every_store_and_forgotten_once_there_is_room() {
    let home = tempfile::tempdir().unwrap();
    // Unmounted after the host has ended: what is declared first goes last.
    let Some(disk) = SmallDisk::mount(home.path()) else {
        println!("not run: nothing can be mounted here");
        return;
    };
    let postgres = Postgres::start().await;
    let flags = postgres.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut host = Host::start_in_with(home, &flags);
    let (alice, bob) = (
        Books::open(&host, "alice").await,
        Books::open(&host, "bob").await,
    );
    alice.stock("alice was here").await;
    bob.stock("bob was here").await;
    let mut pieces = Vec::new();
    for store in STORES {
        let mut of_store = Pieces::begin(&alice, store, PIECE).await;
        for _ in 0..FIRST {
            assert_eq!(of_store.put().await, Ok(()), "{store:?}");
        }
        pieces.push(of_store);
    }

    disk.fill();
    for of_store in &mut pieces {
        let refusal = of_store.fill().await;
        println!("refused with {refusal}");
    }
    // Reads go on, the neighbour's too.
    alice.is_stocked("alice was here").await;
    bob.is_stocked("bob was here").await;
    for of_store in &pieces {
        of_store.are_there().await;
    }
    assert_eq!(alice.api.status("alice").await, "active");
    // What is removed makes room, for whoever takes it first.
    let files = &mut pieces[0];
    assert_eq!(files.remove_one().await, Ok(()));

    disk.clear();
    for (of_store, store) in pieces.iter_mut().zip(STORES) {
        of_store.put_soon().await;
        if store != Store::State {
            assert_eq!(of_store.remove_one().await, Ok(()), "{store:?}");
        }
    }
    bob.stock("bob went on").await;

    // What was acknowledged is there, also after a kill.
    for of_store in &pieces {
        of_store.are_there().await;
    }
    host.crash_and_restart();
    let (alice, bob) = (alice.again(&host), bob.again(&host));
    alice.ready().await;
    bob.ready().await;
    for of_store in pieces {
        of_store.again(&alice).are_there().await;
    }
    alice.is_stocked("alice was here").await;
    bob.is_stocked("bob went on").await;
}
