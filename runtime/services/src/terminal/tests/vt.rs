//! A terminal window, just good enough to see what a person sees. Sequences
//! that the module has no business sending make the test fail.

use unicode_width::UnicodeWidthChar;

pub(super) struct Vt {
    columns: usize,
    rows: usize,
    /// All rows ever shown, the window being the last ones.
    grid: Vec<Vec<char>>,
    top: usize,
    row: usize,
    column: usize,
    escape: Option<String>,
}

/// Stands in the second cell of a wide character.
const SECOND: char = '\u{0}';

impl Vt {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self {
            columns,
            rows,
            grid: vec![vec![' '; columns]],
            top: 0,
            row: 0,
            column: 0,
            escape: None,
        }
    }

    pub(super) fn feed(&mut self, text: &str) {
        for c in text.chars() {
            match self.escape.take() {
                Some(mut escape) => {
                    escape.push(c);
                    if escape.len() > 1 && ('@'..='~').contains(&c) {
                        self.control(&escape);
                    } else {
                        self.escape = Some(escape);
                    }
                }
                None => self.plain(c),
            }
        }
    }

    fn plain(&mut self, c: char) {
        match c {
            '\u{1b}' => self.escape = Some(String::new()),
            '\r' => self.column = 0,
            '\n' => self.line_feed(),
            '\u{7}' => {}
            c => {
                let width = c
                    .width()
                    .unwrap_or_else(|| panic!("control character {c:?}"));
                if width == 0 {
                    return;
                }
                if self.column + width > self.columns {
                    self.column = 0;
                    self.line_feed();
                }
                let row = &mut self.grid[self.row];
                row[self.column] = c;
                if width == 2 {
                    row[self.column + 1] = SECOND;
                }
                self.column += width;
            }
        }
    }

    fn line_feed(&mut self) {
        self.row += 1;
        if self.row == self.grid.len() {
            self.grid.push(vec![' '; self.columns]);
        }
        self.top = self.top.max((self.row + 1).saturating_sub(self.rows));
    }

    fn control(&mut self, sequence: &str) {
        let inner = sequence
            .strip_prefix('[')
            .unwrap_or_else(|| panic!("ESC {sequence:?}"));
        let (params, last) = inner.split_at(inner.len() - 1);
        let count = params.parse().unwrap_or(1);
        // Cursor movement ends a pending wrap.
        let column = self.column.min(self.columns - 1);
        match (params, last) {
            (_, "m") => {}
            (_, "A") => {
                (self.row, self.column) = (self.row.saturating_sub(count).max(self.top), column)
            }
            (_, "B") => {
                (self.row, self.column) = ((self.row + count).min(self.grid.len() - 1), column)
            }
            (_, "C") => self.column = (column + count).min(self.columns - 1),
            ("", "H") => (self.row, self.column) = (self.top, 0),
            ("", "J") => {
                self.grid.truncate(self.row + 1);
                self.grid[self.row][column..].fill(' ');
            }
            ("2", "J") => {
                self.grid.truncate(self.top);
                self.grid.push(vec![' '; self.columns]);
                assert_eq!((self.row, self.column), (self.top, 0));
            }
            _ => panic!("unexpected sequence ESC {sequence:?}"),
        }
    }

    /// Every row from the first on, without blanks at the end.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = |row: &Vec<char>| -> String {
            let text: String = row.iter().filter(|c| **c != SECOND).collect();
            text.trim_end().to_owned()
        };
        self.grid.iter().map(text).collect()
    }

    /// What a line feed away from the cursor is shown: row and column.
    pub(super) fn cursor(&self) -> (usize, usize) {
        (self.row, self.column)
    }

    /// Re-wraps the last `rows` rows to `columns`, as terminals do, with the
    /// cursor staying at its character.
    pub(super) fn rewrap(&mut self, columns: usize, rows: usize) {
        let first = self.grid.len() - rows;
        let cells: Vec<char> = self.grid.drain(first..).flatten().collect();
        let used = cells.iter().rposition(|c| *c != ' ').map_or(0, |at| at + 1);
        let at = (self.row - first) * self.columns + self.column;
        self.columns = columns;
        for row in &mut self.grid {
            row.resize(columns, ' ');
        }
        for chunk in cells[..used.max(at + 1).min(cells.len())].chunks(columns) {
            let mut row = chunk.to_vec();
            row.resize(columns, ' ');
            self.grid.push(row);
        }
        (self.row, self.column) = (first + at / columns, at % columns);
    }
}
