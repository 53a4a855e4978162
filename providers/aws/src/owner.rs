//! Whose an object is. Tags decide, and nothing else: they are part of the call that makes the object, so there is no
//! moment at which it is nobody's.

use herald_spi::ServiceKey;

use crate::model::Tags;

/// The cluster's name.
pub const CLUSTER: &str = "herald.dev/cluster";
/// The Service's UID.
pub const UID: &str = "herald.dev/service-uid";
/// The Service's namespace and name, for people.
pub const SERVICE: &str = "herald.dev/service";
/// What the object is for.
pub const ROLE: &str = "herald.dev/role";
/// The balancer that a target group is for, by name.
pub const BALANCER: &str = "herald.dev/balancer";
/// The port that a target group is for.
pub const PORT: &str = "herald.dev/port";
/// Since when a balancer is replaced, in seconds since 1970.
pub const RETIRED: &str = "herald.dev/retired-at";
/// Before the name of each attribute that an annotation has set: what goes back to its default when that is gone.
pub const ATTRIBUTE: &str = "herald.dev/attribute/";

/// What an object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The load balancer.
    Balancer,
    /// A listener.
    Listener,
    /// A target group.
    TargetGroup,
    /// The balancer's security group.
    SecurityGroup,
    /// A rule of that group.
    ClientRule,
    /// A rule of the nodes' security group.
    NodeRule,
}

/// Who owns what is made for one Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster's name.
    pub cluster: String,
    /// The Service's UID.
    pub uid: String,
    /// The Service.
    pub service: ServiceKey,
}

/// Whose an object is, seen from one Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This Service's.
    Ours,
    /// Another Service's of this cluster, or of an earlier Service of the same name.
    Sibling(String),
    /// Another cluster's.
    OtherCluster(String),
    /// Another controller's.
    OtherController(&'static str),
    /// Nobody's who says so.
    Nobody,
}

impl Role {
    /// The tag's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Balancer => "balancer",
            Self::Listener => "listener",
            Self::TargetGroup => "target-group",
            Self::SecurityGroup => "security-group",
            Self::ClientRule => "client-rule",
            Self::NodeRule => "node-rule",
        }
    }
}

impl Owner {
    /// The tags that mark an object of ours.
    #[must_use]
    pub fn tags(&self, role: Role) -> Tags {
        [
            (CLUSTER, self.cluster.clone()),
            (UID, self.uid.clone()),
            (SERVICE, self.service.to_string()),
            (ROLE, role.as_str().to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    /// Whose an object with these tags is.
    #[must_use]
    pub fn judge(&self, tags: &Tags) -> Ownership {
        let value = |key: &str| tags.get(key).map(String::as_str);
        match (value(CLUSTER), value(UID)) {
            (Some(cluster), _) if cluster != self.cluster => {
                Ownership::OtherCluster(cluster.to_owned())
            }
            (Some(_), Some(uid)) if uid == self.uid => Ownership::Ours,
            (Some(_), _) => {
                Ownership::Sibling(value(SERVICE).unwrap_or("another Service").to_owned())
            }
            (None, _) if value("elbv2.k8s.aws/cluster").is_some() => {
                Ownership::OtherController("the AWS Load Balancer Controller")
            }
            (None, _) if value("kubernetes.io/service-name").is_some() => {
                Ownership::OtherController("cloud-provider-aws")
            }
            (None, _) => Ownership::Nobody,
        }
    }

    /// Whether an object with these tags is this Service's.
    #[must_use]
    pub fn owns(&self, tags: &Tags) -> bool {
        self.judge(tags) == Ownership::Ours
    }
}

impl std::fmt::Display for Ownership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ours => f.write_str("this Service"),
            Self::Sibling(service) => write!(f, "Service {service}"),
            Self::OtherCluster(cluster) => write!(f, "cluster {cluster}"),
            Self::OtherController(name) => f.write_str(name),
            Self::Nobody => f.write_str("nobody that says so by a tag"),
        }
    }
}
