//! Which life of each agent is believed, and which of its datagrams were heard before.
//!
//! One identity per node name, whatever the interface: the highest incarnation heard wins for as long as it is
//! remembered, and each of its sequence numbers counts once per interface. An identity outlives the peer, so that
//! recorded heartbeats cannot wake the dead.
//!
//! What this does not stop: an agent that has just started has no memory, so someone on the LAN who recorded
//! heartbeats of a node that is dead by now can make that agent (and no other) believe in it until the recording ends.
//! It delays a takeover by that agent; it cannot take an address from a live owner, whose epoch is higher.

use std::collections::BTreeMap;

use herald_spi::{IfIndex, Mac, NodeName, Time};

use super::{
    Config, Incarnation, Notice,
    message::Header,
    replay::{Freshness, Window},
};

/// How many node names are remembered.
const MOST: usize = 4_096;
/// A sender numbers the datagrams of all its interfaces in one row. One that lags so far behind the newest heard on
/// any interface is a recording played elsewhere.
const MOST_BEHIND: u64 = 1_024;
/// How many datagrams of an older life, heard beside the newer, make it two processes and not the end of one.
const ALTERNATIONS: u32 = 5;

/// All node names ever heard.
#[derive(Debug, Default)]
pub(super) struct Identities {
    by_node: BTreeMap<NodeName, Identity>,
}

#[derive(Debug)]
struct Identity {
    incarnation: Incarnation,
    mac: Mac,
    since: Time,
    heard: Time,
    newest: u64,
    /// By where it was heard: none is the second path.
    windows: BTreeMap<Option<IfIndex>, Window>,
    /// Its newest word on where it has no carrier, with that datagram's number.
    dark: (u64, Vec<u32>),
    /// It said goodbye: nothing of this life counts any more.
    gone: bool,
    older: Option<Older>,
    told: Option<Time>,
}

/// A life that is over, but speaks.
#[derive(Debug)]
struct Older {
    incarnation: Incarnation,
    newest: u64,
    heard: u32,
    reported: bool,
}

/// What a datagram is, after its sender's identity was looked at.
#[derive(Debug, PartialEq)]
pub(super) enum Admission {
    /// It counts.
    Welcome {
        /// It is the first of a new life: forget the older one.
        new_life: bool,
    },
    /// Heard before.
    Duplicate,
    /// Too old to tell.
    Stale,
    /// From a life that is over. The second: tell its process so, for the newer one is silent.
    Over(Option<Notice>, Option<Incarnation>),
    /// Too many names.
    Full,
}

impl Identities {
    /// Judges a datagram by its sender. No interface is the second path, on which nobody is alive.
    pub(super) fn admit(
        &mut self,
        now: Time,
        config: &Config,
        interface: impl Into<Option<IfIndex>>,
        header: &Header,
    ) -> Admission {
        let interface = interface.into();
        let incarnation = Incarnation(header.incarnation);
        if !self.by_node.contains_key(&header.node) && !self.make_room(now, config) {
            return Admission::Full;
        }
        let mut new_life = false;
        let known = self.by_node.entry(header.node.clone()).or_insert_with(|| {
            new_life = true;
            Identity::new(now, incarnation, header.mac)
        });
        if incarnation < known.incarnation && interface.is_none() {
            return Admission::Over(None, None);
        }
        if incarnation < known.incarnation {
            return known.hear_older(now, config, header);
        }
        if incarnation > known.incarnation {
            new_life = true;
            *known = Identity::new(now, incarnation, header.mac);
        }
        if known.gone || header.seq.saturating_add(MOST_BEHIND) < known.newest {
            return Admission::Stale;
        }
        match known
            .windows
            .entry(interface)
            .or_default()
            .admit(header.seq)
        {
            Freshness::Duplicate => Admission::Duplicate,
            Freshness::Stale => Admission::Stale,
            Freshness::Fresh => {
                known.newest = known.newest.max(header.seq);
                if interface.is_some() {
                    known.heard = now;
                }
                if header.seq > known.dark.0 {
                    known.dark = (header.seq, header.dark.clone().unwrap_or_default());
                } else if interface.is_some() && known.dark.1.contains(&header.interface) {
                    // Said before the carrier was lost, and overtaken by that word.
                    return Admission::Stale;
                }
                known.gone = header.has(Header::GONE);
                Admission::Welcome { new_life }
            }
        }
    }

    /// Forgets the longest silent name if the table is full.
    fn make_room(&mut self, now: Time, config: &Config) -> bool {
        if self.by_node.len() < MOST {
            return true;
        }
        let silent = self
            .by_node
            .iter()
            .min_by_key(|(_, identity)| identity.heard);
        let Some(node) = silent
            .filter(|(_, identity)| now.since(identity.heard) > config.dead_after * 2)
            .map(|(node, _)| node.clone())
        else {
            return false;
        };
        self.by_node.remove(&node);
        true
    }
}

