//! Which blob a message carries and which one a process is given.

use node_types::{Blob, MessageId, Response, SendErrorKind};

use crate::common::*;

#[test]
fn blob_of_a_request_is_the_explicit_one_else_the_inherited_else_none() {
    for mut state in [conversation(), old_conversation()] {
        let incoming = asks("a:k:g", "me:k:g", 1, Some(5));
        state.ingest(with_blob(incoming, Some("slot"))).unwrap();
        for (explicit, inherit, sent) in [
            (Some("own"), true, Some("own")),
            (Some("own"), false, Some("own")),
            (None, true, Some("slot")),
            (None, false, None),
        ] {
            let mut out = outgoing("b:k:g", request(None, inherit));
            out.blob = explicit.map(blob);
            assert_eq!(send(&mut state, out, 2).lazy_load_blob, sent.map(blob));
        }
    }
}

#[test]
fn blob_of_a_response_is_the_slot_when_inheriting_else_the_explicit_one() {
    let mut state = conversation();
    let incoming = asks("a:k:g", "me:k:g", 1, Some(5));
    state.ingest(with_blob(incoming, Some("slot"))).unwrap();
    for (explicit, inherit, sent) in [
        (Some("own"), true, Some("slot")),
        (None, true, Some("slot")),
        (Some("own"), false, Some("own")),
        (None, false, None),
    ] {
        let response = Response {
            inherit,
            ..response()
        };
        let answer = state
            .prepare_response(response, explicit.map(blob))
            .unwrap();
        assert_eq!(answer.lazy_load_blob, sent.map(blob));
    }
}

#[test]
fn blob_slots_differ_between_the_editions() {
    let steps = [Some("one"), None, Some("two")];
    let (mut old, mut new) = (old_conversation(), conversation());
    let text =
        |blob: Option<Blob>| blob.map(|blob| String::from_utf8_lossy(&blob.bytes).into_owned());
    let mut seen = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        for state in [&mut old, &mut new] {
            let incoming = asks("a:k:g", "me:k:g", number as u64, None);
            state.ingest(with_blob(incoming, step)).unwrap();
            assert_eq!(state.has_blob(), state.get_blob().is_some());
        }
        seen.push((
            text(old.get_blob()),
            text(new.get_blob()),
            text(new.last_blob()),
        ));
    }
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        seen,
        [
            (some("one"), some("one"), some("one")),
            (None, None, some("one")),
            (some("two"), some("two"), some("two")),
        ]
    );
    // A failure: the old slot outlives it, from 1.0 there is no current blob.
    for state in [&mut old, &mut new] {
        send(state, outgoing("b:k:g", request(Some(1), false)), 9);
        state.fail(MessageId(9), SendErrorKind::Timeout).unwrap();
    }
    assert_eq!(text(old.get_blob()), some("two"));
    assert!(!new.has_blob() && new.get_blob().is_none());
    assert_eq!(text(new.last_blob()), some("two"));
}
