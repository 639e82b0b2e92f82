//! Leaving the node and arriving from another one: laws and single rules.

use std::collections::BTreeSet;

use node_kernel::{MAX_TRAVELLING, PersistedTable, Refusal, Verdict, admit, depart, route};
use node_types::{
    CapKey, CapSignature, Capability, KernelMessage, Message, NodeName, PeerMessage, Request,
};
use proptest::prelude::*;

use crate::common::*;

/// Stands for a signature of `node`: it depends on all that one depends on.
fn signature(node: &str, capability: &Capability) -> CapSignature {
    let text = format!("{node} {} {}", capability.issuer, capability.params);
    let mut bytes = [0_u8; 64];
    for (at, byte) in text.bytes().enumerate() {
        let slot = &mut bytes[at % 64];
        *slot = slot.rotate_left(3) ^ byte ^ (at / 64) as u8;
    }
    CapSignature::new(bytes)
}

fn is_genuine(node: &str) -> impl Fn(&Capability) -> bool {
    move |capability| capability.signature() == Some(&signature(node, capability))
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn cap(issuer: &str, params: &str) -> Capability {
    Capability::new(at(issuer), params)
}

fn carrying(capabilities: Vec<Capability>) -> KernelMessage {
    let request = Request {
        capabilities,
        ..Request::default()
    };
    message("bob.dev@b:k:g", "a:k:g", 1, Message::Request(request))
}

fn arriving(capabilities: Vec<Capability>) -> PeerMessage {
    PeerMessage::new(carrying(capabilities)).unwrap()
}

fn networked() -> node_kernel::ProcessTable {
    let mut table = table();
    let network = Capability::network(&our());
    table.insert(id("a:k:g"), app(false).with_capabilities([network]));
    table.insert(id("shy:k:g"), app(true));
    table
}

/// A node name, our own and the word for it included.
fn nodes() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(OUR.to_owned()),
        Just("our".to_owned()),
        Just("bob.dev".to_owned()),
        "[a-z]{1,8}\\.dev",
    ]
}

fn processes() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a:k:g".to_owned()),
        Just("shy:k:g".to_owned()),
        Just("gone:k:g".to_owned()),
        Just("kernel:distro:sys".to_owned()),
        Just("kernel:evil:g".to_owned()),
        Just("vfs:distro:sys".to_owned()),
        Just("http_server:distro:sys".to_owned()),
    ]
}

