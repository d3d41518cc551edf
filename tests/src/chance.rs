//! Chance that can be repeated: the same seed brings the same.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// A source of chance of its own for whoever asks, so that nobody's luck depends on when others
/// asked.
pub struct Chance(StdRng);

impl Chance {
    /// The chance of this one among all who share a seed.
    pub fn of(seed: u64, who: u64) -> Self {
        // The golden ratio spreads neighbours far apart.
        Self(StdRng::seed_from_u64(seed ^ who.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    /// Whether something happens that does so many times in a thousand.
    pub fn happens(&mut self, in_a_thousand: u64) -> bool {
        self.below(1_000) < in_a_thousand
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.0.random_range(0..these.len())]
    }
}
