//! One request of a process, from its turn to its answer.
//!
//! Invariants: it ends when nobody waits for its answer any more, when its
//! process ends, or when the node does, and after [`MAX_TIME`] in any case; what
//! it holds of the node's memory is charged until the answer is in a mailbox; a
//! connection whose response is given up is closed at once.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::response::Parts;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use lifecycle::TaskKind;
use node_types::{Blob, KernelMessage, Message};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::action::{Asked, Failure};
use super::budget::Charge;
use super::codec;
use super::connection::Open;
use super::decode::{Coding, Collector, ReadError};
use super::outgoing::Outgoing;
use super::redirect::{self, MAX_STEPS};
use super::turns::Place;
use super::{HttpClient, Used};
use crate::{Sending, Share, answer};

/// How long a request may take whose sender does not say how long it waits.
const UNSAID_TIME: Duration = Duration::from_secs(60);
/// Longest time of a request, whoever waits for it.
const MAX_TIME: Duration = Duration::from_secs(600);
/// Longest silence between two pieces of a body.
const SILENCE: Duration = Duration::from_secs(30);
/// How long an answer may wait for room in a mailbox.
const DELIVERY_TIME: Duration = Duration::from_secs(30);
/// Largest body of a redirect that is read, so that its connection can be used
/// again.
const DRAINED: usize = 8 << 10;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// What a server answered.
struct Answered {
    head: Parts,
    body: Bytes,
    charge: Charge,
}

impl HttpClient {
    /// Takes a request of a process in; `length` is that of its action.
    pub(super) fn request(
        self: &Arc<Self>,
        message: KernelMessage,
        asked: Asked,
        length: usize,
        blob: Option<Blob>,
    ) {
        let body = blob.map(|blob| blob.bytes).unwrap_or_default();
        let mut upload = self.uploads.charge();
        let too_many = |what: &str| Failure::Execute(format!("too many {what} at once; try again"));
        let taken = Outgoing::new(asked, body).and_then(|outgoing| {
            let (body, most) = (outgoing.body.len() as u64, self.uploads.limit());
            if body > most {
                let text = format!("the body of a request has at most {most} bytes");
                return Err(Failure::Build(text));
            }
            // Its headers count too, beside a body that leaves room for them.
            if !upload.grow((body + length as u64).min(most)) {
                return Err(too_many("large requests"));
            }
            let place = self.turns.take(&message.source.process);
            Ok((outgoing, place.ok_or_else(|| too_many("requests"))?))
        });
        let (outgoing, place) = match taken {
            Ok(taken) => taken,
            Err(failure) => return self.fail(&message, &failure),
        };
        let client = self.clone();
        let kind = TaskKind::abortable("http request");
        self.tasks.spawn(kind, async move {
            let deadline = Instant::now() + time_for(&message);
            let serving = client.serve(&message, outgoing, &place);
            tokio::select! {
                biased;
                () = place.ended() => {}
                served = timeout_at(deadline, serving) => if served.is_err() {
                    client.too_late(&message);
                }
            }
            drop(upload);
        });
    }

    async fn serve(&self, message: &KernelMessage, outgoing: Outgoing, place: &Place) {
        let Some(turn) = place.turn().await else {
            return;
        };
        let _in_use = (self.in_use)(Used::Request);
        let performed = self.perform(place, outgoing).await;
        drop(turn);
        let answered = match performed {
            Ok(answered) => answered,
            Err(failure) => return self.fail(message, &failure),
        };
        if !is_answered(message) {
            return;
        }
        let head = codec::answered(answered.head.status, &answered.head.headers);
        let blob = Blob {
            mime: None,
            bytes: answered.body,
        };
        let us = self.address.clone();
        let answer = answer(us, message, head.to_string(), None, Some(blob));
        // A large one has to wait until its receiver has read what it has.
        if let Sending::Waiting(delivering) =
            self.port.send_when_room(answer, Share::OwnersRequests)
            && timeout(DELIVERY_TIME, delivering).await.is_err()
        {
            let seconds = DELIVERY_TIME.as_secs();
            let text = format!("the answer found no room for {seconds} seconds");
            self.fail(message, &Failure::Execute(text));
        }
        drop(answered.charge);
    }

