//! What scripts do, in the words that all process libraries share. The crate
//! that includes it brings the library as `lib`, its bare interface as `raw`
//! and what differs between generations as `edition`.

use crate::lib::{self, Message, OnExit, Request, Response};
use crate::script::{Answer, Exit, Incoming, Outgoing};
use crate::{edition, raw};

pub use crate::edition::{has_blob, last_blob, our};
pub use crate::lib::{
    clear_state, drop_capabilities, get_blob, get_state, our_capabilities, save_capabilities,
    set_state, Address, Capability, LazyLoadBlob, ProcessId,
};

fn build(outgoing: Outgoing) -> Request {
    let mut request = Request::to(outgoing.target)
        .inherit(outgoing.inherit)
        .body(outgoing.body)
        .capabilities(outgoing.capabilities);
    request.timeout = outgoing.expects;
    request.metadata = outgoing.metadata;
    request.context = outgoing.context;
    request.blob = outgoing.blob;
    request
}

/// Undoes [`build`].
fn take_apart(request: Request) -> Option<Outgoing> {
    Some(Outgoing {
        target: request.target?,
        body: request.body?,
        expects: request.timeout,
        inherit: request.inherit,
        metadata: request.metadata,
        context: request.context,
        blob: request.blob,
        capabilities: request.capabilities,
    })
}

/// Prints for people.
pub fn print(text: &str) {
    raw::print_to_terminal(0, text);
}

/// Sends a request.
pub fn send(outgoing: Outgoing) {
    // Fails only without a target or a body.
    let _ = build(outgoing).send();
}

/// The libraries have no word of their own for it.
pub fn send_all(list: Vec<Outgoing>) {
    let list: Vec<_> = list.into_iter().map(bare).collect();
    raw::send_requests(&list);
}

type Bare = (Address, raw::Request, Option<Vec<u8>>, Option<LazyLoadBlob>);

/// As the interface takes it.
fn bare(outgoing: Outgoing) -> Bare {
    let request = raw::Request {
        inherit: outgoing.inherit,
        expects_response: outgoing.expects,
        body: outgoing.body,
        metadata: outgoing.metadata,
        capabilities: outgoing.capabilities,
    };
    (outgoing.target, request, outgoing.context, outgoing.blob)
}

/// `None`: there is no target or no body, or no time and yet an end.
pub fn send_and_await(outgoing: Outgoing) -> Option<Incoming> {
    let Some(seconds) = outgoing.expects else {
        // The libraries always name a time.
        let (target, request, _, blob) = bare(outgoing);
        let _ = raw::send_and_await_response(&target, &request, blob.as_ref());
        return None;
    };
    let answered = build(outgoing).send_and_await_response(seconds).ok()?;
    Some(match answered {
        Ok(message) => arrived(message),
        Err(error) => failed(error),
    })
}

/// Answers the request being handled.
pub fn respond(answer: Answer) {
    let mut response = Response::new()
        .inherit(answer.inherit)
        .body(answer.body)
        .capabilities(answer.capabilities);
    if let Some(metadata) = &answer.metadata {
        response = response.metadata(metadata);
    }
    if let Some(blob) = answer.blob {
        response = response.blob(blob);
    }
    // Fails only without a body.
    let _ = response.send();
}

/// Waits for what comes next.
pub fn receive() -> Incoming {
    match lib::await_message() {
        Ok(message) => arrived(message),
        Err(error) => failed(error),
    }
}

/// A message of the library.
pub fn arrived(message: Message) -> Incoming {
    match message {
        Message::Request {
            source,
            expects_response,
            body,
            metadata,
            capabilities,
        } => Incoming::Request {
            source,
            body,
            expects: expects_response,
            metadata,
            capabilities,
        },
        Message::Response {
            source,
            body,
            metadata,
            context,
            capabilities,
        } => Incoming::Response {
            source,
            body,
            metadata,
            context,
            capabilities,
        },
    }
}

/// A failed send of the library.
pub fn failed(error: lib::SendError) -> Incoming {
    Incoming::Failed {
        offline: error.kind.is_offline(),
        target: Some(error.target),
        body: error.message.body().to_vec(),
        context: error.context,
        blob: error.lazy_load_blob,
    }
}

/// What happens at exit.
pub fn on_exit() -> Exit {
    match OnExit::get() {
        OnExit::None => Exit::None,
        OnExit::Restart => Exit::Restart,
        OnExit::Requests(list) => Exit::Requests(list.into_iter().filter_map(take_apart).collect()),
    }
}

fn lift(exit: Exit) -> OnExit {
    match exit {
        Exit::None => OnExit::None,
        Exit::Restart => OnExit::Restart,
        Exit::Requests(list) => OnExit::Requests(list.into_iter().map(build).collect()),
    }
}

/// Replaces what happens at exit.
pub fn set_on_exit(exit: Exit) {
    // Fails only for a request without a target or a body.
    let _ = lift(exit).set();
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
    let granted = granted.into_iter().map(edition::grant).collect();
    lib::spawn(name, wasm_path, lift(exit), requested, granted, public).map_err(|error| match error
    {
        raw::SpawnError::NameTaken => "NameTaken",
        raw::SpawnError::NoFileAtPath => "NoFileAtPath",
    })
}
