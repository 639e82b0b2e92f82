//! Headers that end at this hop, and those that only this hop may write.

use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, EXPECT, Entry, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use node_api::HttpResponse;

use crate::client::Client;

/// Meant for this connection only.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Makes a client's headers fit for the node. `Host` stays as it was sent.
pub(super) fn clean_request(headers: &mut HeaderMap, authority: &str, client: Client) {
    remove_hop_by_hop(headers);
    headers.remove(EXPECT);
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_claim(name))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
    let authority = HeaderValue::from_str(authority);
    if let (Entry::Vacant(host), Ok(authority)) = (headers.entry(HOST), &authority) {
        host.insert(authority.clone());
    }
    if let Ok(authority) = authority {
        headers.insert(FORWARDED_HOST, authority);
    }
    if let Ok(address) = HeaderValue::from_str(&client.address.to_string()) {
        headers.insert(FORWARDED_FOR, address);
    }
    let scheme = if client.secure { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
}

/// Whether `name` claims something about the way a request took.
fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-forwarded") || matches!(name, "forwarded" | "x-real-ip" | "via")
}

/// Makes an app's headers fit for the client. How the body is delimited is
/// decided by what it is, not by what the app says.
pub(super) fn clean_response(response: &mut HttpResponse, is_head: bool) {
    let known_length = response.body().size_hint().exact().is_some();
    let headers = response.headers_mut();
    remove_hop_by_hop(headers);
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let plausible = matches!((lengths.next(), lengths.next()), (Some(one), None)
        if one.to_str().is_ok_and(|text| text.parse::<u64>().is_ok()));
    // The answer to HEAD tells the length of a body that is not there.
    let keep = plausible && (is_head || !known_length);
    if !keep {
        headers.remove(CONTENT_LENGTH);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // Nobody may hide what routing and framing go by.
        .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// What is left of a request once it has been given away: how to talk to the
/// client.
pub(super) fn accept_only(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for value in headers.get_all(ACCEPT) {
        kept.append(ACCEPT, value.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use node_api::{body, empty_body};

    use super::*;

    fn client() -> Client {
        Client {
            address: "192.0.2.7".parse().unwrap(),
            secure: true,
        }
    }

    #[test]
    fn claims_and_hops_of_the_client_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "Alice.localhost:8000"),
            ("connection", "keep-alive, X-Secret, host, upgrade"),
            ("x-secret", "1"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-proto", "ftp"),
            ("x-forwarded-port", "1"),
            ("forwarded", "for=127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("cookie", "a=1"),
            ("x-mine", "kept"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        clean_request(&mut headers, "alice.localhost:8000", client());
        let mut left: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "cookie: a=1",
                "host: Alice.localhost:8000",
                "x-forwarded-for: 192.0.2.7",
                "x-forwarded-host: alice.localhost:8000",
                "x-forwarded-proto: https",
                "x-mine: kept",
            ]
        );
    }

    #[test]
    fn a_host_from_the_request_line_becomes_the_header() {
        let mut headers = HeaderMap::new();
        clean_request(&mut headers, "alice.localhost", client());
        assert_eq!(headers[HOST], "alice.localhost");
    }

    #[test]
    fn an_app_does_not_decide_framing() {
        let response = |body, length: &[&str]| {
            let mut response = HttpResponse::new(body);
            for value in length {
                let value = value.parse().unwrap();
                response.headers_mut().append(CONTENT_LENGTH, value);
            }
            let chunked = "chunked".parse().unwrap();
            response.headers_mut().insert(TRANSFER_ENCODING, chunked);
            response
        };
        let mut lying = response(body("four"), &["400"]);
        clean_response(&mut lying, false);
        assert!(lying.headers().is_empty());
        let mut head = response(empty_body(), &["400"]);
        clean_response(&mut head, true);
        assert_eq!(head.headers()[CONTENT_LENGTH], "400");
        let mut twice = response(empty_body(), &["400", "4"]);
        clean_response(&mut twice, true);
        assert!(twice.headers().is_empty());
    }
}
