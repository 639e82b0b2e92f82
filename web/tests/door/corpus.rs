//! A corpus of requests that some servers read in two ways, after http-garden
//! and the published holes of proxies. Whatever the reading: one answer at most,
//! and what is hidden inside reaches no node.

use crate::support::{Host, answers, exchange};

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: alice.localhost\r\nConnection: close\r\n\r\n";
const HOST: &str = "Host: alice.localhost\r\n";

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// This refusal, and nothing reaches a node.
    Refused(u16),
    /// One answer, or none: the request has one reading, or breaks off.
    Once,
}

use Fate::{Once, Refused};

async fn host() -> Host {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    host
}

/// Sends each request with what is hidden behind it.
async fn check(corpus: &[(String, Fate)]) {
    let host = host().await;
    for (request, fate) in corpus {
        host.control.asked.lock().unwrap().clear();
        let wire = exchange(host.address, format!("{request}{HIDDEN}").as_bytes()).await;
        let answers = answers(&wire);
        let asked = host.control.asked.lock().unwrap().clone();
        let shown = format!("{request:?}: {asked:?} {answers:?}");
        assert!(answers.len() <= 1, "{shown}");
        assert!(asked.len() <= 1, "{shown}");
        assert!(
            !asked.iter().any(|asked| asked.contains("/hidden")),
            "{shown}"
        );
        if let Refused(status) = fate {
            assert_eq!(answers.len(), 1, "{shown}");
            assert_eq!(answers[0].status, *status, "{shown}");
            assert_eq!(answers[0].header("connection"), Some("close"), "{shown}");
            assert!(asked.is_empty(), "{shown}");
        }
    }
    assert_eq!(
        host.get("alice.localhost", "/name").await.text(),
        "alice.dev"
    );
}

/// Requests with these headers, and a body that is empty if chunked.
fn with_headers(headers: &[&str]) -> Vec<(String, Fate)> {
    let request = |headers: &&str| {
        let request = format!("POST /count HTTP/1.1\r\n{HOST}{headers}\r\n0\r\n\r\n");
        (request, Refused(400))
    };
    headers.iter().map(request).collect()
}

#[tokio::test]
async fn lengths() {
    let corpus = with_headers(&[
        // CL.TE and TE.CL, and their closest relatives.
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\nTransfer-Encoding: identity\r\n",
        "Content-Length: 6\r\nTransfer-Encoding:\r\n",
        "Content-Length: 6\r\nTransfer_Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "content-length: 0\r\ntransfer-encoding: CHUNKED\r\n",
        // More lengths than one.
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nX: y\r\nCONTENT-LENGTH: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5,\r\n",
        "Content-Length: ,5\r\n",
        "Content-Length: 0 5\r\n",
        // Lengths that are numbers to some.
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: -0\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: 5e0\r\n",
        "Content-Length: 1_0\r\n",
        "Content-Length: 5;\r\n",
        "Content-Length: \"5\"\r\n",
        "Content-Length: five\r\n",
        "Content-Length:\r\n",
        "Content-Length: \u{0665}\r\n",
        "Content-Length: 5\u{0}\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 36893488147419103237\r\n",
        // Lengths whose name is not one.
        "Content-Length : 5\r\n",
        "Content-Length\t: 5\r\n",
        " Content-Length: 5\r\n",
        "Content-Length\u{0}: 5\r\n",
        "Content\u{0}-Length: 5\r\n",
        "Content-Length\r\n: 5\r\n",
        "Content-Length:\r\n 5\r\n",
        "Content-Length: 5\r\n 5\r\n",
    ]);
    check(&corpus).await;
}

