//! Which cookies are nobody's business but the host's.
//!
//! Stateless. A browser sends a login cookie with every request for the host
//! it belongs to, and through a tunnel, at `localhost`, also that of the
//! dashboard if it runs there. Whoever has it is the owner for months. So apps
//! neither get nor set it (decision 0009).

use http::HeaderMap;
use http::header::COOKIE;

/// Beginnings of the names of nodes' login cookies.
const LOGINS: [&str; 2] = ["kinode-auth_", "hyperware-auth_"];
/// Names of the dashboard's cookie.
const DASHBOARD: [&str; 2] = ["berth-session", "__Host-berth-session"];

/// Whether a cookie of this name signs somebody in.
fn is_secret(name: &str) -> bool {
    LOGINS.iter().any(|login| name.starts_with(login)) || DASHBOARD.contains(&name)
}

/// The name in `name=value`. A browser that was given a cookie without a name
/// sends its value alone, which may look like another cookie.
fn name(pair: &str) -> &str {
    let pair = pair.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
    pair.split('=').next().unwrap_or_default().trim_end()
}

/// The cookies of a request that apps may see, as one header's value.
pub(super) fn for_apps(headers: &HeaderMap) -> Option<String> {
    let pairs: Vec<_> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .map(str::trim)
        .filter(|pair| !pair.is_empty() && !is_secret(name(pair)))
        .collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}

/// Whether an app may set the cookie of this `Set-Cookie` value.
pub(super) fn may_set(value: &str) -> bool {
    !value
        .split(';')
        .next()
        .is_some_and(|pair| is_secret(name(pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_see_their_own_cookies_only() {
        for (sent, seen) in [
            (&["a=1; b=2"][..], Some("a=1; b=2")),
            (&["kinode-auth_alice.dev=x"], None),
            (&["a=1;kinode-auth_alice.dev=x; b=x=y"], Some("a=1; b=x=y")),
            (
                &["kinode-auth_alice.dev@a:b:c=x; hyperware-auth_alice.dev=x"],
                None,
            ),
            (&["berth-session=x", "c=3"], Some("c=3")),
            (&["__Host-berth-session=x;;  "], None),
            (&["=kinode-auth_alice.dev=x; = berth-session=x"], None),
            (&["berth-session ;berth-session"], None),
            (
                &["berth-session-2=x; kinode=y; lone"],
                Some("berth-session-2=x; kinode=y; lone"),
            ),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(COOKIE, value.parse().unwrap());
            }
            assert_eq!(for_apps(&headers).as_deref(), seen, "{sent:?}");
        }
    }

    #[test]
    fn apps_set_their_own_cookies_only() {
        for (value, may) in [
            ("a=1; Path=/", true),
            ("a=kinode-auth_alice.dev; Path=/", true),
            ("kinode-auth_alice.dev=x; Path=/", false),
            (" hyperware-auth_alice.dev=; Max-Age=0", false),
            ("=kinode-auth_alice.dev=x", false),
            ("__Host-berth-session=x; Secure; Path=/", false),
            ("berth-session", false),
            ("", true),
        ] {
            assert_eq!(may_set(value), may, "{value:?}");
        }
    }
}
