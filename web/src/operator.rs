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

#[cfg(test)]
mod tests {
    use super::*;

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
