//! Requests and answers in the shapes of every generation.

use bytes::Bytes;
use node_types::PackageId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::action::{Action, Outcome, SqliteError};
use crate::database::{Envelope, Refusal, failed};
use crate::dialect::Dialect;

/// Which database a request is about, as it named it, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) package: PackageId,
    pub(crate) db: String,
    /// Whether only the generations up to 0.9 write it so.
    pub(crate) old_shape: bool,
}

#[derive(Debug, Deserialize)]
enum WireAction {
    Open,
    RemoveDb,
    Write {
        statement: String,
        tx_id: Option<u64>,
    },
    /// Up to 0.9.
    Read {
        query: String,
    },
    /// From 1.0.
    Query(String),
    BeginTx,
    Commit {
        tx_id: u64,
    },
    /// Up to 0.9.
    Backup,
}

/// Reads a request of any generation.
pub(crate) fn decode(body: &[u8]) -> Result<(Asked, Action), Refusal> {
    let wire: Envelope<WireAction> =
        serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let old_shape = matches!(wire.action, WireAction::Read { .. } | WireAction::Backup);
    let action = match wire.action {
        WireAction::Open => Action::Open,
        WireAction::RemoveDb => Action::RemoveDb,
        WireAction::Write { statement, tx_id } => Action::Write {
            statement,
            tx: tx_id,
        },
        WireAction::Read { query } | WireAction::Query(query) => Action::Read(query),
        WireAction::BeginTx => Action::BeginTx,
        WireAction::Commit { tx_id } => Action::Commit(tx_id),
        WireAction::Backup => Action::Backup,
    };
    let asked = Asked {
        package: wire.package_id,
        db: wire.db,
        old_shape,
    };
    Ok((asked, action))
}

/// The answer in `dialect`: body, and blob if there is one.
pub(crate) fn encode(
    dialect: Dialect,
    asked: Option<&Asked>,
    outcome: Result<Outcome, SqliteError>,
) -> (Vec<u8>, Option<Bytes>) {
    let (value, blob) = match outcome {
        Ok(Outcome::Done) => (json!("Ok"), None),
        Ok(Outcome::Rows(rows)) => (json!("Read"), Some(rows)),
        Ok(Outcome::Begun(id)) => (json!({ "BeginTx": { "tx_id": id } }), None),
        Err(error) => (failed(dialect, &failure(dialect, asked, &error)), None),
    };
    // Maps with string keys and plain values: it cannot fail.
    (serde_json::to_vec(&value).unwrap_or_default(), blob)
}

