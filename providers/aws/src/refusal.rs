//! Why something is not done as asked: one PascalCase word and a sentence that says what to do.

use std::fmt;

use crate::words::Word;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The one word, the same in conditions, Events, metrics and logs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

reasons! {
    /// No such annotation under the prefix.
    UnknownAnnotation,
    /// A value that the annotation does not take.
    InvalidAnnotation,
    /// Two annotations, or an annotation and the spec, cannot both be met.
    ContradictoryAnnotations,
    /// A known annotation that Herald does not serve yet.
    UnsupportedAnnotation,
    /// A known annotation that a Network Load Balancer cannot honour; the rest is served.
    IneffectiveAnnotation,
    /// A protocol that a Network Load Balancer does not have.
    UnsupportedProtocol,
    /// The Service has no port that can be served.
    NoPorts,
    /// Nobody says in which VPC the cluster is, and the nodes do not tell.
    VpcUnknown,
    /// No subnet fits.
    NoSubnets,
    /// A named subnet does not exist in the VPC.
    SubnetNotFound,
    /// Two subnets of one zone, or of different kinds of zones.
    SubnetsConflict,
    /// Addresses and subnets do not match.
    AddressMismatch,
    /// IPv6 is asked of what has only IPv4.
    FamilyUnavailable,
    /// A certificate of another region.
    CertificateElsewhere,
    /// A named security group does not exist in the VPC.
    SecurityGroupNotFound,
    /// Instance targets need node ports.
    NodePortsNeeded,
    /// TCP and UDP on one port lead to different places.
    PortsCannotMerge,
    /// A node without an EC2 instance id.
    NodeWithoutInstance,
    /// No security group of a node can be told to be the one to open.
    NodeSecurityGroupUnclear,
    /// More targets than the quota lets be.
    TargetsLeftOut,
    /// The name belongs to a balancer that is not this Service's.
    NameInUse,
    /// The new balancer needs an address that the present one holds.
    RecreateRequired,
    /// The name annotation counts only when the balancer is made.
    NameKept,
    /// An attribute whose default Herald does not know stays as it is.
    AttributeKept,
    /// Someone protects the balancer from deletion.
    DeletionProtected,
    /// AWS forbids the call.
    NotPermitted,
    /// The credentials are expired or not accepted.
    CredentialsInvalid,
    /// A quota of the account is exhausted.
    QuotaExceeded,
    /// AWS refuses a value.
    RefusedByAws,
    /// AWS asks for fewer calls.
    Throttled,
    /// An object is still in use by another that is on its way out.
    InUse,
    /// What was read is out of date.
    Stale,
    /// AWS does not answer.
    Unreachable,
    /// The new balancer's targets are not healthy yet; the old one serves.
    TargetsUnhealthy,
    /// AWS is still making the balancer.
    Provisioning,
    /// The balancer could not be made by AWS.
    ProvisioningFailed,
    /// Targets or clients leave in peace.
    Draining,
    /// Waits until nothing that was just made can be unseen.
    Settling,
}

/// What is not done, or not yet, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub struct Refusal {
    /// In one word.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The words of a closed set, for a sentence.
pub(crate) fn choices<W: Word>() -> String {
    let words: Vec<_> = W::ALL.iter().map(|word| word.word()).collect();
    words.join(", ")
}
