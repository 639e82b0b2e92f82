//! The MessagePack forms of what `net:distro:sys` is asked and answers.
//!
//! Read in every form that was ever written: structs as arrays or maps, byte
//! strings as integers or binary, both generations of updates. Written as
//! arrays, which all generations read.

use std::collections::BTreeMap;

use bytes::Bytes;
use node_types::Address;
use serde::{Deserialize, Serialize};

/// No action of another node is longer; what is, is text.
const MAX_SHORT: usize = 64 << 10;

/// What the module is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) enum NetAction {
    /// A router has a connection for us.
    ConnectionRequest(String),
    /// A node has this identity.
    KnsUpdate(KnsUpdate),
    /// Several nodes have.
    KnsBatchUpdate(Vec<KnsUpdate>),
    /// Which nodes do we talk with?
    GetPeers,
    /// What do we know of this one?
    GetPeer(String),
    /// Which name has this hash? Up to 0.8.
    GetName(String),
    /// How are we, in words?
    GetDiagnostics,
    /// Sign the blob.
    Sign,
    /// Did this process sign the blob?
    Verify {
        /// Who is said to have signed.
        from: Address,
        /// The signature.
        signature: Bytes,
    },
}

/// An entry of the name system, of either generation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum KnsUpdate {
    /// Up to 0.8.
    Hashed(HashedUpdate),
    /// From 0.9 on.
    Named(NamedUpdate),
}

/// See [`KnsUpdate::Hashed`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct HashedUpdate {
    pub(super) name: String,
    #[serde(rename = "owner")]
    _owner: String,
    pub(super) node: String,
    pub(super) public_key: String,
    pub(super) ips: Vec<String>,
    pub(super) ports: BTreeMap<String, u16>,
    /// Hashes of their names.
    pub(super) routers: Vec<String>,
}

/// See [`KnsUpdate::Named`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct NamedUpdate {
    pub(super) name: String,
    pub(super) public_key: String,
    pub(super) ips: Vec<String>,
    pub(super) ports: BTreeMap<String, u16>,
    pub(super) routers: Vec<String>,
}

/// What the module answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) enum Answer {
    /// To GetPeers.
    Peers(Vec<Identity>),
    /// To GetPeer.
    Peer(Option<Identity>),
    /// To GetName.
    Name(Option<String>),
    /// To GetDiagnostics.
    Diagnostics(String),
    /// To Sign; the signature is the blob.
    Signed,
    /// To Verify.
    Verified(bool),
}

/// A node as other nodes know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Identity {
    pub(super) name: String,
    /// `0x` and the public key in hex.
    pub(super) networking_key: String,
    pub(super) routing: Routing,
}

/// How to reach a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) enum Routing {
    /// Through these nodes; through none: by this host itself.
    Routers(Vec<String>),
    /// At this address.
    Direct {
        ip: String,
        ports: BTreeMap<String, u16>,
    },
}

impl NetAction {
    /// Reads the body of a request.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(body).ok()
    }

    /// The same for what another node sends.
    pub(super) fn decode_short(body: &[u8]) -> Option<Self> {
        (body.len() <= MAX_SHORT)
            .then(|| Self::decode(body))
            .flatten()
    }
}

impl Answer {
    /// The body of the response.
    pub(super) fn encode(&self) -> Vec<u8> {
        // Plain data of known shape: this cannot fail.
        rmp_serde::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn packed(value: &impl Serialize) -> Vec<u8> {
        rmp_serde::to_vec(value).unwrap()
    }

    #[test]
    fn units_are_strings_and_others_maps_of_one() {
        assert_eq!(packed(&"GetPeers")[0], 0xa8);
        assert_eq!(
            NetAction::decode(&packed(&"GetPeers")),
            Some(NetAction::GetPeers)
        );
        let get_peer = packed(&BTreeMap::from([("GetPeer", "bob.dev")]));
        assert_eq!(
            NetAction::decode(&get_peer),
            Some(NetAction::GetPeer("bob.dev".into()))
        );
        for text in ["hello", "GetPeers", "", "\u{a8}"] {
            assert_eq!(NetAction::decode(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn verify_is_read_as_array_and_map_with_integers_and_binary() {
        #[derive(Serialize)]
        enum Asked<S> {
            Verify { from: &'static str, signature: S },
        }
        let from = "bob.dev@a:b:c";
        let wanted = NetAction::Verify {
            from: from.parse().unwrap(),
            signature: Bytes::from_static(&[1, 200]),
        };
        let integers = Asked::Verify {
            from,
            signature: vec![1_u8, 200],
        };
        let binary = Asked::Verify {
            from,
            signature: Bytes::from_static(&[1, 200]),
        };
        for body in [
            packed(&integers),
            packed(&binary),
            rmp_serde::to_vec_named(&integers).unwrap(),
            rmp_serde::to_vec_named(&binary).unwrap(),
        ] {
            assert_eq!(NetAction::decode(&body), Some(wanted.clone()), "{body:?}");
        }
    }

    #[test]
    fn updates_of_both_generations_are_read() {
        let ports = BTreeMap::from([("ws", 9000_u16)]);
        let (ips, routers) = (vec!["1.2.3.4"], Vec::<&str>::new());
        let named = ("carol.os", "0x00", &ips, &ports, &routers);
        let hashed = (
            "carol.os", "0xowner", "0xhash", "0x00", &ips, &ports, &routers,
        );
        let body = packed(&BTreeMap::from([("KnsUpdate", &named)]));
        let Some(NetAction::KnsUpdate(KnsUpdate::Named(read))) = NetAction::decode(&body) else {
            panic!("{body:?}");
        };
        assert_eq!((read.name.as_str(), read.ports["ws"]), ("carol.os", 9000));
        let body = packed(&BTreeMap::from([("KnsBatchUpdate", vec![&hashed])]));
        let Some(NetAction::KnsBatchUpdate(read)) = NetAction::decode(&body) else {
            panic!("{body:?}");
        };
        assert!(matches!(&read[..], [KnsUpdate::Hashed(read)] if read.node == "0xhash"));
    }

    #[test]
    fn answers_are_arrays_inside_maps_of_one() {
        let identity = Identity {
            name: "b".into(),
            networking_key: "0x01".into(),
            routing: Routing::Routers(Vec::new()),
        };
        let peer = Answer::Peer(Some(identity));
        // {"Peer": ["b", "0x01", {"Routers": []}]}
        let expected = [
            &[0x81, 0xa4][..],
            b"Peer",
            &[0x93, 0xa1],
            b"b",
            &[0xa4],
            b"0x01",
            &[0x81, 0xa7],
            b"Routers",
            &[0x90],
        ]
        .concat();
        assert_eq!(peer.encode(), expected);
        assert_eq!(Answer::Signed.encode(), packed(&"Signed"));
        assert_eq!(Answer::Peer(None).encode()[6], 0xc0);
    }
}
