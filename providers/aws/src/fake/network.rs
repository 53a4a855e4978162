//! The VPC, as it is read: its subnets, routes, zones, security groups and instances.

use super::{Answer, Fake, refuse};
use crate::call::{Call, InstanceRead, Reply};

impl Fake {
    pub(super) fn network(&self, call: &Call) -> Answer {
        match call {
            Call::DescribeVpc(vpc) if *vpc != self.vpc => refuse("InvalidVpcID.NotFound", vpc),
            Call::DescribeVpc(_) => Ok(Reply::Ranges(self.ranges.clone())),
            Call::DescribeZones => Ok(Reply::Zones(self.zones.clone())),
            Call::DescribeSubnets(vpc) => Ok(Reply::Subnets(
                self.within(vpc, || self.subnets.values().cloned().collect()),
            )),
            Call::DescribeRouteTables(vpc) => {
                Ok(Reply::RouteTables(self.within(vpc, || self.tables.clone())))
            }
            Call::DescribeGroupsOfVpc(vpc) => Ok(Reply::SecurityGroups(self.within(vpc, || {
                let seen = self
                    .security_groups
                    .iter()
                    .filter(|(_, it)| self.seen(it.made));
                seen.map(|(id, it)| (id.clone(), it.tags.clone())).collect()
            }))),
            Call::DescribeInstances(ids) => Ok(self.instances_where(|read| ids.contains(&read.id))),
            Call::DescribeInstancesAt { vpc, addresses } => Ok(self.instances_where(|read| {
                read.vpc == *vpc && !read.addresses.is_disjoint(addresses)
            })),
            _ => refuse("InvalidAction", call.to_string()),
        }
    }

    /// A filter by a VPC that is not there finds nothing.
    fn within<T: Default>(&self, vpc: &str, all: impl FnOnce() -> T) -> T {
        if vpc == self.vpc { all() } else { T::default() }
    }

    fn instances_where(&self, fits: impl Fn(&InstanceRead) -> bool) -> Reply {
        let all = self.instances.values().filter(|read| fits(read));
        Reply::Instances(all.cloned().collect())
    }
}
