//! The line being edited: what keys do to it.
//!
//! Knows nothing of screens. Invariants: the line is at most [`MAX_LINE`]
//! bytes; steps to the left and right pass combining marks together with the
//! character they are drawn over.

use unicode_width::UnicodeWidthChar;

use super::keys::Key;
use super::search::Search;

/// Longest line, bytes.
pub(super) const MAX_LINE: usize = 16 << 10;

/// What a key asks for beyond a change of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// The line changed, or nothing did.
    None,
    /// This line was entered.
    Line(String),
    /// The line was thrown away (Ctrl+C).
    Cancelled,
    /// The person wants to leave (Ctrl+D on an empty line).
    Leave,
    /// Ctrl+L.
    ClearScreen,
    /// Ctrl+V.
    CycleVerbosity,
    /// Ctrl+S: hold the output, or show the next print.
    Step,
    /// Ctrl+Q: let the output go on.
    Resume,
    /// Nothing could be done.
    Bell,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Editor {
    line: Vec<char>,
    bytes: usize,
    cursor: usize,
    /// Position in the history, and the line that was being written.
    browsing: Option<(usize, Vec<char>)>,
    /// A search, and the line and cursor from before it.
    search: Option<(Search, Vec<char>, usize)>,
    /// What was searched for last.
    last_query: String,
}

impl Editor {
    /// The characters of the line.
    pub(super) fn line(&self) -> &[char] {
        &self.line
    }

    /// Index of the character under the cursor.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// What stands before the line instead of the prompt, during a search.
    pub(super) fn label(&self) -> Option<String> {
        self.search.as_ref().map(|(search, ..)| search.label())
    }

    /// Whether a search goes on.
    pub(super) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Ends a search with the line that it found; whether there was one.
    pub(super) fn end_search(&mut self) -> bool {
        let Some((search, line, _)) = self.search.take() else {
            return false;
        };
        search.query().clone_into(&mut self.last_query);
        // Arrows go on from there.
        self.browsing = search.found().map(|at| (at, line));
        true
    }

    /// Lets `key` act. `history` is oldest first.
    pub(super) fn press(&mut self, key: Key, history: &[String]) -> Action {
        if self.is_searching()
            && let Some(action) = self.press_searching(key, history)
        {
            return action;
        }
        match key {
            Key::Char(c) => return self.insert(c),
            Key::Enter => return Action::Line(self.take()),
            Key::Backspace | Key::Ctrl('h') => self.delete(self.before(), self.cursor),
            Key::Delete => self.delete(self.cursor, self.after()),
            Key::Left | Key::Ctrl('b') => self.cursor = self.before(),
            Key::Right | Key::Ctrl('f') => self.cursor = self.after(),
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = self.line.len(),
            Key::WordLeft => self.cursor = self.word_before(),
            Key::WordRight => self.cursor = self.word_after(),
            Key::Ctrl('u') => self.delete(0, self.cursor),
            Key::Ctrl('k') => self.delete(self.cursor, self.line.len()),
            Key::Ctrl('w') => self.delete(self.word_before(), self.cursor),
            Key::Up | Key::Ctrl('p') => return self.older(history),
            Key::Down | Key::Ctrl('n') => self.newer(history),
            Key::Ctrl('c') => {
                self.take();
                return Action::Cancelled;
            }
            Key::Ctrl('d') if self.line.is_empty() => return Action::Leave,
            Key::Ctrl('d') => self.delete(self.cursor, self.after()),
            Key::Ctrl('l') => return Action::ClearScreen,
            Key::Ctrl('v') => return Action::CycleVerbosity,
            Key::Ctrl('s') => return Action::Step,
            Key::Ctrl('q') => return Action::Resume,
            Key::Ctrl('r') => {
                self.search = Some((Search::default(), self.line.clone(), self.cursor));
            }
            Key::Ctrl(_) | Key::Escape => {}
        }
        Action::None
    }

