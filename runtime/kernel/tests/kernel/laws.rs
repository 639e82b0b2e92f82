//! Laws of capabilities and routing.

use std::collections::BTreeSet;

use node_kernel::{BlobPolicy, CapSet, Conversation, Inserted, ProcessTable, Verdict, route};
use node_types::{Capability, MessageId};
use proptest::prelude::*;

use crate::common::*;

fn capability() -> impl Strategy<Value = Capability> {
    let params = prop_oneof![
        Just(r#""messaging""#.to_owned()),
        Just(r#"{"kind": "read", "drive": "/a"}"#.to_owned()),
        Just(r#"{"drive":"/a","kind":"read"}"#.to_owned()),
        Just("null".to_owned()),
        ".{0,4}",
    ];
    (0..3u8, params)
        .prop_map(|(issuer, params)| Capability::new(at(&format!("p{issuer}:k:g")), params))
}

proptest! {
    /// The set is the mathematical one over issuer and parsed params.
    #[test]
    fn capability_sets_are_sets(
        steps in prop::collection::vec((0..8u8, capability()), 0..60),
    ) {
        let mut set = CapSet::default();
        let mut model = BTreeSet::new();
        for (kind, cap) in steps {
            match kind {
                0..=4 => {
                    let added = set.insert(cap.clone()) == Inserted::Added;
                    prop_assert_eq!(added, model.insert(cap.key()));
                }
                5 | 6 => prop_assert_eq!(set.remove(&cap), model.remove(&cap.key())),
                _ => {
                    let before = model.len();
                    model.retain(|key| *key.issuer() != cap.issuer);
                    prop_assert_eq!(set.remove_issuer(&cap.issuer), model.len() < before);
                }
            }
            prop_assert_eq!(set.contains(&cap), model.contains(&cap.key()));
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(
                set.may_message(&cap.issuer),
                model.contains(&Capability::messaging(cap.issuer.clone()).key())
            );
        }
        let listed = set.to_vec();
        prop_assert_eq!(listed.len(), model.len());
        prop_assert!(listed.iter().all(|cap| model.contains(&cap.key())));
        // Order and repetition do not matter.
        let again: CapSet = listed.iter().rev().chain(&listed).cloned().collect();
        prop_assert_eq!(again, set);
    }

    /// What a process hands on is what it issued or holds, in order.
    #[test]
    fn nobody_hands_on_what_they_neither_issue_nor_hold(
        held in prop::collection::vec(capability(), 0..8),
        attached in prop::collection::vec(capability(), 0..8),
    ) {
        let mut table = ProcessTable::new(our());
        table.insert(id("p0:k:g"), app(false).with_capabilities(held.clone()));
        let expected: Vec<_> = attached
            .iter()
            .filter(|cap| cap.issuer == at("p0:k:g") || held.contains(cap))
            .cloned()
            .collect();
        prop_assert_eq!(table.filter_attached(&id("p0:k:g"), attached), expected);
    }

    /// Without the capability, and unless the target is public, nothing passes.
    #[test]
    fn no_message_passes_without_a_right(
        held in prop::collection::vec(capability(), 0..6), public: bool, answer: bool,
    ) {
        let mut table = table();
        table.insert(id("a:k:g"), app(false).with_capabilities(held.clone()));
        table.insert(id("p1:k:g"), app(public));
        let message = if answer {
            answers("a:k:g", "p1:k:g", 1)
        } else {
            asks("a:k:g", "p1:k:g", 1, None)
        };
        let may = public || held.contains(&messaging("p1:k:g"));
        prop_assert_eq!(route(&table, &message) == Verdict::Deliver, may);
    }

    /// However long a chain of inheriting requests, its end answers its start.
    #[test]
    fn inherit_chains_answer_the_original_requester(links in 1..8usize) {
        let mut asker = Conversation::new(at("asker:k:g"), BlobPolicy::CurrentMessage);
        let out = outgoing("p0:k:g", request(Some(5), false));
        let mut message = asker.prepare_request(out, || MessageId(77), moment(0)).unwrap().message;
        for link in 0..links {
            let mut process =
                Conversation::new(at(&format!("p{link}:k:g")), BlobPolicy::CurrentMessage);
            process.ingest(message).unwrap();
            if link + 1 == links {
                let answer = process.prepare_response(response(), None).unwrap();
                prop_assert_eq!(&answer.target, &at("asker:k:g"));
                let (source, _) = asker.ingest(answer).unwrap();
                prop_assert_eq!(source, at(&format!("p{link}:k:g")));
                return Ok(());
            }
            let out = outgoing(&format!("p{}:k:g", link + 1), request(None, true));
            message = process.prepare_request(out, || MessageId(1), moment(0)).unwrap().message;
            prop_assert_eq!(message.id, MessageId(77));
        }
    }
}
