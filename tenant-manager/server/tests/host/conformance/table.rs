//! The table of what conforms.

use super::{Cell, Row, Verdict};

/// Behaviours by columns.
pub struct Table<const N: usize> {
    columns: [&'static str; N],
    rows: Vec<(String, Vec<Verdict>)>,
}

impl<const N: usize> Table<N> {
    pub fn new(columns: [&'static str; N]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds `rows`, given the cells of each column.
    pub fn add<'a>(&mut self, rows: impl Iterator<Item = &'a Row>, columns: Vec<Vec<Verdict>>) {
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        for (name, _) in rows {
            let cells = columns.iter_mut().filter_map(Iterator::next).collect();
            self.rows.push(((*name).to_owned(), cells));
        }
    }

    /// Adds one row.
    pub fn push(&mut self, name: String, cells: Vec<Verdict>) {
        self.rows.push((name, cells));
    }

    /// Prints it, and fails if a cell does.
    pub fn finish(&self) {
        let width = self.rows.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or_default();
        let mut notes = Vec::new();
        let mut failures = Vec::new();
        println!("{:width$}  {}", "", self.columns.join("  "));
        for (name, cells) in &self.rows {
            let mut line = format!("{name:width$}");
            for (column, verdict) in self.columns.iter().zip(cells) {
                let (word, note) = match verdict {
                    Ok(Cell::Conforms) => ("ok", None),
                    Ok(Cell::NotApplicable(reason)) => ("n/a", Some(*reason)),
                    Err(reason) => {
                        failures.push(format!("{name} / {column}: {reason}"));
                        ("FAIL", Some(reason.as_str()))
                    }
                };
                line.push_str(&format!("  {word:^cell$}", cell = column.len()));
                if let Some(note) = note {
                    notes.push(format!("{name} / {column}: {word}, {note}"));
                }
            }
            println!("{}", line.trim_end());
        }
        for note in &notes {
            println!("{note}");
        }
        assert!(failures.is_empty(), "cells fail: {failures:#?}");
    }
}
