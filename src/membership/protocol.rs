//! The protocol as a state machine: inputs in, outputs out, time as an argument.
//!
//! Lateness: after each input the machine knows when it wants to be called again. If it is called later, this process
//! was not running, and the silence of peers during that time is its own. A little of it is added to every peer's
//! dead time. As much as may have cost this agent its life in the eyes of others (a dead time less a heartbeat) is a
//! pause: every peer gets a fresh dead time, and the view says that others may own by now what this agent held.
//!
//! Peers die on [`Input::Tick`] only, so that whoever drives the machine can let it hear what already arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use herald_spi::{IfIndex, Links, Mac, NodeName, Time};

use super::{
    Claims, Config, Counters, Incarnation, Keys, Namesake, Notice, OwnClaims, View,
    dice::Dice,
    heard::Heard,
    identity::Identities,
    macs::KnownMacs,
    message::Header,
    picture,
    second_path::{NodeAddresses, SecondPath},
    speaker::{Host, Speaker},
};

/// Views come no closer, for each may copy a large set of claims of which a part came with each datagram.
const VIEWS_APART: Duration = Duration::from_millis(5);
/// Something that happened to this agent.
#[derive(Clone, Debug)]
pub enum Input {
    /// The links of this node that may announce, and those of them whose sockets are open.
    Links {
        /// All links.
        links: Arc<Links>,
        /// Where this agent listens.
        open: BTreeSet<IfIndex>,
    },
    /// A datagram arrived.
    Datagram {
        /// On which own interface.
        interface: IfIndex,
        /// From where; only for the log.
        source: SocketAddr,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// A datagram arrived by the second path.
    Routed {
        /// From where; only for the log.
        source: SocketAddr,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// Where the nodes of the cluster are.
    Nodes(Arc<NodeAddresses>),
    /// Everything that this agent claims.
    Claims(Arc<OwnClaims>),
    /// Whether this agent has listened for long enough to claim what is its.
    Settled(bool),
    /// Whether this node's kube-proxy is not healthy.
    Impaired(bool),
    /// This agent hands over and will end.
    Leave,
    /// This agent ends now.
    Goodbye,
    /// Other keys.
    Keys(Keys),
    /// Time has passed.
    Tick,
}

/// Something that the machine wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this to the group of all agents, by IPv4 and by IPv6, as far as the interface has them.
    Send {
        /// From which own interface.
        interface: IfIndex,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// Send this by the second path to each of these addresses, at the port of all agents.
    SendRouted {
        /// The nodes' addresses.
        to: Vec<IpAddr>,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// Peers or claims changed.
    View(Arc<View>),
    /// Something for the log.
    Notice(Notice),
}

/// The membership of one agent.
#[derive(Debug)]
pub struct Membership {
    pub(super) config: Config,
    pub(super) me: NodeName,
    pub(super) incarnation: Incarnation,
    /// Earlier incarnations of this very process.
    pub(super) former: BTreeSet<Incarnation>,
    pub(super) keys: Keys,
    pub(super) seq: u64,
    pub(super) flags: u32,
    pub(super) own_macs: BTreeSet<Mac>,
    /// Interfaces that there are no more; peers may hear of it on another segment.
    vanished: BTreeSet<IfIndex>,
    claims: Arc<OwnClaims>,
    pub(super) dice: Dice,
    pub(super) counters: Arc<Counters>,
    pub(super) identities: Identities,
    pub(super) known_macs: KnownMacs,
    pub(super) speakers: BTreeMap<IfIndex, Speaker>,
    pub(super) heard: BTreeMap<IfIndex, Heard>,
    pub(super) second_path: SecondPath,
    /// Own interfaces without carrier, as peers are told.
    pub(super) dark: Vec<u32>,
    pauses: u64,
    /// And until when it counts.
    pub(super) namesake: Option<(Namesake, Time)>,
    pub(super) namesakes_reported: BTreeSet<Incarnation>,
    pub(super) refusals: Refusals,
    pub(super) changed: bool,
    /// When to ask the peer that was heard last for claims that are missing here.
    pub(super) ask_at: Option<Time>,
    /// When the last view was shown.
    viewed: Option<Time>,
    due: Option<Time>,
    /// When the machine was called last.
    called: Time,
}

/// Refused datagrams since the last notice about them.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    pub(super) count: u64,
    pub(super) reported: Option<Time>,
}

impl Membership {
    /// A machine that has heard nothing yet. `seed` is for jitter only.
    #[must_use]
    pub fn new(
        config: Config,
        me: NodeName,
        incarnation: Incarnation,
        keys: Keys,
        seed: u64,
    ) -> Self {
        Self {
            config,
            me,
            incarnation,
            former: BTreeSet::new(),
            keys,
            seq: 0,
            flags: 0,
            own_macs: BTreeSet::new(),
            vanished: BTreeSet::new(),
            claims: Arc::default(),
            dice: Dice::new(seed),
            counters: Arc::default(),
            identities: Identities::default(),
            known_macs: KnownMacs::default(),
            speakers: BTreeMap::new(),
            heard: BTreeMap::new(),
            second_path: SecondPath::default(),
            dark: Vec::new(),
            pauses: 0,
            namesake: None,
            namesakes_reported: BTreeSet::new(),
            refusals: Refusals::default(),
            changed: false,
            ask_at: None,
            viewed: None,
            due: None,
            called: Time::ZERO,
        }
    }

    /// The name of this node.
    #[must_use]
    pub fn me(&self) -> &NodeName {
        &self.me
    }

    /// Numbers for metrics.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Takes an input and everything that has fallen due by `now`. Time must not run backwards.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        self.notice_lateness(now, out);
        let heard = matches!(input, Input::Datagram { .. } | Input::Routed { .. });
        match input {
            Input::Links { links, open } => self.set_links(now, &links, &open),
            Input::Datagram {
                interface,
                source,
                bytes,
            } => {
                self.hear(now, interface, source, &bytes, out);
            }
            Input::Routed { source, bytes } => self.hear_routed(now, source, &bytes, out),
            Input::Nodes(nodes) => {
                self.changed |= self.second_path.set_nodes(now, &self.me, &nodes)
            }
            Input::Claims(claims) => self.set_claims(now, claims),
            Input::Settled(true) => self.set_flags(now, self.flags | Header::SETTLED),
            Input::Settled(false) => self.set_flags(now, self.flags & !Header::SETTLED),
            Input::Impaired(true) => self.set_flags(now, self.flags | Header::IMPAIRED),
            Input::Impaired(false) => self.set_flags(now, self.flags & !Header::IMPAIRED),
            Input::Leave => {
                self.set_flags(now, self.flags | Header::LEAVING);
                self.second_path.hurry(now);
            }
            Input::Goodbye => self.say_goodbye(out),
            Input::Keys(keys) => self.keys = keys,
            Input::Tick => self.bury(now, out),
        }
        if heard && let Some(due) = self.due_after_datagram().filter(|due| *due > now) {
            self.due = Some(due);
        } else {
            self.speak(now, out);
            self.due = Some(self.next_due(now));
        }
        if self.view_due().is_some_and(|due| due <= now) {
            self.changed = false;
            self.viewed = Some(now);
            out.push(Output::View(Arc::new(self.view())));
        }
        // After a change a moment ago: show it a moment later.
        self.due = self.due.into_iter().chain(self.view_due()).min();
    }

    /// When to call with [`Input::Tick`] at the latest; absent before the first input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.due
    }

