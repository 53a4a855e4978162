//! One link: its two sockets, and the listener that reports its groups through one of them.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv6Addr},
};

use herald_spi::{IfIndex, Link, Time};

use super::attach;
use crate::{
    frame::{
        mld::Station,
        ndp::{multicast_mac, solicited_node},
    },
    listener::Listener,
    sys::{self, Watched},
};

/// A link that is listened to, or shall be.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) addresses: Vec<IpAddr>,
    arp: Option<Watched>,
    ndp: Option<Watched>,
    pub(super) listener: Listener,
    /// As whom the listener reports; `None` while there is no such link.
    station: Option<Station>,
    /// Something failed; the machine knows.
    pub(super) broken: bool,
    /// When to try again.
    pub(super) retry_at: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Family {
    Arp,
    Ndp,
}

impl Port {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            addresses: Vec::new(),
            arp: None,
            ndp: None,
            listener: Listener::new(seed),
            station: None,
            broken: false,
            retry_at: None,
        }
    }

    pub(super) fn socket(&mut self, family: Family) -> &mut Option<Watched> {
        match family {
            Family::Arp => &mut self.arp,
            Family::Ndp => &mut self.ndp,
        }
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = &Watched> {
        self.arp.iter().chain(&self.ndp)
    }

    pub(super) fn wants(&self, family: Family) -> bool {
        self.addresses.iter().any(|address| match family {
            Family::Arp => address.is_ipv4(),
            Family::Ndp => address.is_ipv6(),
        })
    }

    /// Replacing a filter is atomic; frames that are queued already are looked up anyway.
    pub(super) fn refilter(&self) -> io::Result<()> {
        for (family, socket) in [(Family::Arp, &self.arp), (Family::Ndp, &self.ndp)] {
            if let Some(socket) = socket {
                attach(socket.socket(), family, &self.addresses)?;
            }
        }
        Ok(())
    }

    /// A fresh socket is in no group, and a switch may have forgotten what the one before it was told.
    pub(super) fn started(
        &mut self,
        now: Time,
        interface: IfIndex,
        family: Family,
    ) -> Result<(), io::Error> {
        let Family::Ndp = family else { return Ok(()) };
        for group in self.listener.groups() {
            self.receive(interface, group, sys::Membership::Add)?;
        }
        self.listener.tell_again(now);
        Ok(())
    }

    pub(super) fn stop(&mut self, now: Time, family: Family) {
        match family {
            Family::Arp => self.arp = None,
            Family::Ndp => self.part(now),
        }
    }

    /// The NIC receives the group from now on, or not any more.
    pub(super) fn receive(
        &self,
        interface: IfIndex,
        group: Ipv6Addr,
        how: sys::Membership,
    ) -> io::Result<()> {
        let Some(socket) = &self.ndp else {
            return Ok(());
        };
        sys::receive_group(socket.socket(), interface, multicast_mac(group), how)
    }

    /// The link as it is now, if there is one.
    pub(super) fn set_link(&mut self, now: Time, link: Option<&Link>) {
        self.listener.keep(link.map(kernels).unwrap_or_default());
        let station = link.map(station);
        if self.station != station {
            self.station = station;
            self.listener.tell_again(now);
        }
    }

    /// When the listener has something to say to those whom it can reach.
    pub(super) fn next_report(&self) -> Option<Time> {
        self.ndp.as_ref()?;
        self.station?;
        self.listener.next_deadline()
    }

    pub(super) fn report(&mut self, now: Time) {
        if self.next_report().is_some_and(|at| at <= now)
            && let Some(station) = self.station
        {
            let frames = self.listener.frames(now, station);
            self.send_reports(&frames);
        }
    }

    pub(super) fn part(&mut self, now: Time) {
        if let Some(station) = self.station {
            let frames = self.listener.farewell(now, station);
            self.send_reports(&frames);
        }
        self.ndp = None;
    }

    /// One that cannot be sent is as one that got lost: the next one makes up for it.
    fn send_reports(&self, frames: &[Vec<u8>]) {
        if let Some(socket) = &self.ndp {
            for frame in frames {
                drop(socket.socket().send(frame));
            }
        }
    }

    pub(super) fn close(&mut self) {
        self.arp = None;
        self.ndp = None;
    }
}

/// The groups that the kernel is in, for the node's own addresses.
fn kernels(link: &Link) -> BTreeSet<Ipv6Addr> {
    let own = link.addresses.iter().filter_map(|net| match net.addr() {
        IpAddr::V6(address) => Some(solicited_node(address)),
        IpAddr::V4(_) => None,
    });
    own.collect()
}

/// As whom reports leave: with the link-local address, or none while there is none.
fn station(link: &Link) -> Station {
    let locals = link.addresses.iter().filter_map(|net| match net.addr() {
        IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
        _ => None,
    });
    Station {
        mac: link.mac,
        address: locals.min().unwrap_or(Ipv6Addr::UNSPECIFIED),
    }
}
