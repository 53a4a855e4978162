//! The sockets: per link one packet socket for ARP and one for IPv6, each with its filter. The latter makes the NIC
//! receive the multicast groups of the link, and tells the switches.
//!
//! Invariants: a packet socket is created deaf (protocol 0), gets its filter, and only then is bound, so that it
//! never holds a frame that the filter would refuse. No promiscuous mode. A socket exists only where an address of
//! its family is wanted and the link is up; one that fails is closed at once and opened again when the list of
//! links changes or after [`RETRY`], so a broken link never spins.

mod port;

use std::{
    collections::BTreeMap,
    io::{self, Read},
    net::{IpAddr, Ipv6Addr},
    task::{Context, Poll},
    time::Duration,
};

use herald_spi::{IfIndex, Link, Links, Time};
use socket2::{Domain, SockFilter, Socket, Type};

use crate::{
    error::Layer2Error,
    filter::{self, Program},
    frame::{MAX_FRAME, mld::Query},
    sys::{self, Watched},
};
use port::{Family, Port};

/// After a failure a link's sockets are opened again so much later.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
/// Room for some thousand small frames in each direction.
const BUFFER: usize = 4 << 20;
/// So many frames are read from one socket before timers get their turn.
const BATCH: usize = 512;

const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;

/// All sockets.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    links: Links,
    ports: BTreeMap<IfIndex, Port>,
    /// Links whose state changed since [`Sockets::troubles`].
    troubles: Vec<(IfIndex, Option<String>)>,
    overruns: u64,
}

/// Whether packet sockets are allowed at all.
pub(crate) fn probe() -> Result<(), Layer2Error> {
    deaf().map(drop)
}

impl Sockets {
    /// The links as they are now: sockets of lost and downed links are closed, wanted ones are opened.
    pub(crate) fn set_links(&mut self, now: Time, links: &Links) {
        self.links.clone_from(links);
        let indices: Vec<IfIndex> = self.ports.keys().copied().collect();
        for index in indices {
            self.open(now, index);
            if let Some(port) = self.ports.get_mut(&index) {
                port.set_link(now, self.links.get(&index));
            }
        }
    }

    /// From now on these addresses are wanted on the link.
    pub(crate) fn set_addresses(&mut self, now: Time, interface: IfIndex, addresses: Vec<IpAddr>) {
        if addresses.is_empty() {
            if let Some(mut port) = self.ports.remove(&interface) {
                port.part(now);
            }
            return;
        }
        let port = self.port(now, interface);
        port.addresses = addresses;
        match port.refilter() {
            Ok(()) => self.open(now, interface),
            Err(error) => self.fail(now, interface, &error.into()),
        }
    }

    /// Sends one frame as it is. False if it could not be.
    pub(crate) fn send(&mut self, now: Time, interface: IfIndex, bytes: &[u8]) -> bool {
        let family = match bytes.get(12..14) {
            Some([8, 6]) => Family::Arp,
            _ => Family::Ndp,
        };
        let Some(port) = self.ports.get_mut(&interface) else {
            return false;
        };
        let Some(socket) = port.socket(family).as_ref() else {
            return false;
        };
        match socket.socket().send(bytes) {
            Ok(_) => true,
            Err(error) if is_passing(&error) => false,
            Err(error) => {
                self.fail(now, interface, &error.into());
                false
            }
        }
    }

    /// Ready when a frame can be read somewhere.
    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut ready = false;
        for socket in self.ports.values().flat_map(Port::sockets) {
            // Each one is asked, so that each one wakes the task.
            ready |= socket.poll_readable(context).is_ready();
        }
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Reads what has come in, up to a bounded number of frames, and hands each one over.
    pub(crate) fn read(&mut self, now: Time, mut take: impl FnMut(IfIndex, &[u8])) {
        let mut buffer = [0; MAX_FRAME + 1];
        let mut failed = Vec::new();
        for (&interface, port) in &mut self.ports {
            let mut queries = Vec::new();
            for socket in port.sockets() {
                let sort = |frame: &[u8]| match Query::parse(frame) {
                    Some(query) => queries.push(query),
                    None => take(interface, frame),
                };
                match read_batch(socket, &mut buffer, BATCH, sort) {
                    Ok(_) => {}
                    Err(error) => failed.push((interface, error)),
                }
            }
            for query in queries {
                port.listener.hear(now, &query);
            }
        }
        for (interface, error) in failed {
            self.fail(now, interface, &error.into());
        }
    }

