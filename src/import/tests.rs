//! Each source by what its users write.

use serde_json::json;

use super::*;
use crate::api::{AddressPoolSpec, SharingScope};

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap()
}

fn imported(source: Source, yaml: &str) -> Import {
    import(source, documents(yaml)).unwrap()
}

fn refused(source: Source, yaml: &str) -> String {
    import(source, documents(yaml)).unwrap_err().to_string()
}

fn pool<'a>(found: &'a Import, name: &str) -> &'a AddressPoolSpec {
    let named = |pool: &&AddressPool| pool.metadata.name.as_deref() == Some(name);
    let names: Vec<_> = found.pools.iter().map(|it| &it.metadata.name).collect();
    let pool = found.pools.iter().find(named);
    &pool
        .unwrap_or_else(|| panic!("{name} is none of {names:?}"))
        .spec
}

fn annotations(found: &Import, name: &str) -> Value {
    let change = found.services.iter().find(|change| change.name == name);
    json!(change.map(|change| &change.annotations))
}

/// The notes, as `object part message`.
fn told(found: &Import) -> String {
    let lines = found.notes.iter();
    lines
        .map(|note| format!("{} {} {}\n", note.object, note.part, note.message))
        .collect()
}

#[track_caller]
fn tells(found: &Import, words: &[&str]) {
    let told = told(found);
    let line = told
        .lines()
        .find(|line| words.iter().all(|word| line.contains(word)));
    assert!(line.is_some(), "{words:?} in\n{told}");
}

const METALLB: &str = include_str!("fixtures/metallb.yaml");
const KUBE_VIP: &str = include_str!("fixtures/kube-vip.yaml");
const PURELB: &str = include_str!("fixtures/purelb.yaml");
const CILIUM: &str = include_str!("fixtures/cilium.yaml");

#[test]
fn metallb_pools_keep_their_meaning() {
    let found = imported(Source::Metallb, METALLB);
    let lan = pool(&found, "lan");
    assert_eq!(
        lan.addresses,
        ["192.168.10.200-192.168.10.250", "fd00:10::/120"]
    );
    assert_eq!(
        (lan.priority, lan.automatic),
        (2, true),
        "MetalLB's 10 comes before its 50"
    );
    assert!(lan.avoid_edge_addresses && lan.namespaces.is_none());
    let layer2 = |spec: &AddressPoolSpec, at: usize| {
        spec.advertise.as_ref().unwrap()[at].layer2.clone().unwrap()
    };
    assert_eq!(
        lan.advertise.as_ref().unwrap().len(),
        2,
        "two node selectors"
    );
    assert_eq!(layer2(lan, 0).interfaces, Some(vec!["eth0".to_owned()]));
    assert_eq!(layer2(lan, 1).preferred_nodes.unwrap()[0].weight, 50);
    let tenant = pool(&found, "tenant");
    assert_eq!(tenant.addresses, ["192.168.20.0/24"]);
    assert_eq!((tenant.priority, tenant.automatic), (1, false));
    assert_eq!(
        tenant.namespaces,
        Some(vec!["team-a".to_owned(), "team-b".to_owned()])
    );
    tells(
        &found,
        &[
            "IPAddressPool/tenant",
            "192.168.20.7/24 is written as its network",
        ],
    );
    tells(
        &found,
        &["IPAddressPool/tenant", "namespaceSelectors", "left out"],
    );
    tells(
        &found,
        &["IPAddressPool/tenant", "no L2Advertisement selects it"],
    );
    tells(&found, &["BGPPeer/router", "no BGP yet"]);
}

