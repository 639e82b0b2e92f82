//! Small builders shared by the kernel's tests.

use std::time::Duration;

use bytes::Bytes;
use node_kernel::{BlobPolicy, Conversation, Moment, Outgoing, ProcessEntry, ProcessTable};
use node_types::{
    Address, Blob, Capability, KernelMessage, Message, MessageId, NodeName, OnExit, ProcessId,
    Request, Response,
};

pub const OUR: &str = "alice.dev";

pub fn our() -> NodeName {
    NodeName::new(OUR).unwrap()
}

pub fn id(text: &str) -> ProcessId {
    text.parse().unwrap()
}

/// `here("p:k:g")` is on this node; anything with `@` is taken as it is.
pub fn at(text: &str) -> Address {
    if text.contains('@') {
        text.parse().unwrap()
    } else {
        Address::new(our(), id(text))
    }
}

pub fn messaging(target: &str) -> Capability {
    Capability::messaging(at(target))
}

pub fn blob(text: &'static str) -> Blob {
    Blob {
        mime: None,
        bytes: Bytes::from_static(text.as_bytes()),
    }
}

pub fn request(expects_response: Option<u64>, inherit: bool) -> Request {
    Request {
        inherit,
        expects_response,
        body: Bytes::from_static(b"?"),
        ..Request::default()
    }
}

pub fn response() -> Response {
    Response {
        body: Bytes::from_static(b"!"),
        ..Response::default()
    }
}

pub fn outgoing(target: &str, request: Request) -> Outgoing {
    Outgoing {
        target: target.parse().unwrap_or_else(|_| at(target)),
        request,
        context: None,
        blob: None,
    }
}

pub fn message(source: &str, target: &str, number: u64, message: Message) -> KernelMessage {
    KernelMessage {
        id: MessageId(number),
        source: at(source),
        target: at(target),
        rsvp: None,
        message,
        lazy_load_blob: None,
    }
}

/// A request as it is routed; with an rsvp exactly if it expects a response.
pub fn asks(source: &str, target: &str, number: u64, expects: Option<u64>) -> KernelMessage {
    let mut asks = message(
        source,
        target,
        number,
        Message::Request(request(expects, false)),
    );
    asks.rsvp = expects.map(|_| at(source));
    asks
}

pub fn answers(source: &str, target: &str, number: u64) -> KernelMessage {
    message(source, target, number, Message::Response(response(), None))
}

pub fn app(public: bool) -> ProcessEntry {
    ProcessEntry::userspace("/k:g/pkg/p.wasm", Some(1), None, OnExit::Restart, public)
}

/// A node with the modules of this milestone and no app.
pub fn table() -> ProcessTable {
    let mut table = ProcessTable::new(our());
    let modules = ["kernel", "state", "vfs", "http-server", "timer", "terminal"];
    table.bootstrap_modules(
        modules.map(|name| (id(&format!("{name}:distro:sys")), name == "timer")),
    );
    table
}

/// Seconds after the start of the clock.
pub fn moment(seconds: u64) -> Moment {
    Moment::since_start(Duration::from_secs(seconds))
}

pub fn conversation() -> Conversation {
    Conversation::new(at("me:k:g"), BlobPolicy::CurrentMessage)
}

pub fn old_conversation() -> Conversation {
    Conversation::new(at("me:k:g"), BlobPolicy::LastMessage)
}

pub fn send(state: &mut Conversation, outgoing: Outgoing, id: u64) -> KernelMessage {
    state
        .prepare_request(outgoing, || MessageId(id), moment(0))
        .unwrap()
        .message
}

pub fn with_blob(mut message: KernelMessage, text: Option<&'static str>) -> KernelMessage {
    message.lazy_load_blob = text.map(blob);
    message
}
