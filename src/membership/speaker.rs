//! What is said on one own interface, and when.
//!
//! Beats come every heartbeat (less up to a tenth, so that agents do not fall into step), sooner when claims changed,
//! and in a short quick row when a peer asks or when a change is to be repeated.

use std::{collections::BTreeSet, time::Duration};

use herald_spi::{Link, Mac, NodeName, Time};

use super::{
    Config, auth,
    dice::Dice,
    ledger::Ledger,
    message::{
        Body, Changes, Header, MAX_DARK, MAX_DATAGRAM, MAX_MACS, MAX_SUBNETS, Message, Part,
    },
};

/// Changes that come sooner after a beat than this wait, so that many go together.
const COALESCE: Duration = Duration::from_millis(5);
/// Many datagrams go out in small bursts, for a socket's buffer holds about 180 of all agents together: 1,600 changes'
/// datagrams a second, and as many of parts.
const BURST: usize = 8;
const BURST_EVERY: Duration = Duration::from_millis(5);
/// The bytes of a body that are no claims: kind, heads of arrays, numbers.
const BODY_HEADS: usize = 40;
/// The quick beats after a change.
const AFTER_CHANGE: u8 = 3;
/// The quick beats after a question; a peer that has heard none of them asks again.
const AFTER_PROBE: u8 = 4;

/// What every interface says of the node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    pub(super) me: &'a NodeName,
    pub(super) config: &'a Config,
    pub(super) macs: &'a BTreeSet<Mac>,
    /// The interfaces without carrier.
    pub(super) dark: &'a [u32],
}

/// The mouth of one interface.
#[derive(Debug)]
pub(super) struct Speaker {
    link: Link,
    /// The header as it stays until the links change.
    template: Header,
    /// What a datagram has for the entries of its body.
    room: usize,
    pub(super) ledger: Ledger,
    next_beat: Time,
    last_beat: Option<Time>,
    quick: u8,
    next_burst: Time,
}

impl Speaker {
    /// Begins to speak at once.
    pub(super) fn new(now: Time, host: Host<'_>, link: &Link) -> Self {
        let template = template(host, link);
        Self {
            room: room(&template),
            template,
            link: link.clone(),
            ledger: Ledger::default(),
            next_beat: now,
            last_beat: None,
            quick: AFTER_CHANGE,
            next_burst: now,
        }
    }

    /// The link or the node's addresses may have changed. Says whether the link goes up with that.
    pub(super) fn relink(&mut self, now: Time, host: Host<'_>, link: &Link) -> bool {
        let template = template(host, link);
        if self.link == *link && self.template == template {
            return false;
        }
        let rises = link.up && !self.link.up;
        self.room = room(&template);
        self.template = template;
        self.link = link.clone();
        self.ledger.recut(now, self.room);
        self.hurry_after_change(now);
        rises
    }

    /// Whether anything can be sent.
    pub(super) fn is_up(&self) -> bool {
        self.link.up
    }

    /// What a datagram has for the entries of its body.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// The header without what differs from datagram to datagram.
    pub(super) fn header(&self) -> Header {
        let digest = self.ledger.digest();
        Header {
            generation: self.ledger.generation(),
            sum: digest.sum,
            count: digest.count,
            ..self.template.clone()
        }
    }

    /// Something changed: say it at once, and again soon.
    pub(super) fn hurry_after_change(&mut self, now: Time) {
        self.hurry(now, AFTER_CHANGE);
    }

    /// A peer has not heard this agent for a while: speak at once, and again soon.
    pub(super) fn hurry_after_probe(&mut self, now: Time) {
        self.hurry(now, AFTER_PROBE);
    }

    /// What is to be said now, beats and parts. A beat that is due by `soon` goes with the others.
    pub(super) fn due(
        &mut self,
        now: Time,
        soon: Time,
        config: &Config,
        dice: &mut Dice,
    ) -> Vec<Body> {
        if !self.link.up {
            return Vec::new();
        }
        let mut bodies = Vec::new();
        if self.next_beat <= soon {
            let beat: Vec<Changes> = self.ledger.beat(self.room, BURST);
            bodies.extend(beat.into_iter().map(Body::Heartbeat));
            self.last_beat = Some(now);
            let pause = if self.ledger.has_rest() {
                BURST_EVERY
            } else if self.quick > 0 {
                self.quick -= 1;
                config.probe_every()
            } else {
                dice.between(config.heartbeat * 9 / 10, config.heartbeat)
            };
            self.next_beat = now + pause;
        }
        if self.ledger.has_parts() && self.next_burst <= now {
            let parts: Vec<Part> = self.ledger.parts(now, BURST);
            bodies.extend(parts.into_iter().map(Body::Claims));
            self.next_burst = now + BURST_EVERY;
        }
        bodies
    }

    /// When something is to be said next.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let burst = self.ledger.has_parts().then_some(self.next_burst);
        burst
            .into_iter()
            .chain([self.next_beat])
            .min()
            .filter(|_| self.link.up)
    }

    fn hurry(&mut self, now: Time, quick: u8) {
        let soonest = self.last_beat.map_or(now, |last| now.max(last + COALESCE));
        self.next_beat = self.next_beat.min(soonest);
        self.quick = self.quick.max(quick);
    }
}

fn template(host: Host<'_>, link: &Link) -> Header {
    let dark: Vec<u32> = host.dark.iter().take(MAX_DARK).copied().collect();
    Header {
        node: host.me.clone(),
        incarnation: 0,
        seq: 0,
        interface: link.index.0,
        interface_name: link.name.clone(),
        mac: link.mac,
        subnets: link.subnets().take(MAX_SUBNETS).collect(),
        macs: host.macs.iter().take(MAX_MACS).copied().collect(),
        flags: 0,
        generation: 0,
        sum: 0,
        count: 0,
        pace: Some((*host.config).into()),
        dark: Some(dark).filter(|dark| !dark.is_empty()),
    }
}

fn room(template: &Header) -> usize {
    let longest = Header {
        incarnation: u64::MAX,
        seq: u64::MAX,
        flags: u32::MAX,
        generation: u64::MAX,
        sum: u64::MAX,
        count: u64::MAX,
        ..template.clone()
    };
    let message = Message {
        header: longest,
        body: Body::Heartbeat(Changes::default()),
    };
    MAX_DATAGRAM.saturating_sub(auth::OVERHEAD + message.encode().len() + BODY_HEADS)
}
