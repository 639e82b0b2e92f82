//! One test per rule about what a process sends and is given.

use bytes::Bytes;
use node_kernel::{Awaited, Conversation, MAX_OUTSTANDING, MAX_OUTSTANDING_BYTES, PrepareError};
use node_types::{KernelMessage, Message, MessageId, Request, SendErrorKind};

use crate::common::*;

#[test]
fn id_is_fresh_and_never_that_of_an_outstanding_request() {
    let mut state = conversation();
    let ask = || outgoing("b:k:g", request(Some(5), false));
    assert_eq!(send(&mut state, ask(), 7).id, MessageId(7));
    assert_eq!(send(&mut state, ask(), 7).id, MessageId(8));
    assert_eq!(send(&mut state, ask(), u64::MAX).id, MessageId(u64::MAX));
    assert_eq!(send(&mut state, ask(), u64::MAX).id, MessageId(0));
}

#[test]
fn id_is_the_prompts_when_inheriting() {
    let mut state = conversation();
    let inherit = || outgoing("b:k:g", request(None, true));
    assert_eq!(send(&mut state, inherit(), 3).id, MessageId(3));
    state.ingest(asks("a:k:g", "me:k:g", 42, Some(5))).unwrap();
    assert_eq!(send(&mut state, inherit(), 3).id, MessageId(42));
    let own = outgoing("b:k:g", request(None, false));
    assert_eq!(send(&mut state, own, 3).id, MessageId(3));
}

#[test]
fn capabilities_are_kept_if_issued_by_the_sender_or_held_by_it() {
    let mut table = table();
    table.insert(
        id("me:k:g"),
        app(false).with_capabilities([messaging("b:k:g")]),
    );
    let own = node_types::Capability::new(at("me:k:g"), "{\"any\":1}");
    let foreign_namesake = node_types::Capability::new(at("bob.dev@me:k:g"), "1");
    let attached = vec![
        own.clone(),
        messaging("b:k:g"),
        messaging("c:k:g"),
        foreign_namesake,
    ];
    assert_eq!(
        table.filter_attached(&id("me:k:g"), attached.clone()),
        [own, messaging("b:k:g")]
    );
    assert!(table.filter_attached(&id("gone:k:g"), attached).is_empty());
}

#[test]
fn rsvp_is_the_sender_if_it_waits_else_inherited_else_none() {
    let mut state = conversation();
    state.ingest(asks("a:k:g", "me:k:g", 1, Some(5))).unwrap();
    for (expects, inherit, rsvp) in [
        (Some(5), true, Some("me:k:g")),
        (Some(5), false, Some("me:k:g")),
        (None, true, Some("a:k:g")),
        (None, false, None),
    ] {
        let out = outgoing("b:k:g", request(expects, inherit));
        assert_eq!(send(&mut state, out, 2).rsvp, rsvp.map(at));
    }
}

#[test]
fn what_is_handed_on_for_a_module_is_answered_to_the_module() {
    let mut state = conversation();
    let mut incoming = asks("http-server:distro:sys", "me:k:g", 1, Some(15));
    incoming.rsvp = None;
    state.ingest(incoming).unwrap();
    let handed_on = send(&mut state, outgoing("b:k:g", request(None, true)), 2);
    assert_eq!(handed_on.id, MessageId(1));
    assert_eq!(handed_on.rsvp, Some(at("http-server:distro:sys")));
}

#[test]
fn node_our_and_old_names_become_canonical_on_the_way_out() {
    let mut state = conversation();
    let mut out = outgoing("our@http_server:distro:sys", request(Some(1), false));
    out.request.capabilities = vec![messaging("our@http_client:distro:sys")];
    let sent = send(&mut state, out, 1);
    assert_eq!(sent.target, at("http-server:distro:sys"));
    assert_eq!(
        sent.message.capabilities()[0].issuer,
        at("http-client:distro:sys")
    );
    let (error, _) = state.fail(MessageId(1), SendErrorKind::Offline).unwrap();
    assert_eq!(error.target, at("http-server:distro:sys"));
}

#[test]
fn our_in_a_message_from_another_node_is_not_rewritten() {
    let mut state = conversation();
    let mut incoming = asks("bob.dev@x:y:z", "me:k:g", 1, Some(5));
    incoming.rsvp = Some(at("our@b:k:g"));
    state.ingest(incoming).unwrap();
    let answer = state.prepare_response(response(), None).unwrap();
    assert_eq!(answer.target, at("our@b:k:g"));
    let chained = send(&mut state, outgoing("c:k:g", request(None, true)), 2);
    assert_eq!(chained.rsvp, Some(at("our@b:k:g")));
}

