//! Services on addresses of nodes.

use super::*;
use crate::world::{PortRecord, samples::node};

fn cluster(pools: Vec<PoolRecord>, services: Vec<ServiceRecord>) -> Cluster {
    let mut cluster = Cluster::new(Vec::new(), Vec::new());
    cluster.nodes = vec![node("n1", "192.168.0.1"), node("n2", "192.168.0.2")];
    cluster.services = services.into_iter().map(|s| (s.key.clone(), s)).collect();
    cluster.restart(pools);
    cluster
}

fn falling_back(name: &str) -> ServiceRecord {
    asking(service(name), api::ANNOTATION_FALLBACK, "nodes")
}

#[test]
fn a_service_falls_back_to_nodes_and_is_promoted_when_an_address_frees() {
    let mut first = service("first");
    first.created = 50;
    let pools = || vec![pool("lan", &["10.0.0.1"])];
    let mut cluster = cluster(pools(), vec![first, falling_back("web")]);
    cluster.expect("web", &["192.168.0.1", "192.168.0.2"], "FellBackToNodes");
    assert!(
        cluster.message("web").contains("pool lan"),
        "{}",
        cluster.message("web")
    );
    assert_eq!(cluster.locked(), ["10.0.0.1", "TCP/80 of the nodes"]);
    let writes = cluster.writes;
    cluster.restart(pools());
    assert_eq!(cluster.writes, writes, "a restart writes nothing");
    cluster.delete("first");
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    assert_eq!(cluster.locked(), ["10.0.0.1"]);
}

#[test]
fn two_services_cannot_have_one_port_on_the_nodes() {
    let mut cluster = cluster(Vec::new(), vec![falling_back("a"), falling_back("b")]);
    cluster.expect("a", &["192.168.0.1", "192.168.0.2"], "FellBackToNodes");
    cluster.expect("b", &[], "PortInUse");
    assert!(
        cluster.message("b").contains("default/a"),
        "{}",
        cluster.message("b")
    );
    cluster.delete("a");
    cluster.expect("b", &["192.168.0.1", "192.168.0.2"], "FellBackToNodes");
}

#[test]
fn the_class_node_needs_no_pool_and_follows_the_nodes() {
    let mut web = service("web");
    web.class = Some(api::CLASS_NODE.into());
    let mut cluster = cluster(Vec::new(), vec![web]);
    cluster.expect("web", &["192.168.0.1", "192.168.0.2"], "Allocated");
    cluster.nodes.pop();
    let look = cluster
        .steward
        .take(Input::Nodes(Change::Reset(cluster.nodes.clone())));
    cluster.settle(look);
    cluster.expect("web", &["192.168.0.1"], "Allocated");
    cluster.edit("web", |web| {
        web.ports = vec![PortRecord {
            name: None,
            port: "TCP/22".parse().unwrap(),
            node_port: None,
        }];
    });
    cluster.expect("web", &[], "PortDenied");
    assert!(cluster.locked().is_empty());
}

#[test]
fn an_ill_request_keeps_the_service_on_its_nodes() {
    let mut cluster = cluster(Vec::new(), vec![falling_back("web")]);
    cluster.annotate("web", api::ANNOTATION_POOL, "a,,b");
    cluster.expect("web", &["192.168.0.1", "192.168.0.2"], "InvalidRequest");
}

#[test]
fn leaving_the_nodes_for_a_pool_leaves_no_address_behind() {
    let mut web = asking(service("web"), api::ANNOTATION_PROVIDER, "node");
    web.created = 50;
    let mut cluster = cluster(vec![pool("lan", &["10.0.0.1"])], vec![web]);
    cluster.expect("web", &["192.168.0.1", "192.168.0.2"], "Allocated");
    cluster.edit("web", |web| {
        web.annotations.remove(api::ANNOTATION_PROVIDER);
    });
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    assert_eq!(cluster.locked(), ["10.0.0.1"]);
}
