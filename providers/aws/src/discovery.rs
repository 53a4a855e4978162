//! Reads the network for all Services at once, call by call: the caller makes each call and brings the answer back.
//!
//! ```text
//!   DescribeInstances, 200 at a time ─▶ the VPC, unless it is given
//!   DescribeVpcs, DescribeSubnets, DescribeRouteTables, DescribeSecurityGroups, DescribeAvailabilityZones ─▶ Site
//! ```
//! A part of it, for nodes that have come since: only their instances are read, and added to what is known.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::Ipv4Addr,
};

use ipnet::IpNet;

use crate::{
    call::{Call, InstanceRead, Reply, RouteTableRead, SubnetRead},
    executor::Executor,
    failure::{Failure, Remedy, Verdict},
    input::{Network, Node, NodeGroup, Subnet},
    model::Tags,
    refusal::{Reason, Refusal},
    words::Moment,
};

/// AWS takes so many values in a filter.
const FILTERED: usize = 200;

/// The instances that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// By id.
    pub instances: BTreeSet<String>,
    /// By the private address of a node whose `providerID` names none.
    pub addresses: BTreeSet<Ipv4Addr>,
}

/// The VPC, and the instances in it that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// The VPC.
    pub network: Network,
    read: Moment,
    instances: BTreeMap<String, InstanceRead>,
    /// Security groups that carry the cluster's tag.
    of_cluster: BTreeSet<String>,
    /// What was asked for, whether it was found or not.
    asked: Sought,
}

/// A reading under way.
#[derive(Debug)]
pub struct Discovery {
    cluster: String,
    vpc: Option<String>,
    sought: Sought,
    now: Moment,
    todo: VecDeque<Call>,
    /// Whether the calls about the VPC are in `todo`, or behind.
    placed: bool,
    before: Option<Site>,
    ranges: Vec<IpNet>,
    subnets: Vec<SubnetRead>,
    tables: Vec<RouteTableRead>,
    zones: BTreeMap<String, String>,
    groups: BTreeMap<String, Tags>,
    instances: Vec<InstanceRead>,
    end: Option<Verdict>,
}

impl Sought {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.addresses.is_empty()
    }

    /// What of this was not asked for before.
    #[must_use]
    pub fn beyond(&self, before: &Self) -> Self {
        Self {
            instances: &self.instances - &before.instances,
            addresses: &self.addresses - &before.addresses,
        }
    }
}

impl Discovery {
    /// Reads everything. Without a VPC it is the one of the instances.
    pub fn new(cluster: impl Into<String>, vpc: Option<&str>, sought: Sought, now: Moment) -> Self {
        Self::begin(cluster.into(), vpc.map(str::to_owned), sought, None, now)
    }

    /// Reads more instances, and takes the rest from before.
    #[must_use]
    pub fn of_instances(before: Site, sought: Sought) -> Self {
        let (vpc, now) = (before.network.vpc.clone(), before.read);
        Self::begin(String::new(), Some(vpc), sought, Some(before), now)
    }

    fn begin(
        cluster: String,
        vpc: Option<String>,
        sought: Sought,
        before: Option<Site>,
        now: Moment,
    ) -> Self {
        let ids: Vec<String> = sought.instances.iter().cloned().collect();
        let mut discovery = Self {
            cluster,
            vpc: None,
            sought,
            now,
            todo: ids
                .chunks(FILTERED)
                .map(|chunk| Call::DescribeInstances(chunk.iter().cloned().collect()))
                .collect(),
            placed: false,
            before,
            ranges: Vec::new(),
            subnets: Vec::new(),
            tables: Vec::new(),
            zones: BTreeMap::new(),
            groups: BTreeMap::new(),
            instances: Vec::new(),
            end: None,
        };
        if let Some(vpc) = vpc {
            discovery.place(vpc);
        }
        discovery
    }

    /// The next call; `None` at the end.
    pub fn next_call(&mut self) -> Option<Call> {
        if self.todo.is_empty() && !self.placed && self.end.is_none() {
            match self.told() {
                Ok(vpc) => self.place(vpc),
                Err(verdict) => self.end = Some(verdict),
            }
        }
        self.todo.front().filter(|_| self.end.is_none()).cloned()
    }

    /// Takes the answer to that call.
    pub fn take(&mut self, answer: Result<Reply, Failure>) {
        let Some(call) = self.todo.pop_front() else {
            return;
        };
        match answer {
            Ok(Reply::Instances(read)) => self.instances.extend(read),
            Ok(Reply::Ranges(ranges)) => self.ranges = ranges,
            Ok(Reply::Subnets(read)) => self.subnets = read,
            Ok(Reply::RouteTables(read)) => self.tables = read,
            Ok(Reply::Zones(zones)) => self.zones = zones,
            Ok(Reply::SecurityGroups(groups)) => self.groups = groups,
            Ok(_) => {}
            Err(failure) => self.end = Some(failure.classify(&call)),
        }
    }

