//! Laws of a conversation, checked against a second, naive account of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use node_kernel::{BlobPolicy, Conversation};
use node_types::{Blob, KernelMessage, Message, MessageId, SendErrorKind};
use proptest::prelude::*;

use crate::common::*;

/// What may happen to a process. Ids come from a small range, so that they
/// collide.
#[derive(Debug, Clone)]
enum Event {
    Ask {
        id: u64,
        expects: Option<u64>,
        inherit: bool,
        blob: bool,
    },
    Asked {
        id: u64,
        expects: bool,
        rsvp: bool,
        blob: bool,
    },
    Answered {
        id: u64,
        blob: bool,
    },
    Bounced {
        id: u64,
    },
    Answers {
        inherit: bool,
        blob: bool,
    },
    TimePasses {
        seconds: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let small = 0..6u64;
    prop_oneof![
        3 => (small.clone(), prop::option::of(0..9u64), any::<bool>(), any::<bool>())
            .prop_map(|(id, expects, inherit, blob)| Event::Ask { id, expects, inherit, blob }),
        2 => (small.clone(), any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(id, expects, rsvp, blob)| Event::Asked { id, expects, rsvp, blob }),
        3 => (small.clone(), any::<bool>()).prop_map(|(id, blob)| Event::Answered { id, blob }),
        1 => small.prop_map(|id| Event::Bounced { id }),
        1 => any::<(bool, bool)>().prop_map(|(inherit, blob)| Event::Answers { inherit, blob }),
        1 => (0..4u64).prop_map(|seconds| Event::TimePasses { seconds }),
    ]
}

/// An outstanding request as the model knows it.
#[derive(Debug, Clone)]
struct Waiting {
    tag: u64,
    prompt: Option<MessageId>,
    due: u64,
    kind: SendErrorKind,
}

/// A second, naive account of what [`Conversation`] should do.
struct Model {
    state: Conversation,
    policy: BlobPolicy,
    now: u64,
    tags: u64,
    prompt: Option<MessageId>,
    last: Option<Blob>,
    current: bool,
    waiting: BTreeMap<MessageId, Waiting>,
    /// Tags of ended requests: each may be added once.
    ended: BTreeSet<u64>,
}

type Check = Result<(), TestCaseError>;

impl Model {
    fn new(policy: BlobPolicy) -> Self {
        Self {
            state: Conversation::new(at("me:k:g"), policy),
            policy,
            now: 0,
            tags: 0,
            prompt: None,
            last: None,
            current: false,
            waiting: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    fn tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }

    fn new_blob(&mut self, wanted: bool) -> Option<Blob> {
        wanted.then(|| Blob {
            mime: None,
            bytes: self.tag().to_string().into(),
        })
    }

    fn received(&mut self, blob: Option<Blob>) {
        self.current = blob.is_some();
        if self.policy == BlobPolicy::LastMessage || blob.is_some() {
            self.last = blob;
        }
    }

    fn end(&mut self, id: MessageId, context: Option<Bytes>) -> Result<Waiting, TestCaseError> {
        let waiting = self.waiting.remove(&id);
        let waiting = waiting.ok_or_else(|| TestCaseError::fail("ended what nobody asked"))?;
        prop_assert_eq!(context, Some(Bytes::from(waiting.tag.to_string())));
        prop_assert!(self.ended.insert(waiting.tag), "ended twice");
        self.prompt = waiting.prompt;
        Ok(waiting)
    }

    fn ask(&mut self, id: u64, expects: Option<u64>, inherit: bool, blob: bool) -> Check {
        let tag = self.tag();
        let explicit = self.new_blob(blob);
        let mut out = outgoing("b:k:g", request(expects, inherit));
        out.context = Some(tag.to_string().into());
        out.blob = explicit.clone();
        let sent = self
            .state
            .prepare_request(out, || MessageId(id), moment(self.now))
            .unwrap()
            .message;
        match self.prompt.filter(|_| inherit) {
            Some(prompt) => prop_assert_eq!(sent.id, prompt),
            None => prop_assert!(!self.waiting.contains_key(&sent.id), "id in use"),
        }
        let slot = self.last.clone().filter(|_| inherit);
        prop_assert_eq!(&sent.lazy_load_blob, &explicit.or(slot));
        if let Some(seconds) = expects {
            prop_assert_eq!(sent.rsvp, Some(at("me:k:g")));
            let waiting = Waiting {
                tag,
                prompt: self.prompt,
                due: self.now + seconds,
                kind: SendErrorKind::Timeout,
            };
            if let Some(replaced) = self.waiting.insert(sent.id, waiting) {
                prop_assert!(self.ended.insert(replaced.tag), "ended twice");
            }
        }
        Ok(())
    }

    fn receive(&mut self, mut message: KernelMessage, blob: bool) -> Check {
        message.lazy_load_blob = self.new_blob(blob);
        let (id, blob) = (message.id, message.lazy_load_blob.clone());
        let answerable = matches!(message.message, Message::Request(_))
            && (message.message.expects_response() || message.rsvp.is_some());
        let solicited = self.waiting.contains_key(&id);
        match self.state.ingest(message) {
            None => prop_assert!(!solicited, "an awaited answer was dropped"),
            Some((_, Message::Response(_, context))) => {
                prop_assert!(solicited, "an unsolicited response was delivered");
                self.end(id, context)?;
                self.received(blob);
            }
            Some((_, Message::Request(_))) => {
                if answerable {
                    self.prompt = Some(id);
                }
                self.received(blob);
            }
        }
        Ok(())
    }

    /// Delivers every failure that is due, as `receive` would.
    fn deliver_due(&mut self) -> Check {
        loop {
            let due = self.state.expire(moment(self.now));
            let earliest = self.waiting.values().map(|waiting| waiting.due).min();
            prop_assert_eq!(
                self.state
                    .next_deadline()
                    .map(|at| at.as_elapsed().as_secs()),
                earliest
            );
            let Some(id) = due else {
                prop_assert!(earliest.is_none_or(|earliest| earliest > self.now));
                return Ok(());
            };
            let (error, context) = self.state.fail_due(moment(self.now)).unwrap();
            let waiting = self.end(id, context)?;
            prop_assert_eq!(Some(waiting.due), earliest);
            prop_assert_eq!(error.kind, waiting.kind);
            self.current = false;
        }
    }

    fn step(&mut self, event: &Event) -> Check {
        match *event {
            Event::Ask {
                id,
                expects,
                inherit,
                blob,
            } => self.ask(id, expects, inherit, blob)?,
            Event::Asked {
                id,
                expects,
                rsvp,
                blob,
            } => {
                let mut message = asks("a:k:g", "me:k:g", id, expects.then_some(5));
                message.rsvp = rsvp.then(|| at("r:k:g"));
                self.receive(message, blob)?;
            }
            Event::Answered { id, blob } => self.receive(answers("b:k:g", "me:k:g", id), blob)?,
            Event::Bounced { id } => {
                let id = MessageId(id);
                self.state
                    .bounce(id, SendErrorKind::Offline, moment(self.now));
                if let Some(waiting) = self.waiting.get_mut(&id)
                    && waiting.due > self.now
                {
                    waiting.due = self.now;
                    waiting.kind = SendErrorKind::Offline;
                }
            }
            Event::Answers { inherit, blob } => {
                let explicit = self.new_blob(blob);
                let mut response = response();
                response.inherit = inherit;
                let sent = self.state.prepare_response(response, explicit.clone());
                prop_assert_eq!(sent.as_ref().map(|sent| sent.id), self.prompt);
                if let Some(sent) = sent {
                    let wanted = if inherit { self.last.clone() } else { explicit };
                    prop_assert_eq!(sent.lazy_load_blob, wanted);
                }
            }
            Event::TimePasses { seconds } => {
                self.now += seconds;
                self.deliver_due()?;
            }
        }
        self.agree()
    }

    fn agree(&self) -> Check {
        prop_assert_eq!(self.state.prompt(), self.prompt);
        prop_assert_eq!(self.state.outstanding(), self.waiting.len());
        prop_assert_eq!(self.state.last_blob(), self.last.clone());
        let visible = match self.policy {
            BlobPolicy::LastMessage => self.last.clone(),
            BlobPolicy::CurrentMessage => self.last.clone().filter(|_| self.current),
        };
        prop_assert_eq!(self.state.has_blob(), visible.is_some());
        prop_assert_eq!(self.state.get_blob(), visible);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// No unsolicited response is delivered, every outstanding request ends
    /// exactly once with its own context, ids are unique among them, prompts
    /// are restored and blobs follow the edition's rule.
    #[test]
    fn a_conversation_keeps_its_laws(
        events in prop::collection::vec(event(), 0..80), old: bool,
    ) {
        let policy = if old { BlobPolicy::LastMessage } else { BlobPolicy::CurrentMessage };
        let mut model = Model::new(policy);
        for event in events {
            model.step(&event)?;
        }
        // Whatever is left ends when its time has come, and then nothing is.
        model.now += 1000;
        model.deliver_due()?;
        model.agree()?;
        prop_assert!(model.waiting.is_empty());
        prop_assert_eq!(model.state.next_deadline(), None);
    }
}
