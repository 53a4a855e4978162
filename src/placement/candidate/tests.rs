use super::*;
use crate::placement::facts::{Nodes, Policy, Preference};

const ADDRESS: &str = "192.168.77.200";

/// Nodes `a`, `b`, `c` and `d`, all healthy and on one segment with `eth0` in the address's subnet.
struct World {
    nodes: BTreeMap<NodeName, NodeFacts>,
    members: BTreeMap<NodeName, Member>,
    facts: AddressFacts,
}

fn names(names: &str) -> BTreeSet<NodeName> {
    names.split_whitespace().map(NodeName::from).collect()
}

fn only(nodes: &str) -> Nodes {
    Nodes::Only(Arc::new(names(nodes)))
}

fn service(name: &str, created: i64, policy: Policy) -> ServiceFacts {
    ServiceFacts {
        key: ServiceKey::new("default", name),
        created,
        policy,
    }
}

fn local(ready: &str, terminating: &str) -> Policy {
    Policy::Local {
        ready: names(ready),
        terminating: names(terminating),
    }
}

fn link(name: &str, subnet: &str) -> PeerLink {
    PeerLink {
        name: name.into(),
        subnets: vec![subnet.parse().unwrap()],
    }
}

impl World {
    fn new() -> Self {
        let member = Member {
            links: vec![link("eth0", "192.168.77.0/24")],
            leaving: false,
            impaired: false,
        };
        Self {
            nodes: names("a b c d")
                .into_iter()
                .map(|node| (node, NodeFacts::default()))
                .collect(),
            members: names("a b c d")
                .into_iter()
                .map(|node| (node, member.clone()))
                .collect(),
            facts: AddressFacts {
                rules: vec![Rule::default()].into(),
                ignore_exclude_label: false,
                services: vec![service("web", 1, Policy::Cluster)],
                fresh: false,
                proxied: true,
            },
        }
    }

    fn services(services: Vec<ServiceFacts>) -> Self {
        let mut world = Self::new();
        world.facts.services = services;
        world
    }

    fn rules(rules: Vec<Rule>) -> Self {
        let mut world = Self::new();
        world.facts.rules = rules.into();
        world
    }

    fn node(&mut self, name: &str) -> &mut NodeFacts {
        self.nodes.get_mut(&name.into()).unwrap()
    }

    fn member(&mut self, name: &str) -> &mut Member {
        self.members.get_mut(&name.into()).unwrap()
    }

    fn judge(&self) -> Judge<'_> {
        Judge::new(
            &self.nodes,
            self.members
                .iter()
                .map(|(node, member)| (node, member.clone()))
                .collect(),
        )
    }

    fn explain(&self) -> Explanation {
        self.judge().explain(ADDRESS.parse().unwrap(), &self.facts)
    }

    fn candidates(&self) -> String {
        let explained = self.explain();
        let fit = explained.nodes.iter().filter(|(_, unfit)| unfit.is_none());
        let explained: Vec<_> = fit.map(|(node, _)| node.as_str()).collect();
        let verdict = self.judge().verdict(ADDRESS.parse().unwrap(), &self.facts);
        let judged: Vec<_> = verdict.candidates.0.keys().map(NodeName::as_str).collect();
        assert_eq!(explained, judged, "the explanation and the verdict agree");
        judged.join(" ")
    }

    fn unfit(&self, node: &str) -> Option<Unfit> {
        self.explain().nodes[&NodeName::from(node)]
    }

    fn refused(&self) -> Vec<(String, Refusal)> {
        let services = self.explain().services;
        services
            .into_iter()
            .filter_map(|(key, why)| Some((key.name, why?)))
            .collect()
    }
}