/// What `Err` holds.
fn failure(dialect: Dialect, asked: Option<&Asked>, error: &SqliteError) -> Value {
    let named = |name: &str| {
        let text = error.to_string();
        match dialect {
            Dialect::Old => json!({ name: { "error": text } }),
            Dialect::New => json!({ name: text }),
        }
    };
    match error {
        SqliteError::Refused(refusal) => {
            refusal.json(dialect, asked.map(|asked| (&asked.package, &*asked.db)))
        }
        SqliteError::NotARead => json!("NotAReadKeyword"),
        SqliteError::NotAWrite => json!("NotAWriteKeyword"),
        SqliteError::Params(_) => json!("InvalidParameters"),
        SqliteError::Failed(_) | SqliteError::Transactions(_) => named("RusqliteError"),
        SqliteError::Io(_) => named("IOError"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(action: &str) -> (Action, bool) {
        let body = format!(
            r#"{{"package_id":{{"package_name":"a","publisher_node":"b.dev"}},"db":"d","action":{action}}}"#
        );
        let (asked, action) = decode(body.as_bytes()).unwrap();
        assert_eq!(
            (asked.package.to_string(), &*asked.db),
            ("a:b.dev".into(), "d")
        );
        (action, asked.old_shape)
    }

    #[test]
    fn every_generation_is_understood() {
        let write = |tx| Action::Write {
            statement: "S".to_owned(),
            tx,
        };
        let read = || Action::Read("S".to_owned());
        for (text, action, old) in [
            (r#""Open""#, Action::Open, false),
            (r#""RemoveDb""#, Action::RemoveDb, false),
            (
                r#"{"Write":{"statement":"S","tx_id":null}}"#,
                write(None),
                false,
            ),
            (r#"{"Write":{"statement":"S"}}"#, write(None), false),
            (
                r#"{"Write":{"statement":"S","tx_id":18446744073709551615}}"#,
                write(Some(u64::MAX)),
                false,
            ),
            (r#"{"Read":{"query":"S"}}"#, read(), true),
            (r#"{"Query":"S"}"#, read(), false),
            (r#""BeginTx""#, Action::BeginTx, false),
            (r#"{"Commit":{"tx_id":7}}"#, Action::Commit(7), false),
            (r#""Backup""#, Action::Backup, true),
        ] {
            assert_eq!(decoded(text), (action, old), "{text}");
        }
    }

    #[test]
    fn what_is_no_request_is_malformed() {
        for body in [
            "",
            "{}",
            r#""Open""#,
            r#"{"package_id":"a:b","db":"d","action":"Open"}"#,
            r#"{"package_id":{"package_name":"..","publisher_node":"b"},"db":"d","action":"Open"}"#,
            r#"{"package_id":{"package_name":"a","publisher_node":"b"},"db":"d","action":"Fly"}"#,
            r#"{"package_id":{"package_name":"a","publisher_node":"b"},"db":"d","action":{"Commit":{"tx_id":-1}}}"#,
        ] {
            let refused = decode(body.as_bytes());
            assert!(matches!(refused, Err(Refusal::Malformed(_))), "{body}");
        }
    }

    #[test]
    fn every_outcome_is_said_in_both_dialects() {
        let asked = Asked {
            package: "a:b".parse().unwrap(),
            db: "d".to_owned(),
            old_shape: false,
        };
        let said = |dialect, outcome: Result<Outcome, SqliteError>| {
            let (body, blob) = encode(dialect, Some(&asked), outcome);
            let body: Value = serde_json::from_slice(&body).unwrap();
            (body, blob)
        };
        let rows = Bytes::from_static(b"[]");
        for (outcome, body, blob) in [
            (Outcome::Done, json!("Ok"), None),
            (Outcome::Rows(rows.clone()), json!("Read"), Some(rows)),
            (Outcome::Begun(7), json!({"BeginTx": {"tx_id": 7}}), None),
        ] {
            for dialect in [Dialect::Old, Dialect::New] {
                let expected = (body.clone(), blob.clone());
                assert_eq!(said(dialect, Ok(outcome.clone())), expected);
            }
        }
        let why = || "why".to_owned();
        for (error, old, new) in [
            (
                SqliteError::from(Refusal::NoDb),
                json!("NoDb"),
                json!({"NoDb": [{"package_name": "a", "publisher_node": "b"}, "d"]}),
            ),
            (Refusal::NoTx(7).into(), json!("NoTx"), json!({"NoTx": 7})),
            (
                SqliteError::NotARead,
                json!("NotAReadKeyword"),
                json!("NotAReadKeyword"),
            ),
            (
                SqliteError::NotAWrite,
                json!("NotAWriteKeyword"),
                json!("NotAWriteKeyword"),
            ),
            (
                SqliteError::Params(why()),
                json!("InvalidParameters"),
                json!("InvalidParameters"),
            ),
            (
                SqliteError::Failed(why()),
                json!({"RusqliteError": {"error": "why"}}),
                json!({"RusqliteError": "why"}),
            ),
            (
                SqliteError::Io(why()),
                json!({"IOError": {"error": "why"}}),
                json!({"IOError": "why"}),
            ),
        ] {
            let (body, _) = said(Dialect::Old, Err(error.clone()));
            assert_eq!(body, json!({"Err": {"error": old}}));
            let (body, _) = said(Dialect::New, Err(error));
            assert_eq!(body, json!({ "Err": new }));
        }
    }
}
