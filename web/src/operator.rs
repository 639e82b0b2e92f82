//! What the API and the dashboard have in common about operators.

use tenant_model::{Label, LabelError};

/// The last node of the page before, as the next page is asked for.
pub(crate) fn after(cursor: &str) -> Option<Label> {
    match Label::parse(cursor) {
        Ok(label) => Some(label),
        // A label that was reserved later stays with whoever has it.
        Err(LabelError::Reserved) => Some(Label::from_stored(cursor.to_owned())),
        Err(LabelError::Invalid) => None,
    }
}

/// Longest reason of a suspension, in characters.
const MOST_REASON: usize = 500;

/// The reason as it is kept, if it says something and not too much; else what to
/// write.
pub(crate) fn reason(text: &str) -> Result<&str, String> {
    let reason = text.trim();
    if (1..=MOST_REASON).contains(&reason.chars().count()) && !reason.contains('\0') {
        return Ok(reason);
    }
    Err(format!(
        "say why, in at most {MOST_REASON} characters: the owner reads it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_counted_in_characters() {
        assert_eq!(reason(" spam\n"), Ok("spam"));
        let long = "\u{e9}".repeat(MOST_REASON);
        assert_eq!(reason(&long), Ok(long.as_str()));
        for text in ["", " \n", "a\0b", &format!("{long}e")] {
            assert!(reason(text).unwrap_err().contains("500 characters"));
        }
    }

    #[test]
    fn a_page_goes_on_after_any_label() {
        for label in ["alice", "www", "a-1"] {
            assert_eq!(after(label).unwrap().as_str(), label);
        }
        for text in ["", "Alice", "a--b", "alice.dev", "\u{0}"] {
            assert!(after(text).is_none(), "{text}");
        }
    }
}
