use herald_spi::Link;

use super::*;
use crate::placement::facts::{Peer, Policy, Rule, ServiceFacts};

const ME: &str = "a";
const LAN: IfIndex = IfIndex(2);
const OTHER: IfIndex = IfIndex(3);

/// Nodes `a`, `b` and `c` on a LAN, node `a` alone on another; two addresses of the LAN.
struct World {
    nodes: BTreeMap<NodeName, NodeFacts>,
    addresses: BTreeMap<IpAddr, AddressFacts>,
    segments: BTreeMap<IfIndex, Segment>,
    claimed: BTreeMap<Place, Epoch>,
    rebalance: Scope,
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn place(text: &str, interface: IfIndex) -> Place {
    Place {
        address: address(text),
        interface,
    }
}

fn segment(index: IfIndex, subnet: &str, peers: &[&str]) -> Segment {
    let name = format!("eth{index}");
    let peer = Peer {
        links: vec![PeerLink {
            name: name.clone(),
            subnets: vec![subnet.parse().unwrap()],
        }],
        ..Peer::default()
    };
    Segment {
        link: Link {
            index,
            name,
            mac: Mac([2, 0, 0, 0, 0, 1]),
            up: true,
            addresses: vec![subnet.parse().unwrap()],
        },
        listening_since: Time::ZERO,
        peers: peers
            .iter()
            .map(|node| (NodeName::from(*node), peer.clone()))
            .collect(),
    }
}

impl World {
    fn new() -> Self {
        let facts = AddressFacts {
            rules: vec![Rule::default()].into(),
            ignore_exclude_label: false,
            services: vec![ServiceFacts {
                key: ServiceKey::new("default", "web"),
                created: 1,
                policy: Policy::Cluster,
            }],
            fresh: false,
            proxied: true,
        };
        let addresses = ["192.168.77.200", "192.168.77.201"];
        Self {
            nodes: ["a", "b", "c"]
                .map(|node| (NodeName::from(node), NodeFacts::default()))
                .into(),
            addresses: addresses.map(|text| (address(text), facts.clone())).into(),
            segments: BTreeMap::from([
                (LAN, segment(LAN, "192.168.77.1/24", &["b", "c"])),
                (OTHER, segment(OTHER, "10.0.0.1/8", &[])),
            ]),
            claimed: BTreeMap::new(),
            rebalance: Scope::new(),
        }
    }

    fn peer(&mut self, node: &str) -> &mut Peer {
        self.segments
            .get_mut(&LAN)
            .unwrap()
            .peers
            .get_mut(&node.into())
            .unwrap()
    }

    fn survey(&self) -> Scene {
        survey(&Facts {
            me: &ME.into(),
            nodes: &self.nodes,
            addresses: &self.addresses,
            segments: &self.segments,
            claimed: &self.claimed,
            impaired: false,
            herald_macs: &BTreeSet::new(),
            rebalance: &self.rebalance,
        })
    }

