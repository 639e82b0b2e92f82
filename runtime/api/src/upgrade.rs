//! A connection that stops being HTTP, for a WebSocket.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Extensions;
use parking_lot::Mutex;

use crate::{BoxError, ByteStream};

/// Becomes the connection's bytes once the answer 101 has been sent.
pub type Upgrading =
    Pin<Box<dyn Future<Output = Result<Box<dyn ByteStream>, BoxError>> + Send + 'static>>;

/// The right to take a request's connection over. A door that can hand its
/// connection on puts one into the request's extensions; a node that answers
/// 101 takes it out and awaits it in a task of its own. Without one a node
/// refuses to upgrade. Closing the stream ends the connection and frees
/// whatever the door holds for it.
#[derive(Clone)]
pub struct Upgrade(Arc<Mutex<Option<Upgrading>>>);

impl Upgrade {
    /// Wraps what the door waits for.
    pub fn new(
        upgrading: impl Future<Output = Result<Box<dyn ByteStream>, BoxError>> + Send + 'static,
    ) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::pin(upgrading)))))
    }

    /// Takes the upgrade of a request, which works once.
    #[must_use]
    pub fn take(extensions: &mut Extensions) -> Option<Upgrading> {
        let upgrade = extensions.remove::<Self>()?;
        upgrade.0.lock().take()
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgrade")
    }
}
