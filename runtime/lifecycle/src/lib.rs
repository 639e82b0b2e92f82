//! How long-lived things start, are used and end, for every crate of the host.
//!
//! Owns no state of its own. Invariant of everything here: whoever starts
//! something can wait for its end. [`Tasks`] owns spawned tasks, [`Gate`] counts
//! users of a thing that is about to be freed, [`Barrier`] lets others wait for
//! a change in progress, [`Clock`] and [`Entropy`] make time and randomness
//! parameters.

#![forbid(unsafe_code)]

mod backoff;
mod barrier;
mod clock;
pub mod failpoints;
mod gate;
pub mod queue;
mod rate;
mod tasks;

pub use backoff::Backoff;
pub use barrier::{Barrier, BarrierGuard};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use entropy::{Entropy, OsEntropy, PooledEntropy, SeededEntropy};
pub use gate::{Gate, GateClosed, GateGuard};
pub use rate::{Rate, TokenBucket};
pub use tasks::{OnError, TaskKind, Tasks};

mod entropy;
