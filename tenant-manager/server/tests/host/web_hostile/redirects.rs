//! A server that an app may reach sends it on to what it must not reach.

use std::time::{Duration, Instant};

use super::super::support::{Dns, Says};
use super::origin::{Origin, Reply};
use super::rebinding::{GOOD, OPEN, beside_forbidden};
use super::{Bed, connected_to};

/// Longest way that an app is sent on, in time.
const PROMPT: Duration = Duration::from_secs(30);
/// Statuses that send on.
const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// Where the server sends everybody; `PORT` is that of the forbidden listeners.
const FORBIDDEN: [&str; 38] = [
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST.:PORT/",
    "http://a.localhost:PORT/",
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://inner.test:PORT/",
    "http://127.0.0.2@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\@127.0.0.2/",
    "http://%31%32%37.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    "///127.0.0.1:PORT/",
    "\\\\127.0.0.1:PORT/",
    "https://127.0.0.1:PORT/",
    "ws://127.0.0.1:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://[fd00:ec2::254]/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_x",
    "ftp://127.0.0.1:PORT/",
    "data:text/plain,redirected",
    "javascript:alert(1)",
    "unix:/run/docker.sock",
    "http://",
    "http://127.0.0.1:PORT\u{9}/",
];

fn names() -> Dns {
    let loopback = || Says::Addresses(vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()]);
    let good = Says::Addresses(vec![GOOD.parse().unwrap()]);
    Dns::start(&[
        ("inner.test", loopback()),
        ("metadata.google.internal", loopback()),
        ("good.test", good.clone()),
        (
            "turncoat.test",
            Says::InTurn(vec![
                vec![GOOD.parse().unwrap()],
                vec!["127.0.0.1".parse().unwrap()],
            ]),
        ),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_leads_inside() {
    let dns = names();
    let port = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(0));
    let known = port.clone();
    let (origin, forbidden) = beside_forbidden(move |path| {
        let port = known.load(std::sync::atomic::Ordering::Relaxed).to_string();
        let mut steps = path.trim_start_matches('/').split('/');
        match (steps.next(), steps.next()) {
            (Some("good"), _) => Reply::text("good"),
            (Some("to"), Some(number)) => {
                let (status, which) = number.split_once('-').unwrap();
                let target = FORBIDDEN[which.parse::<usize>().unwrap()];
                Reply::redirect(status.parse().unwrap(), &target.replace("PORT", &port))
            }
            (Some("turncoat"), None) => Reply::redirect(302, "/turncoat/second"),
            _ => Reply::redirect(302, &format!("http://127.0.0.1:{port}/")),
        }
    });
    port.store(origin.port(), std::sync::atomic::Ordering::Relaxed);
    let flags = ["--egress-dns", &dns.address(), "--plan-egress-allow", OPEN];
    let bed = Bed::start(&flags).await;
    let base = format!("http://{GOOD}:{}", origin.port());
    for (number, target) in FORBIDDEN.iter().enumerate() {
        // Each place once by every status that matters to it would be 190
        // requests; they take turns instead, and the first takes all.
        let turn = STATUSES[number % STATUSES.len()];
        let statuses = if number == 0 {
            &STATUSES[..]
        } else {
            &[turn][..]
        };
        for status in statuses {
            let outcome = bed.get(&format!("{base}/to/{status}-{number}")).await;
            assert!(
                outcome.text().is_none(),
                "{status} to {target}: {outcome:?}"
            );
        }
    }
    // Nor does a WebSocket go where it is sent.
    for (channel, path) in ["to/302-0", "to/307-11", "to/301-16"].iter().enumerate() {
        let open = serde_json::json!({"WebSocketOpen": {
            "url": format!("{base}/{path}").replace("http:", "ws:"),
            "headers": {},
            "channel_id": channel,
        }});
        assert!(bed.ask(&open).await.is_failure(), "{path}");
    }
    // A second name server's answer is no second chance.
    let url = format!("http://turncoat.test:{}/turncoat", origin.port());
    let turned = bed.get(&url).await;
    assert!(turned.text().is_none(), "{turned:?}");
    for witness in &forbidden {
        witness.is_unvisited().await;
    }
    for record in bed.egress().await {
        assert!(!connected_to(&record, "127.0.0.1"), "{record}");
        assert!(!connected_to(&record, "::1"), "{record}");
        assert!(!connected_to(&record, "169.254.169.254"), "{record}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_that_are_in_order_are_followed_and_circles_end() {
    let dns = names();
    let other = Origin::start(GOOD, |_| Reply::text("the other port"));
    let elsewhere = format!("http://good.test:{}/there", other.port());
    let origin = Origin::start(GOOD, move |path| {
        let step = path.trim_start_matches('/');
        match step {
            "end" => Reply::text("the end"),
            "circle" => Reply::redirect(302, "/circle"),
            "there" => Reply::redirect(302, "/back"),
            "back" => Reply::redirect(302, "/there"),
            "elsewhere" => Reply::redirect(307, &elsewhere),
            "far" => Reply::redirect(302, "far2"),
            "far2" => Reply::redirect(302, "/end"),
            "growing" => Reply::redirect(302, "/growing?"),
            "long" => Reply::redirect(302, &format!("/{}", "x".repeat(1 << 20))),
            step => match step.parse::<u32>() {
                Ok(0) => Reply::text("counted down"),
                Ok(left) => Reply::redirect(302, &format!("/{}", left - 1)),
                // A target that gets longer each time.
                Err(_) => Reply::redirect(302, &format!("/{step}{step}")),
            },
        }
    });
    let flags = ["--egress-dns", &dns.address(), "--plan-egress-allow", OPEN];
    let bed = Bed::start(&flags).await;
    let url = |path: &str| format!("http://{GOOD}:{}/{path}", origin.port());
    for (path, text) in [
        ("far", "the end"),
        ("elsewhere", "the other port"),
        ("5", "counted down"),
    ] {
        let outcome = bed.get(&url(path)).await;
        assert_eq!(outcome.text().as_deref(), Some(text), "{path}: {outcome:?}");
    }
    for path in ["circle", "there", "11", "1000", "growing", "long", "grow"] {
        let count = || (origin.asked().len(), Instant::now());
        let request = super::get(&url(path));
        let (outcome, (before, begun)) = bed.ask_counting(&request, count).await;
        let (took, asked) = (begun.elapsed(), origin.asked().len() - before);
        assert!(outcome.text().is_none(), "{path}: {outcome:?}");
        assert!(took < PROMPT, "{path}: {took:?}");
        assert!(asked <= 12, "{path} was asked for {asked} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_says_to_one_server_is_not_told_to_another() {
    let dns = names();
    let other = Origin::start(GOOD, |_| Reply::text("thanks"));
    let to = format!("http://good.test:{}/", other.port());
    let origin = Origin::start(GOOD, move |_| Reply::redirect(302, &to));
    let flags = ["--egress-dns", &dns.address(), "--plan-egress-allow", OPEN];
    let bed = Bed::start(&flags).await;
    let request = serde_json::json!({"Http": {
        "method": "GET",
        "version": null,
        "url": format!("http://{GOOD}:{}/", origin.port()),
        "headers": {
            "authorization": "Bearer canary-token",
            "cookie": "session=canary-cookie",
            "x-mine": "kept",
        },
    }});
    let outcome = bed.ask(&request).await;
    assert_eq!(outcome.text().as_deref(), Some("thanks"), "{outcome:?}");
    assert!(origin.asked().concat().contains("canary-token"));
    let heads = other.asked().concat();
    assert!(!heads.contains("canary"), "{heads}");
}
