//! What a datagram does to the machine.
//!
//! ```text
//!   bytes ─▶ signature ─▶ message ─▶ own? ─▶ identity (newest life, not heard before) ─▶ voice ─▶ body
//! ```

use std::{net::SocketAddr, time::Duration};

use herald_spi::{IfIndex, NodeName, Time};

use super::{
    Config, Incarnation, Membership, Namesake, Notice, Output, Refusal,
    heard::Heard,
    identity::Admission,
    message::{Body, Header, Message, Outdated, SyncRequest},
    voice::Voice,
};

/// How often the log speaks of refused datagrams.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// An own datagram heard back this many numbers later is a recording.
const ECHO_WITHIN: u64 = 256;
/// How many own former incarnations and namesakes are told apart.
const MOST_REMEMBERED: usize = 64;

impl Membership {
    pub(super) fn hear(
        &mut self,
        now: Time,
        interface: IfIndex,
        source: SocketAddr,
        datagram: &[u8],
        out: &mut Vec<Output>,
    ) {
        if !self.heard.contains_key(&interface) {
            return;
        }
        self.counters.received.add_one();
        let Message { header, body } = match self.open(datagram) {
            Ok(message) => message,
            Err(why) => return self.refuse(now, Some(interface), source, why, out),
        };
        if matches!(body, Body::Word(_)) {
            return self.counters.wrong_path.add_one();
        }
        if header.node == self.me {
            return self.hear_own_name(now, interface, &header, out);
        }
        let pace = self.config.with(header.config());
        match self.identities.admit(now, &pace, interface, &header) {
            Admission::Welcome { new_life } => {
                if new_life {
                    self.forget(&header.node);
                }
                if header.has(Header::GONE) {
                    return self.part(header.node, out);
                }
                self.darken(&header, out);
                self.hear_peer(now, pace, interface, &header, body, out);
            }
            Admission::Duplicate => self.counters.duplicates.add_one(),
            Admission::Stale => self.counters.stale.add_one(),
            Admission::Full => self.counters.table_full.add_one(),
            Admission::Over(notice, known) => {
                self.counters.old_incarnation.add_one();
                out.extend(notice.map(Output::Notice));
                if let Some(Incarnation(incarnation)) = known {
                    let told = Outdated {
                        node: header.node,
                        incarnation,
                    };
                    self.send(interface, Body::Outdated(told), out);
                }
            }
        }
    }

    /// A datagram that came by the second path; see there for what it may decide.
    pub(super) fn hear_routed(
        &mut self,
        now: Time,
        source: SocketAddr,
        datagram: &[u8],
        out: &mut Vec<Output>,
    ) {
        self.counters.routed_received.add_one();
        let Message { header, body } = match self.open(datagram) {
            Ok(message) => message,
            Err(why) => return self.refuse(now, None, source, why, out),
        };
        let Body::Word(word) = body else {
            return self.counters.wrong_path.add_one();
        };
        if header.node == self.me {
            return self.counters.own.add_one();
        }
        let pace = self.config.with(header.config());
        match self.identities.admit(now, &pace, None, &header) {
            Admission::Welcome { new_life } => {
                if new_life {
                    self.forget(&header.node);
                }
                self.changed |= self.known_macs.add(header.macs.iter().copied());
                if header.has(Header::GONE) {
                    return self.part(header.node, out);
                }
                self.darken(&header, out);
                for heard in self.heard.values_mut() {
                    self.changed |= heard.told(&header);
                }
                let again = Duration::from_millis(word.again_ms.into());
                self.changed |= self.second_path.hear(now, &header.node, again);
            }
            Admission::Duplicate => self.counters.duplicates.add_one(),
            Admission::Stale => self.counters.stale.add_one(),
            Admission::Full => self.counters.table_full.add_one(),
            Admission::Over(..) => self.counters.old_incarnation.add_one(),
        }
    }

    fn open(&self, datagram: &[u8]) -> Result<Message, Refusal> {
        let bytes = self.keys.open(datagram)?;
        Message::decode(bytes).map_err(|_| Refusal::Malformed)
    }

    /// A peer said its last words.
    fn part(&mut self, node: NodeName, out: &mut Vec<Output>) {
        self.changed |= self.second_path.forget(&node);
        if self.forget(&node) {
            out.push(Output::Notice(Notice::Left { node }));
        }
    }

    fn refuse(
        &mut self,
        now: Time,
        interface: Option<IfIndex>,
        source: SocketAddr,
        why: Refusal,
        out: &mut Vec<Output>,
    ) {
        match why {
            Refusal::NotHerald => &self.counters.not_herald,
            Refusal::UnknownVersion => &self.counters.unknown_version,
            Refusal::UnknownKey => &self.counters.unknown_key,
            Refusal::BadSignature => &self.counters.bad_signature,
            Refusal::Malformed => &self.counters.malformed,
        }
        .add_one();
        self.refusals.count += 1;
        if self
            .refusals
            .reported
            .is_none_or(|at| now.since(at) >= REPORT_EVERY)
        {
            self.refusals.reported = Some(now);
            let count = std::mem::take(&mut self.refusals.count);
            out.push(Output::Notice(Notice::Refused {
                why,
                source,
                interface,
                count,
            }));
        }
    }

