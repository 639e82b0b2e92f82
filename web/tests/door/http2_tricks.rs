//! Requests of HTTP/2 that would be others in HTTP/1, and clients that only cost
//! time: they reach no node, and keep nothing.

use std::sync::atomic::Ordering;

use crate::support::{Host, Outcome, PATIENCE, Wire};

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "alice.localhost");
const PATH: (&str, &str) = (":path", "/x");

async fn host() -> Host {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    host.control.asked.lock().unwrap().clear();
    host
}

#[tokio::test]
async fn frames_as_they_should_be_are_answered() {
    let host = host().await;
    let mut wire = Wire::open(&host).await;
    wire.ask(1, &[METHOD, SCHEME, AUTHORITY, PATH], true).await;
    assert_eq!(wire.outcome(1).await, Outcome::Answered(200));
    let other = [METHOD, SCHEME, (":authority", "bob.localhost"), PATH];
    wire.ask(3, &other, true).await;
    assert_eq!(wire.outcome(3).await, Outcome::Answered(404));
    let mut wire = Wire::open(&host).await;
    let elsewhere = [METHOD, SCHEME, (":authority", "example.org"), PATH];
    wire.ask(1, &elsewhere, true).await;
    assert_eq!(wire.outcome(1).await, Outcome::Answered(421));
    let asked = host.control.asked.lock().unwrap().clone();
    assert_eq!(asked, ["GET /x"]);
}

#[tokio::test]
async fn pseudo_headers_and_others_cannot_be_mixed_up() {
    let host = host().await;
    let whole = [METHOD, SCHEME, AUTHORITY, PATH];
    let with = |more: (&'static str, &'static str)| [&whole[..], &[more]].concat();
    let but = |which: usize, other: (&'static str, &'static str)| {
        let mut fields = whole.to_vec();
        fields[which] = other;
        fields
    };
    let without = |which: usize| {
        let mut fields = whole.to_vec();
        fields.remove(which);
        fields
    };
    for fields in [
        without(0),
        without(1),
        without(2),
        without(3),
        with(METHOD),
        with(SCHEME),
        with(AUTHORITY),
        with(PATH),
        with((":authority", "bob.localhost")),
        with((":path", "/hidden")),
        with((":status", "200")),
        with((":unknown", "x")),
        with((":", "x")),
        with(("", "x")),
        vec![METHOD, SCHEME, AUTHORITY, ("x", "y"), PATH],
        vec![("x", "y"), METHOD, SCHEME, AUTHORITY, PATH],
        with(("host", "bob.localhost")),
        with(("host", "localhost")),
        with(("host", "")),
        with(("Host", "alice.localhost")),
        with(("X", "y")),
        with(("x y", "z")),
        with(("x:", "z")),
        with(("x\r\ny", "z")),
        with(("x\0", "z")),
        with(("x", "y\r\nz: a")),
        with(("x", "y\nz: a")),
        with(("x", "y\rz: a")),
        with(("x", "y\0")),
        with((
            "x",
            "y\r\n\r\nGET /hidden HTTP/1.1\r\nHost: alice.localhost\r\n\r\n",
        )),
        with(("connection", "close")),
        with(("connection", "keep-alive, x")),
        with(("keep-alive", "timeout=5")),
        with(("proxy-connection", "keep-alive")),
        with(("transfer-encoding", "chunked")),
        with(("transfer-encoding", "identity")),
        with(("upgrade", "websocket")),
        with(("upgrade", "h2c")),
        with(("te", "gzip")),
        with(("te", "trailers, gzip")),
        with(("content-length", "5")),
        with(("content-length", "+0")),
        with(("content-length", "-1")),
        with(("content-length", "0, 5")),
        with(("content-length", "0x0")),
        with(("content-length", "")),
        [with(("content-length", "0")), vec![("content-length", "5")]].concat(),
        but(
            0,
            (
                ":method",
                "GET /hidden HTTP/1.1\r\nHost: alice.localhost\r\n\r\nGET",
            ),
        ),
        but(0, (":method", "GET /hidden")),
        but(0, (":method", "")),
        but(0, (":method", "CONNECT")),
        but(1, (":scheme", "ftp")),
        but(1, (":scheme", "")),
        but(1, (":scheme", "http://alice.localhost/hidden?")),
        but(2, (":authority", "")),
        but(2, (":authority", "u@alice.localhost")),
        but(2, (":authority", "alice.localhost/hidden")),
        but(2, (":authority", "alice.localhost bob.localhost")),
        but(2, (":authority", "alice.localhost\r\nhost: bob.localhost")),
        but(2, (":authority", "alice.localhost.")),
        but(2, (":authority", "alice.localhost:")),
        but(2, (":authority", "alice.localhost:x")),
        but(3, (":path", "")),
        but(3, (":path", "x")),
        but(3, (":path", "*")),
        but(3, (":path", "?x")),
        but(3, (":path", "http://alice.localhost/hidden")),
        but(
            3,
            (
                ":path",
                "/x HTTP/1.1\r\nHost: alice.localhost\r\n\r\nGET /hidden",
            ),
        ),
        but(3, (":path", "/x y")),
        but(3, (":path", "/x\0")),
        but(3, (":path", "/\u{e9}")),
        // WebSockets are HTTP/1.1's.
        vec![
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            SCHEME,
            AUTHORITY,
            PATH,
        ],
        vec![(":method", "CONNECT"), AUTHORITY],
        with((":protocol", "websocket")),
    ] {
        let mut wire = Wire::open(&host).await;
        wire.ask(1, &fields, true).await;
        let outcome = wire.outcome(1).await;
        let refused = match outcome {
            Outcome::Answered(status) => (400..500).contains(&status),
            Outcome::Reset | Outcome::Closed => true,
        };
        assert!(refused, "{fields:?}: {outcome:?}");
        let asked = host.control.asked.lock().unwrap().clone();
        assert!(asked.is_empty(), "{fields:?}: {asked:?}");
    }
}

