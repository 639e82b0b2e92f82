//! Which generation's shapes an answer has.

use node_types::Edition;

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Up to 0.9.
    Old,
    /// From 1.0.
    New,
}

impl Dialect {
    /// The dialect for a receiver of `edition` that was asked for in the old
    /// shape or not.
    pub(crate) fn of(edition: Option<Edition>, old_shape: bool) -> Self {
        if old_shape || edition.is_some_and(Edition::uses_underscores) {
            Self::Old
        } else {
            Self::New
        }
    }
}
