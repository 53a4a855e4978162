//! One line of the answer, and the list of them while it grows.

use serde::Serialize;

macro_rules! words {
    ($($(#[$doc:meta])* $word:ident,)*) => {
        /// The one word of a finding; `docs/check.md` explains each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub enum Word {
            $($(#[$doc])* $word,)*
        }

        impl Word {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// As it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => stringify!($word),)*
                }
            }
        }
    };
}

words! {
    /// Herald's resources are defined as this binary knows them.
    Definitions,
    /// A resource of Herald's is not defined.
    CrdMissing,
    /// A definition does not serve the version that this binary speaks.
    CrdVersionNotServed,
    /// A definition has another schema than this binary's.
    CrdSchemaDiffers,
    /// Everything that runs is of one version.
    Versions,
    /// Agents, controllers or this binary differ in their version.
    VersionsDiffer,
    /// One controller leads.
    Controller,
    /// No controller leads.
    NoLeader,
    /// Herald is installed in more than one namespace.
    TwoReleases,
    /// An agent reports from every node that may announce.
    Agents,
    /// No agent reports from a node that may announce.
    AgentMissing,
    /// Pods of the agents' DaemonSet are not ready.
    AgentUnavailable,
    /// The agents sign with one key, and accept each other's heartbeats.
    Keys,
    /// The Secret with the heartbeat keys is not there.
    PeerKeyMissing,
    /// Agents sign with different keys.
    KeyMismatch,
    /// An agent drops heartbeats that it hears.
    HeartbeatsDropped,
    /// The agents hear each other.
    Heartbeats,
    /// An agent is alive and not heard on a segment.
    PeerUnheard,
    /// The same, because its interface has no carrier.
    PeerNoCarrier,
    /// Two hosts run agents under one node's name.
    SameName,
    /// The nodes' clocks agree with the API server's.
    Clocks,
    /// A node's clock differs.
    ClockSkew,
    /// The nodes' kernels and kube-proxies let announced addresses work.
    Kernel,
    /// kube-proxy uses IPVS, and the kernel answers ARP for every Service's address on every node.
    IPVSWithoutStrictARP,
    /// The kernel answers ARP for none of the node's own addresses.
    ArpIgnored,
    /// Clients from beyond the segment are dropped.
    ReversePathStrict,
    /// A node's kube-proxy is not healthy.
    KubeProxyUnhealthy,
    /// The pools fit the network.
    Pools,
    /// There is no pool.
    NoPool,
    /// A pool cannot be used.
    PoolUnusable,
    /// No node has an interface in a pool's subnet.
    PoolOffSubnet,
    /// No node has an interface that a pool names.
    PoolInterfaceMissing,
    /// A pool holds addresses of nodes.
    PoolHasNodeAddress,
    /// A pool holds the address of a router.
    PoolHasGateway,
    /// A pool overlaps the range of pods.
    PoolInPodRange,
    /// A pool overlaps the range of Services.
    PoolInServiceRange,
    /// Two pools overlap.
    PoolOverlap,
    /// A pool holds addresses at the edge of a network.
    EdgeAddress,
    /// No other controller serves Services.
    Rivals,
    /// Another load balancer controller runs here too.
    OtherController,
    /// A Service bears the marks of another controller.
    ForeignService,
    /// A Service's status was not written by Herald.
    ForeignStatus,
    /// The cloud's Services can be served.
    Cloud,
    /// A node has no providerID, so no Network Load Balancer can reach it.
    ProviderIdMissing,
    /// Nobody else is on the pools' addresses.
    Wire,
    /// The wire was not asked.
    WireNotAsked,
    /// Another host claims an address that Herald announces or would.
    AddressConflict,
    /// A host answers for a free address of a pool.
    AddressAnswered,
    /// A DHCP server offers addresses of a pool.
    DhcpInPool,
    /// An agent did not tell what it found on the wire.
    WireUnanswered,
    /// A pool has more addresses than are asked for at a time.
    WireIncomplete,
    /// Something could not be read.
    CouldNotRead,
}

/// How bad a finding is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work, or will not.
    Fail,
    /// Something may not work.
    Warn,
    /// It could not be found out.
    Unknown,
    /// There was nothing to look at, or nobody asked for it.
    Skip,
    /// All is well.
    Ok,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The one word.
    pub word: Word,
    /// On what: `Node/a`, `AddressPool/lan`.
    pub object: String,
    /// What was found.
    pub message: String,
    /// The command or edit that repairs it; left out where nothing needs repair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<String>,
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Severity {
    /// As people read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Skip => "skip",
            Self::Ok => "ok",
        }
    }
}

impl Findings {
    /// Something does not work.
    pub(super) fn fail(
        &mut self,
        word: Word,
        object: &str,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) {
        self.add(
            Severity::Fail,
            word,
            object,
            message.into(),
            Some(repair.into()),
        );
    }

    /// Something may not work.
    pub(super) fn warn(
        &mut self,
        word: Word,
        object: &str,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) {
        self.add(
            Severity::Warn,
            word,
            object,
            message.into(),
            Some(repair.into()),
        );
    }

    /// Something could not be found out.
    pub(super) fn unknown(
        &mut self,
        word: Word,
        object: &str,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) {
        self.add(
            Severity::Unknown,
            word,
            object,
            message.into(),
            Some(repair.into()),
        );
    }

    /// There was nothing to look at.
    pub(super) fn skip(&mut self, word: Word, object: &str, message: impl Into<String>) {
        self.add(Severity::Skip, word, object, message.into(), None);
    }

    /// All is well.
    pub(super) fn ok(&mut self, word: Word, object: &str, message: impl Into<String>) {
        self.add(Severity::Ok, word, object, message.into(), None);
    }

    /// How many there are: the same number later means that nothing was found in between.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The worst first, and otherwise in the order in which things are looked at.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.severity);
        self.0
    }

    fn add(
        &mut self,
        severity: Severity,
        word: Word,
        object: &str,
        message: String,
        repair: Option<String>,
    ) {
        self.0.push(Finding {
            severity,
            word,
            object: object.to_owned(),
            message,
            repair,
        });
    }
}
