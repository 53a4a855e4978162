//! One interface of one peer, as heard on one own interface.

use std::{collections::BTreeSet, sync::Arc};

use herald_spi::{Mac, Time};
use ipnet::IpNet;

use super::{
    Config, Incarnation,
    dice::Dice,
    message::Header,
    mirror::{Mirror, State},
};

/// What is known of a peer's interface, for as long as it is heard.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) incarnation: Incarnation,
    pub(super) since: Time,
    pub(super) interface: Arc<str>,
    pub(super) mac: Mac,
    pub(super) macs: Arc<BTreeSet<Mac>>,
    pub(super) subnets: Arc<[IpNet]>,
    pub(super) leaving: bool,
    pub(super) settled: bool,
    pub(super) impaired: bool,
    /// It has been silent for most of the dead time.
    pub(super) quiet: bool,
    pub(super) mirror: Mirror,
    /// How quickly this agent and the peer may judge each other: the slower of both settings.
    pace: Config,
    heard: Time,
    deadline: Time,
    /// When it counts as quiet unless it speaks.
    quiet_at: Time,
    /// When to ask it to speak.
    probe_at: Time,
    newest: u64,
}

impl Voice {
    /// A voice that is heard for the first time.
    pub(super) fn new(now: Time, pace: Config, header: &Header) -> Self {
        Self {
            pace,
            incarnation: Incarnation(header.incarnation),
            since: now,
            interface: header.interface_name.as_str().into(),
            mac: header.mac,
            macs: Arc::new(header.macs.clone()),
            subnets: header.subnets.as_slice().into(),
            leaving: header.has(Header::LEAVING),
            settled: header.has(Header::SETTLED),
            impaired: header.has(Header::IMPAIRED),
            quiet: false,
            mirror: Mirror::default(),
            heard: now,
            deadline: now,
            quiet_at: now,
            probe_at: now,
            newest: 0,
        }
    }

    /// It speaks. Says whether anything changed that a view shows.
    pub(super) fn hear(
        &mut self,
        now: Time,
        pace: Config,
        dice: &mut Dice,
        header: &Header,
    ) -> bool {
        self.pace = pace;
        self.heard = now;
        self.deadline = now + pace.dead_after;
        self.quiet_at = now + pace.suspect_after();
        self.probe_at = dice.between_times(self.quiet_at, self.quiet_at + pace.probe_every());
        let mut changed = replace(&mut self.quiet, false);
        if header.seq <= self.newest {
            // Overtaken by a newer datagram, whose header says more.
            return changed;
        }
        self.newest = header.seq;
        self.mirror.aim(State {
            generation: header.generation,
            digest: header.digest(),
        });
        changed |= replace(&mut self.mac, header.mac);
        changed |= replace(&mut self.leaving, header.has(Header::LEAVING));
        changed |= replace(&mut self.settled, header.has(Header::SETTLED));
        changed |= replace(&mut self.impaired, header.has(Header::IMPAIRED));
        if *self.interface != *header.interface_name {
            self.interface = header.interface_name.as_str().into();
            changed = true;
        }
        if *self.subnets != *header.subnets {
            self.subnets = header.subnets.as_slice().into();
            changed = true;
        }
        if *self.macs != header.macs {
            self.macs = Arc::new(header.macs.clone());
            changed = true;
        }
        changed
    }

    /// What it says of itself elsewhere, if that is newer; it is no sign of life here.
    pub(super) fn told(&mut self, header: &Header) -> bool {
        if !self.is_behind(header) {
            return false;
        }
        let mut changed = replace(&mut self.leaving, header.has(Header::LEAVING));
        changed |= replace(&mut self.impaired, header.has(Header::IMPAIRED));
        if changed {
            // Else what was said here before would undo it.
            self.newest = header.seq;
        }
        changed
    }

    /// When it counts as dead unless it speaks.
    pub(super) fn deadline(&self) -> Time {
        self.deadline
    }

    /// Whether it falls quiet with that.
    pub(super) fn falls_quiet(&mut self, now: Time) -> bool {
        self.quiet_at <= now && replace(&mut self.quiet, true)
    }

    /// When it is to be looked at again.
    pub(super) fn next_deadline(&self) -> Time {
        if self.quiet {
            self.deadline
        } else {
            self.deadline.min(self.quiet_at)
        }
    }

    /// When it was heard last.
    pub(super) fn heard(&self) -> Time {
        self.heard
    }

    /// When to ask it to speak.
    pub(super) fn probe_at(&self) -> Time {
        self.probe_at
    }

    /// It was asked to speak, by whomever.
    pub(super) fn probed(&mut self, now: Time) {
        self.probe_at = self.probe_at.max(now + self.pace.probe_every());
    }

    /// This process slept a little: its own sleep is not the peer's silence, up to a pause.
    pub(super) fn excuse(&mut self, late: std::time::Duration) {
        let latest = self.heard + self.pace.dead_after + self.pace.pause_over();
        self.deadline = (self.deadline + late).min(latest.max(self.deadline));
        self.quiet_at = (self.quiet_at + late).min(self.deadline);
    }

    /// This process slept for long: the peer gets a fresh dead time.
    pub(super) fn forgive(&mut self, now: Time) {
        self.deadline = self.deadline.max(now + self.pace.dead_after);
    }

    /// Whether a header is newer than all that was heard of this voice.
    pub(super) fn is_behind(&self, header: &Header) -> bool {
        header.seq > self.newest
    }
}

fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    let changed = *old != new;
    *old = new;
    changed
}
