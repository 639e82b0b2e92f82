//! What goes between the node and an extension: a program on the owner's
//! machine that answers messages of a process over a WebSocket.
//!
//! Stateless. Both directions are one MessagePack map with named fields: the id
//! and the kind of a message, and its payload, as integers one by one towards
//! the extension and in any form back. Reading is bounded by the frame: what a
//! length announces is not believed, and nothing is nested deeply.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use node_types::Edition;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The name of the one message.
const NAME: &str = "WebSocketExtPushData";
/// Deepest nesting of a frame that is read: the message has three levels.
const MAX_DEPTH: usize = 16;
/// Most bytes of a payload that are reserved because a length announces them.
const MAX_RESERVED: usize = 64 << 10;
/// The most that a message has beside its payload.
const HEAD: usize = 80;

/// Whether a message asks or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(in super::super) enum Kind {
    Request,
    Response,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Request => "Request",
            Self::Response => "Response",
        }
    }
}

/// A message for an extension.
#[derive(Debug, Clone)]
pub(in super::super) struct Push {
    /// Of the process's own message; the extension answers under it.
    pub(in super::super) id: u64,
    /// What the extension shall answer with.
    pub(in super::super) reply: Kind,
    /// The process's, whose libraries the extension knows the fields from.
    pub(in super::super) edition: Option<Edition>,
    /// The payload.
    pub(in super::super) blob: Bytes,
}

/// What a frame of an extension is.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Frame {
    /// A message under an id.
    Message { id: u64, kind: Kind, blob: Bytes },
    /// Something that only processes say to the module: nobody gets it.
    Unexpected,
    /// Anything else, for the process as it is.
    Plain,
}

impl Push {
    /// The frame's bytes.
    pub(in super::super) fn encode(&self) -> Vec<u8> {
        // Integers from 128 on take two bytes.
        let large = self.blob.iter().filter(|byte| **byte >= 128).count();
        let mut out = Vec::with_capacity(HEAD + self.blob.len() + large);
        out.push(0x81);
        push_text(&mut out, NAME);
        out.push(0x83);
        push_text(&mut out, "id");
        push_number(&mut out, self.id);
        let kind = match self.edition {
            Some(Edition::Hyperware) => "hyperware_message_type",
            _ => "kinode_message_type",
        };
        push_text(&mut out, kind);
        push_text(&mut out, self.reply.name());
        push_text(&mut out, "blob");
        push_array_head(&mut out, self.blob.len());
        for byte in &self.blob {
            if *byte >= 128 {
                out.push(0xcc);
            }
            out.push(*byte);
        }
        out
    }
}

/// Writes a text of up to 31 bytes, as all of ours are.
fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(0xa0 | text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a number in as few bytes as it takes.
fn push_number(out: &mut Vec<u8>, number: u64) {
    let bytes = number.to_be_bytes();
    let (marker, width): (Option<u8>, usize) = match number {
        0..=0x7f => (None, 1),
        0x80..=0xff => (Some(0xcc), 1),
        0x100..=0xffff => (Some(0xcd), 2),
        0x1_0000..=0xffff_ffff => (Some(0xce), 4),
        _ => (Some(0xcf), 8),
    };
    out.extend(marker);
    out.extend_from_slice(&bytes[bytes.len() - width..]);
}

fn push_array_head(out: &mut Vec<u8>, length: usize) {
    // Messages have less than 4 GiB.
    let bytes = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    match length {
        0..=15 => out.push(0x90 | bytes[3]),
        16..=0xffff => {
            out.push(0xdc);
            out.extend_from_slice(&bytes[2..]);
        }
        _ => {
            out.push(0xdd);
            out.extend_from_slice(&bytes);
        }
    }
}

/// What an extension may say. Those without fields here are requests of
/// processes; their order is part of the interface.
#[derive(Deserialize)]
enum Said<'a> {
    Bind(IgnoredAny),
    SecureBind(IgnoredAny),
    Unbind(IgnoredAny),
    WebSocketBind(IgnoredAny),
    WebSocketSecureBind(IgnoredAny),
    WebSocketUnbind(IgnoredAny),
    WebSocketOpen(IgnoredAny),
    WebSocketPush(IgnoredAny),
    WebSocketExtPushOutgoing(IgnoredAny),
    #[serde(borrow)]
    WebSocketExtPushData(Data<'a>),
    WebSocketClose(IgnoredAny),
}

/// With named fields or as a list of them.
#[derive(Deserialize)]
struct Data<'a> {
    id: u64,
    #[serde(rename = "kinode_message_type", alias = "hyperware_message_type")]
    kind: Kind,
    #[serde(borrow)]
    blob: Payload<'a>,
}

/// Bytes in any form that a MessagePack library may give them: binary, text
/// (of the time before there was binary), or integers one by one.
struct Payload<'a>(Cow<'a, [u8]>);

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(PayloadVisitor).map(Payload)
    }
}

struct PayloadVisitor;

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let announced = seq.size_hint().unwrap_or_default();
        let mut bytes = Vec::with_capacity(announced.min(MAX_RESERVED));
        while let Some(byte) = seq.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(Cow::Owned(bytes))
    }
}

/// Reads a frame of an extension. A binary payload is not copied.
pub(in super::super) fn decode(frame: &Bytes) -> Frame {
    let mut reader = rmp_serde::Deserializer::from_read_ref(&frame[..]);
    reader.set_max_depth(MAX_DEPTH);
    match Said::deserialize(&mut reader) {
        Ok(Said::WebSocketExtPushData(Data { id, kind, blob })) => {
            let blob = match blob.0 {
                Cow::Borrowed(bytes) => frame.slice_ref(bytes),
                Cow::Owned(bytes) => bytes.into(),
            };
            Frame::Message { id, kind, blob }
        }
        Ok(_) => Frame::Unexpected,
        Err(_) => Frame::Plain,
    }
}

#[cfg(test)]
#[path = "extension_tests.rs"]
mod tests;
