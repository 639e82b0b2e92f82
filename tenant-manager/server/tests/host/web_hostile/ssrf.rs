//! An app asks for everything that it must not reach: nothing is connected to,
//! each request fails, and the node's egress log tells of each.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};
use url::{Host as UrlHost, Url};

use super::super::support::{Dns, Says};
use super::addresses::{self, NAMES, Table};
use super::witness::Witness;
use super::{Bed, Outcome, get};

/// Requests at once: fewer than a node may have.
const AT_ONCE: usize = 16;
/// How long the table may take: a node opens 32 connections a second at most.
const LIMIT: Duration = Duration::from_secs(90);

/// A dial, as the egress log tells of it: scheme, host and port.
type Dial = (String, String, u16);

/// What the log must say of `url`, if it is a URL at all and of something that
/// is there.
fn dial(url: &str) -> Option<Dial> {
    let url = Url::parse(url).ok()?;
    let host = url.host()?;
    let known = match &host {
        UrlHost::Domain(name) => {
            let name = name.trim_end_matches('.');
            let is_localhost = name == "localhost" || name.ends_with(".localhost");
            is_localhost || NAMES.iter().any(|(known, _)| *known == name)
        }
        UrlHost::Ipv4(_) | UrlHost::Ipv6(_) => true,
    };
    known.then(|| {
        let port = url.port_or_known_default().unwrap();
        (url.scheme().to_owned(), bare(&host.to_string()), port)
    })
}

/// A host without what does not tell it apart.
fn bare(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn dial_of(record: &Value) -> Dial {
    let text = |field: &str| record[field].as_str().unwrap();
    let port = record["port"].as_u64().unwrap();
    let port = u16::try_from(port).unwrap();
    (text("scheme").to_owned(), bare(text("host")), port)
}

fn refused(records: &[Value]) -> HashSet<Dial> {
    let refused = records
        .iter()
        .filter(|record| record["outcome"] == "refused");
    refused.map(dial_of).collect()
}

/// Asks for all of `table` until each dial of it is known as refused.
async fn exhaust(bed: &Bed, table: &Table, request: fn(&str) -> Value) {
    let plain = table.plain.iter().map(|url| (url, dial(url)));
    let confusing = table.confusing.iter().map(|url| (url, None));
    let mut left: Vec<(&String, Option<Dial>)> = plain.chain(confusing).collect();
    let wanted = left.iter().filter(|(_, dial)| dial.is_some()).count();
    println!("{} URLs, {wanted} of them of something inside", left.len());
    let end = Instant::now() + LIMIT;
    let mut first = true;
    while !left.is_empty() {
        assert!(Instant::now() < end, "never refused: {left:#?}");
        let answers = futures::stream::iter(&left)
            .map(|(url, _)| async move { (*url, bed.try_ask(&request(url)).await) })
            .buffer_unordered(AT_ONCE);
        let answers: Vec<(&String, Outcome)> = answers.collect().await;
        for (url, outcome) in answers {
            assert!(outcome.is_failure(), "{url}: {outcome:?}");
        }
        let records = bed.egress().await;
        for record in &records {
            assert_ne!(record["outcome"], "connected", "{record}");
        }
        // Those that came too fast were not looked at, and are asked for again.
        let refused = refused(&records);
        left.retain(|(_, dial)| dial.as_ref().is_some_and(|dial| !refused.contains(dial)));
        if !first {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        first = false;
    }
}

fn open(url: &str) -> Value {
    // Two at once on one channel would end each other.
    static CHANNELS: AtomicU32 = AtomicU32::new(1);
    let channel = CHANNELS.fetch_add(1, Ordering::Relaxed);
    json!({"WebSocketOpen": {"url": url, "headers": {}, "channel_id": channel}})
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_inside_is_connected_to_by_any_spelling() {
    let names = NAMES.map(|(name, address)| {
        let address = address.parse().unwrap();
        (name, Says::Addresses(vec![address]))
    });
    let dns = Dns::start(&names);
    let bed = Bed::start(&["--egress-dns", &dns.address()]).await;
    let witness = Witness::everywhere();
    let requests = addresses::for_requests(&bed.host, witness.port());
    let sockets = addresses::for_sockets(&bed.host, witness.port());
    let all = |table: &Table| table.plain.len() + table.confusing.len();
    assert!(all(&requests) >= 200, "{}", all(&requests));
    exhaust(&bed, &requests, get).await;
    exhaust(&bed, &sockets, open).await;
    witness.is_unvisited().await;
    assert!(dns.asked("metadata.google.internal") > 0);
    assert_eq!(dns.asked("localhost"), 0, "nobody is asked what that is");
    assert_eq!(dns.asked("alice.localhost"), 0);
    // It says who tried what, and that nobody got there.
    let records = bed.egress().await;
    let metadata = records
        .iter()
        .find(|record| record["host"] == "169.254.169.254");
    let metadata = metadata.unwrap();
    assert!(metadata["process"].is_string(), "{metadata}");
    assert!(metadata["reason"].is_string(), "{metadata}");
    assert!(metadata["time"].is_string(), "{metadata}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_nodes_owner_does_not_see_where_an_app_went() {
    let bed = Bed::start(&[]).await;
    assert!(bed.get("http://127.0.0.1:9/secret-path").await.is_failure());
    let records = bed
        .egress_with("the dial", |record| record["outcome"] == "refused")
        .await;
    let text = records[0].to_string();
    assert!(!text.contains("secret-path"), "{text}");
    let mallory = bed.host.api().sign_up("mallory@example.org").await;
    let answer = mallory.get("/nodes/alice/egress").await;
    assert_eq!(answer.status(), reqwest::StatusCode::NOT_FOUND);
    let nobody = bed.host.api().get("/nodes/alice/egress").await;
    assert_eq!(nobody.status(), reqwest::StatusCode::UNAUTHORIZED);
}
