//! The token that every form of a session carries.
//!
//! It is derived from the session's own token, so it needs no place to be kept,
//! survives a restart and ends with its session. Knowing it gives nobody the
//! session.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Keeps this use of the hash apart from every other.
const PURPOSE: &[u8] = b"berth dashboard form v1\0";

/// The token of one session's forms.
#[derive(Clone)]
pub(super) struct FormToken(String);

impl FormToken {
    /// The token for forms of the session with `session_token`.
    pub(super) fn of(session_token: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(PURPOSE);
        hash.update(session_token.as_bytes());
        Self(URL_SAFE_NO_PAD.encode(hash.finalize()))
    }

    /// Whether a form that sent `text` was made for this session.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }

    /// The token as it stands in a form.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for FormToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_fits_its_own_session_only() {
        let ours = FormToken::of("berth_one");
        assert!(ours.matches(FormToken::of("berth_one").as_str()));
        for other in ["", "x", FormToken::of("berth_two").as_str(), "berth_one"] {
            assert!(!ours.matches(other), "{other}");
        }
        assert!(!ours.matches(&format!("{}A", ours.as_str())));
        assert!(!ours.as_str().contains("berth_one"));
        assert_eq!(format!("{ours:?}"), "FormToken");
    }
}