    /// Throws away all that has come in, queries too, and tells the switches again what they may have forgotten. Says how
    /// many frames that were.
    pub(crate) fn drain(&mut self, now: Time) -> usize {
        let mut buffer = [0; 1];
        let mut failed = Vec::new();
        let mut count = 0;
        for (&interface, port) in &mut self.ports {
            port.listener.tell_again(now);
            for socket in port.sockets() {
                // More than a buffer holds; what comes in meanwhile is not old.
                match read_batch(socket, &mut buffer, BUFFER / 256, |_| {}) {
                    Ok(read) => count += read,
                    Err(error) => failed.push((interface, error)),
                }
            }
        }
        for (interface, error) in failed {
            self.fail(now, interface, &error.into());
        }
        count
    }

    /// Listens to a multicast group.
    pub(crate) fn join(&mut self, now: Time, interface: IfIndex, group: Ipv6Addr) {
        let port = self.port(now, interface);
        if port.listener.join(now, group)
            && let Err(error) = port.receive(interface, group, sys::Membership::Add)
        {
            self.fail(now, interface, &error.into());
        }
    }

    /// Stops listening to it.
    pub(crate) fn leave(&mut self, now: Time, interface: IfIndex, group: Ipv6Addr) {
        let Some(port) = self.ports.get_mut(&interface) else {
            return;
        };
        if port.listener.leave(now, group) {
            // A link that is gone has taken the membership with it.
            drop(port.receive(interface, group, sys::Membership::Drop));
        }
    }

    /// Tells the switches that nobody listens here any more.
    pub(crate) fn part(&mut self, now: Time) {
        for port in self.ports.values_mut() {
            port.part(now);
        }
    }

    /// When [`Self::retry`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.ports
            .values()
            .flat_map(|port| [port.retry_at, port.next_report()])
            .flatten()
            .min()
    }

    /// Tries again what failed long enough ago, and reports what is due.
    pub(crate) fn retry(&mut self, now: Time) {
        let due = |port: &Port| port.retry_at.is_some_and(|at| at <= now);
        let indices: Vec<IfIndex> = self
            .ports
            .iter()
            .filter(|(_, port)| due(port))
            .map(|(index, _)| *index)
            .collect();
        for index in indices {
            self.open(now, index);
        }
        for port in self.ports.values_mut() {
            port.report(now);
        }
    }

    /// Links that broke (and why) or work again, since the last call.
    pub(crate) fn troubles(&mut self) -> Vec<(IfIndex, Option<String>)> {
        std::mem::take(&mut self.troubles)
    }

    /// How many frames were lost because a buffer was full.
    pub(crate) fn overruns(&mut self) -> u64 {
        let sockets = self.ports.values().flat_map(Port::sockets);
        self.overruns += sockets
            .map(|socket| sys::dropped(socket.socket()))
            .sum::<u64>();
        self.overruns
    }

    /// Opens what is wanted and missing, if the link is up; closes everything if it is not.
    fn open(&mut self, now: Time, interface: IfIndex) {
        let Some(port) = self.ports.get_mut(&interface) else {
            return;
        };
        port.retry_at = None;
        let Some(link) = self.links.get(&interface).filter(|link| link.up) else {
            port.close();
            // The machine sees for itself that the link is down or gone, and forgets what went wrong before.
            if std::mem::take(&mut port.broken) {
                self.troubles.push((interface, None));
            }
            return;
        };
        let opened = [Family::Arp, Family::Ndp]
            .into_iter()
            .try_for_each(|family| {
                if !port.wants(family) {
                    port.stop(now, family);
                } else if port.socket(family).is_none() {
                    *port.socket(family) = Some(listen(link, family, &port.addresses)?);
                    port.started(now, interface, family)?;
                }
                Ok(())
            });
        match opened {
            Ok(()) if port.broken => {
                port.broken = false;
                self.troubles.push((interface, None));
                tracing::info!(link = link.name, "packet sockets are open again");
            }
            Ok(()) => {}
            Err(error) => self.fail(now, interface, &error),
        }
    }

    fn port(&mut self, now: Time, interface: IfIndex) -> &mut Port {
        self.ports.entry(interface).or_insert_with(|| {
            let seed = sys::since_boot().subsec_nanos();
            let mut port = Port::new(u64::from(seed) << 32 | u64::from(interface.0));
            port.set_link(now, self.links.get(&interface));
            port
        })
    }

    /// Closes a link's sockets for a while. Told and logged once.
    fn fail(&mut self, now: Time, interface: IfIndex, error: &Layer2Error) {
        let Some(port) = self.ports.get_mut(&interface) else {
            return;
        };
        port.close();
        port.retry_at = Some(now + RETRY);
        if !std::mem::replace(&mut port.broken, true) {
            self.troubles.push((interface, Some(error.to_string())));
            let link = self.links.get(&interface).map_or("", |link| &link.name);
            tracing::warn!(link, reason = error.reason(), %error, "cannot use the link; trying on");
        }
    }
}

