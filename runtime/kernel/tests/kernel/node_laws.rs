//! Laws of a whole node, whatever its processes do and however they end.

use node_kernel::ExitReason;
use node_types::{Capability, OnExit};
use proptest::prelude::*;

use crate::common::*;
use crate::node_ledger::Check;
use crate::node_sim::{APPS, Node, network, target};

/// A step of somebody on the node or of the other node. Numbers of apps are
/// below [`APPS`]; as a target, that stands for one that never exists, and one
/// more for the other node.
#[derive(Debug, Clone)]
enum Step {
    Send {
        from: usize,
        to: usize,
        expects: Option<u64>,
        inherit: bool,
        attached: Vec<Capability>,
    },
    Respond {
        from: usize,
        attached: Vec<Capability>,
    },
    Receive(usize),
    Save(usize, Capability),
    Drop(usize, Capability),
    Spawn {
        parent: usize,
        child: usize,
        on_exit: OnExit,
        requested: Vec<Capability>,
    },
    SetOnExit(usize, OnExit),
    End(usize, bool),
    Kill {
        who: usize,
        revoke: bool,
    },
    PeerAnswers(usize),
    PeerIsOffline(usize),
    PeerAsks(usize),
    TimePasses(u64),
    Reboot,
}

fn capability() -> impl Strategy<Value = Capability> {
    prop_oneof![
        4 => (0..=APPS).prop_map(|app| Capability::messaging(target(app))),
        4 => (0..=APPS, 0..2u8)
            .prop_map(|(app, params)| Capability::new(target(app), params.to_string())),
        1 => Just(network()),
        1 => Just(Capability::messaging(at("kernel:distro:sys"))),
        1 => Just(Capability::new(at("bob.dev@peer:k:g"), "1")),
    ]
}

fn capabilities() -> impl Strategy<Value = Vec<Capability>> {
    prop::collection::vec(capability(), 0..3)
}

fn behaviour() -> impl Strategy<Value = OnExit> {
    let last = (0..APPS + 2, any::<bool>(), capabilities());
    prop_oneof![
        Just(OnExit::None),
        Just(OnExit::Restart),
        prop::collection::vec(last, 0..3).prop_map(|requests| {
            let request = |(to, expects, attached): (usize, bool, Vec<Capability>)| {
                let mut request = request(expects.then_some(5), false);
                request.capabilities = attached;
                (target(to), request, None)
            };
            OnExit::Requests(requests.into_iter().map(request).collect())
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let app = 0..APPS;
    let seconds = prop::option::weighted(0.7, 0..9u64);
    prop_oneof![
        8 => (app.clone(), 0..APPS + 2, seconds, any::<bool>(), capabilities()).prop_map(
            |(from, to, expects, inherit, attached)| Step::Send { from, to, expects, inherit, attached },
        ),
        6 => (app.clone(), capabilities())
            .prop_map(|(from, attached)| Step::Respond { from, attached }),
        12 => app.clone().prop_map(Step::Receive),
        3 => (app.clone(), capability()).prop_map(|(who, what)| Step::Save(who, what)),
        1 => (app.clone(), capability()).prop_map(|(who, what)| Step::Drop(who, what)),
        3 => (app.clone(), app.clone(), behaviour(), capabilities()).prop_map(
            |(parent, child, on_exit, requested)| Step::Spawn { parent, child, on_exit, requested },
        ),
        1 => (app.clone(), behaviour()).prop_map(|(who, what)| Step::SetOnExit(who, what)),
        1 => (app.clone(), any::<bool>()).prop_map(|(who, trap)| Step::End(who, trap)),
        1 => (app.clone(), any::<bool>()).prop_map(|(who, revoke)| Step::Kill { who, revoke }),
        2 => (0..6usize).prop_map(Step::PeerAnswers),
        1 => (0..6usize).prop_map(Step::PeerIsOffline),
        1 => app.prop_map(Step::PeerAsks),
        3 => (0..4u64).prop_map(Step::TimePasses),
        1 => Just(Step::Reboot),
    ]
}

fn take(node: &mut Node, step: Step) -> Check {
    match step {
        Step::Send {
            from,
            to,
            expects,
            inherit,
            attached,
        } => node.send(from, to, expects, inherit, attached)?,
        Step::Respond { from, attached } => node.respond(from, attached)?,
        Step::Receive(who) => node.receive(who)?,
        Step::Save(who, capability) => node.save(who, capability),
        Step::Drop(who, capability) => node.drop_right(who, &capability),
        Step::Spawn {
            parent,
            child,
            on_exit,
            requested,
        } => node.spawn(parent, child, on_exit, requested)?,
        Step::SetOnExit(who, on_exit) => node.set_on_exit(who, on_exit),
        Step::End(who, trap) => {
            let reason = if trap {
                ExitReason::Trapped
            } else {
                ExitReason::Finished
            };
            node.end(who, reason)?;
        }
        Step::Kill { who, revoke } => node.kill(who, revoke)?,
        Step::PeerAnswers(which) => node.peer_answers(which),
        Step::PeerIsOffline(which) => node.peer_is_offline(which),
        Step::PeerAsks(who) => node.peer_asks(who),
        Step::TimePasses(seconds) => node.time_passes(seconds),
        Step::Reboot => node.reboot()?,
    }
    node.check()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// No response without a request, no capability from nowhere, no request
    /// that is never ended, no end before or after its time; and a reboot
    /// brings back what is stored and nothing else.
    #[test]
    fn a_node_keeps_its_laws(steps in prop::collection::vec(step(), 0..120)) {
        let mut node = Node::new();
        for step in steps {
            take(&mut node, step)?;
        }
        node.settle()?;
    }
}
