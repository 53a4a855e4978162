//! Whether the pools fit the network: on a subnet of some node, and on nobody else's addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;

use super::{Facts, Findings, Word, facts::AgentReport, install::some};
use crate::{
    ipam::{Pool, Range},
    world::{Layer2Rule, PoolRecord},
};

/// An interface that can announce, of some node.
struct Link<'a> {
    node: &'a str,
    name: &'a str,
    subnets: Vec<IpNet>,
}

pub(super) fn examine(facts: &Facts, findings: &mut Findings) {
    let Ok(pools) = &facts.pools else { return };
    let before = findings.len();
    if pools.is_empty() {
        findings.warn(
            Word::NoPool,
            "AddressPools",
            "there is no pool, so no Service gets an address from one",
            "kubectl apply -f examples/pool.yaml",
        );
        return;
    }
    let links = links(facts);
    for record in pools {
        let object = format!("AddressPool/{}", record.name);
        let pool = match &record.pool {
            Ok(pool) => pool,
            Err(unfit) => {
                let message = format!("{}: {}", unfit.reason, unfit.message);
                findings.fail(
                    Word::PoolUnusable,
                    &object,
                    message,
                    format!("kubectl edit addresspool {}", record.name),
                );
                continue;
            }
        };
        let usable = pool.usable();
        place(facts, &object, record, &usable, &links, findings);
        addresses(facts, &object, pool, &usable, findings);
        ranges(facts, &object, record, &usable, findings);
        edges(&object, pool, &usable, &links, findings);
    }
    overlaps(pools, findings);
    if findings.len() == before {
        findings.ok(
            Word::Pools,
            "AddressPools",
            format!("{} fit the network", pools.len()),
        );
    }
}

fn links(facts: &Facts) -> Vec<Link<'_>> {
    let reports = facts.reports().iter();
    let of = |report: &'_ AgentReport| report.status.host.is_some();
    let interfaces = reports.filter(|report| of(report)).flat_map(|report| {
        let host = report.status.host.iter();
        host.flat_map(|host| &host.interfaces)
            .map(|it| (report.node.as_str(), it))
    });
    interfaces
        .map(|(node, it)| Link {
            node,
            name: &it.name,
            subnets: it
                .subnets
                .iter()
                .filter_map(|net| net.parse().ok())
                .collect(),
        })
        .collect()
}

/// Whether some node that may announce the pool has an interface for it.
fn place(
    facts: &Facts,
    object: &str,
    record: &PoolRecord,
    usable: &[Range],
    links: &[Link<'_>],
    findings: &mut Findings,
) {
    // Without a single report nothing is known; that the agents are missing is told elsewhere.
    if links.is_empty() {
        return;
    }
    let allowed = |rule: &Layer2Rule| -> Option<BTreeSet<&str>> {
        let nodes = facts.nodes.as_ref().ok()?;
        let may = |node: &&super::facts::NodeFacts| {
            let selected = rule
                .nodes
                .as_ref()
                .is_none_or(|it| it.matches(&node.record.labels));
            selected && (record.ignore_exclude_label || !node.record.excluded)
        };
        Some(
            nodes
                .iter()
                .filter(may)
                .map(|node| node.record.name.as_str())
                .collect(),
        )
    };
    let edit = format!("kubectl edit addresspool {}", record.name);
    let mut unnamed: BTreeSet<&str> = BTreeSet::new();
    let mut reached = vec![false; usable.len()];
    for rule in &record.rules {
        let allowed = allowed(rule);
        let fit = |link: &&Link<'_>| {
            allowed
                .as_ref()
                .is_none_or(|nodes| nodes.contains(link.node))
        };
        let fit: Vec<_> = links.iter().filter(fit).collect();
        match &rule.interfaces {
            Some(names) => {
                let there = |name: &&String| fit.iter().any(|link| link.name == name.as_str());
                unnamed.extend(names.iter().filter(|name| !there(name)).map(String::as_str));
                if names.iter().any(|name| there(&name)) {
                    reached.fill(true);
                }
            }
            None => {
                let subnets: Vec<_> = fit.iter().flat_map(|link| &link.subnets).collect();
                let inside = |address: IpAddr| subnets.iter().any(|net| net.contains(&address));
                for (range, reached) in usable.iter().zip(&mut reached) {
                    *reached |= inside(range.first()) && inside(range.last());
                }
            }
        }
    }
    if !unnamed.is_empty() {
        let names: Vec<_> = unnamed.into_iter().collect();
        let there: BTreeSet<_> = links.iter().map(|link| link.name).collect();
        let there: Vec<_> = there.into_iter().collect();
        let message = format!(
            "names the interface {}, which no node has that may announce it; there are: {}",
            names.join(", "),
            there.join(", ")
        );
        findings.fail(Word::PoolInterfaceMissing, object, message, edit.clone());
    }
    let off: Vec<String> = usable
        .iter()
        .zip(&reached)
        .filter(|(_, reached)| !**reached)
        .map(|(range, _)| range.to_string())
        .collect();
    let names_interfaces = record.rules.iter().any(|rule| rule.interfaces.is_some());
    if !off.is_empty() && !names_interfaces {
        let subnets: BTreeSet<_> = links.iter().flat_map(|link| &link.subnets).collect();
        let subnets: Vec<_> = subnets.into_iter().map(ToString::to_string).collect();
        let message = format!(
            "no node that may announce it has an interface in the subnet of {}; their subnets: {}",
            some(&off),
            some(&subnets)
        );
        let repair = format!(
            "{edit}: use addresses of one of the subnets, or name interfaces in spec.advertise"
        );
        findings.fail(Word::PoolOffSubnet, object, message, repair);
    }
}

