//! The installation, and what is between the agents.

use super::spoil::{Case, agent, forbidden};
use crate::{
    api::{DropReason, DroppedHeartbeats, UnheardPeer, UnheardReason},
    check::{
        Severity, Word,
        facts::{Cause, Unread},
        samples::{REQUEST, lease, workload},
    },
};

pub(super) fn cases() -> Vec<Case> {
    use Severity::{Fail, Warn};
    vec![
        (
            Word::PeerUnheard,
            Warn,
            "Node/a (1 of 2), b (1 of 2), c (1 of 2)",
            "hears fewer agents",
            |facts| {
                let mut third = agent(facts).clone();
                third.node = "c".to_owned();
                facts.agents.as_mut().unwrap().push(third);
            },
        ),
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
            "Node/a (0 of 1)",
            "hears fewer agents",
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
    ]
}
