//! What a Service says that matters to Herald, and where it says so. Shows it, judges nothing.

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use kube::ResourceExt as _;

use super::model::Ask;
use crate::{api, cli::output::listed, cluster, survey};

/// What annotations ask for, in the order in which it is told. The key itself is a secret between those who share.
const ANNOTATIONS: [(&str, &str); 9] = [
    ("provider", api::ANNOTATION_PROVIDER),
    ("addresses", api::ANNOTATION_ADDRESSES),
    ("addresses", api::METALLB_ADDRESSES),
    ("pools", api::ANNOTATION_POOL),
    ("pools", api::METALLB_POOL),
    ("node ports", api::ANNOTATION_NODE_PORTS),
    ("fallback", api::ANNOTATION_FALLBACK),
    ("adoption", api::ANNOTATION_ADOPT),
    ("allocated from", api::ANNOTATION_ALLOCATED_FROM),
];

/// Everything that the Service asks for.
pub(super) fn asks(service: &Service) -> Vec<Ask> {
    let nothing = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&nothing);
    let mut asks = vec![
        ask(
            "class",
            spec.load_balancer_class.as_deref().unwrap_or("none"),
            "spec.loadBalancerClass",
        ),
        families(spec),
    ];
    if let Some(address) = spec.load_balancer_ip.as_deref().filter(|ip| !ip.is_empty()) {
        asks.push(ask("addresses", address, "spec.loadBalancerIP"));
    }
    let annotations = service.annotations();
    for (what, key) in ANNOTATIONS {
        if let Some(value) = annotations.get(key) {
            asks.push(ask(what, value, &format!("annotation {key}")));
        }
    }
    asks.push(sharing(service));
    asks.extend(unknown(service));
    let ports = cluster::service(service).map_or_else(Vec::new, |record| survey::ports(&record));
    asks.push(ask("ports", &listed(ports), "spec.ports"));
    let policy = spec.external_traffic_policy.as_deref();
    asks.push(ask(
        "traffic policy",
        policy.unwrap_or("Cluster"),
        "spec.externalTrafficPolicy",
    ));
    if spec.allocate_load_balancer_node_ports == Some(false) {
        let from = "spec.allocateLoadBalancerNodePorts";
        asks.push(ask("node ports", "not allocated", from));
    }
    asks
}

fn ask(what: &'static str, value: &str, from: &str) -> Ask {
    Ask {
        what,
        value: value.to_owned(),
        from: from.to_owned(),
    }
}

fn families(spec: &ServiceSpec) -> Ask {
    let families = spec.ip_families.as_deref().unwrap_or_default();
    let policy = spec.ip_family_policy.as_deref().unwrap_or("SingleStack");
    ask(
        "families",
        &format!("{} ({policy})", listed(families)),
        "spec.ipFamilies, spec.ipFamilyPolicy",
    )
}

fn sharing(service: &Service) -> Ask {
    let keys = [api::ANNOTATION_SHARING_KEY, api::METALLB_SHARING_KEY];
    let key = keys
        .iter()
        .find(|key| service.annotations().contains_key(**key));
    let (value, key) = match key {
        Some(key) => ("yes", *key),
        None => ("no", api::ANNOTATION_SHARING_KEY),
    };
    ask("sharing key", value, &format!("annotation {key}"))
}

/// What is under Herald's prefix and unknown, for a mistyped key is seen best beside the others.
fn unknown(service: &Service) -> impl Iterator<Item = Ask> + '_ {
    let known = |key: &str| {
        key == api::ANNOTATION_SHARING_KEY || ANNOTATIONS.iter().any(|(_, known)| *known == key)
    };
    let annotations = service.annotations().iter();
    annotations
        .filter(move |(key, _)| key.starts_with(api::ANNOTATION_PREFIX) && !known(key))
        .map(|(key, value)| ask("unknown", value, &format!("annotation {key}")))
}
