//! Addresses that came to another node, as agents told it in Events. Pure.

use herald_spi::ServiceKey;

/// An address of a Service that is announced by another node now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// When, in milliseconds of Unix time.
    pub when: i64,
    /// The Service.
    pub service: ServiceKey,
    /// The agent's words.
    pub note: String,
    /// What they say, if they are in the form that this version knows.
    pub path: Option<Path>,
}

/// From where to where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The address.
    pub address: String,
    /// The node that had it.
    pub from: String,
    /// The node that has it.
    pub to: String,
    /// Its interface there.
    pub interface: String,
    /// Why it moved.
    pub why: String,
    /// How long nobody answered for it.
    pub pause: Option<Pause>,
}

/// How long nobody answered for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Not at all: the new owner announced it before the old one stopped.
    None,
    /// At most so many milliseconds.
    Millis(u64),
}

/// How a note ends where the new owner announced first.
const WITHOUT_A_BREAK: &str = ", without a break";

impl Move {
    /// A move in its agent's words.
    #[must_use]
    pub fn new(when: i64, service: ServiceKey, note: String) -> Self {
        Self {
            path: Path::read(&note),
            when,
            service,
            note,
        }
    }
}

impl Path {
    /// Reads `ADDRESS moved from NODE to NODE (INTERFACE): WHY, without a break`, or the same with `WHY; announced N ms
    /// after it was heard last`, as the agent writes it (`src/agent/moves.rs`, whose test holds both together).
    #[must_use]
    pub fn read(note: &str) -> Option<Self> {
        let (address, rest) = note.split_once(" moved from ")?;
        let (from, rest) = rest.split_once(" to ")?;
        let (to, rest) = rest.split_once(" (")?;
        let (interface, how) = rest.split_once("): ")?;
        let (why, pause) = match how.strip_suffix(WITHOUT_A_BREAK) {
            Some(why) => (why, Some(Pause::None)),
            None => match how.split_once("; announced ") {
                Some((why, rest)) => (why, millis(rest)),
                None => (how, None),
            },
        };
        let owned = str::to_owned;
        Some(Self {
            address: owned(address),
            from: owned(from),
            to: owned(to),
            interface: owned(interface),
            why: owned(why),
            pause,
        })
    }
}

fn millis(words: &str) -> Option<Pause> {
    let (number, _) = words.split_once(" ms")?;
    number.parse().ok().map(Pause::Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_move_are_kept_as_they_are() {
        for note in [
            "",
            "moved",
            "10.0.0.1 moved from a",
            "10.0.0.1 moved from a to b",
        ] {
            let told = Move::new(0, ServiceKey::new("shop", "web"), note.to_owned());
            assert_eq!((told.path, told.note.as_str()), (None, note));
        }
        let strange = Path::read("10.0.0.1 moved from a to b (eth0): because; announced soon");
        assert_eq!(strange.unwrap().pause, None);
    }
}
