//! The forms of EC2's query protocol: flat pairs, lists numbered from one.

use std::{collections::BTreeSet, net::Ipv4Addr};

use herald_aws::{Call, Failure, Permit, Source, Tags, Traffic};
use ipnet::IpNet;

use crate::client::{known, misplaced};

/// The version of the API whose words these are.
const VERSION: &str = "2016-11-15";
/// AWS gives so many objects on a page.
const PAGE: &str = "1000";

/// A form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    fn new(action: &str) -> Self {
        Self(Vec::new())
            .with("Action", action)
            .with("Version", VERSION)
    }

    fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((key.into(), value.into()));
        self
    }

    fn pages(self) -> Self {
        self.with("MaxResults", PAGE)
    }

    fn filter(self, name: &str, values: impl IntoIterator<Item = String>) -> Self {
        let number = 1 + self.0.iter().filter(|(key, _)| is_filter_name(key)).count();
        let mut form = self.with(format!("Filter.{number}.Name"), name);
        for (at, value) in (1..).zip(values) {
            form = form.with(format!("Filter.{number}.Value.{at}"), value);
        }
        form
    }

    fn filter_tags(self, tags: &Tags) -> Self {
        tags.iter().fold(self, |form, (key, value)| {
            form.filter(&format!("tag:{key}"), [value.clone()])
        })
    }

    fn tagged(self, kind: &str, tags: &Tags) -> Self {
        if tags.is_empty() {
            return self;
        }
        let mut form = self.with("TagSpecification.1.ResourceType", kind);
        for (at, (key, value)) in (1..).zip(tags) {
            form = form
                .with(format!("TagSpecification.1.Tag.{at}.Key"), key)
                .with(format!("TagSpecification.1.Tag.{at}.Value"), value);
        }
        form
    }

    /// The same for the next page.
    pub(super) fn after(mut self, token: &str) -> Self {
        self.0.retain(|(key, _)| key != "NextToken");
        self.with("NextToken", token)
    }

    /// As it is sent.
    pub(super) fn encoded(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(key, value)| format!("{}={}", escaped(key), escaped(value)))
            .collect();
        pairs.join("&")
    }
}

fn is_filter_name(key: &str) -> bool {
    key.starts_with("Filter.") && key.ends_with(".Name")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// A form of these fields.
pub(super) fn plain(action: &str, fields: &[(&str, &str)]) -> Form {
    let begun = Form::new(action);
    fields
        .iter()
        .fold(begun, |form, (key, value)| form.with(*key, *value))
}

/// The form of a call.
pub(super) fn form(call: &Call, action: &str) -> Result<Form, Failure> {
    let form = Form::new(action);
    let of_vpc = |form: Form, vpc: &String| form.filter("vpc-id", [vpc.clone()]).pages();
    Ok(match call {
        Call::DescribeVpc(vpc) => form.with("VpcId.1", vpc),
        Call::DescribeSubnets(vpc)
        | Call::DescribeRouteTables(vpc)
        | Call::DescribeGroupsOfVpc(vpc) => of_vpc(form, vpc),
        Call::DescribeZones => form,
        // By a filter, as one id that is gone would fail them all.
        Call::DescribeInstances(ids) => form.filter("instance-id", ids.iter().cloned()).pages(),
        Call::DescribeInstancesAt { vpc, addresses } => {
            let addresses = addresses.iter().map(Ipv4Addr::to_string);
            of_vpc(form.filter("private-ip-address", addresses), vpc)
        }
        Call::DescribeSecurityGroups(tags) | Call::DescribeSecurityGroupRules(tags) => {
            form.filter_tags(tags).pages()
        }
        Call::CreateSecurityGroup { name, vpc, tags } => form
            .with("GroupName", name)
            .with("GroupDescription", "A load balancer of Herald")
            .with("VpcId", vpc)
            .tagged("security-group", tags),
        Call::AuthorizeIngress {
            group,
            permits,
            tags,
        } => permitted(form.with("GroupId", known(group.clone())?), permits)?
            .tagged("security-group-rule", tags),
        Call::RevokeIngress { group, rules } => {
            let form = form.with("GroupId", known(group.clone())?);
            let rules = (1..).zip(rules);
            rules.fold(form, |form, (at, rule)| {
                form.with(format!("SecurityGroupRuleId.{at}"), rule)
            })
        }
        Call::DeleteSecurityGroup(id) => form.with("GroupId", known(id.clone())?),
        _ => return Err(misplaced(call)),
    })
}

fn permitted(mut form: Form, permits: &BTreeSet<Permit>) -> Result<Form, Failure> {
    for (at, permit) in (1..).zip(permits) {
        let (protocol, from, to) = numbers(permit.traffic);
        let entry = format!("IpPermissions.{at}");
        form = form
            .with(format!("{entry}.IpProtocol"), protocol)
            .with(format!("{entry}.FromPort"), from.to_string())
            .with(format!("{entry}.ToPort"), to.to_string());
        let (key, value) = match &permit.source {
            Source::Range(IpNet::V4(range)) => ("IpRanges.1.CidrIp", range.to_string()),
            Source::Range(IpNet::V6(range)) => ("Ipv6Ranges.1.CidrIpv6", range.to_string()),
            Source::PrefixList(list) => ("PrefixListIds.1.PrefixListId", list.clone()),
            Source::Group(group) => ("Groups.1.GroupId", known(group.clone())?),
        };
        form = form.with(format!("{entry}.{key}"), value);
    }
    Ok(form)
}

/// Protocol, and first and last port, or type and code of ICMP.
pub(super) const fn numbers(traffic: Traffic) -> (&'static str, u16, u16) {
    match traffic {
        Traffic::Tcp(first, last) => ("tcp", first, last),
        Traffic::Udp(first, last) => ("udp", first, last),
        Traffic::TooLargeV4 => ("icmp", 3, 4),
        Traffic::TooLargeV6 => ("icmpv6", 2, 0),
    }
}
