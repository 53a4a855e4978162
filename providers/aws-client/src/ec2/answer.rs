//! What EC2 answers: XML whose lists are `item`s. What is missing is left out; what nobody can have asked for is told so
//! that it is taken away.

use std::{collections::BTreeMap, str::FromStr};

use herald_aws::{
    Call, Failure, Id, InstanceRead, Permit, Reply, RouteTableRead, RuleRead, Source, SubnetRead,
    Tags, Traffic,
};
use ipnet::IpNet;
use roxmltree::{Document, Error, Node};

use super::query::numbers;

/// The token of the next page, if there is one.
pub(super) fn next(body: &str) -> Result<Option<String>, Error> {
    let document = Document::parse(body)?;
    let root = document.root_element();
    Ok(text(root, "nextToken").filter(|token| !token.is_empty()))
}

/// The texts of all elements of that name.
pub(super) fn texts(body: &str, element: &str) -> Result<Vec<String>, Error> {
    let document = Document::parse(body)?;
    let named = document
        .descendants()
        .filter(|node| node.tag_name().name() == element);
    Ok(named
        .map(|node| node.text().unwrap_or_default().to_owned())
        .collect())
}

/// Reads all pages of an answer.
pub(super) fn read(call: &Call, pages: &[String]) -> Result<Result<Reply, Failure>, Error> {
    let documents: Vec<Document<'_>> = pages
        .iter()
        .map(|page| Document::parse(page))
        .collect::<Result<_, _>>()?;
    let roots: Vec<Node<'_, '_>> = documents.iter().map(Document::root_element).collect();
    Ok(reply(call, &roots))
}

fn reply(call: &Call, roots: &[Node<'_, '_>]) -> Result<Reply, Failure> {
    let items = |set: &'static str| roots.iter().flat_map(move |root| items(*root, set));
    Ok(match call {
        Call::DescribeVpc(_) => Reply::Ranges(items("vpcSet").flat_map(ranges).collect()),
        Call::DescribeSubnets(_) => Reply::Subnets(items("subnetSet").filter_map(subnet).collect()),
        Call::DescribeRouteTables(_) => {
            Reply::RouteTables(items("routeTableSet").map(route_table).collect())
        }
        Call::DescribeZones => {
            Reply::Zones(items("availabilityZoneInfo").filter_map(zone).collect())
        }
        Call::DescribeGroupsOfVpc(_) | Call::DescribeSecurityGroups(_) => {
            let groups = items("securityGroupInfo");
            Reply::SecurityGroups(
                groups
                    .filter_map(|it| Some((text(it, "groupId")?, tags(it))))
                    .collect(),
            )
        }
        Call::DescribeSecurityGroupRules(_) => {
            Reply::Rules(items("securityGroupRuleSet").filter_map(rule).collect())
        }
        Call::DescribeInstances(_) | Call::DescribeInstancesAt { .. } => {
            let all = items("reservationSet").flat_map(|it| self::items(it, "instancesSet"));
            Reply::Instances(all.filter_map(instance).collect())
        }
        Call::CreateSecurityGroup { .. } => {
            let id = roots.iter().find_map(|root| text(*root, "groupId"));
            Reply::Made(id.ok_or_else(|| {
                Failure::new(Failure::NO_ANSWER, "the answer does not name what was made")
            })?)
        }
        _ => Reply::Done,
    })
}

fn ranges(vpc: Node<'_, '_>) -> Vec<IpNet> {
    let stands = |it: &Node<'_, '_>, state: &str| {
        let state = child(*it, state).and_then(|state| text(state, "state"));
        state.is_none_or(|state| state == "associated")
    };
    let v4 = items(vpc, "cidrBlockAssociationSet")
        .filter(|it| stands(it, "cidrBlockState"))
        .filter_map(|it| parsed::<IpNet>(it, "cidrBlock"));
    let v6 = items(vpc, "ipv6CidrBlockAssociationSet")
        .filter(|it| stands(it, "ipv6CidrBlockState"))
        .filter_map(|it| parsed::<IpNet>(it, "ipv6CidrBlock"));
    let mut ranges: Vec<IpNet> = v4.chain(v6).collect();
    if ranges.is_empty() {
        ranges.extend(parsed::<IpNet>(vpc, "cidrBlock"));
    }
    ranges
}

fn subnet(it: Node<'_, '_>) -> Option<SubnetRead> {
    let v6 = items(it, "ipv6CidrBlockAssociationSet").find(|block| {
        let state = child(*block, "ipv6CidrBlockState").and_then(|state| text(state, "state"));
        state.is_none_or(|state| state == "associated")
    });
    Some(SubnetRead {
        id: text(it, "subnetId")?,
        zone: text(it, "availabilityZone")?,
        outpost: text(it, "outpostArn").filter(|outpost| !outpost.is_empty()),
        v4: parsed(it, "cidrBlock"),
        v6: v6.and_then(|block| parsed(block, "ipv6CidrBlock")),
        tags: tags(it),
        free: parsed(it, "availableIpAddressCount").unwrap_or_default(),
    })
}

