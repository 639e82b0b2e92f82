//! The bytes of a body while it grows.
//!
//! Owns them. Invariants: they never take more memory than [`Buffer::held`],
//! but for what a page has to spare, while a body grows and afterwards; a large
//! body is never moved. A vector would be, again and again, and the allocator
//! would keep each place that it left for some seconds: five times the body at
//! its worst. So what outgrows [`SMALL`] goes into address space for all there
//! may ever be, of which only what is filled is memory, and which goes back to
//! the system at once.

use std::io;

use bytes::Bytes;
use memmap2::{MmapMut, MmapOptions};

/// Up to here a vector is good enough.
const SMALL: usize = 1 << 20;
/// By how much more than that a body may have grown before anybody is asked.
const STEP: usize = 256 << 10;

/// See the module's documentation.
pub(super) enum Buffer {
    Small(Vec<u8>),
    Large(Large),
}

/// A body in address space of its own.
pub(super) struct Large {
    space: MmapMut,
    filled: usize,
    /// How much may be filled.
    held: usize,
}

impl Buffer {
    pub(super) const fn new() -> Self {
        Self::Small(Vec::new())
    }

    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Small(bytes) => bytes.len(),
            Self::Large(large) => large.filled,
        }
    }

    /// How many bytes of memory it takes at most, until it grows.
    pub(super) const fn held(&self) -> usize {
        match self {
            Self::Small(bytes) => bytes.capacity(),
            Self::Large(large) => large.held,
        }
    }

    /// What it should hold for `needed` bytes, with room to spare, but never
    /// more than `limit`.
    pub(super) fn wish(&self, needed: usize, limit: usize) -> usize {
        let roomy = if needed <= SMALL {
            needed.max(2 * self.held()).min(SMALL)
        } else {
            needed.next_multiple_of(STEP)
        };
        roomy.min(limit)
    }

    /// Holds `held` bytes, which are not fewer than before and not more than
    /// `limit`, the most that it will ever be.
    ///
    /// # Errors
    /// The system has no address space left.
    pub(super) fn grow(&mut self, held: usize, limit: usize) -> io::Result<()> {
        match self {
            Self::Small(bytes) if held <= SMALL => {
                bytes.reserve_exact(held.saturating_sub(bytes.len()));
            }
            Self::Small(bytes) => {
                let mut space = MmapOptions::new().len(limit).no_reserve_swap().map_anon()?;
                let filled = bytes.len();
                if let Some(begin) = space.get_mut(..filled) {
                    begin.copy_from_slice(bytes);
                }
                *self = Self::Large(Large {
                    space,
                    filled,
                    held,
                });
            }
            Self::Large(large) => large.held = held,
        }
        Ok(())
    }

    /// Appends a piece, for which there is room.
    pub(super) fn push(&mut self, piece: &[u8]) {
        match self {
            Self::Small(bytes) => bytes.extend_from_slice(piece),
            Self::Large(large) => {
                let end = large.filled + piece.len();
                if let Some(room) = large.space.get_mut(large.filled..end) {
                    room.copy_from_slice(piece);
                    large.filled = end;
                }
            }
        }
    }

    /// The body, without room to spare.
    pub(super) fn finish(self) -> Bytes {
        match self {
            Self::Small(mut bytes) => {
                bytes.shrink_to_fit();
                bytes.into()
            }
            Self::Large(large) => Bytes::from_owner(large),
        }
    }
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        self.space.get(..self.filled).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_any_size_is_what_was_pushed() {
        let limit = 5 * SMALL + 17;
        let pieces: Vec<Vec<u8>> = (0..=u8::MAX)
            .map(|seed| vec![seed; usize::from(seed) * 129])
            .collect();
        for pieces in [&pieces[..1], &pieces[..40], &pieces[..]] {
            let mut buffer = Buffer::new();
            for piece in pieces {
                let needed = buffer.len() + piece.len();
                if needed > buffer.held() {
                    let held = buffer.wish(needed, limit);
                    assert!((needed..=limit).contains(&held));
                    buffer.grow(held, limit).unwrap();
                }
                buffer.push(piece);
                assert!(buffer.len() <= buffer.held());
            }
            assert_eq!(buffer.finish(), pieces.concat());
        }
    }

    #[test]
    fn a_large_body_holds_little_more_than_it_is_and_ends_at_the_limit() {
        let limit = 2 * SMALL + 1;
        let mut buffer = Buffer::new();
        for needed in (SMALL + 1..=limit).step_by(10_000) {
            assert!(buffer.wish(needed, limit) <= needed + STEP);
        }
        let held = buffer.wish(limit, limit);
        assert_eq!(held, limit);
        buffer.grow(held, limit).unwrap();
        buffer.push(&vec![7; limit]);
        assert_eq!((buffer.len(), buffer.held()), (limit, limit));
        let body = buffer.finish();
        assert!(body.len() == limit && body.iter().all(|byte| *byte == 7));
    }
}
