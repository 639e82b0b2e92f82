//! The capabilities one process holds.
//!
//! Owns the set's equality (issuer, and params as parsed JSON) and its bounds:
//! a process that saves more than fits keeps what it had, and the caller is
//! told. Grouped by issuer, so that a messaging check neither allocates nor
//! parses, and a revocation removes one group.

use std::collections::{BTreeMap, HashMap};

use node_types::{Address, Capability, MESSAGING};

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
    /// There is no room for it.
    Full,
}

/// A bounded set of capabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapSet {
    /// Issuer → canonical params → params as first given.
    by_issuer: HashMap<Address, BTreeMap<String, String>>,
    len: usize,
    bytes: usize,
}

impl CapSet {
    /// Adds `capability` if there is none equal to it, and room.
    pub fn insert(&mut self, capability: Capability) -> Inserted {
        let key = capability.key();
        if self.contains_canonical(key.issuer(), key.params()) {
            return Inserted::Present;
        }
        let bytes = cost(key.params(), &capability.params);
        if self.len >= MAX_CAPABILITIES || self.bytes + bytes > MAX_CAPABILITY_BYTES {
            return Inserted::Full;
        }
        self.len += 1;
        self.bytes += bytes;
        self.by_issuer
            .entry(capability.issuer)
            .or_default()
            .insert(key.params().to_owned(), capability.params);
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
        self.bytes -= cost(key.params(), &given);
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
            .map(|(key, given)| cost(key, given))
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
            .flat_map(|(issuer, group)| {
                group
                    .values()
                    .map(|given| Capability::new(issuer.clone(), given.clone()))
            })
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
