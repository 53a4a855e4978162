//! The calls to AWS and their answers: the whole boundary. Whoever executes has one function from a [`Call`] to a
//! [`Reply`] or a [`Failure`](crate::failure::Failure); the SDK and the in-memory AWS are two of them.
//!
//! A call that reaches the executor names only known objects: see [`Call::resolve`].

#[cfg(test)]
mod policy;
mod reply;
mod shown;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use crate::{
    model::{
        Attributes, BalancerSpec, GroupSpec, HealthCheck, ListenerSpec, Permit, Place, Source,
        Tags, Target,
    },
    words::{Id, Stack},
};

pub use reply::{
    BalancerRead, GroupRead, Health, InstanceRead, ListenerRead, Reply, RouteTableRead, RuleRead,
    State, SubnetRead,
};

/// One call with its input. Lists of answers are complete: the executor follows the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Balancers by ARN.
    DescribeBalancers(Vec<Id>),
    /// A balancer by name.
    DescribeBalancerNamed(String),
    /// All balancers of the region.
    DescribeAllBalancers,
    /// Target groups by ARN.
    DescribeGroups(Vec<Id>),
    /// A target group by name.
    DescribeGroupNamed(String),
    /// All target groups of the region.
    DescribeAllGroups,
    /// The listeners of a balancer.
    DescribeListeners(Id),
    /// Certificates of a TLS listener, the default one included.
    DescribeListenerCertificates(Id),
    /// Attributes of a balancer.
    DescribeBalancerAttributes(Id),
    /// Attributes of a listener.
    DescribeListenerAttributes(Id),
    /// Attributes of a target group.
    DescribeGroupAttributes(Id),
    /// Targets of a target group, with their health.
    DescribeTargetHealth(Id),
    /// Tags of up to 20 balancers, listeners and target groups.
    DescribeTags(Vec<Id>),
    /// Security groups that carry these tags.
    DescribeSecurityGroups(Tags),
    /// Rules of security groups that carry these tags.
    DescribeSecurityGroupRules(Tags),

    /// The address ranges of a VPC.
    DescribeVpc(String),
    /// The subnets of a VPC.
    DescribeSubnets(String),
    /// The route tables of a VPC.
    DescribeRouteTables(String),
    /// The zones of the region.
    DescribeZones,
    /// All security groups of a VPC.
    DescribeGroupsOfVpc(String),
    /// Instances by id; what does not exist is left out.
    DescribeInstances(BTreeSet<String>),
    /// The instances of a VPC that have one of these private IPv4 addresses.
    DescribeInstancesAt {
        /// The VPC.
        vpc: String,
        /// The addresses.
        addresses: BTreeSet<Ipv4Addr>,
    },

    /// Makes a security group.
    CreateSecurityGroup {
        /// Its name.
        name: String,
        /// Its VPC.
        vpc: String,
        /// Its tags.
        tags: Tags,
    },
    /// Lets more in.
    AuthorizeIngress {
        /// Where.
        group: Id,
        /// What.
        permits: BTreeSet<Permit>,
        /// The tags of each rule.
        tags: Tags,
    },
    /// Lets less in.
    RevokeIngress {
        /// Where.
        group: Id,
        /// The rules, by id.
        rules: BTreeSet<String>,
    },
    /// Deletes a security group.
    DeleteSecurityGroup(Id),

    /// Makes a target group.
    CreateGroup(GroupSpec),
    /// Changes the health check.
    ModifyGroup {
        /// Of which target group.
        group: Id,
        /// To what.
        health: HealthCheck,
    },
    /// Changes attributes.
    ModifyGroupAttributes {
        /// Of which target group.
        group: Id,
        /// To what.
        attributes: Attributes,
    },
    /// Adds targets.
    RegisterTargets {
        /// To which target group.
        group: Id,
        /// Which.
        targets: BTreeSet<Target>,
    },
    /// Lets targets go; AWS drains them.
    DeregisterTargets {
        /// From which target group.
        group: Id,
        /// Which.
        targets: BTreeSet<Target>,
    },
    /// Deletes a target group.
    DeleteGroup(Id),

    /// Makes a balancer.
    CreateBalancer(BalancerSpec),
    /// Replaces the security groups of a balancer.
    SetSecurityGroups {
        /// Of which.
        balancer: Id,
        /// By these.
        groups: Vec<Id>,
    },
    /// Replaces the subnets of a balancer.
    SetSubnets {
        /// Of which.
        balancer: Id,
        /// By these.
        places: BTreeMap<String, Place>,
    },
    /// Changes the families of a balancer.
    SetStack {
        /// Of which.
        balancer: Id,
        /// To what.
        stack: Stack,
    },
    /// Changes attributes.
    ModifyBalancerAttributes {
        /// Of which balancer.
        balancer: Id,
        /// To what.
        attributes: Attributes,
    },
    /// Deletes a balancer with its listeners.
    DeleteBalancer(Id),

    /// Makes a listener.
    CreateListener {
        /// Of which balancer.
        balancer: Id,
        /// Its port.
        port: u16,
        /// What it does.
        spec: ListenerSpec,
        /// Its tags.
        tags: Tags,
    },
    /// Changes what a listener does.
    ModifyListener {
        /// Which.
        listener: Id,
        /// To what.
        spec: ListenerSpec,
    },
    /// Adds a certificate.
    AddCertificate {
        /// To which listener.
        listener: Id,
        /// Its ARN.
        certificate: String,
    },
    /// Removes a certificate.
    RemoveCertificate {
        /// From which listener.
        listener: Id,
        /// Its ARN.
        certificate: String,
    },
    /// Changes attributes.
    ModifyListenerAttributes {
        /// Of which listener.
        listener: Id,
        /// To what.
        attributes: Attributes,
    },
    /// Deletes a listener.
    DeleteListener(Id),

    /// Adds or changes tags of a balancer, listener or target group.
    AddTags {
        /// Of which.
        object: Id,
        /// To what.
        tags: Tags,
    },
    /// Removes tags.
    RemoveTags {
        /// From which object.
        object: Id,
        /// Which, by key.
        keys: BTreeSet<String>,
    },
}

