//! Paces what the clients of one tenant send over WebSockets.
//!
//! A node reads so many frames a second from each socket and no more; a tenant
//! has many sockets, and small frames cost the host much and their senders
//! little. Invariants: in the long run no more than [`FRAMES_PER_SECOND`] are read
//! for one tenant, whatever its sockets are; a socket that sends more than an
//! even share of that is read more slowly while all together send too much, and
//! so is told by TCP to wait; one that does not is never waited for others.
//! Nothing is queued here. A tenant without open sockets has no entry.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tenant_model::TenantId;
use tokio::time::Instant;

/// What one tenant's sockets may send together: more than two of them may each.
const FRAMES_PER_SECOND: u32 = 50_000;
/// How far ahead of that they may get.
const AHEAD: Duration = Duration::from_millis(250);
/// Longest head of a frame, without its mask.
const MAX_HEAD: usize = 10;

/// The pace of every tenant with open sockets. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paces(Arc<Mutex<HashMap<TenantId, Shared>>>);

/// Clones are the same.
type Shared = Arc<Mutex<Pace>>;

/// A tenant's pace.
#[derive(Debug)]
struct Pace {
    /// How many share it.
    sockets: u32,
    /// When what they sent will have been paid for.
    paid: Instant,
}

/// One socket's part of its tenant's pace.
#[derive(Debug)]
pub(super) struct Paced {
    tenant: TenantId,
    pace: Shared,
    /// When what this one sent will have been paid for out of its share.
    paid: Instant,
    all: Paces,
    frames: Frames,
}

impl Paces {
    /// Adds a socket of `tenant`.
    pub(super) fn enter(&self, tenant: TenantId) -> Paced {
        let now = Instant::now();
        let mut all = self.0.lock();
        let new = || {
            Arc::new(Mutex::new(Pace {
                sockets: 0,
                paid: now,
            }))
        };
        let pace = all.entry(tenant).or_insert_with(new).clone();
        pace.lock().sockets += 1;
        Paced {
            tenant,
            pace,
            paid: now,
            all: self.clone(),
            frames: Frames::default(),
        }
    }
}

impl Paced {
    /// Counts what the client sent; says until when no more is to be read, if
    /// its tenant's sockets are too far ahead, and so is this one with its share.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<Instant> {
        let frames = self.frames.count(bytes);
        let now = Instant::now();
        let cost = Duration::from_secs(1) * frames / FRAMES_PER_SECOND;
        let mut pace = self.pace.lock();
        pace.paid = pace.paid.max(now) + cost;
        self.paid = self.paid.max(now) + cost * pace.sockets;
        let go_on = pace.paid.min(self.paid).checked_sub(AHEAD)?;
        (go_on > now).then_some(go_on)
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        let mut pace = self.pace.lock();
        pace.sockets -= 1;
        if pace.sockets == 0 {
            all.remove(&self.tenant);
        }
    }
}

/// Finds where frames begin in what a client sends.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; MAX_HEAD],
    /// How much of the head is there.
    filled: usize,
    /// What is left of the frame behind its head: mask and payload.
    left: u64,
}

impl Frames {
    /// How many heads end in `bytes`.
    fn count(&mut self, mut bytes: &[u8]) -> u32 {
        let mut frames = 0;
        loop {
            let skip = usize::try_from(self.left).unwrap_or(usize::MAX);
            let skip = skip.min(bytes.len());
            bytes = &bytes[skip..];
            self.left -= skip as u64;
            let [first, rest @ ..] = bytes else {
                return frames;
            };
            self.head[self.filled] = *first;
            self.filled += 1;
            bytes = rest;
            if let Some(left) = behind(&self.head[..self.filled]) {
                self.left = left;
                self.filled = 0;
                frames += 1;
            }
        }
    }
}

/// How many bytes follow a frame's head, if all of that is there.
fn behind(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let payload = match second & 0x7f {
        126 => {
            let length = head.get(2..4)?;
            length
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        }
        127 => {
            let length = head.get(2..10)?;
            length
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        }
        short => u64::from(short),
    };
    Some(payload.saturating_add(mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Vec<u8> {
        let mut frame = vec![0x82];
        match length {
            0..126 => frame.push(0x80 | length as u8),
            126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([1, 2, 3, 4]);
        frame.extend(vec![0x82; length]);
        frame
    }

    #[test]
    fn frames_are_counted_however_they_arrive() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 3, 0];
        let sent: Vec<u8> = lengths.into_iter().flat_map(frame).collect();
        for size in [1, 2, 3, 7, 1000, sent.len()] {
            let mut frames = Frames::default();
            let counted: u32 = sent.chunks(size).map(|piece| frames.count(piece)).sum();
            assert_eq!(counted, 9, "{size}");
        }
        // No length is too long to be skipped.
        let mut frames = Frames::default();
        let mut endless = vec![0x82, 0xff];
        endless.extend([0xff; 8]);
        assert_eq!(frames.count(&endless), 1);
        assert_eq!(frames.count(&[0; 1000]), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenants_sockets_have_one_pace() {
        let paces = Paces::default();
        let (busy, other) = (
            TenantId::from_random([1; 16]),
            TenantId::from_random([2; 16]),
        );
        let mut sockets = [paces.enter(busy), paces.enter(busy)];
        let mut calm = paces.enter(other);
        let burst: Vec<u8> = std::iter::repeat_with(|| frame(0))
            .take(1000)
            .flatten()
            .collect();
        let begun = Instant::now();
        for turn in 0..500 {
            assert_eq!(calm.read(&frame(5)), None);
            if let Some(go_on) = sockets[turn % 2].read(&burst) {
                tokio::time::sleep_until(go_on).await;
            }
        }
        let expected = Duration::from_secs(10) - AHEAD;
        let took = begun.elapsed();
        assert!((expected..expected + AHEAD).contains(&took), "{took:?}");
        drop((sockets, calm));
        assert!(paces.0.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_does_not_wait_for_the_floods_of_others() {
        let paces = Paces::default();
        let tenant = TenantId::from_random([1; 16]);
        let mut flooding: Vec<Paced> = (0..9).map(|_| paces.enter(tenant)).collect();
        let mut calm = paces.enter(tenant);
        let burst: Vec<u8> = std::iter::repeat_with(|| frame(0))
            .take(1000)
            .flatten()
            .collect();
        let begun = Instant::now();
        let mut free = vec![begun; flooding.len()];
        let mut read = 0;
        while begun.elapsed() < Duration::from_secs(10) {
            for (socket, free) in flooding.iter_mut().zip(&mut free) {
                if *free <= Instant::now() {
                    read += 1000;
                    *free = socket.read(&burst).unwrap_or_else(Instant::now);
                }
            }
            assert_eq!(calm.read(&frame(5)), None);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        // Ten seconds' worth, and what they may get ahead.
        let bound = 10 * FRAMES_PER_SECOND * 11 / 10;
        assert!(read < bound, "{read}");
    }
}
