//! A statement with its parameters, as an app sends it.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// A value bound to a `?` of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL; not-a-number is bound as NULL.
    Real(f64),
    /// TEXT.
    Text(String),
    /// BLOB.
    Blob(Vec<u8>),
}

/// SQL and what is bound to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// One SQL statement.
    pub sql: String,
    /// One value for each of its parameters, in order.
    pub params: Vec<Param>,
}

impl Statement {
    /// Bytes of text and values.
    pub(crate) fn bytes(&self) -> usize {
        let params = self.params.iter().map(|param| match param {
            Param::Null | Param::Integer(_) | Param::Real(_) => 8,
            Param::Text(text) => text.len(),
            Param::Blob(bytes) => bytes.len(),
        });
        self.sql.len() + params.sum::<usize>()
    }
}

impl ToSql for Param {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
