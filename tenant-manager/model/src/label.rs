//! Labels: the subdomain of a node, and the user name of its SSH.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Longest label, in bytes (the limit of a DNS label).
const MAX: usize = 63;

/// Labels that nobody gets: names people would take for the host itself.
const RESERVED: &[&str] = &[
    "about",
    "abuse",
    "account",
    "accounts",
    "admin",
    "administrator",
    "api",
    "auth",
    "autoconfig",
    "autodiscover",
    "backup",
    "backups",
    "berth",
    "billing",
    "cdn",
    "console",
    "dashboard",
    "db",
    "dns",
    "docs",
    "download",
    "ftp",
    "grafana",
    "help",
    "host",
    "hostmaster",
    "hyperware",
    "imap",
    "info",
    "internal",
    "isatap",
    "kinode",
    "local",
    "localhost",
    "localdomain",
    "login",
    "logout",
    "mail",
    "metrics",
    "mx",
    "net",
    "new",
    "noc",
    "nodes",
    "ns",
    "ns1",
    "ns2",
    "ns3",
    "ns4",
    "oauth",
    "operator",
    "operators",
    "ops",
    "pop",
    "pop3",
    "postgres",
    "postmaster",
    "proxy",
    "public",
    "register",
    "root",
    "router",
    "security",
    "server",
    "signin",
    "signup",
    "smtp",
    "ssh",
    "ssl",
    "staging",
    "static",
    "status",
    "support",
    "sys",
    "system",
    "tls",
    "vpn",
    "webmaster",
    "webmail",
    "wpad",
    "ws",
    "www",
    "www1",
    "www2",
];

/// A node's label: `[a-z]([a-z0-9-]{0,61}[a-z0-9])?` without `--`, not reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Label(String);

/// Why a text is not a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// It breaks the rule.
    #[error(
        "a label is 1 to 63 characters of a-z, 0-9 and -, starts with a letter, \
         ends with a letter or digit, and has no two dashes in a row"
    )]
    Invalid,
    /// The host keeps it for itself.
    #[error("this label is reserved; choose another one")]
    Reserved,
}

impl Label {
    /// Checks and wraps `text`.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let bytes = text.as_bytes();
        let allowed = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let well_formed = bytes.len() <= MAX
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last().is_some_and(|last| *last != b'-')
            && bytes.iter().all(allowed)
            && !text.contains("--");
        if !well_formed {
            return Err(LabelError::Invalid);
        }
        if RESERVED.contains(&text) {
            return Err(LabelError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    /// Wraps a label that was checked when it was stored: a label reserved
    /// later stays with whoever has it.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// So that a map keyed by labels can be asked with text from a request.
impl std::borrow::Borrow<str> for Label {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_rule_has_its_edges() {
        for good in ["a", "alice", "a1", "a-b", "x9-y", &"a".repeat(63)] {
            assert_eq!(Label::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "a-",
            "1a",
            "a--b",
            "A",
            "a_b",
            "a.b",
            "ä",
            "a b",
            "xn--a",
            &"a".repeat(64),
        ] {
            assert_eq!(Label::parse(bad), Err(LabelError::Invalid), "{bad}");
        }
        for reserved in ["www", "api", "localhost", "root", "status"] {
            assert_eq!(Label::parse(reserved), Err(LabelError::Reserved));
        }
    }

    proptest! {
        #[test]
        fn a_label_is_always_one_dns_label(text in ".{0,70}") {
            if let Ok(label) = Label::parse(&text) {
                prop_assert!(label.as_str().len() <= 63);
                prop_assert!(!label.as_str().contains(['.', '/', '@', ':', '_']));
                prop_assert_eq!(label.as_str().to_ascii_lowercase(), text);
            }
        }
    }
}