/// Addresses of nodes and of routers.
fn addresses(facts: &Facts, object: &str, pool: &Pool, usable: &[Range], findings: &mut Findings) {
    let holds = |address: &IpAddr| usable.iter().any(|range| range.contains(*address));
    let mut of_nodes: BTreeMap<IpAddr, &str> = BTreeMap::new();
    let mut routers: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for node in facts.nodes() {
        let record = &node.record;
        let own = record.internal_ips.iter().chain(&record.external_ips);
        of_nodes.extend(own.map(|address| (*address, record.name.as_str())));
    }
    for report in facts.reports() {
        let Some(host) = &report.status.host else {
            continue;
        };
        let own = host
            .addresses
            .iter()
            .filter_map(|address| address.parse().ok());
        of_nodes.extend(own.map(|address| (address, report.node.as_str())));
        let gateways = host
            .gateways
            .iter()
            .filter_map(|gateway| gateway.address.parse().ok());
        routers.extend(gateways.map(|address| (address, report.node.as_str())));
    }
    for (word, found, whose) in [
        (Word::PoolHasNodeAddress, &of_nodes, "of the node"),
        (Word::PoolHasGateway, &routers, "of the default router of"),
    ] {
        let found: Vec<_> = found.iter().filter(|(address, _)| holds(address)).collect();
        if found.is_empty() {
            continue;
        }
        let said: Vec<_> = found
            .iter()
            .map(|(address, node)| format!("{address}, {whose} {node}"))
            .collect();
        let repair = exclude(
            object,
            pool,
            found.iter().map(|(address, _)| address.to_string()),
        );
        findings.fail(word, object, format!("holds {}", some(&said)), repair);
    }
}

/// The command that excludes these too. A merge patch replaces the whole list, so the former entries are in it.
pub(super) fn exclude(object: &str, pool: &Pool, more: impl Iterator<Item = String>) -> String {
    let entries = pool.exclude.iter().map(ToString::to_string).chain(more);
    let entries: Vec<_> = entries.map(|entry| format!("\"{entry}\"")).collect();
    let name = object.trim_start_matches("AddressPool/");
    format!(
        "kubectl patch addresspool {name} --type merge -p '{{\"spec\":{{\"exclude\":[{}]}}}}'",
        entries.join(",")
    )
}

