//! Requests built to be read in two ways: at most one answer, and never one
//! for what is hidden inside.

use crate::support::Host;

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: alice.localhost\r\nConnection: close\r\n\r\n";

async fn host() -> Host {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    host
}

#[tokio::test]
async fn ambiguous_framing_gets_one_refusal() {
    let host = host().await;
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 0\r\nContent-Length: 84\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 0, 84\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5 \r\nContent-Length : 0\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 18446744073709551621\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\tchunked;x\r\n",
        "Transfer-Encoding:\u{b}chunked\r\n",
        "Transfer-Encoding: chunked\u{0}\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\n",
        "X: y\r\r\n",
        "X\u{0}: y\r\n",
        "X y\r\n",
    ] {
        let request = format!(
            "POST /echo HTTP/1.1\r\nHost: alice.localhost\r\n{headers}\r\n0\r\n\r\n{HIDDEN}"
        );
        let answers = host.raw(&request).await;
        assert_eq!(answers.len(), 1, "{headers:?}: {answers:?}");
        assert_eq!(answers[0].status, 400, "{headers:?}");
        assert!(answers[0].text().contains("not understood"), "says why");
        assert!(!answers[0].text().contains("hidden"), "{headers:?}");
    }
}

#[tokio::test]
async fn malformed_requests_get_one_refusal() {
    let host = host().await;
    for (request, status) in [
        ("GET / HTTP/1.1\nHost: alice.localhost\n\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: alice.localhost\n\r\n".to_owned(), 400),
        ("GET /a b HTTP/1.1\r\nHost: alice.localhost\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1 \r\nHost: alice.localhost\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/3.0\r\nHost: alice.localhost\r\n\r\n".to_owned(), 505),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_owned(), 505),
        ("GET /\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}hello".to_owned(), 400),
        (
            "POST / HTTP/1.0\r\nHost: alice.localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            400,
        ),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(40_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(101)), 431),
    ] {
        let answers = host.raw(format!("{request}{HIDDEN}")).await;
        let shown = &request[..request.len().min(60)];
        assert_eq!(answers.len(), 1, "{shown:?}: {answers:?}");
        assert_eq!(answers[0].status, status, "{shown:?}");
        assert_eq!(answers[0].header("connection"), Some("close"), "{shown:?}");
    }
}

#[tokio::test]
async fn broken_chunks_end_the_connection() {
    let host = host().await;
    for body in [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5;\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "fffffffffffffffff\r\nx",
        "\r\n",
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
    ] {
        let request = format!(
            "POST /count HTTP/1.1\r\nHost: alice.localhost\r\nTransfer-Encoding: chunked\r\n\r\n{body}{HIDDEN}"
        );
        let answers = host.raw(&request).await;
        assert!(answers.len() <= 1, "{body:?}: {answers:?}");
        for answer in answers {
            assert!(!answer.text().contains("/hidden"), "{body:?}");
            assert_eq!(answer.header("connection"), Some("close"), "{body:?}");
        }
    }
}

#[tokio::test]
async fn honest_pipelining_gets_as_many_answers_in_order() {
    let host = host().await;
    let requests = "POST /count HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n\r\nhello\
                    GET /name HTTP/1.1\r\nHost: alice.localhost\r\n\r\n\
                    GET /x HTTP/1.1\r\nHost: alice.localhost\r\nbad header\r\n\r\n\
                    GET /name HTTP/1.1\r\nHost: alice.localhost\r\n\r\n";
    let answers = host.raw(requests).await;
    let texts: Vec<String> = answers.iter().map(|answer| answer.text()).collect();
    assert_eq!(answers.len(), 3, "{texts:?}");
    assert_eq!(texts[..2], ["5", "alice.dev"]);
    assert_eq!(answers[2].status, 400);
}
