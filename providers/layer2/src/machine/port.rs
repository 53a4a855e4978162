//! One link: its addresses, and what waits to be sent on it.
//!
//! Invariants: while the link cannot be used nothing is planned and nothing waits. A place is in `timers` exactly
//! when something is planned for it. `groups` counts the addresses that need each group; the kernel listens to
//! those of a known link.

mod receive;
mod send;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, Ipv6Addr},
};

use herald_spi::{Duty, IfIndex, Link, Mac, Place, Report, Time};

use super::{
    Context, Output,
    held::{self, Due, Held, Rank, Stage},
    pace::{Pacer, Requesters},
};
use crate::frame::ndp::solicited_node;

/// Gratuitous frames: 200 at once and 750 a second, so that no second sees more than 1,000 even if some leave a
/// moment late, and a new gain gets its turn at once even behind a backlog.
const GRATUITOUS: (u32, u32) = (200, 750);
/// Answers to all nodes for hosts that are about to take an owned address: a flood from forged senders is not doubled.
const OBJECTIONS: (u32, u32) = (50, 50);
/// Probes: a whole node's addresses can be asked about at once, without flooding the segment.
const PROBES: (u32, u32) = (2000, 10_000);

/// The part of a link that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wire {
    name: String,
    mac: Mac,
    up: bool,
}

/// All that is going on at one link.
#[derive(Debug)]
pub(super) struct Port {
    index: IfIndex,
    /// `None` while the kernel has no such link.
    wire: Option<Wire>,
    /// Why the link cannot be used although it is up.
    trouble: Option<String>,
    held: BTreeMap<IpAddr, Held>,
    /// How many of them are owned.
    owned: usize,
    timers: BTreeSet<(Time, IpAddr)>,
    announcements: BTreeSet<(Rank, IpAddr)>,
    gratuitous: Pacer,
    /// May name places that no longer wait; they are passed over.
    probes: VecDeque<IpAddr>,
    probing: Pacer,
    groups: BTreeMap<Ipv6Addr, usize>,
    requesters: Requesters,
    objections: Pacer,
    /// The set of addresses changed since the last filter.
    stale_filter: bool,
}

impl Port {
    pub(super) fn new(index: IfIndex, link: Option<&Link>) -> Self {
        Self {
            index,
            wire: link.map(Wire::from),
            trouble: None,
            held: BTreeMap::new(),
            owned: 0,
            timers: BTreeSet::new(),
            announcements: BTreeSet::new(),
            gratuitous: Pacer::new(GRATUITOUS.0, GRATUITOUS.1),
            probes: VecDeque::new(),
            probing: Pacer::new(PROBES.0, PROBES.1),
            groups: BTreeMap::new(),
            requesters: Requesters::default(),
            objections: Pacer::new(OBJECTIONS.0, OBJECTIONS.1),
            stale_filter: false,
        }
    }

    pub(super) fn index(&self) -> IfIndex {
        self.index
    }

    /// Whether nothing is asked or owned here.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// Gives an address a new duty, or none. `known`: whether the list of links is complete.
    pub(super) fn assign(
        &mut self,
        address: IpAddr,
        duty: Option<Duty>,
        known: bool,
        context: &mut Context<'_>,
    ) {
        let before = self.take(address);
        self.stale_filter |= before.is_some() != duty.is_some();
        let listened = before.as_ref().is_some_and(|held| !held.is_check());
        let listens = duty.is_some_and(|duty| !held::is_check(duty));
        match (listened, listens) {
            (false, true) => self.listen_more(address, context),
            (true, false) => self.listen_less(address, context),
            _ => {}
        }
        let Some(duty) = duty else { return };
        let mut held = Held::new(context.now, duty);
        let mut starts = true;
        if let Some(before) = before {
            held.failing = before.failing;
            if let (Duty::Own { round: was, .. }, Duty::Own { round: is, .. }) = (before.duty, duty)
            {
                held.stage = before.stage;
                starts = was != is;
            }
        }
        self.put(address, held);
        if starts {
            self.start(address, context);
        }
        if known {
            self.check(address, context);
        }
    }