    /// Nothing came in time. Whoever waits no longer than that has been told so
    /// by the kernel.
    fn too_late(&self, message: &KernelMessage) {
        let waited = time_for(message).as_secs();
        let said = match &message.message {
            Message::Request(request) => request.expects_response,
            Message::Response(..) => None,
        };
        if said != Some(waited) {
            let text = format!("no answer came in {waited} seconds");
            self.fail(message, &Failure::Execute(text));
        }
    }

    /// Sends a request, and again wherever it is sent to.
    async fn perform(&self, place: &Place, mut outgoing: Outgoing) -> Result<Answered, Failure> {
        for _ in 0..=MAX_STEPS {
            let sent = self.pool.send(place.process(), &outgoing).await;
            let (open, response) = sent.map_err(|error| Failure::Execute(told(&error)))?;
            let (head, body) = response.into_parts();
            if !redirect::follow(&mut outgoing, head.status, &head.headers)? {
                let coding = if outgoing.decodes && !body.is_end_stream() {
                    Coding::of(&head.headers)
                } else {
                    Coding::Plain
                };
                let life = place.life();
                return self.receive(open, head, body, coding, life).await;
            }
            if is_soon_over(body).await {
                self.pool.keep(open, place.life());
            }
        }
        let text = format!("the server redirects more than {MAX_STEPS} times");
        Err(Failure::Execute(text))
    }

    /// Reads a response to its end.
    async fn receive(
        &self,
        open: Open,
        mut head: Parts,
        mut body: Incoming,
        coding: Coding,
        life: &CancellationToken,
    ) -> Result<Answered, Failure> {
        let failed = |error: &dyn Error| Failure::Execute(told(error));
        let charge = self.downloads.charge();
        let mut collector = Collector::new(coding, self.response_bytes, charge);
        // Announced is more than there may be: why wait for it.
        if body.size_hint().lower() > self.response_bytes {
            return Err(failed(&ReadError::TooLarge(self.response_bytes)));
        }
        loop {
            let frame = match timeout(SILENCE, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(failed(&error)),
                Ok(None) => break,
                Err(_) => {
                    let text = format!("the server was silent for {} seconds", SILENCE.as_secs());
                    return Err(Failure::Execute(text));
                }
            };
            if let Ok(piece) = frame.into_data() {
                let taken = collector.take(&piece).await;
                taken.map_err(|error| failed(&error))?;
            }
        }
        let (body, charge) = collector.finish().map_err(|error| failed(&error))?;
        self.pool.keep(open, life);
        if coding != Coding::Plain {
            head.headers.remove(CONTENT_ENCODING);
            head.headers.remove(CONTENT_LENGTH);
        }
        Ok(Answered { head, body, charge })
    }
}

/// Reads a body that nobody wants; false if that is too much to do.
async fn is_soon_over(mut body: Incoming) -> bool {
    if body.size_hint().lower() > DRAINED as u64 {
        return false;
    }
    let reading = async {
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return false;
            };
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DRAINED {
                return false;
            }
        }
        true
    };
    timeout(DRAIN_TIME, reading).await.unwrap_or(false)
}

/// Whether somebody gets the answer to `message`.
pub(super) fn is_answered(message: &KernelMessage) -> bool {
    message.rsvp.is_some() || message.message.expects_response()
}

/// How long somebody waits for the answer.
pub(super) fn time_for(message: &KernelMessage) -> Duration {
    match &message.message {
        Message::Request(request) => request.expects_response.map_or(UNSAID_TIME, |seconds| {
            Duration::from_secs(seconds).min(MAX_TIME)
        }),
        Message::Response(..) => Duration::ZERO,
    }
}

/// An error with what caused it.
pub(super) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
