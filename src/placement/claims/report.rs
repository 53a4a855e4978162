//! What the claims machine says: duties and claims to act upon, states and events to tell people.

use std::{collections::BTreeMap, time::Duration};

use herald_spi::{Duty, Mac, NodeName, Place, Time};
use serde::{Deserialize, Serialize};

use crate::placement::{candidate::Unfit, epoch::Epoch};

/// Everything that follows from a step, whole, but for the events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What the provider shall do; the rest of [`herald_spi::Desired`] is the agent's.
    pub duties: BTreeMap<Place, Duty>,
    /// What this node claims, for the heartbeats.
    pub claims: BTreeMap<Place, Epoch>,
    /// How every place of the scene stands.
    pub states: BTreeMap<Place, State>,
    /// This agent has listened for long enough on every link that is up.
    pub settled: bool,
    /// A rebalance that was asked for has come to rest on every segment that it concerns.
    pub rebalanced: bool,
    /// The heartbeats shall say that this node is leaving.
    pub leaving: bool,
    /// After [`super::Input::Leave`]: nothing is left to wait for.
    pub done: bool,
    /// What changed in this step, and only then.
    pub events: Vec<Event>,
}

/// How one place stands on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// This node owns it.
    Announcing {
        /// Since when.
        since: Time,
    },
    /// This node owns it still, until the next owner claims it.
    HandingOver {
        /// Since when it owns it.
        since: Time,
        /// Why it will not stay; `Leaving` when the agent ends.
        why: Unfit,
    },
    /// A peer owns it.
    Standby {
        /// Which.
        owner: NodeName,
    },
    /// This node may come to own it, and waits.
    Waiting(Wait),
    /// A Herald node that this one does not hear answers for it: no claim.
    PeerUnheard {
        /// Its hardware address.
        mac: Mac,
    },
    /// Before the very first claim: a host that is no Herald node answers for it, so there is none.
    InUse {
        /// Its hardware address.
        mac: Mac,
    },
    /// Before a takeover by a node that hears no other: a host that is no Herald node answers for it, so there is none.
    Conflict {
        /// Its hardware address.
        mac: Mac,
    },
    /// The link is down.
    NoLink,
    /// This node may not announce it, and hears nobody who does.
    NotCandidate(Unfit),
}

/// What a candidate waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Wait {
    /// To have listened long enough.
    Settling,
    /// This node's kube-proxy.
    KubeProxy,
    /// The answer to its question.
    AskingTheWire,
    /// A better candidate's claim.
    Rank,
    /// The end of this agent.
    Leaving,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// This node owns a place now.
    Gained {
        /// Which.
        place: Place,
        /// With which epoch.
        epoch: Epoch,
        /// How.
        origin: Origin,
        /// A host that is no Herald node answered for it, and it was taken over none the less.
        contested: Option<Mac>,
    },
    /// A peer's claim is better: this node stopped at once.
    Yielded {
        /// Which place.
        place: Place,
        /// To whom.
        to: NodeName,
    },
    /// This node stopped, and not for a peer's claim.
    Dropped {
        /// Which place.
        place: Place,
        /// Why.
        why: Loss,
    },
}

/// How a place was gained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Nobody ever claimed it.
    First,
    /// Nobody known claims it any more.
    Takeover {
        /// Who did, if it was ever seen.
        from: Option<NodeName>,
        /// How long ago that claim was missed first, its detection not counted.
        missed_for: Duration,
    },
    /// From a peer that lives and may not or will not keep it.
    Handover {
        /// Which.
        from: NodeName,
        /// Why it may not keep it.
        why: Option<Unfit>,
    },
    /// From a peer that lives and may keep it, since somebody asked that addresses be spread anew.
    Rebalance {
        /// Which.
        from: NodeName,
    },
}

/// Why a place was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Loss {
    /// No Service has the address any more, or nothing announces it on this link.
    Withdrawn,
    /// The link is down or away.
    NoLink,
    /// This node may not announce it, and no other may.
    NotCandidate(Unfit),
    /// A Herald node that this one does not hear announces it too, and has the better hash.
    PeerUnheard {
        /// Its hardware address.
        mac: Mac,
    },
    /// The process stood still for long.
    Paused,
    /// The agent ends, and nobody took it in time.
    Left,
}

impl State {
    /// The one word for it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Announcing { .. } => "Announcing",
            Self::HandingOver { .. } => "HandingOver",
            Self::Standby { .. } => "Standby",
            Self::Waiting(wait) => wait.reason(),
            Self::PeerUnheard { .. } => "PeerUnheard",
            Self::InUse { .. } => "InUse",
            Self::Conflict { .. } => "Conflict",
            Self::NoLink => "NoLink",
            Self::NotCandidate(unfit) => unfit.reason(),
        }
    }
}

impl Wait {
    /// The one word for it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Settling => "Settling",
            Self::KubeProxy => "KubeProxy",
            Self::AskingTheWire => "AskingTheWire",
            Self::Rank => "Rank",
            Self::Leaving => "Leaving",
        }
    }
}
