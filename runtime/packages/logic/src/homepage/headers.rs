//! What goes beside the pages: who may change something, and what a browser
//! may load.

use std::fmt::Write as _;

/// Whether a request that changes something comes from the node's own page.
///
/// Other names below the node's domain are other tenants, and the cookie goes
/// along with what their pages send, so a browser's own word for the origin is
/// what counts. Programs send neither header, and have the cookie because they
/// signed in.
#[must_use]
pub fn from_own_page(host: Option<&str>, origin: Option<&str>, site: Option<&str>) -> bool {
    if let Some(origin) = origin {
        let from = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        return match (from, host) {
            (Some(from), Some(host)) => from.eq_ignore_ascii_case(host),
            _ => false,
        };
    }
    site.is_none_or(|site| site == "same-origin" || site == "none")
}

/// `host`, if it can stand in a policy.
fn plain_host(host: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-:".contains(&b);
    !host.is_empty() && host.len() <= 260 && host.bytes().all(allowed)
}

/// The Content-Security-Policy of the page. Every app of the node has the
/// page's origin, so what it loads is named by path where the host is known.
#[must_use]
pub fn page_policy(host: Option<&str>) -> String {
    let host = host.filter(|host| plain_host(host));
    let own = |path: &str| match host {
        Some(host) => format!("{host}{path}"),
        None => "'self'".to_owned(),
    };
    let mut policy = String::from(
        "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; \
         require-trusted-types-for 'script'",
    );
    // Writing to a string cannot fail.
    let _ = write!(
        policy,
        "; script-src {}; style-src {} {}; img-src {} data:; frame-src {}; connect-src 'self'",
        own("/homepage.js"),
        own("/homepage.css"),
        own("/kinode.css"),
        own("/icons/"),
        own("/widgets/"),
    );
    if let Some(host) = host {
        // Not every browser counts WebSockets as 'self'.
        let _ = write!(policy, " ws://{host} wss://{host}");
    }
    policy
}

/// The policy of a widget, wherever it is opened: scripts of its own, but an
/// origin that is nobody's, and nothing from elsewhere.
pub const WIDGET_POLICY: &str = "sandbox allow-scripts; default-src 'none'; \
    script-src 'unsafe-inline'; style-src 'unsafe-inline' 'self'; img-src 'self' data: blob:; \
    font-src 'self' data:; media-src data: blob:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'self'";

/// The policy of an icon, should it be opened by itself: an SVG is a document.
pub const ICON_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; \
    img-src data:; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_page_changes_things() {
        let host = Some("alice.nodes.test:8000");
        for (origin, site, allowed) in [
            (
                Some("http://alice.nodes.test:8000"),
                Some("same-origin"),
                true,
            ),
            (Some("https://ALICE.nodes.test:8000"), None, true),
            (None, Some("same-origin"), true),
            (None, Some("none"), true),
            (None, None, true),
            (None, Some("same-site"), false),
            (None, Some("cross-site"), false),
            (
                Some("http://mallory.nodes.test:8000"),
                Some("same-site"),
                false,
            ),
            (Some("http://alice.nodes.test"), None, false),
            (
                Some("http://alice.nodes.test:8000.evil.example"),
                None,
                false,
            ),
            (Some("null"), None, false),
            (Some("file://alice.nodes.test:8000"), None, false),
            (Some(""), Some("same-origin"), false),
        ] {
            assert_eq!(
                from_own_page(host, origin, site),
                allowed,
                "{origin:?} {site:?}"
            );
        }
        assert!(!from_own_page(None, Some("http://x"), None));
    }

    #[test]
    fn a_strange_host_does_not_get_into_the_policy() {
        let policy = page_policy(Some("a.dev; script-src *"));
        assert!(policy.contains("script-src 'self';") && !policy.contains('*'));
        let policy = page_policy(Some("a.localhost:8000"));
        assert!(policy.contains("script-src a.localhost:8000/homepage.js;"));
        assert!(policy.ends_with("wss://a.localhost:8000"));
        assert_eq!(page_policy(None), page_policy(Some("[::1]:80")));
    }
}
