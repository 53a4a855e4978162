//! What became of a plan.

use std::collections::BTreeSet;

use herald_spi::ServiceKey;

use super::{Steward, heeding};
use crate::{
    controller::{Left, Plan},
    world::{AllocationRecord, Keyed as _, LockKey, ServiceRecord},
};

/// What became of a step of a plan.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The lock is ours, in this state.
    Locked(AllocationRecord),
    /// The lock is not as was thought: another's, or in another state.
    LockTaken(AllocationRecord),
    /// The lock that was to be replaced does not exist.
    LockGone {
        /// What it locked.
        key: LockKey,
        /// The version that was to be replaced, if there was one.
        version: Option<String>,
    },
    /// The status is written; the Service as it is now.
    StatusWritten(ServiceRecord),
    /// The Service as it is now, for another look.
    Found(ServiceRecord),
    /// There is no such Service of type LoadBalancer, and Herald's words are off what there is.
    Ended,
    /// Its node ports are switched off or on; the Service as it is now, for another look.
    NodePortsSwitched(ServiceRecord),
    /// The holder has let the lock go.
    Unlocked {
        /// What was locked.
        key: LockKey,
        /// The uid of the Service that held it; empty for a reservation.
        holder: String,
        /// What is left of the lock.
        left: Left,
    },
}

/// What follows from the end of a plan.
#[derive(Debug)]
pub struct Finished {
    /// The Services that need a look.
    pub look: BTreeSet<ServiceKey>,
    /// The world was not as the plan assumed: what it was to tell is not told.
    pub cut_short: bool,
}

impl Outcome {
    /// Whether the errand ended here, and the Service needs another plan.
    fn cuts_short(&self) -> bool {
        match self {
            Self::LockTaken(_)
            | Self::LockGone { .. }
            | Self::Found(_)
            | Self::NodePortsSwitched(_) => true,
            Self::Locked(_) | Self::StatusWritten(_) | Self::Ended | Self::Unlocked { .. } => false,
        }
    }
}

impl Steward {
    /// Takes in what became of a plan. `carried_out`: no call failed.
    pub fn finish(&mut self, plan: &Plan, outcomes: Vec<Outcome>, carried_out: bool) -> Finished {
        let cut_short = outcomes.iter().any(Outcome::cuts_short);
        let mut look = BTreeSet::new();
        for outcome in outcomes {
            look.append(&mut self.settle(plan, outcome));
        }
        if cut_short || !carried_out {
            look.append(&mut self.back_to_the_locks(plan));
        }
        if carried_out && (cut_short || plan.again) {
            look.insert(plan.service.clone());
        }
        Finished { look, cut_short }
    }

    fn settle(&mut self, plan: &Plan, outcome: Outcome) -> BTreeSet<ServiceKey> {
        let own = || BTreeSet::from([plan.service.clone()]);
        match outcome {
            Outcome::Locked(lock) => {
                let mut look = BTreeSet::new();
                let before = self.allocations.get(&lock.key).cloned();
                // A holder that shares may have come to need less of the address.
                if let Some(address) = lock.key.address()
                    && before.is_some_and(|before| before.holders != lock.holders)
                {
                    self.stir(address, BTreeSet::new(), &mut look);
                }
                let key = lock.key;
                self.hear_of_lock(plan, lock);
                // The watch may have told of the past meanwhile, and memory have followed it.
                if let Some(lock) = self.allocations.get(&key).cloned() {
                    let mut concerned = self.heed_lock(&lock);
                    for holder in &lock.holders {
                        concerned.remove(&heeding::key_of(holder));
                    }
                    look.append(&mut concerned);
                }
                look
            }
            Outcome::LockTaken(existing) => {
                let key = existing.key;
                self.hear_of_lock(plan, existing);
                let mut look = self.heed_key(key);
                look.insert(plan.service.clone());
                look
            }
            Outcome::LockGone { key, version } => {
                self.forget_lock(key, version.as_deref());
                own()
            }
            Outcome::StatusWritten(service) => {
                if self.hear_of(plan, service) {
                    BTreeSet::new()
                } else {
                    own()
                }
            }
            Outcome::Found(service) => {
                self.hear_of(plan, service);
                own()
            }
            Outcome::Ended => {
                self.marked.remove(&plan.service);
                BTreeSet::new()
            }
            Outcome::NodePortsSwitched(service) => {
                let uid = service.uid.clone();
                let off = !service.allocates_node_ports;
                self.hear_of(plan, service);
                if off {
                    self.contest.patched(&uid);
                }
                own()
            }
            Outcome::Unlocked { key, holder, left } => self.let_go_of(plan, key, &holder, left),
        }
    }

    /// A plan was not carried out to its end: memory goes back to what the locks say. Returns the Services that need a
    /// look.
    fn back_to_the_locks(&mut self, plan: &Plan) -> BTreeSet<ServiceKey> {
        let mut look = BTreeSet::new();
        let own = plan.made_for.as_ref().map(|of| of.uid.as_str());
        if own.is_some() || plan.ask_first {
            // What this controller knows of the Service is old: there may be words on it that must go with it.
            self.marked.insert(plan.service.clone());
        }
        let wanted = plan.locks.iter().map(|lock| (lock.key, own));
        let unwanted = plan
            .unlocks
            .iter()
            .map(|unlock| (unlock.key, Some(unlock.holder.as_str())));
        for (key, holder) in wanted.chain(unwanted) {
            match (self.allocations.get(&key).cloned(), key, holder) {
                (Some(existing), ..) => look.extend(self.heed_lock(&existing)),
                (None, LockKey::Address(address), Some(uid)) => {
                    let before = self.ipam.stirs(address);
                    self.ipam.release(address, uid);
                    self.stir(address, before, &mut look);
                }
                (None, LockKey::NodePort(port), Some(uid)) => {
                    self.on_nodes.release(port, uid);
                    look.extend(self.on_nodes.services().cloned());
                }
                (None, _, None) => {}
            }
        }
        look
    }

    /// Takes in an answer about a Service. `false`: by now the watch says that it is gone, and it may have gone with words
    /// on it.
    fn hear_of(&mut self, plan: &Plan, service: ServiceRecord) -> bool {
        let key = service.key.clone();
        self.services.answer(service, plan.lists.services);
        let is_there = self.services.get(&key).is_some();
        if !is_there {
            self.marked.insert(key);
        }
        is_there
    }

    pub(super) fn hear_of_lock(&mut self, plan: &Plan, lock: AllocationRecord) {
        self.allocations.answer(lock, plan.lists.locks);
    }

    /// Forgets a lock that was found to be gone in this version; somebody may have made it again since.
    pub(super) fn forget_lock(&mut self, key: LockKey, version: Option<&str>) {
        let gone: Option<u64> = version.and_then(|version| version.parse().ok());
        let known = self.allocations.get(&key).map(|lock| lock.version());
        if known.zip(gone).is_some_and(|(known, gone)| known <= gone) {
            self.allocations.remove(&key);
        }
    }
}