    /// Either this very process, on another own interface of the same segment, or a namesake.
    fn hear_own_name(
        &mut self,
        now: Time,
        interface: IfIndex,
        header: &Header,
        out: &mut Vec<Output>,
    ) {
        let incarnation = Incarnation(header.incarnation);
        if incarnation == self.incarnation || self.former.contains(&incarnation) {
            self.counters.own.add_one();
            let from = IfIndex(header.interface);
            let fresh = header.seq <= self.seq && self.seq - header.seq < ECHO_WITHIN;
            if fresh
                && from != interface
                && self.heard.contains_key(&from)
                && let Some(heard) = self.heard.get_mut(&interface)
            {
                self.changed |= heard.echo(now, &self.config, from);
            }
            return;
        }
        let namesake = Namesake {
            incarnation,
            interface,
            mac: header.mac,
            on_this_host: self.is_own(header.mac),
        };
        if header.has(Header::GONE) {
            let same = |(known, _): &mut (Namesake, Time)| known.incarnation == incarnation;
            self.changed |= self.namesake.take_if(same).is_some();
            return;
        }
        let reported = &mut self.namesakes_reported;
        if reported.len() < MOST_REMEMBERED && reported.insert(incarnation) {
            out.push(Output::Notice(Notice::Namesake(namesake.clone())));
        }
        let known = self.namesake.as_ref().map(|(known, _)| known);
        // It is no stranger to the wire.
        self.changed |= self.known_macs.add(header.macs.iter().copied());
        // Of several the newest is shown.
        if known.is_none_or(|known| known.incarnation <= incarnation) {
            self.changed |= known != Some(&namesake);
            let pace = self.config.with(header.config());
            self.namesake = Some((namesake, now + pace.dead_after));
        }
    }

    fn hear_peer(
        &mut self,
        now: Time,
        pace: Config,
        interface: IfIndex,
        header: &Header,
        body: Body,
        out: &mut Vec<Output>,
    ) {
        let Some(Heard {
            voices, lost, dark, ..
        }) = self.heard.get_mut(&interface)
        else {
            return;
        };
        let key = (header.node.clone(), IfIndex(header.interface));
        let mut joined = false;
        let voice = voices.entry(key).or_insert_with(|| {
            joined = true;
            lost.remove(&header.node);
            dark.remove(&header.node);
            Voice::new(now, pace, header)
        });
        let changed = voice.hear(now, pace, &mut self.dice, header) | joined;
        let useful = match &body {
            Body::Heartbeat(changes) => voice.mirror.changes(changes),
            Body::Claims(part) => voice.mirror.part(part),
            _ => false,
        };
        let progress = voice.mirror.settle(now, &mut self.dice, useful);
        self.ask_at = voice.mirror.ask_at();
        if progress.full {
            self.counters.full_syncs.add_one();
        }
        self.changed |= changed | progress.changed;
        if changed {
            let macs = header.macs.iter().copied().chain([header.mac]);
            self.changed |= self.known_macs.add(macs);
        }
        if joined {
            out.push(Output::Notice(Notice::Joined {
                node: header.node.clone(),
                interface,
                mac: header.mac,
                incarnation: Incarnation(header.incarnation),
            }));
        }
        match body {
            Body::Heartbeat(_) | Body::Claims(_) | Body::Word(_) => {}
            Body::SyncRequest(request) => self.answer(now, interface, &request),
            Body::Probe(probe) => self.hear_probe(now, interface, &probe.nodes),
            Body::Outdated(Outdated { node, incarnation }) if node == self.me => {
                self.outlive(now, Incarnation(incarnation), out);
            }
            Body::Outdated(_) => {}
            Body::Unknown(_) => self.counters.unknown_kind.add_one(),
        }
    }

    /// The peer has lost a carrier, and says so where it still can.
    fn darken(&mut self, header: &Header, out: &mut Vec<Output>) {
        for (interface, heard) in &mut self.heard {
            if heard.darken(header) {
                self.changed = true;
                self.counters.carriers_lost.add_one();
                out.push(Output::Notice(Notice::Dark {
                    node: header.node.clone(),
                    interface: *interface,
                }));
            }
        }
    }

    fn answer(&mut self, now: Time, interface: IfIndex, request: &SyncRequest) {
        let for_me = request.node == self.me && request.interface == interface.0;
        let Some(speaker) = self.speakers.get_mut(&interface).filter(|_| for_me) else {
            return;
        };
        let room = speaker.room();
        let SyncRequest {
            since,
            generation,
            missing,
            ..
        } = request;
        if speaker
            .ledger
            .answer(now, *since, *generation, missing, room)
        {
            speaker.hurry_after_change(now);
        }
    }

    fn hear_probe(&mut self, now: Time, interface: IfIndex, nodes: &[NodeName]) {
        for node in nodes {
            if *node == self.me {
                if let Some(speaker) = self.speakers.get_mut(&interface) {
                    speaker.hurry_after_probe(now);
                }
            } else if let Some(heard) = self.heard.get_mut(&interface) {
                heard.probed(now, node);
            }
        }
    }

    /// Peers remember a later life of this node, which is silent: continue above it, or they will not listen.
    fn outlive(&mut self, now: Time, known: Incarnation, out: &mut Vec<Output>) {
        if known <= self.incarnation || self.former.len() >= MOST_REMEMBERED {
            return;
        }
        self.former.insert(self.incarnation);
        self.incarnation = known.next();
        self.changed = true;
        self.hurry_after_change(now);
        out.push(Output::Notice(Notice::Renumbered {
            incarnation: self.incarnation,
        }));
    }

    /// Forgets a peer on every interface.
    fn forget(&mut self, node: &NodeName) -> bool {
        let mut known = false;
        for heard in self.heard.values_mut() {
            known |= heard.forget(node);
        }
        self.changed |= known;
        known
    }
}
