//! What people are told of an address that came to this node, and how long it took. Pure.

use std::time::Duration;

use herald_spi::{NodeName, ServiceKey, Time};

use crate::placement::{Event, Origin};

/// Moves that are told at once.
const BURST: f64 = 20.0;
/// And as many a second after that.
const PER_SECOND: f64 = 1.0;

/// An address that moved to this node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Move {
    /// The Service that has it, and its uid, if they are known.
    pub(super) service: Option<(ServiceKey, String)>,
    /// What happened, for people.
    pub(super) note: String,
    /// From the last sign of life of its former owner until this node announced it.
    pub(super) without_owner: Option<Duration>,
}

/// What there is to say of an event: which address came from where and why, and how long nobody answered for it.
/// `silent_since` is when a node was heard last on the event's interface.
pub(super) fn tell(
    now: Time,
    me: &NodeName,
    interface: &str,
    event: &Event,
    silent_since: impl Fn(&NodeName) -> Option<Time>,
) -> Option<(String, Option<Duration>)> {
    let Event::Gained { place, origin, .. } = event else {
        return None;
    };
    let address = place.address;
    match origin {
        Origin::First | Origin::Takeover { from: None, .. } => None,
        Origin::Rebalance { from } => Some((
            format!(
                "{address} moved from {from} to {me} ({interface}): rebalanced, without a break"
            ),
            None,
        )),
        Origin::Handover { from, why } => {
            let why = why.map_or(String::new(), |why| format!(" ({})", why.words()));
            let note = format!(
                "{address} moved from {from} to {me} ({interface}): {from} hands it over{why}, without a break"
            );
            Some((note, None))
        }
        Origin::Takeover {
            from: Some(from), ..
        } if from == me => None,
        Origin::Takeover {
            from: Some(from),
            missed_for,
        } => {
            let silent = silent_since(from).map(|since| now.since(since));
            let how = match silent {
                Some(silent) => format!(
                    "{from} is not heard any more; announced {} ms after it was heard last",
                    silent.as_millis()
                ),
                None => format!(
                    "{from} let it go; announced {} ms later",
                    missed_for.as_millis()
                ),
            };
            let note = format!("{address} moved from {from} to {me} ({interface}): {how}");
            Some((note, silent.or(Some(*missed_for))))
        }
    }
}

/// How many moves may be told: when a node dies with a thousand addresses, twenty Events say enough.
#[derive(Debug)]
pub(super) struct Allowance {
    left: f64,
    at: Time,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            left: BURST,
            at: Time::ZERO,
        }
    }
}

impl Allowance {
    /// Whether one more may be told now.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let earned = now.since(self.at).as_secs_f64() * PER_SECOND;
        self.at = now;
        self.left = (self.left + earned).min(BURST);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use herald_spi::{IfIndex, Place};

    use super::*;
    use crate::{
        placement::{Loss, Unfit},
        survey::{Path, Pause},
    };

    fn at(ms: u64) -> Time {
        Time::from_start(Duration::from_millis(ms))
    }

    fn gained(origin: Origin) -> Event {
        Event::Gained {
            place: Place {
                address: "192.168.77.200".parse().unwrap(),
                interface: IfIndex(2),
            },
            epoch: 4,
            origin,
            contested: None,
        }
    }

    fn takeover(from: Option<&str>) -> Event {
        gained(Origin::Takeover {
            from: from.map(NodeName::from),
            missed_for: Duration::from_millis(45),
        })
    }

    #[test]
    fn a_move_says_from_where_to_where_why_and_how_long_it_took() {
        let me = NodeName::from("b");
        let silent = |node: &NodeName| (node.as_str() == "a").then(|| at(1_000));
        let tell = |event: &Event| tell(at(1_430), &me, "eth0", event, silent);
        let ms = |ms| Some(Duration::from_millis(ms));
        for (event, note, gap) in [
            (
                takeover(Some("a")),
                "192.168.77.200 moved from a to b (eth0): a is not heard any more; announced 430 ms after it was heard \
                 last",
                ms(430),
            ),
            (
                takeover(Some("c")),
                "192.168.77.200 moved from c to b (eth0): c let it go; announced 45 ms later",
                ms(45),
            ),
            (
                gained(Origin::Handover {
                    from: "a".into(),
                    why: Some(Unfit::Leaving),
                }),
                "192.168.77.200 moved from a to b (eth0): a hands it over (its agent ends), without a break",
                None,
            ),
            (
                gained(Origin::Rebalance { from: "a".into() }),
                "192.168.77.200 moved from a to b (eth0): rebalanced, without a break",
                None,
            ),
        ] {
            assert_eq!(tell(&event), Some((note.to_owned(), gap)));
            // The status page reads it again.
            let path = Path::read(note).unwrap();
            assert_eq!((path.to.as_str(), path.interface.as_str()), ("b", "eth0"));
            assert!(note.starts_with(&format!("{} moved from {} to", path.address, path.from)));
            let pause = gap.map_or(Pause::None, |gap| {
                Pause::Millis(u64::try_from(gap.as_millis()).unwrap())
            });
            assert_eq!(path.pause, Some(pause), "{note}");
            assert!(!path.why.contains("announced") && !path.why.contains("break"));
        }
        // A start, a new address and an end are no moves.
        let dropped = Event::Dropped {
            place: Place {
                address: "192.168.77.200".parse().unwrap(),
                interface: IfIndex(2),
            },
            why: Loss::Withdrawn,
        };
        for event in [
            takeover(None),
            takeover(Some("b")),
            gained(Origin::First),
            dropped,
        ] {
            assert_eq!(tell(&event), None, "{event:?}");
        }
    }

    #[test]
    fn of_a_thousand_moves_twenty_are_told_and_then_one_a_second() {
        let mut allowance = Allowance::default();
        let told = (0..1_000).filter(|_| allowance.take(at(5_000))).count();
        assert_eq!(told, 20);
        let told = (0..100)
            .filter(|n| allowance.take(at(5_000 + n * 100)))
            .count();
        assert_eq!(told, 9);
    }
}