#[test]
fn each_check_names_its_reason() {
    type Spoil = fn(&mut World);
    let cases: [(Spoil, Unfit); 10] = [
        (
            |w| w.nodes.retain(|node, _| node.as_str() != "b"),
            Unfit::NodeUnknown,
        ),
        (|w| w.node("b").deleting = true, Unfit::NodeDeleting),
        (|w| w.node("b").out_of_service = true, Unfit::OutOfService),
        (
            |w| w.node("b").network_unavailable = true,
            Unfit::NetworkUnavailable,
        ),
        (|w| w.node("b").excluded = true, Unfit::ExcludedByLabel),
        (
            |w| {
                w.facts.rules = vec![Rule {
                    nodes: only("a c d"),
                    ..Rule::default()
                }]
                .into()
            },
            Unfit::NodeNotSelected,
        ),
        (
            |w| w.members.retain(|node, _| node.as_str() != "b"),
            Unfit::NotHeard,
        ),
        (|w| w.member("b").leaving = true, Unfit::Leaving),
        (
            |w| w.member("b").links = vec![link("eth0", "192.168.78.0/24")],
            Unfit::NoInterface,
        ),
        (
            |w| w.facts.services = vec![service("web", 1, local("a c d", "b"))],
            Unfit::NoEndpoint,
        ),
    ];
    for (spoil, reason) in cases {
        let mut world = World::new();
        assert_eq!(world.candidates(), "a b c d");
        spoil(&mut world);
        assert_eq!(world.unfit("b"), Some(reason));
        assert_eq!(
            world.candidates(),
            "a c d",
            "{reason:?} keeps nobody else away"
        );
        assert_eq!(world.refused(), []);
    }
}

#[test]
fn the_exclude_label_can_be_ignored() {
    let mut world = World::new();
    world.node("b").excluded = true;
    world.facts.ignore_exclude_label = true;
    assert_eq!(world.candidates(), "a b c d");
}

#[test]
fn a_named_interface_needs_no_subnet_and_excludes_the_others() {
    let interfaces = Some(BTreeSet::from(["eth1".to_owned()]));
    let mut world = World::rules(vec![Rule {
        interfaces,
        ..Rule::default()
    }]);
    assert_eq!(world.candidates(), "");
    assert_eq!(world.refused(), [("web".to_owned(), Refusal::NoInterface)]);
    world.member("c").links.push(link("eth1", "10.0.0.0/8"));
    assert_eq!(world.candidates(), "c");
}

#[test]
fn a_node_may_pass_by_any_one_rule_but_not_by_halves_of_two() {
    let named = |name: &str| Some(BTreeSet::from([name.to_owned()]));
    let world = World::rules(vec![
        Rule {
            interfaces: named("eth0"),
            nodes: only("a"),
            ..Rule::default()
        },
        Rule {
            interfaces: named("eth1"),
            nodes: only("a b"),
            ..Rule::default()
        },
    ]);
    assert_eq!(world.candidates(), "a");
    assert_eq!(world.unfit("b"), Some(Unfit::NoInterface));
    assert_eq!(world.unfit("c"), Some(Unfit::NodeNotSelected));
}

#[test]
fn no_rule_at_all_and_a_selector_that_matches_nothing_admit_nobody() {
    assert_eq!(World::rules(vec![]).candidates(), "");
    let world = World::rules(vec![Rule {
        nodes: only(""),
        ..Rule::default()
    }]);
    assert_eq!(world.candidates(), "");
    assert_eq!(world.refused(), [("web".to_owned(), Refusal::NoCandidate)]);
}

#[test]
fn local_policy_follows_endpoints() {
    for (ready, terminating, candidates, refused) in [
        ("b", "", "b", None),
        ("b c", "a", "b c", None),
        ("", "a d", "a d", None),
        ("", "", "", Some(Refusal::NoEndpoint)),
        ("elsewhere", "a", "", Some(Refusal::NoEndpoint)),
    ] {
        let world = World::services(vec![service("web", 1, local(ready, terminating))]);
        assert_eq!(
            world.candidates(),
            candidates,
            "ready {ready:?} terminating {terminating:?}"
        );
        assert_eq!(world.refused().first().map(|(_, why)| *why), refused);
    }
}

