//! What is worth a line in the log. The pure core only says what happened; `run` writes it down.

use std::{fmt, net::SocketAddr, time::Duration};

use herald_spi::{IfIndex, Mac, NodeName};

use super::{Incarnation, Namesake, auth::Refusal};

/// Something that happened; shown as a sentence that leaves out where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An agent is heard on a segment for the first time, or in a new incarnation.
    Joined {
        /// Who.
        node: NodeName,
        /// Where.
        interface: IfIndex,
        /// The hardware address that it names.
        mac: Mac,
        /// Which life.
        incarnation: Incarnation,
    },
    /// An agent fell silent on a segment.
    Died {
        /// Who.
        node: NodeName,
        /// Where.
        interface: IfIndex,
        /// For how long it has been silent.
        silent: Duration,
    },
    /// An agent told elsewhere that its interface on this segment has no carrier.
    Dark {
        /// Who.
        node: NodeName,
        /// Where.
        interface: IfIndex,
    },
    /// An agent said goodbye.
    Left {
        /// Who.
        node: NodeName,
    },
    /// This process slept for so long that others may own what it held.
    Paused {
        /// How late it woke.
        slept: Duration,
    },
    /// Another process speaks under this node's name. Once per incarnation.
    Namesake(Namesake),
    /// Two processes alternate under one node's name; the newer is believed. Once per pair.
    TwoLives {
        /// The name.
        node: NodeName,
        /// The newer one's hardware address.
        newer: Mac,
        /// The older one's hardware address.
        older: Mac,
    },
    /// Peers remember a higher incarnation of this node; this agent continues above it.
    Renumbered {
        /// The new number.
        incarnation: Incarnation,
    },
    /// Datagrams that are not let in. At most once a minute.
    Refused {
        /// Why the first of them was refused.
        why: Refusal,
        /// Where it came from.
        source: SocketAddr,
        /// On which interface; none on the second path.
        interface: Option<IfIndex>,
        /// How many were refused since the last such notice, this one included.
        count: u64,
    },
}

/// Who should read a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A state changed.
    Info,
    /// Someone should look.
    Warning,
}

impl Notice {
    /// Where it happened; absent if everywhere.
    #[must_use]
    pub fn interface(&self) -> Option<IfIndex> {
        match self {
            Self::Joined { interface, .. }
            | Self::Died { interface, .. }
            | Self::Dark { interface, .. }
            | Self::Namesake(Namesake { interface, .. }) => Some(*interface),
            Self::Refused { interface, .. } => *interface,
            Self::Left { .. }
            | Self::Paused { .. }
            | Self::TwoLives { .. }
            | Self::Renumbered { .. } => None,
        }
    }

    /// Who should read it.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self {
            Self::Joined { .. } | Self::Died { .. } | Self::Dark { .. } | Self::Left { .. } => {
                Weight::Info
            }
            Self::Paused { .. }
            | Self::Namesake(_)
            | Self::TwoLives { .. }
            | Self::Renumbered { .. }
            | Self::Refused { .. } => Weight::Warning,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined {
                node,
                mac,
                incarnation,
                ..
            } => {
                write!(
                    f,
                    "agent {node} ({mac}, incarnation {incarnation}) is heard"
                )
            }
            Self::Died { node, silent, .. } => {
                write!(
                    f,
                    "agent {node} has been silent for {} ms",
                    silent.as_millis()
                )
            }
            Self::Dark { node, .. } => write!(f, "agent {node} has lost the carrier here"),
            Self::Left { node } => write!(f, "agent {node} has left"),
            Self::Paused { slept } => write!(
                f,
                "this process slept for {} ms; other agents may own what it held",
                slept.as_millis()
            ),
            Self::Namesake(Namesake {
                mac,
                on_this_host: true,
                ..
            }) => {
                write!(f, "a second agent ({mac}) runs on this node")
            }
            Self::Namesake(Namesake {
                mac,
                on_this_host: false,
                ..
            }) => {
                write!(f, "another host ({mac}) uses this node's name")
            }
            Self::TwoLives { node, newer, older } => write!(
                f,
                "two processes speak as agent {node}: {newer}, which is newer and believed, and {older}"
            ),
            Self::Renumbered { incarnation } => write!(
                f,
                "peers remember a later life of this agent (was the clock set back?); \
                 it continues as incarnation {incarnation}"
            ),
            Self::Refused {
                why, source, count, ..
            } => {
                write!(
                    f,
                    "refused {count} datagram(s), the first from {source}: {why}"
                )
            }
        }
    }
}
