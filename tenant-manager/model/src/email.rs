//! Addresses of accounts.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Longest address, in bytes (RFC 5321).
const MAX: usize = 254;

/// An e-mail address in lower case. Checked for shape only: whether it exists
/// is known once a message to it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Email(String);

/// The text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write an e-mail address such as name@example.org, at most 254 characters")]
pub struct EmailError;

impl Email {
    /// Checks `text`, trims it and lowers its letters, so that one person
    /// cannot sign up twice by spelling.
    ///
    /// # Errors
    /// [`EmailError`].
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        if text.len() > MAX {
            return Err(EmailError);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let local_char =
            |c: char| !c.is_control() && !c.is_whitespace() && !"@<>()[],;:\\\"".contains(c);
        let local_ok = !local.is_empty() && local.len() <= 64 && local.chars().all(local_char);
        let part_ok = |part: &str| {
            !part.is_empty()
                && part.len() <= 63
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        if !local_ok || !domain.split('.').all(part_ok) {
            return Err(EmailError);
        }
        let lower = text.to_lowercase();
        // Lowering can lengthen a text outside ASCII.
        if lower.len() > MAX {
            return Err(EmailError);
        }
        Ok(Self(lower))
    }

    /// Wraps an address that was checked when it was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_normalised_and_nonsense_refused() {
        assert_eq!(
            Email::parse(" Ann@Example.ORG ").unwrap().as_str(),
            "ann@example.org"
        );
        assert!(Email::parse("a.b+tag@localhost").is_ok());
        for bad in [
            "", "a", "@b", "a@", "a b@c.d", "a@b..c", "a@-b", "a\n@b.c", "<a>@b.c", "a@b@c,d",
        ] {
            assert_eq!(Email::parse(bad), Err(EmailError), "{bad:?}");
        }
        assert!(Email::parse(&format!("a@{}", "b.".repeat(150) + "c")).is_err());
    }
}
