//! The RPC: a JSON envelope in, a message to any process out, its answer back.
//!
//! It acts with the module's own rights, so only the owner's tunnel may use
//! it; the caller of [`HttpServer::rpc`] has checked that. Bodies may be large:
//! the request is parsed in place, the answer is produced piece by piece.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use node_api::{BoxError, HttpBody, HttpResponse, body};
use node_types::{Address, Blob, KernelMessage, Message, NodeName, ProcessId, Request, alias};
use serde::Deserialize;

use super::client::Standing;
use super::{ANSWER_TIME, HttpServer, NoAnswer, respond};

/// Bytes of answer turned into text at a time; a multiple of three, so that
/// base64 of the pieces is base64 of the whole.
const PIECE: usize = 48 << 10;
/// Requests above this are parsed off the async threads.
const LARGE: usize = 1 << 20;

/// A string kept where it is unless it has escapes.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The envelope. `inherit` and `context` are accepted and mean nothing.
#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    node: Option<String>,
    process: String,
    expects_response: Option<u64>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    metadata: Option<String>,
    mime: Option<String>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
}

/// What an envelope asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) target: Address,
    pub(super) request: Request,
    pub(super) blob: Option<Blob>,
}

/// Reads an envelope; `None` if it is none.
pub(super) fn parse(text: &[u8], our: &NodeName) -> Option<Call> {
    let envelope: Envelope<'_> = serde_json::from_slice(text).ok()?;
    let node = match envelope.node.as_deref() {
        None | Some("our") => our.clone(),
        Some(name) => name.parse().ok()?,
    };
    let process = alias::canonical(envelope.process.parse::<ProcessId>().ok()?);
    let mime = envelope.mime;
    // Undecodable data means no blob, as it always has.
    let blob = envelope
        .data
        .and_then(|data| STANDARD.decode(data.0.as_bytes()).ok())
        .map(|bytes| Blob {
            mime,
            bytes: bytes.into(),
        });
    let body = envelope.body.map(|body| body.0.into_owned());
    Some(Call {
        target: Address::new(node, process),
        request: Request {
            inherit: false,
            expects_response: envelope.expects_response,
            body: body.unwrap_or_default().into(),
            metadata: envelope.metadata,
            capabilities: Vec::new(),
        },
        blob,
    })
}

impl HttpServer {
    /// Answers one RPC request whose body is `text`.
    pub(super) async fn rpc(&self, text: Bytes) -> HttpResponse {
        let our = self.config.our.clone();
        let call = if text.len() > LARGE {
            self.tasks
                .blocking(move || parse(&text, &our))
                .await
                .flatten()
        } else {
            parse(&text, &our)
        };
        let Some(call) = call else {
            return respond::empty(StatusCode::BAD_REQUEST);
        };
        let message = KernelMessage {
            id: self.port.new_message_id(),
            source: self.address.clone(),
            target: call.target,
            rsvp: None,
            message: Message::Request(call.request),
            lazy_load_blob: call.blob,
        };
        if !message.message.expects_response() {
            self.port.send(message);
            return respond::empty(StatusCode::OK);
        }
        match self.ask(message, Standing::Owner, ANSWER_TIME).await {
            Ok(answer) => reply(answer),
            Err(NoAnswer::Busy) => respond::busy("Too many requests are waiting for an answer."),
            Err(NoAnswer::Refused | NoAnswer::TimedOut) => {
                respond::empty(StatusCode::REQUEST_TIMEOUT)
            }
            Err(NoAnswer::Stopping) => respond::busy("The node is stopping."),
        }
    }
}

/// A part of the answer's text.
pub(super) enum Part {
    /// As it is.
    Text(Bytes),
    /// Byte values as decimal numbers with commas between.
    Numbers(Bytes),
    /// The same of the base64 of the bytes.
    Base64Numbers(Bytes),
}