    /// The link as it is now; `None` if there is none.
    pub(super) fn set_link(&mut self, link: Option<&Link>, context: &mut Context<'_>) {
        let wire = link.map(Wire::from);
        let before = std::mem::replace(&mut self.wire, wire);
        let interface = self.index;
        match (&before, &self.wire) {
            (None, Some(_)) => {
                let join = |&group| Output::Join { interface, group };
                context.out.extend(self.groups.keys().map(join));
                self.stale_filter |= !self.held.is_empty();
            }
            (Some(_), None) => {
                let leave = |&group| Output::Leave { interface, group };
                context.out.extend(self.groups.keys().map(leave));
                context.out.push(Output::Filter {
                    interface,
                    addresses: Vec::new(),
                });
                self.trouble = None;
                self.forget(context);
            }
            _ => {}
        }
        let was_usable = before.as_ref().is_some_and(|wire| wire.up) && self.trouble.is_none();
        let same_mac = before.map(|wire| wire.mac) == self.mac();
        self.settle(was_usable, same_mac, context);
    }

    /// Why the link cannot be used although it is up; `None` if it can.
    pub(super) fn set_trouble(&mut self, why: Option<String>, context: &mut Context<'_>) {
        let was_usable = self.usable();
        self.trouble = why.filter(|_| self.wire.is_some());
        self.settle(was_usable, true, context);
    }

    /// Unfinished questions start over: their answers were thrown away.
    pub(super) fn ask_again(&mut self, context: &mut Context<'_>) {
        for address in self.addresses() {
            if self.held.get(&address).is_some_and(|held| !held.is_owned()) {
                self.start(address, context);
            }
        }
    }

    /// After a change of the link: everything starts over, or stands still.
    fn settle(&mut self, was_usable: bool, same_mac: bool, context: &mut Context<'_>) {
        let usable = self.usable();
        if !usable {
            self.probes.clear();
        }
        for address in self.addresses() {
            if usable && !(was_usable && same_mac) {
                self.start(address, context);
            } else if !usable && was_usable {
                self.suspend(address);
            }
            self.check(address, context);
        }
    }

    /// The link is gone: what was owned is to be gained anew.
    fn forget(&mut self, context: &Context<'_>) {
        for address in self.addresses() {
            if let Some(before) = self.take(address) {
                let mut held = Held::new(context.now, before.duty);
                held.failing = before.failing;
                if let (Stage::Ask(is), Stage::Ask(was)) = (&mut held.stage, &before.stage) {
                    is.answered = was.answered;
                }
                self.put(address, held);
            }
        }
        self.requesters = Requesters::default();
    }

    /// Starts the probes of a question or the announcements of an owned address, if the link can be used.
    fn start(&mut self, address: IpAddr, context: &mut Context<'_>) {
        self.suspend(address);
        if !self.usable() {
            return;
        }
        let Some(held) = self.held.get_mut(&address) else {
            return;
        };
        match &mut held.stage {
            Stage::Ask(asking) if asking.answered => {}
            Stage::Ask(asking) => {
                asking.next = Due::Queued;
                self.probes.push_back(address);
            }
            Stage::Own(owning) => {
                owning.restart(context.now);
                owning.plan_probe(context.now, context.rng);
                owning.tell = Due::Queued;
                self.announcements.insert((owning.rank(), address));
            }
        }
        self.rearm(address);
    }

    /// Nothing is planned for the address any more.
    fn suspend(&mut self, address: IpAddr) {
        let Some(held) = self.held.get_mut(&address) else {
            return;
        };
        match &mut held.stage {
            Stage::Ask(asking) => asking.restart(),
            Stage::Own(owning) => {
                self.announcements.remove(&(owning.rank(), address));
                self.announcements.remove(&(owning.defence_rank(), address));
                owning.suspend();
            }
        }
        self.rearm(address);
    }

