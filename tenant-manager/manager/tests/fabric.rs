//! Nodes of one host that message each other, on a fake launcher and paused
//! time.

#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{fakes, password, shows};
use node_api::{Departure, Handover, Receipt};
use node_types::{
    KernelMessage, Message, MessageId, NodeName, PeerMessage, Request, Response, SendErrorKind,
};
use tenant_manager::Principal;
use tenant_manager::testing::{FakeNode, Fakes};
use tenant_model::NodeStatus;
use tokio::sync::oneshot;

/// Two nodes that run, `alice.dev` and `bob.dev`.
async fn neighbours() -> (Fakes, Principal) {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    let created = fakes.manager.create_node(&alice, "bob", password()).await;
    assert_eq!(created.unwrap().name, "bob.dev");
    shows(&fakes, &alice, "bob", NodeStatus::Active).await;
    (fakes, alice)
}

fn node(fakes: &Fakes, name: &str) -> Arc<FakeNode> {
    fakes.launcher.running_node(name).unwrap()
}

fn request(to: &str, number: u64, blob: usize) -> PeerMessage {
    let blob = (blob > 0).then(|| node_types::Blob {
        mime: None,
        bytes: vec![0; blob].into(),
    });
    message(to, number, Message::Request(Request::default()), blob)
}

fn message(
    to: &str,
    number: u64,
    message: Message,
    lazy_load_blob: Option<node_types::Blob>,
) -> PeerMessage {
    let message = KernelMessage {
        id: MessageId(number),
        // What it says of its node is worth nothing.
        source: "mallory.dev@app:pkg:a.dev".parse().unwrap(),
        target: format!("{to}@app:pkg:a.dev").parse().unwrap(),
        rsvp: None,
        message,
        lazy_load_blob,
    };
    PeerMessage::new(message).unwrap()
}

/// A receipt and what comes of it.
fn receipt() -> (Receipt, oneshot::Receiver<SendErrorKind>) {
    let (told, hears) = oneshot::channel();
    let receipt = Receipt::new(move |kind| {
        let _ = told.send(kind);
    });
    (receipt, hears)
}

/// Hands a message over as a process does, which waits a while for room.
async fn hand_over(node: &FakeNode, message: PeerMessage) -> Option<Handover> {
    match node.transport().send_when_room(message, Receipt::none()) {
        Departure::Done(handover) => Some(handover),
        Departure::Waiting(later) => tokio::time::timeout(Duration::from_secs(5), later)
            .await
            .ok(),
    }
}

