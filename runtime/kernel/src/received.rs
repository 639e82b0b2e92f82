//! Signatures of capabilities that a process has been given by other nodes.
//!
//! Processes never see signatures, so what they save is joined here with the
//! signature it came with. Bounded: the oldest is forgotten, and saved without
//! one, which its issuer will not accept.

use std::collections::VecDeque;

use node_types::{CapKey, CapSignature, Capability};

/// Most capabilities remembered.
const MAX_RECEIVED: usize = 64;
/// Most bytes of their keys and params.
const MAX_BYTES: usize = 64 << 10;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// The newest last.
    signed: VecDeque<Signed>,
    bytes: usize,
}

#[derive(Debug)]
struct Signed {
    key: CapKey,
    /// The spelling that the signature is about.
    params: String,
    signature: CapSignature,
}

impl Signed {
    fn bytes(&self) -> usize {
        self.key.params().len() + self.params.len()
    }
}

impl Received {
    /// Remembers what of `capabilities` is signed.
    pub(crate) fn remember(&mut self, capabilities: &[Capability]) {
        for capability in capabilities {
            let Some(signature) = capability.signature().cloned() else {
                continue;
            };
            let signed = Signed {
                key: capability.key(),
                params: capability.params.clone(),
                signature,
            };
            self.forget(&signed.key);
            self.bytes += signed.bytes();
            self.signed.push_back(signed);
            while self.signed.len() > MAX_RECEIVED || self.bytes > MAX_BYTES {
                let Some(oldest) = self.signed.pop_front() else {
                    break;
                };
                self.bytes -= oldest.bytes();
            }
        }
    }

    /// `capability` as it was received.
    pub(crate) fn signed(&self, capability: Capability) -> Capability {
        if self.signed.is_empty() {
            return capability;
        }
        let key = capability.key();
        match self.signed.iter().find(|known| known.key == key) {
            Some(known) => Capability::new(capability.issuer, known.params.clone())
                .with_signature(Some(known.signature.clone())),
            None => capability,
        }
    }

    fn forget(&mut self, key: &CapKey) {
        let at = self.signed.iter().position(|known| known.key == *key);
        if let Some(known) = at.and_then(|at| self.signed.remove(at)) {
            self.bytes -= known.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(number: usize) -> Capability {
        let issuer = "bob.dev@a:b:c".parse().unwrap();
        let signature = CapSignature::new([number as u8; 64]);
        Capability::new(issuer, format!("{{ \"n\": {number} }}")).with_signature(Some(signature))
    }

    #[test]
    fn what_was_received_is_saved_with_its_signature_and_spelling() {
        let mut received = Received::default();
        received.remember(&[signed(1)]);
        let as_seen = Capability::new(signed(1).issuer, r#"{"n":1}"#);
        let saved = received.signed(as_seen);
        assert_eq!(saved.signature(), signed(1).signature());
        assert_eq!(saved.params, signed(1).params);
        let never_seen = Capability::new(signed(2).issuer, signed(2).params);
        assert_eq!(received.signed(never_seen).signature(), None);
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut received = Received::default();
        for number in 0..=MAX_RECEIVED {
            received.remember(&[signed(number)]);
            // Again and again the same takes one place.
            received.remember(&[signed(number)]);
        }
        let ask = |number| received.signed(signed(number).with_signature(None));
        assert_eq!(ask(0).signature(), None);
        assert_eq!(ask(1).signature(), signed(1).signature());
        let large = Capability::new(signed(0).issuer, format!("\"{}\"", "x".repeat(MAX_BYTES)))
            .with_signature(signed(0).signature().cloned());
        received.remember(&[large]);
        assert_eq!((received.signed.len(), received.bytes), (0, 0));
    }
}
