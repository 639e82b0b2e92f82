//! Reading request bodies within bounds.
//!
//! Owns the node's budget for bodies held in memory. Every byte is charged
//! before it is kept; the charge is given back when the request is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use node_api::{HttpBody, HttpResponse};

use super::respond;

/// Longest silence between two pieces of a body.
const BODY_SILENCE: Duration = Duration::from_secs(30);
/// Longest time for a whole body.
const BODY_TIME: Duration = Duration::from_secs(300);

/// Bytes of bodies that may be in memory at once.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    limit: u64,
}

/// A share of a budget, given back on drop.
#[derive(Debug)]
pub(super) struct Charge<'a> {
    budget: &'a Budget,
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
    /// A budget of `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            used: AtomicU64::new(0),
            limit,
        }
    }

    /// Takes `bytes`, unless that is beyond the limit.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let fits = |now: u64| now.checked_add(bytes).filter(|new| *new <= self.limit);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .is_ok()
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// An empty charge.
    pub(super) fn charge(&self) -> Charge<'_> {
        Charge {
            budget: self,
            bytes: 0,
        }
    }
}

impl Charge<'_> {
    fn grow(&mut self, bytes: u64) -> Result<(), BodyError> {
        if !self.budget.take(bytes) {
            return Err(BodyError::Busy);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
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
