//! Reading request bodies within bounds.
//!
//! Owns the node's budgets for bodies held in memory. Invariants: every byte
//! is charged before it is kept; strangers together, and each of them, leave
//! room for the others. The charge is given back when the request is over.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use node_api::{HttpBody, HttpResponse};
use parking_lot::Mutex;

use super::client::{Client, Standing};
use super::respond;

/// Longest silence between two pieces of a body.
const BODY_SILENCE: Duration = Duration::from_secs(30);
/// Longest time for a whole body.
const BODY_TIME: Duration = Duration::from_secs(300);

/// Bytes of bodies that may be in memory at once.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    held: Mutex<Held>,
}

/// What a budget is for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Everybody together.
    pub(super) all: u64,
    /// Strangers together.
    pub(super) strangers: u64,
    /// One stranger, where they can be told apart.
    pub(super) each: u64,
}

#[derive(Debug, Default)]
struct Held {
    all: u64,
    /// By stranger; without an entry, nothing.
    each: HashMap<Client, u64>,
}

/// What one request holds of a budget, given back on drop.
#[derive(Debug)]
pub(super) struct Charge<'a> {
    budget: &'a Budget,
    standing: Standing,
    client: Client,
    bytes: u64,
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// More than the limit, in bytes.
    TooLarge(u64),
    /// Other requests hold the budget.
    Busy,
    /// The sender went silent.
    Slow,
    /// The connection broke.
    Broken,
}

impl Budget {
    /// A budget that nothing is taken of.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            held: Mutex::default(),
        }
    }

    /// An empty charge for a request of `client`.
    pub(super) fn charge(&self, standing: Standing, client: Client) -> Charge<'_> {
        Charge {
            budget: self,
            standing,
            client,
            bytes: 0,
        }
    }
}

impl Charge<'_> {
    fn grow(&mut self, bytes: u64) -> Result<(), BodyError> {
        let limits = self.budget.limits;
        let most = match self.standing {
            Standing::Stranger => limits.strangers,
            Standing::Owner => limits.all,
        };
        let mut held = self.budget.held.lock();
        let all = held.all.saturating_add(bytes);
        if all > most {
            return Err(BodyError::Busy);
        }
        if self.is_bounded_by_client() {
            let before = held.each.get(&self.client).copied().unwrap_or_default();
            let each = before.saturating_add(bytes);
            if each > limits.each {
                return Err(BodyError::Busy);
            }
            held.each.insert(self.client, each);
        }
        held.all = all;
        self.bytes += bytes;
        Ok(())
    }

    /// Whether nothing is held but this.
    #[cfg(test)]
    pub(super) fn is_everything(&self) -> bool {
        let held = self.budget.held.lock();
        held.all == self.bytes && held.each.is_empty()
    }

    fn is_bounded_by_client(&self) -> bool {
        self.standing == Standing::Stranger && self.client.is_some()
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        let mut held = self.budget.held.lock();
        held.all -= self.bytes;
        if self.is_bounded_by_client()
            && let Some(each) = held.each.get_mut(&self.client)
        {
            *each -= self.bytes;
            if *each == 0 {
                held.each.remove(&self.client);
            }
        }
    }
}

impl BodyError {
    /// The answer for whoever sent the body.
    pub(super) fn response(&self) -> HttpResponse {
        match self {
            Self::TooLarge(limit) => respond::text(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The request's body is larger than the limit of {limit} bytes.\n"),
            ),
            Self::Busy => respond::busy("Too many large requests at once; try again."),
            Self::Slow => respond::text(
                StatusCode::REQUEST_TIMEOUT,
                "The request's body did not arrive in time.\n".to_owned(),
            ),
            Self::Broken => respond::empty(StatusCode::BAD_REQUEST),
        }
    }
}

/// Reads all of `body`, at most `limit` bytes, charging them to `charge`.
/// `declared` is the value of Content-Length.
pub(super) async fn read(
    body: HttpBody,
    declared: Option<u64>,
    limit: u64,
    charge: &mut Charge<'_>,
) -> Result<Bytes, BodyError> {
    if declared.is_some_and(|declared| declared > limit) {
        return Err(BodyError::TooLarge(limit));
    }
    tokio::time::timeout(BODY_TIME, collect(body, limit, charge))
        .await
        .unwrap_or(Err(BodyError::Slow))
}

async fn collect(
    mut body: HttpBody,
    limit: u64,
    charge: &mut Charge<'_>,
) -> Result<Bytes, BodyError> {
    // Most bodies are one piece, which is then kept without a copy.
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(BODY_SILENCE, body.frame()).await {
            Err(_) => return Err(BodyError::Slow),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if charge.bytes + data.len() as u64 > limit {
            return Err(BodyError::TooLarge(limit));
        }
        charge.grow(data.len() as u64)?;
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}
