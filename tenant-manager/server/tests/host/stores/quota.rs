//! A node has used up the disk of its plan: every store names the limit and is
//! read as before, removal gives room back, and a neighbour notices nothing.

use serde_json::Value;

use super::pieces::{Pieces, STORES, Store};
use super::{Books, Host};

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 24 * MIB;
/// What a database may be counted beyond what was left, when its journal was
/// measured.
const SLACK: u64 = 256 << 10;
const PIECE: usize = 512 << 10;

fn names_the_limit(refusal: &Value) {
    let text = refusal.to_string();
    assert!(text.contains("disk limit reached"), "{text}");
}

/// What must hold while alice's node is full.
async fn only_she_is_full(alice: &Books, bob: &Books) {
    let used = alice.disk_bytes().await;
    assert!(used <= LIMIT + SLACK, "{used} of {LIMIT}");
    assert!(used > LIMIT / 2, "{used} of {LIMIT}");
    alice.is_stocked("alice was here").await;
    bob.stock("bob goes on").await;
    bob.is_stocked("bob goes on").await;
}

#[tokio::test]
async fn every_store_stops_at_the_limit_of_the_plan_and_goes_on_when_there_is_room() {
    let host = Host::start_with(&["--plan-disk", "24MiB"]);
    let (alice, bob) = (
        Books::open(&host, "alice").await,
        Books::open(&host, "bob").await,
    );
    alice.stock("alice was here").await;
    let empty = alice.disk_bytes().await;
    assert!(empty < LIMIT / 2, "{empty}");

    for store in [Store::Files, Store::KeyValue, Store::Sqlite] {
        let mut pieces = Pieces::begin(&alice, store, PIECE).await;
        names_the_limit(&pieces.fill().await);
        only_she_is_full(&alice, &bob).await;
        pieces.are_there().await;
        // One at a time, too.
        assert_eq!(pieces.remove_one().await, Ok(()), "{store:?}");
        pieces.are_there().await;
        pieces.remove_all().await;
        let left = alice.disk_bytes().await;
        assert!(left < empty + MIB, "{store:?}: {left}, {empty} before");
        assert_eq!(pieces.put().await, Ok(()), "{store:?}");
        pieces.remove_all().await;
    }

    // State replaces what was there: others leave no room for it.
    let mut files = Pieces::begin(&alice, Store::Files, PIECE).await;
    let mut state = Pieces::begin(&alice, Store::State, 2 * PIECE).await;
    names_the_limit(&files.fill().await);
    names_the_limit(&state.fill().await);
    only_she_is_full(&alice, &bob).await;
    // Every store is full then, whichever filled it.
    for store in STORES {
        let mut pieces = Pieces::begin(&alice, store, 4 * PIECE).await;
        names_the_limit(&pieces.fill().await);
    }
    files.remove_all().await;
    assert_eq!(state.put().await, Ok(()));
    state.are_there().await;
    alice.stock("alice goes on").await;
    alice.is_stocked("alice goes on").await;
}