#[tokio::test]
async fn a_body_is_as_long_as_it_says() {
    let host = host().await;
    for length in ["4", "6", "0"] {
        let mut wire = Wire::open(&host).await;
        let fields = [
            (":method", "POST"),
            SCHEME,
            AUTHORITY,
            (":path", "/count"),
            ("content-length", length),
        ];
        wire.ask(1, &fields, false).await;
        wire.body(1, b"hello").await;
        // What was asked with it is not answered as if it had been whole.
        let outcome = wire.outcome(1).await;
        assert!(
            matches!(outcome, Outcome::Reset | Outcome::Closed),
            "{length}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn heads_have_a_bound() {
    let host = host().await;
    let long = "x".repeat(9000);
    let mut wire = Wire::open(&host).await;
    let path = format!("/{long}");
    wire.ask(
        1,
        &[METHOD, SCHEME, AUTHORITY, (":path", path.as_str())],
        true,
    )
    .await;
    assert_eq!(wire.outcome(1).await, Outcome::Answered(414));
    let mut wire = Wire::open(&host).await;
    let mut many = vec![METHOD, SCHEME, AUTHORITY, PATH];
    many.extend([("x", "y"); 101]);
    wire.ask(1, &many, true).await;
    assert_eq!(wire.outcome(1).await, Outcome::Answered(431));
    assert!(host.control.asked.lock().unwrap().is_empty());
    // Crumbs of cookies are one header.
    let mut wire = Wire::open(&host).await;
    let mut crumbs = vec![METHOD, SCHEME, AUTHORITY, PATH];
    crumbs.extend([("cookie", "a=1"); 101]);
    wire.ask(1, &crumbs, true).await;
    assert_eq!(wire.outcome(1).await, Outcome::Answered(200));
}

#[tokio::test]
async fn asking_and_giving_up_at_once_is_no_way_to_go_on() {
    let host = host().await;
    let mut wire = Wire::open(&host).await;
    for number in 0..1000 {
        let stream = 2 * number + 1;
        let fields = [METHOD, SCHEME, AUTHORITY, (":path", "/hang")];
        wire.ask(stream, &fields, true).await;
        wire.reset(stream).await;
    }
    wire.end().await;
    let left = async {
        while host.control.using.load(Ordering::SeqCst) > 0 {
            host.control.left.notified().await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.unwrap();
    assert_eq!(
        host.get("alice.localhost", "/name").await.text(),
        "alice.dev"
    );
}
