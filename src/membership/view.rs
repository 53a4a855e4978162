//! What the rest of the agent sees of its peers: one immutable picture per change.
//!
//! ```text
//!   View ── Segment (one per interface that listens) ── Peer (one per node heard there) ── claims
//! ```
//!
//! Claims and the like are shared between pictures, so a picture costs as much as there are peers, not as there are
//! addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{IfIndex, Mac, NodeName, Place, Time};
use ipnet::IpNet;

use super::Incarnation;

/// The claims of one agent on one segment: address to epoch.
pub type Claims = BTreeMap<IpAddr, u64>;

/// The claims of this agent: where to epoch.
pub type OwnClaims = BTreeMap<Place, u64>;

/// Everything that is known of the peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The name of this node.
    pub me: NodeName,
    /// The incarnation under which this agent is heard. It can grow while the agent runs, when peers remember a
    /// higher one from before a restart with a clock set back.
    pub incarnation: Incarnation,
    /// Per own interface whose sockets are open: who is heard there.
    pub segments: BTreeMap<IfIndex, Segment>,
    /// The hardware addresses of all Herald nodes ever heard, this one included (at most 4,096; the longest
    /// unheard is forgotten first).
    pub known_macs: Arc<BTreeSet<Mac>>,
    /// How often this process was found to have slept for so long that peers may have buried it. When it grows, others
    /// may own by now what this agent held: stop answering until requalified. `listening_since` starts anew then.
    pub pauses: u64,
    /// The nodes whose agents are heard on the second path, whether any segment carries their heartbeats or not. For
    /// people: no owner is chosen by it.
    pub reached: Arc<BTreeSet<NodeName>>,
    /// Another process that speaks under this node's name, while it is heard.
    pub namesake: Option<Namesake>,
}

/// What is heard on one own interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Since when this agent listens here without a break: interface up, sockets open, not paused.
    pub listening_since: Time,
    /// Whether the interface has a carrier. Without one nothing is sent, and peers age out.
    pub up: bool,
    /// The other own interfaces on the same segment. Only one of the group shall serve.
    pub same_segment: BTreeSet<IfIndex>,
    /// Who fell silent here and has not been heard since: when it was heard last.
    pub lost: BTreeMap<NodeName, Time>,
    /// Who of those said that it has no carrier here.
    pub dark: BTreeSet<NodeName>,
    /// The agents that are alive here.
    pub peers: BTreeMap<NodeName, Peer>,
}

/// Another agent, as heard on one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which life of the peer.
    pub incarnation: Incarnation,
    /// Since when it has been heard here in this incarnation without a break.
    pub since: Time,
    /// The name of its interface on this segment. Of several the one that claims, else the first; `mac` and
    /// `subnets` are of the same one.
    pub interface: Arc<str>,
    /// The hardware address of that interface.
    pub mac: Mac,
    /// The hardware addresses of all its interfaces.
    pub macs: Arc<BTreeSet<Mac>>,
    /// The subnets on that interface.
    pub subnets: Arc<[IpNet]>,
    /// It hands over and will end: no new owner, no candidate.
    pub leaving: bool,
    /// It has listened for long enough to claim what is its.
    pub settled: bool,
    /// It says that its node's kube-proxy is not healthy.
    pub impaired: bool,
    /// Whether `claims` has been complete once in this incarnation. Until then an address that is missing in
    /// `claims` is unknown, not unclaimed. Afterwards changes arrive within milliseconds, or tenths of a second
    /// when datagrams are lost.
    pub synced: bool,
    /// It has been silent for most of the dead time, and is being asked to speak.
    pub quiet: bool,
    /// What it claims here.
    pub claims: Arc<Claims>,
}

/// A process that speaks under this node's name, but is not this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namesake {
    /// Its incarnation. If it is higher than the own one, peers listen to it and not to this process.
    pub incarnation: Incarnation,
    /// Where it was heard.
    pub interface: IfIndex,
    /// The hardware address that it names.
    pub mac: Mac,
    /// Whether that address is one of this host: then it is a second agent on this node (an upgrade that overlaps),
    /// else a second node with the same name.
    pub on_this_host: bool,
}

impl View {
    /// The picture before anything was heard.
    #[must_use]
    pub fn empty(me: NodeName, incarnation: Incarnation) -> Self {
        Self {
            me,
            incarnation,
            segments: BTreeMap::new(),
            known_macs: Arc::default(),
            pauses: 0,
            reached: Arc::default(),
            namesake: None,
        }
    }
}
