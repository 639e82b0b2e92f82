//! A queue bounded in items and in cost (usually bytes), for one receiver.
//!
//! Used as the mailbox of every process and module. Full-queue policy is the
//! sender's: [`Sender::try_send`] gives the item back, [`Sender::send`] waits
//! for room. An item larger than the whole cost bound is let in when the queue
//! is empty, so that a size limit checked elsewhere is the only size limit.
//! Stops when the receiver is dropped or closed: senders get their item back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::time::Instant;

/// What a queue may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most items.
    pub items: usize,
    /// Most cost, in the unit that senders give.
    pub cost: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<Queued<T>>,
    cost: usize,
    closed: bool,
    receiver: Option<Waker>,
    /// Senders in [`Sender::send_within`], in the order in which they came:
    /// one for each task that waits, whose owner bounds them.
    waiting: VecDeque<Waiting>,
    /// The next of them gets this id.
    next_waiting: u64,
}

/// A sender that waits for room.
#[derive(Debug)]
struct Waiting {
    id: u64,
    cost: usize,
    share: Bounds,
    /// Absent once it has been woken; the room it will take is then kept in
    /// mind for it.
    waker: Option<Waker>,
}

impl<T> State<T> {
    /// Counts an item as gone; whom that wakes.
    fn release(&mut self, cost: usize) -> Vec<Waker> {
        self.cost = self.cost.saturating_sub(cost);
        self.admit()
    }

    /// The wakers of those senders who find room now, and of no others: a
    /// flood that waits costs nothing while there is none.
    fn admit(&mut self) -> Vec<Waker> {
        let (mut items, mut cost) = (self.items.len(), self.cost);
        let mut admitted = Vec::new();
        for waiting in &mut self.waiting {
            if !self.closed && !has_room(items, cost, waiting.cost, waiting.share) {
                continue;
            }
            (items, cost) = (items + 1, cost.saturating_add(waiting.cost));
            admitted.extend(waiting.waker.take());
        }
        admitted
    }

    fn waiting(&mut self, id: u64) -> Option<&mut Waiting> {
        let at = self.waiting.binary_search_by_key(&id, |waiting| waiting.id);
        self.waiting.get_mut(at.ok()?)
    }

    /// Has the receiver woken by the next item.
    fn wait(&mut self, context: &Context<'_>) {
        match &mut self.receiver {
            Some(waker) if waker.will_wake(context.waker()) => {}
            slot => *slot = Some(context.waker().clone()),
        }
    }
}

/// Whether an item of `cost` may join `items` others. Into an empty queue
/// anything may.
fn has_room(items: usize, held: usize, cost: usize, share: Bounds) -> bool {
    items == 0 || (items < share.items && held.saturating_add(cost) <= share.cost)
}

fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

#[derive(Debug)]
struct Queued<T> {
    item: T,
    cost: usize,
    arrived: Instant,
}

#[derive(Debug)]
struct Shared<T> {
    bounds: Bounds,
    state: Mutex<State<T>>,
}

/// Puts items in. Clones feed the same queue.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// Takes items out.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

/// Why an item was not queued; it is given back.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSent<T> {
    /// No room now.
    Full(T),
    /// Nobody will ever receive it.
    Closed(T),
}

