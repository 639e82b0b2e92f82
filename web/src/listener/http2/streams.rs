//! Runs the requests of one connection, each as a task, and ends those whose
//! clients take nothing of the answer.
//!
//! A client of HTTP/2 opens a window for each answer. One that keeps it shut
//! would hold the answer, and what its node holds for it, for ever, while the
//! socket looks well. Invariants: an answer of which nothing was taken for
//! [`WRITE_DEADLINE`] is reset; its neighbours on the connection, who may be
//! other people behind the same proxy, notice nothing; and what an answer holds
//! it holds until its last byte is out, which the library alone would not wait
//! for. Stops with the tasks it was given.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use lifecycle::{TaskKind, Tasks};
use node_api::BoxError;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use super::calls::Call;
use crate::app::ClientRequest;
use crate::listener::answer::Cuttable;
use crate::listener::deadlines::WRITE_DEADLINE;

/// Most bytes of an answer handed over at once: what a client has to take
/// within the deadline.
pub(super) const PIECE: usize = 16 * 1024;

/// What of an answer waits for the client.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Pieces that were handed over and are not out.
    pieces: usize,
    /// Since when none of them went out.
    since: Option<Instant>,
    /// Told when all are out.
    all_out: Option<Waker>,
}

impl Progress {
    /// Counts a piece until it is dropped, which is when it was written or is
    /// not to be any more.
    fn watch(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        let mut waiting = self.0.lock();
        if waiting.pieces == 0 {
            waiting.since = Some(Instant::now());
        }
        waiting.pieces += 1;
        drop(waiting);
        Bytes::from_owner(Piece {
            bytes,
            progress: self.clone(),
        })
    }

    fn is_all_out(&self) -> bool {
        self.0.lock().pieces == 0
    }

    fn poll_all_out(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.0.lock();
        if waiting.pieces == 0 {
            return Poll::Ready(());
        }
        waiting.all_out = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Bytes of an answer on their way. The library drops them under its locks, so
/// they hold nothing of its own.
struct Piece {
    bytes: Bytes,
    progress: Arc<Progress>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut waiting = self.progress.0.lock();
        waiting.pieces -= 1;
        let is_last = waiting.pieces == 0;
        waiting.since = (!is_last).then(Instant::now);
        let waker = if is_last {
            waiting.all_out.take()
        } else {
            None
        };
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Spawns what hyper wants spawned. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    tasks: Tasks,
    /// Of the request that was given to the service last. hyper spawns it
    /// before it gives another.
    next: Arc<Mutex<Option<Arc<Progress>>>>,
}

impl Streams {
    pub(super) fn new(tasks: Tasks) -> Self {
        Self {
            tasks,
            next: Arc::default(),
        }
    }

    /// Called by the service at each request.
    pub(super) fn begin(&self) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        *self.next.lock() = Some(progress.clone());
        progress
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let progress = self.next.lock().take().unwrap_or_default();
        let watched = Watched {
            stream: Box::pin(stream),
            progress,
            deadline: None,
        };
        self.tasks.spawn(TaskKind::graceful("http stream"), watched);
    }
}

/// One request and its answer. Dropping it resets the stream.
struct Watched<F> {
    stream: Pin<Box<F>>,
    progress: Arc<Progress>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let since = this.progress.0.lock().since;
        let Some(since) = since else {
            this.deadline = None;
            return Poll::Pending;
        };
        let until = since + WRITE_DEADLINE;
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if deadline.deadline() != until {
            deadline.as_mut().reset(until);
        }
        ready!(deadline.as_mut().poll(context));
        tracing::debug!("reset an answer of which its client takes nothing");
        Poll::Ready(())
    }
}

/// An answer's body, in pieces whose way to the client is watched. It ends when
/// the last of them is out.
pub(super) struct Piecewise<B = Cuttable> {
    body: B,
    /// What is left of a frame that was too long for one piece.
    rest: Bytes,
    /// Whether nothing more comes from the body.
    ended: bool,
    /// Its trailers, which end the answer.
    trailers: Option<Frame<Bytes>>,
    progress: Arc<Progress>,
    call: Call,
    _place: Option<ClientRequest>,
}

impl<B: Body<Data = Bytes>> Piecewise<B> {
    pub(super) fn new(
        body: B,
        progress: Arc<Progress>,
        call: Call,
        place: Option<ClientRequest>,
    ) -> Self {
        let mut piecewise = Self {
            body,
            rest: Bytes::new(),
            ended: false,
            trailers: None,
            progress,
            call,
            _place: place,
        };
        // Nobody asks an empty body for anything.
        if piecewise.is_at_end() {
            piecewise.call.answered();
        }
        piecewise
    }

    /// Never while a piece is on its way: it would be the last that is heard of
    /// the answer.
    fn is_at_end(&self) -> bool {
        let all_read = self.rest.is_empty() && self.trailers.is_none();
        all_read && (self.ended || self.body.is_end_stream()) && self.progress.is_all_out()
    }

