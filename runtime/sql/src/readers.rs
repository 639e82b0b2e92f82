//! The connections of a database that only read.
//!
//! Invariant: there are at most [`MOST`], each used by one thread at a time;
//! while somebody holds [`Shut`] there is none at work and none begins. They
//! are opened when needed and closed by [`Shut::close_all`].

use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::time::Instant;

use crate::SqlError;
use crate::connection::Guarded;

/// Connections that read at the same time.
const MOST: usize = 2;

#[derive(Default)]
struct State {
    idle: Vec<Guarded>,
    at_work: usize,
    shut: bool,
    /// The database was removed.
    gone: bool,
}

/// The connections that read.
#[derive(Default)]
pub(crate) struct Readers {
    state: Mutex<State>,
    changed: Condvar,
}

/// A connection while it is used; given back when dropped.
pub(crate) struct Reader<'a> {
    readers: &'a Readers,
    connection: Option<Guarded>,
}

/// Keeps readers out until dropped.
pub(crate) struct Shut<'a>(&'a Readers);

impl Readers {
    /// A connection that nobody uses, opened if there is none. Waits until
    /// `until` for one.
    pub(crate) fn take(
        &self,
        until: Instant,
        open: impl FnOnce() -> Result<Guarded, SqlError>,
    ) -> Result<Reader<'_>, SqlError> {
        let mut state = self.state.lock();
        while !state.gone && (state.shut || state.at_work >= MOST) {
            self.wait(&mut state, until)?;
        }
        if state.gone {
            return Err(SqlError::NoDb);
        }
        state.at_work += 1;
        let idle = state.idle.pop();
        drop(state);
        // From here on dropping it says that it is no longer at work.
        let mut reader = Reader {
            readers: self,
            connection: idle,
        };
        if reader.connection.is_none() {
            reader.connection = Some(open()?);
        }
        Ok(reader)
    }

    /// Keeps readers out once those at work have ended, if that is before
    /// `until`. Only one may do so at a time: the holder of the writer.
    pub(crate) fn shut(&self, until: Instant) -> Result<Shut<'_>, SqlError> {
        let mut state = self.state.lock();
        state.shut = true;
        let shut = Shut(self);
        while state.at_work > 0 {
            if let Err(error) = self.wait(&mut state, until) {
                drop(state);
                drop(shut);
                return Err(error);
            }
        }
        drop(state);
        Ok(shut)
    }

    fn wait(&self, state: &mut MutexGuard<'_, State>, until: Instant) -> Result<(), SqlError> {
        let left = until.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Err(SqlError::Deadline);
        }
        self.changed.wait_for(state, left);
        Ok(())
    }
}

impl Shut<'_> {
    /// Closes all connections.
    pub(crate) fn close_all(&self) {
        let idle = std::mem::take(&mut self.0.state.lock().idle);
        drop(idle);
    }

    /// Refuses everybody from now on.
    pub(crate) fn end(&self) {
        self.close_all();
        self.0.state.lock().gone = true;
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.state.lock().shut = false;
        self.0.changed.notify_all();
    }
}

impl Reader<'_> {
    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut Guarded, SqlError> {
        self.connection.as_mut().ok_or(SqlError::NoDb)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // One that a panic left in the middle of something is closed.
        let fit = |connection: &Guarded| !connection.is_overgrown() && !std::thread::panicking();
        let kept = self.connection.take().filter(fit);
        let mut state = self.readers.state.lock();
        state.at_work -= 1;
        state.idle.extend(kept);
        drop(state);
        self.readers.changed.notify_all();
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readers")
    }
}
