//! Jitter from a seed: SplitMix64 (Steele, Lea and Flood, 2014). Not for secrets.

use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration from `least` to `most`, to the microsecond.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_micros();
        let pick = u128::from(self.next()) % (span + 1);
        least + Duration::from_micros(u64::try_from(pick).unwrap_or_default())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_sequence_and_the_bounds() {
        // The reference implementation's first outputs for seed 1234567.
        let mut rng = Rng::new(1_234_567);
        assert_eq!(
            [rng.next(), rng.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
        let (least, most) = (Duration::from_secs(45), Duration::from_secs(75));
        let picks: Vec<_> = (0..1000).map(|_| rng.between(least, most)).collect();
        assert!(picks.iter().all(|pick| (least..=most).contains(pick)));
        assert!(
            picks
                .iter()
                .max()
                .unwrap()
                .saturating_sub(*picks.iter().min().unwrap())
                > Duration::from_secs(29)
        );
        assert_eq!(rng.between(most, least), most);
    }
}
