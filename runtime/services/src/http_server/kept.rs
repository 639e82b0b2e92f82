//! The bound paths that outlast a node's sleep.
//!
//! Owns the form in which they are stored; the table itself is [`routes`]'. A
//! request right after waking then finds the path it asks for: static content
//! is answered at once, and what is for an app waits in its mailbox until it
//! runs. Invariants: what is kept is bounded, in paths and in bytes of content;
//! nothing of the distro packages is kept, which bind the same paths whenever
//! they start; a path is restored only for a process that the node still has,
//! and binding it again replaces it.
//!
//! [`routes`]: super::routes

use std::collections::HashSet;

use bytes::Bytes;
use node_types::ProcessId;
use serde::{Deserialize, Serialize};

use super::HttpServer;
use super::content::{Content, DEFAULT_CONTENT};
use super::routes::{Flags, MAX_ROUTES, Route, Routes};

/// Most bytes of static content that are kept, with their types.
const MAX_CONTENT: usize = 1 << 20;
/// Who publishes the distro packages.
const DISTRO: &str = "sys";

/// Bound paths as they are stored. Fields are added only with a default: a
/// host of another version may read them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    paths: Vec<Path>,
    sockets: Vec<Path>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Path {
    owner: ProcessId,
    /// As its owner would bind it, without its id.
    path: String,
    /// `None` for a path whose content was too large to keep: it is there, but
    /// nothing is answered until it is bound again.
    bound: Option<Bound>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Bound {
    authenticated: bool,
    secure: bool,
    local_only: bool,
    fallback: bool,
    content: Option<Static>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Static {
    mime: String,
    bytes: Bytes,
}

impl Kept {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.sockets.is_empty()
    }

    /// What of it is within the bounds: paths for requests first, and of these
    /// the ones with little content.
    fn bounded(mut self) -> Self {
        self.paths.sort_by_cached_key(|path| {
            let Path {
                owner, path: at, ..
            } = path;
            (path.content_bytes(), owner.clone(), at.clone())
        });
        let mut left = MAX_CONTENT;
        for path in &mut self.paths {
            match left.checked_sub(path.content_bytes()) {
                Some(rest) => left = rest,
                None => path.bound = None,
            }
        }
        self.paths.truncate(MAX_ROUTES);
        self.sockets.truncate(MAX_ROUTES - self.paths.len());
        self
    }
}

impl Path {
    fn of(route: &Route) -> Option<Self> {
        let Flags {
            authenticated,
            secure,
            local_only,
            fallback,
            content,
        } = route.flags.as_ref()?;
        let content = content.as_ref().map(|content| Static {
            mime: content.mime.to_str().unwrap_or(DEFAULT_CONTENT).to_owned(),
            bytes: content.bytes.clone(),
        });
        Some(Self {
            owner: route.owner.clone(),
            path: as_bound(route)?,
            bound: Some(Bound {
                authenticated: *authenticated,
                secure: *secure,
                local_only: *local_only,
                fallback: *fallback,
                content,
            }),
        })
    }

    fn content_bytes(&self) -> usize {
        let content = self.bound.as_ref().and_then(|bound| bound.content.as_ref());
        content.map_or(0, |content| content.mime.len() + content.bytes.len())
    }
}

impl From<Bound> for Flags {
    fn from(bound: Bound) -> Self {
        let content = bound
            .content
            .map(|content| Content::new(&content.mime, content.bytes));
        Self {
            authenticated: bound.authenticated,
            secure: bound.secure,
            local_only: bound.local_only,
            fallback: bound.fallback,
            content,
        }
    }
}

/// A path that its owner could have bound to get `route`.
fn as_bound(route: &Route) -> Option<String> {
    let own = route.path.strip_prefix('/')?;
    let rest = own.strip_prefix(route.owner.as_str())?;
    // Binding takes one slash off the end, also where it was the only one.
    let slash = if rest.is_empty() || rest.ends_with('/') {
        "/"
    } else {
        ""
    };
    Some(format!("{rest}{slash}"))
}

fn kept_of(routes: &Routes) -> Vec<Path> {
    routes
        .all()
        .filter(|route| route.owner.publisher() != DISTRO)
        .filter_map(|route| Path::of(route))
        .collect()
}

impl HttpServer {
    /// The paths to be restored when the node wakes.
    #[must_use]
    pub fn keep(&self) -> Kept {
        let kept = Kept {
            paths: kept_of(&self.routes.read()),
            sockets: kept_of(&self.sockets.routes.read()),
        };
        kept.bounded()
    }

    /// Binds what was kept for processes that `comes_back` names; to be called
    /// before any of them starts.
    pub fn restore(&self, kept: Kept, comes_back: impl Fn(&ProcessId) -> bool) {
        let Kept { paths, sockets } = kept.bounded();
        let owners: HashSet<_> = paths
            .iter()
            .chain(&sockets)
            .map(|path| &path.owner)
            .collect();
        let gone: HashSet<_> = owners
            .into_iter()
            .filter(|owner| owner.publisher() == DISTRO || !comes_back(owner))
            .cloned()
            .collect();
        for (routes, paths) in [(&self.routes, paths), (&self.sockets.routes, sockets)] {
            for path in paths {
                if gone.contains(&path.owner) {
                    continue;
                }
                // What does not fit any more is for its owner to bind.
                let bound = match path.bound {
                    Some(bound) => self.bind(routes, &path.owner, &path.path, bound.into()),
                    None => routes.write().unbind(&path.owner, &path.path),
                };
                if let Err(error) = bound {
                    tracing::debug!(owner = %path.owner, "a kept path is not bound: {error}");
                }
            }
        }
    }
}
