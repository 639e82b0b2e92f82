//! How many connections there may be, and whose.
//!
//! Owns the counts. Every connection has a [`Seat`]; dropping it gives the
//! place back. Strangers (connections that have not signed in) never fill the
//! gateway: beyond the bound the oldest stranger makes room for the newest, so
//! that a flood of silent connections does not keep people out.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tenant_model::TenantId;
use tokio_util::sync::CancellationToken;

use crate::Limits;

/// Gives out seats.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seats: usize,
    next: u64,
    /// By age: the lowest number is the oldest.
    strangers: BTreeMap<u64, Stranger>,
    per_node: HashMap<TenantId, usize>,
}

#[derive(Debug)]
struct Stranger {
    address: IpAddr,
    kill: CancellationToken,
}

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Seat {
    admission: Arc<Admission>,
    number: u64,
    node: Option<TenantId>,
}

/// The node has as many connections as one may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this node already has {0} SSH connections; close one first")]
pub(crate) struct NodeFull(usize);

impl Admission {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
        })
    }

    /// A seat for a new connection from `peer`, which `kill` would end.
    /// `None` if the gateway is full.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr, kill: &CancellationToken) -> Option<Seat> {
        let address = network_of(peer);
        let mut state = self.state.lock();
        if state.seats >= self.limits.connections {
            return None;
        }
        let same = state
            .strangers
            .values()
            .filter(|stranger| stranger.address == address)
            .count();
        if same >= self.limits.strangers_per_address {
            state.push_out(|stranger| stranger.address == address);
        }
        if state.strangers.len() >= self.limits.strangers {
            state.push_out(|_| true);
        }
        let number = state.next;
        state.next += 1;
        state.seats += 1;
        let kill = kill.clone();
        state.strangers.insert(number, Stranger { address, kill });
        Some(Seat {
            admission: self.clone(),
            number,
            node: None,
        })
    }
}

impl State {
    fn push_out(&mut self, which: impl Fn(&Stranger) -> bool) {
        let oldest = self
            .strangers
            .iter()
            .find(|(_, stranger)| which(stranger))
            .map(|(number, _)| *number);
        if let Some(stranger) = oldest.and_then(|number| self.strangers.remove(&number)) {
            stranger.kill.cancel();
        }
    }
}

impl Seat {
    /// The connection has signed in to `node`.
    ///
    /// # Errors
    /// [`NodeFull`]; the connection should end.
    pub(crate) fn sign_in(&mut self, node: TenantId) -> Result<(), NodeFull> {
        let most = self.admission.limits.connections_per_node;
        let mut state = self.admission.state.lock();
        state.strangers.remove(&self.number);
        let count = state.per_node.entry(node).or_default();
        if *count >= most {
            return Err(NodeFull(most));
        }
        *count += 1;
        self.node = Some(node);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock();
        state.seats -= 1;
        state.strangers.remove(&self.number);
        if let Some(node) = self.node
            && let Some(count) = state.per_node.get_mut(&node)
        {
            *count -= 1;
            if *count == 0 {
                state.per_node.remove(&node);
            }
        }
    }
}

/// The address, or for IPv6 its /64, which one client may own as a whole.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(std::net::Ipv6Addr::from_bits(prefix))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, strangers: usize, per_address: usize) -> Arc<Admission> {
        Admission::new(Limits {
            connections,
            strangers,
            strangers_per_address: per_address,
            connections_per_node: 2,
            ..Limits::default()
        })
    }

    fn enter(admission: &Arc<Admission>, address: &str) -> (Option<Seat>, CancellationToken) {
        let kill = CancellationToken::new();
        let seat = admission.admit(address.parse().unwrap(), &kill);
        (seat, kill)
    }

    #[test]
    fn the_oldest_stranger_of_an_address_makes_room() {
        let admission = admission(100, 100, 2);
        let (_first, first) = enter(&admission, "10.0.0.1");
        let (_other, other) = enter(&admission, "10.0.0.2");
        let (_second, second) = enter(&admission, "::ffff:10.0.0.1");
        assert!(!first.is_cancelled());
        let (third, _) = enter(&admission, "10.0.0.1");
        assert!(third.is_some() && first.is_cancelled());
        assert!(!second.is_cancelled() && !other.is_cancelled());
    }

    #[test]
    fn one_ipv6_network_counts_as_one_address() {
        let admission = admission(100, 100, 1);
        let (_first, first) = enter(&admission, "2001:db8:0:1::1");
        let (_other, other) = enter(&admission, "2001:db8:0:2::1");
        assert!(!first.is_cancelled());
        let (_same, _) = enter(&admission, "2001:db8:0:1:ffff::9");
        assert!(first.is_cancelled() && !other.is_cancelled());
    }

    #[test]
    fn strangers_never_push_out_who_has_signed_in() {
        let admission = admission(100, 2, 100);
        let (mut owner, owner_kill) = enter(&admission, "10.0.0.1");
        let node = TenantId::from_random([1; 16]);
        owner.as_mut().unwrap().sign_in(node).unwrap();
        let seats: Vec<_> = (1..50)
            .map(|n| enter(&admission, &format!("10.0.1.{n}")))
            .collect();
        assert!(!owner_kill.is_cancelled());
        let left = seats.iter().filter(|(_, kill)| !kill.is_cancelled());
        assert_eq!(left.count(), 2);
    }

    #[test]
    fn seats_and_places_at_a_node_come_back() {
        let admission = admission(3, 100, 100);
        let node = TenantId::from_random([1; 16]);
        let mut seats: Vec<Seat> = (0..3)
            .map(|_| enter(&admission, "10.0.0.1").0.unwrap())
            .collect();
        assert!(enter(&admission, "10.0.0.9").0.is_none(), "full");
        assert_eq!(seats[0].sign_in(node), Ok(()));
        assert_eq!(seats[1].sign_in(node), Ok(()));
        assert_eq!(seats[2].sign_in(node), Err(NodeFull(2)));
        drop(seats.remove(0));
        assert_eq!(seats[1].sign_in(node), Ok(()));
        drop(seats);
        let state = admission.state.lock();
        assert!(state.per_node.is_empty() && state.strangers.is_empty());
        assert_eq!(state.seats, 0);
    }
}
