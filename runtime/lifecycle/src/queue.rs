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
use tokio::sync::Notify;
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
    /// Senders waiting in [`Sender::send`].
    waiting: usize,
}

impl<T> State<T> {
    /// Counts an item as gone; whether a sender waits for its room.
    fn release(&mut self, cost: usize) -> bool {
        self.cost = self.cost.saturating_sub(cost);
        self.waiting > 0
    }

    /// Has the receiver woken by the next item.
    fn wait(&mut self, context: &Context<'_>) {
        match &mut self.receiver {
            Some(waker) if waker.will_wake(context.waker()) => {}
            slot => *slot = Some(context.waker().clone()),
        }
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
    room: Notify,
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
        waiting: 0,
    };
    let shared = Arc::new(Shared {
        bounds,
        state: Mutex::new(state),
        room: Notify::new(),
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
            let fits = state.items.is_empty()
                || (state.items.len() < share.items
                    && state.cost.saturating_add(cost) <= share.cost);
            if !fits {
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
    pub async fn send_within(&self, mut item: T, cost: usize, share: Bounds) -> Result<(), T> {
        loop {
            let room = self.0.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let _waiting = Waiting::new(&self.0);
            match self.try_send_within(item, cost, share) {
                Ok(()) => return Ok(()),
                Err(NotSent::Closed(back)) => return Err(back),
                Err(NotSent::Full(back)) => item = back,
            }
            room.await;
        }
    }

    /// Whether nobody receives any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.state.lock().closed
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

/// Counts a waiting sender, so that a receiver without any skips the wake-up.
struct Waiting<'a, T>(&'a Shared<T>);

impl<'a, T> Waiting<'a, T> {
    fn new(shared: &'a Shared<T>) -> Self {
        shared.state.lock().waiting += 1;
        Self(shared)
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.0.state.lock().waiting -= 1;
    }
}

impl<T> Receiver<T> {
    /// The oldest item and when it arrived, if there is one.
    pub fn try_recv(&mut self) -> Option<(T, Instant)> {
        let (queued, wake) = {
            let mut state = self.0.state.lock();
            let queued = state.items.pop_front()?;
            let wake = state.release(queued.cost);
            (queued, wake)
        };
        if wake {
            self.0.room.notify_waiters();
        }
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
        let (queued, wake) = {
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
            let wake = state.release(queued.cost);
            (queued, wake)
        };
        if wake {
            self.0.room.notify_waiters();
        }
        Poll::Ready(Some((queued.item, queued.arrived)))
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<(T, Instant)>> {
        {
            let mut state = self.0.state.lock();
            if state.items.is_empty() {
                if state.closed {
                    return Poll::Ready(None);
                }
                state.wait(context);
                return Poll::Pending;
            }
        }
        Poll::Ready(self.try_recv())
    }

    /// Refuses new items; those queued can still be taken.
    pub fn close(&mut self) {
        self.0.state.lock().closed = true;
        self.0.room.notify_waiters();
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