impl Call {
    /// Whether the call changes nothing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.action().1.starts_with("Describe")
    }

    /// The same call with made objects named as AWS does; `None` while one of them is not made.
    #[must_use]
    pub fn resolve(&self, made: &BTreeMap<String, String>) -> Option<Self> {
        let mut call = self.clone();
        for id in call.ids_mut() {
            if let Id::Made(name) = id {
                *id = Id::Known(made.get(name)?.clone());
            }
        }
        if let Self::AuthorizeIngress { permits, .. } = &mut call {
            let mut resolved = BTreeSet::new();
            for mut permit in std::mem::take(permits) {
                if let Source::Group(Id::Made(name)) = &permit.source {
                    permit.source = Source::Group(Id::Known(made.get(name)?.clone()));
                }
                resolved.insert(permit);
            }
            *permits = resolved;
        }
        Some(call)
    }

    fn ids_mut(&mut self) -> Vec<&mut Id> {
        match self {
            Self::DescribeBalancers(ids) | Self::DescribeGroups(ids) | Self::DescribeTags(ids) => {
                ids.iter_mut().collect()
            }
            Self::DescribeListeners(id)
            | Self::DescribeListenerCertificates(id)
            | Self::DescribeBalancerAttributes(id)
            | Self::DescribeListenerAttributes(id)
            | Self::DescribeGroupAttributes(id)
            | Self::DescribeTargetHealth(id)
            | Self::DeleteSecurityGroup(id)
            | Self::DeleteGroup(id)
            | Self::DeleteBalancer(id)
            | Self::DeleteListener(id)
            | Self::AuthorizeIngress { group: id, .. }
            | Self::RevokeIngress { group: id, .. }
            | Self::ModifyGroup { group: id, .. }
            | Self::ModifyGroupAttributes { group: id, .. }
            | Self::RegisterTargets { group: id, .. }
            | Self::DeregisterTargets { group: id, .. }
            | Self::SetSubnets { balancer: id, .. }
            | Self::SetStack { balancer: id, .. }
            | Self::ModifyBalancerAttributes { balancer: id, .. }
            | Self::AddCertificate { listener: id, .. }
            | Self::RemoveCertificate { listener: id, .. }
            | Self::ModifyListenerAttributes { listener: id, .. }
            | Self::AddTags { object: id, .. }
            | Self::RemoveTags { object: id, .. } => vec![id],
            Self::SetSecurityGroups { balancer, groups } => {
                groups.iter_mut().chain([balancer]).collect()
            }
            Self::CreateBalancer(spec) => spec.security_groups.iter_mut().collect(),
            Self::CreateListener { balancer, spec, .. } => vec![balancer, &mut spec.group],
            Self::ModifyListener { listener, spec } => vec![listener, &mut spec.group],
            Self::DescribeBalancerNamed(_)
            | Self::DescribeAllBalancers
            | Self::DescribeGroupNamed(_)
            | Self::DescribeAllGroups
            | Self::DescribeSecurityGroups(_)
            | Self::DescribeSecurityGroupRules(_)
            | Self::DescribeVpc(_)
            | Self::DescribeSubnets(_)
            | Self::DescribeRouteTables(_)
            | Self::DescribeZones
            | Self::DescribeGroupsOfVpc(_)
            | Self::DescribeInstances(_)
            | Self::DescribeInstancesAt { .. }
            | Self::CreateSecurityGroup { .. }
            | Self::CreateGroup(_) => Vec::new(),
        }
    }
}
