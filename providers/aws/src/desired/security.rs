//! Security groups: what clients may send to the balancer, and what the nodes let in from it.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Groups, PortWish, Security};
use crate::{
    annotations::Wishes,
    input::{Input, NodeGroup},
    model::{Permit, Source, Traffic},
    names,
    owner::Owner,
    refusal::{Reason, Refusal},
    settings::{NodePorts, Settings},
    words::{Id, Scheme, Stack, TargetType, Wire},
};

/// Who may reach the balancer, and from where it sends.
pub(super) struct Reach<'a> {
    pub(super) scheme: Scheme,
    pub(super) stack: Stack,
    pub(super) subnets: BTreeSet<&'a String>,
}

pub(super) fn security(
    input: &Input<'_>,
    settings: &Settings,
    wishes: &Wishes,
    owner: &Owner,
    reach: &Reach<'_>,
    ports: &BTreeMap<u16, PortWish>,
    warnings: &mut Vec<Refusal>,
) -> Result<Security, Refusal> {
    let groups = groups(input, wishes)?;
    let clients = client_sources(input, wishes, reach.stack)?;
    if matches!(groups, Groups::Brought(_)) && !input.service.source_ranges.is_empty() {
        warnings.push(Refusal::new(
            Reason::IneffectiveAnnotation,
            "spec.loadBalancerSourceRanges has no effect with aws-load-balancer-security-groups; limit clients in those groups",
        ));
    }
    let opens = match &groups {
        Groups::Brought(_) => wishes
            .open_nodes
            .unwrap_or(settings.open_nodes_for_foreign_groups),
        Groups::Own | Groups::None => wishes.open_nodes.unwrap_or(true),
    };
    let mut nodes = BTreeSet::new();
    if opens {
        let sources = node_sources(input, owner, &groups, reach, &clients, ports);
        let traffic = node_traffic(settings, ports);
        for group in node_groups(input, settings, warnings) {
            for source in &sources {
                for traffic in &traffic {
                    let permit = Permit {
                        traffic: *traffic,
                        source: source.clone(),
                    };
                    nodes.insert((group.clone(), permit));
                }
            }
        }
    }
    let clients = match groups {
        Groups::Own => client_permits(wishes, &clients, ports),
        Groups::None | Groups::Brought(_) => BTreeSet::new(),
    };
    Ok(Security {
        groups,
        clients,
        nodes,
    })
}

fn groups(input: &Input<'_>, wishes: &Wishes) -> Result<Groups, Refusal> {
    if wishes.no_security_groups {
        return Ok(Groups::None);
    }
    if wishes.security_groups.is_empty() {
        return Ok(Groups::Own);
    }
    let id = |named: &String| {
        if named.starts_with("sg-") {
            return Ok(named.clone());
        }
        input.network.named_groups.get(named).cloned().ok_or_else(|| {
            Refusal::new(
                Reason::SecurityGroupNotFound,
                format!("VPC {} has no security group with the tag Name {named}; correct aws-load-balancer-security-groups", input.network.vpc),
            )
        })
    };
    let ids: Result<_, _> = wishes.security_groups.iter().map(id).collect();
    ids.map(Groups::Brought)
}

fn client_sources(
    input: &Input<'_>,
    wishes: &Wishes,
    stack: Stack,
) -> Result<BTreeSet<Source>, Refusal> {
    let mut ranges: Vec<IpNet> = Vec::new();
    for text in &input.service.source_ranges {
        ranges.push(text.trim().parse().map_err(|_| {
            Refusal::new(
                Reason::InvalidAnnotation,
                format!("spec.loadBalancerSourceRanges has {text:?}, which is no CIDR such as 10.0.0.0/8"),
            )
        })?);
    }
    if ranges.is_empty() {
        ranges.clone_from(&wishes.source_ranges);
    }
    if ranges.is_empty() && wishes.prefix_lists.is_empty() {
        ranges.push(IpNet::V4(Ipv4Net::default()));
        if stack.has_v6() {
            ranges.push(IpNet::V6(Ipv6Net::default()));
        }
    }
    if let (Stack::V4, Some(range)) = (
        stack,
        ranges.iter().find(|range| matches!(range, IpNet::V6(_))),
    ) {
        return Err(Refusal::new(
            Reason::FamilyUnavailable,
            format!(
                "the source range {range} is IPv6 and the balancer has only IPv4; set aws-load-balancer-ip-address-type: dualstack or remove the range"
            ),
        ));
    }
    let ranges = ranges.into_iter().map(|range| Source::Range(range.trunc()));
    let lists = wishes.prefix_lists.iter().cloned().map(Source::PrefixList);
    Ok(ranges.chain(lists).collect())
}

fn client_permits(
    wishes: &Wishes,
    sources: &BTreeSet<Source>,
    ports: &BTreeMap<u16, PortWish>,
) -> BTreeSet<Permit> {
    let mut permits = BTreeSet::new();
    for source in sources {
        for (number, wish) in ports {
            for traffic in traffic(wish.wire, *number, *number) {
                permits.insert(Permit {
                    traffic,
                    source: source.clone(),
                });
            }
        }
        if wishes.path_mtu {
            let report = match source {
                Source::Range(IpNet::V6(_)) => Traffic::TooLargeV6,
                _ => Traffic::TooLargeV4,
            };
            permits.insert(Permit {
                traffic: report,
                source: source.clone(),
            });
        }
    }
    permits
}

