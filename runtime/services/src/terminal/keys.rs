//! Bytes of a terminal in raw mode, as keys.
//!
//! Keeps what is incomplete until the rest comes; bounded by the longest
//! sequence it knows. Unknown sequences are swallowed whole.

/// Longest parameters of a sequence.
const MAX_PARAMS: usize = 16;

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A printable character.
    Char(char),
    /// Return.
    Enter,
    /// The key left of the cursor goes.
    Backspace,
    /// The key under the cursor goes.
    Delete,
    /// Cursor keys and their like.
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    WordLeft,
    WordRight,
    /// A letter with Ctrl held.
    Ctrl(char),
    /// Escape alone: see [`Keys::take_escape`].
    Escape,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    Escape,
    /// After ESC `[`.
    Control(Vec<u8>),
    /// After ESC `O`.
    Single,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Keys {
    state: State,
    /// Bytes of an unfinished UTF-8 character.
    utf8: Vec<u8>,
    after_return: bool,
    /// Between the marks that terminals put around pasted text.
    pasting: bool,
}

impl Keys {
    /// The key that `byte` completes, if any.
    pub(super) fn push(&mut self, byte: u8) -> Option<Key> {
        match std::mem::take(&mut self.state) {
            State::Ground => self.ground(byte),
            State::Escape => self.escape(byte),
            State::Single => cursor_key(byte),
            State::Control(mut params) => {
                if (0x40..=0x7e).contains(&byte) {
                    return self.control(&params, byte);
                }
                if params.len() < MAX_PARAMS {
                    params.push(byte);
                }
                self.state = State::Control(params);
                None
            }
        }
    }

    /// Whether the last byte was an escape, which may be a key or the
    /// beginning of a sequence.
    pub(super) fn is_escape_pending(&self) -> bool {
        matches!(self.state, State::Escape)
    }

    /// The escape as a key, once nothing has followed it.
    pub(super) fn take_escape(&mut self) -> Option<Key> {
        self.is_escape_pending().then(|| {
            self.state = State::Ground;
            Key::Escape
        })
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        if byte >= 0x80 {
            return self.utf8(byte);
        }
        self.utf8.clear();
        match byte {
            0x1b => {
                self.state = State::Escape;
                None
            }
            // Pasted lines must not run before the person says so.
            b'\r' | b'\n' | b'\t' if self.pasting => {
                (byte != b'\n' || !after_return).then_some(Key::Char(' '))
            }
            b'\n' if after_return => None,
            b'\r' | b'\n' => Some(Key::Enter),
            0x08 | 0x7f => Some(Key::Backspace),
            0x01..=0x1a => Some(Key::Ctrl(char::from(byte - 1 + b'a'))),
            b' '..=b'~' => Some(Key::Char(char::from(byte))),
            _ => None,
        }
    }

    fn utf8(&mut self, byte: u8) -> Option<Key> {
        if byte & 0xc0 != 0x80 {
            self.utf8.clear();
        }
        self.utf8.push(byte);
        match std::str::from_utf8(&self.utf8) {
            Ok(text) => {
                let key = text.chars().next().filter(|c| !c.is_control());
                self.utf8.clear();
                key.map(Key::Char)
            }
            // More bytes may complete it.
            Err(error) if error.error_len().is_none() => None,
            Err(_) => {
                self.utf8.clear();
                None
            }
        }
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'[' => self.state = State::Control(Vec::new()),
            b'O' => self.state = State::Single,
            0x1b => self.state = State::Escape,
            b'b' => return Some(Key::WordLeft),
            b'f' => return Some(Key::WordRight),
            0x7f | 0x08 => return Some(Key::Ctrl('w')),
            _ => {}
        }
        None
    }

    fn control(&mut self, params: &[u8], last: u8) -> Option<Key> {
        match (params, last) {
            (b"200", b'~') => self.pasting = true,
            (b"201", b'~') => self.pasting = false,
            (b"1" | b"7", b'~') => return Some(Key::Home),
            (b"4" | b"8", b'~') => return Some(Key::End),
            (b"3", b'~') => return Some(Key::Delete),
            // Alt or Ctrl with a cursor key.
            (b"1;5" | b"1;3", b'C') => return Some(Key::WordRight),
            (b"1;5" | b"1;3", b'D') => return Some(Key::WordLeft),
            (b"", last) => return cursor_key(last),
            _ => {}
        }
        None
    }
}

fn cursor_key(last: u8) -> Option<Key> {
    match last {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|byte| keys.push(*byte)).collect()
    }

    #[test]
    fn sequences_of_the_usual_terminals() {
        use Key::{Char, Ctrl, Delete, Down, End, Enter, Home, Left, Right, Up, WordLeft};
        for (bytes, wanted) in [
            (
                &b"a\x1b[A\x1bOB\x1b[C\x1b[D"[..],
                vec![Char('a'), Up, Down, Right, Left],
            ),
            (
                b"\x1b[H\x1b[F\x1bOH\x1b[1~\x1b[4~\x1b[3~",
                vec![Home, End, Home, Home, End, Delete],
            ),
            ("é漢🙂".as_bytes(), vec![Char('é'), Char('漢'), Char('🙂')]),
            (b"\xff\xc3a\xa9b", vec![Char('a'), Char('b')]),
            (b"\r\n\n\r\r", vec![Enter, Enter, Enter, Enter]),
            (
                b"\x01\x05\x15\x1bb\x1b[1;5D",
                vec![Ctrl('a'), Ctrl('e'), Ctrl('u'), WordLeft, WordLeft],
            ),
            (
                b"\x1b[200~a\r\nb\x1b[201~\r",
                vec![Char('a'), Char(' '), Char('b'), Enter],
            ),
            (
                b"\x1b[9999999999999999999999;5zx\x1b[Ix",
                vec![Char('x'), Char('x')],
            ),
            ("\u{9b}\u{80}x".as_bytes(), vec![Char('x')]),
        ] {
            assert_eq!(keys(bytes), wanted, "{bytes:?}");
        }
    }
}
