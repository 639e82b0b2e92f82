//! What of the module reads the bytes of strangers, as fuzzers meet it: no
//! kernel, no connections, nothing to stop.

use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use node_types::{
    Address, Blob, Edition, KernelMessage, Message, MessageId, NodeName, ProcessId, Response,
};
use serde_json::{Value, json};

use super::path::{self, RPC_PATH};
use super::routes::{Flags, Found, Routes, is_homepage, stored_path};
use super::rpc;
use super::sockets::extension::{Frame, Kind, Push, decode};
use crate::fuzzing::wrong;

/// Who binds paths.
const OWNERS: [&str; 3] = ["p:k:g", "q:k:g", "homepage:homepage:sys"];
/// Most paths that are bound.
const MAX_ACTS: usize = 16;
/// Most segments of a path that is looked up in the simplest way.
const MAX_SEGMENTS: usize = 12;
/// How often a path is decoded that may mean the RPC.
const MAX_DECODINGS: usize = 8;

/// A bound path: `None` if unbound, else whether it is a fallback.
type Bound = BTreeMap<String, Option<bool>>;

/// Looks up the first line as a path, after binding the others: of each the
/// first character says who does what.
///
/// # Errors
/// What should not have happened.
pub fn http_paths(text: &str) -> Result<(), String> {
    let (raw, acts) = text.split_once('\n').unwrap_or((text, ""));
    check_rpc(raw)?;
    let path = path::lookup_form(raw);
    let mut routes = Routes::default();
    let mut bound = Bound::new();
    for act in acts.lines().take(MAX_ACTS) {
        let mut rest = act.chars();
        let Some(choice) = rest.next().map(u32::from) else {
            continue;
        };
        let at = rest.as_str();
        let owner = OWNERS.get(choice as usize % 4).copied();
        let owner: ProcessId = owner.unwrap_or("p:k:g").parse().map_err(wrong)?;
        let flags = (choice & 4 == 0).then(|| Flags {
            fallback: choice & 8 != 0,
            ..Flags::default()
        });
        let fallback = flags.as_ref().map(|flags| flags.fallback);
        let done = match flags {
            Some(flags) => routes.bind(&owner, at, flags),
            None => routes.unbind(&owner, at),
        };
        if done.is_ok() {
            bound.insert(stored_path(&owner, at), fallback);
        }
    }
    let found = routes.find(&path);
    if let Some(found) = &found {
        check_found(found, &path)?;
    }
    if path.split('/').count() > MAX_SEGMENTS {
        return Ok(());
    }
    let found = found.map(|found| (found.route.path.clone(), found.by_fallback));
    let simply = find_simply(&bound, &path);
    if found == simply {
        return Ok(());
    }
    Err(format!("{path:?} leads to {found:?} and not to {simply:?}"))
}

/// However a path comes to mean the RPC, that is seen.
fn check_rpc(raw: &str) -> Result<(), String> {
    let mut decoded = raw.to_owned();
    for _ in 0..MAX_DECODINGS {
        if path::lookup_form(&decoded) == RPC_PATH && !path::reaches_rpc(raw) {
            return Err(format!("{raw:?} is not taken for the RPC"));
        }
        decoded = path::percent_decode(&decoded, false);
    }
    Ok(())
}

/// A route is its owner's, and its parameters are what stands in the path.
fn check_found(found: &Found, path: &str) -> Result<(), String> {
    let route = &found.route;
    let below = route
        .path
        .strip_prefix('/')
        .and_then(|rest| rest.strip_prefix(route.owner.as_str()));
    let own = below.is_some_and(|below| below.is_empty() || below.starts_with('/'));
    if !own && !is_homepage(&route.owner) {
        return Err(format!("{} is not a path of {}", route.path, route.owner));
    }
    let name = |part: &'_ str| -> Option<String> {
        let name = part.strip_prefix([':', '*'])?;
        Some(name.to_owned())
    };
    let names: Vec<String> = route.path.split('/').filter_map(name).collect();
    let different: HashSet<&String> = names.iter().filter(|name| !name.is_empty()).collect();
    if found.by_fallback || different.len() != names.len() {
        return Ok(());
    }
    let parts = route.path.split('/').map(|part| match name(part) {
        Some(name) => found.params.get(&name).cloned().unwrap_or_default(),
        None => part.to_owned(),
    });
    let again = parts.collect::<Vec<_>>().join("/");
    if again == path {
        return Ok(());
    }
    Err(format!("{path:?} is taken for {again:?}"))
}

fn find_simply(bound: &Bound, path: &str) -> Option<(String, bool)> {
    if let Some((best, flags)) = best(bound, path) {
        return flags.map(|_| (best, false));
    }
    let first = path.strip_prefix('/')?.split('/').next()?;
    if first.is_empty() {
        return None;
    }
    let (best, flags) = best(bound, &format!("/{first}"))?;
    flags?.then_some((best, true))
}

