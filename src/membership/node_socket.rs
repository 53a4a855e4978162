//! The socket of the second path: bound to the node's own InternalIP, whatever interface has it.
//!
//! Unlike the groups it can be reached from anywhere that reaches the node, so what it takes is worth less until the
//! signature was looked at. It has a buffer of its own: a flood of it costs the groups nothing but their turn.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    task::{Context, Poll},
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::ReadBuf;

use super::socket::TRAFFIC_CLASS;

/// The socket of the second path.
#[derive(Debug)]
pub(super) struct NodeSocket {
    address: IpAddr,
    port: u16,
    ready: tokio::net::UdpSocket,
    plain: UdpSocket,
}

impl NodeSocket {
    /// Listens on one address of this node.
    ///
    /// # Errors
    /// The node does not have the address (yet), or another process has the port there.
    pub(super) fn open(address: IpAddr, port: u16) -> io::Result<Self> {
        let domain = if address.is_ipv4() {
            Domain::IPV4
        } else {
            Domain::IPV6
        };
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = Socket::new(domain, kind, Some(Protocol::UDP))?;
        // The words are worth sending without these two.
        if address.is_ipv4() {
            let _ = socket.set_tos_v4(TRAFFIC_CLASS);
        } else {
            socket.set_only_v6(true)?;
            let _ = socket.set_tclass_v6(TRAFFIC_CLASS);
        }
        socket.bind(&SockAddr::from(SocketAddr::new(address, port)))?;
        let plain = UdpSocket::from(socket);
        let ready = tokio::net::UdpSocket::from_std(plain.try_clone()?)?;
        Ok(Self {
            address,
            port,
            ready,
            plain,
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Sends to the agent of one node. Says whether it was sent; nobody need be there.
    pub(super) fn send(&self, to: IpAddr, bytes: &[u8]) -> bool {
        let to = SocketAddr::new(to, self.port);
        self.plain.send_to(bytes, to).is_ok()
    }

    /// Reads one datagram, if there is one. Registers the task for the next one otherwise.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(usize, SocketAddr)> {
        loop {
            let mut into = ReadBuf::new(buffer);
            match self.ready.poll_recv_from(cx, &mut into) {
                Poll::Ready(Ok(source)) => return Poll::Ready((into.filled().len(), source)),
                // An error that the kernel kept for the socket; reading it clears it.
                Poll::Ready(Err(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
