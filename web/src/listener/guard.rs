//! Stands between the socket and the HTTP parser.
//!
//! It holds each head back until it is complete and [`head::check`] lets it
//! through, and enforces deadlines that the parser has no notion of. It never
//! changes what it lets through, so it can only refuse more than the parser
//! would, never make it read something else. In place of a refused head the
//! parser gets [`STAND_IN`], and the service, told by [`Signals`], answers that
//! with the reason. Nothing is let through after a refused head, nor after the
//! body of a chunked request, whose end only the parser knows. Once the service
//! has answered 101 everything passes, and only writing has a deadline.
//!
//! Stops with the connection. Once the door closes, an idle client is waited
//! for a moment longer only: its next request may be on its way, and would be
//! lost with the connection. A head that has begun has its whole time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use super::deadlines::{CLOSING_DEADLINE, HEAD_DEADLINE, IDLE_DEADLINE};
use super::head::{self, Framing, Refusal};
use super::linger::Linger;
use super::signals::Signals;
use super::slots::Slot;
use super::write_deadline::WriteDeadline;

/// Bytes asked of the socket at once while a head is awaited.
const HEAD_READ: usize = 4096;

/// The smallest request; being HTTP/1.0 it also ends the connection.
const STAND_IN: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// What the bytes that come next are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// A head.
    Head,
    /// So many bytes of a body.
    Body(u64),
    /// Whatever: the connection ends after this request.
    Anything,
    /// Nothing is read any more.
    Nothing,
    /// Whatever another protocol says, for as long as it likes.
    Switched,
}

/// A connection whose heads are checked.
#[derive(Debug)]
pub(super) struct Guarded<I> {
    io: I,
    signals: Arc<Signals>,
    expect: Expect,
    /// Read from the socket, not yet looked at or not yet let through.
    held: BytesMut,
    /// How much of `held` has been searched for the end of a head.
    searched: usize,
    /// Let through.
    passed: Bytes,
    /// Heads let through, stand-in included.
    heads: u64,
    read_deadline: Pin<Box<Sleep>>,
    /// When the deadline was looked at last, the client waited for us.
    was_busy: bool,
    write_deadline: WriteDeadline,
    linger: Option<Linger>,
    /// The connection's place, which it needs also once it is no HTTP.
    slot: Option<Slot>,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Guarded<I> {
    pub(super) fn new(io: I, signals: Arc<Signals>) -> Self {
        Self {
            io,
            signals,
            expect: Expect::Head,
            held: BytesMut::new(),
            searched: 0,
            passed: Bytes::new(),
            heads: 0,
            read_deadline: Box::pin(tokio::time::sleep(HEAD_DEADLINE)),
            was_busy: false,
            write_deadline: WriteDeadline::default(),
            linger: None,
            slot: None,
        }
    }

    /// Holds on to `slot` as long as there is a connection.
    pub(super) fn holding(mut self, slot: Slot) -> Self {
        self.slot = Some(slot);
        self
    }

    /// Goes on from what was read of the first head already.
    pub(super) fn begun(mut self, read: BytesMut) -> Self {
        self.held = read;
        self
    }

    /// Stops looking for heads once the connection is no HTTP any more.
    /// `false` if there is nothing to read after what was refused.
    fn follow_switch(&mut self) -> bool {
        if self.expect == Expect::Switched || !self.signals.switched.load(Ordering::Acquire) {
            return true;
        }
        if self.signals.refused.lock().is_some() {
            self.passed.clear();
            return false;
        }
        self.expect = Expect::Switched;
        true
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.heads += 1;
        *self.signals.refused.lock() = Some((self.heads, refusal));
        self.passed = Bytes::from_static(STAND_IN);
        self.held.clear();
        self.expect = Expect::Nothing;
    }

    /// Lets the head in `held` through if all of it is there.
    fn try_head(&mut self) {
        if self.searched <= 1 {
            self.held.advance(head::leading_empty_lines(&self.held));
        }
        let Some(first) = self.held.first() else {
            return;
        };
        if !first.is_ascii_graphic() && *first != b'\r' {
            // Certainly no request: TLS, for one.
            return self.refuse(Refusal {
                status: http::StatusCode::BAD_REQUEST,
                detail: "this is not an HTTP/1.1 request",
            });
        }
        let end = head::end(&self.held, self.searched);
        if end.unwrap_or(self.held.len()) > head::MAX_HEAD {
            return self.refuse(head::TOO_LARGE);
        }
        let Some(end) = end else {
            self.searched = self.held.len();
            return;
        };
        self.searched = 0;
        match head::check(&self.held[..end]) {
            Err(refusal) => self.refuse(refusal),
            Ok(framing) => {
                self.heads += 1;
                self.passed = self.held.split_to(end).freeze();
                self.expect = match framing {
                    Framing::Length(0) => Expect::Head,
                    Framing::Length(length) => Expect::Body(length),
                    Framing::Chunked => Expect::Anything,
                };
                self.await_head();
            }
        }
    }

    /// Starts the deadline for the next head, part of which may be here.
    fn await_head(&mut self) {
        self.was_busy = false;
        self.reset_read(if self.held.is_empty() {
            self.idle()
        } else {
            HEAD_DEADLINE
        });
    }

    /// How long the next request may be waited for.
    fn idle(&self) -> Duration {
        if self.signals.is_closing() {
            CLOSING_DEADLINE
        } else {
            IDLE_DEADLINE
        }
    }

    /// Shortens the deadline of an idle connection when the door closes.
    fn hurry(&mut self) {
        if self.signals.is_closing() {
            let soon = Instant::now() + CLOSING_DEADLINE;
            let deadline = self.read_deadline.deadline().min(soon);
            self.read_deadline.as_mut().reset(deadline);
        }
    }

    fn reset_read(&mut self, wait: Duration) {
        self.read_deadline.as_mut().reset(Instant::now() + wait);
    }

    /// Reads more of a head into `held`. `Ok(false)` at the end of the stream.
    fn poll_more_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let started = !self.held.is_empty();
        if !started {
            self.hurry();
        }
        self.held.reserve(HEAD_READ);
        if let Poll::Ready(read) = poll_read_buf(Pin::new(&mut self.io), context, &mut self.held) {
            let read = read?;
            if !started && read > 0 {
                self.reset_read(HEAD_DEADLINE);
            }
            return Poll::Ready(Ok(read > 0));
        }
        loop {
            ready!(self.read_deadline.as_mut().poll(context));
            let busy = self.signals.unanswered.load(Ordering::Relaxed) > 0;
            if !busy && !self.was_busy {
                break;
            }
            // The client waits for us, not we for it; or did until just now.
            self.was_busy = busy;
            self.reset_read(self.idle());
        }
        if started {
            self.refuse(head::TOO_SLOW);
            return Poll::Ready(Ok(true));
        }
        self.expect = Expect::Nothing;
        Poll::Ready(Ok(false))
    }

