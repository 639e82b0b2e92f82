//! Output that a person holds back, to look at it print by print.
//!
//! Invariant: at most [`PRINTS`] prints of [`BYTES`] together; those that find
//! no room are counted, and a note stands at their place.

use std::collections::VecDeque;

/// Most prints.
const PRINTS: usize = 1000;
/// Most bytes.
const BYTES: usize = 256 << 10;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Hold {
    waiting: VecDeque<String>,
    bytes: usize,
    lost: u64,
}

impl Hold {
    /// Keeps one more, if there is room.
    pub(super) fn push(&mut self, text: String) {
        if self.waiting.len() >= PRINTS || self.bytes + text.len() > BYTES {
            self.lost += 1;
            return;
        }
        self.note_loss();
        self.bytes += text.len();
        self.waiting.push_back(text);
    }

    /// Counts prints that did not get here.
    pub(super) fn lose(&mut self, count: u64) {
        self.lost += count;
    }

    fn note_loss(&mut self) {
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            self.waiting.push_back(format!(
                "\u{1b}[2m[{lost} prints were not shown: more came than is held]\u{1b}[0m"
            ));
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The oldest.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.waiting.is_empty() {
            self.note_loss();
        }
        let text = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(text.len());
        Some(text)
    }

    /// All of them, one below the other.
    pub(super) fn all(mut self) -> String {
        let mut all = String::with_capacity(self.bytes + self.waiting.len());
        while let Some(text) = self.next() {
            all.push_str(text.strip_suffix('\n').unwrap_or(&text));
            if text.contains('\u{1b}') {
                // No colour is left to the next one.
                all.push_str("\u{1b}[0m");
            }
            all.push('\n');
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_at_its_place() {
        let mut hold = Hold::default();
        for n in 0..PRINTS + 2 {
            hold.push(format!("{n}"));
        }
        assert_eq!(hold.next().as_deref(), Some("0"));
        hold.lose(3);
        hold.push("later".to_owned());
        assert_eq!(hold.len(), PRINTS + 1);
        hold.push("x".repeat(BYTES));
        let all = hold.all();
        let last: Vec<&str> = all.lines().rev().take(3).collect();
        assert!(
            last[0].contains("[1 prints") && last[1] == "later" && last[2].contains("[5 prints")
        );
        assert_eq!(all.lines().count(), PRINTS + 2);
    }

    #[test]
    fn colours_do_not_run_on() {
        let mut hold = Hold::default();
        for text in ["\u{1b}[31mred\n", "plain"] {
            hold.push(text.to_owned());
        }
        assert_eq!(hold.all(), "\u{1b}[31mred\u{1b}[0m\nplain\n");
        assert_eq!(Hold::default().all(), "");
    }
}
