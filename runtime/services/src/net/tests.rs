use std::collections::BTreeMap;

use lifecycle::queue::{self, Bounds};
use node_api::{Handover, Peer, PeerIdentity, Receipt, Secret, Transport};
use node_types::{Capability, MessageId, PeerMessage};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::testing::FakePort;

const NET: &str = "net:distro:sys";
const APP: &str = "app:pkg:me.dev";
const BOBS_SEED: [u8; 32] = [2; 32];

/// A host on which `bob.dev` lives.
#[derive(Debug, Default)]
struct Host(Mutex<Vec<PeerMessage>>);

impl Transport for Host {
    fn send(&self, message: PeerMessage, _: Receipt) -> Handover {
        if message.target().node.as_str() != "bob.dev" {
            return Handover::Offline;
        }
        self.0.lock().push(message);
        Handover::Accepted
    }

    fn identity(&self, name: &NodeName) -> Option<PeerIdentity> {
        let bob = network("bob.dev", BOBS_SEED, Arc::new(node_api::Isolated));
        (name.as_str() == "bob.dev").then(|| PeerIdentity {
            name: name.clone(),
            networking_key: bob.own_key(),
        })
    }

    fn known(&self) -> usize {
        1
    }
}

fn network(our: &str, seed: [u8; 32], transport: Arc<dyn Transport>) -> Arc<Network> {
    Network::new(our.parse().unwrap(), &Secret::new(seed), transport)
}

struct Bench {
    port: Arc<FakePort>,
    sent: UnboundedReceiver<KernelMessage>,
    inbox: queue::Sender<KernelMessage>,
    network: Arc<Network>,
    _tasks: lifecycle::Tasks,
}

fn bench() -> Bench {
    let (port, sent) = FakePort::new("me.dev");
    let network = network("me.dev", [1; 32], Arc::new(Host::default()));
    let (inbox, receiver) = queue::channel(Bounds {
        items: 1000,
        cost: usize::MAX,
    });
    let tasks = lifecycle::Tasks::new(
        tokio::runtime::Handle::current(),
        &tokio_util::sync::CancellationToken::new(),
    );
    let net = Net::new(port.clone(), network.clone(), tasks.clone());
    tasks.spawn(lifecycle::TaskKind::abortable("net"), net.run(receiver));
    Bench {
        port,
        sent,
        inbox,
        network,
        _tasks: tasks,
    }
}

impl Bench {
    fn tell(&self, body: Vec<u8>, blob: Option<&[u8]>) {
        let message = self.port.request(APP, NET, body, blob);
        self.inbox.try_send(message, 0).unwrap();
    }

    async fn ask(&mut self, body: Vec<u8>, blob: Option<&[u8]>) -> KernelMessage {
        self.tell(body, blob);
        let answer = self.sent.recv().await.unwrap();
        assert_eq!(answer.target, self.port.address(APP));
        assert_eq!(answer.source, self.port.address(NET));
        answer
    }

    /// A request of bob's that expects an answer.
    fn bob_says(&self, body: &[u8]) -> MessageId {
        let mut message = self.port.request(APP, NET, body.to_vec(), None);
        message.source = "bob.dev@hi:terminal:sys".parse().unwrap();
        message.rsvp = Some(message.source.clone());
        let id = message.id;
        self.inbox.try_send(message, 0).unwrap();
        id
    }
}

fn unit(name: &str) -> Vec<u8> {
    rmp_serde::to_vec(&name).unwrap()
}

fn action(name: &str, payload: impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec(&BTreeMap::from([(name, payload)])).unwrap()
}

