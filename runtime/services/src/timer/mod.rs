//! `timer:distro:sys`: answers a request when its time has come.
//!
//! One task holds all timers of a node in a heap; a timer costs one entry and
//! no task. Bounded per process and in total: a request over the bound is
//! dropped, which its sender sees as a timeout, and the first such is printed.
//! Timers end with their process; those of a node that sleeps are kept and set
//! again by the host of the processes, not here.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use node_types::{Address, KernelMessage, Message, MessageId, ProcessId, Response};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::{Inbox, KernelPort, NodeEvent, Service, module};

/// Most timers one process may have running.
pub const MAX_PER_PROCESS: u32 = 16_384;
/// Most timers a node may have running.
pub const MAX_TIMERS: usize = 131_072;
/// Longer delays count as this long: about ten years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Due timers answered before messages are looked at again.
const BATCH: usize = 256;

#[derive(Debug, Deserialize)]
enum Action {
    SetTimer(u64),
    Debug,
}

/// Whether a request is understood.
pub(crate) fn understands(body: &[u8]) -> bool {
    serde_json::from_slice::<Action>(body).is_ok()
}

/// The timer module of one node.
#[derive(Debug)]
pub struct Timer {
    id: ProcessId,
    port: Arc<dyn KernelPort>,
    next: Mutex<Option<Instant>>,
}

/// One running timer, ordered by when it elapses, then by arrival.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due: Instant,
    order: u64,
    id: MessageId,
    setter: ProcessId,
    answer_to: Address,
}

#[derive(Debug, Default)]
struct Table {
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
    owners: HashMap<ProcessId, Owner>,
}

#[derive(Debug, Default)]
struct Owner {
    running: u32,
    /// Whether it was told that it has too many.
    warned: bool,
}

impl Timer {
    /// A timer module that answers through `port`.
    #[must_use]
    pub fn new(port: Arc<dyn KernelPort>) -> Arc<Self> {
        Arc::new(Self {
            id: module("timer"),
            port,
            next: Mutex::new(None),
        })
    }

    /// When the earliest running timer elapses.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        *self.next.lock()
    }

    fn handle(&self, message: &KernelMessage, arrived: Instant, table: &mut Table) {
        if message.source.node != *self.port.our() {
            return;
        }
        let Message::Request(request) = &message.message else {
            return;
        };
        match serde_json::from_slice(&request.body) {
            Ok(Action::SetTimer(millis)) => self.set(message, arrived, millis, table),
            Ok(Action::Debug) => self.port.print(&self.id, 0, &table.describe()),
            Err(error) => {
                let text = format!("request of {} not understood: {error}", message.source);
                self.port.print(&self.id, 1, &text);
            }
        }
    }

    fn set(&self, message: &KernelMessage, arrived: Instant, millis: u64, table: &mut Table) {
        let setter = &message.source.process;
        let full = table.heap.len() >= MAX_TIMERS;
        let owner = table.owners.entry(setter.clone()).or_default();
        if full || owner.running >= MAX_PER_PROCESS {
            if !owner.warned {
                owner.warned = true;
                let text = format!(
                    "{setter} has {} timers running, the node {}: more are not set until some elapse",
                    owner.running,
                    table.heap.len()
                );
                self.port.print(&self.id, 0, &text);
            }
            table.forget_idle(setter);
            return;
        }
        owner.running += 1;
        table.order += 1;
        // Counted from when the request reached the mailbox, not from when it
        // was taken out.
        let delay = Duration::from_millis(millis).min(LONGEST);
        table.heap.push(Reverse(Entry {
            due: arrived + delay,
            order: table.order,
            id: message.id,
            setter: setter.clone(),
            answer_to: message.answer_to().clone(),
        }));
    }

    /// Answers up to a batch of timers that have elapsed.
    fn fire(&self, table: &mut Table) {
        let now = Instant::now();
        for _ in 0..BATCH {
            let Some(entry) = table.take_due(now) else {
                return;
            };
            let us = Address::new(self.port.our().clone(), self.id.clone());
            // A setter that is gone refuses it; nothing is lost.
            self.port.send(KernelMessage {
                id: entry.id,
                source: us,
                target: entry.answer_to,
                rsvp: None,
                message: Message::Response(Response::default(), None),
                lazy_load_blob: None,
            });
        }
    }
}

impl Table {
    fn due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.due)
    }

    fn take_due(&mut self, now: Instant) -> Option<Entry> {
        if self.due()? > now {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        if let Some(owner) = self.owners.get_mut(&entry.setter) {
            owner.running = owner.running.saturating_sub(1);
            owner.warned &= owner.running >= MAX_PER_PROCESS / 2;
        }
        self.forget_idle(&entry.setter);
        Some(entry)
    }

    fn forget_idle(&mut self, process: &ProcessId) {
        if let Some(owner) = self.owners.get(process)
            && owner.running == 0
        {
            self.owners.remove(process);
        }
    }

    /// Drops the timers of a process that ended.
    fn drop_of(&mut self, process: &ProcessId) {
        if self.owners.remove(process).is_some() {
            self.heap.retain(|Reverse(entry)| entry.setter != *process);
        }
    }

    fn describe(&self) -> String {
        let now = Instant::now();
        let mut owners: Vec<_> = self.owners.iter().collect();
        owners.sort_by(|a, b| (b.1.running, a.0).cmp(&(a.1.running, b.0)));
        let mut text = format!("timers running: {}", self.heap.len());
        if let Some(due) = self.due() {
            let left = due.saturating_duration_since(now).as_millis();
            text.push_str(&format!(", the next in {left} ms"));
        }
        for (process, owner) in owners.into_iter().take(20) {
            text.push_str(&format!("\n  {process}: {}", owner.running));
        }
        text
    }
}

#[async_trait]
impl Service for Timer {
    fn id(&self) -> &ProcessId {
        &self.id
    }

    async fn run(self: Arc<Self>, mut inbox: Inbox) {
        let mut table = Table::default();
        let mut events = self.port.events();
        let sleep = tokio::time::sleep_until(Instant::now());
        tokio::pin!(sleep);
        loop {
            let due = table.due();
            *self.next.lock() = due;
            if let Some(due) = due
                && sleep.deadline() != due
            {
                sleep.as_mut().reset(due);
            }
            // What is due is not slept for: the clock of sleeps is coarse.
            let elapsed = due.is_some_and(|due| due <= Instant::now());
            tokio::select! {
                received = inbox.recv() => match received {
                    Some((message, arrived)) => self.handle(&message, arrived, &mut table),
                    None => return,
                },
                () = async {
                    if !elapsed {
                        sleep.as_mut().await;
                    }
                }, if due.is_some() => self.fire(&mut table),
                event = events.recv() => match event {
                    Ok(NodeEvent::Exited { process, .. }) => table.drop_of(&process),
                    Ok(NodeEvent::Print { .. }) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
