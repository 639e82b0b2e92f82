//! Nodes that processes of this node have told it about.
//!
//! Owns a bounded directory beside the transport's. Invariant: it is only
//! asked after that one, so it cannot give a node of this host another key.

use std::collections::HashMap;

use node_types::NodeName;

use super::codec::{Identity, KnsUpdate, Routing};

/// Most nodes kept; more are not learned.
const MAX_LEARNED: usize = 1024;
/// Most routers and ports of one.
const MAX_LISTED: usize = 8;
/// Longest text in an entry, bytes.
const MAX_TEXT: usize = 253;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Learned(HashMap<NodeName, Entry>);

#[derive(Debug)]
struct Entry {
    identity: Identity,
    /// The hash of its name, where it was told.
    hash: Option<String>,
    key: [u8; 32],
}

impl Learned {
    /// Takes an entry in, in place of an older one. Malformed ones and those
    /// beyond the bounds are left out.
    pub(super) fn learn(&mut self, update: KnsUpdate) {
        let (name, key, ips, ports, routers, hash) = match update {
            KnsUpdate::Named(new) => (
                new.name,
                new.public_key,
                new.ips,
                new.ports,
                new.routers,
                None,
            ),
            KnsUpdate::Hashed(old) => (
                old.name,
                old.public_key,
                old.ips,
                old.ports,
                old.routers,
                Some(old.node),
            ),
        };
        let (Ok(node), Some(key)) = (NodeName::new(&name), parse_key(&key)) else {
            return;
        };
        let short = |text: &String| text.len() <= MAX_TEXT;
        let listed = routers.len() <= MAX_LISTED && ports.len() <= MAX_LISTED;
        if !listed
            || !routers
                .iter()
                .chain(ports.keys())
                .chain(&hash)
                .chain(ips.first())
                .all(short)
        {
            return;
        }
        if self.0.len() >= MAX_LEARNED && !self.0.contains_key(&node) {
            return;
        }
        let routing = match ips.into_iter().next() {
            Some(ip) => Routing::Direct { ip, ports },
            None => Routing::Routers(routers),
        };
        let identity = Identity {
            name,
            networking_key: spell_key(&key),
            routing,
        };
        self.0.insert(
            node,
            Entry {
                identity,
                hash,
                key,
            },
        );
    }

    /// What is known of `name`.
    pub(super) fn identity(&self, name: &NodeName) -> Option<Identity> {
        self.0.get(name).map(|entry| entry.identity.clone())
    }

    /// Its public key.
    pub(super) fn key(&self, name: &NodeName) -> Option<[u8; 32]> {
        self.0.get(name).map(|entry| entry.key)
    }

    /// The name with this hash.
    pub(super) fn name_of_hash(&self, hash: &str) -> Option<String> {
        let mut entries = self.0.values();
        let known = |entry: &&Entry| entry.hash.as_deref() == Some(hash);
        entries.find(known).map(|entry| entry.identity.name.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A key as identities spell it.
pub(super) fn spell_key(key: &[u8; 32]) -> String {
    format!("0x{}", hex::encode(key))
}

fn parse_key(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::codec::NamedUpdate;
    use super::*;

    fn update(name: &str, key: &str, ips: &[&str]) -> KnsUpdate {
        KnsUpdate::Named(NamedUpdate {
            name: name.into(),
            public_key: key.into(),
            ips: ips.iter().map(ToString::to_string).collect(),
            ports: BTreeMap::from([("ws".to_owned(), 9000)]),
            routers: vec!["r.os".into()],
        })
    }

    #[test]
    fn an_entry_is_direct_with_an_address_and_routed_without() {
        let mut learned = Learned::default();
        let key = "11".repeat(32);
        learned.learn(update("a.os", &key, &[]));
        let name = NodeName::new("a.os").unwrap();
        let identity = learned.identity(&name).unwrap();
        assert_eq!(identity.networking_key, format!("0x{key}"));
        assert_eq!(identity.routing, Routing::Routers(vec!["r.os".into()]));
        learned.learn(update("a.os", &format!("0x{key}"), &["1.2.3.4", "5.6.7.8"]));
        let routing = learned.identity(&name).unwrap().routing;
        assert!(matches!(routing, Routing::Direct { ip, .. } if ip == "1.2.3.4"));
    }

    #[test]
    fn malformed_and_excessive_entries_are_left_out() {
        let mut learned = Learned::default();
        let key = "11".repeat(32);
        learned.learn(update("no/name", &key, &[]));
        learned.learn(update("a.os", "0x11", &[]));
        learned.learn(update("a.os", &key, &[&"1".repeat(300)]));
        assert_eq!(learned.len(), 0);
        for number in 0..MAX_LEARNED + 10 {
            learned.learn(update(&format!("n{number}"), &key, &[]));
        }
        assert_eq!(learned.len(), MAX_LEARNED);
    }
}