/// The text of an answer.
pub(super) fn parts(answer: KernelMessage) -> Vec<Part> {
    let mut parts = vec![
        Part::Text(Bytes::from_static(br#"{"body":["#)),
        Part::Numbers(answer.message.body().clone()),
    ];
    match answer.lazy_load_blob {
        None => parts.push(Part::Text(Bytes::from_static(
            br#"],"lazy_load_blob":null}"#,
        ))),
        Some(blob) => {
            let mime = serde_json::Value::from(blob.mime);
            let between = format!(r#"],"lazy_load_blob":{{"mime":{mime},"bytes":["#);
            parts.push(Part::Text(between.into()));
            parts.push(Part::Base64Numbers(blob.bytes));
            parts.push(Part::Text(Bytes::from_static(b"]}}")));
        }
    }
    parts
}

fn push_numbers(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        if *byte >= 100 {
            out.push(b'0' + byte / 100);
        }
        if *byte >= 10 {
            out.push(b'0' + byte / 10 % 10);
        }
        out.push(b'0' + byte % 10);
        out.push(b',');
    }
}

/// The text of the next piece of `part`, and whether the part is used up.
fn render(part: &mut Part) -> (Bytes, bool) {
    let (rest, base64) = match part {
        Part::Text(text) => return (std::mem::take(text), true),
        Part::Numbers(rest) => (rest, false),
        Part::Base64Numbers(rest) => (rest, true),
    };
    let piece = rest.split_to(rest.len().min(PIECE));
    let mut out = Vec::with_capacity(piece.len() * 4 + 1);
    if base64 {
        push_numbers(STANDARD.encode(&piece).as_bytes(), &mut out);
    } else {
        push_numbers(&piece, &mut out);
    }
    if rest.is_empty() {
        // No comma after the last number.
        out.pop();
    }
    (out.into(), rest.is_empty())
}

/// All of a text.
pub(super) fn whole(parts: Vec<Part>) -> Vec<u8> {
    let mut text = Vec::new();
    for mut part in parts {
        loop {
            let (piece, done) = render(&mut part);
            text.extend_from_slice(&piece);
            if done {
                break;
            }
        }
    }
    text
}

fn reply(answer: KernelMessage) -> HttpResponse {
    let blob = answer.lazy_load_blob.as_ref();
    let size = answer.message.body().len() + blob.map_or(0, |blob| blob.bytes.len());
    let parts = parts(answer);
    let content = if size <= PIECE {
        body(whole(parts))
    } else {
        streamed(parts)
    };
    let mut response = Response::new(content);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// Renders only as fast as the reader takes the text.
fn streamed(parts: Vec<Part>) -> HttpBody {
    let mut parts = parts.into_iter();
    let mut current = parts.next();
    let pieces = std::iter::from_fn(move || {
        loop {
            let (piece, done) = render(current.as_mut()?);
            if done {
                current = parts.next();
            }
            if !piece.is_empty() {
                return Some(Ok::<_, BoxError>(Frame::data(piece)));
            }
        }
    });
    StreamBody::new(stream::iter(pieces)).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use node_types::{MessageId, Response as Answer};

    use super::*;

    fn answered(body: &[u8], blob: Option<Blob>) -> KernelMessage {
        let us: Address = "a.dev@x:y:z".parse().unwrap();
        KernelMessage {
            id: MessageId(1),
            source: us.clone(),
            target: us,
            rsvp: None,
            message: Message::Response(
                Answer {
                    body: Bytes::copy_from_slice(body),
                    ..Answer::default()
                },
                None,
            ),
            lazy_load_blob: blob,
        }
    }

    async fn text_of(answer: KernelMessage) -> String {
        let bytes = reply(answer)
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn answers_are_exact() {
        assert_eq!(
            text_of(answered(b"", None)).await,
            r#"{"body":[],"lazy_load_blob":null}"#
        );
        assert_eq!(
            text_of(answered(&[0, 9, 10, 99, 100, 255], None)).await,
            r#"{"body":[0,9,10,99,100,255],"lazy_load_blob":null}"#
        );
        let blob = |mime: Option<&str>, bytes: &'static [u8]| {
            Some(Blob {
                mime: mime.map(str::to_owned),
                bytes: Bytes::from_static(bytes),
            })
        };
        // Base64 of "hi" is "aGk=".
        assert_eq!(
            text_of(answered(b"A", blob(None, b"hi"))).await,
            r#"{"body":[65],"lazy_load_blob":{"mime":null,"bytes":[97,71,107,61]}}"#
        );
        assert_eq!(
            text_of(answered(b"A", blob(Some("a\"b"), b""))).await,
            r#"{"body":[65],"lazy_load_blob":{"mime":"a\"b","bytes":[]}}"#
        );
    }

    #[tokio::test]
    async fn large_answers_are_the_same_in_pieces() {
        for size in [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 17] {
            let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let blob = Blob {
                mime: None,
                bytes: data.clone().into(),
            };
            let text = text_of(answered(&data, Some(blob))).await;
            let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
            let bytes = |value: &serde_json::Value| -> Vec<u8> {
                serde_json::from_value(value.clone()).unwrap()
            };
            assert_eq!(bytes(&parsed["body"]), data);
            let encoded = bytes(&parsed["lazy_load_blob"]["bytes"]);
            assert_eq!(STANDARD.decode(encoded).unwrap(), data);
        }
    }

    #[test]
    fn envelopes_parse_as_kit_and_people_write_them() {
        let our: NodeName = "alice.dev".parse().unwrap();
        let kit = br#"{"body":"{\"A\":1}","context":null,"data":"aGk=","expects_response":15,"inherit":false,"metadata":null,"mime":"application/octet-stream","node":null,"process":"main:app_store:sys"}"#;
        let call = parse(kit, &our).unwrap();
        assert_eq!(
            call.target,
            "alice.dev@main:app-store:sys".parse::<Address>().unwrap()
        );
        assert_eq!(call.request.body, r#"{"A":1}"#);
        assert_eq!(call.request.expects_response, Some(15));
        assert_eq!(
            call.blob.unwrap(),
            Blob {
                mime: Some("application/octet-stream".to_owned()),
                bytes: Bytes::from_static(b"hi")
            }
        );
        let short = parse(br#"{"process":"a:b:c","node":"bob.dev"}"#, &our).unwrap();
        assert_eq!(short.target, "bob.dev@a:b:c".parse::<Address>().unwrap());
        assert_eq!((short.request.body.len(), short.blob), (0, None));
        let bad_data = parse(br#"{"process":"a:b:c","data":"*"}"#, &our).unwrap();
        assert_eq!(bad_data.blob, None);
        for bad in [
            &b""[..],
            b"{}",
            b"[]",
            br#"{"process":"a:b"}"#,
            br#"{"process":"a:b:c","node":"no node"}"#,
            br#"{"process":"a:b:c","expects_response":-1}"#,
            b"{\"process\":\"a:b:c\",\"body\":\"\xff\"}",
        ] {
            assert_eq!(parse(bad, &our), None);
        }
    }
}