impl Identity {
    fn new(now: Time, incarnation: Incarnation, mac: Mac) -> Self {
        Self {
            incarnation,
            mac,
            since: now,
            heard: now,
            newest: 0,
            windows: BTreeMap::new(),
            dark: (0, Vec::new()),
            gone: false,
            older: None,
            told: None,
        }
    }

    fn hear_older(&mut self, now: Time, config: &Config, header: &Header) -> Admission {
        if self.gone || now.since(self.heard) > config.dead_after {
            // The newer is silent: the process that speaks is a new one with its clock set back. Once a second.
            let told = self
                .told
                .is_some_and(|told| now.since(told) < config.heartbeat * 5);
            if !told {
                self.told = Some(now);
            }
            return Admission::Over(None, (!told).then_some(self.incarnation));
        }
        let incarnation = Incarnation(header.incarnation);
        let older = match &mut self.older {
            Some(older) if older.incarnation >= incarnation => older,
            other => other.insert(Older {
                incarnation,
                newest: 0,
                heard: 0,
                reported: false,
            }),
        };
        // Only what advances counts: recordings and stragglers do not.
        if older.incarnation == incarnation && header.seq > older.newest {
            older.newest = header.seq;
            // A process that ends may overlap its successor for a moment.
            if now.since(self.since) > config.dead_after {
                older.heard = older.heard.saturating_add(1);
            }
        }
        let alternating = older.heard >= ALTERNATIONS && !older.reported;
        older.reported |= alternating;
        let notice = alternating.then(|| Notice::TwoLives {
            node: header.node.clone(),
            newer: self.mac,
            older: header.mac,
        });
        Admission::Over(notice, None)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::membership::message::tests::sample;

    const HERE: IfIndex = IfIndex(2);
    const THERE: IfIndex = IfIndex(3);

    fn at(ms: u64) -> Time {
        Time::from_start(Duration::from_millis(ms))
    }

    fn header(incarnation: u64, seq: u64) -> Header {
        Header {
            incarnation,
            seq,
            ..sample().header
        }
    }

    #[test]
    fn each_datagram_counts_once_per_interface_and_the_newest_life_wins() {
        let mut identities = Identities::default();
        let known = |new_life| Admission::Welcome { new_life };
        for (step, (ms, interface, incarnation, seq, expected)) in [
            (0, HERE, 5, 10, known(true)),
            (1, HERE, 5, 10, Admission::Duplicate),
            (2, THERE, 5, 10, known(false)),
            (3, HERE, 5, 5_000, known(false)),
            (4, THERE, 5, 11, Admission::Stale),
            (5, HERE, 6, 1, known(true)),
            (6, HERE, 5, 5_001, Admission::Over(None, None)),
            (7, HERE, 6, 2, known(false)),
            // The newer is silent: the older one is told, but not too often.
            (
                2_000,
                HERE,
                5,
                5_002,
                Admission::Over(None, Some(Incarnation(6))),
            ),
            (2_001, HERE, 5, 5_003, Admission::Over(None, None)),
            (
                3_100,
                HERE,
                5,
                5_004,
                Admission::Over(None, Some(Incarnation(6))),
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let header = header(incarnation, seq);
            let got = identities.admit(at(ms), &Config::default(), interface, &header);
            assert_eq!(got, expected, "step {step}");
        }
    }

    #[test]
    fn who_said_goodbye_does_not_come_back_in_the_same_life() {
        let mut identities = Identities::default();
        let mut admit = |header: &Header| identities.admit(at(1), &Config::default(), HERE, header);
        let goodbye = Header {
            flags: Header::GONE,
            ..header(5, 10)
        };
        assert_eq!(admit(&goodbye), Admission::Welcome { new_life: true });
        assert_eq!(admit(&header(5, 9)), Admission::Stale);
        assert_eq!(admit(&header(5, 11)), Admission::Stale);
        assert_eq!(admit(&header(6, 1)), Admission::Welcome { new_life: true });
    }

    #[test]
    fn the_table_is_bounded_and_keeps_who_is_alive() {
        let mut identities = Identities::default();
        let mut admit = |ms, n: usize| {
            let header = Header {
                node: NodeName::new(format!("node-{n}")),
                ..header(1, 1)
            };
            identities.admit(at(ms), &Config::default(), HERE, &header)
        };
        for n in 0..MOST {
            assert_eq!(admit(0, n), Admission::Welcome { new_life: true });
        }
        assert_eq!(admit(700, MOST), Admission::Full);
        assert_eq!(admit(1_000, MOST), Admission::Welcome { new_life: true });
    }
}
