//! What a node's apps have reached, or tried to reach, outside the host.
//!
//! One record per attempt to connect, whatever came of it. Reading neither
//! wakes a node nor keeps it awake. Invariant: a record holds no path, query,
//! header or body: where an app went is the node owner's to know, what it said
//! there is the app's.

use std::net::SocketAddr;

use lifecycle::Timestamp;
use serde::{Deserialize, Serialize};

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EgressOutcome {
    /// There was a connection, with TLS if it was asked for.
    Connected,
    /// The host did not let the app try.
    Refused,
    /// It was tried, and did not succeed.
    Failed,
}

/// One attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressRecord {
    /// Counts the records of a node, from 1; 0 before it is written.
    pub number: u64,
    /// When it began, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub time: Timestamp,
    /// The process that asked.
    pub process: String,
    /// `http`, `https`, `ws` or `wss`.
    pub scheme: String,
    /// The name or address that was asked for.
    pub host: String,
    /// The port that was asked for.
    pub port: u16,
    /// The address dialled last, or else the one that was asked for and refused;
    /// none if it did not come that far, or a name was refused.
    pub address: Option<SocketAddr>,
    /// What came of it.
    pub outcome: EgressOutcome,
    /// Why there was no connection: one sentence.
    pub reason: Option<String>,
}

/// Which records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressQuery {
    /// Most records.
    pub limit: usize,
    /// Only records with a lower number than this; the newest if none.
    pub before: Option<u64>,
}

/// Part of a node's records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPage {
    /// Newest first.
    pub records: Vec<EgressRecord>,
    /// There are older ones.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_plain_json() {
        let record = EgressRecord {
            number: 7,
            time: Timestamp::UNIX_EPOCH,
            process: "a:b:c".to_owned(),
            scheme: "https".to_owned(),
            host: "example.org".to_owned(),
            port: 443,
            address: Some(SocketAddr::from(([192, 0, 2, 1], 443))),
            outcome: EgressOutcome::Refused,
            reason: Some("why".to_owned()),
        };
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "number": 7, "time": "1970-01-01T00:00:00Z", "process": "a:b:c",
                "scheme": "https", "host": "example.org", "port": 443,
                "address": "192.0.2.1:443", "outcome": "refused", "reason": "why",
            })
        );
        assert_eq!(
            serde_json::from_value::<EgressRecord>(json).unwrap(),
            record
        );
    }
}