impl From<io::Error> for Layer2Error {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

/// A packet socket that hears nothing yet.
fn deaf() -> Result<Socket, Layer2Error> {
    let kind = Type::RAW.nonblocking().cloexec();
    Socket::new(Domain::PACKET, kind, None).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Layer2Error::NeedsNetRaw(error),
        _ => Layer2Error::Socket(error),
    })
}

fn listen(link: &Link, family: Family, addresses: &[IpAddr]) -> Result<Watched, Layer2Error> {
    let socket = deaf()?;
    let ethertype = match family {
        Family::Arp => ETH_P_ARP,
        Family::Ndp => ETH_P_IPV6,
    };
    let failed = |source| Layer2Error::Open {
        link: link.name.clone(),
        source,
    };
    sys::size_buffers(&socket, BUFFER);
    attach(&socket, family, addresses).map_err(failed)?;
    sys::link_address(link.index, ethertype)
        .and_then(|address| socket.bind(&address))
        .map_err(failed)?;
    Watched::new(socket).map_err(failed)
}

/// A socket beside those that answer: it hears what the program passes on one link.
pub(crate) fn open(link: &Link, ethertype: u16, program: &Program) -> Result<Watched, Layer2Error> {
    let socket = deaf()?;
    let bound = || -> io::Result<()> {
        socket.attach_filter(&translate(program))?;
        socket.bind(&sys::link_address(link.index, ethertype)?)
    };
    let failed = |source| Layer2Error::Open {
        link: link.name.clone(),
        source,
    };
    bound().map_err(failed)?;
    Watched::new(socket).map_err(failed)
}

/// Attaches the filter for the addresses, or a wider one if the kernel has no room for it.
fn attach(socket: &Socket, family: Family, addresses: &[IpAddr]) -> io::Result<()> {
    let (narrow, wide) = match family {
        Family::Arp => (filter::arp(addresses), filter::any_arp()),
        Family::Ndp => (filter::ndp(addresses), filter::any_ndp()),
    };
    socket
        .attach_filter(&translate(&narrow))
        .or_else(|_| socket.attach_filter(&translate(&wide)))
}

fn translate(program: &Program) -> Vec<SockFilter> {
    program
        .iter()
        .map(|it| SockFilter::new(it.code, it.jt, it.jf, it.k))
        .collect()
}

/// Reads up to `limit` frames. A longer frame than the buffer is cut off.
pub(crate) fn read_batch(
    watched: &Watched,
    buffer: &mut [u8],
    limit: usize,
    mut take: impl FnMut(&[u8]),
) -> io::Result<usize> {
    let mut socket = watched.socket();
    for count in 0..limit {
        match socket.read(buffer) {
            Ok(length) => take(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                watched.exhausted();
                return Ok(count);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(limit)
}

/// Whether a failed send says nothing about the socket: the queue was full for a moment.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    let full = [libc::ENOBUFS, libc::ENOMEM]
        .map(Some)
        .contains(&error.raw_os_error());
    full || matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
