//! Whose word is taken for who the client is and how it came.

use tenant_manager::ManagerLimits;

use crate::support::{Host, options};

/// A host that trusts `trusted`, and one node.
async fn host(trusted: &[&str]) -> Host {
    let mut options = options();
    options.trusted_proxies = trusted.iter().map(|text| text.parse().unwrap()).collect();
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    host
}

/// Address and scheme that the node is told.
async fn seen(host: &Host, headers: &[(&str, &str)]) -> (String, String) {
    let answer = host
        .send("GET", "alice.localhost", "/x", headers, b"")
        .await;
    let text = answer.text();
    let told = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let first = lines.next().unwrap().to_owned();
        assert_eq!(lines.next(), None, "{text}");
        first
    };
    assert_eq!(told("x-forwarded-host: "), "alice.localhost", "{text}");
    assert!(
        !text.contains("forwarded: ") && !text.contains("x-real-ip"),
        "{text}"
    );
    (told("x-forwarded-for: "), told("x-forwarded-proto: "))
}

const FOR: &str = "X-Forwarded-For";
const PROTO: &str = "X-Forwarded-Proto";

#[tokio::test]
async fn nobody_is_believed_unasked() {
    for trusted in [&[][..], &["192.0.2.0/24"], &["::1"]] {
        let host = host(trusted).await;
        for claim in [
            (FOR, "203.0.113.7"),
            (FOR, "127.0.0.2"),
            (PROTO, "https"),
            ("X-Forwarded-Host", "bob.localhost"),
            ("X-Forwarded-Server", "bob.localhost"),
            ("X-Real-IP", "203.0.113.7"),
            (
                "Forwarded",
                "for=203.0.113.7;proto=https;host=bob.localhost",
            ),
        ] {
            let told = ("127.0.0.1".to_owned(), "http".to_owned());
            assert_eq!(seen(&host, &[claim]).await, told, "{trusted:?} {claim:?}");
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_as_far_as_it_vouches() {
    let host = host(&["127.0.0.0/8", "10.0.0.0/8", "2001:db8:ffff::/48"]).await;
    for (headers, address) in [
        (&[][..], "127.0.0.1"),
        (&[(FOR, "203.0.113.7")], "203.0.113.7"),
        (&[(FOR, "198.51.100.1, 203.0.113.7")], "203.0.113.7"),
        (
            &[(FOR, "198.51.100.1, 203.0.113.7, 10.1.2.3")],
            "203.0.113.7",
        ),
        (&[(FOR, "203.0.113.7,10.1.2.3,10.1.2.4")], "203.0.113.7"),
        (&[(FOR, "203.0.113.7:4711")], "203.0.113.7"),
        (
            &[(FOR, "[2001:db8::7]:4711, [2001:db8:ffff::1]")],
            "2001:db8::7",
        ),
        (&[(FOR, "::ffff:203.0.113.7")], "203.0.113.7"),
        (
            &[(FOR, "198.51.100.1"), (FOR, "203.0.113.7")],
            "203.0.113.7",
        ),
        (&[(FOR, "203.0.113.7"), (FOR, "10.1.2.3")], "203.0.113.7"),
        // Whatever the client wrote itself stands further left.
        (&[(FOR, "127.0.0.1, 203.0.113.7")], "203.0.113.7"),
        (&[(FOR, "rubbish, 203.0.113.7")], "203.0.113.7"),
        (&[(FOR, "203.0.113.7, rubbish")], "127.0.0.1"),
        (&[(FOR, "203.0.113.7, rubbish, 10.1.2.3")], "10.1.2.3"),
        (&[(FOR, "203.0.113.7, ")], "127.0.0.1"),
        (&[(FOR, "203.0.113.7, unknown")], "127.0.0.1"),
        (&[(FOR, "caf\u{e9}")], "127.0.0.1"),
        (&[("Forwarded", "for=203.0.113.7")], "127.0.0.1"),
        (&[("X-Real-IP", "203.0.113.7")], "127.0.0.1"),
    ] {
        let told = seen(&host, headers).await;
        assert_eq!(told, (address.to_owned(), "http".to_owned()), "{headers:?}");
    }
    for (headers, scheme) in [
        (&[(PROTO, "https")][..], "https"),
        (&[(PROTO, "HTTPS")], "https"),
        (&[(PROTO, "http, https")], "https"),
        (&[(PROTO, "https, http")], "http"),
        (&[(PROTO, "https"), (PROTO, "http")], "http"),
        (&[(PROTO, "wss")], "http"),
        (&[("Forwarded", "proto=https")], "http"),
        (&[("X-Forwarded-Host", "bob.localhost")], "http"),
    ] {
        assert_eq!(seen(&host, headers).await.1, scheme, "{headers:?}");
    }
}
