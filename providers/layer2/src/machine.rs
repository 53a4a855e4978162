//! The machine: what to send when. No socket, no clock, no task: inputs and the time go in, outputs come out,
//! and the next deadline is a value. Inputs serialise, so an incident can be recorded and replayed.
//!
//! Invariants: it answers and announces only for places that it owns now, probes only for those that it asks
//! about or owns, and nothing leaves a link that is down. Letting go takes effect at once and sends nothing
//! (neither ARP nor NDP can withdraw). The same seed and inputs give the same outputs.
//!
//! A question is answered with nobody only after its probes have left a link that was up all the while. While the
//! link is down, or after the thread was paused, it starts over; the asker has its own patience.
//!
//! ```text
//!   Desired, Links, Frame, Tick ──▶ Machine ──▶ Send, Join, Leave, Filter, Report
//!                                     │
//!                                     ├─ Port per link     who may ask how often, what waits to be sent
//!                                     │    └─ Held per address   asking, or owning and announcing
//!                                     └─ the links' MACs and the peers': they are never foreign
//! ```

mod conflict;
mod held;
mod pace;
mod port;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use herald_spi::{Desired, Duty, IfIndex, Links, Mac, Place, Report, Time};
use serde::{Deserialize, Serialize};

use crate::rng::Rng;
use pace::Pacer;
use port::Port;

/// After a pause of the whole thread the machine keeps quiet for so long: it may have lost what it owned
/// meanwhile, and whoever decides that was paused with it.
pub const QUIET: Duration = Duration::from_millis(250);
/// A flood of conflicts becomes no flood of reports.
const REPORTS: (u32, u32) = (500, 500);

/// What happens to the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Input {
    /// Everything that shall be done, whole.
    Desired(Arc<Desired>),
    /// The links of this node, whole.
    Links(Links),
    /// A frame came in.
    Frame {
        /// On which link.
        interface: IfIndex,
        /// From the Ethernet header on.
        bytes: Vec<u8>,
    },
    /// The link cannot be used although it is up (`None`: it can again), as when no socket can be opened.
    Trouble {
        /// Which link.
        interface: IfIndex,
        /// Why, for people.
        why: Option<String>,
    },
    /// The thread did not run for long; frames that queued up meanwhile were thrown away.
    Woke,
    /// Time passed.
    Tick,
}

/// What the machine wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Send a frame as it is.
    Send {
        /// On which link.
        interface: IfIndex,
        /// From the Ethernet header on.
        bytes: Vec<u8>,
    },
    /// Listen to a multicast group.
    Join {
        /// On which link.
        interface: IfIndex,
        /// A solicited-node group.
        group: Ipv6Addr,
    },
    /// Stop listening to it.
    Leave {
        /// On which link.
        interface: IfIndex,
        /// A solicited-node group.
        group: Ipv6Addr,
    },
    /// From now on exactly these addresses concern this link; none: nothing needs to be heard there.
    Filter {
        /// Which link.
        interface: IfIndex,
        /// Sorted.
        addresses: Vec<IpAddr>,
    },
    /// Tell the agent.
    Report(Report),
}

/// How often what happened; only ever grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests and solicitations for an address that is owned.
    pub requests: u64,
    /// Answers to them.
    pub replies: u64,
    /// Requests left unanswered because the asker asks too often.
    pub limited: u64,
    /// Announcements sent, defences included; each ARP form counts.
    pub gratuitous: u64,
    /// Probes sent.
    pub probes: u64,
    /// Frames that claimed an owned address for a foreign host.
    pub conflicts: u64,
    /// Announcements sent in defence; two frames for IPv4 count once.
    pub defences: u64,
    /// Received frames that were malformed.
    pub malformed: u64,
}

/// The state of all links and addresses.
#[derive(Debug)]
pub struct Machine {
    desired: Arc<Desired>,
    /// `None` until they are known.
    links: Option<Links>,
    own: BTreeSet<Mac>,
    ports: BTreeMap<IfIndex, Port>,
    quiet_until: Time,
    reports: Pacer,
    rng: Rng,
    tally: Tally,
}

/// What a port may see and use of the machine while it works.
struct Context<'a> {
    now: Time,
    own: &'a BTreeSet<Mac>,
    herald: &'a BTreeSet<Mac>,
    quiet_until: Time,
    reports: &'a mut Pacer,
    rng: &'a mut Rng,
    tally: &'a mut Tally,
    out: &'a mut Vec<Output>,
}

impl Context<'_> {
    fn is_herald(&self, mac: Mac) -> bool {
        self.own.contains(&mac) || self.herald.contains(&mac)
    }

    fn report(&mut self, report: Report) {
        self.out.push(Output::Report(report));
    }
}