/// The ranges of pods and of Services.
fn ranges(
    facts: &Facts,
    object: &str,
    record: &PoolRecord,
    usable: &[Range],
    findings: &mut Findings,
) {
    let pods: BTreeSet<IpNet> = facts
        .nodes()
        .iter()
        .flat_map(|node| &node.pod_ranges)
        .copied()
        .collect();
    let services: BTreeSet<IpNet> = facts.service_ranges.iter().flatten().copied().collect();
    for (word, what, nets) in [
        (Word::PoolInPodRange, "pods", pods),
        (
            Word::PoolInServiceRange,
            "Services' cluster addresses",
            services,
        ),
    ] {
        let hit = |net: &&IpNet| usable.iter().any(|range| range.meets(net));
        let hits: Vec<String> = nets.iter().filter(hit).map(ToString::to_string).collect();
        if !hits.is_empty() {
            let message = format!(
                "overlaps {}, from which {what} get their addresses",
                some(&hits)
            );
            findings.fail(
                word,
                object,
                message,
                format!("kubectl edit addresspool {}", record.name),
            );
        }
    }
}

/// Addresses that networks keep for themselves, and those that some equipment takes for such.
fn edges(object: &str, pool: &Pool, usable: &[Range], links: &[Link<'_>], findings: &mut Findings) {
    let holds = |address: &IpAddr| usable.iter().any(|range| range.contains(*address));
    let subnets: BTreeSet<IpNet> = links
        .iter()
        .flat_map(|link| &link.subnets)
        .copied()
        .collect();
    let ends = |net: &IpNet| match net {
        IpNet::V4(net) if net.prefix_len() <= 30 => {
            vec![net.network().into(), net.broadcast().into()]
        }
        IpNet::V6(net) if net.prefix_len() <= 126 => vec![net.network().into()],
        _ => Vec::new(),
    };
    let reserved: BTreeSet<IpAddr> = subnets
        .iter()
        .flat_map(ends)
        .filter(|address| holds(address))
        .collect();
    if !reserved.is_empty() {
        let names: Vec<String> = reserved.iter().map(ToString::to_string).collect();
        let message = format!(
            "holds {}, at the end of a node's subnet: no host can have it",
            some(&names)
        );
        findings.fail(
            Word::EdgeAddress,
            object,
            message,
            exclude(object, pool, names.iter().cloned()),
        );
        return;
    }
    let odd = usable
        .iter()
        .filter(|range| range.first().is_ipv4())
        .flat_map(odd_addresses);
    let odd: Vec<String> = odd.map(|address| address.to_string()).collect();
    if !odd.is_empty() {
        let name = object.trim_start_matches("AddressPool/");
        findings.warn(
            Word::EdgeAddress,
            object,
            format!("holds {}, which some equipment takes for a network's or a broadcast address", some(&odd)),
            format!("kubectl patch addresspool {name} --type merge -p '{{\"spec\":{{\"avoidEdgeAddresses\":true}}}}'"),
        );
    }
}

/// The .0 and .255 of each block that the range touches; of a large range those of its first few blocks.
fn odd_addresses(range: &Range) -> Vec<IpAddr> {
    let (IpAddr::V4(first), IpAddr::V4(last)) = (range.first(), range.last()) else {
        return Vec::new();
    };
    let blocks = (u32::from(first) >> 8)..=(u32::from(last) >> 8);
    let ends = blocks
        .take(8)
        .flat_map(|block| [block << 8, block << 8 | 255]);
    let ends = ends.map(|number| IpAddr::V4(number.into()));
    ends.filter(|address| range.contains(*address)).collect()
}

fn overlaps(pools: &[PoolRecord], findings: &mut Findings) {
    let usable: Vec<_> = pools
        .iter()
        .filter_map(|record| Some((record, record.pool.as_ref().ok()?)))
        .map(|(record, pool)| (record, pool, pool.usable()))
        .collect();
    for (at, (one, pool, ranges)) in usable.iter().enumerate() {
        for (other, other_pool, others) in usable.iter().skip(at + 1) {
            let mut both = ranges.iter().flat_map(|range| {
                others
                    .iter()
                    .filter_map(|other| range.overlap(other.first(), other.last()))
            });
            let Some(address) = both.next() else { continue };
            let (younger, older) =
                match (pool.created, &one.name) < (other_pool.created, &other.name) {
                    true => (other, one),
                    false => (one, other),
                };
            findings.fail(
                Word::PoolOverlap,
                &format!("AddressPool/{}", younger.name),
                format!("has addresses of the older pool {} too, {address} among them, so it is not used", older.name),
                format!("kubectl edit addresspool {}: remove or exclude them", younger.name),
            );
        }
    }
}