#[test]
fn metallb_services_keep_their_addresses() {
    let found = imported(Source::Metallb, METALLB);
    // Herald reads MetalLB's own words, and there must be no second opinion.
    assert_eq!(annotations(&found, "asks"), Value::Null);
    let plain = json!({ "herald.dev/addresses": "192.168.10.200" });
    assert_eq!(annotations(&found, "plain"), plain);
    let old = json!({ "herald.dev/pool": "tenant", "herald.dev/addresses": "192.168.20.5",
        "herald.dev/sharing-key": "dns" });
    assert_eq!(annotations(&found, "old-words"), old);
    assert_eq!(pool(&found, "tenant").sharing, SharingScope::Cluster);
    tells(
        &found,
        &[
            "AddressPool/tenant",
            "several namespaces share 192.168.20.5",
        ],
    );
    let spare = pool(&found, "imported-from-metallb");
    assert_eq!(spare.addresses, ["192.168.99.9"]);
    assert!(!spare.automatic);
    assert_eq!(
        annotations(&found, "internal"),
        Value::Null,
        "no load balancer"
    );
    assert_eq!(annotations(&found, "classed"), Value::Null);
    for other in ["somebody-elses", "heralds-already"] {
        assert_eq!(annotations(&found, other), Value::Null, "{other}");
    }
    tells(
        &found,
        &[
            "Service/classed",
            "metallb cannot be changed",
            "192.168.10.203",
        ],
    );
}

#[test]
fn kube_vip_has_a_pool_per_namespace() {
    let found = imported(Source::KubeVip, KUBE_VIP);
    let global = pool(&found, "kube-vip-global");
    assert_eq!(
        global.addresses,
        ["192.168.30.200/29", "192.168.30.220-192.168.30.230"]
    );
    assert!(global.avoid_edge_addresses);
    let shop = pool(&found, "kube-vip-shop");
    assert_eq!((shop.priority, global.priority), (1, 0));
    assert_eq!(shop.namespaces, Some(vec!["shop".to_owned()]));
    let layer2 = shop.advertise.as_ref().unwrap()[0].layer2.clone().unwrap();
    assert_eq!(layer2.interfaces, Some(vec!["eth1".to_owned()]));
    tells(&found, &["cidr-lab", "DHCP"]);
    tells(&found, &["allow-share-shop", "sharing-key"]);
    tells(&found, &["Service/leased", "0.0.0.0 is none"]);
    tells(&found, &["Service/web", "kube-vip.io/egress"]);
    // The cloud provider has written spec.loadBalancerIP, which is a request already.
    assert_eq!(annotations(&found, "web"), Value::Null);
    let shared = json!({ "herald.dev/sharing-key": "shared-192.168.30.201",
        "herald.dev/addresses": "192.168.30.201" });
    assert_eq!(annotations(&found, "dns-udp"), shared);
    assert_eq!(annotations(&found, "dns-tcp"), shared);
}

#[test]
fn purelb_groups_of_both_versions_are_read() {
    let found = imported(Source::Purelb, PURELB);
    let default = pool(&found, "default");
    assert_eq!(
        default.addresses,
        ["192.168.40.10-192.168.40.50", "fd00:40::/112"]
    );
    assert!(default.automatic);
    let old = pool(&found, "old");
    assert_eq!(old.addresses, ["192.168.41.0/25"]);
    assert!(!old.automatic, "only who names it");
    let tenant = pool(&found, "tenant");
    assert_eq!((tenant.automatic, tenant.priority), (true, 1));
    assert_eq!(tenant.namespaces, Some(vec!["team-a".to_owned()]));
    tells(&found, &["ServiceGroup/netbox", "another IPAM"]);
    tells(&found, &["ServiceGroup/tenant", "no BGP yet"]);
    tells(&found, &["LBNodeAgent/default", "left out"]);
    let web = json!({ "herald.dev/pool": "old", "herald.dev/addresses": "192.168.41.3" });
    assert_eq!(annotations(&found, "web"), web);
    tells(&found, &["Service/web", "purelb.io/allow-local"]);
}

#[test]
fn cilium_selectors_become_namespaces_and_labels() {
    let found = imported(Source::Cilium, CILIUM);
    let blue = pool(&found, "blue");
    assert_eq!(
        blue.addresses,
        ["10.0.10.0/24", "20.0.20.100-20.0.20.200", "10.1.2.3"]
    );
    assert_eq!(blue.namespaces, Some(vec!["shop".to_owned()]));
    let selector = blue.service_selector.clone().unwrap();
    assert_eq!(selector.match_labels.unwrap()["color"], "blue");
    assert!(blue.avoid_edge_addresses);
    let layer2 = blue.advertise.as_ref().unwrap()[0].layer2.clone().unwrap();
    assert_eq!(layer2.interfaces, Some(vec!["eth0".to_owned()]));
    assert!(layer2.node_selector.is_some());
    tells(
        &found,
        &["CiliumL2AnnouncementPolicy/lan", "^eth[1-9]+ is left out"],
    );
    let green = pool(&found, "green");
    assert!(!green.automatic);
    tells(&found, &["CiliumLoadBalancerIPPool/green", "spec.disabled"]);
    let web = json!({ "herald.dev/addresses": "10.0.10.7", "herald.dev/sharing-key": "k" });
    assert_eq!(annotations(&found, "web"), web);
}

