//! Request paths: the form they are looked up in, and whether one means the RPC.
//!
//! Invariant: a path is percent-decoded only to *refuse* it. What is looked up
//! is the path as it was sent, so no decoding trick can reach a route.

use std::borrow::Cow;

use node_types::{ProcessId, alias};

/// Where the RPC answers.
pub(super) const RPC_PATH: &str = "/rpc:distro:sys/message";
/// First segment of everything that belongs to the RPC.
const RPC_OWNER: &str = "rpc:distro:sys";
/// How often an encoding of an encoding is undone before giving up.
const MAX_DECODINGS: usize = 8;

/// The form in which `raw` is looked up: one trailing slash less, and the
/// alias table applied to the first segment.
pub(super) fn lookup_form(raw: &str) -> Cow<'_, str> {
    let path = match raw.strip_suffix('/') {
        Some("") => "/",
        Some(shorter) => shorter,
        None if raw.is_empty() => "/",
        None => raw,
    };
    let Some(rest) = path.strip_prefix('/') else {
        return Cow::Borrowed(path);
    };
    let first = first_segment(rest);
    let Ok(given) = first.parse::<ProcessId>() else {
        return Cow::Borrowed(path);
    };
    let canonical = alias::canonical(given.clone());
    if canonical == given {
        return Cow::Borrowed(path);
    }
    Cow::Owned(format!("/{canonical}{}", &rest[first.len()..]))
}

/// The text up to the first slash.
pub(super) fn first_segment(text: &str) -> &str {
    text.split('/').next().unwrap_or_default()
}

/// Whether any reading of `raw` that a sloppy server could have leads to the
/// RPC: decoded any number of times, in any case, with doubled or turned
/// slashes, path parameters and dot segments.
pub(super) fn reaches_rpc(raw: &str) -> bool {
    let mut text = raw.to_owned();
    for _ in 0..MAX_DECODINGS {
        if first_resolved(&text) == RPC_OWNER {
            return true;
        }
        let decoded = percent_decode(&text, false);
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    first_resolved(&text) == RPC_OWNER
}

/// The first segment after cleaning up everything that can be cleaned up.
fn first_resolved(path: &str) -> String {
    let text = path.to_lowercase().replace('\\', "/");
    let mut resolved: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        let segment = segment.split([';', '?', '#']).next().unwrap_or_default();
        let segment = segment.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        match segment {
            "" | "." => {}
            ".." => {
                resolved.pop();
            }
            _ => resolved.push(segment),
        }
    }
    resolved.first().copied().unwrap_or_default().to_owned()
}

/// Undoes percent-encoding; in a query `+` is a space. Bytes that make no
/// UTF-8 become the replacement character.
pub(crate) fn percent_decode(text: &str, query: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'%' => match (hex_digit(bytes.get(at)), hex_digit(bytes.get(at + 1))) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    at += 2;
                }
                _ => out.push(b'%'),
            },
            b'+' if query => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_digit(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Decodes `a=1&b=2`; the last of equal names wins.
pub(super) fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name, true), percent_decode(value, true))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_slash_goes_and_aliases_apply_to_the_first_segment_only() {
        for (raw, wanted) in [
            ("/", "/"),
            ("", "/"),
            ("/a/", "/a"),
            ("/a//", "/a/"),
            ("//a", "//a"),
            ("/main:app_store:sys/x/", "/main:app-store:sys/x"),
            ("/main:app_store:sys", "/main:app-store:sys"),
            ("/x/main:app_store:sys", "/x/main:app_store:sys"),
            ("/main:app_store:bob.dev/x", "/main:app_store:bob.dev/x"),
        ] {
            assert_eq!(lookup_form(raw), wanted, "{raw}");
        }
    }

    #[test]
    fn every_spelling_of_the_rpc_is_seen() {
        for raw in [
            "/rpc:distro:sys/message",
            "/rpc:distro:sys/message/",
            "/rpc:distro:sys",
            "/rpc%3Adistro%3asys/message",
            "/rpc%253Adistro%25253asys/message",
            "//rpc:distro:sys//message",
            "/RPC:Distro:SYS/Message",
            "/%72pc:distro:sys/message",
            "/a/../rpc:distro:sys/message",
            "/./rpc:distro:sys/./message",
            "/a/%2e%2e/rpc:distro:sys/message",
            "/..%2frpc:distro:sys/message",
            "/rpc:distro:sys;v=1/message;x",
            "/;x/rpc:distro:sys/message",
            "\\rpc:distro:sys\\message",
            "/%5crpc:distro:sys/message",
            "/rpc:distro:sys%20/message",
            "/rpc:distro:sys%00/message",
            "/%2Frpc:distro:sys/message",
        ] {
            assert!(reaches_rpc(raw), "{raw}");
        }
        for raw in [
            "/",
            "/main:app:sys/rpc:distro:sys/message",
            "/rpc/distro/sys",
            "/%",
        ] {
            assert!(!reaches_rpc(raw), "{raw}");
        }
    }

    #[test]
    fn queries_decode_and_survive_nonsense() {
        let pairs: Vec<_> = query_pairs("a=1+2&b=%C3%A9&c&&d=%zz%4&=x").collect();
        let wanted = [
            ("a", "1 2"),
            ("b", "é"),
            ("c", ""),
            ("d", "%zz%4"),
            ("", "x"),
        ];
        assert_eq!(
            pairs,
            wanted.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
