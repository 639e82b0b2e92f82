//! The JSON of requests and answers, in both dialects.
//!
//! Decoding accepts the shapes of every generation from anyone; the answer is
//! in the dialect of whom it goes to. Keys are arrays of integers: no more of
//! them is kept than a key may have.

use std::fmt;

use bytes::Bytes;
use node_store::{DatabaseError, MAX_KEY_BYTES};
use node_types::PackageId;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::action::{Action, Key, KvError, Outcome};
use crate::database::{Envelope, Refusal, failed};
use crate::dialect::Dialect;

/// A decoded request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) package: PackageId,
    pub(crate) db: String,
    pub(crate) action: Action,
    /// Whether the request can only be of an old generation.
    pub(crate) old_shape: bool,
}

#[derive(Deserialize)]
enum WireAction {
    Open,
    RemoveDb,
    Set { key: Key, tx_id: Option<u64> },
    Delete { key: Key, tx_id: Option<u64> },
    Get(WireGet),
    BeginTx,
    Commit { tx_id: u64 },
    Backup,
}

/// What to get, in the shape of an old or a new generation.
enum WireGet {
    Old(Key),
    New(Key),
}

#[derive(Deserialize)]
struct OldGet {
    key: Key,
}

#[derive(Serialize)]
enum Answer<'a> {
    Ok,
    BeginTx { tx_id: u64 },
    Get(&'a [u8]),
}

#[derive(Serialize)]
enum OldAnswer<'a> {
    Get { key: &'a [u8] },
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key as an array of bytes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Key, A::Error> {
        let mut bytes = Vec::new();
        let mut length = 0;
        while let Some(byte) = elements.next_element::<u8>()? {
            length += 1;
            if length <= MAX_KEY_BYTES {
                bytes.push(byte);
            }
        }
        Ok(Key {
            bytes: bytes.into(),
            length,
        })
    }
}

impl<'de> Deserialize<'de> for WireGet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GetVisitor)
    }
}

struct GetVisitor;

impl<'de> Visitor<'de> for GetVisitor {
    type Value = WireGet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key, or an object with a key")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<WireGet, A::Error> {
        KeyVisitor.visit_seq(elements).map(WireGet::New)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<WireGet, A::Error> {
        let get = OldGet::deserialize(MapAccessDeserializer::new(fields))?;
        Ok(WireGet::Old(get.key))
    }
}

/// Reads a request of any generation.
pub(crate) fn decode(body: &[u8]) -> Result<Asked, KvError> {
    let wire: Envelope<WireAction> = serde_json::from_slice(body)
        .map_err(|error| KvError::Refused(Refusal::Malformed(error.to_string())))?;
    let old_shape = matches!(
        wire.action,
        WireAction::Get(WireGet::Old(_)) | WireAction::Backup
    );
    Ok(Asked {
        package: wire.package_id,
        db: wire.db,
        action: neutral(wire.action),
        old_shape,
    })
}

fn neutral(action: WireAction) -> Action {
    match action {
        WireAction::Open => Action::Open,
        WireAction::RemoveDb => Action::RemoveDb,
        WireAction::Set { key, tx_id } => Action::Set { key, tx_id },
        WireAction::Delete { key, tx_id } => Action::Delete { key, tx_id },
        WireAction::Get(WireGet::Old(key) | WireGet::New(key)) => Action::Get(key),
        WireAction::BeginTx => Action::BeginTx,
        WireAction::Commit { tx_id } => Action::Commit { tx_id },
        WireAction::Backup => Action::Backup,
    }
}

/// The answer in `dialect`: body, and blob if there is one.
pub(crate) fn encode(
    dialect: Dialect,
    asked: Option<&Asked>,
    outcome: Result<Outcome, KvError>,
) -> (Vec<u8>, Option<Bytes>) {
    match outcome {
        Ok(Outcome::Done) => (text(&Answer::Ok), None),
        Ok(Outcome::Begun(tx_id)) => (text(&Answer::BeginTx { tx_id }), None),
        Ok(Outcome::Value(value)) => {
            let key: &[u8] = match asked.map(|asked| &asked.action) {
                Some(Action::Get(key)) => &key.bytes,
                _ => b"",
            };
            let body = match dialect {
                Dialect::Old => text(&OldAnswer::Get { key }),
                Dialect::New => text(&Answer::Get(key)),
            };
            (body, Some(value))
        }
        Err(error) => {
            let error = error_json(dialect, asked, &error);
            (text(&failed(dialect, &error)), None)
        }
    }
}

fn text(value: &impl Serialize) -> Vec<u8> {
    // Maps with string keys and plain values: it cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

fn error_json(dialect: Dialect, asked: Option<&Asked>, error: &KvError) -> Value {
    let text = error.to_string();
    match (error, dialect) {
        (KvError::Refused(refusal), _) => {
            refusal.json(dialect, asked.map(|asked| (&asked.package, &*asked.db)))
        }
        (KvError::KeyNotFound, _) => json!("KeyNotFound"),
        (KvError::NoValue, Dialect::Old) => json!({"InputError": {"error": text}}),
        (KvError::NoValue, Dialect::New) => json!("MalformedRequest"),
        (KvError::Store(DatabaseError::TooMany), Dialect::Old) => {
            json!({"IOError": {"error": text}})
        }
        (KvError::Store(DatabaseError::TooMany), Dialect::New) => json!({"IOError": text}),
        (KvError::Transactions(_) | KvError::Quota(_) | KvError::Store(_), Dialect::Old) => {
            let action = asked.map_or("", |asked| asked.action.name());
            json!({"RocksDBError": {"action": action, "error": text}})
        }
        (KvError::Transactions(_) | KvError::Quota(_) | KvError::Store(_), Dialect::New) => {
            json!({"RocksDBError": text})
        }
    }
}

#[cfg(test)]
mod tests;
