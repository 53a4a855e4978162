//! A plan on its way: which call comes next, and what an answer means. Pure, so that a model can hold it up between
//! any two calls, lose an answer, or let another controller go first.
//!
//! ```text
//!   Plan ──▶ Errand ──Call──▶ API server
//!              ▲                  │
//!              └──────Reply───────┘      ──▶ Outcomes for the Steward
//! ```
//!
//! The order is the promise: locks before the status that names their addresses, the status before locks are given
//! back. Every call names the state that it was decided from; an answer that says otherwise ends the errand.

use super::{
    Letting, Lock, Outcome, Plan, StatusWrite, Unlock, Version, node_ports::NodePortPatch,
};
use crate::{
    api::AddressAllocationSpec,
    world::{AllocationRecord, LockKey, ServiceRecord},
};

/// A call to the API server.
#[derive(Clone, Debug, PartialEq)]
pub enum Call<'a> {
    /// Reads the Service.
    ReadService,
    /// Writes the Service's status.
    WriteStatus(&'a StatusWrite),
    /// Patches the Service's node ports.
    PatchNodePorts(&'a NodePortPatch),
    /// Creates the object of a lock.
    CreateLock(LockKey, &'a AddressAllocationSpec),
    /// Replaces the object of a lock, if it still has this version.
    ReplaceLock(LockKey, &'a AddressAllocationSpec, &'a str),
    /// Reads the object of a lock.
    ReadLock(LockKey),
    /// Deletes the object of a lock, if it is still this one.
    DeleteLock(LockKey, &'a Version),
}

/// The API server's answer to a [`Call`], where it made a decision. Errors that decide nothing (no answer, not
/// reachable, not allowed) end the errand outside.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The Service as it is now.
    Service(Found),
    /// The lock as it is now.
    Lock(Box<AllocationRecord>),
    /// Deleted.
    Deleted,
    /// There is no such object.
    Gone,
    /// The object is not in the state that the call names, or exists already.
    Stale,
}

/// What was found under the name of a Service.
#[derive(Clone, Debug)]
pub enum Found {
    /// A Service of type LoadBalancer.
    Balancer(Box<ServiceRecord>),
    /// One of another type, in this version.
    OtherType {
        /// Whether it carries anything that Herald wrote.
        marked: bool,
        /// Its version.
        resource_version: String,
    },
}

/// What is left of a lock that a holder has let go.
#[derive(Clone, Debug)]
pub enum Left {
    /// There was only memory of it.
    Memory,
    /// Nothing: the object of this version is deleted.
    Deleted(Version),
    /// The lock, for others or for the Service's return.
    Remains(Box<AllocationRecord>),
}

/// The object has changed since the plan was made; the watch brings the new state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object has changed meanwhile")]
pub struct Stale;

/// See the module.
#[derive(Debug)]
pub struct Errand {
    plan: Plan,
    stage: Stage,
    outcomes: Vec<Outcome>,
    /// Found deleted, or not asked: then retained addresses wait for the name.
    changed_type: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    Ask,
    /// Takes Herald's part off a Service that has another type now.
    Strip(StatusWrite),
    /// Sees whether an address that the status is about to lose is the Service's after all.
    Verify(usize),
    Lock(usize),
    /// The lock is not as was thought: see how it is.
    See(usize),
    Status,
    Unlock(usize),
    NodePorts,
    Done,
}

impl Errand {
    /// At its first step.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let stage = if plan.ask_first {
            Stage::Ask
        } else {
            Stage::Verify(0)
        };
        let mut errand = Self {
            plan,
            stage,
            outcomes: Vec::new(),
            changed_type: false,
        };
        errand.skip();
        errand
    }

    /// The call to make now; `None`: all is done.
    #[must_use]
    pub fn call(&self) -> Option<Call<'_>> {
        match &self.stage {
            Stage::Ask => Some(Call::ReadService),
            Stage::Strip(nothing) => Some(Call::WriteStatus(nothing)),
            Stage::Verify(at) => self.plan.verify.get(*at).copied().map(Call::ReadLock),
            Stage::Lock(at) => self.plan.locks.get(*at).map(Lock::call),
            Stage::See(at) => self
                .plan
                .locks
                .get(*at)
                .map(|lock| Call::ReadLock(lock.key)),
            Stage::Status => self.plan.status.as_ref().map(Call::WriteStatus),
            Stage::Unlock(at) => {
                let unlock = self.plan.unlocks.get(*at)?;
                match &unlock.letting {
                    Letting::Forget => None,
                    Letting::Retain(spec, version) if !self.changed_type => Some(
                        Call::ReplaceLock(unlock.key, spec, &version.resource_version),
                    ),
                    Letting::Leave(spec, version) | Letting::Quarantine(spec, version) => Some(
                        Call::ReplaceLock(unlock.key, spec, &version.resource_version),
                    ),
                    Letting::Delete(version) | Letting::Retain(_, version) => {
                        Some(Call::DeleteLock(unlock.key, version))
                    }
                }
            }
            Stage::NodePorts => self.plan.node_ports.as_ref().map(Call::PatchNodePorts),
            Stage::Done => None,
        }
    }

    /// Goes on after an answer.
    ///
    /// # Errors
    /// When the answer says that the plan was made from an old state.
    pub fn heed(&mut self, reply: Reply) -> Result<(), Stale> {
        // An errand whose answer makes no sense is over.
        self.stage = match (std::mem::replace(&mut self.stage, Stage::Done), reply) {
            (Stage::Ask, Reply::Gone) if self.plan.made_for.is_none() => self.ended(),
            (Stage::Ask, Reply::Service(Found::Balancer(record))) => {
                if self.plan.made_for == Some(Version::of(&record)) {
                    Stage::Verify(0)
                } else {
                    self.outcomes.push(Outcome::Found(*record));
                    Stage::Done
                }
            }
            (
                Stage::Ask,
                Reply::Service(Found::OtherType {
                    marked,
                    resource_version,
                }),
            ) if self.plan.made_for.is_none() => {
                self.changed_type = true;
                if marked {
                    Stage::Strip(StatusWrite::nothing(resource_version))
                } else {
                    self.ended()
                }
            }
            (Stage::Strip(_), Reply::Service(_)) => self.ended(),
            (Stage::Verify(at), Reply::Gone) => Stage::Verify(at + 1),
            (Stage::Verify(at), Reply::Lock(lock)) => {
                let own = self.plan.made_for.as_ref().map(|of| of.uid.as_str());
                if own.is_some_and(|uid| lock.is_held_by(uid)) {
                    self.outcomes.push(Outcome::LockTaken(*lock));
                    Stage::Done
                } else {
                    Stage::Verify(at + 1)
                }
            }
            (Stage::Lock(at), Reply::Lock(lock)) => {
                self.outcomes.push(Outcome::Locked(*lock));
                Stage::Lock(at + 1)
            }
            // Not ours to make: see whose it is. After a lost reply it is our own.
            (Stage::Lock(at), Reply::Stale | Reply::Gone) => Stage::See(at),
            (Stage::See(at), Reply::Lock(lock)) => {
                let wanted = self.plan.locks.get(at);
                if wanted.is_some_and(|wanted| lock.says(&wanted.spec)) {
                    self.outcomes.push(Outcome::Locked(*lock));
                    Stage::Lock(at + 1)
                } else {
                    self.outcomes.push(Outcome::LockTaken(*lock));
                    Stage::Done
                }
            }
            (Stage::See(at), Reply::Gone) => {
                let lock = self.plan.locks.get(at);
                self.outcomes.extend(lock.map(|lock| Outcome::LockGone {
                    key: lock.key,
                    version: lock.replaces.clone(),
                }));
                Stage::Done
            }
            (Stage::Status, Reply::Service(found)) => {
                if let Found::Balancer(record) = found {
                    self.outcomes.push(Outcome::StatusWritten(*record));
                }
                Stage::Unlock(0)
            }
            (Stage::Unlock(at), Reply::Lock(lock)) => {
                self.unlocked(at, Left::Remains(lock));
                Stage::Unlock(at + 1)
            }
            (Stage::Unlock(at), Reply::Deleted | Reply::Gone) => {
                let version = self.plan.unlocks.get(at).and_then(Unlock::version).cloned();
                self.unlocked(at, version.map_or(Left::Memory, Left::Deleted));
                Stage::Unlock(at + 1)
            }
            (Stage::NodePorts, Reply::Service(found)) => {
                if let Found::Balancer(service) = found {
                    self.outcomes.push(Outcome::NodePortsSwitched(*service));
                }
                Stage::Done
            }
            _ => return Err(Stale),
        };
        self.skip();
        Ok(())
    }

    /// What was planned, and what became of it so far.
    #[must_use]
    pub fn end(self) -> (Plan, Vec<Outcome>) {
        (self.plan, self.outcomes)
    }

    /// Whose errand it is.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The Service is known to be gone, or to have nothing of Herald's.
    fn ended(&mut self) -> Stage {
        self.outcomes.push(Outcome::Ended);
        Stage::Verify(0)
    }

    /// Leaves out what there is nothing to do for.
    fn skip(&mut self) {
        loop {
            self.stage = match &self.stage {
                Stage::Verify(at) if *at >= self.plan.verify.len() => Stage::Lock(0),
                Stage::Lock(at) if *at >= self.plan.locks.len() => Stage::Status,
                Stage::Status if self.plan.status.is_none() => Stage::Unlock(0),
                Stage::Unlock(at) => match self.plan.unlocks.get(*at) {
                    None => Stage::NodePorts,
                    Some(unlock) if unlock.letting == Letting::Forget => {
                        let at = *at;
                        self.unlocked(at, Left::Memory);
                        Stage::Unlock(at + 1)
                    }
                    Some(_) => return,
                },
                Stage::NodePorts if self.plan.node_ports.is_none() => Stage::Done,
                _ => return,
            };
        }
    }

    fn unlocked(&mut self, at: usize, left: Left) {
        if let Some(unlock) = self.plan.unlocks.get(at) {
            self.outcomes.push(Outcome::Unlocked {
                key: unlock.key,
                holder: unlock.holder.clone(),
                left,
            });
        }
    }
}

impl Lock {
    fn call(&self) -> Call<'_> {
        match &self.replaces {
            Some(version) => Call::ReplaceLock(self.key, &self.spec, version),
            None => Call::CreateLock(self.key, &self.spec),
        }
    }
}
