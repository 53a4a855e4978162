//! What the machine of one place may look at and touch in one step.

use std::{collections::BTreeSet, time::Duration};

use herald_spi::{Mac, NodeName, Place, Time};

use super::{
    Config,
    calm::Calm,
    ear::Ear,
    inquiry::Finding,
    report::{Event, Loss, State},
};
use crate::placement::{
    candidate::Unfit,
    epoch::Hearing,
    scene::{PeerClaim, PlaceView, Scene, SegmentView},
};

/// What a post may look at and touch in one step.
pub(super) struct Context<'a> {
    pub(super) now: Time,
    pub(super) me: &'a NodeName,
    pub(super) config: &'a Config,
    pub(super) place: Place,
    pub(super) view: &'a PlaceView,
    pub(super) scene: &'a Scene,
    pub(super) segment: &'a SegmentView,
    pub(super) ear: &'a Ear,
    /// Where a rebalance concerns the segment.
    pub(super) calm: Option<&'a Calm>,
    pub(super) leaving_since: Option<Time>,
    pub(super) questions: &'a mut u64,
    pub(super) deadline: &'a mut Option<Time>,
    pub(super) events: &'a mut Vec<Event>,
}

impl Context<'_> {
    pub(super) fn wake_at(&mut self, at: Time) {
        if at > self.now {
            *self.deadline = Some(self.deadline.map_or(at, |earlier| earlier.min(at)));
        }
    }

    pub(super) fn best(&self) -> Option<&PeerClaim> {
        self.view.best(self.place.address)
    }

    /// Until when an owner that shall not stay goes on answering if nobody takes over, and what it says then.
    pub(super) fn reprieve(&self, why: Unfit, unfit_since: Time) -> (Option<Time>, Loss) {
        let others = self.view.candidates.others(self.me);
        if let Some(leaving_since) = self.leaving_since {
            let grace = if others {
                self.config.leave_grace
            } else {
                Duration::ZERO
            };
            return (Some(leaving_since + grace), Loss::Left);
        }
        let until = match why {
            Unfit::NoInterface => Some(self.now),
            _ if others => None,
            // kube-proxy drops what comes here: whoever asks is better off without an answer.
            Unfit::NoEndpoint => Some(self.now),
            // Somebody said so.
            Unfit::ExcludedByLabel | Unfit::NodeNotSelected | Unfit::OutOfService => {
                Some(unfit_since + self.config.unfit_grace)
            }
            // A condition or an object that went away, with nobody to do better: the LAN outlives it.
            _ => None,
        };
        (until, Loss::NotCandidate(why))
    }

    pub(super) fn standby_or(&self, otherwise: State) -> State {
        match self.best() {
            Some(claim) => State::Standby {
                owner: claim.node.clone(),
            },
            None => otherwise,
        }
    }

    /// Whether a rebalance leads the place here, from that live owner, now.
    pub(super) fn led_here(&self, owner: &PeerClaim) -> bool {
        let Some((next, at)) = self.calm.and_then(|calm| calm.next(self.config)) else {
            return false;
        };
        next.address == self.place.address
            && next.to == *self.me
            && next.from == owner.node
            && self.now >= at
            && self.now >= self.ear.settled_at()
            // The few must not raise epochs above those of the many.
            && self.ear.hearing() == Hearing::Majority
            && (self.view.proxied || !self.view.fresh)
    }

    /// No peer is heard on this segment.
    pub(super) fn alone(&self) -> bool {
        self.segment.heard.is_empty()
    }

    /// Who `by` are. A Herald node among them decides: the address is in Herald's hands, whoever else wants it. This
    /// node's own links are nobody.
    pub(super) fn identify(&self, by: &BTreeSet<Mac>) -> Finding {
        let others = || {
            by.iter()
                .copied()
                .filter(|mac| !self.scene.own_macs.contains(mac))
        };
        let peer = others().find(|mac| self.scene.peer_macs.contains(mac));
        match (peer, others().next()) {
            (Some(mac), _) if self.segment.heard_macs.contains(&mac) => Finding::Peer,
            (Some(mac), _) => Finding::UnheardPeer { mac },
            (None, Some(mac)) => Finding::Stranger { mac },
            (None, None) => Finding::Nobody,
        }
    }
}