fn route_table(it: Node<'_, '_>) -> RouteTableRead {
    let associations = || items(it, "associationSet");
    RouteTableRead {
        main: associations().any(|link| text(link, "main").as_deref() == Some("true")),
        subnets: associations()
            .filter_map(|link| text(link, "subnetId"))
            .collect(),
        public: items(it, "routeSet").any(|route| {
            text(route, "gatewayId").is_some_and(|gateway| gateway.starts_with("igw-"))
        }),
    }
}

/// Zones that are not a region's ordinary ones.
fn zone(it: Node<'_, '_>) -> Option<(String, String)> {
    let kind = text(it, "zoneType").filter(|kind| kind != "availability-zone")?;
    let group = text(it, "groupName").filter(|group| !group.is_empty());
    Some((text(it, "zoneName")?, group.unwrap_or(kind)))
}

fn instance(it: Node<'_, '_>) -> Option<InstanceRead> {
    let index = |interface: &Node<'_, '_>| {
        child(*interface, "attachment").and_then(|link| text(link, "deviceIndex"))
    };
    let primary =
        items(it, "networkInterfaceSet").find(|interface| index(interface).as_deref() == Some("0"));
    let groups = items(primary.unwrap_or(it), "groupSet");
    let interfaces = items(it, "networkInterfaceSet");
    let addresses = interfaces
        .flat_map(|interface| items(interface, "privateIpAddressesSet"))
        .filter_map(|address| parsed(address, "privateIpAddress"));
    Some(InstanceRead {
        id: text(it, "instanceId")?,
        // One that is terminated is in none.
        vpc: text(it, "vpcId").filter(|vpc| !vpc.is_empty())?,
        addresses: addresses.chain(parsed(it, "privateIpAddress")).collect(),
        security_groups: groups.filter_map(|group| text(group, "groupId")).collect(),
    })
}

fn rule(it: Node<'_, '_>) -> Option<RuleRead> {
    if text(it, "isEgress").as_deref() == Some("true") {
        return None;
    }
    Some(RuleRead {
        id: text(it, "securityGroupRuleId")?,
        group: text(it, "groupId")?,
        permit: Permit {
            traffic: traffic(it),
            source: source(it),
        },
        tags: tags(it),
    })
}

fn traffic(it: Node<'_, '_>) -> Traffic {
    let port = |name| parsed::<u16>(it, name);
    let read = (text(it, "ipProtocol"), port("fromPort"), port("toPort"));
    match (read.0.as_deref(), read.1, read.2) {
        (Some("tcp"), Some(first), Some(last)) => Traffic::Tcp(first, last),
        (Some("udp"), Some(first), Some(last)) => Traffic::Udp(first, last),
        (Some(protocol), Some(kind), Some(code)) => [Traffic::TooLargeV4, Traffic::TooLargeV6]
            .into_iter()
            .find(|traffic| numbers(*traffic) == (protocol, kind, code))
            .unwrap_or(UNWANTED),
        _ => UNWANTED,
    }
}

/// A rule of ours that a person has changed into what Herald does not make: nobody wants this, so the rule is revoked.
const UNWANTED: Traffic = Traffic::Tcp(1, 0);

fn source(it: Node<'_, '_>) -> Source {
    let range = parsed(it, "cidrIpv4").or_else(|| parsed(it, "cidrIpv6"));
    if let Some(range) = range {
        return Source::Range(range);
    }
    if let Some(list) = text(it, "prefixListId") {
        return Source::PrefixList(list);
    }
    let group = child(it, "referencedGroupInfo").and_then(|info| text(info, "groupId"));
    Source::Group(Id::Known(group.unwrap_or_default()))
}

fn tags(it: Node<'_, '_>) -> Tags {
    let pairs: BTreeMap<_, _> = items(it, "tagSet")
        .filter_map(|tag| Some((text(tag, "key")?, text(tag, "value").unwrap_or_default())))
        .collect();
    pairs
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children()
        .find(|child| child.tag_name().name() == name)
}

fn items<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    set: &str,
) -> impl Iterator<Item = Node<'a, 'input>> + use<'a, 'input> {
    let set = child(node, set);
    set.into_iter()
        .flat_map(|set| set.children())
        .filter(|item| item.tag_name().name() == "item")
}

fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    let node = child(node, name)?;
    Some(node.text().unwrap_or_default().to_owned())
}

fn parsed<T: FromStr>(node: Node<'_, '_>, name: &str) -> Option<T> {
    text(node, name)?.parse().ok()
}
