//! `kill -9` of the host: nothing acknowledged is lost.

use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::support::{self, Host, Kit, Ssh, test_package};

const COUNT: &str = "/counter:counter:tester.dev/api";
/// Times the host is killed.
const KILLS: u32 = 20;

#[tokio::test]
async fn the_last_acknowledged_count_is_there_after_each_of_20_kills() {
    count_through_kills(Host::start(), KILLS).await;
}

/// Kills the host `kills` times while an app counts, each time at another
/// moment, and checks that what was acknowledged is there.
pub async fn count_through_kills(mut host: Host, kills: u32) {
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let password = api.ssh_password("alice").await;
    {
        let tunnel = Ssh::new(host.ssh_port(), "alice", &password).tunnel();
        Kit::new(tunnel.port)
            .install(&test_package("counter:tester.dev"))
            .await;
    }
    let mut acknowledged = 0;
    let mut slowest = Duration::ZERO;
    for round in 0..kills {
        let now = host.api();
        // Counts until it is killed; what it says last was acknowledged.
        let counting = tokio::spawn(async move {
            let mut last = None;
            loop {
                let answered = now.try_node(Method::POST, "alice.localhost", COUNT).await;
                let Some((StatusCode::OK, text)) = answered else {
                    return last;
                };
                let count: serde_json::Value = serde_json::from_str(&text).unwrap();
                last = count["count"].as_u64();
            }
        });
        // Different moments of its work: from the first request to hundreds.
        tokio::time::sleep(Duration::from_millis(u64::from(40 + 23 * (round % 20)))).await;
        slowest = slowest.max(host.crash_and_restart());
        if let Some(last) = counting.await.unwrap() {
            assert!(
                last >= acknowledged,
                "round {round}: {last} after {acknowledged}"
            );
            acknowledged = last;
        }
        let api = host.api();
        let found = support::eventually("the app again", Duration::from_secs(20), async || {
            let (status, text) = api.node_get("alice.localhost", COUNT).await;
            (status == StatusCode::OK).then_some(text)
        })
        .await;
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        let found = found["count"].as_u64().unwrap();
        // One more may have been saved and not yet told.
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "round {round}: {found} found, {acknowledged} acknowledged"
        );
        acknowledged = found;
    }
    assert!(
        acknowledged > u64::from(kills),
        "it did count: {acknowledged}"
    );
    println!("serving again after at most {slowest:?}; {acknowledged} counted");

    // The account and its session are there too.
    let again = host.api();
    let right = serde_json::json!({"email": "alice@example.org", "password": "correct horse"});
    assert_eq!(
        again.post("/sessions", &right).await.status(),
        StatusCode::OK
    );
}
