//! What can keep Layer 2 from starting or from serving a link.

use std::io;

/// Why a step failed. The message says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub enum Layer2Error {
    /// Packet sockets are forbidden.
    #[error("needs CAP_NET_RAW: run as root or add NET_RAW to the container's capabilities")]
    NeedsNetRaw(#[source] io::Error),
    /// A packet socket could not be opened, for another reason.
    #[error("cannot open a packet socket on {link}: {source}")]
    Open {
        /// The link's name or index.
        link: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A packet socket that worked does no more.
    #[error("the packet socket failed: {0}")]
    Socket(#[source] io::Error),
    /// The list of links could not be read.
    #[error("cannot read the links from the kernel: {0}")]
    Netlink(String),
    /// The thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

impl Layer2Error {
    /// One word, the same in logs, Events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NeedsNetRaw(_) => "NeedsNetRaw",
            Self::Open { .. } => "OpenFailed",
            Self::Socket(_) => "SocketFailed",
            Self::Netlink(_) => "NetlinkFailed",
            Self::Thread(_) => "ThreadFailed",
        }
    }
}
