//! Keeps a node's cookies on its own host.
//!
//! A browser would let `alice.example` set cookies for all of `example`, and so
//! for every sibling. Scripts can still do that where the browser does not know
//! the domain as a public suffix; this closes the header.

use http::header::{HeaderMap, SET_COOKIE};

/// Drops every cookie whose `Domain` reaches beyond `host`.
pub(super) fn confine(headers: &mut HeaderMap, host: &str) {
    let all_fine = |headers: &HeaderMap| {
        headers
            .get_all(SET_COOKIE)
            .iter()
            .all(|cookie| stays_within(cookie.as_bytes(), host))
    };
    if all_fine(headers) {
        return;
    }
    let kept: Vec<_> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter(|cookie| stays_within(cookie.as_bytes(), host))
        .cloned()
        .collect();
    headers.remove(SET_COOKIE);
    for cookie in kept {
        headers.append(SET_COOKIE, cookie);
    }
}

fn stays_within(cookie: &[u8], host: &str) -> bool {
    // Browsers take the last `Domain`; all of them are held to the rule.
    cookie.split(|byte| *byte == b';').skip(1).all(|attribute| {
        let (name, value) = match attribute.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&attribute[..equals], &attribute[equals + 1..]),
            None => (attribute, &attribute[attribute.len()..]),
        };
        if !name.trim_ascii().eq_ignore_ascii_case(b"domain") {
            return true;
        }
        let domain = String::from_utf8_lossy(value.trim_ascii()).to_ascii_lowercase();
        let domain = domain.strip_prefix('.').unwrap_or(&domain);
        domain.is_empty()
            || domain == host
            || domain
                .strip_suffix(host)
                .is_some_and(|below| below.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_for_siblings_are_dropped() {
        let mut headers = HeaderMap::new();
        for cookie in [
            "a=1; Path=/; HttpOnly",
            "b=2; Domain=alice.nodes.example",
            "c=3; domain=.app.alice.nodes.example",
            "d=4; Domain=nodes.example",
            "e=5; Domain=.nodes.example; Path=/",
            "f=6;dOmAiN = bob.nodes.example",
            "g=7; Domain=malice.nodes.example",
            "h=8; Domain=example; Domain=alice.nodes.example",
            "i=9; Domain=",
        ] {
            headers.append(SET_COOKIE, cookie.parse().unwrap());
        }
        confine(&mut headers, "alice.nodes.example");
        let left: String = headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|cookie| char::from(cookie.as_bytes()[0]))
            .collect();
        assert_eq!(left, "abci");
    }
}
