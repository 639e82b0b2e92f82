//! Whose pages may show the owner's in a frame.
//!
//! Stateless. To a browser the neighbours of a node are the same site, so it
//! sends the owner's cookie along for a frame in their pages, and the owner
//! could be made to click in it without seeing what. What an app says of frames
//! itself stands (decision 0009).

use http::HeaderMap;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use node_api::{HttpResponse, Origin};

use super::site::Place;

/// The directive that names them.
const DIRECTIVE: &str = "frame-ancestors";
/// Pages of the owner's machine, which count as the owner's through a tunnel.
const OWN_MACHINE: &str = " http://localhost:* http://127.0.0.1:*";

/// Lets only the node's own pages frame an answer that is for the owner. On a
/// package's subdomain these are its own and those of the node's host.
pub(super) fn guard(response: &mut HttpResponse, place: Option<&Place<'_>>, origin: Origin) {
    let headers = response.headers_mut();
    if says_it_itself(headers) {
        return;
    }
    let mut policy = format!("{DIRECTIVE} 'self'");
    if let Some(node) = place.and_then(Place::origin_above) {
        policy.push(' ');
        policy.push_str(&node);
    }
    if origin == Origin::Tunnel {
        policy.push_str(OWN_MACHINE);
    }
    // Beside a policy of the app's: a browser heeds all of them.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.append(CONTENT_SECURITY_POLICY, policy);
    }
}

fn says_it_itself(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_SECURITY_POLICY)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| matches!(b, b';' | b',')))
        .filter_map(|directive| {
            let mut words = directive.split(u8::is_ascii_whitespace);
            words.find(|word| !word.is_empty())
        })
        .any(|name| name.eq_ignore_ascii_case(DIRECTIVE.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_about_frames_is_told_from_others() {
        for (policy, wanted) in [
            ("frame-ancestors *", true),
            ("default-src 'self';frame-ancestors 'none'", true),
            (
                "sandbox; default-src 'none', \tFrame-Ancestors\t'self'",
                true,
            ),
            ("frame-ancestors", true),
            ("default-src 'self'", false),
            ("frame-src frame-ancestors", false),
            ("frame-ancestorsx *", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(CONTENT_SECURITY_POLICY, policy.parse().unwrap());
            assert_eq!(says_it_itself(&headers), wanted, "{policy}");
        }
    }
}
