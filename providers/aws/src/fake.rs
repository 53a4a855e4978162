//! A strict AWS in memory: it refuses what AWS refuses, and takes the time that AWS takes.
//!
//! Owns: balancers, listeners, target groups, security groups and rules of one region, a clock that the caller moves,
//! a log of calls, and faults on demand. Where real AWS is known to differ from moto (a create by the name of something
//! that exists, draining, health over time, fixed addresses, dependencies, quotas, objects not yet seen), this follows
//! AWS.
//!
//! ```text
//!   call ─▶ log ─▶ fault? ─▶ elb | ec2 ─▶ Reply | Failure
//!                              clock ─▶ provisioning, health, draining, what is seen
//! ```

mod ec2;
mod elb;
mod groups;
mod listeners;
mod network;
mod show;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Mutex, PoisonError},
};

use ipnet::IpNet;

use crate::{
    call::{Call, InstanceRead, Reply, RouteTableRead, RuleRead, SubnetRead},
    executor::Executor,
    failure::Failure,
    model::{Attributes, BalancerSpec, GroupSpec, ListenerSpec, Tags, Target},
    words::{Id, Moment},
};

/// A result as every call gives it.
pub type Answer = Result<Reply, Failure>;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// AWS asks for fewer calls; nothing is done.
    Throttle,
    /// The permission is missing; nothing is done.
    Deny,
    /// No answer comes; nothing is done.
    Drop,
    /// No answer comes, and yet it is done.
    LoseReply,
}

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Balancers in the region.
    pub balancers: usize,
    /// Target groups in the region.
    pub groups: usize,
    /// Listeners of a balancer.
    pub listeners: usize,
    /// Targets of a target group.
    pub targets: usize,
    /// Rules of a security group.
    pub rules: usize,
}

/// The region.
#[derive(Clone, Debug)]
pub struct Fake {
    /// The time there.
    pub now: Moment,
    /// Every call so far, on a line.
    pub log: Vec<String>,
    /// What goes wrong, by the number of the call.
    pub faults: BTreeMap<usize, Fault>,
    /// Actions that are never permitted.
    pub denied: BTreeSet<String>,
    /// For so many seconds what is made is not seen.
    pub lag: u64,
    /// Targets that are never healthy, by id; or all of a target group, by its name.
    pub sick: BTreeSet<String>,
    /// How much there may be.
    pub quotas: Quotas,
    /// Elastic addresses, and the balancer that has each.
    pub allocations: BTreeMap<String, Option<String>>,
    /// Instances that exist, by id.
    pub instances: BTreeMap<String, InstanceRead>,
    /// Certificates that exist.
    pub certificates: BTreeSet<String>,
    /// The one VPC.
    pub vpc: String,
    /// Its ranges.
    pub ranges: Vec<IpNet>,
    /// Its subnets, by id.
    pub subnets: BTreeMap<String, SubnetRead>,
    /// Its route tables.
    pub tables: Vec<RouteTableRead>,
    /// Zones that are not the region's ordinary ones, with their group.
    pub zones: BTreeMap<String, String>,
    balancers: BTreeMap<String, Balancer>,
    listeners: BTreeMap<String, Listener>,
    groups: BTreeMap<String, Group>,
    security_groups: BTreeMap<String, SecurityGroup>,
    rules: BTreeMap<String, Rule>,
    /// Interfaces of balancers that are gone keep their security groups for a while.
    lingering: Vec<(String, Moment)>,
    counter: u32,
}

#[derive(Clone, Debug)]
struct Balancer {
    spec: BalancerSpec,
    security_groups: BTreeSet<String>,
    tags: Tags,
    attributes: Attributes,
    made: Moment,
}

#[derive(Clone, Debug)]
struct Listener {
    balancer: String,
    port: u16,
    spec: ListenerSpec,
    tags: Tags,
    attributes: Attributes,
    certificates: BTreeSet<String>,
    made: Moment,
}

#[derive(Clone, Debug)]
struct Group {
    spec: GroupSpec,
    tags: Tags,
    attributes: Attributes,
    targets: BTreeMap<Target, Registered>,
    /// Since when a listener leads to it.
    used: Option<Moment>,
    made: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Registered {
    since: Moment,
    leaving: Option<Moment>,
}

#[derive(Clone, Debug)]
struct SecurityGroup {
    name: String,
    tags: Tags,
    made: Moment,
}

#[derive(Clone, Debug)]
struct Rule {
    read: RuleRead,
    made: Moment,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            now: Moment(1_000_000),
            log: Vec::new(),
            faults: BTreeMap::new(),
            denied: BTreeSet::new(),
            lag: 0,
            sick: BTreeSet::new(),
            quotas: Quotas {
                balancers: 50,
                groups: 3000,
                listeners: 50,
                targets: 1000,
                rules: 60,
            },
            allocations: BTreeMap::new(),
            instances: BTreeMap::new(),
            certificates: BTreeSet::new(),
            vpc: "vpc-1".to_owned(),
            ranges: Vec::new(),
            subnets: BTreeMap::new(),
            tables: Vec::new(),
            zones: BTreeMap::new(),
            balancers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            groups: BTreeMap::new(),
            security_groups: BTreeMap::new(),
            rules: BTreeMap::new(),
            lingering: Vec::new(),
            counter: 0,
        }
    }
}

