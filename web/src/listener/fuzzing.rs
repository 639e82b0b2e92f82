//! Compares the check of a head with the parser behind it: what is let through
//! must mean to the parser what the check took it for.
//!
//! Pure. Called by fuzzers and tests only.

use http::{HeaderName, HeaderValue, Method, Uri};
use httparse::{EMPTY_HEADER, Request, Status};

use super::head::{self, Framing};

/// Reads `bytes` as a connection's first head does, twice.
///
/// # Errors
/// What the parser makes of a head that was let through, if it is anything
/// else.
pub fn http_head(bytes: &[u8]) -> Result<(), String> {
    let bytes = &bytes[head::leading_empty_lines(bytes)..];
    let Some(end) = head::end(bytes, 0) else {
        return Ok(());
    };
    for searched in [end / 2, end.saturating_sub(1)] {
        if head::end(bytes, searched) != Some(end) {
            return Err(format!("the end at {end} is missed after {searched} bytes"));
        }
    }
    let head = &bytes[..end];
    let Ok(framing) = head::check(head) else {
        return Ok(());
    };
    compare(head, framing).map_err(|wrong| format!("{:?}: {wrong}", String::from_utf8_lossy(head)))
}

/// Whether the parser agrees about a head that was let through.
fn compare(head: &[u8], framing: Framing) -> Result<(), String> {
    let mut headers = [EMPTY_HEADER; head::MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        other => return Err(format!("is parsed as {other:?}")),
    }
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (method, target) = (text(request.method), text(request.path));
    let minor = request.version.unwrap_or_default();
    let first = format!("{method} {target} HTTP/1.{minor}\r\n");
    if !head.starts_with(first.as_bytes()) {
        return Err(format!("its first line is read as {first:?}"));
    }
    if Method::from_bytes(method.as_bytes()).is_err() || target.parse::<Uri>().is_err() {
        return Err("its first line is read and not understood".to_owned());
    }
    let lines = head.windows(2).filter(|pair| *pair == b"\r\n").count();
    // The first line and the empty one are no headers.
    if request.headers.len() + 2 != lines {
        return Err(format!("it has {} headers", request.headers.len()));
    }
    let read = parsed_framing(request.headers, minor)?;
    if read != framing {
        return Err(format!(
            "its body is {read:?} and was taken for {framing:?}"
        ));
    }
    Ok(())
}

/// How a server that follows the standard finds the body's end.
fn parsed_framing(headers: &[httparse::Header<'_>], minor: u8) -> Result<Framing, String> {
    let (mut hosts, mut chunked, mut length) = (0, false, None);
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(format!("{:?} is no header", header.name));
        };
        match name.as_str() {
            "host" => hosts += 1,
            "transfer-encoding" => {
                if chunked || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                    return Err(format!("is coded as {value:?}"));
                }
                chunked = true;
            }
            "content-length" => {
                let number = value.to_str().ok().and_then(|text| text.parse().ok());
                if length.is_some() || number.is_none() {
                    return Err(format!("is as long as {value:?}"));
                }
                length = number;
            }
            _ => {}
        }
    }
    if hosts > 1 || (hosts == 0 && minor == 1) {
        return Err(format!("names {hosts} hosts"));
    }
    match (chunked, length) {
        (true, None) if minor == 1 => Ok(Framing::Chunked),
        (true, _) => Err("is chunked where it must not be".to_owned()),
        (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_agrees_about_ordinary_and_about_strange_heads() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.0\r\n\r\nrest",
            "POST /a?b=%20 HTTP/1.1\r\nHost: a\r\nContent-Length:\t12 \r\n\r\n",
            "POST http://a/ HTTP/1.1\r\nhost:a\r\nTRANSFER-ENCODING: Chunked\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\nEmpty:\r\nBlank: \r\nX: caf\u{e9}\r\n\r\n",
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
            "!#$%&'*+-.^_`|~ / HTTP/1.1\r\n!#$%&'*+-.^_`|~: x\r\nHost: a\r\n\r\n",
            "GET /\"<>\\^`{|} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET",
            "",
        ] {
            assert_eq!(http_head(head.as_bytes()), Ok(()), "{head:?}");
        }
    }

    #[test]
    fn a_disagreement_would_be_told() {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
        assert!(compare(head, Framing::Length(5)).is_ok());
        assert!(compare(head, Framing::Length(4)).is_err());
        assert!(compare(head, Framing::Chunked).is_err());
    }
}
