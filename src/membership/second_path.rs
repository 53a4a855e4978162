//! The second path: a word to each node's InternalIP, for what a segment cannot carry any more.
//!
//! ```text
//!   carrier lost or back, leaving, goodbye ─▶ at once to every node, and twice more ─┐
//!   all quiet ─▶ once a second, to 64 nodes at most ────────────────────────────────┴▶ one datagram, to many
//! ```
//!
//! What a word says: which interfaces of its sender have no carrier, whether it leaves or has left, its hardware
//! addresses, and that it is alive. It is signed, numbered and judged as every other datagram is, and says of itself
//! that it went to a node: played back on a segment it is nothing, and nor is a segment's heartbeat on this path.
//!
//! What it may decide:
//! * A peer that says that it has no carrier on a segment, or that it has left, is lost there at once and not after the
//!   dead time. Whoever takes over asks the wire first, as always.
//! * A peer that says that it leaves hands over, though its segments do not carry that word.
//! * The hardware addresses that it names are those of a Herald node, though it was never heard on a segment.
//!
//! What it may not:
//! * Nobody is alive on a segment by it, or dead a moment later: an owner that is silent there is lost after the dead
//!   time, however much it says here. That it is alive is for people, see [`super::View::reached`].
//! * It names no claims. What a peer claims on a segment is what was heard there.
//! * Its silence means nothing: a node without it is as it was before there was a second path.
//!
//! The cost: a word is signed once, however many nodes it goes to. With 3 nodes 2 datagrams a second are sent and 2
//! heard; from 65 nodes on 64 a second of each, and each node is told every n/64 seconds.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use herald_spi::{NodeName, Time};

use super::{Config, dice::Dice};

/// Where each node is reached: the first InternalIP of its object, this node's among them.
pub type NodeAddresses = BTreeMap<NodeName, IpAddr>;

/// The time between two rounds, less up to a tenth.
const ROUND: Duration = Duration::from_secs(1);
/// How many nodes are told in a round when there is no news.
const MOST_IN_A_ROUND: usize = 64;
/// News is told at once, and so often again.
const REPEATS: u8 = 2;
/// A node that was to speak so many times and was not heard is not reached.
const MISSED: u32 = 4;
/// Whatever a node says of when it speaks again.
const LONGEST: Duration = Duration::from_secs(60);

/// Whom to tell and who was heard.
#[derive(Debug, Default)]
pub(super) struct SecondPath {
    /// The others.
    nodes: Arc<NodeAddresses>,
    next_round: Time,
    repeats: u8,
    /// Who was told last when there was no news.
    told: Option<NodeName>,
    /// Until when a node counts as heard.
    heard: BTreeMap<NodeName, Time>,
    reached: Arc<BTreeSet<NodeName>>,
}

/// A word that is due.
#[derive(Debug, PartialEq)]
pub(super) struct Round {
    pub(super) to: Vec<IpAddr>,
    /// When each of them is told again at the latest.
    pub(super) again: Duration,
}

impl SecondPath {
    /// The nodes of the cluster. Says whether anybody is reached no more.
    pub(super) fn set_nodes(&mut self, now: Time, me: &NodeName, nodes: &NodeAddresses) -> bool {
        let others = nodes.iter().filter(|(node, _)| *node != me);
        self.nodes = Arc::new(others.map(|(node, at)| (node.clone(), *at)).collect());
        self.next_round = self.next_round.min(now + ROUND);
        self.heard.retain(|node, _| nodes.contains_key(node));
        self.update_reached()
    }

    /// There is news for everybody.
    pub(super) fn hurry(&mut self, now: Time) {
        self.next_round = now;
        self.repeats = REPEATS + 1;
    }

    /// What is to be said now.
    pub(super) fn due(&mut self, now: Time, config: &Config, dice: &mut Dice) -> Option<Round> {
        if self.nodes.is_empty() || self.next_round > now {
            return None;
        }
        let to = if self.repeats > 0 {
            self.repeats -= 1;
            self.everybody()
        } else {
            self.next_few()
        };
        let pause = match self.repeats {
            0 => dice.between(ROUND * 9 / 10, ROUND),
            _ => config.probe_every(),
        };
        self.next_round = now + pause;
        Some(Round {
            to,
            again: self.again(),
        })
    }

    /// Where every other node is.
    pub(super) fn everybody(&self) -> Vec<IpAddr> {
        self.nodes.values().copied().collect()
    }

    /// When a node is told again at the latest.
    pub(super) fn again(&self) -> Duration {
        let rounds = self.nodes.len().div_ceil(MOST_IN_A_ROUND).max(1);
        ROUND.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
    }

    /// A node speaks, and will again within some time. Says whether that is news. Strangers are not counted.
    pub(super) fn hear(&mut self, now: Time, node: &NodeName, again: Duration) -> bool {
        if !self.nodes.contains_key(node) {
            return false;
        }
        let until = now + again.clamp(ROUND, LONGEST) * MISSED;
        let new = self.heard.insert(node.clone(), until).is_none();
        new && self.update_reached()
    }

