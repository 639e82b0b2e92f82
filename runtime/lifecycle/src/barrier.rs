//! Lets others wait until a change in progress is over.
//!
//! The one who makes the change holds the [`BarrierGuard`]; everyone with the
//! [`Barrier`] waits until it is dropped, however that happens.

use tokio_util::sync::{CancellationToken, DropGuard};

/// Waits for the holder of the matching [`BarrierGuard`].
#[derive(Debug, Clone)]
pub struct Barrier(CancellationToken);

/// The change is in progress while this lives.
#[derive(Debug)]
pub struct BarrierGuard(#[expect(dead_code, reason = "its drop releases the waiters")] DropGuard);

impl Barrier {
    /// A barrier and the guard that opens it.
    #[must_use]
    pub fn new() -> (Self, BarrierGuard) {
        let token = CancellationToken::new();
        (Self(token.clone()), BarrierGuard(token.drop_guard()))
    }

    /// Waits until the guard is dropped.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}
