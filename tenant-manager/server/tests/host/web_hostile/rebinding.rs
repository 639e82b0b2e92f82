//! Names that change their meaning between the look and the leap. Nothing
//! public can be reached in a test, so the good address is one that the
//! operator opened to apps, and the forbidden one is its neighbour.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::super::support::dns::Broken;
use super::super::support::{Dns, Says};
use super::origin::{Origin, Reply};
use super::witness::Witness;
use super::{Bed, Outcome, connected_to};

/// Opened to apps: the good address and one where nobody is.
pub const OPEN: &str = "127.0.0.2/31";
/// The good address.
pub const GOOD: &str = "127.0.0.2";
/// Open to apps, with nobody there.
const EMPTY: &str = "127.0.0.3";
/// Longest that a name may keep an app waiting, the RPC's own wait included.
const PROMPT: Duration = Duration::from_secs(30);

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// An origin at the good address and listeners at the same port of forbidden
/// ones.
pub fn beside_forbidden(
    reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> (Origin, Vec<Witness>) {
    let reply = std::sync::Arc::new(reply);
    for _ in 0..50 {
        let origin = {
            let reply = reply.clone();
            Origin::start(GOOD, move |path| reply(path))
        };
        let at = |ip: &str| Witness::at(SocketAddr::new(ip.parse().unwrap(), origin.port()));
        let Some(loopback) = at("127.0.0.1") else {
            // The port is somebody's there.
            continue;
        };
        let six = at("::1");
        return (origin, [loopback].into_iter().chain(six).collect());
    }
    panic!("no port is free at both addresses");
}

/// Names, and what is said of them.
fn turncoats() -> Vec<(&'static str, Says)> {
    let good = addresses(&[GOOD]);
    let bad = addresses(&["127.0.0.1", "::1"]);
    let both = |first: &[IpAddr], second: &[IpAddr]| [first, second].concat();
    vec![
        ("good.test", Says::Addresses(good.clone())),
        ("bad.test", Says::Addresses(bad.clone())),
        (
            "then-bad.test",
            Says::InTurn(vec![good.clone(), bad.clone()]),
        ),
        (
            "then-good.test",
            Says::InTurn(vec![bad.clone(), good.clone()]),
        ),
        (
            "flips.test",
            Says::InTurn(vec![[good.clone(), bad.clone()]; 50].concat()),
        ),
        ("good-first.test", Says::Addresses(both(&good, &bad))),
        ("bad-first.test", Says::Addresses(both(&bad, &good))),
        (
            "empty-first.test",
            Says::Addresses(both(&addresses(&[EMPTY]), &bad)),
        ),
        (
            "mapped.test",
            Says::Addresses(addresses(&["::ffff:127.0.0.1"])),
        ),
        (
            "nat64.test",
            Says::Addresses(addresses(&["64:ff9b::7f00:1"])),
        ),
        (
            "alias.test",
            Says::Alias("inner.lan".to_owned(), bad.clone()),
        ),
        (
            "alias-of-localhost.test",
            Says::Alias("localhost".to_owned(), bad.clone()),
        ),
        (
            "alias-of-good.test",
            Says::Alias("good.test".to_owned(), good.clone()),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_that_was_checked_is_the_one_that_is_dialled() {
    let scripts = turncoats();
    let dns = Dns::start(&scripts);
    let (origin, forbidden) = beside_forbidden(|_| Reply::text("good"));
    let flags = ["--egress-dns", &dns.address(), "--plan-egress-allow", OPEN];
    let bed = Bed::start(&flags).await;
    let port = origin.port();
    let good = bed.get(&format!("http://good.test:{port}/")).await;
    assert_eq!(good.text().as_deref(), Some("good"), "{good:?}");
    let good = bed.get(&format!("http://alias-of-good.test:{port}/")).await;
    assert_eq!(good.text().as_deref(), Some("good"), "{good:?}");
    for (name, says) in &scripts {
        for round in 0..8 {
            let outcome = bed.get(&format!("http://{name}:{port}/{round}")).await;
            // Whoever answers is the good one.
            let answered = outcome.text();
            assert!(
                outcome.is_failure() || answered.as_deref() == Some("good"),
                "{name} ({says:?}): {outcome:?}"
            );
            let socket = serde_json::json!({"WebSocketOpen": {
                "url": format!("ws://{name}:{port}/"), "headers": {}, "channel_id": round,
            }});
            // The good one speaks no WebSocket.
            assert!(bed.ask(&socket).await.is_failure(), "{name}");
        }
    }
    for witness in &forbidden {
        witness.is_unvisited().await;
    }
    for record in bed.egress().await {
        assert!(!connected_to(&record, "127.0.0.1"), "{record}");
        assert!(!connected_to(&record, "::1"), "{record}");
    }
    let one = bed.get(&format!("http://bad.test:{port}/")).await;
    let Outcome::Failed(error) = one else {
        panic!("{one:?}");
    };
    assert!(
        !error.contains("127.0.0.1"),
        "apps learn no addresses: {error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_lies_or_is_silent_costs_nobody_else() {
    let scripts = [
        ("nobody.test", Says::Nobody),
        ("refused.test", Says::Refused),
        ("nothing.test", Says::Addresses(Vec::new())),
        ("circle.test", Says::AliasOfItself),
        ("silent.test", Says::Nothing),
        ("loop.test", Says::Broken(Broken::Loop)),
        ("beyond.test", Says::Broken(Broken::Beyond)),
        ("long.test", Says::Broken(Broken::Long)),
        ("count.test", Says::Broken(Broken::Count)),
        ("another.test", Says::Broken(Broken::Another)),
        ("unasked.test", Says::Broken(Broken::Unasked)),
        ("short.test", Says::Broken(Broken::Short)),
        ("many.test", Says::Broken(Broken::Many)),
        ("good.test", Says::Addresses(addresses(&[GOOD]))),
    ];
    let dns = Dns::start(&scripts);
    let (origin, forbidden) = beside_forbidden(|_| Reply::text("good"));
    let flags = ["--egress-dns", &dns.address(), "--plan-egress-allow", OPEN];
    let bed = Bed::start(&flags).await;
    let port = origin.port();
    let broken = futures::future::join_all(scripts.iter().map(|(name, _)| {
        let (bed, url) = (&bed, format!("http://{name}:{port}/"));
        async move {
            let begun = Instant::now();
            (url.clone(), bed.get(&url).await, begun.elapsed())
        }
    }));
    // While they hang, a name that is in order is found.
    let beside = async {
        let begun = Instant::now();
        let good = bed.get(&format!("http://good.test:{port}/")).await;
        assert_eq!(good.text().as_deref(), Some("good"), "{good:?}");
        begun.elapsed()
    };
    let (broken, beside) = tokio::join!(broken, beside);
    assert!(beside < PROMPT, "{beside:?}");
    for (url, outcome, took) in broken {
        if url.contains("good.test") {
            assert_eq!(outcome.text().as_deref(), Some("good"), "{outcome:?}");
        } else {
            assert!(outcome.text().is_none(), "{url}: {outcome:?}");
            assert!(took < PROMPT, "{url}: {took:?}");
        }
    }
    for witness in &forbidden {
        witness.is_unvisited().await;
    }
    let status = bed.api.status("alice").await;
    assert_eq!(status, "active");
}
