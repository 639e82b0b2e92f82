//! Messages as the kernel routes them, for people who watch (verbosity 3).
//!
//! Nothing is made, and nothing kept, while nobody watches: a message then
//! costs its sender one relaxed load. Invariant: apart from prints, so that a
//! flood of messages takes no place of a print, neither on its way nor in the
//! log. Watching ends when the [`TrafficWatch`] is dropped.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use node_types::{Address, KernelMessage, Message, MessageId};
use tokio::sync::broadcast::{self, error::RecvError};

/// Messages kept for a slow watcher; more is skipped.
const KEPT: usize = 256;
/// Most of a body that is shown, bytes.
const SHOWN: usize = 80;

/// One message on its way. Shown as one line without control characters.
#[derive(Debug, Clone)]
pub struct Sighting {
    id: MessageId,
    /// Who sent it.
    pub source: Address,
    /// Whom it is for.
    pub target: Address,
    kind: Kind,
    body: usize,
    head: String,
    blob: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// With the seconds that its sender waits.
    Request(Option<u64>),
    Response,
}

impl Sighting {
    fn of(message: &KernelMessage) -> Self {
        let body = message.message.body();
        let plain = |c: char| if c.is_control() { '·' } else { c };
        Self {
            id: message.id,
            source: message.source.clone(),
            target: message.target.clone(),
            kind: match &message.message {
                Message::Request(request) => Kind::Request(request.expects_response),
                Message::Response(..) => Kind::Response,
            },
            body: body.len(),
            head: String::from_utf8_lossy(body.get(..SHOWN).unwrap_or(body))
                .chars()
                .map(plain)
                .collect(),
            blob: message.lazy_load_blob.as_ref().map(|blob| blob.bytes.len()),
        }
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            target,
            body,
            ..
        } = self;
        write!(f, "#{:016x} {source} -> {target} ", self.id.0)?;
        match self.kind {
            Kind::Request(Some(seconds)) => write!(f, "request (waits {seconds} s)")?,
            Kind::Request(None) => f.write_str("request")?,
            Kind::Response => f.write_str("response")?,
        }
        write!(f, ", {body} B")?;
        if let Some(blob) = self.blob {
            write!(f, " and a blob of {blob} B")?;
        }
        if !self.head.is_empty() {
            let more = if *body > SHOWN { "…" } else { "" };
            write!(f, ": {}{more}", self.head)?;
        }
        Ok(())
    }
}

/// Where the kernel shows what it routes.
#[derive(Debug, Default)]
pub struct Traffic {
    watching: Arc<AtomicUsize>,
    /// Made for the first watcher.
    sightings: OnceLock<broadcast::Sender<Arc<Sighting>>>,
}

impl Traffic {
    /// Shows `message` to whoever watches.
    #[inline]
    pub fn see(&self, message: &KernelMessage) {
        if self.watching.load(Ordering::Relaxed) > 0 {
            self.show(message);
        }
    }

    #[cold]
    fn show(&self, message: &KernelMessage) {
        if let Some(sightings) = self.sightings.get() {
            // A watcher may just have left.
            let _ = sightings.send(Arc::new(Sighting::of(message)));
        }
    }

    /// Everything that is routed from now on.
    #[must_use]
    pub fn watch(&self) -> TrafficWatch {
        let sightings = self.sightings.get_or_init(|| broadcast::Sender::new(KEPT));
        let receiver = sightings.subscribe();
        self.watching.fetch_add(1, Ordering::Relaxed);
        TrafficWatch {
            receiver,
            watching: Arc::clone(&self.watching),
        }
    }
}

/// See [`Traffic::watch`].
#[derive(Debug)]
pub struct TrafficWatch {
    receiver: broadcast::Receiver<Arc<Sighting>>,
    watching: Arc<AtomicUsize>,
}

impl TrafficWatch {
    /// The next message.
    ///
    /// # Errors
    /// Some were skipped, or the node is gone.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn next(&mut self) -> Result<Arc<Sighting>, RecvError> {
        self.receiver.recv().await
    }
}

impl Drop for TrafficWatch {
    fn drop(&mut self) {
        self.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use node_types::{Blob, Request, Response};

    use super::*;

    fn message(message: Message, blob: Option<usize>) -> KernelMessage {
        KernelMessage {
            id: MessageId(0xab),
            source: "alice.dev@chat:chat:alice.dev".parse().unwrap(),
            target: "bob.dev@vfs:distro:sys".parse().unwrap(),
            rsvp: None,
            message,
            lazy_load_blob: blob.map(|length| Blob {
                mime: None,
                bytes: vec![0; length].into(),
            }),
        }
    }

    fn request(body: &[u8], expects_response: Option<u64>) -> Message {
        Message::Request(Request {
            body: body.to_vec().into(),
            expects_response,
            ..Request::default()
        })
    }

    #[test]
    fn a_message_is_one_harmless_line() {
        let between = "#00000000000000ab alice.dev@chat:chat:alice.dev -> bob.dev@vfs:distro:sys ";
        let long = "é".repeat(60);
        let answer = Message::Response(Response::default(), None);
        for (given, wanted) in [
            (message(request(b"hi", None), None), "request, 2 B: hi"),
            (
                message(request(b"a\r\n\x1b[2J\x9bb", Some(5)), Some(7)),
                "request (waits 5 s), 9 B and a blob of 7 B: a···[2J\u{fffd}b",
            ),
            (message(answer, Some(0)), "response, 0 B and a blob of 0 B"),
            (
                message(request(long.as_bytes(), None), None),
                &format!("request, 120 B: {}…", "é".repeat(40)),
            ),
        ] {
            assert_eq!(
                Sighting::of(&given).to_string(),
                format!("{between}{wanted}")
            );
        }
    }

    #[tokio::test]
    async fn only_what_is_routed_while_somebody_watches_is_seen() {
        let traffic = Traffic::default();
        let number = |n: u64| KernelMessage {
            id: MessageId(n),
            ..message(request(b"", None), None)
        };
        traffic.see(&number(1));
        assert!(traffic.sightings.get().is_none());
        let mut watch = traffic.watch();
        let other = traffic.watch();
        traffic.see(&number(2));
        drop(other);
        traffic.see(&number(3));
        for wanted in [2, 3] {
            assert_eq!(watch.next().await.unwrap().id, MessageId(wanted));
        }
        for n in 0..KEPT as u64 + 5 {
            traffic.see(&number(n));
        }
        assert!(matches!(watch.next().await, Err(RecvError::Lagged(5))));
        drop(watch);
        assert_eq!(traffic.watching.load(Ordering::Relaxed), 0);
        traffic.see(&number(4));
        assert!(matches!(
            traffic.watch().receiver.try_recv(),
            Err(broadcast::error::TryRecvError::Empty)
        ));
    }
}
