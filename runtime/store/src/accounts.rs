//! One writer at a time and one byte count per keyspace, shared by all its
//! handles.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use crate::keys::Owner;

/// Fewest entries before unused ones are looked for.
const FIRST_SWEEP: usize = 64;

/// Bytes in use by one keyspace; `None` until read from the store. Whoever
/// holds the lock may write to the keyspace.
pub(crate) type Account = Arc<AsyncMutex<Option<u64>>>;

/// The accounts of all keyspaces in use.
#[derive(Debug)]
pub(crate) struct Accounts {
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct Entries {
    by_owner: HashMap<Owner, Weak<AsyncMutex<Option<u64>>>>,
    /// Size at which dead entries are removed.
    sweep_at: usize,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            entries: Mutex::new(Entries {
                by_owner: HashMap::new(),
                sweep_at: FIRST_SWEEP,
            }),
        }
    }
}

impl Accounts {
    /// The account of `owner`.
    pub(crate) fn of(&self, owner: Owner) -> Account {
        let mut entries = self.entries.lock();
        if let Some(account) = entries.by_owner.get(&owner).and_then(Weak::upgrade) {
            return account;
        }
        if entries.by_owner.len() >= entries.sweep_at {
            entries.by_owner.retain(|_, weak| weak.strong_count() > 0);
            entries.sweep_at = (entries.by_owner.len() * 2).max(FIRST_SWEEP);
        }
        let account = Account::default();
        entries.by_owner.insert(owner, Arc::downgrade(&account));
        account
    }

    /// The accounts in use of one incarnation, or of all of a tenant's.
    pub(crate) fn in_use(&self, tenant: u128, incarnation: Option<u32>) -> Vec<Account> {
        let entries = self.entries.lock();
        let wanted = |owner: &Owner| {
            owner.tenant == tenant && incarnation.is_none_or(|number| number == owner.incarnation)
        };
        let mut found: Vec<_> = entries
            .by_owner
            .iter()
            .filter(|(owner, _)| wanted(owner))
            .filter_map(|(owner, weak)| Some((owner.incarnation, weak.upgrade()?)))
            .collect();
        // In one order, so that two who lock them all do not wait for each other.
        found.sort_unstable_by_key(|(incarnation, _)| *incarnation);
        found.into_iter().map(|(_, account)| account).collect()
    }
}
