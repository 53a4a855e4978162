//! Plain records for tests, to be changed where a test wants something special.

use std::collections::BTreeMap;

use herald_spi::ServiceKey;

use super::{Layer2Rule, NodeRecord, Pairs, PoolRecord, PortRecord, ServiceRecord, TrafficPolicy};
use crate::{
    api::{FallbackPolicy, NodePortPolicy, RebalancePolicy},
    ipam::{Families, Family, Pool},
};

/// A Service that asks for nothing special.
pub(crate) fn service(name: &str) -> ServiceRecord {
    ServiceRecord {
        key: ServiceKey::new("default", name),
        uid: format!("uid-{name}"),
        resource_version: "1".into(),
        created: 100,
        deleting: false,
        labels: Pairs::default(),
        annotations: Pairs::default(),
        foreign_finalizer: None,
        class: None,
        requested_ip: None,
        families: Families::Single(Family::V4),
        policy: TrafficPolicy::Cluster,
        selector: Pairs::default(),
        ports: vec![PortRecord {
            name: None,
            port: "TCP/80".parse().unwrap(),
            node_port: Some(30_080),
        }],
        allocates_node_ports: true,
        node_ports_pinned: None,
        node_ports_refused: None,
        node_ports_flag_owner: None,
        node_ports_switched: false,
        ingress: Vec::new(),
        allocated: None,
        node_ports: None,
        announced: None,
        provisioned: None,
        kept_by_aws: false,
    }
}

/// An open pool of these addresses.
pub(crate) fn pool(name: &str, addresses: &[&str]) -> PoolRecord {
    PoolRecord {
        name: name.into(),
        resource_version: "1".into(),
        generation: 1,
        pool: Ok(Pool::parse(name.into(), 1, addresses, &[]).unwrap()),
        retention: 0,
        node_ports: NodePortPolicy::Keep,
        fallback: FallbackPolicy::None,
        rules: vec![Layer2Rule::default()],
        advertise: None,
        ignore_exclude_label: false,
        rebalance: RebalancePolicy::Manual,
        rebalance_asked: None,
        survey_asked: None,
        status: None,
    }
}

/// A node that is well and has this address.
pub(crate) fn node(name: &str, address: &str) -> NodeRecord {
    NodeRecord {
        name: name.into(),
        uid: format!("uid-{name}"),
        labels: BTreeMap::new(),
        excluded: false,
        out_of_service: false,
        network_unavailable: false,
        deleting: false,
        being_scaled_down: false,
        ready: true,
        external_ips: Vec::new(),
        internal_ips: vec![address.parse().unwrap()],
    }
}
