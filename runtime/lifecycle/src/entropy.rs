//! Randomness as a parameter.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// A source of random bytes.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);

    /// A random number.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            // Without randomness there are no keys and no sessions: going on
            // would be worse than ending.
            tracing::error!("failed to read the system's random generator: {error}");
            std::process::abort();
        }
    }
}

/// The operating system's generator, asked for many bytes at a time: for what
/// needs a few often, such as message ids, which nobody may guess.
#[derive(Debug)]
pub struct PooledEntropy(Mutex<Pool>);

#[derive(Debug)]
struct Pool {
    bytes: [u8; 1024],
    used: usize,
}

impl Default for PooledEntropy {
    fn default() -> Self {
        let (bytes, used) = ([0; 1024], 1024);
        Self(Mutex::new(Pool { bytes, used }))
    }
}

impl Entropy for PooledEntropy {
    fn fill(&self, out: &mut [u8]) {
        if out.len() > 64 {
            return OsEntropy.fill(out);
        }
        let mut pool = self.0.lock();
        if pool.used + out.len() > pool.bytes.len() {
            OsEntropy.fill(&mut pool.bytes);
            pool.used = 0;
        }
        let (from, to) = (pool.used, pool.used + out.len());
        out.copy_from_slice(&pool.bytes[from..to]);
        // Given out once, and not kept.
        pool.bytes[from..to].fill(0);
        pool.used = to;
    }
}

/// A predictable generator for tests (SplitMix64).
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// A generator that always yields the same sequence for one `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