    /// The next piece of `rest`.
    fn piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        Frame::data(self.progress.watch(piece))
    }
}

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Body for Piecewise<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(this.piece())));
        }
        if !this.ended {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.rest = data;
                        return Poll::Ready(Some(Ok(this.piece())));
                    }
                    Err(trailers) => this.trailers = Some(trailers),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {}
            }
            this.ended = true;
        }
        ready!(this.progress.poll_all_out(context));
        this.call.answered();
        Poll::Ready(this.trailers.take().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::IpAddr;
    use std::time::Duration;

    use http::Request;
    use http_body_util::BodyExt;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{client, server};
    use hyper_util::rt::TokioIo;
    use node_api::{body, empty_body};
    use tokio_util::sync::CancellationToken;

    use super::super::calls::Calls;
    use super::*;
    use crate::in_flight::InFlight;

    const ANYBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// An answer whose client does not read it yet.
    struct Unread {
        answer: Incoming,
        places: InFlight<IpAddr>,
        _sender: client::conn::http2::SendRequest<node_api::HttpBody>,
        _tasks: Tasks,
    }

    impl Unread {
        /// One of `length` bytes, to a client with this `window`.
        async fn ask(length: usize, window: u32) -> Self {
            let tasks = Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new());
            let (calls, places) = (Calls::new(false), InFlight::new(1));
            let streams = Streams::new(tasks.clone());
            let (begun, held) = (streams.clone(), places.clone());
            let service = service_fn(move |_: Request<Incoming>| {
                let (progress, call) = (begun.begin(), calls.begin(None));
                let answer = body(vec![7; length]);
                let answer = Piecewise::new(answer, progress, call, held.enter(ANYBODY));
                async move { Ok::<_, Infallible>(http::Response::new(answer)) }
            });
            let (near, far) = tokio::io::duplex(1 << 16);
            let serving = server::conn::http2::Builder::new(streams)
                .serve_connection(TokioIo::new(far), service);
            // Known to be `Send` before it is part of a task.
            let serving: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> =
                Box::pin(serving);
            tasks.spawn(TaskKind::abortable("server"), async move {
                let _ = serving.await;
            });
            let (mut sender, connection) =
                client::conn::http2::Builder::new(Streams::new(tasks.clone()))
                    .initial_stream_window_size(window)
                    .handshake(TokioIo::new(near))
                    .await
                    .unwrap();
            tasks.spawn(TaskKind::abortable("client"), async move {
                let _ = connection.await;
            });
            let request = Request::builder().uri("http://a/");
            let request = request.body(empty_body()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.headers()["content-length"], length.to_string());
            Self {
                answer: response.into_body(),
                places,
                _sender: sender,
                _tasks: tasks,
            }
        }

        /// Whether what the answer held is free again.
        fn is_free(&self) -> bool {
            self.places.enter(ANYBODY).is_some()
        }
    }

    /// Lengths of answers and windows that are too small for them.
    const WITHHELD: [(usize, u32); 4] =
        [(1024, 1), (40_000, 1), (40_000, 39_999), (16_385, 16_384)];

    #[tokio::test(start_paused = true)]
    async fn an_answer_whose_end_is_not_taken_is_reset_and_held_until_then() {
        for (length, window) in WITHHELD {
            let unread = Unread::ask(length, window).await;
            tokio::time::sleep(WRITE_DEADLINE - Duration::from_secs(1)).await;
            assert!(!unread.is_free(), "{length} {window}");
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert!(unread.is_free(), "{length} {window}");
            // To this client what was reset by us only ends early.
            let cut = unread.answer.collect().await;
            let taken = cut.map_or(0, |all| all.to_bytes().len());
            assert!(taken < length, "{length} {window}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_late_is_whole() {
        for (length, window) in WITHHELD {
            let mut unread = Unread::ask(length, window).await;
            tokio::time::sleep(WRITE_DEADLINE - Duration::from_secs(1)).await;
            assert!(!unread.is_free(), "{length} {window}");
            let mut taken = 0;
            while let Some(frame) = unread.answer.frame().await {
                taken += frame.unwrap().into_data().unwrap().len();
            }
            assert_eq!(taken, length);
            assert!(unread.is_free(), "{length} {window}");
        }
    }

    #[test]
    fn a_body_ends_when_its_last_piece_is_out() {
        let calls = Calls::new(false);
        let of = |body| Piecewise::new(body, Arc::default(), calls.begin(None), None);
        let mut context = Context::from_waker(Waker::noop());

        // Ends with its head.
        assert!(of(empty_body()).is_end_stream());
        assert!(of(body("")).is_end_stream());

        let mut four = of(body("four"));
        assert!(!four.is_end_stream());
        assert_eq!(four.size_hint().exact(), Some(4));
        let mut next = || Pin::new(&mut four).poll_frame(&mut context);
        let Poll::Ready(Some(Ok(frame))) = next() else {
            panic!("no piece");
        };
        assert!(next().is_pending());
        let piece = frame.into_data().unwrap();
        let (some, more) = (piece.slice(..2), piece.slice(2..));
        drop((piece, some));
        assert!(next().is_pending());
        drop(more);
        assert!(matches!(next(), Poll::Ready(None)));
        assert!(four.is_end_stream());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_which_nothing_is_taken_is_given_up() {
        let progress = Arc::new(Progress::default());
        let watched = || Watched {
            stream: Box::pin(std::future::pending::<()>()),
            progress: progress.clone(),
            deadline: None,
        };
        // An app may think for as long as it likes.
        let thinking = tokio::time::timeout(2 * WRITE_DEADLINE, watched()).await;
        assert!(thinking.is_err());
        let pieces = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let [first, _second] = pieces.map(|piece| progress.watch(piece));
        let begin = Instant::now();
        let taking = async {
            tokio::time::sleep(WRITE_DEADLINE / 2).await;
            drop(first);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = taking => {}
            () = watched() => {}
        }
        let expected = WRITE_DEADLINE * 3 / 2;
        let took = begin.elapsed();
        assert!((expected..2 * WRITE_DEADLINE).contains(&took), "{took:?}");
    }
}
