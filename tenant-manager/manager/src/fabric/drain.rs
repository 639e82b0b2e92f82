//! Emptying a lane: one message after the other, waking the node they are for.
//!
//! One task for each open lane. It ends when the lane is empty, or when the
//! node turns out to be offline: what waits is then given up, and each sender
//! that waits for an answer is told.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{GateGuard, Rate, TaskKind};
use node_api::{Ingress, Peer};
use node_types::{Message, PeerMessage, SendErrorKind};
use tokio::time::Instant;

use super::lanes::{Parcel, Way};
use super::port::ingress;
use super::{count, fail, may_be_woken, may_run};
use crate::boot::{self, Cause};
use crate::manager::Inner;
use crate::slots::{Entry, TenantNode};
use crate::tenant::Tenant;

/// How often one node may wake others.
pub(crate) const WAKES: Rate = Rate {
    burst: 32,
    refill: Duration::from_secs(1),
};
/// Between two looks at a node that is stopping by itself.
const STOPPING: Duration = Duration::from_millis(20);

/// Nobody will take what is in the lane.
struct Gone(SendErrorKind);

/// A lane while its task lives: whatever ends that, the lane is closed.
struct Open {
    inner: Arc<Inner>,
    way: Way,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.inner.fabric.give_up(&self.way, SendErrorKind::Timeout);
    }
}

/// Starts emptying the lane that was just opened.
pub(super) fn begin(inner: &Arc<Inner>, way: Way, from: Peer) {
    let open = Open {
        inner: inner.clone(),
        way,
    };
    inner
        .tasks
        .spawn(TaskKind::abortable("fabric lane"), async move {
            run(&open, &from).await;
        });
}

async fn run(open: &Open, from: &Peer) {
    let (fabric, way) = (&open.inner.fabric, &open.way);
    loop {
        let Some((parcel, cost)) = fabric.take(way) else {
            if fabric.finish(way) {
                return;
            }
            continue;
        };
        let delivered = deliver(open, from, parcel).await;
        fabric.settle(way, cost, delivered.as_ref().map_or(None, |taken| *taken));
        if let Err(Gone(kind)) = delivered {
            return fabric.give_up(way, kind);
        }
    }
}

/// Delivers one message, or finds that nobody will take it. Whether its
/// process took it, where that tells something about the process.
async fn deliver(open: &Open, from: &Peer, parcel: Parcel) -> Result<Option<bool>, Gone> {
    let Parcel {
        mut message,
        receipt,
    } = parcel;
    let deadline = Instant::now() + open.inner.limits.acquire_deadline;
    loop {
        let reached = reach(open, &message, deadline).await;
        let node = match reached {
            Ok(Some((node, guard))) => {
                let outcome = ingress(&node, from, message);
                // Not held while waiting for room: the node may go to sleep.
                drop(guard);
                match outcome {
                    Ingress::Full(back) => message = back,
                    Ingress::Stopping(back) => {
                        message = back;
                        tokio::time::sleep(STOPPING).await;
                        if Instant::now() < deadline {
                            continue;
                        }
                        fail(receipt, SendErrorKind::Timeout);
                        return Ok(None);
                    }
                    done @ (Ingress::Taken | Ingress::Refused) => {
                        note(&done);
                        return Ok(matches!(done, Ingress::Taken).then_some(true));
                    }
                }
                node
            }
            // A response that comes too late.
            Ok(None) => return Ok(None),
            Err(Gone(kind)) => {
                fail(receipt, kind);
                return Err(Gone(kind));
            }
        };
        match node.handle.ingress_when_room(from, message).await {
            Ingress::Stopping(back) => message = back,
            done => {
                note(&done);
                return Ok(Some(matches!(done, Ingress::Taken)));
            }
        }
    }
}

fn note(done: &Ingress) {
    count(match done {
        Ingress::Taken => "taken",
        Ingress::Refused => "refused",
        Ingress::Full(_) | Ingress::Stopping(_) => "dropped",
    });
}

/// The running node, woken if it sleeps; `None` if it need not be woken for
/// this message.
async fn reach(
    open: &Open,
    message: &PeerMessage,
    deadline: Instant,
) -> Result<Option<(Arc<TenantNode>, GateGuard)>, Gone> {
    let inner = &open.inner;
    let is_response = matches!(message.message(), Message::Response(..));
    loop {
        let receiver = inner.registry.read().get(open.way.pair.to);
        let receiver = receiver.filter(|receiver| may_run(receiver));
        let receiver = receiver.ok_or(Gone(SendErrorKind::Offline))?;
        match inner.slots.enter(receiver.id) {
            Entry::Entered(node, guard) => return Ok(Some((node, guard))),
            Entry::Closing => return Err(Gone(SendErrorKind::Offline)),
            Entry::Wait(_) | Entry::Resting if is_response => return Ok(None),
            Entry::Wait(barrier) => tokio::time::timeout_at(deadline, barrier.wait())
                .await
                .map_err(|_elapsed| Gone(SendErrorKind::Timeout))?,
            Entry::Resting => wake(open, &receiver, deadline).await?,
        }
        if Instant::now() >= deadline {
            return Err(Gone(SendErrorKind::Timeout));
        }
    }
}

/// Begins to boot the node, as often as its neighbour may have that done.
async fn wake(open: &Open, receiver: &Arc<Tenant>, deadline: Instant) -> Result<(), Gone> {
    let inner = &open.inner;
    if !may_be_woken(receiver) {
        return Err(Gone(SendErrorKind::Offline));
    }
    if inner.admission.is_full() {
        return Err(Gone(SendErrorKind::Timeout));
    }
    let sender = inner.registry.read().get(open.way.pair.from);
    let sender = sender.ok_or(Gone(SendErrorKind::Offline))?;
    let wait = {
        let mut wakes = sender.wakes.lock();
        let now = Instant::now();
        (!wakes.take(now)).then(|| wakes.wait(now))
    };
    match wait {
        None => {
            metrics::counter!("berth_fabric_wakes_total").increment(1);
            boot::begin(inner, receiver, Cause::Peer);
        }
        // Others may have woken it meanwhile: asked anew after that.
        Some(wait) => tokio::time::sleep_until((Instant::now() + wait).min(deadline)).await,
    }
    Ok(())
}