/// The best of all that match, each tried in every way.
fn best(bound: &Bound, path: &str) -> Option<(String, Option<bool>)> {
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let segments = |pattern: &str| -> Vec<String> {
        let rest = pattern.strip_prefix('/').unwrap_or(pattern);
        rest.split('/').map(str::to_owned).collect()
    };
    let weight = |pattern: &str| {
        let segments = segments(pattern);
        let count = |mark: char| segments.iter().filter(|s| s.starts_with(mark)).count();
        let (params, rests) = (count(':'), count('*'));
        [segments.len() - params - rests, params, rests]
    };
    bound
        .iter()
        .filter(|(pattern, _)| matches(&segments(pattern), &parts))
        .max_by(|(a, _), (b, _)| weight(a).cmp(&weight(b)).then_with(|| b.cmp(a)))
        .map(|(pattern, flags)| (pattern.clone(), *flags))
}

fn matches(pattern: &[String], path: &[&str]) -> bool {
    let Some((segment, pattern)) = pattern.split_first() else {
        return path.is_empty();
    };
    if segment.starts_with('*') {
        return (1..=path.len()).any(|length| {
            let (taken, rest) = path.split_at(length);
            !taken.join("/").is_empty() && matches(pattern, rest)
        });
    }
    let Some((part, path)) = path.split_first() else {
        return false;
    };
    let fits = if segment.starts_with(':') {
        !part.is_empty()
    } else {
        segment == part
    };
    fits && matches(pattern, path)
}

/// Reads `text` as an envelope of the RPC, and answers with it.
///
/// # Errors
/// What should not have happened.
pub fn rpc_json(text: &[u8]) -> Result<(), String> {
    let our: NodeName = "alice.dev".parse().map_err(wrong)?;
    if let Some(call) = rpc::parse(text, &our) {
        let blob = call.blob.as_ref();
        let envelope = json!({
            "node": call.target.node.as_str(),
            "process": call.target.process.as_str(),
            "expects_response": call.request.expects_response,
            "body": std::str::from_utf8(&call.request.body).map_err(wrong)?,
            "metadata": call.request.metadata,
            "mime": blob.and_then(|blob| blob.mime.clone()),
            "data": blob.map(|blob| STANDARD.encode(&blob.bytes)),
        });
        let again = rpc::parse(envelope.to_string().as_bytes(), &our);
        if again.as_ref() != Some(&call) {
            return Err(format!("{call:?} comes back as {again:?}"));
        }
    }
    check_answer(text)
}

/// An answer of these bytes says them.
fn check_answer(bytes: &[u8]) -> Result<(), String> {
    let us: Address = "alice.dev@p:k:g".parse().map_err(wrong)?;
    let bytes = Bytes::copy_from_slice(bytes);
    let response = Response {
        body: bytes.clone(),
        ..Response::default()
    };
    let answer = KernelMessage {
        id: MessageId(1),
        source: us.clone(),
        target: us,
        rsvp: None,
        message: Message::Response(response, None),
        lazy_load_blob: Some(Blob {
            mime: Some(String::from_utf8_lossy(&bytes).into_owned()),
            bytes: bytes.clone(),
        }),
    };
    let text = rpc::whole(rpc::parts(answer));
    let said: Value = serde_json::from_slice(&text).map_err(wrong)?;
    let wanted = json!({
        "body": &bytes[..],
        "lazy_load_blob": {
            "mime": String::from_utf8_lossy(&bytes),
            "bytes": STANDARD.encode(&bytes).into_bytes(),
        },
    });
    if said == wanted {
        return Ok(());
    }
    Err(format!("{bytes:?} is answered as {said}"))
}

/// Reads `frame` as one of an extension, and as a payload for it.
///
/// # Errors
/// What should not have happened.
pub fn extension(frame: &[u8]) -> Result<(), String> {
    let frame = Bytes::copy_from_slice(frame);
    let read = decode(&frame);
    if let Frame::Message { id, kind, blob } = &read {
        check_push(*id, *kind, blob)?;
    }
    check_push(frame.len() as u64, Kind::Request, &frame)
}

/// What is sent is read as what it was.
fn check_push(id: u64, kind: Kind, blob: &Bytes) -> Result<(), String> {
    for edition in [Edition::V0_8, Edition::Hyperware] {
        let push = Push {
            id,
            reply: kind,
            edition: Some(edition),
            blob: blob.clone(),
        };
        let blob = blob.clone();
        let wanted = Frame::Message { id, kind, blob };
        let read = decode(&push.encode().into());
        if read != wanted {
            return Err(format!("{push:?} is read as {read:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lookups_agree_with_trying_everything(
            path in "(/(p:k:g|a|b|%3a|)){1,6}/?",
            acts in proptest::collection::vec("[0-9:;](/?(a|b|:x|:|\\*y|\\*|p:k:g|)){0,5}", 0..9),
        ) {
            let text = [&[path][..], &acts].concat().join("\n");
            prop_assert_eq!(http_paths(&text), Ok(()));
        }

        #[test]
        fn nothing_of_an_extension_is_misread(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(extension(&frame), Ok(()));
        }
    }

    #[test]
    fn envelopes_come_back_as_they_were() {
        for text in [
            &b""[..],
            b"{}",
            br#"{"process":"main:app_store:sys","body":"\u0000\"","data":"aGk=","mime":"a/b"}"#,
            br#"{"process":"a:b:c","node":"bob.dev","expects_response":18446744073709551615}"#,
            br#"{"process":"a:b:c","data":"*","metadata":"m"}"#,
        ] {
            assert_eq!(rpc_json(text), Ok(()));
        }
    }
}
