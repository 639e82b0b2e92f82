//! Checks the head of one HTTP/1 message, stricter than parsers have to be. Some
//! of its rules hold for HTTP/2 too.
//!
//! Pure. What passes has one reading only: line ends are CRLF, header names
//! touch their colon, lines are not folded, and at most one of
//! `Content-Length` and `Transfer-Encoding: chunked` says where the body ends.

use http::{StatusCode, Uri};

/// Longest head: request line and headers.
pub(super) const MAX_HEAD: usize = 32 * 1024;
/// Longest request target.
pub(super) const MAX_TARGET: usize = 8 * 1024;
/// Most header lines.
pub(super) const MAX_HEADERS: usize = 100;

/// How the body behind a head is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; zero for none.
    Length(u64),
    /// By chunks.
    Chunked,
}

/// Why a head is not let through; shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) detail: &'static str,
}

pub(super) const fn bad(detail: &'static str) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        detail,
    }
}

/// The head is longer than [`MAX_HEAD`] or has too many lines.
pub(super) const TOO_LARGE: Refusal = Refusal {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    detail: "the request's headers are too large: send fewer or shorter ones",
};

/// The request target is longer than [`MAX_TARGET`].
pub(super) const LONG_TARGET: Refusal = Refusal {
    status: StatusCode::URI_TOO_LONG,
    detail: "the request's path is too long",
};

/// The request target is no address.
pub(super) const BAD_TARGET: Refusal =
    bad("the request's path contains characters that must be percent-encoded");

/// The request target is an address, but of another form than its method has.
pub(super) const NO_FORM: Refusal =
    bad("the request is for no path: it must begin with a slash, or with http:// and a host");

/// The head did not arrive in time.
pub(super) const TOO_SLOW: Refusal = Refusal {
    status: StatusCode::REQUEST_TIMEOUT,
    detail: "the request's headers did not arrive in time",
};

/// Where the head at the start of `bytes` ends, if all of it is there. A head
/// with bare line feeds ends earlier than that; [`check`] refuses it.
pub(super) fn end(bytes: &[u8], searched: usize) -> Option<usize> {
    // An end may straddle what was searched before.
    let from = searched.saturating_sub(3);
    let mut lines = bytes.get(from..)?.iter().enumerate();
    lines.find_map(|(offset, byte)| {
        let next = from + offset + 1;
        match (byte, bytes.get(next..)?) {
            (b'\n', [b'\n', ..]) => Some(next + 1),
            (b'\n', [b'\r', b'\n', ..]) => Some(next + 2),
            _ => None,
        }
    })
}

/// Empty lines before a request, which old clients send after a body.
pub(super) fn leading_empty_lines(bytes: &[u8]) -> usize {
    let mut skipped = 0;
    while bytes[skipped..].starts_with(b"\r\n") {
        skipped += 2;
    }
    skipped
}

/// Whether the head may be handed on, and what follows it.
pub(super) fn check(head: &[u8]) -> Result<Framing, Refusal> {
    let lines = head
        .strip_suffix(b"\r\n\r\n")
        .ok_or(bad("lines of a request must end with CR and LF"))?;
    let mut lines = Lines(Some(lines));
    let version = check_request_line(lines.next().transpose()?.unwrap_or_default())?;
    let mut seen = Seen::default();
    let mut count = 0;
    for line in lines {
        count += 1;
        if count > MAX_HEADERS {
            return Err(TOO_LARGE);
        }
        seen.header(line?)?;
    }
    seen.framing(version)
}

/// Splits at CRLF and refuses CR or LF anywhere else.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0?;
        let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            self.0 = None;
            return Some(Ok(rest));
        };
        let (line, end) = rest.split_at(at);
        match end.strip_prefix(b"\r\n") {
            Some(next) => {
                self.0 = Some(next);
                Some(Ok(line))
            }
            None => {
                self.0 = None;
                Some(Err(bad("a request must not contain a bare CR or LF")))
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

fn check_request_line(line: &[u8]) -> Result<Version, Refusal> {
    const SHAPE: Refusal =
        bad("the first line of a request must be a method, a path and HTTP/1.1, one space apart");
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SHAPE);
    };
    if method.is_empty() || target.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(SHAPE);
    }
    if target.len() > MAX_TARGET {
        return Err(LONG_TARGET);
    }
    let uri = Uri::try_from(target).ok();
    let uri = uri.filter(|_| target.iter().all(u8::is_ascii_graphic));
    let uri = uri.ok_or(BAD_TARGET)?;
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" if !has_form(method, target, &uri) => Err(NO_FORM),
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        other if other.starts_with(b"HTTP/") => Err(Refusal {
            status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            detail: "only HTTP/1.1 and HTTP/1.0 are spoken here",
        }),
        _ => Err(SHAPE),
    }
}

/// Whether the target is what such a request may be for: a path, an address with
/// `http`, the server as such, or where a tunnel is to end.
fn has_form(method: &[u8], target: &[u8], uri: &Uri) -> bool {
    match (method, target) {
        (b"CONNECT", _) => uri.scheme().is_none() && uri.authority().is_some(),
        (_, [b'/', ..]) => true,
        (_, b"*") => method == b"OPTIONS",
        _ => uri.scheme_str().is_some_and(is_http),
    }
}

/// Whether a scheme is one that is served here.
pub(super) fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// The headers that decide framing, as far as they were read.
#[derive(Debug, Default)]
struct Seen {
    hosts: u32,
    length: Option<u64>,
    chunked: bool,
}

impl Seen {
    fn header(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(bad("a header must not be folded over two lines"));
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or(bad("a header has no colon"))?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(bad("a header's name contains characters it must not"));
        }
        if value
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return Err(bad("a header's value contains control characters"));
        }
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.length(value)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.coding(value)?;
        }
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(bad("a request must not have two Content-Length headers"));
        }
        self.length = Some(parse_length(value)?);
        Ok(())
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(bad("Transfer-Encoding must be `chunked`, once, or absent"));
        }
        self.chunked = true;
        Ok(())
    }

    fn framing(self, version: Version) -> Result<Framing, Refusal> {
        if self.hosts > 1 {
            return Err(bad("a request must not have two Host headers"));
        }
        if self.hosts == 0 && version == Version::Http11 {
            return Err(bad("the request names no host: send a Host header"));
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(bad(
                "a request must not have both Content-Length and Transfer-Encoding",
            )),
            (true, None) if version == Version::Http10 => Err(bad(
                "HTTP/1.0 has no Transfer-Encoding: send Content-Length",
            )),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// The number that a `Content-Length` says.
pub(super) fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = std::str::from_utf8(value).ok().filter(|text| {
        (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    let length = digits.and_then(|digits| digits.parse().ok());
    length.ok_or(bad("Content-Length must be one decimal number"))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