async fn hibernate(fakes: &Fakes, owner: &Principal, label: &str) {
    fakes.manager.hibernate_node(owner, label).await.unwrap();
    shows(fakes, owner, label, NodeStatus::Hibernated).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_arrives_at_once_from_the_node_whose_port_it_took() {
    let (fakes, _) = neighbours().await;
    let (alice, bob) = (node(&fakes, "alice.dev"), node(&fakes, "bob.dev"));
    let sent = alice
        .transport()
        .send(request("bob.dev", 1, 0), Receipt::none());
    assert_eq!((sent, bob.mail()), (Handover::Accepted, 1));
    let arrived = bob.take().await;
    assert_eq!(arrived.source.to_string(), "alice.dev@app:pkg:a.dev");
    // And back, from the other port.
    let answer = message(
        "alice.dev",
        1,
        Message::Response(Response::default(), None),
        None,
    );
    assert_eq!(
        bob.transport().send(answer, Receipt::none()),
        Handover::Accepted
    );
    let answer = alice.take().await;
    assert_eq!(answer.source.node, NodeName::new("bob.dev").unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_directory_knows_names_keys_and_no_strangers() {
    let (fakes, alice) = neighbours().await;
    let transport = node(&fakes, "alice.dev").transport();
    let name = |name: &str| NodeName::new(name).unwrap();
    let bob = transport.identity(&name("bob.dev")).unwrap();
    let seed = fakes
        .launcher
        .specs()
        .into_iter()
        .find(|spec| spec.name.as_str() == "bob.dev")
        .unwrap()
        .secrets
        .networking_key;
    let key = ed25519_dalek::SigningKey::from_bytes(seed.expose()).verifying_key();
    assert_eq!(bob.networking_key, key.to_bytes());
    assert_eq!(transport.identity(&name("carol.dev")), None);
    assert_eq!(transport.known(), 2);
    // A name stays known while its node sleeps or is stopped.
    fakes.manager.stop_node(&alice, "bob").await.unwrap();
    assert_eq!(transport.identity(&name("bob.dev")), Some(bob));
}

#[tokio::test(start_paused = true)]
async fn a_message_wakes_a_sleeping_node_and_order_is_kept() {
    let (fakes, owner) = neighbours().await;
    let transport = node(&fakes, "alice.dev").transport();
    hibernate(&fakes, &owner, "bob").await;
    let launches = fakes.launcher.launches();
    fakes.launcher.hold();
    for number in 0..20 {
        let sent = transport.send(request("bob.dev", number, 0), Receipt::none());
        assert_eq!(sent, Handover::Accepted);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    fakes.launcher.release();
    shows(&fakes, &owner, "bob", NodeStatus::Active).await;
    let bob = node(&fakes, "bob.dev");
    // Sent while the others still wait: it comes after them.
    transport.send(request("bob.dev", 20, 0), Receipt::none());
    for number in 0..=20 {
        assert_eq!(bob.take().await.id, MessageId(number));
    }
    assert_eq!(fakes.launcher.launches(), launches + 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_stopped_archived_and_failing_nodes_are_offline() {
    let (fakes, owner) = neighbours().await;
    let transport = node(&fakes, "alice.dev").transport();
    let send = |to: &str| transport.send(request(to, 1, 0), Receipt::none());
    for nobody in ["carol.dev", "alice.dev", "our", "bob"] {
        assert_eq!(send(nobody), Handover::Offline, "{nobody}");
    }
    assert_eq!(send("bob.dev"), Handover::Accepted);
    fakes.manager.stop_node(&owner, "bob").await.unwrap();
    assert_eq!(send("bob.dev"), Handover::Offline);
    shows(&fakes, &owner, "bob", NodeStatus::Stopped).await;
    let launches = fakes.launcher.launches();
    assert_eq!(send("bob.dev"), Handover::Offline);

    // It fails when woken: who waits is told, the next is turned away at once.
    fakes.manager.start_node(&owner, "bob").await.unwrap();
    shows(&fakes, &owner, "bob", NodeStatus::Active).await;
    hibernate(&fakes, &owner, "bob").await;
    fakes.launcher.fail_next(100);
    let (receipt, told) = receipt();
    let sent = transport.send(request("bob.dev", 1, 0), receipt);
    assert_eq!(sent, Handover::Accepted);
    assert_eq!(told.await, Ok(SendErrorKind::Offline));
    assert_eq!(send("bob.dev"), Handover::Offline);
    // Messages cannot boot it in a loop.
    for _ in 0..2000 {
        send("bob.dev");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(fakes.launcher.launches() <= launches + 8);

    fakes
        .manager
        .delete_node(&owner, "bob", true)
        .await
        .unwrap();
    assert_eq!(send("bob.dev"), Handover::Offline);
    let bob = NodeName::new("bob.dev").unwrap();
    assert_eq!(transport.identity(&bob), None);
}

#[tokio::test(start_paused = true)]
async fn a_node_stopped_before_it_takes_them_is_offline_for_who_waits() {
    let (fakes, owner) = neighbours().await;
    let transport = node(&fakes, "alice.dev").transport();
    hibernate(&fakes, &owner, "bob").await;
    fakes.launcher.hold();
    let (first, first_told) = receipt();
    let (second, second_told) = receipt();
    transport.send(request("bob.dev", 1, 0), first);
    transport.send(request("bob.dev", 2, 0), second);
    tokio::time::sleep(Duration::from_secs(1)).await;
    fakes.manager.stop_node(&owner, "bob").await.unwrap();
    fakes.launcher.release();
    assert_eq!(first_told.await, Ok(SendErrorKind::Offline));
    assert_eq!(second_told.await, Ok(SendErrorKind::Offline));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_holds_back_one_sender_and_loses_what_has_no_room() {
    let (fakes, owner) = neighbours().await;
    fakes.node(&owner, "carol").await.unwrap();
    let (alice, bob) = (node(&fakes, "alice.dev"), node(&fakes, "bob.dev"));
    let carol = node(&fakes, "carol.dev");
    for number in 0..1000 {
        alice
            .transport()
            .send(request("bob.dev", number, 0), Receipt::none());
    }
    // Nobody's lease is held, and others still reach their neighbours.
    carol
        .transport()
        .send(request("alice.dev", 7, 0), Receipt::none());
    assert_eq!(alice.take().await.id, MessageId(7));
    // What there was room for arrives in order; the rest is lost.
    let mut last = None;
    let mut count = 0;
    while let Ok(next) = tokio::time::timeout(Duration::from_secs(1), bob.take()).await {
        assert!(last.is_none_or(|last| last < next.id));
        last = Some(next.id);
        count += 1;
    }
    assert!((200..=300).contains(&count), "{count}");
    // And now there is room again.
    alice
        .transport()
        .send(request("bob.dev", 5000, 0), Receipt::none());
    assert_eq!(bob.take().await.id, MessageId(5000));
}

#[tokio::test(start_paused = true)]
async fn who_can_wait_loses_nothing_while_messages_are_taken() {
    const COUNT: u64 = 3000;
    let (fakes, owner) = neighbours().await;
    fakes.node(&owner, "carol").await.unwrap();
    let (alice, bob) = (node(&fakes, "alice.dev"), node(&fakes, "bob.dev"));
    let carol = node(&fakes, "carol.dev");
    let send = async |from: &FakeNode| {
        for number in 0..COUNT {
            // More than two nodes may have on the way.
            let message = request("bob.dev", number, 1 << 20);
            assert_eq!(hand_over(from, message).await, Some(Handover::Accepted));
        }
    };
    let take = async {
        let mut next = std::collections::HashMap::new();
        for _ in 0..2 * COUNT {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let message = bob.take().await;
            let expected: &mut u64 = next.entry(message.source.node).or_default();
            assert_eq!(message.id, MessageId(*expected));
            *expected += 1;
        }
    };
    tokio::join!(send(&alice), send(&carol), take);
    assert_eq!(bob.mail(), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_a_process_that_takes_nothing() {
    let (fakes, _) = neighbours().await;
    let (alice, bob) = (node(&fakes, "alice.dev"), node(&fakes, "bob.dev"));
    let began = tokio::time::Instant::now();
    for number in 0..2000 {
        hand_over(&alice, request("bob.dev", number, 0)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(11), "{began:?}");
    // Once it takes messages again, it is worth waiting for.
    let mut last = None;
    while let Ok(next) = tokio::time::timeout(Duration::from_secs(1), bob.take()).await {
        assert!(last.is_none_or(|last| last < next.id));
        last = Some(next.id);
    }
    assert!(last < Some(MessageId(2000)));
    let send = async {
        for number in 2000..4000 {
            let sent = hand_over(&alice, request("bob.dev", number, 0)).await;
            assert_eq!(sent, Some(Handover::Accepted));
        }
    };
    let ((), last) = tokio::join!(send, take_all(&bob, 2000..4000));
    assert_eq!(last, 4000);
}

/// Takes messages with exactly these numbers; the end of them.
async fn take_all(node: &FakeNode, numbers: std::ops::Range<u64>) -> u64 {
    for number in numbers.clone() {
        assert_eq!(node.take().await.id, MessageId(number));
    }
    numbers.end
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_learns_that_the_node_is_gone() {
    let (fakes, owner) = neighbours().await;
    let alice = node(&fakes, "alice.dev");
    hibernate(&fakes, &owner, "bob").await;
    fakes.launcher.hold();
    for number in 0..256 {
        let sent = hand_over(&alice, request("bob.dev", number, 0)).await;
        assert_eq!(sent, Some(Handover::Accepted));
    }
    let (receipt, told) = receipt();
    let departure = alice
        .transport()
        .send_when_room(request("bob.dev", 256, 0), receipt);
    let Departure::Waiting(later) = departure else {
        panic!("{departure:?}");
    };
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fakes.manager.stop_node(&owner, "bob").await.unwrap();
        fakes.launcher.release();
    };
    // Handed over to a lane that is then given up.
    let (handed, ()) = tokio::join!(later, stop);
    assert_eq!(handed, Handover::Accepted);
    assert_eq!(told.await, Ok(SendErrorKind::Offline));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_takes_nothing_cuts_off_nobody_else() {
    let (fakes, _) = neighbours().await;
    let (alice, bob) = (node(&fakes, "alice.dev"), node(&fakes, "bob.dev"));
    for number in 0..50 {
        let to_deaf = KernelMessage {
            target: "bob.dev@deaf:pkg:a.dev".parse().unwrap(),
            ..request("bob.dev", number, 0).arriving_from("alice.dev".parse().unwrap())
        };
        alice
            .transport()
            .send(PeerMessage::new(to_deaf).unwrap(), Receipt::none());
    }
    let began = tokio::time::Instant::now();
    alice
        .transport()
        .send(request("bob.dev", 77, 0), Receipt::none());
    assert_eq!(bob.take().await.id, MessageId(77));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_reads_costs_its_peer_time_and_no_lease() {
    let (fakes, owner) = neighbours().await;
    let alice = node(&fakes, "alice.dev");
    for number in 0..100 {
        alice
            .transport()
            .send(request("bob.dev", number, 1000), Receipt::none());
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    // The lane waits for room; bob's node can stop all the same, at once.
    fakes.launcher.hold();
    let began = tokio::time::Instant::now();
    fakes.manager.hibernate_node(&owner, "bob").await.unwrap();
    // What waits wakes it again, so it is not seen asleep.
    shows(&fakes, &owner, "bob", NodeStatus::Booting).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    fakes.launcher.release();
    shows(&fakes, &owner, "bob", NodeStatus::Active).await;
    let bob = node(&fakes, "bob.dev");
    let next = bob.take().await;
    assert!(next.id >= MessageId(8), "{:?}", next.id);
}

#[tokio::test(start_paused = true)]
async fn a_late_response_wakes_nobody() {
    let (fakes, owner) = neighbours().await;
    let bob = node(&fakes, "bob.dev");
    hibernate(&fakes, &owner, "alice").await;
    let launches = fakes.launcher.launches();
    let late = message(
        "alice.dev",
        1,
        Message::Response(Response::default(), None),
        None,
    );
    assert_eq!(
        bob.transport().send(late, Receipt::none()),
        Handover::Accepted
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fakes.launcher.launches(), launches);
    shows(&fakes, &owner, "alice", NodeStatus::Hibernated).await;
}

#[tokio::test(start_paused = true)]
async fn one_node_wakes_others_only_so_often() {
    let (fakes, owner) = neighbours().await;
    let transport = node(&fakes, "alice.dev").transport();
    let began = tokio::time::Instant::now();
    let mut waits = Vec::new();
    for number in 0..50 {
        hibernate(&fakes, &owner, "bob").await;
        let asked = tokio::time::Instant::now();
        transport.send(request("bob.dev", number, 0), Receipt::none());
        shows(&fakes, &owner, "bob", NodeStatus::Active).await;
        waits.push(asked.elapsed());
    }
    let at_once = |wait: &&Duration| **wait < Duration::from_millis(100);
    assert!(
        waits[..30].iter().filter(at_once).count() == 30,
        "{waits:?}"
    );
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(seconds >= 15, "50 wakes in {seconds} s");
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn the_hosts_end_is_the_fabrics() {
    let (fakes, owner) = neighbours().await;
    let transport = node(&fakes, "alice.dev").transport();
    hibernate(&fakes, &owner, "bob").await;
    fakes.launcher.hold();
    let (receipt, told) = receipt();
    transport.send(request("bob.dev", 1, 0), receipt);
    tokio::time::sleep(Duration::from_secs(1)).await;
    fakes.launcher.release();
    assert!(fakes.manager.shutdown(Duration::from_secs(20)).await);
    // Told at once, since nobody will take it any more.
    assert!(told.await.is_ok());
    let after = transport.send(request("bob.dev", 2, 0), Receipt::none());
    assert_eq!(after, Handover::Offline);
}
