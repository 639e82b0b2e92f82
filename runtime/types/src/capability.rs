//! Capabilities: unforgeable rights, each issued by one process.
//!
//! Owns their equality: issuers equal, and params equal *as parsed JSON* (key
//! order and white space do not matter; params that are not JSON all count as
//! `null`, as in every published runtime).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Address, NodeName, ProcessId};

/// Params of the right to send messages to the issuer.
pub const MESSAGING: &str = "\"messaging\"";
/// Params of the right to use the network, issued by the kernel.
pub const NETWORK: &str = "\"network\"";

/// A right that `issuer` recognises.
///
/// JSON: `{"issuer":"node@p:k:g","params":"<json text>"}`; a signature is never
/// part of it, so that no text makes one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Capability {
    /// The process that issued the right and decides what it means.
    pub issuer: Address,
    /// What is allowed, as JSON text. Kept as given.
    pub params: String,
    /// The issuing node's signature, of a capability that came from another
    /// node; those of the own node are signed when they leave it.
    #[serde(skip)]
    signature: Option<CapSignature>,
}

/// An Ed25519 signature over a capability, made by the node of its issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct CapSignature(Arc<[u8; 64]>);

impl CapSignature {
    /// Wraps the bytes of a signature, right or wrong.
    #[must_use]
    pub fn new(bytes: [u8; 64]) -> Self {
        Self(Arc::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for CapSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CapSignature")
    }
}

/// What two equal capabilities have in common; the key of capability sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CapKey {
    issuer: Address,
    /// Params as canonical JSON: object keys sorted, no white space.
    params: String,
}

impl Capability {
    /// A capability of `issuer` with `params` (JSON text).
    #[must_use]
    pub fn new(issuer: Address, params: impl Into<String>) -> Self {
        Self {
            issuer,
            params: params.into(),
            signature: None,
        }
    }

    /// The same with `signature`, or without any.
    #[must_use]
    pub fn with_signature(mut self, signature: Option<CapSignature>) -> Self {
        self.signature = signature;
        self
    }

    /// The signature it came with.
    #[must_use]
    pub fn signature(&self) -> Option<&CapSignature> {
        self.signature.as_ref()
    }

    /// The right to message `target`.
    #[must_use]
    pub fn messaging(target: Address) -> Self {
        Self::new(target, MESSAGING)
    }

    /// The right of processes of `our` to use the network.
    #[must_use]
    pub fn network(our: &NodeName) -> Self {
        let kernel = ProcessId::from_valid_parts("kernel", "distro", "sys");
        Self::new(Address::new(our.clone(), kernel), NETWORK)
    }

    /// The key under which equal capabilities meet.
    #[must_use]
    pub fn key(&self) -> CapKey {
        let params = match self.params.as_str() {
            // The two spellings nearly all capabilities have.
            MESSAGING | NETWORK => self.params.clone(),
            text => serde_json::from_str::<Value>(text)
                .unwrap_or(Value::Null)
                .to_string(),
        };
        CapKey {
            issuer: self.issuer.clone(),
            params,
        }
    }
}

impl CapKey {
    /// The process that issued the capability.
    #[must_use]
    pub fn issuer(&self) -> &Address {
        &self.issuer
    }

    /// The params as canonical JSON.
    #[must_use]
    pub fn params(&self) -> &str {
        &self.params
    }
}

impl PartialEq for Capability {
    fn eq(&self, other: &Self) -> bool {
        self.issuer == other.issuer && (self.params == other.params || self.key() == other.key())
    }
}
impl Eq for Capability {}
impl Hash for Capability {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(params: &str) -> Capability {
        Capability::new("a.dev@vfs:distro:sys".parse().unwrap(), params)
    }

    #[test]
    fn params_compare_as_json() {
        assert_eq!(
            cap(r#"{"kind": "read", "drive": "/a"}"#),
            cap(r#"{"drive":"/a","kind":"read"}"#)
        );
        assert_ne!(cap(r#"{"kind":"read"}"#), cap(r#"{"kind":"write"}"#));
        assert_eq!(cap("not json"), cap("{also not"));
        assert_ne!(cap(r#""messaging""#), cap("messaging"));
        assert_eq!(cap("not json").key(), cap("null").key());
    }
}