fn contains(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

#[tokio::test]
async fn large_payloads_are_signed_and_larger_ones_are_not() {
    let mut bench = bench();
    let from = format!("me.dev@{APP}");
    let large = vec![7; MAX_SIGNED];
    let signed = bench.ask(unit("Sign"), Some(&large)).await;
    let signature = signed.lazy_load_blob.unwrap().bytes;
    let verify = action("Verify", (from.as_str(), &signature[..]));
    let verified = bench.ask(verify.clone(), Some(&large)).await;
    assert_eq!(verified.message.body(), &Answer::Verified(true).encode());
    let larger = vec![7; MAX_SIGNED + 1];
    bench.tell(unit("Sign"), Some(&larger));
    // Nothing was said of that one: the next answer is this one's.
    let verified = bench.ask(verify, Some(&larger)).await;
    assert_eq!(verified.message.body(), &Answer::Verified(false).encode());
}

#[tokio::test]
async fn a_signature_is_the_askers_and_of_this_very_payload() {
    let mut bench = bench();
    let signed = bench.ask(unit("Sign"), Some(b"payload")).await;
    assert_eq!(signed.message.body(), &Answer::Signed.encode());
    let signature = signed.lazy_load_blob.unwrap().bytes;
    assert_eq!(signature.len(), 64);
    let us = bench.port.address(APP).to_string();
    for (from, blob, wanted) in [
        (us.as_str(), &b"payload"[..], true),
        ("our@app:pkg:me.dev", b"payload", true),
        (&us, b"another payload", false),
        ("me.dev@other:pkg:me.dev", b"payload", false),
        ("bob.dev@app:pkg:me.dev", b"payload", false),
        ("nobody.dev@app:pkg:me.dev", b"payload", false),
    ] {
        let body = action("Verify", (from, &signature[..]));
        let answer = bench.ask(body, Some(blob)).await;
        let wanted_body = Answer::Verified(wanted).encode();
        assert_eq!(answer.message.body(), &wanted_body, "{from} {blob:?}");
    }
    // A signature of another node is checked with that node's key.
    let bob = network("bob.dev", BOBS_SEED, Arc::new(node_api::Isolated));
    let from = "bob.dev@app:pkg:me.dev";
    let signature = bob.sign(&[from.as_bytes(), b"payload"].concat());
    let body = action("Verify", (from, &signature[..]));
    let answer = bench.ask(body, Some(b"payload")).await;
    assert_eq!(answer.message.body(), &Answer::Verified(true).encode());
}

#[tokio::test]
async fn peers_are_those_we_talked_with_and_the_host_vouches_for_their_keys() {
    let mut bench = bench();
    let peers = bench.ask(unit("GetPeers"), None).await;
    assert_eq!(peers.message.body(), &Answer::Peers(Vec::new()).encode());
    bench
        .network
        .heard_from(&Peer::vouched("bob.dev".parse().unwrap()));
    let peers = bench.ask(unit("GetPeers"), None).await;
    assert!(contains(peers.message.body(), "bob.dev"));

    // What a process tells of a node of this host changes nothing.
    let false_key = "0x".to_owned() + &"ee".repeat(32);
    let ports = BTreeMap::<&str, u16>::new();
    for name in ["bob.dev", "me.dev", "carol.os"] {
        let nothing = Vec::<&str>::new();
        let update = (name, &false_key, &nothing, &ports, &nothing);
        bench.tell(action("KnsUpdate", update), None);
    }
    for (name, is_false) in [("bob.dev", false), ("me.dev", false), ("carol.os", true)] {
        let peer = bench.ask(action("GetPeer", name), None).await;
        assert!(contains(peer.message.body(), name));
        assert_eq!(
            contains(peer.message.body(), &false_key),
            is_false,
            "{name}"
        );
    }
    let unknown = bench.ask(action("GetPeer", "dora.os"), None).await;
    assert_eq!(unknown.message.body(), &Answer::Peer(None).encode());
    let told = bench.ask(unit("GetDiagnostics"), None).await;
    for fact in [
        "me.dev",
        "bob.dev",
        "1 of this host",
        "our networking key 0x",
    ] {
        assert!(contains(told.message.body(), fact), "{fact}");
    }
}

#[tokio::test]
async fn another_node_can_only_greet() {
    let mut bench = bench();
    let id = bench.bob_says(b"hello\x1b[2J there");
    let answer = bench.sent.recv().await.unwrap();
    assert_eq!((answer.id, &answer.message.body()[..]), (id, ACK));
    assert_eq!(answer.target.to_string(), "bob.dev@hi:terminal:sys");
    let prints = bench.port.prints();
    assert_eq!(
        prints[0].2,
        "\x1b[3;32mbob.dev: hello[2J there\x1b[0m".to_owned()
    );
    // Its actions are nothing but text, or not even that.
    let key = "11".repeat(32);
    let nothing = Vec::<&str>::new();
    let update = (
        "x.os",
        &key,
        &nothing,
        &BTreeMap::<&str, u16>::new(),
        &nothing,
    );
    bench.bob_says(&action("KnsUpdate", update));
    bench.bob_says(&action("ConnectionRequest", "x.os"));
    bench.bob_says(&unit("Sign"));
    let answer = bench.sent.recv().await.unwrap();
    assert_eq!(&answer.message.body()[..], ACK);
    assert_eq!(bench.port.prints().len(), 2);
    let unknown = bench.ask(action("GetPeer", "x.os"), None).await;
    assert_eq!(unknown.message.body(), &Answer::Peer(None).encode());
}

#[tokio::test]
async fn a_body_that_is_no_action_is_not_answered() {
    let mut bench = bench();
    bench.tell(b"hello".to_vec(), None);
    bench.tell(vec![0xc0; MAX_ACTION + 1], None);
    bench.tell(unit("Sign"), None);
    let next = bench.ask(unit("GetDiagnostics"), None).await;
    assert!(contains(next.message.body(), "Diagnostics"));
}

#[test]
fn only_our_own_signature_makes_a_capability_ours() {
    let ours = network("me.dev", [1; 32], Arc::new(node_api::Isolated));
    let bob = network("bob.dev", BOBS_SEED, Arc::new(node_api::Isolated));
    let issuer: Address = "me.dev@vfs:distro:sys".parse().unwrap();
    let cap = Capability::new(issuer.clone(), r#"{"root":true}"#);
    assert!(!ours.is_genuine(&cap));
    let forged = bob.sign_capability(&cap);
    assert!(!ours.is_genuine(&cap.clone().with_signature(Some(forged))));
    let signature = ours.sign_capability(&cap);
    assert!(ours.is_genuine(&cap.with_signature(Some(signature.clone()))));
    let wider = Capability::new(issuer, r#"{"root":false}"#).with_signature(Some(signature));
    assert!(!ours.is_genuine(&wider));
}