    /// Reads body bytes from the socket, at most `left`; what is read beyond
    /// belongs to the next head and is held.
    fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
        left: u64,
    ) -> Poll<io::Result<u64>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, out))?;
        let read = out.filled().len() - before;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(read);
        self.held
            .extend_from_slice(&out.filled()[before + wanted..]);
        out.set_filled(before + wanted);
        Poll::Ready(Ok(wanted as u64))
    }

    /// Moves body bytes from `held` to `passed`.
    fn pass_held(&mut self, left: u64) -> u64 {
        let length = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(self.held.len());
        self.passed = self.held.split_to(length).freeze();
        length as u64
    }

    fn body_left(&mut self, left: u64) {
        self.expect = if left == 0 {
            self.await_head();
            Expect::Head
        } else {
            Expect::Body(left)
        };
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.follow_switch() {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.passed.has_remaining() {
                let length = this.passed.len().min(out.remaining());
                out.put_slice(&this.passed.split_to(length));
                return Poll::Ready(Ok(()));
            }
            match this.expect {
                Expect::Head => {
                    if this.held.len() > this.searched {
                        this.try_head();
                        continue;
                    }
                    if !ready!(this.poll_more_head(context))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Expect::Body(left) if !this.held.is_empty() => {
                    let passed = this.pass_held(left);
                    this.body_left(left - passed);
                }
                Expect::Body(left) => {
                    let read = ready!(this.poll_body(context, out, left))?;
                    this.body_left(left - read);
                    return Poll::Ready(Ok(()));
                }
                Expect::Anything | Expect::Switched if !this.held.is_empty() => {
                    this.pass_held(u64::MAX);
                }
                Expect::Anything | Expect::Switched => {
                    return Pin::new(&mut this.io).poll_read(context, out);
                }
                // The answer to what was let through ends the connection; an
                // end of the stream here would cut that answer off.
                Expect::Nothing => return this.poll_nothing(),
            }
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Guarded<I> {
    fn poll_nothing(&self) -> Poll<io::Result<()>> {
        if self.signals.refused.lock().is_some() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.write_deadline.watch(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, slices);
        this.write_deadline.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        this.write_deadline.watch(context, flushed)
    }

    /// Ends our side, then reads and forgets what the client still sends.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(context))?;
            if this.expect == Expect::Head && this.held.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(Linger::default);
        linger.poll(&mut this.io, context).map(Ok)
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
