//! How much of the outside one node may have.

use std::time::Duration;

use node_api::EgressOutcome;

use super::{Listener, Setup, tasks};
use crate::{EgressError, EgressLimits};

#[tokio::test]
async fn so_many_connections_and_no_more() {
    let tasks = tasks();
    let listener = Listener::new(&tasks, "127.0.0.1:0").await;
    let node = Setup {
        allow: &["127.0.0.0/8"],
        limits: EgressLimits {
            connections: 2,
            ..EgressLimits::default()
        },
        ..Setup::default()
    }
    .build();
    let port = listener.address.port();
    let first = node.connect("127.0.0.1", port).await.unwrap();
    let second = node.connect("127.0.0.1", port).await.unwrap();
    node.records();
    let error = node.connect("127.0.0.1", port).await.unwrap_err();
    assert!(matches!(error, EgressError::TooMany), "{error:?}");
    let record = node.record();
    assert_eq!(record.outcome, EgressOutcome::Refused);
    assert_eq!(record.address, None);
    drop(first);
    let third = node.connect("127.0.0.1", port).await.unwrap();
    assert!(node.connect("127.0.0.1", port).await.is_err());
    // Nor is one kept by an attempt that failed.
    drop((second, third));
    for _ in 0..5 {
        assert!(node.connect("10.0.0.1", port).await.is_err());
    }
    assert!(node.connect("127.0.0.1", port).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn so_many_attempts_a_second_and_no_more() {
    let node = Setup {
        limits: EgressLimits {
            connections: 1,
            per_second: 2,
            burst: 3,
            ..EgressLimits::default()
        },
        ..Setup::default()
    }
    .build();
    let is_busy = async || {
        let error = node.connect("10.0.0.1", 80).await.unwrap_err();
        matches!(error, EgressError::TooFast)
    };
    for _ in 0..3 {
        assert!(!is_busy().await);
    }
    assert!(is_busy().await);
    tokio::time::advance(Duration::from_millis(500)).await;
    assert!(!is_busy().await);
    assert!(is_busy().await);
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_fill_the_log() {
    let node = Setup {
        limits: EgressLimits {
            burst: 4,
            ..EgressLimits::default()
        },
        ..Setup::default()
    }
    .build();
    let flood = async || {
        for _ in 0..10_000 {
            assert!(node.connect("10.0.0.1", 80).await.is_err());
        }
        node.records()
    };
    let records = flood().await;
    assert_eq!(records.len(), 5, "four tries and one that was too many");
    assert_eq!(
        records[4].reason.as_deref(),
        Some("too many connections at once; try again later")
    );
    tokio::time::advance(Duration::from_secs(1)).await;
    let records = flood().await;
    assert_eq!(records.len(), 5);
    let reasons = records.iter().flat_map(|record| &record.reason);
    let counted: Vec<_> = reasons.filter(|text| text.contains("not kept")).collect();
    assert_eq!(
        counted,
        ["10.0.0.1 may not be reached: it has no public address \
          (9995 tries before it were too many, and are not kept)"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_holds_few_turns() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let lasts = async |opening| {
        let node = Setup {
            name_server: Some(silent.local_addr().unwrap()),
            limits: EgressLimits {
                opening,
                ..EgressLimits::default()
            },
            ..Setup::default()
        }
        .build();
        let begun = tokio::time::Instant::now();
        let (one, two) = tokio::join!(node.connect("a.test", 80), node.connect("b.test", 80));
        assert!(one.is_err() && two.is_err());
        begun.elapsed()
    };
    let together = lasts(2).await;
    // One after the other.
    assert!(lasts(1).await >= together * 2 - Duration::from_millis(100));
}
