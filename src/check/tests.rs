//! Every finding fires on what it is about, and stays silent without it.

use std::collections::BTreeSet;

use super::{
    facts::{AgentReport, Cause, KubeProxy, Unread, Wire, Workload},
    samples::{REQUEST, lease, service, whole, workload},
    *,
};
use crate::{
    api::{
        AddressChecks, AnnouncedAddress, AnnouncementState, Answered, CheckOutcome, DhcpOffer,
        DropReason, DroppedHeartbeats, FailedCheck, GatewayFacts, HostFacts, InterfaceFacts,
        SurveyedInterface, UnheardPeer, UnheardReason,
    },
    ipam::Pool,
    world::{IngressRecord, Layer2Rule, PoolRecord, PoolUnfit, ServiceRecord, samples},
};

/// What makes the finding, on what it is, and words of its message.
type Case = (Word, Severity, &'static str, &'static str, fn(&mut Facts));

/// What is much like a fault, and what makes it so.
type Harmless = (&'static str, fn(&mut Facts));

fn agent(facts: &mut Facts) -> &mut AgentReport {
    &mut facts.agents.as_mut().unwrap()[0]
}

fn host(facts: &mut Facts) -> &mut HostFacts {
    agent(facts).status.host.as_mut().unwrap()
}

fn interface(facts: &mut Facts) -> &mut InterfaceFacts {
    &mut host(facts).interfaces[0]
}

fn surveyed(facts: &mut Facts) -> &mut SurveyedInterface {
    &mut agent(facts).status.survey.as_mut().unwrap().interfaces[0]
}

fn set_pool(facts: &mut Facts, addresses: &[&str]) {
    facts.pools = Ok(vec![samples::pool("lan", addresses)]);
}

fn pool(facts: &mut Facts) -> &mut PoolRecord {
    &mut facts.pools.as_mut().unwrap()[0]
}

fn first_service(facts: &mut Facts) -> &mut ServiceRecord {
    &mut facts.services.as_mut().unwrap()[0].record
}

fn has(facts: &mut Facts, address: &str) {
    first_service(facts).ingress = vec![IngressRecord {
        ip: address.parse().ok(),
        hostname: None,
        ip_mode: None,
        ports: Vec::new(),
    }];
}

fn announced(state: AnnouncementState) -> AnnouncedAddress {
    AnnouncedAddress {
        address: "10.1.0.200".to_owned(),
        service: "default/web".to_owned(),
        interface: "eth0".to_owned(),
        since: REQUEST.to_owned(),
        state,
        conflicting_mac: Some("02:00:00:00:00:99".to_owned()),
        reason: None,
        message: None,
    }
}

fn forbidden(verb: &'static str, resource: &str) -> Unread {
    Unread {
        verb,
        resource: resource.to_owned(),
        cause: Cause::Forbidden,
    }
}

fn rival(image: &str) -> Workload {
    Workload {
        kind: "DaemonSet",
        namespace: "other".to_owned(),
        name: "rival".to_owned(),
        images: vec![image.to_owned()],
        desired: 1,
        ready: 1,
        ..Workload::default()
    }
}

#[expect(clippy::too_many_lines, reason = "a table: one entry for each finding")]
fn cases() -> Vec<Case> {
    use Severity::{Fail, Skip, Unknown, Warn};
    vec![
        (
            Word::CrdMissing,
            Fail,
            "CustomResourceDefinition/addresspools.herald.dev",
            "not installed",
            |facts| {
                facts.installed.as_mut().unwrap().remove(0);
            },
        ),
        (
            Word::CrdMissing,
            Fail,
            "CustomResourceDefinition/addresspools.herald.dev",
            "not installed",
            |facts| {
                facts.installed = Err(forbidden(
                    "get",
                    "customresourcedefinitions.apiextensions.k8s.io",
                ));
                let cause = Cause::NotServed;
                facts.pools = Err(Unread {
                    cause,
                    ..forbidden("list", "addresspools.herald.dev")
                });
            },
        ),
        (
            Word::CrdVersionNotServed,
            Fail,
            "CustomResourceDefinition/addresspools.herald.dev",
            "serves v1, and this binary speaks v1alpha1",
            |facts| {
                facts.installed.as_mut().unwrap()[0].served =
                    [("v1".to_owned(), String::new())].into();
            },
        ),
        (
            Word::CrdSchemaDiffers,
            Warn,
            "CustomResourceDefinition/addresspools.herald.dev",
            "(ffff)",
            |facts| {
                facts.installed.as_mut().unwrap()[0].served =
                    [("v1alpha1".to_owned(), "ffff".to_owned())].into();
            },
        ),
        (
            Word::VersionsDiffer,
            Warn,
            "NodeAnnouncements",
            "0.0.9 on a; 0.1.0 on b",
            |facts| {
                agent(facts).status.agent.as_mut().unwrap().version = "0.0.9".to_owned();
            },
        ),
        (
            Word::VersionsDiffer,
            Warn,
            "NodeAnnouncements",
            "unknown on a",
            |facts| agent(facts).status.agent = None,
        ),
        (
            Word::VersionsDiffer,
            Warn,
            "herald",
            "this binary is 0.2.0, and the agents are 0.1.0",
            |facts| facts.version = "0.2.0".to_owned(),
        ),
        (
            Word::VersionsDiffer,
            Warn,
            "workloads",
            "herald:2",
            |facts| {
                facts.workloads.as_mut().unwrap()[0].images = vec!["herald:2".to_owned()];
            },
        ),
        (
            Word::NoLeader,
            Fail,
            "Lease/herald-controller in herald-system",
            "has ever led",
            |facts| facts.leases = Ok(Vec::new()),
        ),
        (
            Word::NoLeader,
            Fail,
            "Lease/herald-controller in herald-system",
            "ended, and none follows",
            |facts| {
                facts.leases.as_mut().unwrap()[0].holder = None;
            },
        ),
        (
            Word::NoLeader,
            Fail,
            "Lease/herald-controller in herald-system",
            "herald-1 does not renew it",
            |facts| {
                facts.leases.as_mut().unwrap()[0].fresh = false;
            },
        ),
        (
            Word::NoLeader,
            Warn,
            "Lease/herald-controller in herald-system",
            "one does in other",
            |facts| facts.leases = Ok(vec![lease("other")]),
        ),
        (
            Word::TwoReleases,
            Fail,
            "Namespaces/herald-system,other",
            "controllers lead",
            |facts| {
                facts.leases.as_mut().unwrap().push(lease("other"));
            },
        ),
        (
            Word::TwoReleases,
            Fail,
            "Namespaces/herald-system,other",
            "agents are installed",
            |facts| {
                let mut second = workload("DaemonSet", "agent", "herald:1");
                second.namespace = "other".to_owned();
                facts.workloads.as_mut().unwrap().push(second);
            },
        ),
        (
            Word::AgentMissing,
            Warn,
            "NodeAnnouncements",
            "no agent reports from b",
            |facts| {
                facts.agents.as_mut().unwrap().pop();
            },
        ),
        (
            Word::AgentMissing,
            Fail,
            "NodeAnnouncements",
            "from any node",
            |facts| facts.agents = Ok(Vec::new()),
        ),
        (
            Word::AgentUnavailable,
            Warn,
            "DaemonSet/herald-agent in herald-system",
            "1 of 2",
            |facts| {
                facts.workloads.as_mut().unwrap()[1].ready = 1;
            },
        ),
        (
            Word::PeerKeyMissing,
            Fail,
            "Secret/herald-peer-key in herald-system",
            "no agent starts",
            |facts| facts.peer_key = Some(Ok(false)),
        ),
        (
            Word::KeyMismatch,
            Warn,
            "agents",
            "0a0b0c0d on b; ffff on a; a key is being replaced",
            |facts| {
                agent(facts).status.agent.as_mut().unwrap().key = "ffff".to_owned();
            },
        ),
        (
            Word::KeyMismatch,
            Fail,
            "agents",
            "heartbeats are dropped",
            |facts| {
                let agent = agent(facts).status.agent.as_mut().unwrap();
                agent.key = "ffff".to_owned();
                agent.dropped = vec![DroppedHeartbeats {
                    why: DropReason::UnknownKey,
                    since: REQUEST.to_owned(),
                }];
            },
        ),
        (
            Word::HeartbeatsDropped,
            Warn,
            "Node/a",
            "signature does not fit",
            |facts| {
                let dropped = DroppedHeartbeats {
                    why: DropReason::BadSignature,
                    since: REQUEST.to_owned(),
                };
                agent(facts).status.agent.as_mut().unwrap().dropped = vec![dropped];
            },
        ),
        (
            Word::PeerUnheard,
            Fail,
            "Node/b",
            "do not reach a (eth0)",
            |facts| {
                agent(facts).status.unheard = vec![UnheardPeer {
                    node: "b".into(),
                    interface: "eth0".into(),
                    why: UnheardReason::PeerUnheard,
                }];
            },
        ),
        (
            Word::PeerUnheard,
            Fail,
            "Node/a",
            "hears no other agent",
            |facts| agent(facts).status.peers = 0,
        ),
        (Word::PeerNoCarrier, Warn, "Node/b", "no carrier", |facts| {
            agent(facts).status.unheard = vec![UnheardPeer {
                node: "b".into(),
                interface: "eth0".into(),
                why: UnheardReason::PeerNoCarrier,
            }];
        }),
        (
            Word::SameName,
            Fail,
            "Node/a",
            "02:00:00:00:00:77",
            |facts| agent(facts).status.namesake = Some("02:00:00:00:00:77".to_owned()),
        ),
        (Word::ClockSkew, Warn, "Node/a", "11 s ahead of", |facts| {
            agent(facts).clock = Some(1_011)
        }),
        (Word::ClockSkew, Warn, "Node/a", "60 s behind", |facts| {
            agent(facts).clock = Some(940)
        }),
        (
            Word::IPVSWithoutStrictARP,
            Fail,
            "Node/a (eth0: arp_ignore=0 arp_announce=0)",
            "IPVS",
            |facts| {
                host(facts).kube_proxy_mode = Some("ipvs".to_owned());
            },
        ),
        (
            Word::IPVSWithoutStrictARP,
            Fail,
            "ConfigMap/kube-proxy in kube-system",
            "strictARP is false",
            |facts| {
                facts.kube_proxy = Ok(Some(KubeProxy {
                    mode: "ipvs".to_owned(),
                    strict_arp: false,
                }));
            },
        ),
        (
            Word::ArpIgnored,
            Warn,
            "Node/a",
            "arp_ignore=8 on eth0",
            |facts| interface(facts).arp_ignore = Some(8),
        ),
        (
            Word::ReversePathStrict,
            Warn,
            "Node/a",
            "rp_filter=1 on eth0, and the default route leaves by eth9",
            |facts| {
                interface(facts).rp_filter = Some(1);
                host(facts).gateways[0].interface = "eth9".to_owned();
            },
        ),
        (
            Word::KubeProxyUnhealthy,
            Fail,
            "Node/a",
            "health check",
            |facts| {
                agent(facts)
                    .status
                    .agent
                    .as_mut()
                    .unwrap()
                    .kube_proxy_unhealthy = true;
            },
        ),
        (Word::NoPool, Warn, "AddressPools", "no pool", |facts| {
            facts.pools = Ok(Vec::new())
        }),
        (
            Word::PoolUnusable,
            Fail,
            "AddressPool/lan",
            "InvalidRange: reversed",
            |facts| {
                pool(facts).pool = Err(PoolUnfit {
                    reason: "InvalidRange",
                    message: "reversed".to_owned(),
                });
            },
        ),
        (
            Word::PoolOffSubnet,
            Fail,
            "AddressPool/lan",
            "10.9.0.1-10.9.0.9; their subnets: 10.1.0.0/24",
            |facts| set_pool(facts, &["10.1.0.200", "10.9.0.1-10.9.0.9"]),
        ),
        (
            Word::PoolOffSubnet,
            Fail,
            "AddressPool/lan",
            "may announce it",
            |facts| {
                // The only node that may announce it has no such subnet.
                for node in facts.nodes.as_mut().unwrap() {
                    node.record.excluded = true;
                }
            },
        ),
        (
            Word::PoolInterfaceMissing,
            Fail,
            "AddressPool/lan",
            "names the interface eth7, which no node has that may announce it; there are: eth0",
            |facts| {
                pool(facts).rules = vec![Layer2Rule {
                    interfaces: Some(["eth7".to_owned()].into()),
                    ..Layer2Rule::default()
                }];
            },
        ),
        (
            Word::PoolHasNodeAddress,
            Fail,
            "AddressPool/lan",
            "10.1.0.11, of the node a, 10.1.0.12, of the node b",
            |facts| set_pool(facts, &["10.1.0.2-10.1.0.20"]),
        ),
        (
            Word::PoolHasGateway,
            Fail,
            "AddressPool/lan",
            "10.1.0.1, of the default router of",
            |facts| set_pool(facts, &["10.1.0.1-10.1.0.9"]),
        ),
        (
            Word::PoolInPodRange,
            Fail,
            "AddressPool/lan",
            "10.244.0.0/24",
            |facts| set_pool(facts, &["10.244.0.16/28"]),
        ),
        (
            Word::PoolInServiceRange,
            Fail,
            "AddressPool/lan",
            "10.96.0.0/16",
            |facts| set_pool(facts, &["10.96.7.16/28"]),
        ),
        (
            Word::PoolOverlap,
            Fail,
            "AddressPool/wan",
            "older pool lan too, 10.1.0.205",
            |facts| {
                facts
                    .pools
                    .as_mut()
                    .unwrap()
                    .push(samples::pool("wan", &["10.1.0.205-10.1.0.220"]));
            },
        ),
        (
            Word::EdgeAddress,
            Fail,
            "AddressPool/lan",
            "10.1.0.255, at the end of a node's subnet",
            |facts| set_pool(facts, &["10.1.0.250-10.1.0.255"]),
        ),
        (
            Word::EdgeAddress,
            Warn,
            "AddressPool/lan",
            "10.1.0.255, 10.1.1.0, which some equipment",
            |facts| {
                for report in facts.agents.as_mut().unwrap() {
                    report.status.host.as_mut().unwrap().interfaces[0].subnets =
                        vec!["10.1.0.0/16".to_owned()];
                }
                set_pool(facts, &["10.1.0.250-10.1.1.9"]);
            },
        ),
        (
            Word::OtherController,
            Warn,
            "DaemonSet/rival in other",
            "kube-vip runs here too",
            |facts| {
                facts
                    .workloads
                    .as_mut()
                    .unwrap()
                    .push(rival("ghcr.io/kube-vip/kube-vip:v1.0.1"));
            },
        ),
        (
            Word::OtherController,
            Warn,
            "DaemonSet/rival in other",
            "ServiceLB",
            |facts| {
                facts
                    .workloads
                    .as_mut()
                    .unwrap()
                    .push(rival("rancher/klipper-lb:v0.4.13"));
            },
        ),
        (
            Word::OtherController,
            Warn,
            "CiliumLoadBalancerIPPools",
            "2 pools",
            |facts| facts.cilium_pools = Ok(2),
        ),
        (
            Word::OtherController,
            Warn,
            "CustomResourceDefinitions",
            "PureLB",
            |facts| {
                facts.workloads = Err(forbidden("list", "daemonsets.apps"));
                facts
                    .definitions
                    .as_mut()
                    .unwrap()
                    .insert("servicegroups.purelb.io".to_owned());
            },
        ),
        (
            Word::ForeignService,
            Warn,
            "Service/default/web",
            "metallb.io/ip-allocated-from-pool (MetalLB)",
            |facts| {
                facts.services.as_mut().unwrap()[0]
                    .marks
                    .insert("metallb.io/ip-allocated-from-pool".to_owned());
            },
        ),
        (
            Word::ForeignService,
            Warn,
            "Service/default/web",
            "service.kubernetes.io/load-balancer-cleanup",
            |facts| {
                first_service(facts).foreign_finalizer =
                    Some("service.kubernetes.io/load-balancer-cleanup".to_owned());
            },
        ),
        (
            Word::ForeignStatus,
            Warn,
            "Service/default/web",
            "10.7.0.1, which lies in no pool",
            |facts| has(facts, "10.7.0.1"),
        ),
        (
            Word::ForeignStatus,
            Warn,
            "Service/default/web",
            "10.1.0.201, which is in a pool",
            |facts| has(facts, "10.1.0.201"),
        ),
        (
            Word::ProviderIdMissing,
            Fail,
            "Node/a, b",
            "1 Services want",
            |facts| first_service(facts).class = Some("herald.dev/aws-nlb".to_owned()),
        ),
        (
            Word::WireNotAsked,
            Skip,
            "AddressPools",
            "herald check --wire",
            |facts| facts.wire = Wire::NotAsked,
        ),
        (
            Word::AddressConflict,
            Fail,
            "Address/10.1.0.200",
            "02:00:00:00:00:99 claims it, as a sees on eth0",
            |facts| {
                agent(facts).status.addresses = vec![announced(AnnouncementState::Conflict)];
            },
        ),
        (
            Word::AddressConflict,
            Fail,
            "Address/10.1.0.200",
            "as well as its owner b",
            |facts| {
                let failed = FailedCheck {
                    address: "10.1.0.200".to_owned(),
                    interface: "eth0".to_owned(),
                    owner: "b".to_owned(),
                    outcome: CheckOutcome::WrongMac,
                    mac: Some("02:00:00:00:00:99".to_owned()),
                    since: REQUEST.to_owned(),
                };
                agent(facts).status.checks = Some(AddressChecks {
                    checked: 1,
                    failing: 1,
                    failed: vec![failed],
                });
            },
        ),
        (
            Word::AddressAnswered,
            Fail,
            "AddressPool/lan",
            "the host with 02:00:00:00:00:99 answers for 10.1.0.205",
            |facts| {
                surveyed(facts).answered = vec![Answered {
                    address: "10.1.0.205".into(),
                    mac: "02:00:00:00:00:99".into(),
                }];
            },
        ),
        (
            Word::AddressAnswered,
            Fail,
            "AddressPool/lan",
            "the node b (02:00:00:00:00:0b)",
            |facts| {
                surveyed(facts).answered = vec![Answered {
                    address: "10.1.0.205".into(),
                    mac: "02:00:00:00:00:0b".into(),
                }];
            },
        ),
        (
            Word::DhcpInPool,
            Fail,
            "AddressPool/lan",
            "the DHCP server 10.1.0.2 (02:00:00:00:00:99) offers 10.1.0.205, as a (eth0) sees",
            |facts| {
                surveyed(facts).offers = vec![DhcpOffer {
                    server: "10.1.0.2".into(),
                    mac: "02:00:00:00:00:99".into(),
                    address: "10.1.0.205".into(),
                }];
            },
        ),
        (
            Word::WireUnanswered,
            Unknown,
            "Node/a",
            "did not tell in time",
            |facts| agent(facts).status.survey = None,
        ),
        (
            Word::WireUnanswered,
            Unknown,
            "Node/a",
            "did not tell in time",
            |facts| {
                agent(facts).status.survey.as_mut().unwrap().done = false;
            },
        ),
        (
            Word::WireUnanswered,
            Unknown,
            "Node/a",
            "could not ask on eth0: no link",
            |facts| surveyed(facts).error = Some("no link".to_owned()),
        ),
        (
            Word::WireIncomplete,
            Warn,
            "Node/a",
            "asked on eth0 for 11 addresses, and stopped there: 9 more",
            |facts| surveyed(facts).left = 9,
        ),
        (
            Word::CouldNotRead,
            Unknown,
            "nodes",
            "needs verb list on nodes",
            |facts| facts.nodes = Err(forbidden("list", "nodes")),
        ),
        (
            Word::CouldNotRead,
            Unknown,
            "addresspools.herald.dev",
            "needs verb patch on",
            |facts| {
                facts.wire = Wire::Unasked(forbidden("patch", "addresspools.herald.dev"));
            },
        ),
    ]
}

/// The words of parts in which nothing was amiss.
const WELL: [Word; 12] = [
    Word::Definitions,
    Word::Versions,
    Word::Controller,
    Word::Agents,
    Word::Keys,
    Word::Heartbeats,
    Word::Clocks,
    Word::Kernel,
    Word::Pools,
    Word::Rivals,
    Word::Wire,
    Word::Cloud,
];

#[test]
fn a_whole_cluster_leaves_a_line_for_each_part_and_nothing_amiss() {
    let findings = examine(&whole());
    let words: BTreeSet<_> = findings.iter().map(|finding| finding.word).collect();
    assert!(
        findings.iter().all(|it| it.severity == Severity::Ok),
        "{findings:#?}"
    );
    // Without a Service that wants a cloud's balancer there is nothing to say of it.
    let wanted = WELL.into_iter().filter(|word| *word != Word::Cloud);
    assert_eq!(words, wanted.collect());
    let mut facts = whole();
    first_service(&mut facts).class = Some("herald.dev/aws-nlb".to_owned());
    for node in facts.nodes.as_mut().unwrap() {
        node.provider_id = Some("aws:///eu-1a/i-1".to_owned());
    }
    assert!(
        examine(&facts)
            .iter()
            .any(|it| it.word == Word::Cloud && it.severity == Severity::Ok)
    );
}

#[test]
fn each_finding_fires_on_what_it_is_about() {
    for (word, severity, object, words, spoil) in cases() {
        let mut facts = whole();
        spoil(&mut facts);
        let findings = examine(&facts);
        let found = findings
            .iter()
            .find(|it| it.word == word && it.message.contains(words));
        let found = found.unwrap_or_else(|| panic!("{word:?} with {words:?}: {findings:#?}"));
        assert_eq!(
            (found.severity, found.object.as_str()),
            (severity, object),
            "{found:?}"
        );
        assert_eq!(
            found.repair.is_some(),
            severity != Severity::Skip,
            "{found:?}"
        );
        let sorted = findings
            .windows(2)
            .all(|pair| pair[0].severity <= pair[1].severity);
        assert!(sorted, "the worst first: {findings:#?}");
    }
}

#[test]
fn every_word_has_a_case() {
    let tried: BTreeSet<Word> = cases()
        .into_iter()
        .map(|(word, ..)| word)
        .chain(WELL)
        .collect();
    let all: BTreeSet<Word> = Word::ALL.iter().copied().collect();
    assert_eq!(tried, all);
}

#[test]
fn what_is_much_like_a_fault_and_is_none_stays_silent() {
    let silent: Vec<Harmless> = vec![
        ("IPVS with strictARP", |facts| {
            facts.kube_proxy = Ok(Some(KubeProxy {
                mode: "ipvs".to_owned(),
                strict_arp: true,
            }));
            host(facts).kube_proxy_mode = Some("ipvs".to_owned());
            interface(facts).arp_ignore = Some(1);
            interface(facts).arp_announce = Some(2);
        }),
        (
            "a strict filter on the interface of the default route",
            |facts| interface(facts).rp_filter = Some(1),
        ),
        ("a strict filter on an interface of no pool", |facts| {
            let other = InterfaceFacts {
                name: "eth1".into(),
                subnets: vec!["10.2.0.0/24".into()],
                rp_filter: Some(1),
                ..InterfaceFacts::default()
            };
            host(facts).interfaces.push(other);
        }),
        (
            "a node's and a router's address that are excluded",
            |facts| {
                let parsed = Pool::parse(
                    "lan".into(),
                    1,
                    &["10.1.0.1-10.1.0.20"],
                    &["10.1.0.1", "10.1.0.11-10.1.0.12"],
                );
                pool(facts).pool = Ok(parsed.unwrap());
            },
        ),
        ("edges that the pool avoids", |facts| {
            set_pool(facts, &["10.1.0.240-10.1.0.255"]);
            pool(facts).pool.as_mut().unwrap().avoid_edge_addresses = true;
        }),
        ("a pool off every subnet that names an interface", |facts| {
            set_pool(facts, &["10.9.0.1-10.9.0.9"]);
            pool(facts).rules = vec![Layer2Rule {
                interfaces: Some(["eth0".to_owned()].into()),
                ..Layer2Rule::default()
            }];
        }),
        ("an excluded node without an agent", |facts| {
            facts.agents.as_mut().unwrap().pop();
            facts.nodes.as_mut().unwrap()[1].record.excluded = true;
        }),
        ("another controller's Service of its own class", |facts| {
            first_service(facts).class = Some("metallb".to_owned());
            facts.services.as_mut().unwrap()[0]
                .marks
                .insert("metallb.io/ip-allocated-from-pool".to_owned());
            has(facts, "10.7.0.1");
        }),
        ("a Service without a class where none are taken", |facts| {
            facts.workloads.as_mut().unwrap()[0].arguments =
                vec!["--default-provider=none".to_owned()];
            has(facts, "10.7.0.1");
        }),
        ("a rival that is scaled down", |facts| {
            let gone = Workload {
                desired: 0,
                ..rival("quay.io/metallb/speaker:v0.15.2")
            };
            facts.workloads.as_mut().unwrap().push(gone);
        }),
        ("definitions of a rival that does not run", |facts| {
            facts
                .definitions
                .as_mut()
                .unwrap()
                .insert("ipaddresspools.metallb.io".to_owned());
        }),
        ("an offer outside the pools", |facts| {
            surveyed(facts).offers = vec![DhcpOffer {
                server: "10.1.0.2".into(),
                mac: "02:00:00:00:00:99".into(),
                address: "10.1.0.100".into(),
            }];
        }),
        ("a clock that is a little late", |facts| {
            agent(facts).clock = Some(991)
        }),
        ("a gateway of IPv6 elsewhere", |facts| {
            interface(facts).rp_filter = Some(1);
            host(facts).gateways.push(GatewayFacts {
                address: "fe80::1".into(),
                interface: "eth9".into(),
            });
        }),
        ("agents on segments of their own", |facts| {
            for (report, net) in facts
                .agents
                .as_mut()
                .unwrap()
                .iter_mut()
                .zip(["10.1.0.0/24", "10.2.0.0/24"])
            {
                report.status.peers = 0;
                report.status.host.as_mut().unwrap().interfaces[0].subnets = vec![net.to_owned()];
            }
        }),
        ("a second Service of Herald's", |facts| {
            facts.services.as_mut().unwrap().push(service("api"))
        }),
        ("another namespace's Lease that was given back", |facts| {
            let mut other = lease("other");
            other.holder = None;
            facts.leases.as_mut().unwrap().push(other);
        }),
    ];
    for (what, change) in silent {
        let mut facts = whole();
        change(&mut facts);
        let findings = examine(&facts);
        let amiss: Vec<_> = findings
            .iter()
            .filter(|it| it.severity < Severity::Skip)
            .collect();
        assert!(amiss.is_empty(), "{what}: {amiss:#?}");
    }
}

#[test]
fn a_cluster_of_which_nothing_can_be_read_is_told_as_that() {
    let mut facts = whole();
    facts.installed = Err(forbidden(
        "get",
        "customresourcedefinitions.apiextensions.k8s.io",
    ));
    facts.definitions = Err(forbidden(
        "list",
        "customresourcedefinitions.apiextensions.k8s.io",
    ));
    facts.nodes = Err(forbidden("list", "nodes"));
    facts.agents = Err(forbidden("list", "nodeannouncements.herald.dev"));
    facts.pools = Err(forbidden("list", "addresspools.herald.dev"));
    facts.services = Err(forbidden("list", "services"));
    facts.leases = Err(forbidden("list", "leases.coordination.k8s.io"));
    facts.workloads = Err(forbidden("list", "daemonsets.apps"));
    facts.kube_proxy = Err(forbidden("get", "configmaps/kube-proxy in kube-system"));
    facts.service_ranges = Err(forbidden("list", "servicecidrs.networking.k8s.io"));
    facts.peer_key = Some(Err(forbidden(
        "get",
        "secrets/herald-peer-key in herald-system",
    )));
    facts.cilium_pools = Err(forbidden("list", "ciliumloadbalancerippools.cilium.io"));
    facts.wire = Wire::NotAsked;
    let findings = examine(&facts);
    let unread = findings.iter().filter(|it| it.word == Word::CouldNotRead);
    assert_eq!(unread.count(), 12);
    let rest = findings.iter().filter(|it| it.word != Word::CouldNotRead);
    assert!(
        rest.clone().all(|it| it.severity == Severity::Skip),
        "{rest:#?}",
        rest = rest.collect::<Vec<_>>()
    );
}

#[test]
fn the_page_explains_every_word() {
    let page = include_str!("../../docs/check.md");
    for word in Word::ALL {
        let row = format!("| `{}` |", word.as_str());
        assert!(
            page.lines().any(|line| line.starts_with(&row)),
            "docs/check.md has no row {row}"
        );
    }
}
