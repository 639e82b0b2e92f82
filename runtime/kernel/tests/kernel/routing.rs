//! One test per rule about who may message whom.

use node_kernel::{ProcessTable, Refusal, Verdict, owes_timeout, route};
use node_types::{Capability, KernelMessage, NodeName};

use crate::common::*;

/// Two apps: `a:k:g` may message `b:k:g`, not the other way round.
fn two_apps() -> ProcessTable {
    let mut table = table();
    table.insert(
        id("a:k:g"),
        app(false).with_capabilities([messaging("b:k:g")]),
    );
    table.insert(id("b:k:g"), app(false));
    table
}

fn refusal(table: &ProcessTable, message: &KernelMessage) -> Refusal {
    match route(table, message) {
        Verdict::Refused(refusal) => refusal,
        verdict => panic!("{verdict:?} instead of a refusal"),
    }
}

#[test]
fn local_needs_the_messaging_capability_of_the_target() {
    let table = two_apps();
    assert_eq!(
        route(&table, &asks("a:k:g", "b:k:g", 1, None)),
        Verdict::Deliver
    );
    let back = asks("b:k:g", "a:k:g", 1, Some(5));
    let refusal = refusal(&table, &back);
    assert!(matches!(refusal, Refusal::NoMessagingCapability { .. }));
    assert_eq!(refusal.verbosity(), 0);
    assert!(owes_timeout(&table, &back, &refusal));
    assert_eq!(
        refusal.to_string(),
        "`b:k:g` may not message `a:k:g`: it lacks the messaging capability"
    );
}

#[test]
fn a_messaging_capability_of_another_nodes_namesake_is_none() {
    let mut table = two_apps();
    table.grant(&id("b:k:g"), [messaging("bob.dev@a:k:g")]);
    let message = asks("b:k:g", "a:k:g", 1, None);
    assert!(matches!(
        refusal(&table, &message),
        Refusal::NoMessagingCapability { .. }
    ));
}

#[test]
fn responses_are_checked_like_requests() {
    let table = two_apps();
    let answer = answers("b:k:g", "a:k:g", 1);
    let refusal = refusal(&table, &answer);
    assert!(matches!(refusal, Refusal::NoMessagingCapability { .. }));
    assert!(!owes_timeout(&table, &answer, &refusal));
    assert_eq!(
        route(&table, &answers("a:k:g", "b:k:g", 1)),
        Verdict::Deliver
    );
}

#[test]
fn a_public_target_hears_every_local_process() {
    let mut table = two_apps();
    table.insert(id("open:k:g"), app(true));
    for source in ["a:k:g", "b:k:g", "http-server:distro:sys"] {
        assert_eq!(
            route(&table, &asks(source, "open:k:g", 1, None)),
            Verdict::Deliver
        );
    }
    let stranger = asks("nobody:k:g", "open:k:g", 1, None);
    assert!(matches!(
        refusal(&table, &stranger),
        Refusal::SourceUnknown { remote: false, .. }
    ));
}

#[test]
fn kernel_state_and_vfs_reach_every_process_and_other_modules_need_a_grant() {
    let mut table = two_apps();
    for source in ["kernel:distro:sys", "state:distro:sys", "vfs:distro:sys"] {
        assert_eq!(
            route(&table, &answers(source, "a:k:g", 1)),
            Verdict::Deliver
        );
    }
    for impostor in ["vfs:k:g", "vfs:distro:bob.dev", "http-server:distro:sys"] {
        assert!(
            matches!(
                route(&table, &answers(impostor, "a:k:g", 1)),
                Verdict::Refused(_)
            ),
            "{impostor}"
        );
    }
    table.grant(&id("http-server:distro:sys"), [messaging("a:k:g")]);
    assert_eq!(
        route(
            &table,
            &asks("http-server:distro:sys", "a:k:g", 1, Some(15))
        ),
        Verdict::Deliver
    );
}

#[test]
fn an_unknown_target_gives_an_immediate_timeout_only_to_apps_that_wait() {
    let table = two_apps();
    for (source, expects, owed) in [
        ("a:k:g", Some(5), true),
        ("a:k:g", None, false),
        ("http-server:distro:sys", Some(5), false),
        ("kernel:distro:sys", Some(5), false),
    ] {
        let message = asks(source, "gone:k:g", 1, expects);
        let refusal = refusal(&table, &message);
        assert!(matches!(refusal, Refusal::TargetUnknown { .. }));
        assert_eq!(refusal.verbosity(), 2);
        assert_eq!(owes_timeout(&table, &message, &refusal), owed, "{source}");
    }
}

