//! Bounds how many connections there are, in all and from one client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::customer;

/// Most connections. When there are so many, nothing more is accepted until
/// one ends; idle and slow ones are ended by their deadlines.
const MAX_CONNECTIONS: usize = 10_000;
/// Most connections from one address, of those that are counted at all. One
/// more is closed as soon as it is accepted.
const MAX_PER_ADDRESS: u32 = 256;

/// The connections there may be.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// One connection's place, free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
    counted: Option<IpAddr>,
    by_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            by_address: Arc::default(),
        }
    }
}

impl Slots {
    /// Waits until there is room for one more.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.all.clone().acquire_owned().await.ok()
    }

    /// The place of a connection from `address`; `None` if it has too many.
    pub(super) fn take(
        &self,
        permit: Option<OwnedSemaphorePermit>,
        address: IpAddr,
        counted: bool,
    ) -> Option<Slot> {
        let address = customer(address);
        if counted {
            let mut by_address = self.by_address.lock();
            let count = by_address.entry(address).or_insert(0);
            if *count >= MAX_PER_ADDRESS {
                return None;
            }
            *count += 1;
        }
        Some(Slot {
            _permit: permit,
            counted: counted.then_some(address),
            by_address: self.by_address.clone(),
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(address) = self.counted else { return };
        let mut by_address = self.by_address.lock();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_cannot_take_all() {
        let slots = Slots::default();
        let stranger: IpAddr = "192.0.2.1".parse().unwrap();
        let mut held = Vec::new();
        for _ in 0..MAX_PER_ADDRESS {
            let permit = slots.free().await;
            held.push(slots.take(permit, stranger, true).unwrap());
        }
        assert!(slots.take(slots.free().await, stranger, true).is_none());
        let other = "192.0.2.2".parse().unwrap();
        assert!(slots.take(slots.free().await, other, true).is_some());
        assert!(slots.take(slots.free().await, stranger, false).is_some());
        let mut neighbours = Vec::new();
        for last in 0..MAX_PER_ADDRESS {
            let address = std::net::Ipv6Addr::from_bits((0x2001_0db8 << 96) | u128::from(last));
            let permit = slots.free().await;
            neighbours.push(slots.take(permit, address.into(), true).unwrap());
        }
        let same = "2001:db8::ffff:1".parse().unwrap();
        assert!(slots.take(slots.free().await, same, true).is_none());
        drop(neighbours);
        held.pop();
        assert!(slots.take(slots.free().await, stranger, true).is_some());
        held.clear();
        assert!(slots.by_address.lock().is_empty());
        assert_eq!(slots.all.available_permits(), MAX_CONNECTIONS);
    }
}