#[test]
fn services_that_share_meet_in_their_intersection() {
    type Case<'a> = (&'a [(&'a str, Policy)], &'a str, &'a [(&'a str, Refusal)]);
    let cases: [Case<'_>; 8] = [
        (
            &[("old", local("a b", "")), ("new", local("b c", ""))],
            "b",
            &[],
        ),
        (
            &[("old", local("a b", "")), ("new", Policy::Cluster)],
            "a b",
            &[],
        ),
        (
            &[("old", Policy::Cluster), ("new", local("a b", ""))],
            "a b",
            &[],
        ),
        // Disjoint: the oldest decides.
        (
            &[("old", local("a", "")), ("new", local("b", ""))],
            "a",
            &[("new", Refusal::NoCandidate)],
        ),
        // Who agrees with the oldest is served, and the one in between is not.
        (
            &[
                ("old", local("a b", "")),
                ("middle", local("c", "")),
                ("new", local("b c", "")),
            ],
            "b",
            &[("middle", Refusal::NoCandidate)],
        ),
        // Without any endpoint it restricts nothing.
        (
            &[("old", local("", "")), ("new", local("b", ""))],
            "b",
            &[("old", Refusal::NoEndpoint)],
        ),
        (
            &[("old", Policy::Cluster), ("new", local("", ""))],
            "a b c d",
            &[("new", Refusal::NoEndpoint)],
        ),
        (
            &[("old", local("", "")), ("new", local("", ""))],
            "",
            &[("new", Refusal::NoEndpoint), ("old", Refusal::NoEndpoint)],
        ),
    ];
    for (services, candidates, refused) in cases {
        // The order of the list does not matter, that of creation does.
        let services = services.iter().zip(1..9_i32).rev();
        let world = World::services(
            services
                .map(|((name, policy), created)| service(name, created.into(), policy.clone()))
                .collect(),
        );
        assert_eq!(world.candidates(), candidates);
        let refused: Vec<_> = refused
            .iter()
            .map(|(name, why)| ((*name).to_owned(), *why))
            .collect();
        assert_eq!(world.refused(), refused);
    }
}

#[test]
fn rules_may_speak_of_some_services_only() {
    let key = ServiceKey::new("default", "old");
    let mut world = World::rules(vec![
        Rule {
            nodes: only("a b"),
            services: Some([key].into()),
            ..Rule::default()
        },
        Rule {
            nodes: only("b c"),
            ..Rule::default()
        },
    ]);
    world.facts.services = vec![service("new", 2, Policy::Cluster)];
    assert_eq!(world.candidates(), "b c");
    world
        .facts
        .services
        .push(service("old", 1, Policy::Cluster));
    assert_eq!(
        world.candidates(),
        "b c",
        "what serves the old one and the new one"
    );
}

#[test]
fn preferences_add_up_over_the_rules_that_serve() {
    let prefer = |weight, nodes| Preference {
        weight,
        nodes: only(nodes),
    };
    let world = World::rules(vec![
        Rule {
            preferred: vec![prefer(50, "a b"), prefer(10, "b")],
            ..Rule::default()
        },
        Rule {
            preferred: vec![prefer(u32::MAX, "c")],
            ..Rule::default()
        },
        Rule {
            preferred: vec![prefer(1, "c")],
            ..Rule::default()
        },
    ]);
    let verdict = world
        .judge()
        .verdict(ADDRESS.parse().unwrap(), &world.facts);
    let weights: Vec<_> = verdict.candidates.0.values().copied().collect();
    assert_eq!(weights, [50, 60, u32::MAX, 0]);
}

#[test]
fn addresses_alike_share_one_set() {
    let world = World::new();
    let mut judge = world.judge();
    let [first, second, outside] =
        ["192.168.77.1", "192.168.77.2", "192.168.78.1"].map(|address| {
            judge
                .verdict(address.parse().unwrap(), &world.facts)
                .candidates
        });
    assert!(Arc::ptr_eq(&first, &second));
    assert!(outside.0.is_empty());
}

#[test]
fn nodes_that_work_come_before_those_that_do_not_whatever_a_pool_prefers() {
    let mut world = World::new();
    let weights = |world: &World| -> Vec<u32> {
        let verdict = world
            .judge()
            .verdict(ADDRESS.parse().unwrap(), &world.facts);
        verdict.candidates.0.values().copied().collect()
    };
    assert_eq!(weights(&world), [0; 4]);
    world.node("a").unready = true;
    world.member("b").impaired = true;
    let [a, b, c, d] = weights(&world)[..] else {
        panic!("all four are candidates still");
    };
    assert!(a == b && c == d && a < c);
    for node in ["c", "d"] {
        world.node(node).unready = true;
    }
    assert_eq!(weights(&world), [0; 4], "better than nobody");
}