    /// What there is.
    ///
    /// # Errors
    /// The call that failed, or that the nodes do not tell the VPC.
    pub fn finish(self) -> Result<Site, Verdict> {
        if let Some(verdict) = self.end {
            return Err(verdict);
        }
        let mut site = match self.before {
            Some(before) => before,
            None => {
                let own = format!("kubernetes.io/cluster/{}", self.cluster);
                let tagged = self
                    .groups
                    .iter()
                    .filter(|(_, tags)| tags.contains_key(&own));
                Site {
                    read: self.now,
                    of_cluster: tagged.map(|(id, _)| id.clone()).collect(),
                    network: Network {
                        vpc: self.vpc.unwrap_or_default(),
                        ranges: self.ranges,
                        subnets: subnets(self.subnets, &self.tables, &self.zones),
                        named_groups: named(&self.groups),
                    },
                    ..Site::default()
                }
            }
        };
        let found = self
            .instances
            .into_iter()
            .map(|read| (read.id.clone(), read));
        site.instances.extend(found);
        site.asked.instances.extend(self.sought.instances);
        site.asked.addresses.extend(self.sought.addresses);
        Ok(site)
    }

    fn place(&mut self, vpc: String) {
        self.placed = true;
        if self.before.is_none() {
            self.todo.extend([
                Call::DescribeVpc(vpc.clone()),
                Call::DescribeSubnets(vpc.clone()),
                Call::DescribeRouteTables(vpc.clone()),
                Call::DescribeGroupsOfVpc(vpc.clone()),
                Call::DescribeZones,
            ]);
        }
        let addresses: Vec<Ipv4Addr> = self.sought.addresses.iter().copied().collect();
        self.todo.extend(
            addresses
                .chunks(FILTERED)
                .map(|chunk| Call::DescribeInstancesAt {
                    vpc: vpc.clone(),
                    addresses: chunk.iter().copied().collect(),
                }),
        );
        self.vpc = Some(vpc);
    }

    /// The VPC that the instances tell.
    fn told(&self) -> Result<String, Verdict> {
        let vpcs: BTreeSet<&String> = self.instances.iter().map(|read| &read.vpc).collect();
        let mut all = vpcs.iter();
        let message = match (all.next(), all.next()) {
            (Some(vpc), None) => return Ok((*vpc).clone()),
            (None, _) => {
                "no node has an EC2 instance that AWS knows, so nobody tells the VPC".to_owned()
            }
            _ => format!("the nodes are in several VPCs: {vpcs:?}"),
        };
        Err(Verdict {
            remedy: Remedy::User,
            refusal: Refusal::new(
                Reason::VpcUnknown,
                format!("{message}; name it with --aws-vpc-id"),
            ),
            stops_all: true,
        })
    }
}

impl Site {
    /// When it was read, but for instances that were added since.
    #[must_use]
    pub const fn read(&self) -> Moment {
        self.read
    }

    /// What was asked for when it was read.
    #[must_use]
    pub const fn asked(&self) -> &Sought {
        &self.asked
    }

    /// The instance that has this address.
    #[must_use]
    pub fn instance_at(&self, address: Ipv4Addr) -> Option<&str> {
        let mut all = self.instances.values();
        all.find(|read| read.addresses.contains(&address))
            .map(|read| read.id.as_str())
    }

    /// Fills in the security groups of a node, by its instance.
    pub fn place(&self, node: &mut Node) {
        let groups = node.instance().and_then(|id| self.instances.get(id));
        node.security_groups = groups.map_or_else(Vec::new, |read| {
            let group = |id: &String| NodeGroup {
                id: id.clone(),
                of_cluster: self.of_cluster.contains(id),
            };
            read.security_groups.iter().map(group).collect()
        });
    }
}

/// Does a reading from its first call to its end.
///
/// # Errors
/// As [`Discovery::finish`].
pub async fn discover(executor: &impl Executor, mut reading: Discovery) -> Result<Site, Verdict> {
    while let Some(call) = reading.next_call() {
        let answer = executor.execute(call).await;
        reading.take(answer);
    }
    reading.finish()
}

fn subnets(
    all: Vec<SubnetRead>,
    tables: &[RouteTableRead],
    zones: &BTreeMap<String, String>,
) -> Vec<Subnet> {
    let is_public = |id: &String| {
        let own = tables.iter().find(|table| table.subnets.contains(id));
        own.or_else(|| tables.iter().find(|table| table.main))
            .is_some_and(|table| table.public)
    };
    // Where there is no IPv4, no balancer can stand.
    let fit = all.into_iter().filter_map(|read| {
        Some(Subnet {
            v4: read.v4?,
            public: is_public(&read.id),
            locale: read
                .outpost
                .or_else(|| zones.get(&read.zone).cloned())
                .unwrap_or_default(),
            id: read.id,
            zone: read.zone,
            v6: read.v6,
            tags: read.tags,
            free: read.free,
        })
    });
    fit.collect()
}

/// The ids by the tag `Name`; the first id where several have the same.
fn named(groups: &BTreeMap<String, Tags>) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for (id, tags) in groups {
        if let Some(name) = tags.get("Name") {
            named.entry(name.clone()).or_insert_with(|| id.clone());
        }
    }
    named
}