    /// Every peer shall hear of it at once.
    pub(super) fn hurry_after_change(&mut self, now: Time) {
        self.speakers
            .values_mut()
            .for_each(|speaker| speaker.hurry_after_change(now));
    }

    /// Whether a hardware address is one of this host.
    pub(super) fn is_own(&self, mac: Mac) -> bool {
        self.own_macs.contains(&mac)
    }

    fn notice_lateness(&mut self, now: Time, out: &mut Vec<Output>) {
        let expected = self.due.map_or(now, |due| due.max(self.called));
        let late = now.since(expected);
        self.called = now;
        if late > self.config.pause_over() {
            self.pauses += 1;
            self.counters.pauses.add_one();
            self.heard
                .values_mut()
                .for_each(|heard| heard.forgive(now, &self.config));
            self.second_path.forgive(now);
            self.changed = true;
            out.push(Output::Notice(Notice::Paused { slept: late }));
        } else if late >= self.config.late_from() {
            self.heard.values_mut().for_each(|heard| heard.excuse(late));
        }
    }

    fn set_links(&mut self, now: Time, links: &Links, open: &BTreeSet<IfIndex>) {
        self.own_macs = links
            .values()
            .map(|link| link.mac)
            .filter(|mac| mac.is_unicast())
            .collect();
        self.changed |= self.known_macs.add(self.own_macs.iter().copied());
        let spoke = self.speakers.keys();
        self.vanished
            .extend(spoke.filter(|interface| !links.contains_key(interface)));
        self.vanished
            .retain(|interface| !links.contains_key(interface));
        let without_carrier = links.values().filter(|link| !link.up);
        let without_carrier = without_carrier.map(|link| link.index);
        let dark: Vec<u32> = without_carrier
            .chain(self.vanished.iter().rev().copied())
            .map(|interface| interface.0)
            .collect();
        if self.dark != dark {
            self.second_path.hurry(now);
            self.dark.clone_from(&dark);
        }
        let host = Host {
            me: &self.me,
            config: &self.config,
            macs: &self.own_macs,
            dark: &dark,
        };
        let before = self.heard.len();
        let stays = |interface: &IfIndex| open.contains(interface) && links.contains_key(interface);
        self.heard.retain(|interface, _| stays(interface));
        self.speakers.retain(|interface, _| stays(interface));
        self.changed |= self.heard.len() != before;
        let mut opened = false;
        for (interface, link) in links
            .iter()
            .filter(|(interface, _)| open.contains(interface))
        {
            let Some(speaker) = self.speakers.get_mut(interface) else {
                let speaker = Speaker::new(now, host, link);
                self.speakers.insert(*interface, speaker);
                self.heard.insert(*interface, Heard::new(now));
                self.changed = true;
                opened = true;
                continue;
            };
            self.changed |= speaker.is_up() != link.up;
            if speaker.relink(now, host, link)
                && let Some(heard) = self.heard.get_mut(interface)
            {
                heard.listening_since = now;
            }
        }
        if opened {
            self.set_claims(now, Arc::clone(&self.claims));
        }
    }

