//! The one word for each outcome: in conditions, Events, metrics, logs and the CLI.

use std::fmt;

/// Why a Service has its address or has not; why a pool is or is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(&'static str);

macro_rules! reasons {
    ($($(#[$doc:meta])* $constant:ident = $word:literal),+ $(,)?) => {
        impl Reason {
            $($(#[$doc])* pub const $constant: Self = Self($word);)+
        }
    };
}

reasons! {
    /// The Service has what it asked for.
    ALLOCATED = "Allocated",
    /// No address of a pool was to be had, and the Service has addresses of nodes instead.
    FELL_BACK_TO_NODES = "FellBackToNodes",
    /// The request contradicts itself, is ill-formed, or asks for what this version does not do.
    INVALID_REQUEST = "InvalidRequest",
    /// Another controller looks after the Service.
    FOREIGN_CONTROLLER = "ForeignController",
    /// The Service has no node ports, as was asked for.
    DISABLED = "Disabled",
    /// The Service has node ports, as was asked for.
    ENABLED = "Enabled",
    /// Somebody's manifest says otherwise about the node ports; Herald does not fight it.
    NODE_PORTS_PINNED = "NodePortsPinned",
    /// The Service's traffic comes in through its node ports.
    NODE_PORTS_NEEDED = "NodePortsNeeded",
    /// Somebody switches the node ports on again and again; Herald rests.
    NODE_PORTS_CONTESTED = "NodePortsContested",
    /// A node announces the addresses.
    ANNOUNCING = "Announcing",
    /// No node may announce it.
    NO_CANDIDATE = "NoCandidate",
    /// No node has an interface that may carry it, or none with a link.
    NO_INTERFACE = "NoInterface",
    /// `externalTrafficPolicy: Local`, and no node that may announce it has an endpoint.
    NO_ENDPOINT = "NoEndpoint",
    /// A host that is no Herald node claims it.
    ADDRESS_CONFLICT = "AddressConflict",
    /// Another host used the address before it was announced, and the Service has another one instead.
    ADDRESS_REPLACED = "AddressReplaced",
    /// A Herald node that is not heard answers for it.
    PEER_UNHEARD = "PeerUnheard",
    /// The cloud's balancer serves the Service.
    PROVISIONED = "Provisioned",
    /// What is in the cloud for the Service is being deleted.
    DEPROVISIONING = "Deprovisioning",
    /// The pool gives out addresses.
    READY = "Ready",
    /// The pool sets a field that this version does not obey.
    NOT_SUPPORTED = "NotSupported",
    /// Addresses that are in use lie outside the pool after an edit.
    IN_USE_OUTSIDE_RANGE = "InUseOutsideRange",
    /// Services have addresses that the pool would not give them any more.
    HELD_BY_DISALLOWED = "HeldByDisallowed",
    /// Every address in use lies inside the pool.
    AS_EXPECTED = "AsExpected",
}

impl Reason {
    /// A reason word that a pure module chose, such as a refusal's.
    #[must_use]
    pub const fn of(word: &'static str) -> Self {
        Self(word)
    }

    /// The word itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