    /// What `key` means to a search; `None` = the same as without one.
    fn press_searching(&mut self, key: Key, history: &[String]) -> Option<Action> {
        let (search, line, cursor) = self.search.as_mut()?;
        let fits = match key {
            Key::Char(c) => search.push(c, history),
            Key::Backspace | Key::Ctrl('h') => {
                search.pop(history);
                true
            }
            Key::Ctrl('r') => {
                search.older(&self.last_query, history);
                true
            }
            Key::Ctrl('g' | 'c') => {
                let (line, cursor) = (std::mem::take(line), *cursor);
                self.search = None;
                self.restore(line, cursor);
                return Some(Action::None);
            }
            // These concern the screen.
            Key::Ctrl('l' | 'q' | 's' | 'v') => return None,
            _ => {
                self.end_search();
                return None;
            }
        };
        let bell = !fits || search.is_failing();
        let found = search.found().and_then(|at| history.get(at));
        match found {
            Some(found) => {
                let at = found.find(search.query()).unwrap_or(0);
                let cursor = found.get(..at).map_or(0, |before| before.chars().count());
                let found = found.chars().collect();
                self.restore(found, cursor);
            }
            None => {
                let (line, cursor) = (line.clone(), *cursor);
                self.restore(line, cursor);
            }
        }
        Some(if bell { Action::Bell } else { Action::None })
    }

    fn insert(&mut self, c: char) -> Action {
        if self.bytes + c.len_utf8() > MAX_LINE {
            return Action::Bell;
        }
        self.bytes += c.len_utf8();
        self.line.insert(self.cursor, c);
        self.cursor += 1;
        Action::None
    }

    fn delete(&mut self, from: usize, to: usize) {
        self.bytes -= self.line.drain(from..to).map(char::len_utf8).sum::<usize>();
        self.cursor = from;
    }

    fn take(&mut self) -> String {
        self.end_search();
        self.browsing = None;
        self.cursor = 0;
        self.bytes = 0;
        std::mem::take(&mut self.line).into_iter().collect()
    }

    fn set(&mut self, line: Vec<char>) {
        let end = line.len();
        self.restore(line, end);
    }

    fn restore(&mut self, line: Vec<char>, cursor: usize) {
        self.bytes = line.iter().map(|c| c.len_utf8()).sum();
        self.cursor = cursor;
        self.line = line;
    }

    fn before(&self) -> usize {
        let mut at = self.cursor.saturating_sub(1);
        while at > 0 && self.combines(at) {
            at -= 1;
        }
        at
    }

    fn after(&self) -> usize {
        let mut at = (self.cursor + 1).min(self.line.len());
        while at < self.line.len() && self.combines(at) {
            at += 1;
        }
        at
    }

    /// Whether the character at `at` is drawn over the one before it.
    fn combines(&self, at: usize) -> bool {
        self.line.get(at).is_some_and(|c| c.width() == Some(0))
    }

    fn blank(&self, at: usize) -> bool {
        self.line.get(at).is_none_or(|c| c.is_whitespace())
    }

    fn word_before(&self) -> usize {
        let mut at = self.cursor;
        while at > 0 && self.blank(at - 1) {
            at -= 1;
        }
        while at > 0 && !self.blank(at - 1) {
            at -= 1;
        }
        at
    }

    fn word_after(&self) -> usize {
        let mut at = self.cursor;
        while at < self.line.len() && self.blank(at) {
            at += 1;
        }
        while at < self.line.len() && !self.blank(at) {
            at += 1;
        }
        at
    }

    fn older(&mut self, history: &[String]) -> Action {
        let at = self.browsing.as_ref().map_or(history.len(), |(at, _)| *at);
        let Some(line) = at.checked_sub(1).and_then(|at| history.get(at)) else {
            return Action::Bell;
        };
        let line = line.chars().collect();
        match &mut self.browsing {
            Some((position, _)) => *position = at - 1,
            None => self.browsing = Some((at - 1, self.line.clone())),
        }
        self.set(line);
        Action::None
    }

    fn newer(&mut self, history: &[String]) {
        let Some((at, written)) = self.browsing.take() else {
            return;
        };
        match history.get(at + 1) {
            Some(line) => {
                self.set(line.chars().collect());
                self.browsing = Some((at + 1, written));
            }
            None => self.set(written),
        }
    }
}