    /// Reports when an address begins or ceases to fail.
    fn check(&mut self, address: IpAddr, context: &mut Context<'_>) {
        let why = match (&self.wire, &self.trouble) {
            (None, _) => Some(format!("there is no link with index {}", self.index)),
            (Some(wire), _) if !wire.up => Some(format!("the link {} is down", wire.name)),
            (Some(wire), Some(trouble)) => Some(format!("the link {}: {trouble}", wire.name)),
            (Some(_), None) => None,
        };
        let Some(held) = self.held.get_mut(&address) else {
            return;
        };
        // A question just waits for a link that is down; the asker has its own patience.
        let why = why.filter(|_| held.is_owned() || self.wire.is_none() && !held.is_check());
        let place = Place {
            address,
            interface: self.index,
        };
        match why {
            Some(why) if !held.failing => context.report(Report::Failing { place, why }),
            None if held.failing => context.report(Report::Recovered { place }),
            _ => return,
        }
        held.failing = !held.failing;
    }

    fn listen_more(&mut self, address: IpAddr, context: &mut Context<'_>) {
        let IpAddr::V6(address) = address else { return };
        let (interface, group) = (self.index, solicited_node(address));
        let count = self.groups.entry(group).or_default();
        *count += 1;
        if *count == 1 && self.wire.is_some() {
            context.out.push(Output::Join { interface, group });
        }
    }

    fn listen_less(&mut self, address: IpAddr, context: &mut Context<'_>) {
        let IpAddr::V6(address) = address else { return };
        let (interface, group) = (self.index, solicited_node(address));
        let Some(count) = self.groups.get_mut(&group) else {
            return;
        };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.groups.remove(&group);
            if self.wire.is_some() {
                context.out.push(Output::Leave { interface, group });
            }
        }
    }

    /// Takes an address out, with all that is planned for it.
    fn take(&mut self, address: IpAddr) -> Option<Held> {
        if let Some(Held {
            stage: Stage::Own(owning),
            ..
        }) = self.held.get(&address)
        {
            self.announcements.remove(&(owning.rank(), address));
            self.announcements.remove(&(owning.defence_rank(), address));
        }
        let mut held = self.held.remove(&address)?;
        if let Some(wake) = held.wake.take() {
            self.timers.remove(&(wake, address));
        }
        self.owned -= usize::from(held.is_owned());
        Some(held)
    }

    fn put(&mut self, address: IpAddr, held: Held) {
        self.owned += usize::from(held.is_owned());
        if let Stage::Own(owning) = &held.stage {
            let defend = owning
                .conflict
                .as_ref()
                .map_or(Due::Never, |conflict| conflict.defend);
            let waiting = [
                (owning.tell, owning.rank()),
                (defend, owning.defence_rank()),
            ];
            let queued = waiting.into_iter().filter(|(due, _)| *due == Due::Queued);
            self.announcements
                .extend(queued.map(|(_, rank)| (rank, address)));
        }
        self.held.insert(address, held);
        self.rearm(address);
    }

    /// Brings the timers in line with what is planned for the address.
    fn rearm(&mut self, address: IpAddr) {
        let Some(held) = self.held.get_mut(&address) else {
            return;
        };
        let next = held.next();
        if held.wake == next {
            return;
        }
        if let Some(wake) = std::mem::replace(&mut held.wake, next) {
            self.timers.remove(&(wake, address));
        }
        if let Some(wake) = next {
            self.timers.insert((wake, address));
        }
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.held.keys().copied().collect()
    }

    fn usable(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.up) && self.trouble.is_none()
    }

    fn mac(&self) -> Option<Mac> {
        self.wire.as_ref().map(|wire| wire.mac)
    }
}

impl From<&Link> for Wire {
    fn from(link: &Link) -> Self {
        Self {
            name: link.name.clone(),
            mac: link.mac,
            up: link.up,
        }
    }
}
