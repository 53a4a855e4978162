//! The machine in virtual time: what leaves when, to the microsecond.

mod answering;
mod asking;
mod checking;
mod conflicts;
mod groups;
mod links;
mod model;
mod owning;

use std::net::{Ipv4Addr, Ipv6Addr};

use herald_spi::{Gain, Link, Question, Wonder};

use super::*;
use crate::frame::{Frame, arp, decode, ndp};

const ETH0: IfIndex = IfIndex(2);
const ETH1: IfIndex = IfIndex(3);
const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OURS_TOO: Mac = Mac([2, 0, 0, 0, 1, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const HOST: Mac = Mac([2, 0, 0, 0, 0, 9]);
const OWN: Duty = Duty::Own {
    gain: Gain::Takeover,
    round: 0,
};
const FIRST: Duty = Duty::Own {
    gain: Gain::First,
    round: 0,
};

/// A machine, its clock, and all that came out of it.
struct Bench {
    machine: Machine,
    now: Time,
    desired: Desired,
    links: Links,
    outputs: Vec<(u64, Output)>,
}

/// What a sent frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Reply,
    Probe,
    Announcement,
    AnnouncementByReply,
}

impl Bench {
    /// With two links that are up.
    fn new() -> Self {
        let mut bench = Self::without_links();
        bench.set_links(&[link(ETH0, OURS, true), link(ETH1, OURS_TOO, true)]);
        bench.outputs.clear();
        bench
    }

    /// At 100 s, so that nothing saturates at zero.
    fn without_links() -> Self {
        Self {
            machine: Machine::new(7),
            now: Time::from_start(Duration::from_secs(100)),
            desired: Desired {
                herald_macs: [OURS, OURS_TOO, PEER].into(),
                ..Desired::default()
            },
            links: Links::new(),
            outputs: Vec::new(),
        }
    }

    /// Takes an input, and the tick that may be due at once after it.
    fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.machine.handle(self.now, input, &mut out);
        if self
            .machine
            .next_deadline()
            .is_some_and(|at| at <= self.now)
        {
            self.machine.handle(self.now, Input::Tick, &mut out);
        }
        let at = self.millis();
        self.outputs
            .extend(out.into_iter().map(|output| (at, output)));
    }

    fn set_links(&mut self, links: &[Link]) {
        self.links = links
            .iter()
            .map(|link| (link.index, link.clone()))
            .collect();
        self.feed(Input::Links(self.links.clone()));
    }

    /// Changes some duties and hands over the whole set.
    fn want(&mut self, changes: &[(&str, IfIndex, Option<Duty>)]) {
        for (address, interface, duty) in changes {
            let place = place(address, *interface);
            match duty {
                Some(duty) => self.desired.duties.insert(place, *duty),
                None => self.desired.duties.remove(&place),
            };
        }
        self.feed(Input::Desired(Arc::new(self.desired.clone())));
    }

    fn own(&mut self, address: &str) {
        self.want(&[(address, ETH0, Some(OWN))]);
    }

    fn hear(&mut self, bytes: Vec<u8>) {
        self.feed(Input::Frame {
            interface: ETH0,
            bytes,
        });
    }

    /// Lets the time pass, with a tick at each deadline.
    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut ticks = 0;
        while let Some(deadline) = self.machine.next_deadline().filter(|at| *at <= until) {
            ticks += 1;
            assert!(ticks < 100_000, "the machine spins");
            self.now = self.now.max(deadline);
            self.feed(Input::Tick);
        }
        self.now = until;
        self.feed(Input::Tick);
    }

    fn pass_ms(&mut self, millis: u64) {
        self.pass(Duration::from_millis(millis));
    }

    /// Milliseconds since the bench was made.
    fn millis(&self) -> u64 {
        let elapsed = self.now.since(Time::from_start(Duration::from_secs(100)));
        u64::try_from(elapsed.as_millis()).unwrap()
    }

    /// The frames that left since the last call: when, where, what, about which address.
    fn sent(&mut self) -> Vec<(u64, IfIndex, Kind, IpAddr)> {
        let outputs = std::mem::take(&mut self.outputs);
        let (sent, rest) = outputs
            .into_iter()
            .partition(|(_, out)| matches!(out, Output::Send { .. }));
        self.outputs = rest;
        let sent: Vec<(u64, Output)> = sent;
        sent.iter()
            .map(|(at, output)| {
                let Output::Send { interface, bytes } = output else {
                    panic!("{output:?}")
                };
                let (kind, address) = classify(bytes);
                (*at, *interface, kind, address)
            })
            .collect()
    }

    /// The bytes of all frames that left since the last call.
    fn frames(&mut self) -> Vec<Vec<u8>> {
        let outputs = std::mem::take(&mut self.outputs);
        outputs
            .into_iter()
            .filter_map(|(_, output)| match output {
                Output::Send { bytes, .. } => Some(bytes),
                _ => None,
            })
            .collect()
    }

    /// The reports since the last call, but for the links.
    fn reports(&mut self) -> Vec<(u64, Report)> {
        let outputs = std::mem::take(&mut self.outputs);
        outputs
            .into_iter()
            .filter_map(|(at, output)| match output {
                Output::Report(Report::Links(_)) => None,
                Output::Report(report) => Some((at, report)),
                _ => None,
            })
            .collect()
    }

    /// When which frame left, for which address.
    fn sent_for(&mut self) -> Vec<(u64, Kind, String)> {
        let sent = self.sent().into_iter();
        sent.map(|(at, _, kind, address)| (at, kind, address.to_string()))
            .collect()
    }

    /// When the frames of one kind left.
    fn times(&mut self, kind: Kind) -> Vec<u64> {
        self.sent()
            .into_iter()
            .filter(|(_, _, it, _)| *it == kind)
            .map(|(at, ..)| at)
            .collect()
    }
}

fn link(index: IfIndex, mac: Mac, up: bool) -> Link {
    Link {
        index,
        name: format!("eth{}", index.0 - 2),
        mac,
        up,
        addresses: Vec::new(),
    }
}

fn place(address: &str, interface: IfIndex) -> Place {
    Place {
        address: address.parse().unwrap(),
        interface,
    }
}

fn ask(id: u64, wonder: Wonder) -> Duty {
    Duty::Ask(Question { id, wonder })
}

fn v4(address: &str) -> Ipv4Addr {
    address.parse().unwrap()
}

fn v6(address: &str) -> Ipv6Addr {
    address.parse().unwrap()
}

fn classify(bytes: &[u8]) -> (Kind, IpAddr) {
    match decode(bytes).expect("only valid frames leave") {
        Frame::Arp(frame) if frame.is_probe() => (Kind::Probe, frame.target().into()),
        Frame::Arp(frame) if frame.is_announcement() && frame.is_request() => {
            (Kind::Announcement, frame.sender().into())
        }
        Frame::Arp(frame) if frame.is_announcement() => {
            (Kind::AnnouncementByReply, frame.sender().into())
        }
        Frame::Arp(frame) => (Kind::Reply, frame.sender().into()),
        Frame::Ndp(frame) if frame.is_probe() => (Kind::Probe, frame.target().into()),
        Frame::Ndp(frame) if frame.flags().solicited => (Kind::Reply, frame.target().into()),
        Frame::Ndp(frame) => (Kind::Announcement, frame.target().into()),
    }
}
