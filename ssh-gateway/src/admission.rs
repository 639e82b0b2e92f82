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
