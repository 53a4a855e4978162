//! The sockets of one interface: a group of IPv4 and one of IPv6, as far as the interface has addresses for them.
//!
//! * The groups (224.0.0.254 and ff02::114, both set aside for experiments) are link-local: no router forwards them, no
//!   switch that snoops may withhold the first. Sockets are bound to the group itself and to the device, so they
//!   take nothing that was sent to a host: that is why the hop limit (255 when sent) is not looked at on receipt.
//! * Own datagrams are not looped back by the kernel; from another own interface they come by the wire.
//! * Each socket is opened twice over: tokio says when there is something to read, and the plain one sends, since
//!   tokio refuses to until it has seen the socket writable.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    num::NonZeroU32,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use herald_spi::{IfIndex, Link};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use tokio::io::ReadBuf;

/// The group of all agents on a segment.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 254);
/// The group of all agents on a segment.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x114);

const HOPS: u32 = 255;
/// Network control (CS6), ahead of the bulk on a full link.
pub(super) const TRAFFIC_CLASS: u32 = 0xC0;
/// Room for about 450 full datagrams; the kernel gives as much as `net.core.rmem_max` allows, by default for 180.
const RECEIVE_BUFFER: usize = 1 << 20;

/// How often the log speaks of datagrams that a socket refuses.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// The sockets of one interface.
#[derive(Debug, Default)]
pub(super) struct Port {
    v4: Option<Half>,
    v6: Option<Half>,
}

/// The socket of one interface and family.
#[derive(Debug)]
struct Half {
    group: SocketAddr,
    ready: tokio::net::UdpSocket,
    plain: UdpSocket,
    /// When the log was told last that nothing can be sent.
    complained: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

impl Port {
    /// Opens and closes sockets as the link's addresses ask for. A family that fails does not stop the other.
    ///
    /// # Errors
    /// Why a family that the link has could not be opened, for people.
    pub(super) fn adjust(&mut self, link: &Link, port: u16) -> Result<(), String> {
        let (mut v4, mut v6) = (false, false);
        for address in &link.addresses {
            match address.addr() {
                std::net::IpAddr::V4(_) => v4 = true,
                std::net::IpAddr::V6(address) => v6 |= address.is_unicast_link_local(),
            }
        }
        let first = adjust(&mut self.v4, v4, Family::V4, link, port);
        let second = adjust(&mut self.v6, v6, Family::V6, link, port);
        first.and(second)
    }

    /// Whether anything can be heard.
    pub(super) fn is_open(&self) -> bool {
        self.v4.is_some() || self.v6.is_some()
    }

    /// Sends to all agents by every family. Says for each family whether it was sent.
    pub(super) fn send(&mut self, interface: IfIndex, bytes: &[u8]) -> impl Iterator<Item = bool> {
        let halves = [&mut self.v4, &mut self.v6].into_iter().flatten();
        halves.map(move |half| half.send(interface, bytes))
    }

    /// Reads one datagram, if there is one. Registers the task for the next one otherwise.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(usize, SocketAddr)> {
        for half in [&self.v4, &self.v6].into_iter().flatten() {
            loop {
                let mut into = ReadBuf::new(buffer);
                match half.ready.poll_recv_from(cx, &mut into) {
                    Poll::Ready(Ok(source)) => return Poll::Ready((into.filled().len(), source)),
                    // An error that the kernel kept for the socket; reading it clears it.
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }
}

impl Half {
    fn open(family: Family, link: &Link, port: u16) -> io::Result<Self> {
        let index = link.index.0;
        let device = NonZeroU32::new(index);
        let of_kind = |domain| {
            Socket::new(
                domain,
                Type::DGRAM.nonblocking().cloexec(),
                Some(Protocol::UDP),
            )
        };
        let (socket, group) = match family {
            Family::V4 => {
                let socket = of_kind(Domain::IPV4)?;
                socket.bind_device_by_index_v4(device)?;
                socket.set_multicast_ttl_v4(HOPS)?;
                socket.set_multicast_loop_v4(false)?;
                socket.set_multicast_all_v4(false)?;
                let group = SocketAddr::V4(SocketAddrV4::new(GROUP_V4, port));
                socket.bind(&SockAddr::from(group))?;
                socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
                // The link is worth speaking on without these two.
                let _ = socket.set_tos_v4(TRAFFIC_CLASS);
                (socket, group)
            }
            Family::V6 => {
                let socket = of_kind(Domain::IPV6)?;
                socket.set_only_v6(true)?;
                socket.bind_device_by_index_v6(device)?;
                socket.set_multicast_hops_v6(HOPS)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_multicast_all_v6(false)?;
                socket.set_multicast_if_v6(index)?;
                let group = SocketAddr::V6(SocketAddrV6::new(GROUP_V6, port, 0, index));
                socket.bind(&SockAddr::from(group))?;
                socket.join_multicast_v6(&GROUP_V6, index)?;
                let _ = socket.set_tclass_v6(TRAFFIC_CLASS);
                (socket, group)
            }
        };
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let plain = UdpSocket::from(socket);
        let ready = tokio::net::UdpSocket::from_std(plain.try_clone()?)?;
        Ok(Self {
            group,
            ready,
            plain,
            complained: None,
        })
    }

    fn send(&mut self, interface: IfIndex, bytes: &[u8]) -> bool {
        let sent = self.plain.send_to(bytes, self.group);
        if let Err(error) = &sent
            && self
                .complained
                .is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY)
        {
            self.complained = Some(Instant::now());
            tracing::warn!(%interface, group = %self.group, %error, "cannot send to peers");
        }
        sent.is_ok()
    }
}

/// Whether another process has the port, before any interface is known.
///
/// # Errors
/// The port is taken, or there are no sockets at all.
pub(super) fn try_port(port: u16) -> io::Result<()> {
    let socket = match Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), Some(Protocol::UDP)) {
        Ok(socket) => socket,
        // A node without IPv4: the interfaces will tell.
        Err(_) => return Socket::new(Domain::IPV6, Type::DGRAM.cloexec(), None).map(drop),
    };
    socket.bind(&SockAddr::from(SocketAddrV4::new(GROUP_V4, port)))
}

fn adjust(
    half: &mut Option<Half>,
    wanted: bool,
    family: Family,
    link: &Link,
    port: u16,
) -> Result<(), String> {
    if !wanted {
        *half = None;
    } else if half.is_none() {
        let opened = Half::open(family, link, port).map_err(|error| explain(&error, link, port))?;
        *half = Some(opened);
    }
    Ok(())
}

fn explain(error: &io::Error, link: &Link, port: u16) -> String {
    if error.kind() == io::ErrorKind::AddrInUse {
        format!(
            "UDP port {port} is in use by another process on {}; choose another one with --peer-port, the same on \
             every node",
            link.name
        )
    } else {
        format!("cannot listen to peers on {}: {error}", link.name)
    }
}
