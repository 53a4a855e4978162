//! The condition on who announces.

use super::*;
use crate::{
    api::AnnouncementState::{self, Announcing, Conflict, NotCandidate},
    world::{Announcement, Announcements, HostRecord, samples::node},
};

const ADDRESS: &str = "10.0.0.1";

struct Said {
    node: &'static str,
    state: AnnouncementState,
    since: &'static str,
    reason: Option<&'static str>,
}

fn says(node: &'static str, state: AnnouncementState) -> Said {
    Said {
        node,
        state,
        since: "2026-01-01T00:00:00Z",
        reason: None,
    }
}

fn host(node: &str, said: Vec<&Said>, cut: bool) -> HostRecord {
    let of = |said: &Said| Announcement {
        interface: "eth0".into(),
        state: said.state,
        since: said.since.into(),
        began: None,
        mac: Some("02:00:00:00:00:99".into()),
        reason: said.reason.map(str::to_owned),
    };
    let all: Vec<_> = said.into_iter().map(of).collect();
    let said = (!all.is_empty()).then(|| (ADDRESS.parse().unwrap(), all));
    HostRecord {
        name: node.into(),
        announcements: Some(Announcements {
            said: said.into_iter().collect(),
            cut,
        }),
        facts: None,
    }
}

/// Two nodes, and a Service that has an address.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(Vec::new(), Vec::new());
    cluster.nodes = vec![node("n1", "192.168.0.1"), node("n2", "192.168.0.2")];
    let web = service("web");
    cluster.services.insert(web.key.clone(), web);
    cluster.restart(vec![pool("lan", &[ADDRESS])]);
    cluster
}

fn tell(cluster: &mut Cluster, all: &[Said]) {
    let hosts = ["n1", "n2"].map(|node| {
        let of_node = all.iter().filter(|said| said.node == node);
        host(node, of_node.collect(), false)
    });
    let look = cluster
        .steward
        .take(Input::Hosts(Change::Reset(hosts.into())));
    cluster.settle(look);
}

fn condition(cluster: &Cluster) -> Option<(bool, String, String)> {
    let web = &cluster.services[&ServiceKey::new("default", "web")];
    let announced = web.announced.as_deref()?;
    let (reason, message) = (announced.reason.clone(), announced.message.clone());
    Some((announced.holds, reason, message))
}

fn announced(by: &str) -> Option<(bool, String, String)> {
    let message = format!("{ADDRESS} by node {by} (eth0)");
    Some((true, "Announcing".into(), message))
}

#[test]
fn where_no_agent_speaks_nothing_is_said() {
    let mut cluster = cluster();
    cluster.pass(60);
    assert_eq!(condition(&cluster), None);
}

#[test]
fn the_node_that_announces_is_named_and_a_move_is_one_write() {
    let mut cluster = cluster();
    tell(&mut cluster, &[says("n1", Announcing)]);
    assert_eq!(condition(&cluster), announced("n1"));
    let writes = cluster.writes;
    tell(&mut cluster, &[says("n1", Announcing)]);
    assert_eq!(cluster.writes, writes);
    // n1 is dead, and its report is old.
    let later = Said {
        since: "2026-01-01T00:01:00Z",
        ..says("n2", Announcing)
    };
    tell(&mut cluster, &[says("n1", Announcing), later]);
    assert_eq!(condition(&cluster), announced("n2"));
    assert_eq!(cluster.writes, writes + 1);
    let told = |(_, reason): &&(ServiceKey, &str)| *reason == "Announcing";
    assert_eq!(cluster.events.iter().filter(told).count(), 1);
}

#[test]
fn a_gap_that_is_short_is_not_told() {
    let mut cluster = cluster();
    tell(&mut cluster, &[says("n1", Announcing)]);
    tell(&mut cluster, &[]);
    cluster.pass(2);
    assert_eq!(condition(&cluster), announced("n1"));
    tell(&mut cluster, &[says("n2", Announcing)]);
    assert_eq!(condition(&cluster), announced("n2"));
    tell(&mut cluster, &[]);
    cluster.pass(3);
    let (holds, reason, _) = condition(&cluster).unwrap();
    assert_eq!((holds, reason.as_str()), (false, "NoCandidate"));
}

#[test]
fn why_no_node_announces_it_is_told_by_the_nearest_miss() {
    let mut cluster = cluster();
    let unfit = |node, reason| Said {
        reason: Some(reason),
        ..says(node, NotCandidate)
    };
    let all = [unfit("n1", "ExcludedByLabel"), unfit("n2", "NoEndpoint")];
    tell(&mut cluster, &all);
    cluster.pass(3);
    let (holds, reason, message) = condition(&cluster).unwrap();
    assert_eq!((holds, reason.as_str()), (false, "NoEndpoint"));
    assert!(message.contains("n1: ExcludedByLabel"), "{message}");
}

#[test]
fn a_stranger_that_claims_the_address_is_named() {
    let mut cluster = cluster();
    tell(&mut cluster, &[says("n1", Conflict)]);
    cluster.pass(3);
    let (holds, reason, message) = condition(&cluster).unwrap();
    assert_eq!((holds, reason.as_str()), (false, "AddressConflict"));
    assert!(message.contains("02:00:00:00:00:99"), "{message}");
    let failing = cluster.steward.failing();
    assert_eq!(failing, [(("Announced", "AddressConflict"), 1)].into());
}

#[test]
fn what_services_lack_is_counted_by_the_word() {
    let mut cluster = cluster();
    tell(&mut cluster, &[says("n1", Announcing)]);
    assert!(cluster.steward.failing().is_empty());
    for name in ["late", "later"] {
        cluster.apply(service(name));
    }
    cluster.expect("later", &[], "PoolExhausted");
    let failing = cluster.steward.failing();
    assert_eq!(failing, [(("AddressAllocated", "PoolExhausted"), 2)].into());
    // What is another controller's lacks nothing that Herald could give.
    cluster.edit("later", |later| {
        later.foreign_finalizer = Some("service.k8s.aws/resources".into())
    });
    cluster.expect("later", &[], "ForeignController");
    let failing = cluster.steward.failing();
    assert_eq!(failing, [(("AddressAllocated", "PoolExhausted"), 1)].into());
}

#[test]
fn a_list_that_was_cut_proves_nothing() {
    let mut cluster = cluster();
    tell(&mut cluster, &[says("n1", Announcing)]);
    let hosts = vec![host("n1", Vec::new(), true)];
    let look = cluster.steward.take(Input::Hosts(Change::Reset(hosts)));
    cluster.settle(look);
    cluster.pass(60);
    assert_eq!(condition(&cluster), announced("n1"));
}
