//! Jitter. Not for secrets; seeded, so that a simulation can be repeated.

use std::time::Duration;

use herald_spi::Time;

use super::digest::mix;

/// A splitmix64 generator.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Equal seeds give equal throws.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A time between `from` and `to`.
    pub(super) fn between(&mut self, from: Duration, to: Duration) -> Duration {
        // 1/65536 steps are fine enough for jitter.
        let share = u32::from(u16::try_from(self.next() & 0xFFFF).unwrap_or(u16::MAX));
        from + to.saturating_sub(from) * share / 0x1_0000
    }

    /// A moment between `from` and `to`.
    pub(super) fn between_times(&mut self, from: Time, to: Time) -> Time {
        from + self.between(Duration::ZERO, to.since(from))
    }
}
