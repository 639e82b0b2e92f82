//! Capabilities that a process has been given with messages, or has had.
//!
//! Processes never see signatures, so what they save is joined here with the
//! signature it came with; and of its own node a process may keep only what
//! somebody gave it. Bounded: the oldest is forgotten, and can then be saved
//! only if it comes again.

use std::collections::VecDeque;

use node_types::{CapKey, CapSignature, Capability};

/// Most capabilities remembered.
const MAX_RECEIVED: usize = 256;
/// Most bytes of their keys and params.
const MAX_BYTES: usize = 64 << 10;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// The newest last.
    known: VecDeque<Known>,
    bytes: usize,
}

#[derive(Debug)]
struct Known {
    key: CapKey,
    /// The spelling that the signature is about.
    params: String,
    signature: Option<CapSignature>,
}

impl Known {
    fn bytes(&self) -> usize {
        self.key.params().len() + self.params.len()
    }
}

impl Received {
    /// Remembers `capabilities`, which came with a message.
    pub(crate) fn remember(&mut self, capabilities: &[Capability]) {
        for capability in capabilities {
            let known = Known {
                key: capability.key(),
                params: capability.params.clone(),
                signature: capability.signature().cloned(),
            };
            self.forget(&known.key);
            self.bytes += known.bytes();
            self.known.push_back(known);
            while self.known.len() > MAX_RECEIVED || self.bytes > MAX_BYTES {
                let Some(oldest) = self.known.pop_front() else {
                    break;
                };
                self.bytes -= oldest.bytes();
            }
        }
    }

    /// `capability` as it was received, if it was.
    pub(crate) fn find(&self, capability: &Capability) -> Option<Capability> {
        if self.known.is_empty() {
            return None;
        }
        let key = capability.key();
        let known = self.known.iter().find(|known| known.key == key)?;
        let received = Capability::new(capability.issuer.clone(), known.params.clone());
        Some(received.with_signature(known.signature.clone()))
    }

    /// All that are remembered.
    pub(crate) fn all(&self) -> impl Iterator<Item = Capability> {
        self.known.iter().map(|known| {
            Capability::new(known.key.issuer().clone(), known.params.clone())
                .with_signature(known.signature.clone())
        })
    }

    fn forget(&mut self, key: &CapKey) {
        let at = self.known.iter().position(|known| known.key == *key);
        if let Some(known) = at.and_then(|at| self.known.remove(at)) {
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
        let saved = received.find(&as_seen).unwrap();
        assert_eq!(saved.signature(), signed(1).signature());
        assert_eq!(saved.params, signed(1).params);
        let never_seen = Capability::new(signed(2).issuer, signed(2).params);
        assert_eq!(received.find(&never_seen), None);
        // One without a signature is known as well.
        received.remember(std::slice::from_ref(&never_seen));
        assert_eq!(received.find(&never_seen), Some(never_seen));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut received = Received::default();
        for number in 0..=MAX_RECEIVED {
            received.remember(&[signed(number)]);
            // Again and again the same takes one place.
            received.remember(&[signed(number)]);
        }
        let ask = |number| received.find(&signed(number).with_signature(None));
        assert_eq!(ask(0), None);
        assert_eq!(ask(1), Some(signed(1)));
        let large = Capability::new(signed(0).issuer, format!("\"{}\"", "x".repeat(MAX_BYTES)))
            .with_signature(signed(0).signature().cloned());
        received.remember(&[large]);
        assert_eq!((received.known.len(), received.bytes), (0, 0));
    }
}