impl Machine {
    /// A machine without links or duties. `seed` decides about all jitter.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            desired: Arc::default(),
            links: None,
            own: BTreeSet::new(),
            ports: BTreeMap::new(),
            quiet_until: Time::ZERO,
            reports: Pacer::new(REPORTS.0, REPORTS.1),
            rng: Rng::new(seed),
            tally: Tally::default(),
        }
    }

    /// Takes one input; a frame is answered at once. Outputs are appended to `out`.
    ///
    /// What is due is done with [`Input::Tick`] only, and that may be due right after another input; see
    /// [`Self::next_deadline`]. So all frames that are there can be read before a question counts as unanswered,
    /// and after the long work of taking over thousands of addresses the pace is still that of the wire.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Desired(desired) => self.set_desired(now, desired, out),
            Input::Links(links) => self.set_links(now, links, out),
            Input::Frame { interface, bytes } => {
                self.with_port(now, interface, out, |port, context| {
                    port.receive(&bytes, context)
                });
            }
            Input::Trouble { interface, why } => {
                self.with_port(now, interface, out, |port, context| {
                    port.set_trouble(why, context)
                });
            }
            Input::Woke => {
                self.quiet_until = now + QUIET;
                self.with_ports(now, out, Port::ask_again);
            }
            Input::Tick => self.with_ports(now, out, Port::work),
        }
        self.with_ports(now, out, Port::refilter);
    }

    /// When [`Input::Tick`] is due if nothing else happens before. That may have passed: then it is due at once.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.ports
            .values()
            .filter_map(|port| port.next_deadline(self.quiet_until))
            .min()
    }

    /// What happened so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn set_desired(&mut self, now: Time, desired: Arc<Desired>, out: &mut Vec<Output>) {
        let before = std::mem::replace(&mut self.desired, Arc::clone(&desired));
        if Arc::ptr_eq(&before, &desired) {
            return;
        }
        for (place, duty) in changes(&before.duties, &desired.duties) {
            if duty.is_some() {
                let link = self
                    .links
                    .as_ref()
                    .and_then(|links| links.get(&place.interface));
                self.ports
                    .entry(place.interface)
                    .or_insert_with(|| Port::new(place.interface, link));
            }
            // Without a list of links nothing can be said about them.
            let known = self.links.is_some();
            self.with_port(now, place.interface, out, |port, context| {
                port.assign(place.address, duty, known, context);
            });
        }
    }

    fn set_links(&mut self, now: Time, links: Links, out: &mut Vec<Output>) {
        if self.links.as_ref() == Some(&links) {
            return;
        }
        self.own = links.values().map(|link| link.mac).collect();
        out.push(Output::Report(Report::Links(links.clone())));
        let after = self.links.insert(links).clone();
        self.with_ports(now, out, |port, context| {
            port.set_link(after.get(&port.index()), context)
        });
        self.ports
            .retain(|index, port| after.contains_key(index) || !port.is_idle());
    }

    fn with_port(
        &mut self,
        now: Time,
        interface: IfIndex,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Port, &mut Context<'_>),
    ) {
        let Some(port) = self.ports.get_mut(&interface) else {
            return;
        };
        let mut context = Context {
            now,
            own: &self.own,
            herald: &self.desired.herald_macs,
            quiet_until: self.quiet_until,
            reports: &mut self.reports,
            rng: &mut self.rng,
            tally: &mut self.tally,
            out,
        };
        act(port, &mut context);
    }

    fn with_ports(
        &mut self,
        now: Time,
        out: &mut Vec<Output>,
        mut act: impl FnMut(&mut Port, &mut Context<'_>),
    ) {
        let indices: Vec<IfIndex> = self.ports.keys().copied().collect();
        for index in indices {
            self.with_port(now, index, out, &mut act);
        }
    }
}

/// The places whose duty differs, with the new one; both maps are walked once, side by side.
fn changes(
    before: &BTreeMap<Place, Duty>,
    after: &BTreeMap<Place, Duty>,
) -> Vec<(Place, Option<Duty>)> {
    let mut changes = Vec::new();
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    loop {
        match (old.peek().copied(), new.peek().copied()) {
            (None, None) => return changes,
            (Some((was, _)), next) if next.is_none_or(|(is, _)| was < is) => {
                changes.push((*was, None));
                old.next();
            }
            (last, Some((is, duty))) => {
                let unchanged = last.is_some_and(|(was, had)| was == is && had == duty);
                if !unchanged {
                    changes.push((*is, Some(*duty)));
                }
                if last.is_some_and(|(was, _)| was == is) {
                    old.next();
                }
                new.next();
            }
            (Some((was, _)), None) => {
                changes.push((*was, None));
                old.next();
            }
        }
    }
}

#[cfg(test)]
mod tests;
