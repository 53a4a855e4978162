//! Which addresses a rebalance will move, as far as the API server knows. Pure.
//!
//! Decided by the agents' own code. Which nodes share a segment, and which interface has which subnet, only the agents
//! know; here every node that reports passes for any address that its pool lets it announce. So what is foreseen may
//! be more than what the agents do, and where nothing is foreseen they have nothing to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{NodeName, PoolName};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{
    agent::Watched,
    api::AnnouncementState,
    placement::{
        AddressFacts, CandidateSet, Move, NodeFacts, Pace, PeerLink, Scope,
        candidate::{Judge, Member},
        owner::Seat,
        rebalance::next_move,
    },
    survey::Report,
};

/// Who owns what now, and what will move.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Foresight {
    /// How many addresses each node announces.
    pub(super) loads: BTreeMap<NodeName, usize>,
    /// The owner of each address that has one alone.
    pub(super) owners: BTreeMap<IpAddr, NodeName>,
    /// The moves, in their order.
    pub(super) moves: Vec<Move>,
}

/// What a rebalance of these pools would do.
pub(super) fn foresee(
    watched: &mut Watched,
    reports: &[Report],
    pools: &BTreeSet<PoolName>,
) -> Foresight {
    let ready: BTreeSet<NodeName> = watched
        .nodes
        .iter()
        .filter(|(_, node)| node.ready)
        .map(|(name, _)| name.clone())
        .collect();
    let nodes: BTreeMap<NodeName, NodeFacts> = watched
        .node_facts()
        .into_iter()
        .map(|(name, facts)| {
            let unready = !ready.contains(&name);
            (name, NodeFacts { unready, ..facts })
        })
        .collect();
    let addresses = watched.address_facts();
    let mut scope = watched.rebalance(addresses.keys(), |pool| pools.contains(pool));
    scope.retain(|_, pace| *pace == Pace::Asked);
    let (loads, mut owners) = announced(reports, &ready);
    let candidates = candidates(&nodes, &addresses, reports);
    let steady: BTreeSet<&NodeName> = ready.iter().collect();
    let before = owners.clone();
    let mut moves = Vec::new();
    while let Some(next) = next(&candidates, &owners, &scope, &steady) {
        owners.insert(next.address, next.to.clone());
        moves.push(next);
        if moves.len() > 2 * addresses.len() {
            break;
        }
    }
    Foresight {
        loads,
        owners: before,
        moves,
    }
}

fn next(
    candidates: &BTreeMap<IpAddr, Arc<CandidateSet>>,
    owners: &BTreeMap<IpAddr, NodeName>,
    scope: &Scope,
    steady: &BTreeSet<&NodeName>,
) -> Option<Move> {
    let seats: Vec<_> = candidates
        .iter()
        .map(|(address, candidates)| Seat {
            address: *address,
            candidates,
            holder: owners.get(address),
        })
        .collect();
    next_move(&seats, scope, steady)
}

/// How many addresses each node announces, and who owns each. A node that is dead goes on saying what it said last; an
/// address that several live ones announce has segments of its own, and is left to the agents.
fn announced(
    reports: &[Report],
    ready: &BTreeSet<NodeName>,
) -> (BTreeMap<NodeName, usize>, BTreeMap<IpAddr, NodeName>) {
    let mut loads = BTreeMap::new();
    let mut owners: BTreeMap<IpAddr, Vec<NodeName>> = BTreeMap::new();
    for report in reports {
        let node = NodeName::from(report.node.as_str());
        let announced = report
            .addresses
            .iter()
            .filter(|address| address.state == AnnouncementState::Announcing)
            .filter_map(|address| address.address.parse().ok());
        let announced: Vec<IpAddr> = announced.collect();
        if ready.contains(&node) {
            loads.insert(node.clone(), announced.len());
        }
        for address in announced {
            owners.entry(address).or_default().push(node.clone());
        }
    }
    let sole = owners.into_iter().filter_map(|(address, nodes)| {
        let mut live = nodes.iter().filter(|node| ready.contains(*node));
        let owner = match (live.next(), live.next(), nodes.as_slice()) {
            (Some(one), None, _) | (None, _, [one]) => one.clone(),
            _ => return None,
        };
        Some((address, owner))
    });
    (loads, sole.collect())
}

fn candidates(
    nodes: &BTreeMap<NodeName, NodeFacts>,
    addresses: &BTreeMap<IpAddr, AddressFacts>,
    reports: &[Report],
) -> BTreeMap<IpAddr, Arc<CandidateSet>> {
    let everywhere = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    let named = addresses
        .values()
        .flat_map(|facts| facts.rules.iter())
        .filter_map(|rule| rule.interfaces.as_ref())
        .flatten();
    let names: BTreeSet<&str> = named.map(String::as_str).chain([""]).collect();
    let links: Vec<_> = names
        .into_iter()
        .map(|name| PeerLink {
            name: name.to_owned(),
            subnets: everywhere.to_vec(),
        })
        .collect();
    let reporting: BTreeSet<&str> = reports.iter().map(|report| report.node.as_str()).collect();
    let members = nodes
        .keys()
        .filter(|node| reporting.contains(node.as_str()))
        .map(|node| {
            let member = Member {
                links: links.clone(),
                leaving: false,
                impaired: false,
            };
            (node, member)
        });
    let mut judge = Judge::new(nodes, members.collect());
    addresses
        .iter()
        .map(|(address, facts)| (*address, judge.verdict(*address, facts).candidates))
        .collect()
}
