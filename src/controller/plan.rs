//! What to do for one Service, as a value.

use std::net::IpAddr;

use herald_spi::{Port, ServiceKey};

use super::node_ports::NodePortPatch;
use crate::{
    api::{AddressAllocationSpec, Verdict},
    world::{IpMode, LockKey, ServiceRecord},
};

/// The steps for one Service, in the order in which they are taken. Each is safe to repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Whose plan it is.
    pub service: ServiceKey,
    /// The state of the Service that it was made for; `None`: for one that is not there.
    pub made_for: Option<Version>,
    /// Ask the API server before anything else whether that is its state. The watch of Services may be behind that of
    /// locks, and only a status write names the state by itself.
    pub ask_first: bool,
    /// Locks to read first: of addresses that the status is about to lose because memory gives them to others. If the
    /// Service holds one after all, memory is behind, and the plan is void.
    pub verify: Vec<LockKey>,
    /// Locks to take or to bring up to date.
    pub locks: Vec<Lock>,
    /// The status to write.
    pub status: Option<StatusWrite>,
    /// What to tell people.
    pub notices: Vec<Notice>,
    /// Locks to give back.
    pub unlocks: Vec<Unlock>,
    /// The one write to a user's spec. Never together with a status: each names the version that it was decided from.
    pub node_ports: Option<NodePortPatch>,
    /// There is more to do, which needs the result of this plan.
    pub again: bool,
    /// How often things had been listed when it was made: an answer may be older than a list that came since.
    pub lists: Lists,
}

/// How often things were listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Services.
    pub services: u64,
    /// Locks.
    pub locks: u64,
}

/// One lock to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Lock {
    /// What is locked.
    pub key: LockKey,
    /// What the object shall say.
    pub spec: AddressAllocationSpec,
    /// The version to replace; `None`: the object must not exist yet.
    pub replaces: Option<String>,
}

/// One lock to give back.
#[derive(Clone, Debug, PartialEq)]
pub struct Unlock {
    /// What is locked.
    pub key: LockKey,
    /// The uid of the Service that lets it go; empty for a reservation that ended.
    pub holder: String,
    /// How.
    pub letting: Letting,
}

/// What becomes of a lock's object.
#[derive(Clone, Debug, PartialEq)]
pub enum Letting {
    /// There is no object, only memory of one.
    Forget,
    /// It is deleted: nobody else holds it.
    Delete(Version),
    /// Others hold it, and it goes on without this one.
    Leave(Box<AddressAllocationSpec>, Version),
    /// It waits for a Service of the same name, if this one was deleted; else it is deleted.
    Retain(Box<AddressAllocationSpec>, Version),
    /// Nobody gets it for a while: another host uses it.
    Quarantine(Box<AddressAllocationSpec>, Version),
}

/// Which state of an object a write replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The object's uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
}

/// Everything that Herald's controller says in a Service's status.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWrite {
    /// The version of the Service that this was decided from; a newer one refuses the write.
    pub resource_version: String,
    /// The addresses; `None` leaves `status.loadBalancer` alone.
    pub ingress: Option<Vec<Ingress>>,
    /// Whether there is something in `status.loadBalancer` to take away that another may have written.
    pub clear: bool,
    /// The pools they came from.
    pub allocated_from: Option<String>,
    /// The conditions; those that are missing here are taken away.
    pub conditions: Vec<ConditionWrite>,
}

/// An address of a Service, as its status shall show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// The address.
    pub address: IpAddr,
    /// Whether kube-proxy serves the address itself.
    pub mode: IpMode,
    /// Every port of the Service with what is wrong with it; empty when nothing is.
    pub ports: Vec<(Port, Option<&'static str>)>,
}

/// A condition to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionWrite {
    /// Its type.
    pub type_: &'static str,
    /// What it says.
    pub verdict: Verdict,
    /// Since when it has its status, if that does not change.
    pub since: Option<String>,
}

/// An Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The uid of the Service.
    pub uid: String,
    /// The condition that changed.
    pub type_: &'static str,
    /// The verdict to tell.
    pub verdict: Verdict,
}

impl Plan {
    /// A plan that does nothing.
    #[must_use]
    pub fn new(service: ServiceKey, made_for: Option<Version>) -> Self {
        Self {
            service,
            made_for,
            ask_first: false,
            verify: Vec::new(),
            locks: Vec::new(),
            status: None,
            notices: Vec::new(),
            unlocks: Vec::new(),
            node_ports: None,
            again: false,
            lists: Lists::default(),
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.ask_first
            && self.locks.is_empty()
            && self.status.is_none()
            && self.notices.is_empty()
            && self.unlocks.is_empty()
            && self.node_ports.is_none()
    }
}

impl Unlock {
    /// The state of the object that is given back.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        match &self.letting {
            Letting::Forget => None,
            Letting::Delete(version)
            | Letting::Leave(_, version)
            | Letting::Retain(_, version)
            | Letting::Quarantine(_, version) => Some(version),
        }
    }
}

impl Version {
    /// The state that a record of a Service tells of.
    #[must_use]
    pub fn of(service: &ServiceRecord) -> Self {
        Self {
            uid: service.uid.clone(),
            resource_version: service.resource_version.clone(),
        }
    }
}

impl StatusWrite {
    /// Takes away all that Herald has written, and leaves what others wrote.
    #[must_use]
    pub fn nothing(resource_version: String) -> Self {
        Self {
            resource_version,
            ingress: None,
            clear: false,
            allocated_from: None,
            conditions: Vec::new(),
        }
    }
}
