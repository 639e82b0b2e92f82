//! How long a connection waits for its client, whichever HTTP is spoken.

use std::time::Duration;

/// A new connection must begin its first request, and every request must be
/// past its head, in this time.
pub(super) const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// A connection may wait so long for its next request.
pub(super) const IDLE_DEADLINE: Duration = Duration::from_secs(75);
/// The same once the door closes: longer than a client that asks one thing
/// after the other takes, and than a packet travels.
pub(super) const CLOSING_DEADLINE: Duration = Duration::from_millis(500);
/// A client must take some of our answer in this time.
pub(super) const WRITE_DEADLINE: Duration = Duration::from_secs(30);
