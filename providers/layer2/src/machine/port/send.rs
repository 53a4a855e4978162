//! What is due and what may leave now: probes, announcements, the filter.

use std::net::IpAddr;

use herald_spi::{Mac, Place, Report, Time};

use super::{
    super::{
        Context, Output,
        held::{Due, Stage, Urgency},
    },
    Port,
};
use crate::frame::{arp, ndp};

impl Port {
    /// Does all that is due.
    pub(in super::super) fn work(&mut self, context: &mut Context<'_>) {
        self.run_timers(context);
        if let Some(mac) = self.mac().filter(|_| self.usable()) {
            self.send_probes(mac, context);
            self.send_announcements(mac, context);
        }
    }

    /// Tells which addresses concern the link, if that changed.
    pub(in super::super) fn refilter(&mut self, context: &mut Context<'_>) {
        if std::mem::take(&mut self.stale_filter) && self.wire.is_some() {
            let addresses = self.addresses();
            context.out.push(Output::Filter {
                interface: self.index,
                addresses,
            });
        }
    }

    /// When [`Self::work`] has something to do next.
    pub(in super::super) fn next_deadline(&self, quiet_until: Time) -> Option<Time> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let probe = self.probes.front().map(|_| self.probing.ready_at(1));
        let announcement = self.announcements.first();
        let announcement = announcement
            .map(|(_, address)| self.gratuitous.ready_at(frames(*address)).max(quiet_until));
        [timer, probe, announcement].into_iter().flatten().min()
    }

    fn run_timers(&mut self, context: &mut Context<'_>) {
        while let Some(entry) = self
            .timers
            .first()
            .copied()
            .filter(|(at, _)| *at <= context.now)
        {
            self.timers.remove(&entry);
            let (_, address) = entry;
            if let Some(held) = self.held.get_mut(&address) {
                held.wake = None;
            }
            self.run_timer(address, context);
            self.rearm(address);
        }
    }

    fn run_timer(&mut self, address: IpAddr, context: &mut Context<'_>) {
        let is_due = |due: Due| matches!(due, Due::At(at) if at <= context.now);
        let Some(held) = self.held.get_mut(&address) else {
            return;
        };
        match &mut held.stage {
            Stage::Ask(asking) if asking.is_over() => {
                asking.close();
                let place = Place {
                    address,
                    interface: self.index,
                };
                context.report(Report::Answered {
                    place,
                    question: asking.question.id,
                    by: asking.by.clone(),
                });
            }
            Stage::Ask(asking) => {
                asking.next = Due::Queued;
                self.probes.push_back(address);
            }
            Stage::Own(owning) => {
                if is_due(owning.tell) {
                    owning.tell = Due::Queued;
                    self.announcements.insert((owning.rank(), address));
                }
                if is_due(owning.probe) {
                    owning.probe = Due::Queued;
                    self.probes.push_back(address);
                }
                let rank = owning.defence_rank();
                if let Some(conflict) = owning.conflict.as_mut().filter(|it| is_due(it.defend)) {
                    conflict.defend = Due::Queued;
                    self.announcements.insert((rank, address));
                }
            }
        }
    }

    fn send_probes(&mut self, mac: Mac, context: &mut Context<'_>) {
        while let Some(&address) = self.probes.front() {
            if !self.waits_to_probe(address) {
                self.probes.pop_front();
                continue;
            }
            if !self.probing.take(context.now, 1) {
                return;
            }
            self.probes.pop_front();
            let bytes = match address {
                IpAddr::V4(address) => arp::probe(mac, address),
                IpAddr::V6(address) => ndp::probe(mac, address),
            };
            context.out.push(Output::Send {
                interface: self.index,
                bytes,
            });
            context.tally.probes += 1;
            match self.held.get_mut(&address).map(|held| &mut held.stage) {
                Some(Stage::Ask(asking)) => asking.probed(context.now, context.rng),
                Some(Stage::Own(owning)) => owning.probed(context.now, context.rng),
                None => {}
            }
            self.rearm(address);
        }
    }

    fn waits_to_probe(&self, address: IpAddr) -> bool {
        let Some(held) = self.held.get(&address) else {
            return false;
        };
        match &held.stage {
            Stage::Ask(asking) => asking.next == Due::Queued,
            Stage::Own(owning) => owning.probe == Due::Queued,
        }
    }

    fn send_announcements(&mut self, mac: Mac, context: &mut Context<'_>) {
        if context.now < context.quiet_until {
            return;
        }
        while let Some(&((urgency, since), address)) = self.announcements.first() {
            if !self.gratuitous.take(context.now, frames(address)) {
                return;
            }
            self.announcements.remove(&((urgency, since), address));
            self.announce(mac, address, context);
            let Some(held) = self.held.get_mut(&address) else {
                continue;
            };
            let Stage::Own(owning) = &mut held.stage else {
                continue;
            };
            match &mut owning.conflict {
                Some(conflict) if urgency == Urgency::Defence => {
                    conflict.defended(context.now);
                    context.tally.defences += 1;
                }
                _ => owning.told(context.now, context.rng),
            }
            self.rearm(address);
        }
    }

    fn announce(&mut self, mac: Mac, address: IpAddr, context: &mut Context<'_>) {
        let interface = self.index;
        let mut send = |bytes| context.out.push(Output::Send { interface, bytes });
        match address {
            IpAddr::V4(address) => {
                send(arp::announcement_request(mac, address));
                send(arp::announcement_reply(mac, address));
            }
            IpAddr::V6(address) => send(ndp::unsolicited(mac, address)),
        }
        context.tally.gratuitous += u64::from(frames(address));
    }
}

/// How many frames an announcement takes: two forms of ARP, one advertisement.
fn frames(address: IpAddr) -> u32 {
    if address.is_ipv4() { 2 } else { 1 }
}
