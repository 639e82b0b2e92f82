//! As much of SQL's spelling as is needed before SQLite sees a statement: its
//! first word, and the words of the few that we carry out ourselves.
//!
//! Invariant: nothing is allowed because of what is read here; the
//! authorizer and SQLite's own parser decide. Pure.

use crate::SqlError;

/// What a read may begin with.
const READS: [&str; 8] = [
    "ANALYZE", "ATTACH", "BEGIN", "EXPLAIN", "PRAGMA", "SELECT", "VALUES", "WITH",
];

/// What a write may begin with. One that begins with WITH is seen to write
/// when SQLite has read it.
const WRITES: [&str; 18] = [
    "ALTER",
    "ANALYZE",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DETACH",
    "DROP",
    "END",
    "INSERT",
    "REINDEX",
    "RELEASE",
    "RENAME",
    "REPLACE",
    "ROLLBACK",
    "SAVEPOINT",
    "UPDATE",
    "VACUUM",
    "WITH",
];

/// Whether the text begins like a read.
///
/// # Errors
/// [`SqlError::NotARead`] when it does not.
pub fn check_read(sql: &str) -> Result<(), SqlError> {
    if READS.contains(&first_word(sql).as_str()) {
        Ok(())
    } else {
        Err(SqlError::NotARead)
    }
}

/// Whether the text begins like a write.
///
/// # Errors
/// [`SqlError::NotAWrite`] when it does not.
pub fn check_write(sql: &str) -> Result<(), SqlError> {
    if WRITES.contains(&first_word(sql).as_str()) {
        Ok(())
    } else {
        Err(SqlError::NotAWrite)
    }
}

/// The first word in upper case; empty if there is none.
pub(crate) fn first_word(sql: &str) -> String {
    match Tokens::new(sql).next() {
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        _ => String::new(),
    }
}

/// Whether the text can only be one statement: it has no semicolon but at its
/// end, so that nothing follows it whatever its quotes and comments are.
pub(crate) fn is_single(sql: &str) -> bool {
    let end = |c: char| c == ';' || c.is_ascii_whitespace();
    !sql.trim_end_matches(end).contains(';')
}

/// A piece of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A name, keyword or number.
    Word(&'a str),
    /// The content of anything in quotes.
    Quoted(&'a str),
    /// Any other character.
    Sign(char),
}

/// The pieces of a text, without whitespace and comments.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(sql: &'a str) -> Self {
        Self { rest: sql }
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self
                .rest
                .trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}');
            let after = if let Some(comment) = rest.strip_prefix("--") {
                comment.find('\n').map_or("", |end| &comment[end..])
            } else if let Some(comment) = rest.strip_prefix("/*") {
                comment.find("*/").map_or("", |end| &comment[end + 2..])
            } else {
                self.rest = rest;
                return;
            };
            self.rest = after;
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_$.".contains(c) || !c.is_ascii()
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        let first = self.rest.chars().next()?;
        let after = &self.rest[first.len_utf8()..];
        let closing = match first {
            '\'' | '"' | '`' => Some(first),
            '[' => Some(']'),
            _ => None,
        };
        if let Some(end) = closing.and_then(|closing| after.find(closing)) {
            self.rest = &after[end + 1..];
            return Some(Token::Quoted(&after[..end]));
        }
        if is_of_word(first) {
            let end = self
                .rest
                .find(|c| !is_of_word(c))
                .unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Token::Word(word));
        }
        self.rest = after;
        Some(Token::Sign(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_stands_behind_comments() {
        for (sql, word) in [
            ("select 1", "SELECT"),
            ("  \n-- a comment\n /* another */ Values(1)", "VALUES"),
            ("SELECT*FROM t", "SELECT"),
            ("", ""),
            ("-- only this", ""),
            ("/* open", ""),
            ("(SELECT 1)", ""),
            ("'SELECT'", ""),
        ] {
            assert_eq!(first_word(sql), word, "{sql}");
        }
    }

    #[test]
    fn reads_and_writes_are_told_by_it() {
        assert!(check_read("PRAGMA x").is_ok() && check_write("PRAGMA x").is_err());
        assert!(check_write("drop table t").is_ok() && check_read("drop table t").is_err());
        assert!(check_write("WITH a AS (SELECT 1) DELETE FROM t").is_ok());
        assert!(check_read("nonsense").is_err() && check_write("").is_err());
    }

    #[test]
    fn one_statement_has_a_semicolon_at_its_end_at_most() {
        assert!(is_single("SELECT 1") && is_single("SELECT 1 ; ;\n"));
        assert!(!is_single("SELECT 1; SELECT 2") && !is_single("SELECT ';'"));
    }

    #[test]
    fn quoted_names_and_signs_are_pieces() {
        let tokens: Vec<_> = Tokens::new("PRAGMA [a b].\"c\"=-1;").collect();
        let expected = [
            Token::Word("PRAGMA"),
            Token::Quoted("a b"),
            Token::Word("."),
            Token::Quoted("c"),
            Token::Sign('='),
            Token::Sign('-'),
            Token::Word("1"),
            Token::Sign(';'),
        ];
        assert_eq!(tokens, expected);
    }
}