    fn chosen(&self, text: &str) -> Option<NodeName> {
        self.survey().places[&place(text, LAN)].chosen.clone()
    }
}

#[test]
fn a_place_is_where_the_subnet_is_or_the_rule_says() {
    let mut world = World::new();
    let places: Vec<_> = world.survey().places.into_keys().collect();
    assert_eq!(
        places,
        [place("192.168.77.200", LAN), place("192.168.77.201", LAN)]
    );
    let interfaces = Some(["eth3".to_owned()].into());
    for facts in world.addresses.values_mut() {
        facts.rules = vec![Rule {
            interfaces: interfaces.clone(),
            ..Rule::default()
        }]
        .into();
    }
    let scene = world.survey();
    let places: Vec<_> = scene.places.keys().copied().collect();
    assert_eq!(
        places,
        [
            place("192.168.77.200", OTHER),
            place("192.168.77.201", OTHER)
        ]
    );
    let alone = &scene.places[&place("192.168.77.200", OTHER)];
    assert_eq!((alone.unfit, alone.chosen.clone()), (None, Some(ME.into())));
}

#[test]
fn what_this_node_holds_stays_in_view_when_its_link_may_not_carry_it_any_more() {
    let mut world = World::new();
    world.claimed.insert(place("192.168.77.200", OTHER), 2);
    let scene = world.survey();
    assert_eq!(
        scene.places[&place("192.168.77.200", OTHER)].unfit,
        Some(Unfit::NoInterface)
    );
}

#[test]
fn a_link_that_is_down_keeps_its_places_without_this_node() {
    let mut world = World::new();
    world.segments.get_mut(&LAN).unwrap().link.up = false;
    let scene = world.survey();
    assert!(!scene.segments[&LAN].up);
    let view = &scene.places[&place("192.168.77.200", LAN)];
    assert_eq!(view.unfit, Some(Unfit::NoInterface));
    assert!(!view.candidates.contains(&ME.into()) && view.candidates.others(&ME.into()));
}

#[test]
fn the_plan_knows_the_claims_of_peers_and_of_this_node() {
    let mut world = World::new();
    let (first, second) = (address("192.168.77.200"), address("192.168.77.201"));
    let owners = [
        world.chosen("192.168.77.200"),
        world.chosen("192.168.77.201"),
    ];
    assert!(
        owners.iter().all(Option::is_some) && owners[0] != owners[1],
        "{owners:?}"
    );

    world.peer("b").claims = Arc::new(BTreeMap::from([(first, 2)]));
    world.claimed.insert(
        Place {
            address: second,
            interface: LAN,
        },
        2,
    );
    assert_eq!(
        [
            world.chosen("192.168.77.200"),
            world.chosen("192.168.77.201")
        ],
        [None, None]
    );

    // A peer that is leaving is no candidate, so its address needs an owner: c has none yet.
    let owner_unfit = |world: &World| {
        let view = &world.survey().places[&place("192.168.77.200", LAN)];
        view.owner_unfit
    };
    assert_eq!(owner_unfit(&world), None);
    world.peer("b").leaving = true;
    assert_eq!(owner_unfit(&world), Some(Unfit::Leaving));
    assert_eq!(world.chosen("192.168.77.200"), Some("c".into()));
    let claims = &world.survey().places[&place("192.168.77.200", LAN)].claims;
    assert_eq!(
        claims[..],
        [PeerClaim {
            node: "b".into(),
            epoch: 2,
            leaving: true
        }]
    );

    // What it claims on another segment is not heard here.
    world.claimed = BTreeMap::from([(
        Place {
            address: second,
            interface: OTHER,
        },
        2,
    )]);
    assert!(world.chosen("192.168.77.201").is_some());
}

#[test]
fn the_heir_of_a_quiet_owner_is_whom_all_choose_when_it_is_lost() {
    let mut world = World::new();
    let first = address("192.168.77.200");
    world.peer("b").claims = Arc::new(BTreeMap::from([(first, 2)]));
    let heir = |world: &World| {
        let view = &world.survey().places[&place("192.168.77.200", LAN)];
        (view.chosen.clone(), view.heir.clone())
    };
    assert_eq!(heir(&world), (None, None));
    world.peer("b").quiet = true;
    let (chosen, next) = heir(&world);
    assert_eq!(chosen, None);
    assert!(next.is_some_and(|next| next != "b".into()));
    let next = heir(&world).1;
    world
        .segments
        .get_mut(&LAN)
        .unwrap()
        .peers
        .remove(&"b".into());
    assert_eq!(heir(&world), (next, None));
}

#[test]
fn the_best_of_two_claims_holds() {
    let mut world = World::new();
    let first = address("192.168.77.200");
    world.peer("b").claims = Arc::new(BTreeMap::from([(first, 2)]));
    world.peer("c").claims = Arc::new(BTreeMap::from([(first, 4)]));
    let scene = world.survey();
    assert_eq!(
        scene.places[&place("192.168.77.200", LAN)]
            .best(first)
            .unwrap()
            .node,
        "c".into()
    );
    world.claimed.insert(place("192.168.77.200", LAN), 6);
    world.nodes.remove(&NodeName::from(ME));
    // This node's claim is the best, and it is no candidate: the address needs an owner.
    assert!(world.chosen("192.168.77.200").is_some());
}

/// Node `a` owns both addresses and somebody asked for a rebalance; `b` and `c` have none.
fn asked_for() -> World {
    let mut world = World::new();
    for text in ["192.168.77.200", "192.168.77.201"] {
        world.claimed.insert(place(text, LAN), 2);
        world.rebalance.insert(address(text), Pace::Asked);
    }
    world
}

fn outlook(world: &World, interface: IfIndex) -> Option<Outlook> {
    world.survey().segments[&interface].outlook.clone()
}

#[test]
fn a_rebalance_concerns_only_segments_with_its_addresses() {
    let world = asked_for();
    let told = outlook(&world, LAN).unwrap();
    assert!(told.asked && !told.contested && told.vacant.is_empty());
    assert_eq!(told.next.unwrap().from, ME.into());
    assert_eq!(outlook(&world, OTHER), None);
    assert_eq!(outlook(&World::new(), LAN), None);
}

#[test]
fn nothing_is_next_while_an_address_has_two_owners_and_nothing_leads_to_who_is_unwell() {
    let mut world = asked_for();
    world.peer("b").claims = Arc::new(BTreeMap::from([(address("192.168.77.200"), 4)]));
    let told = outlook(&world, LAN).unwrap();
    assert_eq!((told.next, told.contested), (None, true));

    let unwell: [fn(&mut World); 4] = [
        |world| {
            ["b", "c"]
                .into_iter()
                .for_each(|n| world.peer(n).quiet = true)
        },
        |world| {
            ["b", "c"]
                .into_iter()
                .for_each(|n| world.peer(n).impaired = true)
        },
        |world| {
            ["b", "c"]
                .into_iter()
                .for_each(|n| world.peer(n).leaving = true)
        },
        |world| world.nodes.get_mut(&ME.into()).unwrap().unready = true,
    ];
    for (number, fail) in unwell.into_iter().enumerate() {
        let mut world = asked_for();
        fail(&mut world);
        assert_eq!(outlook(&world, LAN).unwrap().next, None, "case {number}");
    }
}

#[test]
fn an_address_that_waits_for_an_owner_is_told() {
    let mut world = asked_for();
    world.claimed.remove(&place("192.168.77.201", LAN));
    let vacant = outlook(&world, LAN).unwrap().vacant;
    assert_eq!(vacant, [address("192.168.77.201")].into());
}
