//! What the app store remembers between starts.
//!
//! Invariant: while `installing` names a package, the zip of the version that
//! is being put in place, and that of the one it replaces, are both kept.

use std::collections::BTreeMap;

use node_types::PackageId;
use serde::{Deserialize, Serialize};

use crate::store_api::secure_label;

/// One version of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// SHA-256 of its zip, in lower-case hex.
    pub hash: String,
    /// `wit_version` of its metadata.
    pub wit_version: Option<u32>,
    /// Whether the tools of the book packed it.
    #[serde(default)]
    pub book: bool,
    /// Whether it comes with an API.
    #[serde(default)]
    pub has_api: bool,
}

/// What is known of a package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Package {
    /// Taken in, not started.
    pub pending: Option<Version>,
    /// In place.
    pub installed: Option<Version>,
    /// Whether other nodes may fetch it from here.
    #[serde(default)]
    pub mirror: bool,
}

/// An installation that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The package's id as text.
    pub package: String,
    /// What is being put in place.
    pub version: Version,
    /// How often it was begun.
    pub attempts: u32,
}

/// Everything the app store remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    /// By package id as text.
    packages: BTreeMap<String, Package>,
    /// Set while files and processes of a package are being replaced.
    pub installing: Option<Journal>,
}

impl State {
    /// Reads saved state; `None` when it is unreadable.
    #[must_use]
    pub fn from_saved(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// What to save.
    #[must_use]
    pub fn to_saved(&self) -> Vec<u8> {
        // Maps with string keys always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What is known of `package`.
    #[must_use]
    pub fn get(&self, package: &PackageId) -> Option<&Package> {
        self.packages.get(&package.to_string())
    }

    /// The record of `package`, made if need be.
    pub fn entry(&mut self, package: &PackageId) -> &mut Package {
        self.packages.entry(package.to_string()).or_default()
    }

    /// Forgets `package`.
    pub fn forget(&mut self, package: &PackageId) {
        self.packages.remove(&package.to_string());
    }

    /// Forgets the version that waits to be installed, and the package with
    /// it if nothing else is known of it.
    pub fn drop_pending(&mut self, package: &PackageId) {
        let entry = self.entry(package);
        entry.pending = None;
        if entry.installed.is_none() {
            self.forget(package);
        }
    }

    /// The version that `Install` means: the one with this hash, else the
    /// newest that is here.
    #[must_use]
    pub fn choose(&self, package: &PackageId, hash: Option<&str>) -> Option<Version> {
        let known = self.get(package)?;
        let mut versions = [&known.pending, &known.installed].into_iter().flatten();
        versions
            .find(|version| hash.is_none_or(|hash| version.hash == hash))
            .cloned()
    }

    /// An installed package, other than `package`, whose secure pages would
    /// share their host name with those of `package`.
    #[must_use]
    pub fn label_conflict(&self, package: &PackageId) -> Option<&str> {
        let label = secure_label(package);
        self.installed()
            .map(|(id, _)| id)
            .filter(|id| **id != package.to_string())
            .find(|id| {
                id.parse()
                    .is_ok_and(|id: PackageId| secure_label(&id) == label)
            })
    }

    /// Installed packages.
    pub fn installed(&self) -> impl Iterator<Item = (&str, &Version)> {
        self.packages
            .iter()
            .filter_map(|(id, package)| Some((id.as_str(), package.installed.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> PackageId {
        text.parse().unwrap()
    }

    fn version(hash: &str) -> Version {
        Version {
            hash: hash.to_owned(),
            wit_version: Some(1),
            book: false,
            has_api: false,
        }
    }

    #[test]
    fn install_takes_the_pending_version_unless_told_otherwise() {
        let mut state = State::default();
        let chat = id("chat:b.dev");
        assert_eq!(state.choose(&chat, None), None);
        state.entry(&chat).installed = Some(version("aa"));
        assert_eq!(state.choose(&chat, None), Some(version("aa")));
        state.entry(&chat).pending = Some(version("bb"));
        assert_eq!(state.choose(&chat, None), Some(version("bb")));
        assert_eq!(state.choose(&chat, Some("aa")), Some(version("aa")));
        assert_eq!(state.choose(&chat, Some("cc")), None);
        assert_eq!(State::from_saved(&state.to_saved()), Some(state));
    }

    #[test]
    fn dropping_a_pending_version_keeps_the_installed_one() {
        let mut state = State::default();
        let (chat, game) = (id("chat:b.dev"), id("game:b.dev"));
        state.entry(&chat).installed = Some(version("aa"));
        state.entry(&chat).pending = Some(version("bb"));
        state.entry(&game).pending = Some(version("cc"));
        state.drop_pending(&chat);
        state.drop_pending(&game);
        assert_eq!(state.choose(&chat, None), Some(version("aa")));
        assert_eq!(state.get(&game), None);
    }

    #[test]
    fn equal_labels_are_found_among_installed_packages_only() {
        let mut state = State::default();
        state.entry(&id("my:pkg-b.dev")).pending = Some(version("aa"));
        assert_eq!(state.label_conflict(&id("my-pkg:b.dev")), None);
        state.entry(&id("my:pkg-b.dev")).installed = Some(version("aa"));
        assert_eq!(
            state.label_conflict(&id("my-pkg:b.dev")),
            Some("my:pkg-b.dev")
        );
        assert_eq!(state.label_conflict(&id("my:pkg-b.dev")), None);
    }
}
