//! Everything that is heard on one own interface.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herald_spi::{IfIndex, NodeName, Time};

use super::{
    Config, Notice,
    dice::Dice,
    message::{Header, SyncRequest},
    mirror::Gap,
    voice::Voice,
};

/// How many that fell silent are remembered.
const MOST_LOST: usize = 1_024;

/// A peer's name and its index of the interface that it speaks from: a peer may have two on one segment.
pub(super) type VoiceKey = (NodeName, IfIndex);

/// The voices on one own interface.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) listening_since: Time,
    pub(super) voices: BTreeMap<VoiceKey, Voice>,
    /// Who fell silent here and has not been heard since: when it was heard last.
    pub(super) lost: BTreeMap<NodeName, Time>,
    /// Who of those said that it has no carrier here.
    pub(super) dark: BTreeSet<NodeName>,
    /// Other own interfaces that are heard here, and until when that counts.
    pub(super) echoes: BTreeMap<IfIndex, Time>,
}

impl Heard {
    /// Begins to listen.
    pub(super) fn new(now: Time) -> Self {
        Self {
            listening_since: now,
            voices: BTreeMap::new(),
            lost: BTreeMap::new(),
            dark: BTreeSet::new(),
            echoes: BTreeMap::new(),
        }
    }

    /// Forgets a peer; says whether it was there.
    pub(super) fn forget(&mut self, node: &NodeName) -> bool {
        let before = self.voices.len();
        self.lost.remove(node);
        self.dark.remove(node);
        self.voices.retain(|(name, _), _| name != node);
        self.voices.len() != before
    }

    /// A peer says that it has no carrier where these voices came from. Says whether one was heard until now.
    pub(super) fn darken(&mut self, header: &Header) -> bool {
        let mut lost = false;
        for interface in header.dark.iter().flatten() {
            let key = (header.node.clone(), IfIndex(*interface));
            // What overtook this datagram knows better.
            let voice = self.voices.get(&key);
            if let Some(heard) = voice.filter(|v| v.is_behind(header)).map(Voice::heard) {
                self.voices.remove(&key);
                self.lost.insert(header.node.clone(), heard);
                self.dark.insert(header.node.clone());
                lost = true;
            }
        }
        lost
    }

    /// What a peer says of itself on the second path. Says whether anything changed.
    pub(super) fn told(&mut self, header: &Header) -> bool {
        let mut changed = false;
        for (_, voice) in self.of_mut(&header.node) {
            changed |= voice.told(header);
        }
        changed
    }

    /// An own datagram of another own interface was heard. Says whether that is news.
    pub(super) fn echo(&mut self, now: Time, config: &Config, from: IfIndex) -> bool {
        self.echoes.insert(from, now + config.dead_after).is_none()
    }

    /// Buries who has been silent for too long, and marks who is about to be. Says whether anything changed.
    pub(super) fn bury(
        &mut self,
        now: Time,
        interface: IfIndex,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let before = (self.voices.len(), self.echoes.len());
        let mut quieter = false;
        self.echoes.retain(|_, until| *until > now);
        for ((node, _), voice) in self
            .voices
            .extract_if(.., |_, voice| voice.deadline() <= now)
        {
            self.lost.insert(node.clone(), voice.heard());
            notices.push(Notice::Died {
                node,
                interface,
                silent: now.since(voice.heard()),
            });
        }
        while self.lost.len() > MOST_LOST {
            let forgotten = self.lost.pop_first();
            forgotten.map(|(node, _)| self.dark.remove(&node));
        }
        for voice in self.voices.values_mut() {
            quieter |= voice.falls_quiet(now);
        }
        quieter || before != (self.voices.len(), self.echoes.len())
    }

    /// Who is to be asked to speak now. Each counts as asked.
    pub(super) fn suspects(&mut self, now: Time) -> Vec<NodeName> {
        let mut nodes = Vec::new();
        for ((node, _), voice) in &mut self.voices {
            if voice.probe_at() <= now {
                voice.probed(now);
                nodes.push(node.clone());
            }
        }
        nodes.dedup();
        nodes
    }

    /// What to ask of whom, for claims that are missing here. `room` is what a datagram has for a body's entries.
    pub(super) fn requests(&mut self, now: Time, dice: &mut Dice, room: usize) -> Vec<SyncRequest> {
        let ask = |((node, interface), voice): (&VoiceKey, &mut Voice)| {
            // A number of a part takes up to 5 bytes, a name up to 3 more than its length.
            let most = room.saturating_sub(node.as_str().len() + 3) / 5;
            let Gap {
                since,
                generation,
                missing,
            } = voice.mirror.ask(now, dice, most.max(1))?;
            let (node, interface) = (node.clone(), interface.0);
            Some(SyncRequest {
                node,
                interface,
                since,
                generation,
                missing,
            })
        };
        self.voices.iter_mut().filter_map(ask).collect()
    }

    /// Someone else has just asked `node` to speak, so this agent need not.
    pub(super) fn probed(&mut self, now: Time, node: &NodeName) {
        for (_, voice) in self.of_mut(node) {
            voice.probed(now);
        }
    }

    /// This process slept a little.
    pub(super) fn excuse(&mut self, late: Duration) {
        self.voices
            .values_mut()
            .for_each(|voice| voice.excuse(late));
        self.echoes
            .values_mut()
            .for_each(|until| *until = *until + late);
    }

    /// This process slept for long: it has not listened.
    pub(super) fn forgive(&mut self, now: Time, config: &Config) {
        self.listening_since = now;
        self.voices
            .values_mut()
            .for_each(|voice| voice.forgive(now));
        self.echoes
            .values_mut()
            .for_each(|until| *until = now + config.dead_after);
    }

    /// When something here falls due. Nothing is asked where nothing can be `sent`.
    pub(super) fn next_deadline(&self, sends: bool) -> Option<Time> {
        let buried = self.voices.values().map(Voice::next_deadline);
        let asked = self.voices.values().filter(|_| sends).flat_map(|voice| {
            [Some(voice.probe_at()), voice.mirror.ask_at()]
                .into_iter()
                .flatten()
        });
        buried
            .chain(asked)
            .chain(self.echoes.values().copied())
            .min()
    }

    fn of_mut<'a>(
        &'a mut self,
        node: &NodeName,
    ) -> impl Iterator<Item = (&'a VoiceKey, &'a mut Voice)> + use<'a> {
        let from = (node.clone(), IfIndex(0));
        let to = (node.clone(), IfIndex(u32::MAX));
        self.voices.range_mut(from..=to)
    }
}
