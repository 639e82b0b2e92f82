//! Steps that fail, or panic, once: the node says so or it is tried again, the
//! host lives on, and nobody else notices.

use super::cases::{Bed, Operation};
use super::{Metrics, PATIENCE, eventually};

/// Waits until the log tells that each of these steps failed.
async fn tripped(bed: &Bed, steps: &[&str]) {
    for step in steps {
        let line = format!("failpoint {step}");
        eventually(&line, PATIENCE, async || {
            bed.host.log().contains(&line).then_some(())
        })
        .await;
    }
}

/// The same failure at each of `steps`, as they are armed.
fn at(steps: &[&str], failure: &str) -> String {
    let armed: Vec<String> = steps
        .iter()
        .map(|step| format!("{step}={failure}"))
        .collect();
    armed.join(";")
}

const BOOT: [&str; 3] = ["boot.admitted", "boot.launched", "boot.attached"];
const STOP: [&str; 3] = ["stop.begun", "stop.stopped", "stop.done"];
const REST: [&str; 2] = ["rest.before-write", "rest.written"];
const PURGE: [&str; 3] = ["purge.begun", "purge.data-removed", "purge.row-ended"];

async fn boots_fail(failure: &str) {
    let mut bed = Bed::make(&[(Operation::Wake, "alice".to_owned())]).await;
    bed.end();
    bed.start(Some(&at(&BOOT, failure)));
    // One failure after the other, and each time it is tried again.
    bed.answers("alice").await;
    tripped(&bed, &BOOT).await;
    bed.owner.wait_for_status("alice", "active").await;
    let metrics = Metrics::of(&bed.host).await;
    let ok = metrics.sum("berth_node_boots_total", &["outcome=\"ok\""]);
    assert!(metrics.boots() > ok, "failures are counted");
    bed.bob_counts().await;
    // Nothing of the failed boots is in the way of the next ones.
    bed.reaches("alice", "hibernate", "hibernated").await;
    bed.answers("alice").await;
    bed.end();
}

#[tokio::test]
async fn a_boot_that_fails_is_tried_again() {
    boots_fail("error").await;
}

#[tokio::test]
async fn a_boot_that_panics_is_tried_again() {
    boots_fail("panic").await;
}

async fn stops_fail(failure: &str) {
    let mut bed = Bed::make(&[(Operation::Stop, "alice".to_owned())]).await;
    bed.end();
    bed.start(Some(&at(&[&STOP[..], &REST[..]].concat(), failure)));
    for _ in 0..STOP.len() {
        bed.reaches("alice", "start", "active").await;
        bed.answers("alice").await;
        bed.reaches("alice", "stop", "stopped").await;
    }
    bed.reaches("alice", "start", "active").await;
    for _ in 0..REST.len() {
        bed.answers("alice").await;
        bed.reaches("alice", "hibernate", "hibernated").await;
    }
    tripped(&bed, &STOP).await;
    tripped(&bed, &REST).await;
    bed.bob_counts().await;
    bed.answers("alice").await;
    // It ends in order, although stops failed.
    bed.end();
}

#[tokio::test]
async fn a_stop_that_fails_is_brought_to_its_end() {
    stops_fail("error").await;
}

#[tokio::test]
async fn a_stop_that_panics_is_brought_to_its_end() {
    stops_fail("panic").await;
}

async fn purges_fail(failure: &str) {
    // Each of them trips at another step, as each step fails once.
    let labels = ["alice", "carol", "dave"];
    let nodes = labels.map(|label| (Operation::Purge, label.to_owned()));
    let mut bed = Bed::make(&nodes).await;
    bed.end();
    bed.start(Some(&at(&PURGE, failure)));
    tripped(&bed, &PURGE).await;
    bed.bob_counts().await;
    for label in labels {
        let status = bed.owner.status(label).await;
        assert!(
            ["archived", "absent"].contains(&status.as_str()),
            "{status}"
        );
    }
    // It is tried again after a while, which nobody waits for here: the next
    // start of the host does so too.
    assert_eq!(bed.host.terminate(PATIENCE).code(), Some(0));
    bed.start(None);
    for label in labels {
        bed.is_purged(label).await;
        // The label is free again, for a node that has nothing of the old one.
        bed.owner.create_node(label).await;
        bed.answers(label).await;
    }
    bed.bob_counts().await;
    assert!(bed.host.terminate(PATIENCE).success());
}

#[tokio::test]
async fn a_purge_that_fails_is_done_later() {
    purges_fail("error").await;
}

#[tokio::test]
async fn a_purge_that_panics_is_done_later() {
    purges_fail("panic").await;
}