impl Fake {
    /// Makes a call.
    ///
    /// # Errors
    /// As AWS refuses it, or as a fault wants it.
    pub fn call(&mut self, call: &Call) -> Answer {
        let number = self.log.len();
        self.log.push(call.to_string());
        let (_, action) = call.action();
        if self.denied.contains(action) {
            return Err(denied(action));
        }
        let unheard = || {
            Err(Failure::new(
                Failure::NO_ANSWER,
                "the connection was closed",
            ))
        };
        match self.faults.get(&number) {
            None => self.act(call),
            Some(Fault::Throttle) => Err(Failure::new("Throttling", "Rate exceeded")),
            Some(Fault::Deny) => Err(denied(action)),
            Some(Fault::Drop) => unheard(),
            Some(Fault::LoseReply) => {
                // The answer is what gets lost.
                drop(self.act(call));
                unheard()
            }
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: u64) {
        self.now = Moment(self.now.0 + seconds);
        self.end_draining();
        let now = self.now;
        self.lingering.retain(|(_, until)| *until > now);
    }

    fn act(&mut self, call: &Call) -> Answer {
        match call {
            Call::DescribeSecurityGroups(_)
            | Call::DescribeSecurityGroupRules(_)
            | Call::CreateSecurityGroup { .. }
            | Call::AuthorizeIngress { .. }
            | Call::RevokeIngress { .. }
            | Call::DeleteSecurityGroup(_) => self.ec2(call),
            Call::DescribeVpc(_)
            | Call::DescribeSubnets(_)
            | Call::DescribeRouteTables(_)
            | Call::DescribeZones
            | Call::DescribeGroupsOfVpc(_)
            | Call::DescribeInstances(_)
            | Call::DescribeInstancesAt { .. } => self.network(call),
            Call::DescribeGroups(_)
            | Call::DescribeGroupNamed(_)
            | Call::DescribeAllGroups
            | Call::DescribeGroupAttributes(_)
            | Call::DescribeTargetHealth(_)
            | Call::CreateGroup(_)
            | Call::ModifyGroup { .. }
            | Call::ModifyGroupAttributes { .. }
            | Call::RegisterTargets { .. }
            | Call::DeregisterTargets { .. }
            | Call::DeleteGroup(_) => self.target_groups(call),
            Call::DescribeListeners(_)
            | Call::DescribeListenerCertificates(_)
            | Call::DescribeListenerAttributes(_)
            | Call::CreateListener { .. }
            | Call::ModifyListener { .. }
            | Call::AddCertificate { .. }
            | Call::RemoveCertificate { .. }
            | Call::ModifyListenerAttributes { .. }
            | Call::DeleteListener(_) => self.listeners(call),
            _ => self.load_balancers(call),
        }
    }

    fn seen(&self, made: Moment) -> bool {
        self.now.since(made) >= self.lag
    }

    fn count(&mut self) -> u32 {
        self.counter += 1;
        self.counter
    }

    /// Whether an address of a subnet is taken by a balancer.
    fn has_private(&self, address: Ipv4Addr) -> bool {
        let places = self
            .balancers
            .values()
            .flat_map(|balancer| balancer.spec.places.values());
        places
            .into_iter()
            .any(|place| place.private_v4 == Some(address))
    }
}

/// Shared, as whoever executes calls is.
impl Executor for Mutex<Fake> {
    async fn execute(&self, call: Call) -> Answer {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .call(&call)
    }
}

fn denied(action: &str) -> Failure {
    Failure::new(
        "AccessDenied",
        format!("not authorized to perform {action}"),
    )
}

fn refuse<T>(code: &str, message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(code, message))
}

/// The id of an object that AWS has named.
fn known(id: &Id) -> Result<&str, Failure> {
    match id {
        Id::Known(id) => Ok(id),
        Id::Made(name) => refuse("ValidationError", format!("{name} is no id")),
    }
}

fn tag_limit(tags: &Tags) -> Result<(), Failure> {
    if tags.len() > 50 {
        return refuse("TooManyTags", "50 tags at most");
    }
    let ill = tags
        .iter()
        .find(|(key, value)| key.is_empty() || key.len() > 128 || value.len() > 256);
    ill.map_or(Ok(()), |(key, _)| {
        refuse("ValidationError", format!("tag {key}"))
    })
}

fn name_is_fine(name: &str) -> bool {
    let letters = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    letters && (1..=32).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}
