//! The form of keys: tenant (16 bytes, big-endian), incarnation (4 bytes,
//! big-endian), space (1 byte), then the caller's key. In the space of
//! databases' entries the number of the database (8 bytes, big-endian) comes
//! before it.

use crate::StoreError;

/// Longest key within a space or a database, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
/// Bytes of tenant and incarnation.
const OWNER: usize = 20;
/// Bytes of a database's number.
const NUMBER: usize = 8;
/// Space of the registry of databases. On disk, as the tags of [`Space`] are.
const REGISTRY: u8 = 5;
/// Space of the entries of databases.
const ENTRIES: u8 = 6;
/// In the registry: what is said of all databases.
const ALL: u8 = 0;
/// In the registry: what is said of one, by name.
const ONE: u8 = 1;

/// What a key is about. Spaces do not see each other's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Space {
    /// Process map, components and whatever else the kernel restores at boot.
    Kernel,
    /// State of processes, by process id.
    State,
    /// History of the terminal, and what is said of the verbosity of processes.
    Terminal,
    /// Routes and other things kept to wake a node.
    Wake,
}

impl Space {
    /// Tags are on disk: never change or reuse one. 0 is the byte count, 5 and
    /// 6 are the databases'.
    fn tag(self) -> u8 {
        match self {
            Self::Kernel => 1,
            Self::State => 2,
            Self::Terminal => 3,
            Self::Wake => 4,
        }
    }

    /// Whether values are often too large to copy on an async thread.
    pub(crate) fn is_bulky(self) -> bool {
        matches!(self, Self::State)
    }
}

/// Whose keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) tenant: u128,
    pub(crate) incarnation: u32,
}

impl Owner {
    /// The owner that a key begins with.
    pub(crate) fn of_prefix(key: &[u8]) -> Option<Self> {
        let (tenant, rest) = key.split_first_chunk()?;
        let incarnation = rest.first_chunk()?;
        Some(Self {
            tenant: u128::from_be_bytes(*tenant),
            incarnation: u32::from_be_bytes(*incarnation),
        })
    }

    pub(crate) fn prefix(self) -> [u8; OWNER] {
        let mut prefix = [0; OWNER];
        prefix[..16].copy_from_slice(&self.tenant.to_be_bytes());
        prefix[16..].copy_from_slice(&self.incarnation.to_be_bytes());
        prefix
    }

    /// The key under which the owner's byte count is kept.
    pub(crate) fn usage_key(self) -> Vec<u8> {
        let mut key = self.prefix().to_vec();
        key.push(0);
        key
    }

    /// The full key of `key` in `space`.
    pub(crate) fn key(self, space: Space, key: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.tagged(&[space.tag()], key)
    }

    /// The key of what the registry says of all databases.
    pub(crate) fn registry_head(self) -> Vec<u8> {
        let mut key = self.prefix().to_vec();
        key.extend_from_slice(&[REGISTRY, ALL]);
        key
    }

    /// The key of what the registry says of the database `name`; of no name,
    /// what all such keys begin with.
    pub(crate) fn registry_key(self, name: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.tagged(&[REGISTRY, ONE], name)
    }

    /// The full key of `key` in the database `number`; of no key, what all
    /// keys of the database begin with.
    pub(crate) fn entry_key(self, number: u64, key: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut tag = [ENTRIES; 1 + NUMBER];
        tag[1..].copy_from_slice(&number.to_be_bytes());
        self.tagged(&tag, key)
    }

    fn tagged(self, tag: &[u8], key: &[u8]) -> Result<Vec<u8>, StoreError> {
        if key.len() > MAX_KEY_BYTES {
            return Err(StoreError::KeyTooLong(key.len()));
        }
        let mut full = Vec::with_capacity(OWNER + tag.len() + key.len());
        full.extend_from_slice(&self.prefix());
        full.extend_from_slice(tag);
        full.extend_from_slice(key);
        Ok(full)
    }
}

/// First key after every key that starts with `prefix`. A prefix of `0xff`
/// only, which no tenant has in practice, ends at the longest key possible.
pub(crate) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX);
    match kept {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        }
        None => vec![u8::MAX; OWNER + 1 + NUMBER + MAX_KEY_BYTES + 1],
    }
}

/// The caller's part of a full key.
pub(crate) fn user_part(full: &[u8]) -> &[u8] {
    full.get(OWNER + 1..).unwrap_or_default()
}

/// First and last-exclusive key of one incarnation, or of all of a tenant's.
pub(crate) fn range_of(tenant: u128, incarnation: Option<u32>) -> (Vec<u8>, Vec<u8>) {
    let start = match incarnation {
        Some(incarnation) => Owner {
            tenant,
            incarnation,
        }
        .prefix()
        .to_vec(),
        None => tenant.to_be_bytes().to_vec(),
    };
    let end = end_of(&start);
    (start, end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_key_is_in_another_owners_range(
            a in any::<(u128, u32)>(), b in any::<(u128, u32)>(),
            key in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let owner = Owner { tenant: a.0, incarnation: a.1 };
            let full = owner.key(Space::State, &key).unwrap();
            let inside = |range: (Vec<u8>, Vec<u8>)| range.0 <= full && full < range.1;
            prop_assert!(inside(range_of(a.0, Some(a.1))));
            prop_assert!(inside(range_of(a.0, None)));
            prop_assert_eq!(inside(range_of(b.0, Some(b.1))), a == b);
            prop_assert_eq!(inside(range_of(b.0, None)), a.0 == b.0);
            prop_assert_eq!(user_part(&full), &key[..]);
            prop_assert_eq!(Owner::of_prefix(&full), Some(owner));
        }

        #[test]
        fn no_key_of_a_database_is_anothers(
            a in any::<u64>(), b in any::<u64>(), owner in any::<(u128, u32)>(),
            key in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let owner = Owner { tenant: owner.0, incarnation: owner.1 };
            let full = owner.entry_key(a, &key).unwrap();
            let inside = |number| {
                let start = owner.entry_key(number, b"").unwrap();
                start <= full && full < end_of(&start)
            };
            prop_assert!(inside(a));
            prop_assert_eq!(inside(b), a == b);
            let range = range_of(owner.tenant, Some(owner.incarnation));
            let named = owner.registry_key(&key).unwrap();
            for full in [&full, &named, &owner.registry_head()] {
                prop_assert!(range.0 <= *full && *full < range.1);
                prop_assert!(*full > owner.key(Space::Wake, &[255; MAX_KEY_BYTES]).unwrap());
            }
            prop_assert_eq!(&user_part(&named)[1..], &key[..]);
        }
    }

    #[test]
    fn the_last_tenant_has_an_end_too() {
        let owner = Owner {
            tenant: u128::MAX,
            incarnation: u32::MAX,
        };
        let full = owner.key(Space::Wake, &[255; MAX_KEY_BYTES]).unwrap();
        let entry = owner.entry_key(u64::MAX, &[255; MAX_KEY_BYTES]).unwrap();
        for range in [
            range_of(u128::MAX, None),
            range_of(u128::MAX, Some(u32::MAX)),
        ] {
            assert!(range.0 <= full && full < entry && entry < range.1);
        }
        assert!(owner.key(Space::Wake, &[0; MAX_KEY_BYTES + 1]).is_err());
    }
}
