//! Which generation of the app interface a process was built for.

use serde::{Deserialize, Serialize};

/// A generation of the app interface. The dialect a module speaks to a
/// process follows from the process' edition, never from the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Edition {
    /// `kinode:process@0.7.0`, or the unversioned package before it.
    #[serde(rename = "v0_7")]
    V0_7,
    /// `kinode:process@0.8.0`.
    #[serde(rename = "v0_8")]
    V0_8,
    /// `kinode:process@0.8.0` as the tools of the book packed it. The same
    /// interface; the HTTP server still spoke of paths as in 0.7.
    #[serde(rename = "v0_8_book")]
    V0_8Book,
    /// `kinode:process@1.0.0`.
    #[serde(rename = "v1_0")]
    V1_0,
    /// `hyperware:process@1.0.0`.
    #[serde(rename = "hyperware")]
    Hyperware,
}

impl Edition {
    /// The edition that a package means by the `wit_version` of its metadata.
    #[must_use]
    pub fn of_wit_version(wit_version: Option<u32>) -> Self {
        match wit_version {
            None => Self::V0_7,
            Some(0) => Self::V0_8,
            Some(_) => Self::V1_0,
        }
    }

    /// The edition of a component of this one in a package that the tools of
    /// the book packed.
    #[must_use]
    pub fn packed_by_the_book(self) -> Self {
        match self {
            Self::V0_8 => Self::V0_8Book,
            other => other,
        }
    }

    /// The `wit_version` of packages for this edition.
    #[must_use]
    pub fn wit_version(self) -> Option<u32> {
        match self {
            Self::V0_7 => None,
            Self::V0_8 | Self::V0_8Book => Some(0),
            Self::V1_0 | Self::Hyperware => Some(1),
        }
    }

    /// Whether processes of this edition know module and package names with
    /// underscores (`http_server:distro:sys`).
    #[must_use]
    pub fn uses_underscores(self) -> bool {
        matches!(self, Self::V0_7 | Self::V0_8 | Self::V0_8Book)
    }
}