#[tokio::test]
async fn codings() {
    let corpus = with_headers(&[
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunkedx\r\n",
        "Transfer-Encoding: chunk\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: chunked foo\r\n",
        "Transfer-Encoding: 'chunked'\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chun\tked\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding: \u{c}chunked\r\n",
        "Transfer-Encoding: \u{a0}chunked\r\n",
        "Transfer-Encoding: \u{1}chunked\r\n",
        "Transfer-Encoding: chunked\u{0}\r\n",
        "Transfer-Encoding: chunked\u{7f}\r\n",
        "Transfer-Encoding: c\u{212a}hunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding\r\n : chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t:chunked\r\n",
        "Transfer-Encoding\u{0}: chunked\r\n",
        "\tTransfer-Encoding: chunked\r\n",
        "X: y\r\n\tTransfer-Encoding: chunked\r\n",
        // Lines that end for some.
        "X: y\rTransfer-Encoding: chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: y\n\rTransfer-Encoding: chunked\r\n",
        "X: y\r\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\n",
        "Transfer-Encoding: chunked\r",
        "X\nTransfer-Encoding: chunked\r\n",
        "\nTransfer-Encoding: chunked\r\n",
        "X\r\nTransfer-Encoding: chunked\r\n",
        ": y\r\nTransfer-Encoding: chunked\r\n",
        "Host: bob.localhost\r\nTransfer-Encoding: chunked\r\n",
    ]);
    check(&corpus).await;
}

#[tokio::test]
async fn chunks() {
    let corpus: Vec<(String, Fate)> = [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5;\nhello\r\n0\r\n\r\n",
        "5;a=b\nGET /hidden\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        "5;a\r\nhello\r\n0\r\n\r\n",
        "5 ;a\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5_\r\nhello\r\n0\r\n\r\n",
        "05\r\nhello\r\n00\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\nContent-Length: 100\r\n\r\n",
        "0\r\nHost: bob.localhost\r\n\r\n",
        "0\r\nX y\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\n\r",
        "0\r\n\n",
        "0\r\n\r\n",
    ]
    .into_iter()
    .map(|body| {
        let request =
            format!("POST /count HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{body}");
        (request, Once)
    })
    .collect();
    check(&corpus).await;
}

#[tokio::test]
async fn lines() {
    let named = |start: &str| format!("{start}\r\n{HOST}\r\n");
    let corpus = [
        (named("GET /x y HTTP/1.1"), Refused(400)),
        (named("GET  /x HTTP/1.1"), Refused(400)),
        (named("GET /x  HTTP/1.1"), Refused(400)),
        (named("GET\t/x HTTP/1.1"), Refused(400)),
        (named("GET /x\tHTTP/1.1"), Refused(400)),
        (named("GET /x HTTP/1.1 "), Refused(400)),
        (named(" GET /x HTTP/1.1"), Refused(400)),
        (named("GET /x\u{0} HTTP/1.1"), Refused(400)),
        (named("GET /x\u{b} HTTP/1.1"), Refused(400)),
        (named("GET /\u{e9} HTTP/1.1"), Refused(400)),
        (named("GE\u{0}T /x HTTP/1.1"), Refused(400)),
        (named("GET, /x HTTP/1.1"), Refused(400)),
        (named("GET x HTTP/1.1"), Refused(400)),
        (named("GET HTTP/1.1"), Refused(400)),
        (named("GET /x"), Refused(400)),
        (named("GET /x HTTP/1"), Refused(505)),
        (named("GET /x HTTP/01.1"), Refused(505)),
        (named("GET /x HTTP/1.10"), Refused(505)),
        (named("GET /x HTTP/2.0"), Refused(505)),
        (named("GET /x HTTP/0.9"), Refused(505)),
        (named("GET /x http/1.1"), Refused(400)),
        (named("GET /x HTTP 1.1"), Refused(400)),
        (named("GET /x ICY/1.1"), Refused(400)),
        (named("GET /x HTTP/1.1\rX: y"), Refused(400)),
        (named("GET /x HTTP/1.1\nX: y"), Refused(400)),
        (named("GET /x HTTP/1.1\r\n X: y"), Refused(400)),
        (named("GET /x HTTP/1.1\r\r"), Refused(400)),
        ("\nGET /x HTTP/1.1\r\n\r\n".to_owned(), Refused(400)),
        ("\rGET /x HTTP/1.1\r\n\r\n".to_owned(), Refused(400)),
        (format!("GET /x HTTP/1.1\n{HOST}\n"), Refused(400)),
        (format!("GET /x HTTP/1.1\r\n{HOST}\n"), Refused(400)),
        (
            "GET /x HTTP/1.1\r\nHost: alice.localhost\n\r\n".to_owned(),
            Refused(400),
        ),
    ];
    check(&corpus).await;
}

