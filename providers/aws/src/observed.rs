//! What was read of one Service: only what carries its tags, and who else has a name that it wants.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    call::{BalancerRead, GroupRead, Health, ListenerRead, RuleRead},
    desired::Present,
    model::{Attributes, Tags, Target},
    owner::{BALANCER, Ownership, PORT, RETIRED},
    words::Moment,
};

/// Everything that is there for one Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its balancers: one, but for the time of a replacement.
    pub balancers: Vec<Balancer>,
    /// Its target groups.
    pub groups: Vec<Group>,
    /// Its security groups, by id.
    pub security_groups: BTreeSet<String>,
    /// Its rules, in whatever group.
    pub rules: Vec<RuleRead>,
    /// Whose the balancers are that have a name which this Service wants.
    pub strangers: BTreeMap<String, Ownership>,
    /// Whether nothing that was made is still to appear: see [`Memory`](crate::memory::Memory).
    pub sure: bool,
}

/// A balancer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balancer {
    /// As AWS describes it.
    pub read: BalancerRead,
    /// Its tags.
    pub tags: Tags,
    /// Its attributes, if any is ours to keep.
    pub attributes: Option<Attributes>,
    /// Its listeners, ours or not.
    pub listeners: Vec<Listener>,
}

/// A listener of a balancer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// As AWS describes it.
    pub read: ListenerRead,
    /// Its tags.
    pub tags: Tags,
    /// Its attributes, if any is ours to keep.
    pub attributes: Option<Attributes>,
    /// Certificates besides the default one.
    pub certificates: BTreeSet<String>,
}

/// A target group of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As AWS describes it.
    pub read: GroupRead,
    /// Its tags.
    pub tags: Tags,
    /// Its attributes, if any is ours to keep.
    pub attributes: Option<Attributes>,
    /// Its targets and how they are.
    pub targets: BTreeMap<Target, Health>,
}

impl Observed {
    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.balancers.is_empty()
            && self.groups.is_empty()
            && self.security_groups.is_empty()
            && self.rules.is_empty()
    }

    /// What the Service keeps where it does not ask otherwise: of the balancer whose hostname is published, else of
    /// the newest that is not replaced.
    #[must_use]
    pub fn present(&self, published: Option<&str>) -> Present {
        let shown = |balancer: &&Balancer| Some(balancer.read.dns_name.as_str()) == published;
        let standing = self
            .balancers
            .iter()
            .filter(|balancer| balancer.retired().is_none());
        let newest = standing.max_by_key(|balancer| (balancer.read.created, &balancer.read.arn));
        self.balancers
            .iter()
            .find(shown)
            .or(newest)
            .map_or_else(Present::default, |balancer| Present {
                scheme: Some(balancer.read.scheme),
                subnets: balancer.read.places.keys().cloned().collect(),
            })
    }
}

impl Balancer {
    /// Since when it is replaced.
    #[must_use]
    pub fn retired(&self) -> Option<Moment> {
        Some(Moment(self.tags.get(RETIRED)?.parse().ok()?))
    }
}

impl Group {
    /// The name of the balancer that it is for.
    #[must_use]
    pub fn balancer(&self) -> Option<&str> {
        self.tags.get(BALANCER).map(String::as_str)
    }

    /// The port that it is for.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.tags.get(PORT)?.parse().ok()
    }

    /// Whether a target is healthy.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.targets
            .values()
            .any(|health| *health == Health::Healthy)
    }
}
