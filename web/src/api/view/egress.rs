//! The JSON of where a node's apps connected to.

use lifecycle::Timestamp;
use node_api::{EgressOutcome, EgressPage, EgressRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::rfc3339;

/// A connection that an app of a node opened, or tried to.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct OutgoingConnection {
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// The process that wanted it.
    #[schema(example = "main:weather:alice.dev")]
    process: String,
    /// `http`, `https`, `ws` or `wss`; empty where connections are missing.
    #[schema(example = "https")]
    scheme: String,
    /// The name or address that was asked for.
    #[schema(example = "api.example.org")]
    host: String,
    port: u16,
    /// The address that was dialled, or asked for and refused; nothing if it did
    /// not come that far, or a name was refused.
    #[schema(required = true, example = "192.0.2.7:443")]
    address: Option<String>,
    outcome: Outcome,
    /// Why there was no connection.
    #[schema(required = true)]
    reason: Option<String>,
}

/// What came of a try to connect.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// There was a connection, with TLS if it was asked for.
    Connected,
    /// The host did not let it try: it has no public address and the plan does
    /// not allow it, or there were too many.
    Refused,
    /// It was tried, and did not succeed.
    Failed,
}

/// Part of what a node's apps connected to, newest first.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Connections {
    items: Vec<OutgoingConnection>,
    /// Where older ones are, if there are some.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl From<EgressRecord> for OutgoingConnection {
    fn from(record: EgressRecord) -> Self {
        Self {
            time: record.time,
            process: record.process,
            scheme: record.scheme,
            host: record.host,
            port: record.port,
            address: record.address.map(|address| address.to_string()),
            outcome: match record.outcome {
                EgressOutcome::Connected => Outcome::Connected,
                EgressOutcome::Refused => Outcome::Refused,
                EgressOutcome::Failed => Outcome::Failed,
            },
            reason: record.reason,
        }
    }
}

impl From<EgressPage> for Connections {
    fn from(page: EgressPage) -> Self {
        let last = page.records.last().filter(|_| page.more);
        Self {
            next_cursor: last.map(|record| record.number.to_string()),
            items: page
                .records
                .into_iter()
                .map(OutgoingConnection::from)
                .collect(),
        }
    }
}
