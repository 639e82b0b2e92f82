//! Logins that their browser gave up before they expired.
//!
//! Owns their list: in memory, and in the node's store where it has one, so
//! that it outlives a hibernation. Invariants: bounded, of too many the one
//! that would expire first is forgotten; what has expired is dropped. Only who
//! holds a login can enter it, so strangers cannot fill the list. Ends with its
//! last clone.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use lifecycle::Timestamp;
use node_store::{Keyspace, Space, StoreError};
use parking_lot::Mutex;

use super::Session;

/// Most logins on the list.
const MAX: usize = 1024;
const KEY: &[u8] = b"http-server/signed-out";
/// Of a login: its hash and when it expires.
const ENTRY: usize = 40;

/// See the module's documentation. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct SignedOut {
    list: Arc<Mutex<HashMap<Session, u64>>>,
    /// Taken to write, so that the list last written is the newest.
    store: Arc<tokio::sync::Mutex<Option<Keyspace>>>,
}

impl SignedOut {
    /// The list kept in `keys`, as it was left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load(keys: Keyspace) -> Result<Self, StoreError> {
        let stored = keys.get(Space::Wake, KEY).await?.unwrap_or_default();
        let (entries, _) = stored.as_chunks::<ENTRY>();
        let list = entries.iter().map(decode).collect();
        Ok(Self {
            list: Arc::new(Mutex::new(list)),
            store: Arc::new(tokio::sync::Mutex::new(Some(keys))),
        })
    }

    pub(super) fn contains(&self, session: &Session) -> bool {
        self.list.lock().contains_key(session)
    }

    /// Enters logins with the times they expire.
    pub(super) fn add(&self, ended: &[(Session, u64)], now: Timestamp) {
        let now = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        let mut list = self.list.lock();
        list.extend(ended.iter().copied());
        list.retain(|_, expires| *expires > now);
        while list.len() > MAX {
            let first = list.iter().min_by_key(|(_, expires)| **expires);
            let Some(first) = first.map(|(session, _)| *session) else {
                break;
            };
            list.remove(&first);
        }
    }

    /// Brings the list to the store.
    pub(super) async fn save(&self) {
        let store = self.store.lock().await;
        let Some(keys) = &*store else { return };
        let entries: Vec<_> = self.list.lock().iter().map(encode).collect();
        let list = Bytes::from(entries.concat());
        if let Err(error) = keys.put(Space::Wake, KEY, list).await {
            tracing::warn!("failed to save that a login has ended: {error}");
        }
    }
}

fn encode((session, expires): (&Session, &u64)) -> Vec<u8> {
    [&session.0[..], &expires.to_le_bytes()].concat()
}

fn decode(entry: &[u8; ENTRY]) -> (Session, u64) {
    let mut hash = [0; 32];
    let mut expires = [0; 8];
    hash.copy_from_slice(&entry[..32]);
    expires.copy_from_slice(&entry[32..]);
    (Session(hash), u64::from_le_bytes(expires))
}

#[cfg(test)]
mod tests {
    use lifecycle::{Clock, ManualClock, Tasks};
    use node_store::HostStore;

    use super::*;

    fn session(number: u64) -> Session {
        let mut hash = [7; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        Session(hash)
    }

    #[tokio::test]
    async fn the_list_is_bounded_and_forgets_what_has_expired() {
        let clock = ManualClock::default();
        let list = SignedOut::default();
        for number in 0..MAX as u64 + 10 {
            list.add(&[(session(number), 1000 + number)], clock.now());
        }
        assert_eq!(list.list.lock().len(), MAX);
        assert!(!list.contains(&session(9)) && list.contains(&session(10)));
        clock.advance(1500);
        list.add(&[(session(1), 5000)], clock.now());
        let left = list.list.lock().len();
        assert!(left < MAX && list.contains(&session(1)), "{left}");
    }

    #[tokio::test]
    async fn the_list_outlives_the_node() {
        let dir = tempfile::tempdir().unwrap();
        let token = tokio_util::sync::CancellationToken::new();
        let tasks = Tasks::new(tokio::runtime::Handle::current(), &token);
        let host = HostStore::open(dir.path(), &tasks).unwrap();
        let now = ManualClock::default().now();
        let list = SignedOut::load(host.keyspace(1, 0)).await.unwrap();
        let both = [(session(1), 1000), (session(2), u64::MAX)];
        list.add(&both, now);
        list.save().await;
        let again = SignedOut::load(host.keyspace(1, 0)).await.unwrap();
        assert_eq!(*again.list.lock(), HashMap::from(both));
        let other = SignedOut::load(host.keyspace(2, 0)).await.unwrap();
        assert!(other.list.lock().is_empty());
    }
}
