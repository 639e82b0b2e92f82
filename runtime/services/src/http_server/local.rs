//! What is for the owner's own machine: local paths and the RPC.
//!
//! Stateless. Invariant: only the tunnel reaches them, and of what comes
//! through the tunnel nothing that a browser sends for somebody else's page.
//! The tunnel ends in a port of the owner's machine, which any page in the
//! owner's browser can reach; what such a request says of its page and of the
//! host it goes to are the browser's own words.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::StatusCode;
use http::header::{HOST, HeaderValue, ORIGIN};
use http::request::Parts;
use node_api::{HttpResponse, Origin};

use super::respond;
use super::site::split_port;

/// The answer for a request that may not use what is for the owner's machine.
pub(super) fn not_local(head: &Parts, origin: Origin) -> Option<HttpResponse> {
    if origin == Origin::Public || sent_by_a_foreign_page(head) {
        return Some(respond::empty(StatusCode::FORBIDDEN));
    }
    is_named_by_a_stranger(head).then(|| {
        let sentence = "This is for the owner's own machine: ask for it at localhost or at an \
                        address.\n";
        respond::text(StatusCode::FORBIDDEN, sentence.to_owned())
    })
}

/// Whether a request names a host whose address anybody may have chosen: a page
/// at such a name is of that origin also after the name has come to mean the
/// owner's machine, and says so with every request. No host is no browser.
fn is_named_by_a_stranger(head: &Parts) -> bool {
    let named = head.headers.get_all(HOST).iter().map(HeaderValue::to_str);
    let asked = head.uri.authority().map(|asked| Ok(asked.as_str()));
    named.chain(asked).any(|host| {
        let Ok(host) = host else { return true };
        let name = split_port(host).0.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let v6 = name.strip_prefix('[').and_then(|v6| v6.strip_suffix(']'));
        let is_address = match v6 {
            Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
            None => name.parse::<Ipv4Addr>().is_ok(),
        };
        !is_address && name != "localhost" && !name.ends_with(".localhost")
    })
}

/// Whether a browser sent this for a page from elsewhere. The tunnel ends in a
/// port of the owner's machine, which any page in the owner's browser reaches.
pub(super) fn sent_by_a_foreign_page(head: &Parts) -> bool {
    let Some(origin) = head.headers.get(ORIGIN) else {
        return false;
    };
    let Some((_, host)) = origin.to_str().ok().and_then(|text| text.split_once("://")) else {
        return true;
    };
    // Names below `localhost` are other tenants' pages.
    !matches!(split_port(host).0, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(host: &str) -> Parts {
        let request = Request::builder().uri("/").header(HOST, host);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn names_that_anybody_may_point_at_us_are_told_apart() {
        for (host, strangers) in [
            ("localhost", false),
            ("LocalHost:9090", false),
            ("localhost.:9090", false),
            ("my-pkg-alice-dev.localhost:9090", false),
            ("127.0.0.1:9090", false),
            ("192.0.2.7", false),
            ("[::1]:9090", false),
            ("evil.example:9090", true),
            ("evil.example", true),
            ("localhost.evil.example:9090", true),
            ("xlocalhost", true),
            ("127.0.0.1.evil.example", true),
            ("1.2.3", true),
            ("[::1].evil.example", true),
            ("[localhost]", true),
            ("localhost/evil", true),
            ("evil@localhost.example", true),
            ("", true),
        ] {
            let mut head = head(host);
            assert_eq!(is_named_by_a_stranger(&head), strangers, "{host}");
            // One of several is enough.
            head.headers.append(HOST, "localhost".parse().unwrap());
            assert_eq!(is_named_by_a_stranger(&head), strangers, "{host}");
        }
        let mut nameless = head("localhost");
        nameless.headers.remove(HOST);
        assert!(!is_named_by_a_stranger(&nameless));
        nameless.uri = "http://evil.example/x".parse().unwrap();
        assert!(is_named_by_a_stranger(&nameless));
    }
}