fn traffic(wire: Wire, first: u16, last: u16) -> Vec<Traffic> {
    match wire {
        Wire::Tcp | Wire::Tls => vec![Traffic::Tcp(first, last)],
        Wire::Udp => vec![Traffic::Udp(first, last)],
        Wire::TcpUdp => vec![Traffic::Tcp(first, last), Traffic::Udp(first, last)],
    }
}

/// What reaches the nodes: traffic and health checks.
fn node_traffic(settings: &Settings, ports: &BTreeMap<u16, PortWish>) -> BTreeSet<Traffic> {
    let mut all = BTreeSet::new();
    for wish in ports.values() {
        let numbers: BTreeSet<u16> = wish.targets.iter().map(|target| target.port).collect();
        for number in &numbers {
            let range = match settings.node_ports {
                NodePorts::Range(first, last)
                    if wish.kind.target_type == TargetType::Instance
                        && (first..=last).contains(number) =>
                {
                    (first, last)
                }
                _ => (*number, *number),
            };
            all.extend(traffic(wish.kind.wire, range.0, range.1));
            // All three ways of asking need TCP, also where traffic is UDP.
            if wish.health.port.is_none() {
                all.insert(Traffic::Tcp(range.0, range.1));
            }
        }
        if let Some(port) = wish.health.port {
            all.insert(Traffic::Tcp(port, port));
        }
    }
    all
}

/// From whom it comes: by security group where the balancer has one, else by address.
fn node_sources(
    input: &Input<'_>,
    owner: &Owner,
    groups: &Groups,
    reach: &Reach<'_>,
    clients: &BTreeSet<Source>,
    ports: &BTreeMap<u16, PortWish>,
) -> BTreeSet<Source> {
    match groups {
        Groups::Own => [Source::Group(Id::Made(names::security_group(owner)))].into(),
        Groups::Brought(ids) => ids.iter().map(|id| Source::Group(Id::known(id))).collect(),
        Groups::None => {
            let mut sources = BTreeSet::new();
            for subnet in input
                .network
                .subnets
                .iter()
                .filter(|subnet| reach.subnets.contains(&subnet.id))
            {
                sources.insert(Source::Range(IpNet::V4(subnet.v4)));
                sources.extend(
                    subnet
                        .v6
                        .filter(|_| reach.stack.has_v6())
                        .map(|range| Source::Range(IpNet::V6(range))),
                );
            }
            if ports.values().any(keeps_client_address) {
                match reach.scheme {
                    Scheme::InternetFacing => sources.extend(clients.iter().cloned()),
                    Scheme::Internal if input.service.source_ranges.is_empty() => {
                        sources.extend(
                            input
                                .network
                                .ranges
                                .iter()
                                .map(|range| Source::Range(*range)),
                        );
                    }
                    Scheme::Internal => sources.extend(clients.iter().cloned()),
                }
            }
            sources
        }
    }
}

/// Whether packets reach the target with the client's address, so that rules must name clients.
fn keeps_client_address(wish: &PortWish) -> bool {
    let said = wish
        .group_attributes
        .get("preserve_client_ip.enabled")
        .map(String::as_str);
    match (said, wish.kind.target_type, wish.kind.wire) {
        (Some(said), ..) => said == "true",
        (None, TargetType::Ip, Wire::Tcp | Wire::Tls) => false,
        (None, ..) => true,
    }
}

/// The groups that are opened: the one of the settings, else for each node its only one or the one that is the cluster's.
fn node_groups(
    input: &Input<'_>,
    settings: &Settings,
    warnings: &mut Vec<Refusal>,
) -> BTreeSet<String> {
    if let Some(group) = &settings.node_security_group {
        return [group.clone()].into();
    }
    let mut chosen = BTreeSet::new();
    let mut unclear = BTreeSet::new();
    for node in input.nodes.iter().filter(|node| node.fit) {
        let of_cluster: Vec<&NodeGroup> = node
            .security_groups
            .iter()
            .filter(|group| group.of_cluster)
            .collect();
        let candidates = match (of_cluster.is_empty(), node.security_groups.len()) {
            (false, _) => of_cluster,
            (true, _) => node.security_groups.iter().collect(),
        };
        let Some(first) = candidates.iter().min() else {
            continue;
        };
        if candidates.len() > 1 {
            unclear.insert(first.id.clone());
        }
        chosen.insert(first.id.clone());
    }
    for group in unclear {
        warnings.push(Refusal::new(
            Reason::NodeSecurityGroupUnclear,
            format!("nodes have several security groups, and not just one with the tag kubernetes.io/cluster/{}; {group} is opened; tag one, or name it in the settings", settings.cluster),
        ));
    }
    chosen
}
