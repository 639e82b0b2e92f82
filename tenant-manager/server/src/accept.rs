//! Accepts connections of people who look after the host: few, short, each a
//! task of its own.
//!
//! Invariant: no more than the bound are served at once; more are closed at
//! once. Stops with the tasks it is given.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{TaskKind, Tasks};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Pause after the system refused a connection, for want of descriptors say.
const PAUSE: Duration = Duration::from_millis(50);

/// A socket that accepts.
pub trait Accepts {
    /// What it gives.
    type Stream: Send + 'static;

    /// The next connection.
    ///
    /// # Cancel-Safety
    /// Safe.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accepts for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

impl Accepts for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        Ok(self.accept().await?.0)
    }
}

/// Serves each connection of `listener`, at most `most` at once, until the
/// tasks are cancelled. `kind` is that of their tasks.
pub async fn serve<L, S, F>(kind: TaskKind, listener: L, most: usize, tasks: Tasks, serve: S)
where
    L: Accepts,
    S: Fn(L::Stream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(most));
    let stopped = tasks.token().clone();
    loop {
        let accepted = tokio::select! {
            () = stopped.cancelled() => return,
            accepted = listener.next() => accepted,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!("failed to accept for {}: {error}", kind.name);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            continue;
        };
        let serving = serve(stream);
        tasks.spawn(kind, async move {
            let _place = place;
            serving.await;
        });
    }
}
