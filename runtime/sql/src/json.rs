//! Rows as JSON: an array of objects from column names to values.
//!
//! Invariant: no more than the limit is ever held. Of columns with one name
//! the last wins, as in a map.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::types::ValueRef;
use rusqlite::{Rows, Statement};

/// Why rows could not be written down.
#[derive(Debug)]
pub(crate) enum Failed {
    /// They are longer than they may be.
    TooLarge,
    /// SQLite could not go on.
    Sqlite(rusqlite::Error),
}

/// Bytes written so far, never more than the limit.
struct Bounded {
    out: Vec<u8>,
    limit: usize,
}

impl Bounded {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        if self.limit - self.out.len() < bytes.len() {
            return Err(Failed::TooLarge);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes)
            .map_err(|_| io::ErrorKind::FileTooLarge.into())
            .map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all rows.
pub(crate) fn write(rows: &mut Rows<'_>, limit: usize) -> Result<Vec<u8>, Failed> {
    // Known with the first row only: SQLite reads a statement anew when the
    // tables it names have changed.
    let mut columns = None;
    let mut to = Bounded {
        out: Vec::new(),
        limit,
    };
    to.push(b"[")?;
    while let Some(row) = rows.next().map_err(Failed::Sqlite)? {
        to.push(if columns.is_some() { b",{" } else { b"{" })?;
        let columns = columns.get_or_insert_with(|| columns_of(row.as_ref()));
        let mut first = true;
        for (at, name) in columns {
            if !first {
                to.push(b",")?;
            }
            first = false;
            to.push(name)?;
            write_value(&mut to, row.get_ref(*at).map_err(Failed::Sqlite)?)?;
        }
        to.push(b"}")?;
    }
    to.push(b"]")?;
    Ok(to.out)
}

/// The place of each column that is written, and its name with a colon.
fn columns_of(statement: &Statement<'_>) -> Vec<(usize, Vec<u8>)> {
    let names = statement.column_names();
    let mut last = std::collections::HashMap::new();
    for (at, name) in names.iter().enumerate() {
        last.insert(name, at);
    }
    let written = names
        .iter()
        .enumerate()
        .filter(|(at, name)| last[name] == *at);
    written
        .map(|(at, name)| {
            let mut name = serde_json::Value::from(*name).to_string();
            name.push(':');
            (at, name.into_bytes())
        })
        .collect()
}

fn write_value(to: &mut Bounded, value: ValueRef<'_>) -> Result<(), Failed> {
    match value {
        ValueRef::Null => to.push(b"null"),
        ValueRef::Integer(number) => to.push(number.to_string().as_bytes()),
        // What is no number in JSON becomes null.
        ValueRef::Real(number) => to.push(serde_json::Value::from(number).to_string().as_bytes()),
        ValueRef::Text(text) => {
            serde_json::to_writer(to, &String::from_utf8_lossy(text)).map_err(|_| Failed::TooLarge)
        }
        ValueRef::Blob(bytes) => {
            to.push(b"\"")?;
            let start = to.out.len();
            let room = base64::encoded_len(bytes.len(), true).unwrap_or(usize::MAX);
            if to.limit - start < room {
                return Err(Failed::TooLarge);
            }
            to.out.resize(start + room, 0);
            STANDARD
                .encode_slice(bytes, &mut to.out[start..])
                .map_err(|_| Failed::TooLarge)?;
            to.push(b"\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn rows(sql: &str, limit: usize) -> Result<String, Failed> {
        let connection = Connection::open_in_memory().unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let written = write(&mut statement.query([]).unwrap(), limit);
        written.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_type_has_its_form() {
        let sql = "SELECT 1 AS a, 2.5 AS b, 'x\"\u{e9}' AS \"c\"\"\", x'00ff' AS d, NULL AS e,
                   1e999 AS f, CAST(x'61ff' AS TEXT) AS g, 3 AS a";
        let expected = concat!(
            r#"[{"b":2.5,"c\"":"x\"é","d":"AP8=","e":null,"f":null,"g":"a"#,
            "\u{fffd}",
            r#"","a":3}]"#
        );
        assert_eq!(rows(sql, 1000).unwrap(), expected);
        assert_eq!(rows("SELECT 1 WHERE 0", 10).unwrap(), "[]");
        assert_eq!(
            rows("VALUES (1), (2)", 99).unwrap(),
            r#"[{"column1":1},{"column1":2}]"#
        );
    }

    #[test]
    fn no_more_than_the_limit_is_written() {
        let sql = "SELECT 'abc' AS a, x'000000' AS b";
        let whole = rows(sql, 100).unwrap();
        assert_eq!(rows(sql, whole.len()).unwrap(), whole);
        for limit in 0..whole.len() {
            assert!(matches!(rows(sql, limit), Err(Failed::TooLarge)), "{limit}");
        }
    }
}
