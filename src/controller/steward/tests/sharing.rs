//! Services that share an address.

use super::*;
use crate::world::{PortRecord, TrafficPolicy};

fn sharing(name: &str, port: &str) -> ServiceRecord {
    let mut service = service(name);
    service
        .annotations
        .insert(api::ANNOTATION_SHARING_KEY.into(), "k".into());
    service.ports = vec![PortRecord {
        name: None,
        port: port.parse().unwrap(),
        node_port: None,
    }];
    service
}

fn holders(cluster: &Cluster, address: &str) -> Vec<String> {
    let lock = cluster.lock(address);
    lock.holders
        .iter()
        .map(|holder| holder.name.clone())
        .collect()
}

#[test]
fn services_with_one_key_share_until_the_last_one_leaves() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let services = vec![sharing("a", "TCP/80"), sharing("b", "TCP/443")];
    let mut cluster = Cluster::new(pools.clone(), services);
    cluster.expect("a", &["10.0.0.1"], "Allocated");
    cluster.expect("b", &["10.0.0.1"], "Allocated");
    assert_eq!(holders(&cluster, "10.0.0.1"), ["a", "b"]);
    let writes = cluster.writes;
    cluster.restart(pools);
    assert_eq!(cluster.writes, writes, "a restart writes nothing");
    cluster.delete("a");
    cluster.expect("b", &["10.0.0.1"], "Allocated");
    assert_eq!(holders(&cluster, "10.0.0.1"), ["b"]);
    cluster.delete("b");
    assert!(cluster.locked().is_empty());
}

#[test]
fn a_port_that_comes_to_clash_is_told_and_costs_nobody_the_address() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let services = vec![sharing("a", "TCP/80"), sharing("b", "TCP/443")];
    let mut cluster = Cluster::new(pools, services);
    cluster.edit("b", |b| {
        b.ports.push(PortRecord {
            name: None,
            port: "TCP/80".parse().unwrap(),
            node_port: None,
        });
    });
    cluster.expect("b", &["10.0.0.1"], "PortInUse");
    cluster.expect("a", &["10.0.0.1"], "Allocated");
    let b = &cluster.services[&ServiceKey::new("default", "b")];
    let told: Vec<_> = b.ingress[0]
        .ports
        .iter()
        .map(|(port, error)| (port.to_string(), error.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("TCP/443".to_owned(), None),
            ("TCP/80".to_owned(), Some("herald.dev/PortInUse"))
        ]
    );
    // It is served as soon as the port is free.
    cluster.delete("a");
    cluster.expect("b", &["10.0.0.1"], "Allocated");
    let b = &cluster.services[&ServiceKey::new("default", "b")];
    assert!(b.ingress[0].ports.is_empty());
}

#[test]
fn a_changed_key_keeps_the_address_and_says_so() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let services = vec![sharing("a", "TCP/80"), sharing("b", "TCP/443")];
    let mut cluster = Cluster::new(pools.clone(), services);
    cluster.annotate("b", api::ANNOTATION_SHARING_KEY, "other");
    cluster.expect("b", &["10.0.0.1"], "SharingKeyMismatch");
    cluster.restart(pools);
    cluster.expect("b", &["10.0.0.1"], "SharingKeyMismatch");
    // On request it moves, in one step.
    cluster.annotate("b", api::ANNOTATION_ADDRESSES, "10.0.0.5");
    cluster.expect("b", &["10.0.0.5"], "Allocated");
    assert_eq!(holders(&cluster, "10.0.0.1"), ["a"]);
    // Alone on its address it may change its key as it likes.
    cluster.annotate("a", api::ANNOTATION_SHARING_KEY, "third");
    cluster.expect("a", &["10.0.0.1"], "Allocated");
    assert_eq!(
        cluster.lock("10.0.0.1").sharing_key.as_deref(),
        Some("third")
    );
}

#[test]
fn local_services_share_only_with_the_same_selector() {
    let local = |name, port, app: &str| {
        let mut service = sharing(name, port);
        service.policy = TrafficPolicy::Local;
        service.selector.insert("app".into(), app.into());
        service
    };
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let services = vec![
        local("a", "TCP/80", "web"),
        local("b", "TCP/443", "web"),
        local("c", "TCP/53", "dns"),
    ];
    let cluster = Cluster::new(pools, services);
    cluster.expect("b", &["10.0.0.1"], "Allocated");
    cluster.expect("c", &["10.0.0.2"], "Allocated");
}
