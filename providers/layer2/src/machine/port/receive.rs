//! What a received frame means: a question about an owned address, a claim by another host, an answer.

use std::net::IpAddr;

use herald_spi::{Mac, Place, Report};

use super::{
    super::{
        Context, Output,
        conflict::Conflict,
        held::{Due, Stage},
    },
    Port,
};
use crate::frame::{self, ArpFrame, Frame, NdpFrame, arp, ndp};

/// How another host says that it has an address, or wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// As an answer does. In NDP an announcement looks like the answer to a probe.
    Reply,
    /// Unasked.
    Unasked,
}

impl Port {
    /// Takes a frame. One that is malformed, meant for another host or of no concern changes nothing.
    pub(in super::super) fn receive(&mut self, bytes: &[u8], context: &mut Context<'_>) {
        let Some(mac) = self.mac().filter(|_| self.usable()) else {
            return;
        };
        let for_us = |to: Mac| to == mac || !to.is_unicast();
        match frame::decode(bytes) {
            Ok(Frame::Arp(frame)) if for_us(frame.destination()) => self.arp(mac, &frame, context),
            Ok(Frame::Ndp(frame)) if for_us(frame.destination()) => self.ndp(mac, &frame, context),
            Ok(_) => {}
            Err(_) => context.tally.malformed += 1,
        }
    }

    fn arp(&mut self, mac: Mac, frame: &ArpFrame<'_>, context: &mut Context<'_>) {
        let (from, sender, target) = (frame.sender_mac(), frame.sender(), frame.target());
        if from == mac {
            return; // Our own frame, sent back by a bridge.
        }
        if frame.is_probe() {
            self.probed(target.into(), from, context);
        } else {
            let unasked = frame.is_request() || frame.is_announcement();
            let sign = if unasked { Sign::Unasked } else { Sign::Reply };
            self.claimed(sender.into(), from, sign, context);
        }
        if frame.is_request()
            && !frame.is_announcement()
            && self.admits(target.into(), from, false, context)
        {
            let bytes = arp::reply(mac, target, from, sender);
            context.out.push(Output::Send {
                interface: self.index,
                bytes,
            });
        }
    }

    fn ndp(&mut self, mac: Mac, frame: &NdpFrame<'_>, context: &mut Context<'_>) {
        let (from, target) = (frame.source_mac(), frame.target());
        let advertised = frame.link_layer().unwrap_or(from);
        if from == mac {
            return;
        }
        if !frame.is_solicitation() {
            self.claimed(target.into(), advertised, Sign::Reply, context);
            return;
        }
        let objects = frame.is_probe() && !context.is_herald(from);
        let answered = self.admits(target.into(), from, objects, context);
        if frame.is_probe() {
            self.probed(target.into(), from, context);
        }
        // Unlike an ARP probe, which tools send at leisure, this comes only from a host that configures it.
        if objects {
            self.conflicting(target.into(), from, answered, context);
        }
        if answered {
            let bytes = if frame.is_probe() {
                ndp::unsolicited(mac, target)
            } else {
                ndp::solicited(mac, target, advertised, frame.source())
            };
            context.out.push(Output::Send {
                interface: self.index,
                bytes,
            });
        }
    }

    /// Whether the address is owned and its asker does not ask too often. Where the answer `objects`, all askers count as
    /// one: each brings a name of its own, if it likes, and all nodes hear the answer.
    fn admits(
        &mut self,
        address: IpAddr,
        asker: Mac,
        objects: bool,
        context: &mut Context<'_>,
    ) -> bool {
        let owned = self.held.get(&address).is_some_and(|held| held.is_owned());
        if !owned || context.now < context.quiet_until {
            return false;
        }
        context.tally.requests += 1;
        let admitted = self.requesters.admit(context.now, asker, self.owned)
            && (!objects || self.objections.take(context.now, 1));
        let count = if admitted {
            &mut context.tally.replies
        } else {
            &mut context.tally.limited
        };
        *count += 1;
        admitted
    }

    /// A host says that it has the address: an answer to a question, whoever it is, or a conflict.
    fn claimed(&mut self, address: IpAddr, by: Mac, sign: Sign, context: &mut Context<'_>) {
        if context.own.contains(&by) {
            return;
        }
        self.answered(address, by, sign, context);
        if context.is_herald(by) {
            self.rivalled(address, by, context);
        } else {
            self.conflicting(address, by, false, context);
        }
    }

    /// A Herald node claims the address. If it is owned here too the agent decides which of the two lets go; neither
    /// is defended against the other.
    fn rivalled(&mut self, address: IpAddr, by: Mac, context: &mut Context<'_>) {
        let Some(Stage::Own(owning)) = self.held.get_mut(&address).map(|held| &mut held.stage)
        else {
            return;
        };
        let place = Place {
            address,
            interface: self.index,
        };
        let conflict = owning.conflict.get_or_insert_default();
        sighted(conflict, by, Report::Rivalled { place, by }, context);
    }

    /// A host wonders whether the address is free, just as we do (RFC 5227 section 2.1.1). Peers may wonder at
    /// the same time.
    fn probed(&mut self, address: IpAddr, by: Mac, context: &mut Context<'_>) {
        if !context.is_herald(by) {
            self.answered(address, by, Sign::Unasked, context);
        }
    }

    fn answered(&mut self, address: IpAddr, by: Mac, sign: Sign, context: &mut Context<'_>) {
        let Some(held) = self.held.get_mut(&address) else {
            return;
        };
        if held.is_check() && sign == Sign::Unasked {
            return;
        }
        let Stage::Ask(asking) = &mut held.stage else {
            return;
        };
        if asking.answered || !asking.heard(by) {
            return;
        }
        asking.close();
        let place = Place {
            address,
            interface: self.index,
        };
        context.report(Report::Answered {
            place,
            question: asking.question.id,
            by: [by].into(),
        });
        self.rearm(address);
    }

    /// A foreign host claims the address. If it is owned that is reported, and defended, unless it is `answered` to all
    /// nodes, which says the same.
    fn conflicting(&mut self, address: IpAddr, by: Mac, answered: bool, context: &mut Context<'_>) {
        let Some(held) = self.held.get_mut(&address) else {
            return;
        };
        let Stage::Own(owning) = &mut held.stage else {
            return;
        };
        context.tally.conflicts += 1;
        let waiting = (owning.defence_rank(), address);
        let place = Place {
            address,
            interface: self.index,
        };
        let conflict: &mut Conflict = owning.conflict.get_or_insert_default();
        sighted(conflict, by, Report::Conflict { place, by }, context);
        if answered {
            conflict.defended(context.now);
            self.announcements.remove(&waiting);
            self.rearm(address);
        } else if conflict.defend == Due::Never {
            conflict.defend = Due::At(conflict.may_defend_at().max(context.now));
            self.rearm(address);
        }
    }
}

/// Reports a claim of another host, but not each time.
fn sighted(conflict: &mut Conflict, by: Mac, report: Report, context: &mut Context<'_>) {
    if conflict.sight(context.now, by) && context.reports.take(context.now, 1) {
        context.report(report);
    }
}
