//! Choices of a test that can be made again.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator whose seed is printed, and can be given as `BERTH_SEED`.
pub struct Random(u64);

impl Random {
    /// Seeded from outside, else anew.
    pub fn seeded() -> Self {
        let given = std::env::var("BERTH_SEED").ok();
        let fresh = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_secs() ^ u64::from(now.subsec_nanos())
        };
        let seed = given.map_or_else(fresh, |text| text.parse().unwrap());
        println!("seed {seed} (again with BERTH_SEED={seed})");
        Self(seed)
    }

    /// Another generator, whose choices this one decides.
    pub fn fork(&mut self) -> Self {
        Self(self.below(usize::MAX) as u64)
    }

    /// A number below `bound`, by SplitMix64.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % bound as u64).unwrap()
    }

    /// Puts `items` in any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}
