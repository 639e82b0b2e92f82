//! The table of bound paths.
//!
//! Owns routes and the bytes of static content, both bounded. Invariant: a
//! process other than the homepage only ever owns paths that begin with its
//! own id. Unbinding leaves a mark, so that an unbound path is not answered by
//! the process' root binding; marks are dropped first when the table is full.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use node_types::{PackageId, ProcessId};

use super::bind_error::BindError;
use super::content::Content;
use super::path::first_segment;
use super::pattern::Pattern;

/// Most bound paths of a node.
pub(super) const MAX_ROUTES: usize = 4096;
/// Most bytes of static content of a node.
pub(super) const MAX_CONTENT_BYTES: usize = 64 << 20;
/// Most bytes of it that are kept compressed besides. Whoever asks makes them,
/// so they never take room that is for binding.
pub(super) const MAX_PACKED_BYTES: usize = 16 << 20;
/// Longest path that can be bound.
pub(super) const MAX_PATH: usize = 1024;
/// Most segments of a path with parameters: matching is quadratic in them.
pub(super) const MAX_SEGMENTS: usize = 32;
/// Most bound paths of a node that have parameters: each is tried in turn.
pub(super) const MAX_PATTERNS: usize = 256;
/// Most segments of a requested path that is compared with parameters.
const MAX_REQUESTED: usize = 256;
/// The process that owns the root.
const HOMEPAGE: &str = "homepage:homepage:sys";

/// How a path is bound.
#[derive(Debug, Default)]
pub(super) struct Flags {
    /// Needs the owner's cookie.
    pub(super) authenticated: bool,
    /// Lives on its package's own subdomain; implies `authenticated`.
    pub(super) secure: bool,
    /// Only through the tunnel.
    pub(super) local_only: bool,
    /// As the process' root binding it also answers paths that match nothing.
    pub(super) fallback: bool,
    /// Answers GET without asking the process.
    pub(super) content: Option<Content>,
}

/// A bound path.
#[derive(Debug)]
pub(super) struct Route {
    /// Who bound it.
    pub(super) owner: ProcessId,
    /// The whole pattern, with the owner's id.
    pub(super) path: String,
    /// How; `None` is the mark that an unbound path leaves.
    pub(super) flags: Option<Flags>,
    pattern: Pattern,
}

/// A route that matches a path.
#[derive(Debug)]
pub(super) struct Found {
    /// The route; its flags are present.
    pub(super) route: Arc<Route>,
    /// Values of the pattern's parameters.
    pub(super) params: BTreeMap<String, String>,
    /// Whether it only matches as the root binding of its process.
    pub(super) by_fallback: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Patterns made of literals only, by their text.
    literal: HashMap<String, Arc<Route>>,
    /// All others, by first segment; those that begin with a parameter (only
    /// the homepage can have any) under the empty text.
    patterns: HashMap<String, Vec<Arc<Route>>>,
    count: usize,
    content_bytes: usize,
    packed_bytes: usize,
}

/// Whether `process` owns the root.
pub(super) fn is_homepage(process: &ProcessId) -> bool {
    process.as_str() == HOMEPAGE
}

/// The stored form of `path` bound by `owner`.
pub(super) fn stored_path(owner: &ProcessId, path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let whole = if is_homepage(owner) {
        format!("{slash}{path}")
    } else {
        format!("/{owner}{slash}{path}")
    };
    match whole.strip_suffix('/') {
        Some("") | None => whole,
        Some(shorter) => shorter.to_owned(),
    }
}

impl Route {
    fn new(owner: &ProcessId, path: &str, flags: Option<Flags>) -> Self {
        let path = stored_path(owner, path);
        Self {
            owner: owner.clone(),
            pattern: Pattern::parse(&path),
            path,
            flags,
        }
    }

    /// What answers for it, if its process need not be asked.
    pub(super) fn content(&self) -> Option<&Content> {
        self.flags.as_ref()?.content.as_ref()
    }

    fn content_bytes(&self) -> usize {
        self.content().map_or(0, |content| content.bytes.len())
    }

    fn packed_bytes(&self) -> usize {
        self.content().map_or(0, Content::packed_bytes)
    }
}

impl Routes {
    /// Binds `path` for `owner`; whatever was bound there is replaced.
    pub(super) fn bind(
        &mut self,
        owner: &ProcessId,
        path: &str,
        flags: Flags,
    ) -> Result<(), BindError> {
        self.insert(owner, path, Some(flags))
    }

    /// Unbinds `path` of `owner`.
    pub(super) fn unbind(&mut self, owner: &ProcessId, path: &str) -> Result<(), BindError> {
        self.insert(owner, path, None)
    }

    /// Forgets every path of `owner`.
    pub(super) fn forget(&mut self, owner: &ProcessId) {
        self.retain(|route| route.owner != *owner);
    }

    /// Whether any process of `package` has a secure path.
    pub(super) fn has_secure(&self, package: &PackageId) -> bool {
        let secure = |route: &Route| {
            route.flags.as_ref().is_some_and(|flags| flags.secure)
                && route.owner.package_id() == *package
        };
        self.all().any(|route| secure(route))
    }

    /// Whether `owner` has bound `path` on its package's subdomain.
    pub(super) fn is_secure(&self, owner: &ProcessId, path: &str) -> bool {
        if path.len() > MAX_PATH {
            return false;
        }
        let like = Route::new(owner, path, None);
        let flags = self.get(&like).and_then(|route| route.flags.as_ref());
        flags.is_some_and(|flags| flags.secure)
    }

