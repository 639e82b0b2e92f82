//! The capabilities one process holds.
//!
//! Owns the set's equality (issuer, and params as parsed JSON) and its bounds:
//! a process that saves more than fits keeps what it had, and the caller is
//! told. Grouped by issuer, so that a messaging check neither allocates nor
//! parses, and a revocation removes one group. A capability of another node
//! keeps the signature it came with, so that it can be presented there.

use std::collections::{BTreeMap, HashMap};

use node_types::{Address, CapSignature, Capability, MESSAGING};

/// Most capabilities one process can hold. Further ones are not added.
pub const MAX_CAPABILITIES: usize = 4096;
/// Most bytes of capabilities (params and a flat cost each) one process can
/// hold. Further ones are not added.
pub const MAX_CAPABILITY_BYTES: usize = 1 << 20;

/// What became of a capability that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is new.
    Added,
    /// An equal one was there; its spelling is kept.
    Present,
    /// An equal one was there; it now has the signature that came with this.
    Signed,
    /// There is no room for it.
    Full,
}

impl Held {
    fn capability(&self, issuer: &Address) -> Capability {
        Capability::new(issuer.clone(), self.given.clone()).with_signature(self.signature.clone())
    }
}

/// A bounded set of capabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapSet {
    /// Issuer → canonical params → the rest of the capability.
    by_issuer: HashMap<Address, BTreeMap<String, Held>>,
    len: usize,
    bytes: usize,
}

/// What is kept of a capability beside its key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    /// Params as first given; what the signature is about, if there is one.
    given: String,
    signature: Option<CapSignature>,
}

impl CapSet {
    /// Adds `capability` if there is none equal to it, and room.
    pub fn insert(&mut self, capability: Capability) -> Inserted {
        let key = capability.key();
        let held = self
            .by_issuer
            .get_mut(key.issuer())
            .and_then(|group| group.get_mut(key.params()));
        if let Some(held) = held {
            let fresh = capability.signature();
            if fresh.is_none() || fresh == held.signature.as_ref() {
                return Inserted::Present;
            }
            let others = self.bytes - cost(key.params(), &held.given);
            let bytes = others + cost(key.params(), &capability.params);
            if bytes > MAX_CAPABILITY_BYTES {
                return Inserted::Full;
            }
            self.bytes = bytes;
            held.signature = fresh.cloned();
            // The signature is about this spelling.
            held.given = capability.params;
            return Inserted::Signed;
        }
        let bytes = cost(key.params(), &capability.params);
        if self.len >= MAX_CAPABILITIES || self.bytes + bytes > MAX_CAPABILITY_BYTES {
            return Inserted::Full;
        }
        self.len += 1;
        self.bytes += bytes;
        let held = Held {
            signature: capability.signature().cloned(),
            given: capability.params,
        };
        self.by_issuer
            .entry(capability.issuer)
            .or_default()
            .insert(key.params().to_owned(), held);
        Inserted::Added
    }

    /// Removes what equals `capability`; whether there was such a one.
    pub fn remove(&mut self, capability: &Capability) -> bool {
        let key = capability.key();
        let Some(group) = self.by_issuer.get_mut(key.issuer()) else {
            return false;
        };
        let Some(given) = group.remove(key.params()) else {
            return false;
        };
        if group.is_empty() {
            self.by_issuer.remove(key.issuer());
        }
        self.len -= 1;
        self.bytes -= cost(key.params(), &given.given);
        true
    }

    /// Removes everything that `issuer` issued; whether there was anything.
    pub fn remove_issuer(&mut self, issuer: &Address) -> bool {
        let Some(group) = self.by_issuer.remove(issuer) else {
            return false;
        };
        self.len -= group.len();
        self.bytes -= group
            .iter()
            .map(|(key, held)| cost(key, &held.given))
            .sum::<usize>();
        true
    }

    /// Whether an equal capability is in the set.
    #[must_use]
    pub fn contains(&self, capability: &Capability) -> bool {
        // Most lookups miss at the issuer; parsing params comes after that.
        self.by_issuer.get(&capability.issuer).is_some_and(|group| {
            group.contains_key(capability.params.as_str())
                || group.contains_key(capability.key().params())
        })
    }

    /// The signature of the capability equal to this one, with the spelling
    /// that it is about; unsigned ones come back as they were held.
    #[must_use]
    pub fn get(&self, capability: &Capability) -> Option<Capability> {
        // Most lookups miss at the issuer; parsing params comes after that.
        let group = self.by_issuer.get(&capability.issuer)?;
        let held = group.get(capability.key().params())?;
        Some(held.capability(&capability.issuer))
    }

    /// Whether the right to message `target` is in the set.
    #[must_use]
    pub fn may_message(&self, target: &Address) -> bool {
        self.contains_canonical(target, MESSAGING)
    }

    fn contains_canonical(&self, issuer: &Address, params: &str) -> bool {
        self.by_issuer
            .get(issuer)
            .is_some_and(|group| group.contains_key(params))
    }

    /// Who issued what is in the set, each once.
    pub fn issuers(&self) -> impl Iterator<Item = &Address> {
        self.by_issuer.keys()
    }

    /// All of them, sorted, spelled as first given.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Capability> {
        let mut groups: Vec<_> = self.by_issuer.iter().collect();
        groups.sort_unstable_by_key(|(issuer, _)| *issuer);
        groups
            .into_iter()
            .flat_map(|(issuer, group)| group.values().map(|held| held.capability(issuer)))
            .collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What one capability counts towards [`MAX_CAPABILITY_BYTES`].
fn cost(canonical: &str, given: &str) -> usize {
    const RECORD: usize = 64;
    RECORD + canonical.len() + given.len()
}

impl FromIterator<Capability> for CapSet {
    /// Collects what fits.
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        let mut set = Self::default();
        for capability in capabilities {
            set.insert(capability);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(params: impl Into<String>) -> Capability {
        Capability::new("a.dev@vfs:distro:sys".parse().unwrap(), params)
    }

    #[test]
    fn a_params_text_that_is_no_json_equals_null_even_if_it_spells_a_key() {
        let set: CapSet = [cap("null")].into_iter().collect();
        assert!(set.contains(&cap("not json")));
        let set: CapSet = [cap("not json")].into_iter().collect();
        assert!(set.contains(&cap("null")) && set.contains(&cap("{")));
        assert!(!set.contains(&cap("\"not json\"")));
    }

    #[test]
    fn both_bounds_hold_and_what_was_there_stays() {
        let mut set = CapSet::default();
        for number in 0..MAX_CAPABILITIES {
            assert_eq!(set.insert(cap(number.to_string())), Inserted::Added);
        }
        assert_eq!(set.insert(cap("-1")), Inserted::Full);
        assert_eq!(set.insert(cap("7")), Inserted::Present);
        assert!(set.remove(&cap("7")));
        assert_eq!(set.insert(cap("-1")), Inserted::Added);

        let mut set = CapSet::default();
        assert_eq!(set.insert(cap(MESSAGING)), Inserted::Added);
        let long = format!("\"{}\"", "x".repeat(MAX_CAPABILITY_BYTES / 2));
        assert_eq!(set.insert(cap(long)), Inserted::Full);
        assert_eq!(set.len(), 1);
    }
}
