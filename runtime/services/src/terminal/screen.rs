//! Draws the prompt and the line being edited, at any width.
//!
//! Owns where on the window the cursor was left. Invariant: between calls the
//! cursor is where the person types, and everything above the prompt is past
//! output, which is never touched again.

use std::fmt::Write as _;

use node_api::TerminalSize;
use node_types::NodeName;
use unicode_width::UnicodeWidthChar;

use super::editor::Editor;

/// Narrowest window that is believed.
const MIN_COLUMNS: u16 = 4;

/// Rows below the first character and the column, both from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    row: usize,
    column: usize,
}

/// A prompt on the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drawn {
    prompt: String,
    cursor: Place,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Screen {
    name: NodeName,
    /// What stands before the name.
    mark: String,
    columns: usize,
    drawn: Option<Drawn>,
}

impl Screen {
    /// A screen on which nothing is drawn yet.
    pub(super) fn new(name: &NodeName, size: TerminalSize) -> Self {
        Self {
            name: name.clone(),
            mark: String::new(),
            columns: usize::from(size.columns.max(MIN_COLUMNS)),
            drawn: None,
        }
    }

    /// Puts `mark` before the name, from the next drawing on.
    pub(super) fn set_mark(&mut self, mark: String) {
        self.mark = mark;
    }

    fn prompt(&self, editor: &Editor) -> String {
        let Self { mark, name, .. } = self;
        editor.label().unwrap_or_else(|| format!("{mark}{name} > "))
    }

    /// The place after `text` drawn from `from`. A terminal wraps when the
    /// next character comes, so a full row leaves the column at its width.
    fn advance(&self, from: Place, text: impl Iterator<Item = char>) -> Place {
        text.fold(from, |mut place, c| {
            let width = c.width().unwrap_or(0);
            if place.column + width > self.columns {
                place = Place {
                    row: place.row + 1,
                    column: 0,
                };
            }
            place.column += width;
            place
        })
    }

    /// `place`, on the next row if its own is full.
    fn settled(&self, place: Place) -> Place {
        if place.column < self.columns {
            return place;
        }
        Place {
            row: place.row + 1,
            column: 0,
        }
    }

    /// Where the cursor and the end of the line belong, behind `prompt`.
    fn layout(&self, prompt: &str, editor: &Editor) -> (Place, Place) {
        let (before, after) = editor.line().split_at(editor.cursor());
        let start = self.advance(Place::default(), prompt.chars());
        let cursor = self.advance(start, before.iter().copied());
        let end = self.settled(self.advance(cursor, after.iter().copied()));
        // A wide character that does not fit takes the cursor along.
        let cursor = match after.first().and_then(|c| c.width()) {
            Some(width) if cursor.column + width > self.columns => Place {
                row: cursor.row + 1,
                column: 0,
            },
            _ => self.settled(cursor),
        };
        (cursor, end)
    }

    /// Removes the prompt and the line from the window.
    pub(super) fn erase(&mut self, out: &mut String) {
        if let Some(drawn) = self.drawn.take() {
            out.push('\r');
            up(drawn.cursor.row, out);
            out.push_str("\u{1b}[J");
        }
    }

    /// Draws prompt and line; whatever was drawn before is replaced.
    pub(super) fn draw(&mut self, editor: &Editor, out: &mut String) {
        self.erase(out);
        let prompt = self.prompt(editor);
        let (cursor, end) = self.layout(&prompt, editor);
        out.push_str("\u{1b}[1;36m");
        out.push_str(&prompt);
        out.push_str("\u{1b}[0m");
        out.extend(editor.line());
        if end.column == 0 && end.row > 0 {
            // The last row is full: make the terminal wrap now.
            out.push_str("\r\n");
        }
        up(end.row - cursor.row, out);
        out.push('\r');
        right(cursor.column, out);
        self.drawn = Some(Drawn { prompt, cursor });
    }

    /// Leaves the line as it stands, with `mark` behind it, and goes below it.
    pub(super) fn leave(&mut self, editor: &Editor, mark: &str, out: &mut String) {
        let Some(drawn) = self.drawn.take() else {
            return;
        };
        let (_, end) = self.layout(&drawn.prompt, editor);
        let rows = end.row.saturating_sub(drawn.cursor.row);
        out.push('\r');
        if rows > 0 {
            // Writing to a String cannot fail.
            let _ = write!(out, "\u{1b}[{rows}B");
        }
        right(end.column, out);
        out.push_str(mark);
        if end.column > 0 || !mark.is_empty() {
            out.push_str("\r\n");
        }
    }

    /// What is drawn, to be given to [`Screen::restore`].
    pub(super) fn drawn(&self) -> Option<Drawn> {
        self.drawn.clone()
    }

    /// Takes back what was drawn but not sent; `None` = the cursor is on an
    /// empty row.
    pub(super) fn restore(&mut self, drawn: Option<Drawn>) {
        self.drawn = drawn;
    }

    /// Empties the window; the prompt comes to its top.
    pub(super) fn clear(&mut self, editor: &Editor, out: &mut String) {
        out.push_str("\u{1b}[H\u{1b}[2J");
        self.drawn = None;
        self.draw(editor, out);
    }

    /// Adapts to a window of `size`. Terminals re-wrap what they show, so the
    /// cursor is where the new width puts it.
    pub(super) fn resize(&mut self, size: TerminalSize, editor: &Editor, out: &mut String) {
        self.columns = usize::from(size.columns.max(MIN_COLUMNS));
        if let Some(mut drawn) = self.drawn.take() {
            drawn.cursor = self.layout(&drawn.prompt, editor).0;
            self.drawn = Some(drawn);
            self.draw(editor, out);
        }
    }

    /// Puts `text` (harmless, lines ended by `\n`) above the prompt.
    pub(super) fn print(&mut self, text: &str, editor: &Editor, out: &mut String) {
        self.erase(out);
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            out.push_str(line);
            out.push_str("\r\n");
        }
        if text.contains('\u{1b}') {
            out.push_str("\u{1b}[0m");
        }
        self.draw(editor, out);
    }
}

fn up(rows: usize, out: &mut String) {
    if rows > 0 {
        let _ = write!(out, "\u{1b}[{rows}A");
    }
}

fn right(columns: usize, out: &mut String) {
    if columns > 0 {
        let _ = write!(out, "\u{1b}[{columns}C");
    }
}
