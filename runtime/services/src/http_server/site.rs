//! Under which of the node's hosts a request arrived, and what answers there.
//!
//! A node has its own host and, for each package with secure paths, a
//! subdomain of that. Invariants: a subdomain belongs to one package, the first
//! that binds a secure path there. On it nothing of another package answers,
//! with the owner's rights or without: whatever is served there is a page of
//! that package for the owner's browser. The exception is static content that
//! the homepage shows to everybody (`/our.js`), which pages of apps load from
//! wherever they are. Everything else is sent back to the node's own host, or
//! is 404 where a redirect would repeat an action.
//!
//! A request that a browser sends for a page of another origin has none of the
//! owner's rights beyond reading: siblings of a node are the same *site* to a
//! browser, so `SameSite` does not keep their pages from using its cookies.

use std::borrow::Cow;
use std::collections::HashMap;

use http::header::ORIGIN;
use http::request::Parts;
use http::{Method, StatusCode};
use node_api::{HttpResponse, Origin, Visit};
use node_types::{PackageId, ProcessId};
use parking_lot::RwLock;

use super::bind_error::BindError;
use super::local::sent_by_a_foreign_page;
use super::routes::{Flags, Found, is_homepage};
use super::{HttpServer, app, respond};

/// Longest label of a host name.
const MAX_LABEL: usize = 63;

/// Which package each subdomain belongs to.
#[derive(Debug, Default)]
pub(super) struct Subdomains(RwLock<HashMap<String, PackageId>>);

/// Where a request arrived.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The node's own host, with the client's port.
    site: Cow<'a, str>,
    /// The label before it, in lower case.
    subdomain: Option<Cow<'a, str>>,
    scheme: &'static str,
}

impl Place<'_> {
    /// The origin of the node's own host, if this is a subdomain of it.
    pub(super) fn origin_above(&self) -> Option<String> {
        let Self { scheme, site, .. } = self;
        self.subdomain
            .as_ref()
            .map(|_| format!("{scheme}://{site}"))
    }
}

/// The label of the subdomain on which a package's secure paths live.
pub(super) fn secure_label(package: &PackageId) -> String {
    format!("{}-{}", package.package(), package.publisher())
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect()
}

impl Subdomains {
    /// Makes the package's subdomain its own.
    pub(super) fn claim(&self, package: &PackageId) -> Result<(), BindError> {
        let label = secure_label(package);
        if label.len() > MAX_LABEL || label.starts_with('-') || label.ends_with('-') {
            return Err(BindError::NoLabel(label));
        }
        let mut owners = self.0.write();
        match owners.get(&label) {
            Some(owner) if owner != package => Err(BindError::LabelTaken {
                label,
                owner: owner.to_string(),
            }),
            Some(_) => Ok(()),
            None => {
                owners.insert(label, package.clone());
                Ok(())
            }
        }
    }

    /// Whether `label` is the package's own subdomain.
    fn is_of(&self, label: &str, package: &PackageId) -> bool {
        self.0.read().get(label) == Some(package)
    }

    fn has(&self, label: &str) -> bool {
        self.0.read().contains_key(label)
    }

    /// Gives the package's subdomain up.
    pub(super) fn release(&self, package: &PackageId) {
        self.0.write().retain(|_, owner| owner != package);
    }
}

impl HttpServer {
    /// Where a request arrived; `None` if it names no usable host.
    pub(super) fn place<'a>(&self, head: &'a Parts, origin: Origin) -> Option<Place<'a>> {
        let scheme = if self.is_secure(head, origin) {
            "https"
        } else {
            "http"
        };
        if let Some(visit) = head.extensions.get::<Visit>() {
            return Some(Place {
                site: Cow::Borrowed(&visit.site),
                subdomain: visit.subdomain.as_deref().map(Cow::Borrowed),
                scheme,
            });
        }
        // Through a tunnel the node answers for any name that leads there,
        // usually `localhost`.
        let host = app::host(head)?;
        let (name, port) = split_port(host);
        if let Some((first, rest)) = name.split_once('.') {
            let first = first.to_ascii_lowercase();
            if rest.eq_ignore_ascii_case("localhost") || self.subdomains.has(&first) {
                return Some(Place {
                    site: Cow::Owned(format!("{rest}{port}")),
                    subdomain: Some(Cow::Owned(first)),
                    scheme,
                });
            }
        }
        let site = match name {
            // Addresses have no subdomains.
            "127.0.0.1" | "[::1]" => Cow::Owned(format!("localhost{port}")),
            _ => Cow::Borrowed(host),
        };
        Some(Place {
            site,
            subdomain: None,
            scheme,
        })
    }

    /// Whether the client came by TLS.
    pub(super) fn is_secure(&self, head: &Parts, origin: Origin) -> bool {
        let seen = head.extensions.get::<Visit>();
        origin == Origin::Public && (self.config.tls || seen.is_some_and(|visit| visit.secure))
    }

    /// Whether a route answers at this place at all.
    pub(super) fn belongs_here(
        &self,
        place: Option<&Place<'_>>,
        owner: &ProcessId,
        flags: &Flags,
    ) -> bool {
        let subdomain = place.and_then(|place| place.subdomain.as_deref());
        match subdomain {
            Some(label) => self.subdomains.is_of(label, &owner.package_id()),
            None => !flags.secure,
        }
    }

    /// What to say to a request for a route that answers elsewhere.
    pub(super) fn elsewhere(
        &self,
        head: &Parts,
        place: Option<&Place<'_>>,
        found: &Found,
        flags: &Flags,
        wanted: &str,
    ) -> Option<HttpResponse> {
        let owner = &found.route.owner;
        if self.belongs_here(place, owner, flags) {
            return None;
        }
        let Some(place) = place else {
            let sentence = "This path needs a Host header.\n".to_owned();
            return Some(respond::text(StatusCode::UNAUTHORIZED, sentence));
        };
        let Place { site, scheme, .. } = place;
        // The target begins with a slash, so it cannot extend the host.
        let location = if flags.secure {
            let label = secure_label(&owner.package_id());
            format!("{scheme}://{label}.{site}{wanted}")
        } else {
            let public = !flags.authenticated && !flags.local_only && flags.content.is_some();
            if public && is_homepage(owner) && !found.by_fallback {
                return None;
            }
            if head.method != Method::GET && head.method != Method::HEAD {
                return Some(respond::empty(StatusCode::NOT_FOUND));
            }
            format!("{scheme}://{site}{wanted}")
        };
        let redirect = respond::redirect(StatusCode::TEMPORARY_REDIRECT, &location);
        Some(redirect)
    }
}

