//! What scripts do, on the bare interface.

use crate::bindings::kinode::process::standard as host;
use crate::script::{Answer, Exit, Incoming, Outgoing};
use host::{Message, OnExit, Request, Response, SendError, SendErrorKind, SpawnError};

pub use host::{
    clear_state, drop_capabilities, get_blob, get_state, our_capabilities, save_capabilities,
    set_state, Address, Capability, LazyLoadBlob, ProcessId,
};

type Parts = (Address, Request, Option<Vec<u8>>, Option<LazyLoadBlob>);

fn parts(outgoing: Outgoing) -> Parts {
    let request = Request {
        inherit: outgoing.inherit,
        expects_response: outgoing.expects,
        body: outgoing.body,
        metadata: outgoing.metadata,
        capabilities: outgoing.capabilities,
    };
    (outgoing.target, request, outgoing.context, outgoing.blob)
}

/// Prints for people.
pub fn print(text: &str) {
    host::print_to_terminal(0, text);
}

/// Sends a request.
pub fn send(outgoing: Outgoing) {
    let (target, request, context, blob) = parts(outgoing);
    host::send_request(&target, &request, context.as_ref(), blob.as_ref());
}

/// Sends several, in one call.
pub fn send_all(list: Vec<Outgoing>) {
    let list: Vec<Parts> = list.into_iter().map(parts).collect();
    host::send_requests(&list);
}

/// Sends a request and waits for what comes of it.
pub fn send_and_await(outgoing: Outgoing) -> Option<Incoming> {
    let (target, request, context, blob) = parts(outgoing);
    let answered = host::send_and_await_response(&target, &request, blob.as_ref());
    Some(match answered {
        Ok((source, message)) => arrived(source, message),
        Err(error) => failed(error, context),
    })
}

/// Answers the request being handled.
pub fn respond(answer: Answer) {
    let response = Response {
        inherit: answer.inherit,
        body: answer.body,
        metadata: answer.metadata,
        capabilities: answer.capabilities,
    };
    host::send_response(&response, answer.blob.as_ref());
}

/// Waits for what comes next.
pub fn receive() -> Incoming {
    match host::receive() {
        Ok((source, message)) => arrived(source, message),
        Err((error, context)) => failed(error, context),
    }
}

fn arrived(source: Address, message: Message) -> Incoming {
    match message {
        Message::Request(request) => Incoming::Request {
            source,
            body: request.body,
            expects: request.expects_response,
            metadata: request.metadata,
            capabilities: request.capabilities,
        },
        Message::Response((response, context)) => Incoming::Response {
            source,
            body: response.body,
            metadata: response.metadata,
            context,
            capabilities: response.capabilities,
        },
    }
}

fn failed(error: SendError, context: Option<Vec<u8>>) -> Incoming {
    Incoming::Failed {
        offline: error.kind == SendErrorKind::Offline,
        target: None,
        body: match error.message {
            Message::Request(request) => request.body,
            Message::Response((response, _)) => response.body,
        },
        context,
        blob: error.lazy_load_blob,
    }
}

/// The process itself, where the interface tells.
pub fn our() -> Option<Address> {
    None
}

/// Whether the message being handled has a blob, where that can be asked.
pub fn has_blob() -> Option<bool> {
    None
}

/// The last blob that arrived, where that can be asked.
pub fn last_blob() -> Option<Option<LazyLoadBlob>> {
    None
}

/// What happens at exit.
pub fn on_exit() -> Exit {
    match host::get_on_exit() {
        OnExit::None => Exit::None,
        OnExit::Restart => Exit::Restart,
        OnExit::Requests(list) => Exit::Requests(
            list.into_iter()
                .map(|(target, request, blob)| Outgoing {
                    target,
                    body: request.body,
                    expects: request.expects_response,
                    inherit: request.inherit,
                    metadata: request.metadata,
                    context: None,
                    blob,
                    capabilities: request.capabilities,
                })
                .collect(),
        ),
    }
}

fn lift(exit: Exit) -> OnExit {
    match exit {
        Exit::None => OnExit::None,
        Exit::Restart => OnExit::Restart,
        Exit::Requests(list) => OnExit::Requests(
            list.into_iter()
                .map(parts)
                .map(|(target, request, _, blob)| (target, request, blob))
                .collect(),
        ),
    }
}

/// Replaces what happens at exit.
pub fn set_on_exit(exit: Exit) {
    host::set_on_exit(&lift(exit));
}

/// Spawns a child; the name of the error if it was not.
pub fn spawn(
    name: Option<&str>,
    wasm_path: &str,
    exit: Exit,
    requested: Vec<Capability>,
    granted: Vec<(ProcessId, String)>,
    public: bool,
) -> Result<ProcessId, &'static str> {
    // A child grants the right to message it, and nothing else.
    let granted: Vec<ProcessId> = granted.into_iter().map(|(holder, _)| holder).collect();
    host::spawn(name, wasm_path, &lift(exit), &requested, &granted, public).map_err(|error| {
        match error {
            SpawnError::NameTaken => "NameTaken",
            SpawnError::NoFileAtPath => "NoFileAtPath",
        }
    })
}
