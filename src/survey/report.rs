//! What a node says of its announcements.

use crate::{
    api::{AnnouncedAddress, FailedCheck, UnheardPeer},
    world::Keyed,
};

/// What a node says of the addresses that it announces or should.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The node.
    pub node: String,
    /// Its totals.
    pub counts: Counts,
    /// The abnormal ones first, and not all of them where there are more than a thousand.
    pub addresses: Vec<AnnouncedAddress>,
    /// What the node cannot reach of the addresses that others announce.
    pub unreached: Vec<FailedCheck>,
    /// The agents that it does not hear, though they are alive.
    pub unheard: Vec<UnheardPeer>,
    /// The hardware address of another host that runs an agent under the node's name.
    pub namesake: Option<String>,
    /// The node's own addresses.
    pub own: Vec<String>,
    /// When its agent last had something new to say, in seconds of Unix time.
    pub written: Option<i64>,
    /// The number of the write that made this state.
    pub version: u64,
}

/// How many of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Addresses that it announces.
    pub announcing: u32,
    /// Addresses that it should announce and cannot, or in conflict with another host.
    pub abnormal: u32,
    /// Other agents that it hears.
    pub peers: u32,
    /// Addresses of other nodes that it asks the LAN for.
    pub checked: u32,
    /// Those of them that the LAN does not reach.
    pub failing: u32,
}

impl Report {
    /// Whether there are more addresses than the list has room for.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        let all = u64::from(self.counts.announcing) + u64::from(self.counts.abnormal);
        u64::try_from(self.addresses.len()).is_ok_and(|listed| listed < all)
    }
}

impl Keyed for Report {
    type Key = String;

    fn key(&self) -> String {
        self.node.clone()
    }

    fn version(&self) -> u64 {
        self.version
    }
}
