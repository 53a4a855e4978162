//! A raw view of a link, for tests and the lab: everything that passes it, and any frame sent as it is.

use std::{
    io::{self, Read},
    time::Duration,
};

use herald_spi::IfIndex;
use socket2::{Domain, Socket, Type};

use crate::{error::Layer2Error, sys};

/// `ETH_P_ALL`: frames of this node too.
const EVERYTHING: u16 = 3;

/// A packet socket without a filter. Needs CAP_NET_RAW.
#[derive(Debug)]
pub struct Tap(Socket);

impl Tap {
    /// Listens on a link of the current network namespace from now on.
    ///
    /// # Errors
    /// When packet sockets are forbidden, or there is no such link.
    pub fn open(interface: IfIndex) -> Result<Self, Layer2Error> {
        let socket = Socket::new(Domain::PACKET, Type::RAW.cloexec(), None)?;
        sys::size_buffers(&socket, 8 << 20);
        socket.bind(&sys::link_address(interface, EVERYTHING)?)?;
        Ok(Self(socket))
    }

    /// Sends a frame as it is, malformed or not.
    ///
    /// # Errors
    /// When the kernel refuses it, as it does a frame without an Ethernet header.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.0.send(frame).map(drop)
    }

    /// The next frame, sent or received; `None` if none comes within `patience`.
    ///
    /// # Errors
    /// When the link is down or gone.
    pub fn next(&self, patience: Duration) -> io::Result<Option<Vec<u8>>> {
        // Zero would mean for ever.
        self.0
            .set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        let mut buffer = vec![0; 65_536];
        match (&self.0).read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
