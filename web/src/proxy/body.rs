//! Bodies on their way to and from a node.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use node_api::{BoxError, HttpBody, NodeStatus};
use tenant_manager::Lease;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::in_flight::Share;

/// A client may be waited for so long in all while it sends a body...
const PATIENCE: Duration = Duration::from_secs(30);
/// ...and a second longer for so many bytes that it has sent.
const BYTES_PER_SECOND: u64 = 1024;

/// Why a request's body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the request's body is too large")]
    TooLarge,
    #[error("the request's body arrives too slowly")]
    TooSlow,
}

/// Why this host ended a body early, if that is what `error` says, or what
/// caused it.
pub(crate) fn ended_early(error: &(dyn std::error::Error + 'static)) -> Option<UploadError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(early) = error.downcast_ref::<UploadError>() {
            return Some(*early);
        }
        next = error.source();
    }
    None
}

/// Why a request's body ended early, told to whoever hands it on: what an app
/// makes of a broken body is no answer to its client. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending(Arc<OnceLock<UploadError>>);

impl Ending {
    /// Why, if it did and if somebody read so far.
    pub(super) fn early(&self) -> Option<UploadError> {
        self.0.get().copied()
    }
}

/// A request's body, bounded in length and in how long it may keep us waiting.
#[derive(Debug)]
pub(crate) struct Upload<B = Incoming> {
    body: B,
    left: u64,
    received: u64,
    waited: Duration,
    /// Since when nothing came, and when patience ends.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    ending: Ending,
}

impl<B> Upload<B> {
    pub(crate) fn new(body: B, limit: u64) -> Self {
        Self {
            body,
            left: limit,
            received: 0,
            waited: Duration::ZERO,
            waiting: None,
            ending: Ending::default(),
        }
    }

    /// Tells `ending` if the body ends early.
    pub(super) fn telling(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    fn end(&self, error: UploadError) -> BoxError {
        // The first of them is the reason.
        let _ = self.ending.0.set(error);
        error.into()
    }

    fn patience(&self) -> Duration {
        let earned = Duration::from_secs(self.received / BYTES_PER_SECOND);
        (PATIENCE + earned).saturating_sub(self.waited)
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            let patience = this.patience();
            let (_, deadline) = this
                .waiting
                .get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(patience))));
            ready!(deadline.as_mut().poll(context));
            return Poll::Ready(Some(Err(this.end(UploadError::TooSlow))));
        };
        if let Some((since, _)) = this.waiting.take() {
            this.waited += since.elapsed();
        }
        let Some(frame) = frame else {
            return Poll::Ready(None);
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Poll::Ready(Some(Err(error.into()))),
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(left) = this.left.checked_sub(length) else {
            return Poll::Ready(Some(Err(this.end(UploadError::TooLarge))));
        };
        this.left = left;
        this.received += length;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Ends when the node no longer serves.
pub(super) type Stopping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits until a node with this status stops.
pub(super) fn stopping(mut status: watch::Receiver<NodeStatus>) -> Stopping {
    Box::pin(async move {
        let serves =
            |status: &NodeStatus| matches!(status, NodeStatus::Booting | NodeStatus::Active);
        // A node that is gone has stopped.
        let _ = status.wait_for(|status| !serves(status)).await;
    })
}

/// A node's answer on its way to the client. Keeps the node awake, and its place
/// among the tenant's, until it is dropped: when all of it is out or the client
/// has gone. A node that stops is not kept.
pub(super) struct Download {
    body: HttpBody,
    lease: Option<Lease>,
    stopping: Stopping,
    _counted: Share,
}

impl Download {
    pub(super) fn new(
        body: HttpBody,
        lease: Option<Lease>,
        stopping: Stopping,
        counted: Share,
    ) -> Self {
        Self {
            body,
            lease,
            stopping,
            _counted: counted,
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(context);
        if frame.is_pending()
            && this.lease.is_some()
            && this.stopping.as_mut().poll(context).is_ready()
        {
            this.lease = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::BodyExt;

    use super::*;

    /// Frames that come after a pause each.
    struct Slow(VecDeque<(Pin<Box<Sleep>>, Bytes)>);

    impl Slow {
        fn new(frames: &[(u64, usize)]) -> Self {
            let mut at = Duration::ZERO;
            let frame = |(pause, length): &(u64, usize)| {
                at += Duration::from_secs(*pause);
                let sleep = Box::pin(tokio::time::sleep(at));
                (sleep, Bytes::from(vec![0; *length]))
            };
            Self(frames.iter().map(frame).collect())
        }
    }

    impl Body for Slow {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            let Some((sleep, _)) = self.0.front_mut() else {
                return Poll::Ready(None);
            };
            ready!(sleep.as_mut().poll(context));
            let next = self.0.pop_front();
            Poll::Ready(next.map(|(_, data)| Ok(Frame::data(data))))
        }
    }

    async fn collect(limit: u64, frames: &[(u64, usize)]) -> Result<usize, UploadError> {
        let ending = Ending::default();
        let upload = Upload::new(Slow::new(frames), limit).telling(ending.clone());
        let collected = match upload.collect().await {
            Ok(collected) => Ok(collected.to_bytes().len()),
            Err(error) => Err(*error.downcast::<UploadError>().unwrap()),
        };
        assert_eq!(ending.early(), collected.err(), "whoever hands it on knows");
        collected
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_is_bounded_in_length() {
        assert_eq!(collect(10, &[(0, 6), (0, 4)]).await, Ok(10));
        let long = collect(10, &[(0, 6), (0, 5), (0, 1)]).await;
        assert_eq!(long, Err(UploadError::TooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_must_keep_a_pace() {
        assert_eq!(collect(1 << 20, &[(29, 10)]).await, Ok(10));
        let silent = collect(1 << 20, &[(31, 10)]).await;
        assert_eq!(silent, Err(UploadError::TooSlow));
        let trickle = [(20, 1), (20, 1)];
        assert_eq!(collect(1 << 20, &trickle).await, Err(UploadError::TooSlow));
        let steady = [(20, 40 * 1024), (20, 40 * 1024), (20, 1)];
        assert_eq!(collect(1 << 20, &steady).await, Ok(80 * 1024 + 1));
    }
}