    /// Whether `bytes` more can be kept of compressed content.
    pub(super) fn has_room_to_pack(&self, bytes: usize) -> bool {
        self.packed_bytes.saturating_add(bytes) <= MAX_PACKED_BYTES
    }

    /// Keeps what the content of a route is compressed, or that this is not
    /// worth it; not if it is bound no more, or if there is no room.
    pub(super) fn keep_packed(&mut self, route: &Arc<Route>, packed: Option<Bytes>) {
        let bytes = packed.as_ref().map_or(0, Bytes::len);
        let bound = self.get(route);
        let is_bound = bound.is_some_and(|bound| Arc::ptr_eq(bound, route));
        if let Some(content) = route.content()
            && is_bound
            && self.has_room_to_pack(bytes)
            && content.keep_packed(packed)
        {
            self.packed_bytes += bytes;
        }
    }

    /// All routes and marks, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.literal
            .values()
            .chain(self.patterns.values().flatten())
    }

    fn insert(
        &mut self,
        owner: &ProcessId,
        path: &str,
        flags: Option<Flags>,
    ) -> Result<(), BindError> {
        if path.len() > MAX_PATH {
            return Err(BindError::LongPath);
        }
        let route = Route::new(owner, path, flags);
        if !route.pattern.is_literal() {
            if route.pattern.len() > MAX_SEGMENTS {
                return Err(BindError::LongPattern);
            }
            let patterns: usize = self.patterns.values().map(Vec::len).sum();
            if patterns >= MAX_PATTERNS && self.get(&route).is_none() {
                return Err(BindError::PatternsFull);
            }
        }
        let old = self.get(&route).map_or(0, |old| old.content_bytes());
        let replaces = self.get(&route).is_some();
        if self.content_bytes - old + route.content_bytes() > MAX_CONTENT_BYTES {
            return Err(BindError::ContentFull);
        }
        if self.count >= MAX_ROUTES && !replaces {
            self.retain(|route| route.flags.is_some());
            if self.count >= MAX_ROUTES {
                return Err(BindError::RoutesFull);
            }
        }
        self.remove(&route);
        self.count += 1;
        self.content_bytes += route.content_bytes();
        if route.pattern.is_literal() {
            self.literal.insert(route.path.clone(), Arc::new(route));
        } else {
            let same = self
                .patterns
                .entry(route.pattern.key().to_owned())
                .or_default();
            same.push(Arc::new(route));
        }
        Ok(())
    }

    fn get(&self, like: &Route) -> Option<&Arc<Route>> {
        if like.pattern.is_literal() {
            return self.literal.get(&like.path);
        }
        let same = self.patterns.get(like.pattern.key())?;
        same.iter().find(|route| route.path == like.path)
    }

    fn remove(&mut self, like: &Route) {
        let Some(old) = self.get(like).cloned() else {
            return;
        };
        self.count -= 1;
        self.content_bytes -= old.content_bytes();
        self.packed_bytes -= old.packed_bytes();
        if like.pattern.is_literal() {
            self.literal.remove(&like.path);
        } else if let Some(same) = self.patterns.get_mut(like.pattern.key()) {
            same.retain(|route| route.path != like.path);
        }
    }

    fn retain(&mut self, keep: impl Fn(&Route) -> bool) {
        self.literal.retain(|_, route| keep(route));
        self.patterns.retain(|_, routes| {
            routes.retain(|route| keep(route));
            !routes.is_empty()
        });
        self.count = self.all().count();
        self.content_bytes = self.all().map(|route| route.content_bytes()).sum();
        self.packed_bytes = self.all().map(|route| route.packed_bytes()).sum();
    }

    /// The route for `path` (in lookup form).
    pub(super) fn find(&self, path: &str) -> Option<Found> {
        if let Some((route, params)) = self.recognise(path) {
            route.flags.as_ref()?;
            return Some(Found {
                route,
                params,
                by_fallback: false,
            });
        }
        let first = first_segment(path.strip_prefix('/')?);
        // The root is the homepage's own path, not the beginning of all others.
        if first.is_empty() {
            return None;
        }
        let (route, params) = self.recognise(&format!("/{first}"))?;
        if !route.flags.as_ref()?.fallback {
            return None;
        }
        Some(Found {
            route,
            params,
            by_fallback: true,
        })
    }

    fn recognise(&self, path: &str) -> Option<(Arc<Route>, BTreeMap<String, String>)> {
        if let Some(route) = self.literal.get(path) {
            return Some((Arc::clone(route), BTreeMap::new()));
        }
        let rest = path.strip_prefix('/')?;
        let parts: Vec<&str> = rest.split('/').take(MAX_REQUESTED + 1).collect();
        if parts.len() > MAX_REQUESTED {
            return None;
        }
        let under = |key: &str| {
            self.patterns
                .get(key)
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        let first = parts.first().copied().unwrap_or_default();
        let rooted = if first.is_empty() { &[] } else { under("") };
        under(first)
            .iter()
            .chain(rooted)
            .filter_map(|route| Some((route, route.pattern.params(&parts)?)))
            .max_by(|(a, _), (b, _)| better(a, b))
            .map(|(route, params)| (Arc::clone(route), params))
    }
}

/// Ties go to the lesser text, so that the choice never depends on history.
fn better(a: &Route, b: &Route) -> Ordering {
    a.pattern
        .compare(&b.pattern)
        .then_with(|| b.path.cmp(&a.path))
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