/// A capability of this node or another, and how it is signed.
fn capabilities() -> impl Strategy<Value = Capability> {
    let params = prop_oneof![
        Just(r#""messaging""#.to_owned()),
        Just(r#""network""#.to_owned()),
        Just(r#"{"root":true}"#.to_owned()),
        ".{0,6}",
    ];
    (nodes(), processes(), params, 0..4u8).prop_map(|(node, process, params, kind)| {
        let bare = cap(&format!("{node}@{process}"), &params);
        let signed = match kind {
            0 => None,
            1 => Some(signature(OUR, &bare)),
            2 => Some(signature("mallory.dev", &bare)),
            // Of something less.
            _ => Some(signature(OUR, &cap("bob.dev@b:k:g", "null"))),
        };
        bare.with_signature(signed)
    })
}

proptest! {
    /// Whoever a message says it is from, it is from the node vouched for;
    /// and nobody passes for us.
    #[test]
    fn a_source_cannot_be_spoofed(
        said in nodes(), process in processes(), vouched in nodes(),
        target in processes(), rsvp in prop::option::of((nodes(), processes())), answer: bool,
    ) {
        let source = format!("{said}@{process}");
        let mut message = if answer {
            answers(&source, &target, 1)
        } else {
            asks(&source, &target, 1, Some(5))
        };
        message.rsvp = rsvp.map(|(node, process)| at(&format!("{node}@{process}")));
        let travelling = PeerMessage::new(message).unwrap();
        let from = name(&vouched);
        let table = networked();
        match admit(&our(), &from, travelling, |_| true) {
            Ok(arrived) => {
                prop_assert_ne!(&from, &our());
                prop_assert_eq!(&arrived.source.node, &from);
                prop_assert_eq!(&arrived.target.node, &our());
                let allowed = table
                    .get(&arrived.target.process)
                    .is_some_and(|entry| entry.capabilities().contains(&Capability::network(&our())))
                    && arrived.target.process.process() != "kernel";
                prop_assert_eq!(route(&table, &arrived) == Verdict::Deliver, allowed);
                prop_assert!(!matches!(
                    route(&table, &arrived),
                    Verdict::KernelCommand | Verdict::Egress
                ));
            }
            Err(refusal) => {
                prop_assert_eq!(&from, &our());
                let unknown = matches!(refusal, Refusal::RemoteTargetUnknown { .. });
                prop_assert!(unknown, "{:?}", refusal);
            }
        }
    }

    /// What arrives as a capability of ours was signed by us, word for word.
    #[test]
    fn no_capability_comes_from_nowhere(
        attached in prop::collection::vec(capabilities(), 0..50), answer: bool,
    ) {
        let mut message = carrying(attached.clone());
        if answer {
            message.message = Message::Response(
                node_types::Response { capabilities: attached.clone(), ..response() },
                None,
            );
        }
        let travelling = PeerMessage::new(message).unwrap();
        let arrived = admit(&our(), &name("bob.dev"), travelling, is_genuine(OUR)).unwrap();
        let signed: BTreeSet<CapKey> = attached
            .iter()
            .filter(|capability| is_genuine(OUR)(capability))
            .map(|capability| Capability::new(
                node_types::alias::canonical_address(capability.issuer.clone()),
                capability.params.clone(),
            ).key())
            .collect();
        let got = arrived.message.capabilities();
        prop_assert!(got.len() <= MAX_TRAVELLING);
        for capability in got {
            if capability.issuer.node == our() {
                prop_assert!(signed.contains(&capability.key()));
                prop_assert!(capability.signature().is_none());
            } else {
                prop_assert!(attached.iter().any(|sent| sent.issuer == capability.issuer
                    && sent.params == capability.params
                    && sent.signature() == capability.signature()));
            }
        }
    }

    /// A capability goes out, comes home and means the same; changed on the
    /// way it means nothing.
    #[test]
    fn a_capability_comes_home(process in "[a-z]{1,4}:k:g", params in ".{0,20}", change: bool) {
        let mine = cap(&process, &params);
        let mut leaving = carrying(vec![mine.clone()]);
        leaving.target = at("bob.dev@b:k:g");
        let sign = |capability: &Capability| signature(OUR, capability);
        let travelling = depart(leaving, &our(), sign).unwrap();
        // At bob's it is a foreign one, kept as it is.
        let at_bobs = admit(&name("bob.dev"), &our(), travelling, |_| false).unwrap();
        let kept = at_bobs.message.capabilities()[0].clone();
        prop_assert!(kept.signature().is_some());
        let presented = if change {
            let longer = format!("{params}x");
            Capability::new(kept.issuer.clone(), longer).with_signature(kept.signature().cloned())
        } else {
            kept
        };
        let home = admit(&our(), &name("bob.dev"), arriving(vec![presented]), is_genuine(OUR));
        let home = home.unwrap();
        prop_assert_eq!(home.message.capabilities().first() == Some(&mine), !change);
    }
}

#[test]
fn a_message_for_another_node_is_not_let_in() {
    let elsewhere = message("bob.dev@b:k:g", "carol.dev@a:k:g", 1, {
        Message::Request(Request::default())
    });
    let travelling = PeerMessage::new(elsewhere).unwrap();
    assert!(admit(&our(), &name("bob.dev"), travelling, |_| true).is_err());
}

#[test]
fn only_capabilities_of_ours_are_signed_when_they_leave() {
    let theirs = cap("carol.dev@c:k:g", "null");
    let stored = signature("carol.dev", &theirs);
    let mut leaving = carrying(vec![
        cap("a:k:g", "null"),
        theirs.clone().with_signature(Some(stored.clone())),
        theirs,
    ]);
    leaving.target = at("bob.dev@b:k:g");
    let sign = |capability: &Capability| signature(OUR, capability);
    let travelling = depart(leaving, &our(), sign).unwrap();
    let signatures: Vec<_> = travelling
        .message()
        .capabilities()
        .iter()
        .map(|capability| capability.signature().cloned())
        .collect();
    let ours = signature(OUR, &cap("a:k:g", "null"));
    assert_eq!(signatures, [Some(ours), Some(stored), None]);
}

#[test]
fn a_peer_hands_over_nothing_in_the_name_our() {
    let theirs = cap("bob.dev@b:k:g", "null");
    let message = arriving(vec![cap("our@vfs:distro:sys", "null"), theirs.clone()]);
    let arrived = admit(&our(), &name("bob.dev"), message, |_| true).unwrap();
    assert_eq!(arrived.message.capabilities(), [theirs]);
}

#[test]
fn only_so_many_capabilities_are_signed_for_a_message() {
    let many = (0..10 * MAX_TRAVELLING).map(|number| cap("a:k:g", &number.to_string()));
    let mut leaving = carrying(many.collect());
    leaving.target = at("bob.dev@b:k:g");
    let made = std::cell::Cell::new(0);
    let sign = |capability: &Capability| {
        made.set(made.get() + 1);
        signature(OUR, capability)
    };
    let travelling = depart(leaving, &our(), sign).unwrap();
    assert_eq!(made.get(), MAX_TRAVELLING);
    assert_eq!(travelling.message().capabilities().len(), MAX_TRAVELLING);
}

#[test]
fn a_right_of_this_node_is_kept_only_if_somebody_gave_it() {
    let mut conversation = conversation();
    let given = cap("a:k:g", r#"{"level":3}"#);
    let received = message("a:k:g", "me:k:g", 1, {
        Message::Request(Request {
            capabilities: vec![given.clone()],
            ..Request::default()
        })
    });
    conversation.ingest(received).unwrap();
    let own = cap("me:k:g", r#""mine""#);
    let foreign = cap("bob.dev@b:k:g", r#""whatever""#);
    for kept in [&given, &own, &foreign] {
        assert_eq!(conversation.as_received(kept.clone()).as_ref(), Some(kept));
    }
    for made_up in [
        cap("a:k:g", r#"{"level":4}"#),
        cap("kernel:distro:sys", r#""messaging""#),
        cap("vfs:distro:sys", r#"{"root":true}"#),
    ] {
        assert_eq!(conversation.as_received(made_up), None);
    }
}

#[test]
fn a_received_capability_is_saved_and_handed_on_with_its_signature() {
    let theirs = cap("bob.dev@b:k:g", r#"{ "level": 3 }"#);
    let stored = signature("bob.dev", &theirs);
    let mut conversation = conversation();
    let received = message("bob.dev@b:k:g", "me:k:g", 1, {
        Message::Request(Request {
            capabilities: vec![theirs.clone().with_signature(Some(stored.clone()))],
            ..Request::default()
        })
    });
    conversation.ingest(received).unwrap();
    // The process sees no signature, and may spell JSON as it likes.
    let seen = cap("bob.dev@b:k:g", r#"{"level":3}"#);
    let mut table = networked();
    let me = id("a:k:g");
    assert!(table.grant(&me, conversation.as_received(seen.clone())));
    let attached = table.filter_attached(&me, vec![seen.clone()]);
    assert_eq!(attached[0].signature(), Some(&stored));
    assert_eq!(attached[0].params, theirs.params);

    // It survives a restart of the node.
    let json = serde_json::to_string(&table.persisted()).unwrap();
    let mut again = node_kernel::ProcessTable::new(our());
    again.restore(serde_json::from_str::<PersistedTable>(&json).unwrap());
    let attached = again.filter_attached(&me, vec![seen.clone()]);
    assert_eq!(attached[0].signature(), Some(&stored));

    // One held without a signature gets the one that comes later.
    let mut late = networked();
    assert!(late.grant(&me, [seen.clone()]));
    assert!(late.grant(&me, [theirs.clone().with_signature(Some(stored.clone()))]));
    assert!(!late.grant(&me, [seen.clone()]));
    assert_eq!(
        late.filter_attached(&me, vec![seen])[0].signature(),
        Some(&stored)
    );
}

#[test]
fn a_process_map_without_signatures_is_read_as_before() {
    let old = r#"{"processes":{"a:k:g":{"wasm_bytes_handle":"/k:g/pkg/a.wasm","wit_version":1,
        "on_exit":"Restart","public":false,"module":false,
        "capabilities":[{"issuer":"bob.dev@b:k:g","params":"null"}]}}}"#;
    let mut table = node_kernel::ProcessTable::new(our());
    table.restore(serde_json::from_str(old).unwrap());
    assert_eq!(table.caps(&id("a:k:g")), [cap("bob.dev@b:k:g", "null")]);
    // And what has none is written as before.
    let text = serde_json::to_string(&table.persisted()).unwrap();
    assert!(text.contains(r#"[{"issuer":"bob.dev@b:k:g","params":"null"}]"#));
}
