//! Makes text of tenants harmless for a terminal.
//!
//! Invariant: what comes out holds only printable characters, line feeds,
//! tabs, and complete SGR sequences (colours and weight). Everything that
//! could move the cursor, set titles or clipboards, or make the terminal type
//! an answer is swallowed together with its parameters. Text may come in any
//! pieces: the state carries over.

/// Longest parameters of an SGR sequence that is let through.
const MAX_SGR: usize = 48;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// In a control sequence; the parameters are collected.
    Control,
    /// In OSC, DCS, SOS, PM or APC, up to its terminator.
    Text,
    /// After ESC within [`State::Text`].
    TextEscape,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Filter {
    state: State,
    /// Parameters so far; `None` once they cannot be those of an SGR.
    sgr: Option<String>,
}

impl Filter {
    /// Appends what is harmless of `text` to `out`.
    pub(super) fn push(&mut self, text: &str, out: &mut String) {
        for c in text.chars() {
            self.push_char(c, out);
        }
    }

    fn push_char(&mut self, c: char, out: &mut String) {
        match (self.state, c) {
            // CAN and SUB abort any sequence.
            (_, '\u{18}' | '\u{1a}') => self.state = State::Ground,
            (State::Text, '\u{7}' | '\u{9c}') => self.state = State::Ground,
            (State::Text, '\u{1b}') => self.state = State::TextEscape,
            (State::Text, _) => {}
            (State::TextEscape, '\\') => self.state = State::Ground,
            // Any other escape ends the text and is one itself.
            (State::TextEscape | State::Escape, c) => self.after_escape(c),
            (_, '\u{1b}') => self.state = State::Escape,
            (_, '\u{9b}') => self.begin_control(),
            (_, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => self.state = State::Text,
            (State::Control, c) => self.in_control(c, out),
            (State::Ground, '\n' | '\t') => out.push(c),
            (State::Ground, c) if c.is_control() => {}
            (State::Ground, c) => out.push(c),
        }
    }

    fn after_escape(&mut self, c: char) {
        match c {
            '[' => self.begin_control(),
            ']' | 'P' | 'X' | '^' | '_' => self.state = State::Text,
            // Intermediates; the final character is still to come.
            ' '..='/' | '\u{1b}' => self.state = State::Escape,
            _ => self.state = State::Ground,
        }
    }

    fn begin_control(&mut self) {
        self.state = State::Control;
        self.sgr = Some(String::new());
    }

    fn in_control(&mut self, c: char, out: &mut String) {
        match c {
            '0'..='9' | ';' | ':' => {
                let short = |sgr: &String| sgr.len() < MAX_SGR;
                self.sgr = self.sgr.take().filter(short).map(|mut sgr| {
                    sgr.push(c);
                    sgr
                });
            }
            ' '..='?' => self.sgr = None,
            'm' => {
                if let Some(sgr) = self.sgr.take() {
                    out.push_str("\u{1b}[");
                    out.push_str(&sgr);
                    out.push('m');
                }
                self.state = State::Ground;
            }
            // Terminals obey control characters inside a sequence; we do not.
            c if c.is_control() => {}
            _ => self.state = State::Ground,
        }
    }
}

/// `text`, harmless: printable characters, line feeds, tabs and colours.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    Filter::default().push(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CORPUS: [(&str, &str); 24] = [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\r\nb\rc", "a\nbc"),
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[38:5:1mx\x1b[m", "\x1b[38:5:1mx\x1b[m"),
        // Clipboard, titles, hyperlinks.
        ("\x1b]52;c;ZXZpbA==\x07after", "after"),
        ("\x1b]0;title\x1b\\after", "after"),
        ("\u{9d}2;title\u{9c}after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        // Requests that a terminal answers by typing.
        ("\x1bP$q\"p\x1b\\x", "x"),
        ("\u{90}$qm\u{9c}x", "x"),
        ("\x1b[c\x1b[6n\x1b[5n\x1b[>q\x05x", "x"),
        // Cursor, screen, modes.
        ("\x1b[2Jx", "x"),
        ("\x1b[H\x1b[10;10Hx", "x"),
        ("\u{9b}2Jx", "x"),
        ("\u{9b}31mx", "\x1b[31mx"),
        ("\x1b[?1049hx\x1bc", "x"),
        ("\x1b(0x\x1b#8y\x1b M", "xy"),
        // Not SGR although they end in m.
        ("\x1b[?1mx\x1b[>4;2mx\x1b[ mx", "xxx"),
        ("\x1b^private\x1b\\x\x1b_app\x1b\\y\x1bXsos\x1b\\z", "xyz"),
        // Aborted, nested and endless ones.
        ("\x1b[31\x18x", "x"),
        ("\x1b]0;t\x1b[31mx", "\x1b[31mx"),
        ("\x1b[3\x1b[2Jx", "x"),
        ("\x08\x7f\u{85}\u{84}\x07x", "x"),
        ("\x1b]52;c;never ended", ""),
    ];

    #[test]
    fn the_corpus_is_inert_in_any_pieces() {
        for (given, wanted) in CORPUS {
            assert_eq!(harmless(given), wanted, "{given:?}");
            for (at, _) in given.char_indices() {
                let mut filter = Filter::default();
                let mut out = String::new();
                filter.push(&given[..at], &mut out);
                filter.push(&given[at..], &mut out);
                assert_eq!(out, wanted, "{given:?} split at {at}");
            }
        }
    }

    #[test]
    fn endless_parameters_cost_no_memory_and_do_not_pass() {
        assert_eq!(harmless(&format!("\x1b[{}mx", "1;".repeat(9999))), "x");
        for begin in ["\x1b]52;c;", "\x1bP$q", "\u{9d}0;"] {
            assert_eq!(
                harmless(&format!("{begin}{}\x1b\\x", "A".repeat(1 << 20))),
                "x"
            );
        }
    }

    #[test]
    fn a_sequence_cut_into_two_prints_does_neither_harm() {
        for (first, second, wanted) in [
            ("a\x1b]52;c;", "AAAA\x07b", "AAAAb"),
            ("a\x1b", "[2Jb", "[2Jb"),
            ("a\x1b[", "31mb", "31mb"),
            ("a\u{90}$q", "m\u{9c}b", "mb"),
        ] {
            assert_eq!(
                (harmless(first), harmless(second)),
                ("a".to_owned(), wanted.to_owned())
            );
        }
    }

    proptest! {
        #[test]
        fn only_text_and_colours_come_out(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("\x1b".to_owned()), Just("\x1b[".to_owned()), Just("\u{9b}".to_owned()),
                    Just("\x1b]".to_owned()), Just("\x1bP".to_owned()), Just("\x1b\\".to_owned()),
                    "[0-9;m?A-Z\u{0}-\u{1f}\u{7f}-\u{9f}]{0,6}", ".{0,4}",
                ],
                0..20,
            ),
        ) {
            let out = harmless(&parts.concat());
            let mut rest = out.as_str();
            while let Some(at) = rest.find('\x1b') {
                let after = &rest[at + 1..];
                let end = after.find('m').expect("every sequence ends in m");
                prop_assert!(after.starts_with('['));
                let ok = |c: char| c.is_ascii_digit() || c == ';' || c == ':';
                prop_assert!(after[1..end].chars().all(ok));
                rest = &after[end + 1..];
            }
            let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\x1b');
            prop_assert!(!out.contains(bad));
        }
    }
}