    fn set_claims(&mut self, now: Time, claims: Arc<OwnClaims>) {
        let mut by_interface: BTreeMap<IfIndex, Claims> = BTreeMap::new();
        for (place, epoch) in claims.iter() {
            by_interface
                .entry(place.interface)
                .or_default()
                .insert(place.address, *epoch);
        }
        for (interface, speaker) in &mut self.speakers {
            let wanted = by_interface.remove(interface).unwrap_or_default();
            let room = speaker.room();
            if speaker.ledger.set(now, wanted, room) {
                speaker.hurry_after_change(now);
            }
        }
        self.claims = claims;
    }

    fn set_flags(&mut self, now: Time, flags: u32) {
        if self.flags != flags {
            self.flags = flags;
            self.hurry_after_change(now);
        }
    }

    fn bury(&mut self, now: Time, out: &mut Vec<Output>) {
        let mut notices = Vec::new();
        for (interface, heard) in &mut self.heard {
            self.changed |= heard.bury(now, *interface, &mut notices);
        }
        for notice in notices {
            self.counters.deaths.add_one();
            out.push(Output::Notice(notice));
        }
        self.changed |= self.second_path.bury(now);
        let over = self.namesake.take_if(|(_, until)| *until <= now);
        self.changed |= over.is_some();
    }

    fn view(&self) -> View {
        let mut same_segment = picture::same_segment(&self.heard);
        let segments = self.heard.iter().map(|(interface, heard)| {
            let up = self.speakers.get(interface).is_some_and(Speaker::is_up);
            let same = same_segment.remove(interface).unwrap_or_default();
            (*interface, picture::segment(heard, up, same))
        });
        View {
            segments: segments.collect(),
            me: self.me.clone(),
            incarnation: self.incarnation,
            known_macs: Arc::clone(self.known_macs.all()),
            pauses: self.pauses,
            reached: Arc::clone(self.second_path.reached()),
            namesake: self.namesake.as_ref().map(|(namesake, _)| namesake.clone()),
        }
    }

    /// The deadline after a datagram without a look at every peer: one datagram makes something due sooner only by
    /// what it lets this agent say or ask for. Everything else it moves is more than a heartbeat away.
    fn due_after_datagram(&mut self) -> Option<Time> {
        let asked = self.ask_at.take();
        let spoken = self.speakers.values().filter_map(Speaker::next_deadline);
        self.due.map(|due| spoken.chain(asked).fold(due, Time::min))
    }

    /// When to show what changed.
    fn view_due(&self) -> Option<Time> {
        self.changed
            .then(|| self.viewed.map_or(Time::ZERO, |at| at + VIEWS_APART))
    }

    fn next_due(&self, now: Time) -> Time {
        let spoken = self.speakers.values().filter_map(Speaker::next_deadline);
        let heard = self.heard.iter().filter_map(|(interface, heard)| {
            let sends = self.speakers.get(interface).is_some_and(Speaker::is_up);
            heard.next_deadline(sends)
        });
        let namesake = self.namesake.iter().map(|(_, until)| *until);
        // Even with nothing to do a pause must be noticed.
        let idle = now + self.config.heartbeat;
        let routed = self.second_path.next_deadline();
        let rest = namesake.chain(routed);
        spoken.chain(heard).chain(rest).fold(idle, Time::min)
    }
}