#[test]
fn expecting_a_response_starts_a_timer_that_gives_back_what_was_sent() {
    let mut state = conversation();
    let mut out = outgoing("b:k:g", request(Some(3), false));
    out.context = Some(Bytes::from_static(b"ctx"));
    out.blob = Some(blob("bulk"));
    let prepared = state
        .prepare_request(out, || MessageId(1), moment(10))
        .unwrap();
    assert_eq!(prepared.deadline, Some(moment(13)));
    assert_eq!(state.next_deadline(), Some(moment(13)));
    assert_eq!(state.fail_due(moment(12)), None);
    let (error, context) = state.fail_due(moment(13)).unwrap();
    assert_eq!(context.unwrap(), "ctx");
    assert_eq!(error.kind, SendErrorKind::Timeout);
    assert_eq!(error.target, at("b:k:g"));
    assert_eq!(error.message, Message::Request(request(Some(3), false)));
    assert_eq!(error.lazy_load_blob, Some(blob("bulk")));
    assert_eq!(state.next_deadline(), None);
    // The answer that comes too late is nobody's.
    assert_eq!(state.ingest(answers("b:k:g", "me:k:g", 1)), None);
}

#[test]
fn a_timeout_of_zero_is_due_at_once_and_a_huge_one_never() {
    let mut state = conversation();
    send(&mut state, outgoing("b:k:g", request(Some(0), false)), 1);
    send(
        &mut state,
        outgoing("b:k:g", request(Some(u64::MAX), false)),
        2,
    );
    assert_eq!(state.expire(moment(0)), Some(MessageId(1)));
    state.fail_due(moment(0)).unwrap();
    assert_eq!(state.expire(moment(1 << 33)), None);
}

#[test]
fn an_answer_cancels_the_timer_and_brings_the_own_context() {
    let mut state = conversation();
    let mut out = outgoing("b:k:g", request(Some(3), false));
    out.context = Some(Bytes::from_static(b"mine"));
    send(&mut state, out, 1);
    let mut answer = answers("b:k:g", "me:k:g", 1);
    answer.message = Message::Response(response(), Some(Bytes::from_static(b"forged")));
    let (source, message) = state.ingest(answer).unwrap();
    assert_eq!(source, at("b:k:g"));
    assert_eq!(
        message,
        Message::Response(response(), Some(Bytes::from_static(b"mine")))
    );
    assert_eq!(state.next_deadline(), None);
    assert_eq!(state.fail_due(moment(100)), None);
    // A second answer finds nothing outstanding.
    assert_eq!(state.ingest(answers("b:k:g", "me:k:g", 1)), None);
}

#[test]
fn an_unsolicited_response_changes_nothing() {
    let mut state = conversation();
    let incoming = asks("a:k:g", "me:k:g", 1, Some(5));
    state.ingest(with_blob(incoming, Some("slot"))).unwrap();
    let stray = with_blob(answers("b:k:g", "me:k:g", 99), Some("stray"));
    assert_eq!(state.classify(&stray, MessageId(5)), Awaited::Stray);
    assert_eq!(state.ingest(stray), None);
    assert_eq!(state.prompt(), Some(MessageId(1)));
    assert_eq!(state.get_blob(), Some(blob("slot")));
}

#[test]
fn a_refused_send_fails_in_its_turn_and_equal_deadlines_keep_their_order() {
    let mut state = conversation();
    for number in [30, 10, 20] {
        send(
            &mut state,
            outgoing("b:k:g", request(Some(5), false)),
            number,
        );
    }
    state.bounce(MessageId(20), SendErrorKind::Offline, moment(1));
    state.bounce(MessageId(77), SendErrorKind::Offline, moment(1));
    let (error, _) = state.fail_due(moment(1)).unwrap();
    assert_eq!(error.kind, SendErrorKind::Offline);
    assert_eq!(state.fail_due(moment(1)), None);
    assert_eq!(state.expire(moment(5)), Some(MessageId(30)));
    // What has timed out already stays so.
    state.bounce(MessageId(30), SendErrorKind::Offline, moment(6));
    let (error, _) = state.fail_due(moment(6)).unwrap();
    assert_eq!(error.kind, SendErrorKind::Timeout);
    assert_eq!(state.expire(moment(6)), Some(MessageId(10)));
}

#[test]
fn prompt_is_set_only_by_requests_that_can_be_answered() {
    let mut state = conversation();
    assert!(state.prepare_response(response(), None).is_none());
    state.ingest(asks("a:k:g", "me:k:g", 1, None)).unwrap();
    assert_eq!(state.prompt(), None);
    state.ingest(asks("a:k:g", "me:k:g", 2, Some(5))).unwrap();
    state.ingest(asks("c:k:g", "me:k:g", 3, None)).unwrap();
    assert_eq!(state.prompt(), Some(MessageId(2)));
    let mut redirected = asks("c:k:g", "me:k:g", 4, None);
    redirected.rsvp = Some(at("d:k:g"));
    state.ingest(redirected).unwrap();
    let answer = state.prepare_response(response(), None).unwrap();
    assert_eq!((answer.id, answer.target), (MessageId(4), at("d:k:g")));
}

