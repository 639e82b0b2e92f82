//! Why a process cannot bind a path.

use super::routes::{MAX_CONTENT_BYTES, MAX_PATH, MAX_PATTERNS, MAX_ROUTES, MAX_SEGMENTS};

/// Why a path cannot be bound.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BindError {
    /// Longer than [`MAX_PATH`].
    #[error("the path is longer than {MAX_PATH} bytes")]
    LongPath,
    /// More than [`MAX_SEGMENTS`].
    #[error("a path with parameters may have {MAX_SEGMENTS} segments")]
    LongPattern,
    /// [`MAX_PATTERNS`] reached.
    #[error("this node has {MAX_PATTERNS} bound paths with parameters already: unbind some")]
    PatternsFull,
    /// [`MAX_ROUTES`] reached.
    #[error("this node has {MAX_ROUTES} bound paths already: unbind some")]
    RoutesFull,
    /// [`MAX_CONTENT_BYTES`] reached.
    #[error(
        "static content of this node is limited to {} MiB: bind without cache",
        MAX_CONTENT_BYTES >> 20
    )]
    ContentFull,
    /// The package's subdomain cannot be a host name.
    #[error("`{0}` cannot be a subdomain: a label has 63 characters and no hyphen at its ends")]
    NoLabel(String),
    /// Another package has the same subdomain.
    #[error("the subdomain `{label}` belongs to {owner}")]
    LabelTaken {
        /// The subdomain.
        label: String,
        /// Whose it is.
        owner: String,
    },
}