#[test]
fn an_unknown_source_is_timed_out_locally_and_ignored_towards_the_network() {
    let table = two_apps();
    let local = asks("gone:k:g", "a:k:g", 1, Some(5));
    assert!(owes_timeout(&table, &local, &refusal(&table, &local)));
    let outbound = asks("gone:k:g", "bob.dev@a:k:g", 1, Some(5));
    let dropped = refusal(&table, &outbound);
    assert!(matches!(
        dropped,
        Refusal::SourceUnknown { remote: true, .. }
    ));
    assert!(!owes_timeout(&table, &outbound, &dropped));
}

#[test]
fn another_node_is_reached_with_the_network_capability_only() {
    let mut table = two_apps();
    let message = asks("a:k:g", "bob.dev@x:y:z", 1, Some(5));
    let refused = refusal(&table, &message);
    assert!(matches!(refused, Refusal::NoNetworkCapability { .. }));
    assert_eq!(refused.verbosity(), 0);
    assert!(owes_timeout(&table, &message, &refused));
    table.grant(&id("a:k:g"), [Capability::network(&our())]);
    assert_eq!(route(&table, &message), Verdict::Egress);
    // That of another node's kernel is worth nothing.
    let bobs = NodeName::new("bob.dev").unwrap();
    table.grant(&id("b:k:g"), [Capability::network(&bobs)]);
    assert!(matches!(
        refusal(&table, &asks("b:k:g", "bob.dev@x:y:z", 1, None)),
        Refusal::NoNetworkCapability { .. }
    ));
}

#[test]
fn another_nodes_process_needs_no_messaging_capability_but_the_target_the_network() {
    let mut table = two_apps();
    let inbound = asks("bob.dev@x:y:z", "a:k:g", 1, Some(5));
    let refused = refusal(&table, &inbound);
    assert!(matches!(refused, Refusal::RemoteTargetLacksNetwork { .. }));
    assert_eq!(refused.verbosity(), 0);
    assert!(!owes_timeout(&table, &inbound, &refused));
    table.grant(&id("a:k:g"), [Capability::network(&our())]);
    assert_eq!(route(&table, &inbound), Verdict::Deliver);
    let nobody = asks("bob.dev@x:y:z", "gone:k:g", 1, Some(5));
    let refused = refusal(&table, &nobody);
    assert!(matches!(refused, Refusal::RemoteTargetUnknown { .. }));
    assert_eq!(refused.verbosity(), 2);
    // A message that only passes by is not relayed.
    let passing = asks("bob.dev@x:y:z", "carol.dev@a:k:g", 1, None);
    assert!(matches!(
        refusal(&table, &passing),
        Refusal::RemoteTargetUnknown { .. }
    ));
}

#[test]
fn a_message_from_a_node_called_our_counts_as_remote() {
    let mut table = two_apps();
    table.grant(&id("a:k:g"), [messaging("kernel:distro:sys")]);
    let spoofed = asks("our@a:k:g", "kernel:distro:sys", 1, None);
    assert!(matches!(
        refusal(&table, &spoofed),
        Refusal::RemoteKernelCommand { .. }
    ));
}

#[test]
fn any_process_named_kernel_stands_for_the_kernel_and_needs_its_capability() {
    let mut table = two_apps();
    table.insert(
        id("kernel:evil:g"),
        app(true).with_capabilities([messaging("kernel:evil:g")]),
    );
    table.grant(&id("b:k:g"), [messaging("kernel:evil:g")]);
    for target in ["kernel:distro:sys", "kernel:evil:g", "kernel:gone:g"] {
        let message = asks("b:k:g", target, 1, None);
        assert!(
            matches!(
                refusal(&table, &message),
                Refusal::NoMessagingCapability { .. }
            ),
            "{target}"
        );
    }
    table.grant(&id("b:k:g"), [messaging("kernel:distro:sys")]);
    for target in ["kernel:distro:sys", "kernel:gone:g"] {
        assert_eq!(
            route(&table, &asks("b:k:g", target, 1, None)),
            Verdict::KernelCommand
        );
    }
}

#[test]
fn commands_to_the_kernel_from_other_nodes_are_not_executed() {
    let table = two_apps();
    let command = asks("bob.dev@x:y:z", "kernel:distro:sys", 1, Some(5));
    assert!(matches!(
        refusal(&table, &command),
        Refusal::RemoteKernelCommand { .. }
    ));
}

#[test]
fn modules_may_message_each_other_and_hold_the_network() {
    let table = table();
    for (source, target) in [
        ("http-server:distro:sys", "vfs:distro:sys"),
        ("terminal:distro:sys", "http-server:distro:sys"),
    ] {
        assert_eq!(
            route(&table, &asks(source, target, 1, None)),
            Verdict::Deliver
        );
    }
    assert_eq!(
        route(
            &table,
            &asks("http-server:distro:sys", "bob.dev@x:y:z", 1, None)
        ),
        Verdict::Egress
    );
    assert!(table.get(&id("timer:distro:sys")).unwrap().public);
    assert!(!table.get(&id("vfs:distro:sys")).unwrap().public);
}
