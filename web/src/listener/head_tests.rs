use super::*;

fn status(head: &str) -> Result<Framing, u16> {
    check(head.as_bytes()).map_err(|refusal| refusal.status.as_u16())
}

fn with_headers(headers: &str) -> Result<Framing, u16> {
    status(&format!("POST /x HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
}

#[test]
fn ordinary_heads_pass() {
    assert_eq!(with_headers(""), Ok(Framing::Length(0)));
    assert_eq!(
        with_headers("Content-Length: 12\r\n"),
        Ok(Framing::Length(12))
    );
    assert_eq!(
        with_headers("content-length:\t7 \r\n"),
        Ok(Framing::Length(7))
    );
    assert_eq!(
        with_headers("Transfer-Encoding: Chunked\r\n"),
        Ok(Framing::Chunked)
    );
    assert_eq!(
        with_headers("X: caf\u{e9}\r\nEmpty:\r\n"),
        Ok(Framing::Length(0))
    );
    assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), Ok(Framing::Length(0)));
    assert_eq!(
        status("GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n"),
        Ok(Framing::Length(0))
    );
    for line in [
        "OPTIONS * HTTP/1.1",
        "CONNECT a:80 HTTP/1.1",
        "GET HTTPS://a HTTP/1.0",
    ] {
        let head = format!("{line}\r\nHost: a\r\n\r\n");
        assert_eq!(status(&head), Ok(Framing::Length(0)), "{line}");
    }
}

#[test]
fn ambiguous_framing_is_refused() {
    for headers in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1 2\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding\r\n : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding:\u{b}chunked\r\n",
        "Transfer-Encoding: chunked\u{0}\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: y\n",
        "X: y\r\r\n",
        ": y\r\n",
        "X y\r\n",
        "X\u{e9}: y\r\n",
        "Host: a\r\n",
        "Host: b\r\n",
    ] {
        assert_eq!(with_headers(headers), Err(400), "{headers:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status(old), Err(400));
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), Err(400), "no host");
}

#[test]
fn request_lines_have_one_shape() {
    for (line, expected) in [
        ("GET  / HTTP/1.1", 400),
        (" GET / HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("GET /", 400),
        ("GET", 400),
        ("", 400),
        ("G(T / HTTP/1.1", 400),
        ("GET /\u{e9} HTTP/1.1", 400),
        ("GET /\u{1} HTTP/1.1", 400),
        ("GET x HTTP/1.1", 400),
        ("GET a:80 HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET ?x HTTP/1.1", 400),
        ("GET ftp://a/ HTTP/1.1", 400),
        ("CONNECT / HTTP/1.1", 400),
        ("CONNECT http://a/ HTTP/1.1", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/2.0", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/1.1x", 505),
    ] {
        assert_eq!(
            status(&format!("{line}\r\nHost: a\r\n\r\n")),
            Err(expected),
            "{line:?}"
        );
    }
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
        "x".repeat(MAX_TARGET)
    );
    assert_eq!(status(&long), Err(414));
    assert_eq!(with_headers(&"X: y\r\n".repeat(MAX_HEADERS)), Err(431));
}

#[test]
fn the_end_is_found_however_the_bytes_arrive() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
    let length = head.len() - 4;
    for split in 0..length {
        assert_eq!(end(&head[..split], 0), None);
        assert_eq!(end(head, split), Some(length), "{split}");
    }
    assert_eq!(end(b"GET / HTTP/1.1\n\nx", 0), Some(16));
    assert_eq!(end(b"GET / HTTP/1.1\n\r\nx", 0), Some(17));
    assert_eq!(leading_empty_lines(b"\r\n\r\nGET"), 4);
    assert_eq!(leading_empty_lines(b"\nGET"), 0);
}
