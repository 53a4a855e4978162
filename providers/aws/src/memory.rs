//! What one Service's reconciles remember of each other. It saves reads and bridges the seconds in which AWS does not
//! show what it has just made; nothing is lost with it that tags do not say.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    call::{Call, Reply},
    inventory::Hints,
    model::Attributes,
    words::Moment,
};

/// After so many seconds AWS shows everything that was made.
pub const SETTLE: u64 = 60;

/// What was made and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Objects of ours.
    pub(crate) hints: Hints,
    /// Names at which something stands that the tags did not lead to.
    pub(crate) names: BTreeSet<(Kind, String)>,
    /// Attributes by ARN, as they were read.
    pub(crate) attributes: BTreeMap<String, Attributes>,
    /// Certificates by the listener's ARN, as they were read.
    pub(crate) certificates: BTreeMap<String, BTreeSet<String>>,
    /// When something was made last, or the process began.
    made: Moment,
    /// When something may have been made last of which no answer told, as by a process before this one; `None`: never.
    unheard: Option<Moment>,
    /// When the region was surveyed last.
    surveyed: Moment,
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Balancer,
    Group,
}

impl Memory {
    /// Of a process that begins now: it may have made something just before it ended.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self {
            hints: Hints::default(),
            names: BTreeSet::new(),
            attributes: BTreeMap::new(),
            certificates: BTreeMap::new(),
            made: now,
            unheard: Some(now),
            surveyed: Moment::default(),
        }
    }

    /// Nobody before this process has made anything for the Service: it carried no finalizer until now.
    pub fn begins_with_nothing(&mut self) {
        if self.hints == Hints::default() && self.names.is_empty() {
            self.unheard = None;
        }
    }

    /// Of what nobody makes anything for any more, and that a survey has found: it is all there is.
    #[must_use]
    pub fn of_orphan(found: &Hints, at: Moment) -> Self {
        let mut memory = Self::new(Moment::default());
        memory.survey(found, at);
        memory
    }

    /// Adds what a survey of the region has found for this Service.
    pub fn survey(&mut self, hints: &Hints, at: Moment) {
        self.surveyed = at;
        self.hints.balancers.extend(hints.balancers.iter().cloned());
        self.hints.groups.extend(hints.groups.iter().cloned());
    }

    /// Forgets what others may have changed, so that it is read again.
    pub fn refresh(&mut self) {
        self.attributes.clear();
        self.certificates.clear();
    }

    /// Whether the next survey tells more than what was heard and the last survey: that was before everything could be
    /// seen. Whoever goes on reconciling takes it from the shared one when that is renewed; whoever deletes waits for it.
    #[must_use]
    pub fn wants_survey(&self, now: Moment) -> bool {
        self.is_settled(now) && !self.is_sure(now)
    }

    /// Whether everything that was made must have appeared by now.
    pub(crate) fn is_settled(&self, now: Moment) -> bool {
        now.since(self.made) >= SETTLE
    }

    /// Whether what there is is known: every answer was heard, or a survey after that has shown it.
    pub(crate) fn is_sure(&self, now: Moment) -> bool {
        let heard = |unheard: Moment| self.surveyed.since(unheard) >= SETTLE;
        self.is_settled(now) && self.unheard.is_none_or(heard)
    }

    /// Takes note of a call of which nobody knows whether it was done.
    pub(crate) fn note_unheard(&mut self, call: &Call, now: Moment) {
        if matches!(call, Call::CreateBalancer(_) | Call::CreateGroup(_)) {
            self.unheard = Some(now);
        }
        if call.action().1.starts_with("Create") {
            self.made = now;
        }
    }

    /// Takes note of a call that was done.
    pub(crate) fn note(&mut self, call: &Call, reply: &Reply, now: Moment) {
        if let Reply::Made(id) = reply {
            self.made = now;
            match call {
                Call::CreateBalancer(_) => drop(self.hints.balancers.insert(id.clone())),
                Call::CreateGroup(_) => drop(self.hints.groups.insert(id.clone())),
                _ => {}
            }
        }
        match call {
            Call::ModifyBalancerAttributes { balancer: id, .. }
            | Call::ModifyGroupAttributes { group: id, .. }
            | Call::ModifyListenerAttributes { listener: id, .. } => {
                self.attributes.remove(id.as_str());
            }
            Call::ModifyListener { listener, .. }
            | Call::AddCertificate { listener, .. }
            | Call::RemoveCertificate { listener, .. } => {
                self.certificates.remove(listener.as_str());
            }
            Call::DeleteBalancer(id) => self.forget(id.as_str()),
            Call::DeleteGroup(id) => self.forget(id.as_str()),
            _ => {}
        }
    }

    /// There is no such object any more.
    pub(crate) fn forget(&mut self, arn: &str) {
        self.hints.balancers.remove(arn);
        self.hints.groups.remove(arn);
        self.attributes.remove(arn);
    }
}
