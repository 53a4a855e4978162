//! What the machine says: what is due, and what was asked for.

use herald_spi::{IfIndex, Mac, NodeName, Time};

use super::{
    Membership, Output,
    message::{Body, Changes, Header, MAX_DARK, MAX_MACS, Message, Probe, Word},
    second_path::Round,
    speaker::Speaker,
};

/// The last words are said so often, for nobody is there to repeat them.
const GOODBYES: usize = 3;
/// What CBOR adds to a name, at most.
const NAME_HEAD: usize = 3;

impl Membership {
    /// Says everything that is due on every interface.
    pub(super) fn speak(&mut self, now: Time, out: &mut Vec<Output>) {
        // The beats of all interfaces go together, for one awakening of the processor is dearer than what is sent.
        let is_due = |speaker: &Speaker| speaker.next_deadline().is_some_and(|at| at <= now);
        let soon = match self.speakers.values().any(is_due) {
            true => now + self.config.heartbeat / 10,
            false => now,
        };
        let mut bodies = Vec::new();
        for (interface, speaker) in self.speakers.iter_mut().filter(|(_, s)| s.is_up()) {
            let due = speaker.due(now, soon, &self.config, &mut self.dice);
            bodies.extend(due.into_iter().map(|body| (*interface, body)));
            let Some(heard) = self.heard.get_mut(interface) else {
                continue;
            };
            let suspects = heard.suspects(now);
            let probes = probes(suspects, speaker.room());
            probes.iter().for_each(|_| self.counters.probes.add_one());
            bodies.extend(
                probes
                    .into_iter()
                    .map(|probe| (*interface, Body::Probe(probe))),
            );
            let requests = heard.requests(now, &mut self.dice, speaker.room());
            requests
                .iter()
                .for_each(|_| self.counters.sync_requests.add_one());
            bodies.extend(
                requests
                    .into_iter()
                    .map(|r| (*interface, Body::SyncRequest(r))),
            );
        }
        for (interface, body) in bodies {
            self.send(interface, body, out);
        }
        if let Some(round) = self.second_path.due(now, &self.config, &mut self.dice) {
            self.send_routed(round, out);
        }
    }

    /// The last words; nothing is said after them.
    pub(super) fn say_goodbye(&mut self, out: &mut Vec<Output>) {
        self.flags |= Header::GONE;
        let interfaces: Vec<IfIndex> = self.speakers.keys().copied().collect();
        for interface in std::iter::repeat_n(interfaces, GOODBYES).flatten() {
            self.send(interface, Body::Heartbeat(Changes::default()), out);
        }
        let everybody = Round {
            to: self.second_path.everybody(),
            again: self.second_path.again(),
        };
        if !everybody.to.is_empty() {
            self.send_routed(everybody, out);
        }
        self.speakers.clear();
    }

    /// Sends one datagram, if the interface has a carrier.
    pub(super) fn send(&mut self, interface: IfIndex, body: Body, out: &mut Vec<Output>) {
        let Some(speaker) = self
            .speakers
            .get(&interface)
            .filter(|speaker| speaker.is_up())
        else {
            return;
        };
        self.seq += 1;
        let header = Header {
            incarnation: self.incarnation.0,
            seq: self.seq,
            flags: self.flags,
            ..speaker.header()
        };
        let bytes = self.keys.seal(&Message { header, body }.encode());
        out.push(Output::Send { interface, bytes });
    }

    /// Sends one datagram to many nodes.
    fn send_routed(&mut self, Round { to, again }: Round, out: &mut Vec<Output>) {
        self.seq += 1;
        let header = Header {
            node: self.me.clone(),
            incarnation: self.incarnation.0,
            seq: self.seq,
            interface: 0,
            interface_name: String::new(),
            mac: Mac::ZERO,
            subnets: Vec::new(),
            macs: self.own_macs.iter().take(MAX_MACS).copied().collect(),
            flags: self.flags,
            generation: 0,
            sum: 0,
            count: 0,
            pace: Some(self.config.into()),
            dark: Some(self.dark.iter().take(MAX_DARK).copied().collect()),
        };
        let body = Body::Word(Word {
            again_ms: u32::try_from(again.as_millis()).unwrap_or(u32::MAX),
        });
        let bytes = self.keys.seal(&Message { header, body }.encode());
        out.push(Output::SendRouted { to, bytes });
    }
}

/// Cuts a list of silent peers into datagrams.
fn probes(mut suspects: Vec<NodeName>, room: usize) -> Vec<Probe> {
    let mut probes = Vec::new();
    while !suspects.is_empty() {
        let mut left = room;
        let fits = suspects.iter().take_while(|node| {
            let needed = node.as_str().len() + NAME_HEAD;
            let fits = needed <= left;
            left = left.saturating_sub(needed);
            fits
        });
        let count = fits.count().max(1);
        let rest = suspects.split_off(count.min(suspects.len()));
        probes.push(Probe {
            nodes: std::mem::replace(&mut suspects, rest),
        });
    }
    probes
}