/// A queue with these bounds.
#[must_use]
pub fn channel<T>(bounds: Bounds) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        cost: 0,
        closed: false,
        receiver: None,
        waiting: VecDeque::new(),
        next_waiting: 0,
    };
    let shared = Arc::new(Shared {
        bounds,
        state: Mutex::new(state),
    });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Sender<T> {
    /// Queues `item` if there is room for it.
    ///
    /// # Errors
    /// [`NotSent`] with the item.
    pub fn try_send(&self, item: T, cost: usize) -> Result<(), NotSent<T>> {
        self.try_send_within(item, cost, self.0.bounds)
    }

    /// Queues `item` if there is room for it within `share`, which is less
    /// than the queue has: the rest is kept for other senders.
    ///
    /// # Errors
    /// [`NotSent`] with the item.
    pub fn try_send_within(&self, item: T, cost: usize, share: Bounds) -> Result<(), NotSent<T>> {
        let waker = {
            let mut state = self.0.state.lock();
            if state.closed {
                return Err(NotSent::Closed(item));
            }
            if !has_room(state.items.len(), state.cost, cost, share) {
                return Err(NotSent::Full(item));
            }
            state.cost = state.cost.saturating_add(cost);
            state.items.push_back(Queued {
                item,
                cost,
                arrived: Instant::now(),
            });
            state.receiver.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Waits for room and queues `item`.
    ///
    /// # Errors
    /// The item, if the queue is or becomes closed.
    ///
    /// # Cancel-Safety
    /// Safe, but the item is lost.
    pub async fn send(&self, item: T, cost: usize) -> Result<(), T> {
        self.send_within(item, cost, self.0.bounds).await
    }

    /// Waits for room within `share` and queues `item`.
    ///
    /// # Errors
    /// The item, if the queue is or becomes closed.
    ///
    /// # Cancel-Safety
    /// Safe, but the item is lost.
    pub async fn send_within(&self, item: T, cost: usize, share: Bounds) -> Result<(), T> {
        let mut item = match self.try_send_within(item, cost, share) {
            Ok(()) => return Ok(()),
            Err(NotSent::Closed(back)) => return Err(back),
            Err(NotSent::Full(back)) => Some(back),
        };
        let place = Place::take(&self.0, cost, share);
        std::future::poll_fn(|context| {
            // Before the try, so that no room that comes after it is missed.
            place.wait(context);
            let Some(mine) = item.take() else {
                return Poll::Pending;
            };
            match self.try_send_within(mine, cost, share) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(NotSent::Closed(back)) => Poll::Ready(Err(back)),
                Err(NotSent::Full(back)) => {
                    item = Some(back);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether nobody receives any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.state.lock().closed
    }

    /// Items queued now, and what they cost.
    #[must_use]
    pub fn held(&self) -> Bounds {
        let state = self.0.state.lock();
        Bounds {
            items: state.items.len(),
            cost: state.cost,
        }
    }

    /// What it may hold.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    /// Items queued now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.state.lock().items.len()
    }

    /// Whether nothing is queued now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A place among the waiting senders until dropped.
struct Place<'a, T> {
    shared: &'a Shared<T>,
    id: u64,
}

impl<'a, T> Place<'a, T> {
    fn take(shared: &'a Shared<T>, cost: usize, share: Bounds) -> Self {
        let mut state = shared.state.lock();
        let id = state.next_waiting;
        state.next_waiting += 1;
        state.waiting.push_back(Waiting {
            id,
            cost,
            share,
            waker: None,
        });
        drop(state);
        Self { shared, id }
    }

    fn wait(&self, context: &Context<'_>) {
        if let Some(waiting) = self.shared.state.lock().waiting(self.id) {
            waiting.waker = Some(context.waker().clone());
        }
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        let wakers = {
            let mut state = self.shared.state.lock();
            let id = self.id;
            state.waiting.retain(|waiting| waiting.id != id);
            // The room it was woken for may suit another.
            state.admit()
        };
        wake(wakers);
    }
}

impl<T> Receiver<T> {
    /// The oldest item and when it arrived, if there is one.
    pub fn try_recv(&mut self) -> Option<(T, Instant)> {
        let (queued, wakers) = {
            let mut state = self.0.state.lock();
            let queued = state.items.pop_front()?;
            let wakers = state.release(queued.cost);
            (queued, wakers)
        };
        wake(wakers);
        Some((queued.item, queued.arrived))
    }

    /// When the oldest queued item arrived, if there is one.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.0
            .state
            .lock()
            .items
            .front()
            .map(|queued| queued.arrived)
    }

    /// Waits for the oldest item; `None` once closed and empty. Takes part in
    /// tokio's cooperative scheduling, so that who receives from a queue that
    /// never empties holds up nobody.
    ///
    /// # Cancel-Safety
    /// Safe: nothing is taken until it returns.
    pub async fn recv(&mut self) -> Option<(T, Instant)> {
        let receiving = std::future::poll_fn(|context| self.poll_recv(context));
        tokio::task::coop::cooperative(receiving).await
    }

    /// Waits for the oldest item that `pick` takes, given the item and its
    /// arrival; those passed over stay, in order, and keep their room. `None`
    /// once closed, when nothing that was queued is picked.
    ///
    /// # Cancel-Safety
    /// Safe: nothing is taken until it returns.
    pub async fn recv_picked(
        &mut self,
        mut pick: impl FnMut(&T, Instant) -> bool,
    ) -> Option<(T, Instant)> {
        let mut seen = 0;
        let receiving =
            std::future::poll_fn(|context| self.poll_picked(context, &mut seen, &mut pick));
        tokio::task::coop::cooperative(receiving).await
    }

    /// `seen` items were passed over before and are not looked at again.
    fn poll_picked(
        &mut self,
        context: &mut Context<'_>,
        seen: &mut usize,
        pick: &mut impl FnMut(&T, Instant) -> bool,
    ) -> Poll<Option<(T, Instant)>> {
        let (queued, wakers) = {
            let mut state = self.0.state.lock();
            let mut unseen = state.items.range(*seen..);
            let Some(at) = unseen.position(|queued| pick(&queued.item, queued.arrived)) else {
                *seen = state.items.len();
                if state.closed {
                    return Poll::Ready(None);
                }
                state.wait(context);
                return Poll::Pending;
            };
            let Some(queued) = state.items.remove(*seen + at) else {
                return Poll::Ready(None);
            };
            let wakers = state.release(queued.cost);
            (queued, wakers)
        };
        wake(wakers);
        Poll::Ready(Some((queued.item, queued.arrived)))
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<(T, Instant)>> {
        let (queued, wakers) = {
            let mut state = self.0.state.lock();
            let Some(queued) = state.items.pop_front() else {
                if state.closed {
                    return Poll::Ready(None);
                }
                state.wait(context);
                return Poll::Pending;
            };
            let wakers = state.release(queued.cost);
            (queued, wakers)
        };
        wake(wakers);
        Poll::Ready(Some((queued.item, queued.arrived)))
    }

    /// Refuses new items; those queued can still be taken.
    pub fn close(&mut self) {
        let wakers = {
            let mut state = self.0.state.lock();
            state.closed = true;
            state.admit()
        };
        wake(wakers);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
        let items = std::mem::take(&mut self.0.state.lock().items);
        drop(items);
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
