//! Ways for fuzzers into what reads the bytes of strangers. Nothing else calls
//! it, so that the host's binary has none of it; it owns nothing. What should not happen is
//! told as a text.

use bytes::Bytes;
use node_store::StoreError;
use serde_json::Value;

use crate::database::{DbKey, Refusal, TransactionsFull};
use crate::dialect::Dialect;
use crate::quota::QuotaExceeded;
use crate::{kv, sqlite, state, timer, vfs};

pub use crate::http_server::fuzzing::{extension, http_paths, rpc_json};
pub use crate::vfs::fuzzing::Files;

/// Which module reads.
const MODULES: u8 = 6;

/// The error of something that always works.
pub(crate) fn wrong(error: impl std::fmt::Display) -> String {
    format!("failed to test: {error}")
}

/// Whether an answer is JSON.
pub(crate) fn check_json(body: &[u8]) -> Result<(), String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "{:?} is no JSON: {error}",
            String::from_utf8_lossy(body)
        )),
    }
}

/// Decodes `body` as the module that `choice` stands for does, and encodes
/// every answer to it.
///
/// # Errors
/// What should not have happened.
pub fn dialects(choice: u8, body: &[u8]) -> Result<(), String> {
    match choice % MODULES {
        0 => vfs::fuzzing::dialect(body),
        1 => of_kv(body),
        2 => of_sqlite(body),
        3 => {
            // Either is fine; only a panic is not.
            let _ = sqlite::params::parse(Some(body));
            Ok(())
        }
        4 => {
            let _ = state::understands(body);
            Ok(())
        }
        _ => {
            let _ = timer::understands(body);
            Ok(())
        }
    }
}

/// A name that is taken for one of a database leads nowhere.
fn check_name(key: &Result<DbKey, Refusal>) -> Result<(), String> {
    let Ok(key) = key else {
        return Ok(());
    };
    let name = key.name.as_str();
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    if plain {
        return Ok(());
    }
    Err(format!("{name:?} is taken for the name of a database"))
}

fn text() -> String {
    "\"\\\u{0}\u{7f}\u{2028}".to_owned()
}

fn refusals() -> [Refusal; 7] {
    [
        Refusal::Malformed(text()),
        Refusal::BadName(text()),
        Refusal::OtherPackage,
        Refusal::NoReadCap,
        Refusal::NoWriteCap,
        Refusal::NoDb,
        Refusal::NoTx(u64::MAX),
    ]
}

fn of_kv(body: &[u8]) -> Result<(), String> {
    use kv::action::{KvError, Outcome};
    let decoded = kv::codec::decode(body);
    let asked = decoded.as_ref().ok();
    if let Some(asked) = asked {
        check_name(&DbKey::parse(&asked.package, &asked.db))?;
    }
    let mut outcomes = vec![
        Ok(Outcome::Done),
        Ok(Outcome::Value(Bytes::new())),
        Ok(Outcome::Begun(u64::MAX)),
        Err(KvError::KeyNotFound),
        Err(KvError::NoValue),
        Err(TransactionsFull::Many.into()),
        Err(TransactionsFull::Large.into()),
        Err(KvError::Quota(QuotaExceeded { wanted: 2, left: 1 })),
        Err(KvError::from(StoreError::KeyTooLong(1 << 20))),
    ];
    outcomes.extend(refusals().map(|refusal| Err(KvError::Refused(refusal))));
    for outcome in outcomes {
        for dialect in [Dialect::Old, Dialect::New] {
            check_json(&kv::codec::encode(dialect, asked, outcome.clone()).0)?;
        }
    }
    Ok(())
}

fn of_sqlite(body: &[u8]) -> Result<(), String> {
    use sqlite::action::{Outcome, SqliteError};
    let decoded = sqlite::codec::decode(body);
    let asked = decoded.as_ref().ok().map(|(asked, _)| asked);
    if let Some(asked) = asked {
        check_name(&DbKey::parse(&asked.package, &asked.db))?;
    }
    let mut outcomes = vec![
        Ok(Outcome::Done),
        Ok(Outcome::Rows(Bytes::new())),
        Ok(Outcome::Begun(u64::MAX)),
        Err(SqliteError::NotARead),
        Err(SqliteError::NotAWrite),
        Err(SqliteError::Params(text())),
        Err(SqliteError::Failed(text())),
        Err(TransactionsFull::Many.into()),
        Err(TransactionsFull::Large.into()),
        Err(SqliteError::Io(text())),
    ];
    outcomes.extend(refusals().map(|refusal| Err(SqliteError::Refused(refusal))));
    for outcome in outcomes {
        for dialect in [Dialect::Old, Dialect::New] {
            check_json(&sqlite::codec::encode(dialect, asked, outcome.clone()).0)?;
        }
    }
    Ok(())
}
