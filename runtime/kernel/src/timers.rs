//! Which of the requests that a process waits for are timers.
//!
//! A timer is a request like any other; the host looks at those it has to keep
//! while the node sleeps. Whoever sets one says how long it runs, and this is
//! the one place that reads that.

use std::time::Duration;

use bytes::Bytes;
use node_types::{Address, MessageId, NodeName, Request};
use serde::Deserialize;

use crate::conversation::Conversation;
use crate::deadlines::Moment;

/// Who runs timers.
const TIMER: &str = "timer:distro:sys";

/// What the timer module is asked for, as far as it concerns us.
#[derive(Deserialize)]
enum Action {
    SetTimer(u64),
}

/// A timer whose answer a process waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTimer {
    /// The id of its request.
    pub id: MessageId,
    /// How long it was to run, in milliseconds.
    pub length: u64,
    /// What comes back with its answer.
    pub context: Option<Bytes>,
    /// When it elapses, or has elapsed.
    pub due: Moment,
}

/// The length in milliseconds, if `request` to `target` sets a timer of node
/// `our`.
#[must_use]
pub fn timer_length(target: &Address, request: &Request, our: &NodeName) -> Option<u64> {
    if target.process.as_str() != TIMER || target.node != *our {
        return None;
    }
    match serde_json::from_slice(&request.body) {
        Ok(Action::SetTimer(length)) => Some(length),
        Err(_) => None,
    }
}

/// The body of a request for a timer of `length` milliseconds.
#[must_use]
pub fn timer_body(length: u64) -> Bytes {
    format!("{{\"SetTimer\":{length}}}").into()
}

impl Moment {
    /// The moment `duration` later, or the last one there is.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::since_start(self.as_elapsed().saturating_add(duration))
    }
}

impl Conversation {
    /// The timers whose answers have not been received, elapsed or not.
    pub fn timers(&self) -> impl Iterator<Item = RunningTimer> {
        self.waiting().filter_map(|(id, waiting)| {
            let length = timer_length(&waiting.target, &waiting.request, self.our_node())?;
            Some(RunningTimer {
                id,
                length,
                context: waiting.context.clone(),
                due: waiting.sent.plus(Duration::from_millis(length)),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use node_types::{KernelMessage, Message, Response};

    use super::*;
    use crate::{BlobPolicy, Outgoing};

    const NOW: u64 = 100;

    fn at(seconds: u64) -> Moment {
        Moment::default().plus_seconds(seconds)
    }

    fn sets(
        conversation: &mut Conversation,
        target: &str,
        body: &'static str,
        expects: Option<u64>,
    ) -> KernelMessage {
        let outgoing = Outgoing {
            target: target.parse().unwrap(),
            request: Request {
                expects_response: expects,
                body: body.into(),
                ..Request::default()
            },
            context: Some("hourly".into()),
            blob: None,
        };
        let prepared = conversation.prepare_request(outgoing, || MessageId(7), at(NOW));
        prepared.unwrap().message
    }

    #[test]
    fn timers_are_told_from_other_requests_until_their_answer_is_received() {
        let our: Address = "alice.dev@app:test:alice.dev".parse().unwrap();
        let mut conversation = Conversation::new(our.clone(), BlobPolicy::of(None));
        let timer = "our@timer:distro:sys";
        let set = sets(&mut conversation, timer, "{\"SetTimer\":3600000}", Some(5));
        for (target, body, expects) in [
            (timer, "{\"SetTimer\":1000}", None),
            (timer, "\"Debug\"", Some(5)),
            (timer, "{\"SetTimer\":-1}", Some(5)),
            ("bob.dev@timer:distro:sys", "{\"SetTimer\":1000}", Some(5)),
            ("our@timer:test:alice.dev", "{\"SetTimer\":1000}", Some(5)),
        ] {
            sets(&mut conversation, target, body, expects);
        }
        let running: Vec<_> = conversation.timers().collect();
        let expected = RunningTimer {
            id: set.id,
            length: 3_600_000,
            context: Some("hourly".into()),
            due: at(NOW + 3600),
        };
        assert_eq!(running, [expected]);

        let answer = KernelMessage {
            id: set.id,
            source: set.target,
            target: our,
            rsvp: None,
            message: Message::Response(Response::default(), None),
            lazy_load_blob: None,
        };
        assert!(conversation.ingest(answer).is_some());
        assert_eq!(conversation.timers().count(), 0);
    }

    #[test]
    fn a_body_made_here_is_understood_here_however_long() {
        let our: Address = "alice.dev@timer:distro:sys".parse().unwrap();
        for length in [0, 1, u64::MAX] {
            let request = Request {
                body: timer_body(length),
                ..Request::default()
            };
            assert_eq!(timer_length(&our, &request, &our.node), Some(length));
        }
        assert_eq!(at(1).plus(Duration::MAX).plus_seconds(1), at(u64::MAX));
    }
}