    /// A node said that it ends. Says whether it was there.
    pub(super) fn forget(&mut self, node: &NodeName) -> bool {
        self.heard.remove(node).is_some() && self.update_reached()
    }

    /// Forgets who has not been heard for long. Says whether anything changed.
    pub(super) fn bury(&mut self, now: Time) -> bool {
        let before = self.heard.len();
        self.heard.retain(|_, until| *until > now);
        self.heard.len() != before && self.update_reached()
    }

    /// This process did not listen.
    pub(super) fn forgive(&mut self, now: Time) {
        for until in self.heard.values_mut() {
            *until = (*until).max(now + ROUND * MISSED);
        }
    }

    /// Who is heard.
    pub(super) fn reached(&self) -> &Arc<BTreeSet<NodeName>> {
        &self.reached
    }

    /// When something falls due.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let round = (!self.nodes.is_empty()).then_some(self.next_round);
        self.heard.values().copied().chain(round).min()
    }

    /// The nodes after the one that was told last, and around to the first.
    fn next_few(&mut self) -> Vec<IpAddr> {
        let after = match &self.told {
            Some(told) => Bound::Excluded(told),
            None => Bound::Unbounded,
        };
        let rest = self.nodes.range::<NodeName, _>((after, Bound::Unbounded));
        let few = rest.chain(self.nodes.iter());
        let most = MOST_IN_A_ROUND.min(self.nodes.len());
        let few: Vec<_> = few.take(most).collect();
        let last = few.last().map(|(node, _)| NodeName::clone(node));
        let to = few.into_iter().map(|(_, address)| *address).collect();
        self.told = last;
        to
    }

    fn update_reached(&mut self) -> bool {
        let changed = !self.reached.iter().eq(self.heard.keys());
        if changed {
            self.reached = Arc::new(self.heard.keys().cloned().collect());
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_start(Duration::from_millis(ms))
    }

    fn nodes(count: u16) -> NodeAddresses {
        let address = |n: u16| IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]);
        (0..count)
            .map(|n| (NodeName::new(format!("node-{n:04}")), address(n)))
            .collect()
    }

    fn me() -> NodeName {
        NodeName::from("node-0000")
    }

    fn path(count: u16) -> SecondPath {
        let mut path = SecondPath::default();
        path.set_nodes(at(0), &me(), &nodes(count));
        path
    }

    #[test]
    fn quiet_nodes_are_told_in_turn_and_never_more_than_a_few_in_a_second() {
        for count in [1, 2, 3, 64, 65, 66, 300] {
            let (mut path, mut dice) = (path(count), Dice::new(7));
            let others = usize::from(count) - 1;
            let mut told: BTreeMap<IpAddr, Vec<Time>> = BTreeMap::new();
            let mut sent = 0;
            while let Some(now) = path.next_deadline().filter(|now| *now < at(60_000)) {
                let round = path.due(now, &Config::default(), &mut dice).unwrap();
                assert!(round.to.len() <= 64);
                sent += round.to.len();
                for to in round.to {
                    told.entry(to).or_default().push(now);
                }
            }
            assert_eq!(told.len(), others, "everybody, and not this node");
            assert!(sent <= 67 * others.min(64), "{count}: {sent}");
            let again = path.again();
            for times in told.values() {
                let gaps = times.windows(2).map(|pair| pair[1].since(pair[0]));
                assert!(gaps.max().unwrap() <= again, "{count}");
            }
        }
    }

    #[test]
    fn news_goes_to_everybody_at_once_and_twice_more() {
        let (mut path, mut dice) = (path(300), Dice::new(7));
        path.due(at(0), &Config::default(), &mut dice).unwrap();
        path.hurry(at(100));
        let mut rounds = Vec::new();
        while let Some(now) = path.next_deadline().filter(|now| *now < at(1_500)) {
            let round = path.due(now, &Config::default(), &mut dice).unwrap();
            rounds.push((now, round.to.len()));
        }
        let news: Vec<_> = rounds.iter().filter(|(_, count)| *count == 299).collect();
        assert_eq!(news.len(), 3, "{rounds:?}");
        assert_eq!(news[0].0, at(100));
        assert!(news[2].0 < at(130), "{rounds:?}");
    }

    #[test]
    fn a_node_is_reached_until_it_missed_its_turn_four_times() {
        let mut path = path(3);
        let other = NodeName::from("node-0001");
        let reached = |path: &SecondPath| path.reached().contains(&other);
        assert!(path.hear(at(0), &other, Duration::from_secs(5)));
        assert!(
            !path.hear(at(1_000), &other, Duration::from_secs(5)),
            "no news"
        );
        assert!(!path.bury(at(20_999)) && reached(&path));
        assert!(path.bury(at(21_000)) && !reached(&path));
        // Nobody is believed for ever, and nobody is counted whom the cluster does not have.
        path.hear(at(0), &other, Duration::MAX);
        assert!(path.bury(at(240_000)));
        assert!(!path.hear(at(0), &NodeName::from("stranger"), ROUND));
        path.hear(at(0), &other, ROUND);
        assert!(path.set_nodes(at(0), &me(), &nodes(1)) && !reached(&path));
    }
}
