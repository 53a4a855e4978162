//! Everything that the page shows, as it was read last.

use crate::survey::{Conflict, Move, Node, Pools, Status};

/// What is known of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// When it was read, in seconds of Unix time.
    pub read: i64,
    /// Services, and what is wrong between agents.
    pub status: Status,
    /// Pools.
    pub pools: Pools,
    /// Nodes and their agents.
    pub nodes: Vec<Node>,
    /// Who else has an address, and who does not hear whom.
    pub conflicts: Vec<Conflict>,
    /// Addresses that came to another node, the latest first.
    pub moves: Vec<Move>,
    /// There are more moves than were read.
    pub moves_cut: bool,
    /// Who leads.
    pub lead: Lead,
    /// What could not be read, and why; what is shown of it is older, or nothing.
    pub unread: Vec<String>,
}

/// Which controller leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The controller that serves the page.
    pub me: String,
    /// Whether it leads itself.
    pub leads: bool,
    /// Who leads by the Lease, if anybody does.
    pub holder: Option<String>,
    /// Since when, in seconds of Unix time.
    pub since: Option<i64>,
}