#[tokio::test]
async fn versions_hops_and_tunnels() {
    let length = HIDDEN.len();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let corpus = [
        // HTTP/1.0 has no chunks, and ends after one request.
        (
            format!("POST /count HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Refused(400),
        ),
        (
            format!(
                "POST /count HTTP/1.0\r\n{HOST}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            Refused(400),
        ),
        (
            format!(
                "POST /count HTTP/1.0\r\n{HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            Refused(400),
        ),
        (
            format!("POST /count HTTP/1.0\r\n{HOST}Content-Length: 5\r\n\r\nhello"),
            Once,
        ),
        (format!("GET /x HTTP/1.0\r\n{HOST}\r\n"), Once),
        // What is named a hop's own is not lost on the way to the parser.
        (
            format!(
                "POST /count HTTP/1.1\r\n{HOST}Connection: close, content-length\r\nContent-Length: {length}\r\n\r\n"
            ),
            Once,
        ),
        (
            format!(
                "POST /count HTTP/1.1\r\n{HOST}Connection: close, transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            Once,
        ),
        (
            format!(
                "POST /count HTTP/1.1\r\n{HOST}Connection: keep-alive, transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            Once,
        ),
        (
            format!("GET /x HTTP/1.1\r\n{HOST}Connection: close, host\r\n\r\n"),
            Once,
        ),
        (
            format!("GET /x HTTP/1.1\r\n{HOST}Connection: close\r\nConnection: keep-alive\r\n\r\n"),
            Once,
        ),
        // Bodies where few expect them.
        (
            format!(
                "GET /x HTTP/1.1\r\n{HOST}Connection: close\r\nContent-Length: {length}\r\n\r\n"
            ),
            Once,
        ),
        (
            format!(
                "OPTIONS * HTTP/1.1\r\n{HOST}Connection: close\r\nContent-Length: {length}\r\n\r\n"
            ),
            Once,
        ),
        (
            format!(
                "TRACE /x HTTP/1.1\r\n{HOST}Connection: close\r\nContent-Length: {length}\r\n\r\n"
            ),
            Once,
        ),
        // Two names for the host.
        (format!("GET /x HTTP/1.1\r\n{HOST}{HOST}\r\n"), Refused(400)),
        (
            format!("GET /x HTTP/1.1\r\n{HOST}HOST: localhost\r\n\r\n"),
            Refused(400),
        ),
        (
            "GET /x HTTP/1.1\r\nHost : alice.localhost\r\n\r\n".to_owned(),
            Refused(400),
        ),
        (
            "GET /x HTTP/1.1\r\nHost:\r\n alice.localhost\r\n\r\n".to_owned(),
            Refused(400),
        ),
        ("GET /x HTTP/1.1\r\nX: y\r\n\r\n".to_owned(), Refused(400)),
        // Tunnels: nothing behind the request is another one, whatever is
        // answered; Pingora read on.
        (
            format!("CONNECT alice.localhost:80 HTTP/1.1\r\n{HOST}\r\n"),
            Once,
        ),
        (
            "CONNECT alice.localhost:80 HTTP/1.1\r\nHost: alice.localhost:80\r\n\r\n".to_owned(),
            Once,
        ),
        (format!("GET /switch HTTP/1.1\r\n{HOST}{upgrade}\r\n"), Once),
        (
            format!(
                "GET /x HTTP/1.1\r\n{HOST}{upgrade}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            ),
            Once,
        ),
        (
            format!(
                "GET /x HTTP/1.1\r\n{HOST}{upgrade}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            Once,
        ),
        (
            format!(
                "POST /x HTTP/1.1\r\n{HOST}{upgrade}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            Once,
        ),
        (format!("GET /x HTTP/1.0\r\n{HOST}{upgrade}\r\n"), Once),
    ];
    check(&corpus).await;
}

#[tokio::test]
async fn a_preface_that_no_client_of_http2_goes_on_from() {
    let host = host().await;
    host.control.asked.lock().unwrap().clear();
    let request = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{HIDDEN}");
    let wire = exchange(host.address, request.as_bytes()).await;
    assert!(!String::from_utf8_lossy(&wire).contains("HTTP/1"));
    assert!(host.control.asked.lock().unwrap().is_empty());
}
