//! Answers and notices as JSON, in the words of each generation.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::{Map, Value, json};

use super::action::{Failure, PushError};
use crate::dialect::Dialect;
use crate::websocket::MessageType;

/// Something about a WebSocket was done.
pub(super) fn acknowledged() -> Value {
    json!({"Ok": "WebSocketAck"})
}

/// What a server answered; its body is the blob.
pub(super) fn answered(status: StatusCode, headers: &HeaderMap) -> Value {
    json!({"Ok": {"Http": {"status": status.as_u16(), "headers": object(headers)}}})
}

/// Something arrived on a channel; it is the blob.
pub(super) fn pushed(channel: u32, kind: MessageType) -> Value {
    json!({"WebSocketPush": {"channel_id": channel, "message_type": kind}})
}

/// A channel is gone.
pub(super) fn closed(channel: u32) -> Value {
    json!({"WebSocketClose": {"channel_id": channel}})
}

/// Why nothing came of a request.
pub(super) fn failed(failure: &Failure, dialect: Dialect) -> Value {
    let error = match (failure, dialect) {
        (Failure::Method(method), _) => json!({"BadMethod": {"method": method}}),
        (Failure::Url(url), _) => json!({"BadUrl": {"url": url}}),
        (Failure::Version(version), _) => json!({"BadVersion": {"version": version}}),
        (Failure::Open(url), _) => json!({"WsOpenFailed": {"url": url}}),
        (Failure::Close(channel), _) => json!({"WsCloseFailed": {"channel_id": channel}}),
        (Failure::Malformed(_) | Failure::Build(_), Dialect::Old) => {
            json!({"BadRequest": {"req": failure.to_string()}})
        }
        (Failure::Execute(error), Dialect::Old) => json!({"RequestFailed": {"error": error}}),
        (Failure::Push(error), Dialect::Old) => {
            json!({"WsPushFailed": {"req": error.to_string()}})
        }
        (Failure::Malformed(_), Dialect::New) => json!("MalformedRequest"),
        (Failure::Build(error), Dialect::New) => json!({"BuildRequestFailed": error}),
        (Failure::Execute(error), Dialect::New) => json!({"ExecuteRequestFailed": error}),
        (Failure::Push(error), Dialect::New) => newer_push(*error),
    };
    json!({"Err": error})
}

/// A channel that is being closed takes no more than one that never was; for
/// what is too long there is no word.
fn newer_push(error: PushError) -> Value {
    match error {
        PushError::NoChannel(channel) | PushError::TooSlow(channel) => {
            json!({"WsPushUnknownChannel": {"channel_id": channel}})
        }
        PushError::NoBlob => json!("WsPushNoBlob"),
        PushError::BadText => json!("WsPushBadText"),
        PushError::LongControl | PushError::TooLong(_) => json!("MalformedRequest"),
    }
}

/// Headers as an object, which has one value a name: those of a header that
/// came several times are joined, as HTTP itself reads them. Cookies cannot be
/// joined, so the last one is there, as in upstream. A value that is no text
/// is empty.
fn object(headers: &HeaderMap) -> Map<String, Value> {
    let mut object = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let mut values = values.map(|value| str::from_utf8(value.as_bytes()).unwrap_or_default());
        let value = if *name == SET_COOKIE {
            values.next_back().unwrap_or_default().to_owned()
        } else {
            values.collect::<Vec<_>>().join(", ")
        };
        object.insert(capitalised(name), value.into());
    }
    object
}

/// `content-type` as `Content-Type`.
fn capitalised(name: &HeaderName) -> String {
    let mut begins = true;
    let letters = name.as_str().chars().map(|letter| {
        let shown = if begins {
            letter.to_ascii_uppercase()
        } else {
            letter
        };
        begins = letter == '-';
        shown
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_have_capitals_and_one_value_each() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", &b"text/plain"[..]),
            ("etag", b"\"1\""),
            ("vary", b"accept"),
            ("vary", b"origin"),
            ("set-cookie", b"a=1"),
            ("set-cookie", b"b=2"),
            ("x-a--b", "ä".as_bytes()),
            ("x-bytes", b"\xff"),
        ] {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let wanted = json!({
            "Content-Type": "text/plain",
            "Etag": "\"1\"",
            "Vary": "accept, origin",
            "Set-Cookie": "b=2",
            "X-A--B": "ä",
            "X-Bytes": "",
        });
        assert_eq!(Value::Object(object(&headers)), wanted);
    }

    #[test]
    fn every_failure_has_its_word_in_each_generation() {
        let text = || "text".to_owned();
        for (failure, old, new) in [
            (
                Failure::Malformed(text()),
                json!({"BadRequest": {"req": "not an action: text"}}),
                json!("MalformedRequest"),
            ),
            (
                Failure::Method(text()),
                json!({"BadMethod": {"method": "text"}}),
                json!({"BadMethod": {"method": "text"}}),
            ),
            (
                Failure::Url(text()),
                json!({"BadUrl": {"url": "text"}}),
                json!({"BadUrl": {"url": "text"}}),
            ),
            (
                Failure::Version(text()),
                json!({"BadVersion": {"version": "text"}}),
                json!({"BadVersion": {"version": "text"}}),
            ),
            (
                Failure::Build(text()),
                json!({"BadRequest": {"req": "text"}}),
                json!({"BuildRequestFailed": "text"}),
            ),
            (
                Failure::Execute(text()),
                json!({"RequestFailed": {"error": "text"}}),
                json!({"ExecuteRequestFailed": "text"}),
            ),
            (
                Failure::Open(text()),
                json!({"WsOpenFailed": {"url": "text"}}),
                json!({"WsOpenFailed": {"url": "text"}}),
            ),
            (
                Failure::Push(PushError::NoChannel(7)),
                json!({"WsPushFailed": {"req": "no such WebSocket channel: 7"}}),
                json!({"WsPushUnknownChannel": {"channel_id": 7}}),
            ),
            (
                Failure::Push(PushError::TooSlow(7)),
                json!({"WsPushFailed": {"req":
                    "the peer reads too slowly; the WebSocket channel 7 is being closed"}}),
                json!({"WsPushUnknownChannel": {"channel_id": 7}}),
            ),
            (
                Failure::Push(PushError::NoBlob),
                json!({"WsPushFailed": {"req":
                    "what to push must be in the blob of the request, which has none"}}),
                json!("WsPushNoBlob"),
            ),
            (
                Failure::Push(PushError::BadText),
                json!({"WsPushFailed": {"req": "a text must be UTF-8"}}),
                json!("WsPushBadText"),
            ),
            (
                Failure::Push(PushError::LongControl),
                json!({"WsPushFailed": {"req": "a ping or pong carries at most 125 bytes"}}),
                json!("MalformedRequest"),
            ),
            (
                Failure::Push(PushError::TooLong(7)),
                json!({"WsPushFailed": {"req": "a message has at most 7 bytes"}}),
                json!("MalformedRequest"),
            ),
            (
                Failure::Close(7),
                json!({"WsCloseFailed": {"channel_id": 7}}),
                json!({"WsCloseFailed": {"channel_id": 7}}),
            ),
        ] {
            assert_eq!(failed(&failure, Dialect::Old), json!({"Err": old}));
            assert_eq!(failed(&failure, Dialect::New), json!({"Err": new}));
        }
    }
}
