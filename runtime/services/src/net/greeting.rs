//! Greetings of other nodes: one harmless line each, and not too many.

use std::collections::HashMap;
use std::time::Duration;

use lifecycle::{Rate, TokenBucket};
use node_types::NodeName;
use tokio::time::Instant;

/// Longest text shown, in characters.
const MAX_SHOWN: usize = 1000;
/// How often one node may greet.
const RATE: Rate = Rate {
    burst: 10,
    refill: Duration::from_secs(1),
};
/// Nodes remembered; a greeting over that is dropped.
const MAX_GREETERS: usize = 256;

/// Green and italic, and back to normal.
const STYLE: (&str, &str) = ("\x1b[3;32m", "\x1b[0m");

/// What is printed.
pub(super) fn line(from: &NodeName, body: &[u8]) -> String {
    // A character takes at most four bytes.
    let cut = body.get(..MAX_SHOWN * 4).unwrap_or(body);
    let text = String::from_utf8_lossy(cut);
    let mut characters = text.chars().filter(|c| !is_unprintable(*c));
    let shown: String = characters.by_ref().take(MAX_SHOWN).collect();
    let more = if characters.next().is_some() || cut.len() < body.len() {
        "…"
    } else {
        ""
    };
    format!("{}{from}: {shown}{more}{}", STYLE.0, STYLE.1)
}

/// Controls, and what changes the order of the text around it or hides in it.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Who greeted lately.
#[derive(Debug, Default)]
pub(super) struct Greeters(HashMap<NodeName, TokenBucket>);

impl Greeters {
    /// Whether one more greeting of `from` is to be shown.
    pub(super) fn may_greet(&mut self, from: &NodeName, now: Instant) -> bool {
        if !self.0.contains_key(from) && self.0.len() >= MAX_GREETERS {
            self.0.retain(|_, bucket| !bucket.is_full(now));
            if self.0.len() >= MAX_GREETERS {
                return false;
            }
        }
        self.0
            .entry(from.clone())
            .or_insert_with(|| TokenBucket::new(RATE, now))
            .take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeName {
        NodeName::new(name).unwrap()
    }

    #[test]
    fn a_greeting_is_one_coloured_line_of_bounded_length() {
        let plain = |body: &[u8]| line(&node("a.dev"), body);
        assert_eq!(plain(b"hello"), "\x1b[3;32ma.dev: hello\x1b[0m");
        assert_eq!(
            plain(b"\x1b]0;t\x07x\r\ny\x1b[0m"),
            "\x1b[3;32ma.dev: ]0;txy[0m\x1b[0m"
        );
        assert_eq!(
            plain("a\u{202e}b\u{9b}c".as_bytes()),
            "\x1b[3;32ma.dev: abc\x1b[0m"
        );
        let long = plain("é".repeat(100_000).as_bytes());
        assert_eq!(long.matches('é').count(), MAX_SHOWN);
        assert!(long.ends_with("…\x1b[0m"));
        let nothing_but_controls = plain(&[7; 100_000]);
        assert!(nothing_but_controls.len() < 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_cut_and_others_still_greet() {
        let mut greeters = Greeters::default();
        let now = Instant::now();
        let (flooder, other) = (node("flooder.dev"), node("other.dev"));
        let passed = (0..100).filter(|_| greeters.may_greet(&flooder, now));
        assert_eq!(passed.count(), RATE.burst as usize);
        assert!(greeters.may_greet(&other, now));
        assert!(greeters.may_greet(&flooder, now + RATE.refill));
        assert!(!greeters.may_greet(&flooder, now + RATE.refill));
    }

    #[tokio::test(start_paused = true)]
    async fn many_names_take_no_more_room() {
        let mut greeters = Greeters::default();
        let now = Instant::now();
        for number in 0..2 * MAX_GREETERS {
            greeters.may_greet(&node(&format!("n{number}")), now);
        }
        assert_eq!(greeters.0.len(), MAX_GREETERS);
        let later = now + RATE.refill * RATE.burst;
        assert!(greeters.may_greet(&node("late"), later));
    }
}
