//! The record of an attempt to connect.
//!
//! Owns the record until it is written. Invariant: an attempt that has begun
//! is written exactly once, also if whoever wanted the connection gives up and
//! drops the future; the one exception is said at [`Attempt::forget`].

use std::net::SocketAddr;
use std::sync::Arc;

use lifecycle::Timestamp;
use node_api::{EgressOutcome, EgressRecord};

use crate::egress::Wish;
use crate::error::EgressError;
use crate::target::shown;

/// Why there is no connection that nobody waited for.
const GIVEN_UP: &str = "nobody waited for the answer";

/// Takes the records of one node.
pub trait EgressLog: Send + Sync + std::fmt::Debug {
    /// Keeps the record, whose number is still 0. Never blocks: what cannot be
    /// kept is dropped.
    fn write(&self, record: EgressRecord);
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Attempt {
    log: Arc<dyn EgressLog>,
    record: Option<EgressRecord>,
}

impl Attempt {
    /// An attempt to do what is wished.
    pub(crate) fn begin(log: Arc<dyn EgressLog>, wish: &Wish, time: Timestamp) -> Self {
        let record = EgressRecord {
            number: 0,
            time,
            process: wish.process.to_string(),
            scheme: wish.scheme.to_owned(),
            host: shown(&wish.host),
            port: wish.port,
            address: None,
            outcome: EgressOutcome::Failed,
            reason: Some(GIVEN_UP.to_owned()),
        };
        Self {
            log,
            record: Some(record),
        }
    }

    /// It goes to this address, or would go there if that were allowed. Not for
    /// what a name means that was refused.
    pub(crate) fn goes_to(&mut self, address: SocketAddr) {
        if let Some(record) = &mut self.record {
            record.address = Some(address);
        }
    }

    /// There is a connection.
    pub(crate) fn connected(mut self) {
        if let Some(record) = &mut self.record {
            record.outcome = EgressOutcome::Connected;
            record.reason = None;
        }
    }

    /// There is none, and `forgotten` attempts before it have no record.
    pub(crate) fn failed(mut self, error: &EgressError, forgotten: u64) {
        if let Some(record) = &mut self.record {
            record.outcome = match error {
                EgressError::Refused { .. } | EgressError::TooMany | EgressError::TooFast => {
                    EgressOutcome::Refused
                }
                EgressError::NotFound(_)
                | EgressError::Unresolved(_)
                | EgressError::Connect(_)
                | EgressError::Tls(_)
                | EgressError::TimedOut => EgressOutcome::Failed,
            };
            record.reason = Some(if forgotten == 0 {
                error.to_string()
            } else {
                format!("{error} ({forgotten} tries before it were too many, and are not kept)")
            });
        }
    }

    /// Leaves no record. For attempts beyond the node's rate after the first:
    /// an app that makes thousands a second would push everything else out of
    /// the log, and so hide what it did before.
    pub(crate) fn forget(mut self) {
        self.record = None;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.log.write(record);
        }
    }
}
