//! What AWS answers, as far as Herald wants to know it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{
    model::{Attributes, GroupKind, HealthCheck, ListenerSpec, Permit, Place, Tags, Target},
    words::{Moment, Scheme, Stack},
};

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// It is made, or was there alike.
    Made(String),
    /// Balancers.
    Balancers(Vec<BalancerRead>),
    /// Target groups.
    Groups(Vec<GroupRead>),
    /// Listeners.
    Listeners(Vec<ListenerRead>),
    /// Certificates, by ARN, without the default one.
    Certificates(BTreeSet<String>),
    /// Attributes, all of them.
    Attributes(Attributes),
    /// Targets and how they are.
    Targets(BTreeMap<Target, Health>),
    /// Tags by ARN.
    Tags(BTreeMap<String, Tags>),
    /// The tags of security groups, by id.
    SecurityGroups(BTreeMap<String, Tags>),
    /// Rules of security groups.
    Rules(Vec<RuleRead>),
    /// The address ranges of a VPC.
    Ranges(Vec<IpNet>),
    /// Subnets.
    Subnets(Vec<SubnetRead>),
    /// Route tables.
    RouteTables(Vec<RouteTableRead>),
    /// Zones that are not a region's ordinary ones, with their group.
    Zones(BTreeMap<String, String>),
    /// Instances.
    Instances(Vec<InstanceRead>),
}

/// How far AWS has made a balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not ready yet.
    Provisioning,
    /// It serves.
    Active,
    /// It will never serve.
    Failed,
}

/// A balancer as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalancerRead {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Its hostname.
    pub dns_name: String,
    /// When it was made.
    pub created: Moment,
    /// How far it is made.
    pub state: State,
    /// Who reaches it.
    pub scheme: Scheme,
    /// The families on which it listens.
    pub stack: Stack,
    /// Its place in each subnet. Addresses that AWS chose are not told from others.
    pub places: BTreeMap<String, Place>,
    /// Its security groups.
    pub security_groups: BTreeSet<String>,
}

/// A target group as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRead {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// What cannot be changed about it.
    pub kind: GroupKind,
    /// How targets are asked whether they are well.
    pub health: HealthCheck,
    /// The balancer that sends packets to it.
    pub balancer: Option<String>,
}

/// A listener as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerRead {
    /// Its ARN.
    pub arn: String,
    /// Its port.
    pub port: u16,
    /// What it does.
    pub spec: ListenerSpec,
}

/// A rule of a security group as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRead {
    /// Its id.
    pub id: String,
    /// The group that it belongs to.
    pub group: String,
    /// What it lets in.
    pub permit: Permit,
    /// Its tags.
    pub tags: Tags,
}

/// A subnet as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetRead {
    /// Its id.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// The outpost in which it is, if it is in one.
    pub outpost: Option<String>,
    /// Its IPv4 range; a subnet without one can hold no balancer.
    pub v4: Option<Ipv4Net>,
    /// Its IPv6 range.
    pub v6: Option<Ipv6Net>,
    /// Its tags.
    pub tags: Tags,
    /// How many of its IPv4 addresses are free.
    pub free: u32,
}

/// A route table as AWS describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTableRead {
    /// Whether it serves the subnets that have none of their own.
    pub main: bool,
    /// The subnets that it serves.
    pub subnets: BTreeSet<String>,
    /// Whether it leads to an internet gateway.
    pub public: bool,
}

/// An instance as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRead {
    /// Its id.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Its private IPv4 addresses.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// The security groups of its primary interface.
    pub security_groups: BTreeSet<String>,
}

/// How a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It takes traffic.
    Healthy,
    /// Being registered, or not asked often enough yet.
    Initial,
    /// It answers badly or not at all.
    Unhealthy,
    /// No listener leads to it.
    Unused,
    /// Deregistered; its connections end.
    Draining,
    /// Nobody knows.
    Unavailable,
}