#[test]
fn prompt_is_not_used_up_by_answering() {
    let mut state = conversation();
    let mut incoming = asks("a:k:g", "me:k:g", 1, Some(5));
    incoming.rsvp = None;
    state.ingest(incoming).unwrap();
    for _ in 0..2 {
        let answer = state.prepare_response(response(), None).unwrap();
        assert_eq!((answer.id, answer.target), (MessageId(1), at("a:k:g")));
    }
}

#[test]
fn prompt_is_restored_by_the_answer_or_failure_of_what_was_asked_meanwhile() {
    for failing in [false, true] {
        let mut state = conversation();
        state.ingest(asks("a:k:g", "me:k:g", 1, Some(5))).unwrap();
        send(&mut state, outgoing("b:k:g", request(Some(5), false)), 2);
        state.ingest(asks("c:k:g", "me:k:g", 3, Some(5))).unwrap();
        assert_eq!(state.prompt(), Some(MessageId(3)));
        if failing {
            state.fail(MessageId(2), SendErrorKind::Offline).unwrap();
        } else {
            state.ingest(answers("b:k:g", "me:k:g", 2)).unwrap();
        }
        assert_eq!(state.prompt(), Some(MessageId(1)));
    }
}

#[test]
fn awaiting_one_answer_leaves_everything_else_for_later() {
    let mut state = conversation();
    send(&mut state, outgoing("b:k:g", request(Some(5), false)), 1);
    send(&mut state, outgoing("b:k:g", request(Some(1), false)), 2);
    let class =
        |state: &Conversation, message: KernelMessage| state.classify(&message, MessageId(1));
    assert_eq!(
        class(&state, answers("b:k:g", "me:k:g", 1)),
        Awaited::Answer
    );
    assert_eq!(class(&state, answers("b:k:g", "me:k:g", 2)), Awaited::Other);
    assert_eq!(class(&state, answers("b:k:g", "me:k:g", 3)), Awaited::Stray);
    // Other nodes choose their ids; theirs must not pass for the answer.
    assert_eq!(
        class(&state, asks("bob.dev@x:y:z", "me:k:g", 1, None)),
        Awaited::Other
    );
    // Nor does another request's timeout end the wait.
    assert_eq!(state.fail_if_due(MessageId(1), moment(2)), None);
    assert_eq!(state.deadline_of(MessageId(1)), Some(moment(5)));
    assert!(state.fail_if_due(MessageId(1), moment(5)).is_some());
    assert!(state.fail_due(moment(5)).is_some());
}

#[test]
fn a_later_request_under_an_inherited_id_takes_the_earlier_ones_place() {
    let mut state = conversation();
    state.ingest(asks("a:k:g", "me:k:g", 1, Some(60))).unwrap();
    for context in ["first", "second"] {
        let mut out = outgoing("b:k:g", request(Some(9), true));
        out.context = Some(Bytes::from_static(context.as_bytes()));
        assert_eq!(send(&mut state, out, 5).id, MessageId(1));
    }
    assert_eq!(state.outstanding(), 1);
    let (_, context) = state.fail_due(moment(9)).unwrap();
    assert_eq!(context.unwrap(), "second");
    assert_eq!(state.next_deadline(), None);
}

#[test]
fn outstanding_requests_are_bounded_in_number_and_bytes() {
    let mut state = conversation();
    let ask = || outgoing("b:k:g", request(Some(5), false));
    for number in 0..MAX_OUTSTANDING as u64 {
        send(&mut state, ask(), number);
    }
    let refused = state.prepare_request(ask(), || MessageId(0), moment(0));
    assert_eq!(refused.unwrap_err(), PrepareError::TooMany);
    // What expects nothing is not outstanding.
    send(&mut state, outgoing("b:k:g", request(None, false)), 1);
    state.ingest(answers("b:k:g", "me:k:g", 0)).unwrap();
    send(&mut state, ask(), 0);

    let mut state = conversation();
    let large = Request {
        body: vec![0; MAX_OUTSTANDING_BYTES].into(),
        ..request(Some(5), false)
    };
    send(&mut state, outgoing("b:k:g", large), 1);
    let refused = state.prepare_request(ask(), || MessageId(2), moment(0));
    assert_eq!(refused.unwrap_err(), PrepareError::TooLarge);
    state.fail(MessageId(1), SendErrorKind::Timeout).unwrap();
    send(&mut state, ask(), 2);
}
