//! How often to speak, and how long a silence means death.
//!
//! Agents with different settings bear each other: every heartbeat says how its sender is set, and of two agents the
//! slower setting counts for both. So nobody is buried for a pace that it never promised.

use std::time::Duration;

/// No network is so slow.
const LATEST: Duration = Duration::from_secs(60);

/// What an agent is set to that says nothing of it: those before this setting existed.
const UNSAID: Config = Config {
    heartbeat: Duration::from_millis(200),
    dead_after: Duration::from_millis(900),
};
/// A delay of this process that is worth excusing the peers for.
const LATE: Duration = Duration::from_millis(20);

/// The two times that everything else is derived from; see the arithmetic in [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest time between two heartbeats on an interface.
    pub heartbeat: Duration,
    /// A peer that was silent for so long on a segment is no longer a member of it.
    pub dead_after: Duration,
}

/// The times do not work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Peers would spend their time on heartbeats.
    #[error("a heartbeat every {0:?} is too often: at least 20 ms are needed")]
    TooOften(Duration),
    /// One or two lost datagrams would kill a peer.
    #[error(
        "dead after {dead_after:?} is too soon: at least three heartbeats ({heartbeat:?}) are needed"
    )]
    TooSoon {
        /// The configured heartbeat.
        heartbeat: Duration,
        /// The configured silence.
        dead_after: Duration,
    },
    /// Nothing would ever move.
    #[error("dead after {0:?} is too late: at most a minute makes sense")]
    TooLate(Duration),
}

impl ConfigError {
    /// The one-word reason for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooOften(_) => "HeartbeatTooOften",
            Self::TooSoon { .. } => "DeadTooSoon",
            Self::TooLate(_) => "DeadTooLate",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl Config {
    /// For segments of hundreds of nodes, and for nodes that stand still for tenths of a second.
    pub const CALM: Self = Self::beating(200);
    /// For everyone else.
    pub const NORMAL: Self = Self::beating(100);
    /// For a few nodes with processor time to spare: whoever stands still for 75 ms is buried.
    pub const FAST: Self = Self::beating(25);

    /// Dead after four heartbeats.
    const fn beating(millis: u64) -> Self {
        Self {
            heartbeat: Duration::from_millis(millis),
            dead_after: Duration::from_millis(4 * millis),
        }
    }

    /// Refuses times that cannot work.
    ///
    /// # Errors
    /// Names what is too short.
    pub fn check(self) -> Result<Self, ConfigError> {
        let Self {
            heartbeat,
            dead_after,
        } = self;
        if heartbeat < Duration::from_millis(20) {
            return Err(ConfigError::TooOften(heartbeat));
        }
        if dead_after > LATEST {
            return Err(ConfigError::TooLate(dead_after));
        }
        if dead_after < heartbeat.saturating_mul(3) {
            return Err(ConfigError::TooSoon {
                heartbeat,
                dead_after,
            });
        }
        Ok(self)
    }

    /// What holds between this agent and a peer, by what that says of itself. A peer cannot ask for more than what
    /// an agent may be set to.
    pub(super) fn with(&self, said: Option<Self>) -> Self {
        let said = said.unwrap_or(UNSAID);
        Self {
            heartbeat: self.heartbeat.max(said.heartbeat).min(LATEST),
            dead_after: self.dead_after.max(said.dead_after).min(LATEST),
        }
    }

    /// A peer silent for so long is asked to speak: two heartbeats are missing, by default.
    pub(super) fn suspect_after(&self) -> Duration {
        self.dead_after * 5 / 8
    }

    /// The time between two questions to a silent peer, and between the beats with which it answers.
    pub(super) fn probe_every(&self) -> Duration {
        self.heartbeat / 8
    }

    /// An own sleep of more than this counts as a pause: by then a peer that heard the last heartbeat only may have
    /// buried this agent.
    pub(super) fn pause_over(&self) -> Duration {
        self.dead_after * 3 / 4
    }

    /// An own sleep of less than this is no matter.
    pub(super) fn late_from(&self) -> Duration {
        self.probe_every().min(LATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_settings_the_slower_counts() {
        let (fast, calm) = (Config::FAST, Config::CALM);
        assert_eq!(fast.with(Some(calm)), calm);
        assert_eq!(calm.with(Some(fast)), calm);
        assert_eq!(fast.with(Some(fast)), fast);
        assert_eq!(fast.with(None), UNSAID);
        let never = Config {
            heartbeat: Duration::MAX,
            dead_after: Duration::MAX,
        };
        assert_eq!(fast.with(Some(never)).dead_after, LATEST);
    }

    #[test]
    fn what_can_be_chosen_works() {
        for config in [Config::CALM, Config::NORMAL, Config::FAST] {
            assert_eq!(config.check(), Ok(config));
            // Who sleeps for less than a pause is not buried, who sleeps for longer may be.
            let soonest = config.dead_after - config.heartbeat;
            assert_eq!(config.pause_over(), soonest);
        }
    }

    #[test]
    fn times_that_cannot_work_are_refused() {
        let ms = Duration::from_millis;
        for (heartbeat, dead_after, reason) in [
            (200, 900, None),
            (20, 60, None),
            (19, 900, Some("HeartbeatTooOften")),
            (300, 899, Some("DeadTooSoon")),
            (200, 60_000, None),
            (200, 60_001, Some("DeadTooLate")),
        ] {
            let config = Config {
                heartbeat: ms(heartbeat),
                dead_after: ms(dead_after),
            };
            assert_eq!(
                config.check().err().map(|e| e.reason()),
                reason,
                "{config:?}"
            );
        }
    }
}
