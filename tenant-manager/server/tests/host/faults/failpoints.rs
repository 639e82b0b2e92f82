//! The host is killed at every step of what it does to a node. Afterwards the
//! node is as it was before or as it was to be, what was interrupted can be
//! brought to its end, and nobody else notices.

use std::os::unix::process::ExitStatusExt;

use super::PATIENCE;
use super::cases::{Bed, Operation};

/// The signal of a process that aborts.
const ABORTED: i32 = 6;

/// A step, what is done when it is reached, and how the node may be found after
/// the next start. One that ran may be on its way to run again.
type Case = (&'static str, Operation, &'static [&'static str]);

const RUNS_OR_SLEEPS: &[&str] = &["hibernated", "booting", "active"];

#[tokio::test]
async fn a_host_that_dies_while_it_makes_or_wakes_a_node() {
    let made: &[&str] = &["provisioning", "booting", "active"];
    die(&[
        ("create.before-insert", Operation::Create, &["absent"]),
        ("create.inserted", Operation::Create, made),
        ("boot.admitted", Operation::Wake, RUNS_OR_SLEEPS),
        ("boot.launched", Operation::Wake, RUNS_OR_SLEEPS),
        ("boot.attached", Operation::Wake, RUNS_OR_SLEEPS),
    ])
    .await;
}

#[tokio::test]
async fn a_host_that_dies_while_it_stops_a_node() {
    // The wish is kept before the work begins.
    die(&[
        ("stop.begun", Operation::Stop, &["stopped"]),
        ("stop.stopped", Operation::Stop, &["stopped"]),
        ("stop.done", Operation::Stop, &["stopped"]),
        ("rest.before-write", Operation::Hibernate, RUNS_OR_SLEEPS),
        ("rest.written", Operation::Hibernate, RUNS_OR_SLEEPS),
    ])
    .await;
}

#[tokio::test]
async fn a_host_that_dies_while_it_removes_a_node() {
    let going: &[&str] = &["archived", "absent"];
    die(&[
        ("archive.before-write", Operation::Archive, &["hibernated"]),
        ("archive.written", Operation::Archive, &["archived"]),
        ("purge.begun", Operation::Purge, going),
        ("purge.data-removed", Operation::Purge, going),
        ("purge.row-ended", Operation::Purge, going),
    ])
    .await;
}

/// Goes through `cases` on one host, one after the other.
async fn die(cases: &[Case]) {
    let label = |number: usize| format!("case{number}");
    // Purges begin as soon as the host starts: theirs are made due one by one.
    let early: Vec<_> = cases
        .iter()
        .enumerate()
        .filter(|(_, (_, operation, _))| *operation != Operation::Purge)
        .map(|(number, (_, operation, _))| (*operation, label(number)))
        .collect();
    let mut bed = Bed::make(&early).await;
    for (number, (step, operation, legal)) in cases.iter().enumerate() {
        let label = label(number);
        if *operation == Operation::Purge {
            operation.prepare(&bed, &label).await;
        }
        // Asleep in order, so that nothing but the operation reaches the step.
        bed.end();
        let failpoint = format!("{step}=abort");
        let died = if *operation == Operation::Purge {
            bed.host.arm(Some(&failpoint));
            bed.host.start_and_end(PATIENCE)
        } else {
            bed.start(Some(&failpoint));
            operation.begin(&bed, &label).await;
            bed.host.wait(PATIENCE)
        };
        assert_eq!(died.signal(), Some(ABORTED), "{step}: {died}");

        bed.start(None);
        let status = bed.owner.status(&label).await;
        assert!(legal.contains(&status.as_str()), "{step}: {status}");
        bed.bob_counts().await;
        operation.finish(&bed, &label, &status).await;
        println!("{step}: found {status}, brought to its end");
    }
}
