//! Who leads: the pure part.

use std::time::Duration;

use herald_spi::Time;

/// How long a lease holds and how often it is tended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// A lease that was not renewed for so long may be taken.
    pub duration: Duration,
    /// A leader that could not renew for so long stops leading. Shorter than `duration`: the old leader is
    /// silent before a new one speaks.
    pub renew_deadline: Duration,
    /// How often the lease is read and renewed.
    pub retry: Duration,
}

impl Default for Terms {
    /// DESIGN section 3: 5 s, 3 s, 1 s.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(5),
            renew_deadline: Duration::from_secs(3),
            retry: Duration::from_secs(1),
        }
    }
}

/// A state of the Lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Changes with every write.
    pub version: String,
    /// Who holds it; `None` when it was given back.
    pub holder: Option<String>,
    /// For how long the holder took it.
    pub duration: Duration,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nobody holds it: write ourselves in.
    Acquire,
    /// We hold it: write again.
    Renew,
    /// Another one holds it until this moment, unless it renews.
    Wait(Time),
}

/// Decides from what was read and when.
#[derive(Clone, Debug)]
pub struct Elector {
    me: String,
    seen: Option<(Observed, Time)>,
}

impl Elector {
    /// A candidate with a name that no other process has.
    pub fn new(me: impl Into<String>) -> Self {
        Self {
            me: me.into(),
            seen: None,
        }
    }

    /// The decision for the Lease as read at `now`; `None` when there is no Lease.
    pub fn step(&mut self, now: Time, lease: Option<Observed>) -> Decision {
        let Some(lease) = lease else {
            self.seen = None;
            return Decision::Acquire;
        };
        let first_seen = match &self.seen {
            Some((known, since)) if known.version == lease.version => *since,
            _ => now,
        };
        let decision = match &lease.holder {
            None => Decision::Acquire,
            Some(holder) if *holder == self.me => Decision::Renew,
            Some(_) if now >= first_seen + lease.duration => Decision::Acquire,
            Some(_) => Decision::Wait(first_seen + lease.duration),
        };
        self.seen = Some((lease, first_seen));
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    fn held(version: &str, by: Option<&str>) -> Option<Observed> {
        Some(Observed {
            version: version.into(),
            holder: by.map(Into::into),
            duration: Duration::from_secs(5),
        })
    }

    #[test]
    fn a_free_lease_is_taken_and_an_own_one_renewed() {
        let mut elector = Elector::new("a");
        assert_eq!(elector.step(at(0), None), Decision::Acquire);
        assert_eq!(elector.step(at(0), held("1", None)), Decision::Acquire);
        assert_eq!(elector.step(at(1), held("2", Some("a"))), Decision::Renew);
    }

    #[test]
    fn a_foreign_lease_expires_by_the_local_clock_from_its_last_change() {
        let mut elector = Elector::new("a");
        assert_eq!(
            elector.step(at(100), held("1", Some("b"))),
            Decision::Wait(at(105))
        );
        assert_eq!(
            elector.step(at(104), held("1", Some("b"))),
            Decision::Wait(at(105))
        );
        assert_eq!(
            elector.step(at(104), held("2", Some("b"))),
            Decision::Wait(at(109))
        );
        assert_eq!(
            elector.step(at(109), held("2", Some("b"))),
            Decision::Acquire
        );
    }

    #[test]
    fn an_expired_lease_that_is_renewed_in_time_is_not_taken() {
        let mut elector = Elector::new("a");
        elector.step(at(0), held("1", Some("b")));
        assert_eq!(
            elector.step(at(60), held("9", Some("b"))),
            Decision::Wait(at(65))
        );
    }
}
