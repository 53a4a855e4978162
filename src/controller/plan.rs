//! What to do for one Service, as a value.

use std::net::IpAddr;

use herald_spi::ServiceKey;

use crate::api::{AddressAllocationSpec, Verdict};

/// The steps for one Service, in the order in which they are taken. Each is safe to repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Whose plan it is.
    pub service: ServiceKey,
    /// Ask the API server whether the Service is really gone before anything else.
    pub ask_first: bool,
    /// Locks to take or to bring up to date.
    pub locks: Vec<Lock>,
    /// The status to write.
    pub status: Option<StatusWrite>,
    /// What to tell people.
    pub notice: Option<Notice>,
    /// Locks to give back.
    pub unlocks: Vec<Unlock>,
}

/// One lock to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Lock {
    /// The locked address.
    pub address: IpAddr,
    /// What the object shall say.
    pub spec: AddressAllocationSpec,
    /// The version to replace; `None`: the object must not exist yet.
    pub replaces: Option<String>,
}

/// One lock to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlock {
    /// The locked address.
    pub address: IpAddr,
    /// The uid of the Service that lets it go.
    pub holder: String,
    /// The object's uid and version; `None`: there is no object, only memory of one.
    pub object: Option<(String, String)>,
}

/// Everything that Herald says in a Service's status.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWrite {
    /// The version of the Service that this was decided from; a newer one refuses the write.
    pub resource_version: String,
    /// The addresses; `None` leaves `status.loadBalancer` alone.
    pub addresses: Option<Vec<IpAddr>>,
    /// The pools they came from.
    pub allocated_from: Option<String>,
    /// The condition; `None` takes all that Herald has written away.
    pub verdict: Option<Verdict>,
    /// Since when the condition has its status, if that does not change.
    pub since: Option<String>,
}

/// An Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The uid of the Service.
    pub uid: String,
    /// The verdict to tell.
    pub verdict: Verdict,
}

impl Plan {
    /// A plan that does nothing.
    #[must_use]
    pub fn new(service: ServiceKey) -> Self {
        Self {
            service,
            ask_first: false,
            locks: Vec::new(),
            status: None,
            notice: None,
            unlocks: Vec::new(),
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.locks.is_empty()
            && self.status.is_none()
            && self.notice.is_none()
            && self.unlocks.is_empty()
    }
}
