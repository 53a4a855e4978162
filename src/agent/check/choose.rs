//! Whom this node checks. Pure, and the same on every agent that hears the same peers.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{IfIndex, Mac, NodeName, Place};

use crate::placement::{
    Segment,
    epoch::{self, Epoch},
    rendezvous::{AddressSeed, NodeSeed},
};

/// Another node's address that this one checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::agent) struct Target {
    /// Who says that it has the address.
    pub(in crate::agent) owner: NodeName,
    /// The hardware addresses of its interfaces.
    pub(in crate::agent) macs: Arc<BTreeSet<Mac>>,
}

/// What falls to `me`: each address that a live peer claims is checked by one other agent of its segment, the one
/// that suits it best by the rendezvous hash. Where few agents are heard, or for the moment in which agents hear
/// different peers, an address may have no checker or two; nobody relies on there being one.
pub(in crate::agent) fn targets(
    me: &NodeName,
    segments: &BTreeMap<IfIndex, Segment>,
    claimed: &BTreeMap<Place, Epoch>,
) -> BTreeMap<Place, Target> {
    let mut targets = BTreeMap::new();
    for (&interface, segment) in segments.iter().filter(|(_, segment)| segment.link.up) {
        let peers = segment.peers.iter().filter(|(_, peer)| !peer.leaving);
        let checkers = peers.map(|(node, _)| node).chain([me]);
        let checkers: Vec<_> = checkers.map(|node| (NodeSeed::of(node), node)).collect();
        for (address, owner) in owners(segment) {
            let place = Place { address, interface };
            let seed = AddressSeed::of(address);
            let others = checkers.iter().filter(|(_, node)| *node != owner);
            let best = others.max_by_key(|(node, name)| (seed.score(*node), Reverse(*name)));
            let mine = best.is_some_and(|(_, node)| *node == me);
            let peer = segment.peers.get(owner).filter(|_| mine);
            if let Some(peer) = peer
                && !claimed.contains_key(&place)
            {
                let target = Target {
                    owner: owner.clone(),
                    macs: Arc::clone(&peer.macs),
                };
                targets.insert(place, target);
            }
        }
    }
    targets
}

/// The peer with the best claim to each address.
fn owners(segment: &Segment) -> BTreeMap<IpAddr, &NodeName> {
    let mut owners: BTreeMap<IpAddr, (&NodeName, Epoch)> = BTreeMap::new();
    for (node, peer) in &segment.peers {
        for (&address, &epoch) in peer.claims.iter() {
            let better = |(other, of_other): &(&NodeName, Epoch)| {
                epoch::weight(address, node, epoch) > epoch::weight(address, other, *of_other)
            };
            if owners.get(&address).is_none_or(better) {
                owners.insert(address, (node, epoch));
            }
        }
    }
    owners
        .into_iter()
        .map(|(address, (node, _))| (address, node))
        .collect()
}

#[cfg(test)]
mod tests {
    use herald_spi::{Link, Time};

    use super::*;
    use crate::placement::Peer;

    const ETH0: IfIndex = IfIndex(2);

    fn place(n: u8) -> Place {
        Place {
            address: IpAddr::from([10, 0, 0, n]),
            interface: ETH0,
        }
    }

    /// What `me` sees of a segment on which each of `claims` is made by its node.
    fn segment(
        me: &str,
        nodes: &[&str],
        claims: &[(&str, u8, Epoch)],
    ) -> BTreeMap<IfIndex, Segment> {
        let others = nodes.iter().enumerate().filter(|(_, node)| **node != me);
        let peers = others.map(|(n, node)| {
            let own = claims.iter().filter(|(owner, ..)| owner == node);
            let peer = Peer {
                links: Vec::new(),
                macs: Arc::new([Mac([2, 0, 0, 0, 0, u8::try_from(n).unwrap()])].into()),
                leaving: false,
                quiet: false,
                impaired: false,
                claims: Arc::new(
                    own.map(|(_, n, epoch)| (place(*n).address, *epoch))
                        .collect(),
                ),
            };
            (NodeName::from(*node), peer)
        });
        let link = Link {
            index: ETH0,
            name: "eth0".into(),
            mac: Mac([2, 0, 0, 0, 1, 1]),
            up: true,
            addresses: Vec::new(),
        };
        let segment = Segment {
            link,
            listening_since: Time::ZERO,
            peers: peers.collect(),
        };
        [(ETH0, segment)].into()
    }

    const NODES: [&str; 4] = ["a", "b", "c", "d"];

    #[test]
    fn each_address_has_one_checker_which_is_not_its_owner_and_the_load_spreads() {
        let claims: Vec<_> = (0..200)
            .map(|n| (NODES[usize::from(n % 4)], n, 5))
            .collect();
        let mut checkers = BTreeMap::new();
        for me in NODES {
            let mine = claims.iter().filter(|(owner, ..)| *owner == me);
            let mine = mine.map(|(_, n, epoch)| (place(*n), *epoch)).collect();
            let found = targets(&me.into(), &segment(me, &NODES, &claims), &mine);
            assert!((30..=70).contains(&found.len()), "{me}: {}", found.len());
            for (place, target) in found {
                assert_ne!(target.owner.as_str(), me);
                assert_eq!(checkers.insert(place, me), None, "{place:?}");
            }
        }
        assert_eq!(checkers.len(), claims.len());
    }

    #[test]
    fn of_two_claims_the_better_one_is_checked_and_what_this_node_claims_is_not() {
        let (me, nodes) = (NodeName::from("c"), ["a", "b", "c"]);
        let found = |claims: &[_], mine| targets(&me, &segment("c", &nodes, claims), &mine);
        let mut checked = 0;
        for n in 0..40 {
            let (claims, none) = ([("a", n, 5), ("b", n, 7)], BTreeMap::new());
            for target in found(&claims, none).into_values() {
                checked += 1;
                assert_eq!(target.owner.as_str(), "b");
                assert_eq!(*target.macs, [Mac([2, 0, 0, 0, 0, 1])].into());
            }
            assert!(found(&claims, [(place(n), 3)].into()).is_empty());
        }
        assert!(
            (5..=35).contains(&checked),
            "a checks the others: {checked}"
        );
    }

    #[test]
    fn who_leaves_checks_nothing_and_without_a_link_nobody_does() {
        let (me, nodes) = (NodeName::from("c"), ["a", "b", "c"]);
        let claims: Vec<_> = (0..40).map(|n| ("a", n, 5)).collect();
        let mut segments = segment("c", &nodes, &claims);
        let none = BTreeMap::new();
        let shared = targets(&me, &segments, &none).len();
        assert!((5..=35).contains(&shared), "{shared}");
        let here = segments.get_mut(&ETH0).unwrap();
        here.peers.get_mut(&NodeName::from("b")).unwrap().leaving = true;
        assert_eq!(targets(&me, &segments, &none).len(), claims.len());
        segments.get_mut(&ETH0).unwrap().link.up = false;
        assert!(targets(&me, &segments, &none).is_empty());
    }
}