#[test]
fn what_was_never_seen_ends_the_import_and_says_what() {
    for (source, yaml, words) in [
        (
            Source::Metallb,
            "{apiVersion: metallb.io/v3, kind: IPAddressPool, metadata: {name: p}, spec: {}}",
            "IPAddressPool/p is of v3",
        ),
        (
            Source::Metallb,
            "{apiVersion: metallb.io/v1beta1, kind: AddressPool, metadata: {name: p}, spec: {}}",
            "kind AddressPool",
        ),
        (
            Source::Metallb,
            "{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: p}, spec: {addresses: [10.0.0.0/24], color: red}}",
            "unknown field `color`",
        ),
        (
            Source::Metallb,
            "{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: p}, spec: {addresses: [10.0.0.9-10.0.0.1]}}",
            "runs backwards; write 10.0.0.1-10.0.0.9",
        ),
        (
            Source::KubeVip,
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: kubevip}, data: {pool-global: x}}",
            "pool-global is none of the keys",
        ),
        (
            Source::Purelb,
            "{apiVersion: purelb.io/v9, kind: ServiceGroup, metadata: {name: p}}",
            "it reads v2, v1",
        ),
        (
            Source::Cilium,
            "{apiVersion: cilium.io/v2, kind: CiliumLoadBalancerIPPool, metadata: {name: p}, spec: {blocks: [{stop: 10.0.0.1}]}}",
            "a block has a cidr, or a start",
        ),
        (
            Source::Cilium,
            "{apiVersion: v1, metadata: {name: p}}",
            "document 1 has no kind",
        ),
        (
            Source::Cilium,
            "---",
            "there is nothing of Cilium: no CiliumLoadBalancerIPPool",
        ),
    ] {
        let why = refused(source, yaml);
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn an_address_is_in_one_pool_alone() {
    let twice = "
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: a}, spec: {addresses: [10.0.0.0/24]}}
---
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: b}, spec: {addresses: [10.0.0.128/25, 10.0.1.0/24]}}
---
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: c}, spec: {addresses: [10.0.0.1-10.0.0.2]}}
";
    let found = imported(Source::Metallb, twice);
    assert_eq!(pool(&found, "b").addresses, ["10.0.1.0/24"]);
    assert_eq!(found.pools.len(), 2);
    tells(
        &found,
        &["IPAddressPool/b", "10.0.0.128 is in pool a already"],
    );
    tells(&found, &["IPAddressPool/c", "no pool is made of it"]);
}

/// Every address of every Service that the other one serves is in a pool, whatever else is imported.
#[test]
fn no_address_is_lost() {
    for (source, yaml) in [
        (Source::Metallb, METALLB),
        (Source::KubeVip, KUBE_VIP),
        (Source::Purelb, PURELB),
        (Source::Cilium, CILIUM),
    ] {
        let found = imported(source, yaml);
        let ranges: Vec<crate::ipam::Range> = found
            .pools
            .iter()
            .flat_map(|pool| &pool.spec.addresses)
            .map(|text| text.parse().unwrap())
            .collect();
        let mut addresses = 0;
        for service in documents(yaml) {
            let ingress = service.pointer("/status/loadBalancer/ingress");
            for entry in ingress.and_then(Value::as_array).into_iter().flatten() {
                let ip = entry["ip"].as_str().unwrap().parse().unwrap();
                if service["metadata"]["name"] == "somebody-elses" {
                    continue;
                }
                let homes = ranges.iter().filter(|range| range.contains(ip)).count();
                assert_eq!(homes, 1, "{source:?}: {ip}");
                addresses += 1;
            }
        }
        assert!(addresses > 0, "{source:?}");
    }
}
