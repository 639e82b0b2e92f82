//! What can go wrong with a database, as callers branch on it.

use std::io;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::NoRoom;
use crate::meter::Verdict;

/// Why a database could not do it. The texts are shown to apps and name no
/// path of the host.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// There is no such database.
    #[error("the database does not exist: open it first")]
    NoDb,
    /// The statement does not begin like a read, or it would write.
    #[error("the statement is not a read: send it as a write")]
    NotARead,
    /// The statement does not begin like a write, or it would only read.
    #[error("the statement is not a write: send it as a read")]
    NotAWrite,
    /// The parameters do not fit the statement.
    #[error("{0}")]
    Params(String),
    /// The statement ran, or waited for others, for longer than it may.
    #[error("the statement did not finish in the time it may take: do less at once")]
    Deadline,
    /// The node stops, or the database is being removed.
    #[error("the statement was interrupted: the node stops or the database is removed")]
    Interrupted,
    /// The statement needed more memory than it may.
    #[error(
        "the statement needs more memory than it may use: sort, group, join or nest less at once"
    )]
    Memory,
    /// The answer is longer than it may be.
    #[error("the answer has more than {limit} bytes: select fewer rows or columns")]
    TooLarge {
        /// Bytes of the longest answer.
        limit: usize,
    },
    /// The node's disk is full by its plan. Reads go on, and so does deleting
    /// in small steps.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// SQL that is not allowed here.
    #[error("{0}")]
    Denied(String),
    /// Anything else SQLite says about the statement or the database.
    #[error("{0}")]
    Sql(String),
    /// The volume failed or is full. The database stays usable.
    #[error("the host's disk failed: {0}")]
    Io(#[from] io::Error),
    /// The databases were closed: the node stops.
    #[error("the databases are closed: the node stops")]
    Closed,
}

impl SqlError {
    /// Says which statement of a transaction failed, where there is a text.
    pub(crate) fn in_statement(self, number: usize, of: usize) -> Self {
        let place = |text: String| format!("statement {number} of {of}: {text}");
        match self {
            Self::Params(text) => Self::Params(place(text)),
            Self::Denied(text) => Self::Denied(place(text)),
            Self::Sql(text) => Self::Sql(place(text)),
            other => other,
        }
    }

    /// What an error of SQLite means, given why the meter stopped the
    /// statement and what the authorizer refused in it.
    pub(crate) fn of(
        error: rusqlite::Error,
        verdict: Option<Verdict>,
        denied: Option<String>,
    ) -> Self {
        if let Some(text) = denied {
            return Self::Denied(text);
        }
        match error {
            rusqlite::Error::SqliteFailure(code, text) => Self::of_code(code, text, verdict),
            rusqlite::Error::SqlInputError {
                error, msg, offset, ..
            } => Self::of_code(error, Some(format!("{msg} (at byte {offset})")), verdict),
            rusqlite::Error::InvalidParameterCount(given, wanted) => Self::Params(format!(
                "the statement takes {wanted} parameters, {given} were given"
            )),
            rusqlite::Error::MultipleStatement => {
                Self::Sql("one statement at a time: something follows its end".to_owned())
            }
            other => Self::Sql(other.to_string()),
        }
    }

    fn of_code(code: ffi::Error, text: Option<String>, verdict: Option<Verdict>) -> Self {
        let text = text.unwrap_or_else(|| code.to_string());
        // Whoever must end is given no memory either.
        let no_memory =
            code.code == ErrorCode::OutOfMemory || code.extended_code == ffi::SQLITE_IOERR_NOMEM;
        match code.code {
            ErrorCode::OperationInterrupted | ErrorCode::OutOfMemory => match verdict {
                Some(Verdict::Deadline) => Self::Deadline,
                Some(Verdict::NoRoom) => Self::NoRoom(NoRoom::default()),
                Some(Verdict::Interrupted) => Self::Interrupted,
                None if no_memory => Self::Memory,
                None => Self::Interrupted,
            },
            ErrorCode::SystemIoFailure if no_memory => Self::Memory,
            ErrorCode::DiskFull => Self::NoRoom(NoRoom::default()),
            ErrorCode::ReadOnly => Self::NotARead,
            // SQLite names the path in this one.
            ErrorCode::CannotOpen => Self::Io(io::Error::other("a file cannot be opened")),
            ErrorCode::SystemIoFailure => {
                let code = code.extended_code;
                Self::Io(io::Error::other(format!("{text} (code {code} of SQLite)")))
            }
            ErrorCode::AuthorizationForStatementDenied => Self::Denied(text),
            _ => Self::Sql(text),
        }
    }
}