/// Whether a browser sent this for a page that must not use the owner's
/// cookie. Through a tunnel any page of the owner's own machine may, such as
/// the server of somebody who develops an app.
pub(super) fn is_anothers_page(head: &Parts, origin: Origin) -> bool {
    is_cross_origin(head) && (origin == Origin::Public || sent_by_a_foreign_page(head))
}

/// Whether a browser sent this for a page of another origin than the one the
/// request goes to. Both names are the browser's own words.
fn is_cross_origin(head: &Parts) -> bool {
    let mut origins = head.headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return false;
    };
    if origins.next().is_some() {
        return true;
    }
    let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
    let (Some((_, theirs)), Some(ours)) = (origin, app::host(head)) else {
        return true;
    };
    !plain(theirs).eq_ignore_ascii_case(plain(ours))
}

/// An authority without a port that its scheme implies. Which scheme that is
/// may be known only to a proxy before this host, so both are.
fn plain(authority: &str) -> &str {
    authority
        .strip_suffix(":80")
        .or_else(|| authority.strip_suffix(":443"))
        .unwrap_or(authority)
}

/// Name and port, the port with its colon or empty.
pub(super) fn split_port(host: &str) -> (&str, &str) {
    match host.rfind(':') {
        Some(at) if host[at + 1..].bytes().all(|b| b.is_ascii_digit()) => host.split_at(at),
        _ => (host, ""),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::HOST;

    use super::*;

    fn head(host: &str, origins: &[&str]) -> Parts {
        let mut request = Request::builder().uri("/").header(HOST, host);
        for origin in origins {
            request = request.header(ORIGIN, *origin);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_page_is_of_our_origin_or_not() {
        let table: &[(&str, &[&str], bool)] = &[
            ("alice.nodes.test", &[], false),
            ("alice.nodes.test", &["http://alice.nodes.test"], false),
            ("alice.nodes.test", &["https://ALICE.nodes.test"], false),
            ("alice.nodes.test:443", &["https://alice.nodes.test"], false),
            (
                "alice.nodes.test:8000",
                &["http://alice.nodes.test:8000"],
                false,
            ),
            ("localhost:9090", &["http://localhost:9090"], false),
            ("[::1]:9090", &["http://[::1]:9090"], false),
            ("alice.nodes.test", &["http://mallory.nodes.test"], true),
            ("alice.nodes.test", &["http://nodes.test"], true),
            ("alice.nodes.test", &["http://app.alice.nodes.test"], true),
            ("alice.nodes.test", &["http://alice.nodes.test:8001"], true),
            ("alice.nodes.test:8000", &["http://alice.nodes.test"], true),
            (
                "alice.nodes.test",
                &["http://alice.nodes.test.evil.example"],
                true,
            ),
            ("alice.nodes.test", &["http://xalice.nodes.test"], true),
            ("alice.nodes.test", &["null"], true),
            ("alice.nodes.test", &[""], true),
            ("alice.nodes.test", &["alice.nodes.test"], true),
            (
                "alice.nodes.test",
                &["http://alice.nodes.test", "http://evil.example"],
                true,
            ),
        ];
        for (host, origins, wanted) in table {
            assert_eq!(
                is_cross_origin(&head(host, origins)),
                *wanted,
                "{host} {origins:?}"
            );
        }
    }

    #[test]
    fn a_subdomain_has_one_owner() {
        let subdomains = Subdomains::default();
        let package = |text: &str| text.parse::<PackageId>().unwrap();
        let (first, second) = (package("my-pkg:alice.dev"), package("my:pkg-alice.dev"));
        assert_eq!(secure_label(&first), secure_label(&second));
        subdomains.claim(&first).unwrap();
        subdomains.claim(&first).unwrap();
        let taken = subdomains.claim(&second).unwrap_err();
        assert!(taken.to_string().contains("my-pkg:alice.dev"), "{taken}");
        assert!(subdomains.claim(&package("My-Pkg:alice.dev")).is_err());
        assert!(subdomains.is_of("my-pkg-alice-dev", &first));
        assert!(!subdomains.is_of("my-pkg-alice-dev", &second));
        subdomains.release(&first);
        subdomains.claim(&second).unwrap();
        let long = package(&format!("{}:alice.dev", "a".repeat(60)));
        assert!(matches!(
            subdomains.claim(&long),
            Err(BindError::NoLabel(_))
        ));
        assert!(matches!(
            subdomains.claim(&package("_x:alice.dev")),
            Err(BindError::NoLabel(_))
        ));
    }
}
