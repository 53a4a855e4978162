//! The system calls that socket2 and tokio do not offer safely. The only file of this crate with `unsafe`.
#![allow(
    unsafe_code,
    reason = "packet addresses, AsyncFd::register and a few options have no safe wrapper"
)]

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    task::{Context, Poll, ready},
    time::Duration,
};

use herald_spi::{IfIndex, Mac};
use socket2::{SockAddr, SockAddrStorage, Socket};
use tokio::io::{Interest, unix::AsyncFd};

/// A non-blocking socket that wakes its task when it can be read.
#[derive(Debug)]
pub(crate) struct Watched(AsyncFd<Socket>);

impl Watched {
    /// Takes a non-blocking socket. Must be called inside a tokio runtime.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        // SAFETY: the `Socket` owns its descriptor and returns always the same one. The `AsyncFd` owns the
        // `Socket` and hands out no mutable reference to it, as it is private here, so the descriptor stays
        // open until the `AsyncFd` is dropped.
        let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        registered.map(Self).map_err(|error| error.into_parts().1)
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &Socket {
        self.0.get_ref()
    }

    /// Ready when a read may succeed, or fail with something else than `WouldBlock`.
    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        // An error here means that the runtime ends; reading will tell.
        drop(ready!(self.0.poll_read_ready(context)));
        Poll::Ready(())
    }

    /// After a read ended with `WouldBlock`: [`Self::poll_readable`] waits again.
    pub(crate) fn exhausted(&self) {
        let empty = |_: &Socket| Err::<(), _>(io::ErrorKind::WouldBlock.into());
        drop(self.0.try_io(Interest::READABLE, empty));
    }
}

/// A packet socket's address: frames of one ethertype on one link. Protocol 0 stands for none.
pub(crate) fn link_address(interface: IfIndex, ethertype: u16) -> io::Result<SockAddr> {
    let index = i32::try_from(interface.0).map_err(|_| io::ErrorKind::InvalidInput)?;
    let family =
        libc::sa_family_t::try_from(libc::AF_PACKET).map_err(|_| io::ErrorKind::InvalidInput)?;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>())
        .map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is a socket address type of this platform and fits the storage.
    let address: &mut libc::sockaddr_ll = unsafe { storage.view_as() };
    address.sll_family = family;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = index;
    // SAFETY: the storage holds a whole, initialised `sockaddr_ll` of that length.
    Ok(unsafe { SockAddr::new(storage, length) })
}

/// Sets the size of both buffers, beyond the system-wide limit where CAP_NET_ADMIN allows it.
pub(crate) fn size_buffers(socket: &Socket, octets: usize) {
    let forced = i32::try_from(octets).is_ok_and(|octets| {
        set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets)
            .and_then(|()| set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, octets))
            .is_ok()
    });
    if !forced {
        // The kernel caps it; any size works.
        drop(socket.set_recv_buffer_size(octets));
        drop(socket.set_send_buffer_size(octets));
    }
}

/// `value` is what the option takes, a plain C type.
fn set_option<T: Copy>(
    socket: &Socket,
    level: libc::c_int,
    name: libc::c_int,
    value: T,
) -> io::Result<()> {
    let length =
        libc::socklen_t::try_from(size_of_val(&value)).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open while the socket is borrowed, and the pointer and the length describe
    // `value`, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// What becomes of a membership.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Membership {
    Add,
    Drop,
}

/// Makes a link's NIC receive an Ethernet multicast group as long as the packet socket is open, or not any more.
pub(crate) fn receive_group(
    socket: &Socket,
    interface: IfIndex,
    Mac(group): Mac,
    how: Membership,
) -> io::Result<()> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut address = [0; 8];
    for (octet, &from) in address.iter_mut().zip(&group) {
        *octet = from;
    }
    let request = libc::packet_mreq {
        mr_ifindex: i32::try_from(interface.0).map_err(invalid)?,
        mr_type: libc::c_ushort::try_from(libc::PACKET_MR_MULTICAST).map_err(invalid)?,
        mr_alen: libc::c_ushort::try_from(group.len()).map_err(invalid)?,
        mr_address: address,
    };
    let name = match how {
        Membership::Add => libc::PACKET_ADD_MEMBERSHIP,
        Membership::Drop => libc::PACKET_DROP_MEMBERSHIP,
    };
    set_option(socket, libc::SOL_PACKET, name, request)
}

/// How many frames the kernel dropped since the last call because the socket's buffer was full.
pub(crate) fn dropped(socket: &Socket) -> u64 {
    let mut statistics = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let Ok(mut length) = libc::socklen_t::try_from(size_of_val(&statistics)) else {
        return 0;
    };
    // SAFETY: the descriptor is open while the socket is borrowed; the kernel writes at most `length` octets
    // to `statistics`, a plain C structure of that size, and the length to `length`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        u64::from(statistics.tp_drops)
    } else {
        0
    }
}

/// Time since the machine started, including the time that it slept: a pause must be noticed.
pub(crate) fn since_boot() -> Duration {
    read_clock(libc::CLOCK_BOOTTIME)
}

/// From now on this thread runs before all that are scheduled in the ordinary way, and takes turns with its like. Needs
/// CAP_SYS_NICE.
pub(crate) fn run_first() -> io::Result<()> {
    // The lowest of the real-time priorities: nothing else that asked for one shall wait.
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: 0 is the calling thread, and the kernel only reads the structure.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const priority) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn read_clock(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes a `timespec` to a valid, exclusively borrowed one.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
