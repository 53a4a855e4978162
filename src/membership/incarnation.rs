//! Which life of an agent a message is from.

use std::fmt;

/// Numbers the lives of one agent; the higher is the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// The number of a life that starts now: the Unix time in microseconds, or one more than the last known life
    /// where the clock was set back.
    #[must_use]
    pub fn starting(unix_microseconds: u64, last_known: Option<Self>) -> Self {
        last_known.map_or(Self(unix_microseconds), |last| {
            Self(unix_microseconds.max(last.next().0))
        })
    }

    /// The lowest number that outlives this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_life_outlives_the_last_whatever_the_clock_says() {
        assert_eq!(Incarnation::starting(10, None), Incarnation(10));
        assert_eq!(
            Incarnation::starting(10, Some(Incarnation(4))),
            Incarnation(10)
        );
        assert_eq!(
            Incarnation::starting(10, Some(Incarnation(10))),
            Incarnation(11)
        );
        assert_eq!(
            Incarnation::starting(10, Some(Incarnation(99))),
            Incarnation(100)
        );
    }
}
