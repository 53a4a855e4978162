//! From Kubernetes objects to Herald's records.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::{NodeName, PoolName, Port, Protocol, ServiceKey};
use k8s_openapi::{
    api::{
        core::v1::{LoadBalancerIngress, Namespace, Node, PortStatus, Service, ServicePort},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, ObjectMeta},
    jiff::Timestamp,
};
use kube::ResourceExt as _;

use super::pins::pins;
use crate::{
    api::{
        self, AddressAllocation, AddressPool, Advertisement, NodeAnnouncements, Provider, Reason,
        SharingScope,
    },
    ipam::{Families, Family, Pool, Scope, Selector, Tenants},
    world::{
        AllocationRecord, Announcement, Announcements, ConditionRecord, HostFacts, HostRecord,
        IngressRecord, Layer2Rule, LockKey, NamespaceRecord, NodeRecord, Pairs, PoolRecord,
        PoolUnfit, PortRecord, ServiceRecord, SliceRecord, TrafficPolicy,
    },
};

/// Which Services without a class are Herald's, and who serves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classes {
    /// Those with one of Herald's classes and those without a class, which get addresses of pools.
    Default,
    /// The same, but those without a class get addresses of nodes.
    OnNodes,
    /// The same, but those without a class get a Network Load Balancer.
    OnAws,
    /// Only those with one of Herald's classes.
    OwnOnly,
}

impl Classes {
    /// Whether a Service of this class is Herald's.
    #[must_use]
    pub fn include(self, class: Option<&str>) -> bool {
        match class {
            Some(class) => class.starts_with(api::CLASS_PREFIX),
            None => self != Self::OwnOnly,
        }
    }

    /// Who serves a Service that does not say so itself.
    #[must_use]
    pub const fn provider(self) -> Provider {
        match self {
            Self::Default | Self::OwnOnly => Provider::Layer2,
            Self::OnNodes => Provider::Node,
            Self::OnAws => Provider::AwsNlb,
        }
    }
}

/// A Service of type LoadBalancer; `None` for any other and for one that cannot have an address.
#[must_use]
pub fn service(service: &Service) -> Option<ServiceRecord> {
    let spec = service
        .spec
        .as_ref()
        .filter(|s| s.type_.as_deref() == Some("LoadBalancer"))?;
    let status = service.status.as_ref();
    let balancer = status.and_then(|s| s.load_balancer.as_ref());
    let own_condition = |type_: &str| {
        let conditions = status.and_then(|s| s.conditions.as_ref());
        conditions
            .into_iter()
            .flatten()
            .find(|c| c.type_ == type_)
            .map(condition)
    };
    let ours = |key: &str| {
        key.starts_with(api::ANNOTATION_PREFIX)
            || [
                api::METALLB_POOL,
                api::METALLB_ADDRESSES,
                api::METALLB_SHARING_KEY,
            ]
            .contains(&key)
    };
    let node_ports = own_condition(api::CONDITION_NODE_PORTS);
    let local = spec.external_traffic_policy.as_deref() == Some("Local");
    let allocates_node_ports = spec.allocate_load_balancer_node_ports.unwrap_or(true);
    let pins = pins(&service.metadata, allocates_node_ports);
    Some(ServiceRecord {
        key: ServiceKey::new(service.namespace().unwrap_or_default(), service.name_any()),
        uid: service.uid().unwrap_or_default(),
        resource_version: service.resource_version().unwrap_or_default(),
        created: created(&service.metadata),
        deleting: service.metadata.deletion_timestamp.is_some(),
        labels: service.labels().clone().into_iter().collect(),
        annotations: service
            .annotations()
            .iter()
            .filter(|(key, _)| ours(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        foreign_finalizer: service
            .finalizers()
            .iter()
            .find(|f| api::FOREIGN_FINALIZERS.contains(&f.as_str()))
            .cloned(),
        class: spec.load_balancer_class.clone(),
        requested_ip: spec.load_balancer_ip.clone().filter(|ip| !ip.is_empty()),
        families: families(
            spec.ip_families.as_deref(),
            spec.ip_family_policy.as_deref(),
        ),
        policy: if local {
            TrafficPolicy::Local
        } else {
            TrafficPolicy::Cluster
        },
        ingress: exact(
            balancer
                .and_then(|b| b.ingress.as_ref())
                .into_iter()
                .flatten()
                .map(ingress),
        ),
        allocated: own_condition(api::CONDITION_ALLOCATED),
        selector: if local {
            spec.selector.clone().into_iter().flatten().collect()
        } else {
            Pairs::default()
        },
        ports: exact(spec.ports.iter().flatten().map(port)),
        allocates_node_ports,
        node_ports_pinned: pins.pinned,
        node_ports_refused: pins.refused,
        node_ports_flag_owner: pins.flag_owner,
        node_ports_switched: pins.flag_is_heralds
            || node_ports
                .as_ref()
                .is_some_and(|c| c.holds && c.reason == api::Reason::DISABLED.as_str()),
        node_ports,
        announced: own_condition(api::CONDITION_ANNOUNCED).map(Box::new),
        provisioned: own_condition(api::CONDITION_PROVISIONED).map(Box::new),
        kept_by_aws: is_kept_by_aws(&service.metadata),
    })
}

pub(super) fn is_kept_by_aws(metadata: &ObjectMeta) -> bool {
    let mut finalizers = metadata.finalizers.iter().flatten();
    finalizers.any(|finalizer| finalizer == api::FINALIZER_AWS_NLB)
}

fn ingress(entry: &LoadBalancerIngress) -> IngressRecord {
    IngressRecord {
        ip: entry.ip.as_deref().and_then(|ip| ip.parse().ok()),
        hostname: entry.hostname.clone(),
        ip_mode: entry.ip_mode.clone(),
        ports: exact(entry.ports.iter().flatten().filter_map(port_status)),
    }
}

/// All of them and no room for more: there is one such list for each Service.
fn exact<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<_> = items.collect();
    items.shrink_to_fit();
    items
}

fn port_status(status: &PortStatus) -> Option<(Port, Option<String>)> {
    let port = Port::new(
        status.protocol.parse().ok()?,
        u16::try_from(status.port).ok()?,
    );
    Some((port, status.error.clone()))
}

/// A pool, with what this version does not obey turned into a refusal.
#[must_use]
pub fn pool(object: &AddressPool) -> Option<PoolRecord> {
    let name = PoolName::new(object.name_any());
    let spec = &object.spec;
    let rules = rules(spec.advertise.as_deref());
    let pool = match spec.advertise.iter().flatten().any(|a| a.layer2.is_none()) {
        true => Err(PoolUnfit {
            reason: Reason::NOT_SUPPORTED.as_str(),
            message: "an entry of spec.advertise has no layer2, the only way that this version of Herald announces; \
                      remove it to use the pool. Addresses in use stay"
                .to_owned(),
        }),
        false => Pool::parse(
            name.clone(),
            created(&object.metadata),
            &spec.addresses,
            &spec.exclude,
        )
        .map(|pool| Pool {
            automatic: spec.automatic,
            priority: spec.priority,
            avoid_edge_addresses: spec.avoid_edge_addresses,
            tenants: Tenants {
                namespaces: spec
                    .namespaces
                    .clone()
                    .map(|names| names.into_iter().collect()),
                selector: spec.namespace_selector.as_ref().map(selector),
            },
            service_selector: spec.service_selector.as_ref().map(selector),
            shared_by: match spec.sharing {
                SharingScope::Namespace => Scope::Namespace,
                SharingScope::Cluster => Scope::Cluster,
            },
            quota_per_namespace: spec.quota_per_namespace,
            ..pool
        })
        .map_err(|fault| PoolUnfit {
            reason: fault.reason(),
            message: fault.to_string(),
        }),
    };
    Some(PoolRecord {
        name,
        resource_version: object.resource_version().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or(0),
        pool,
        retention: spec.retention.as_deref().map_or(0, duration),
        node_ports: spec.node_ports,
        fallback: spec.fallback,
        rules,
        advertise: spec.advertise.clone(),
        ignore_exclude_label: spec.ignore_exclude_label,
        rebalance: spec.rebalance,
        rebalance_asked: object.annotations().get(api::ANNOTATION_REBALANCE).cloned(),
        survey_asked: object.annotations().get(api::ANNOTATION_SURVEY).cloned(),
        status: object.status.clone(),
    })
}

/// An allocation; `None` if its name is none of Herald's making.
#[must_use]
pub fn allocation(object: &AddressAllocation) -> Option<AllocationRecord> {
    let spec = &object.spec;
    Some(AllocationRecord {
        key: LockKey::of_object_name(&object.name_any())?,
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        pool: Some(spec.pool.as_str())
            .filter(|p| !p.is_empty())
            .map(PoolName::from),
        holders: spec.holders.clone(),
        sharing_key: spec.sharing_key.clone(),
        awaited: spec
            .reserved_for
            .as_ref()
            .map(|awaited| ServiceKey::new(&awaited.namespace, &awaited.name)),
        // A time that cannot be read has passed.
        reserved_until: spec
            .reserved_until
            .as_ref()
            .map(|until| seconds(until).unwrap_or(0)),
        unannounced_since: spec.unannounced_since.as_deref().and_then(seconds),
        foreign_use: spec.foreign_use.clone().map(Box::new),
        publications: spec.publications,
        advertise: spec.advertise.clone(),
        rules: rules(spec.advertise.as_deref()),
        ignore_exclude_label: spec.ignore_exclude_label,
    })
}

fn seconds(moment: &str) -> Option<i64> {
    let moment: Timestamp = moment.parse().ok()?;
    Some(moment.as_second())
}

/// A namespace.
#[must_use]
pub fn namespace(namespace: &Namespace) -> Option<NamespaceRecord> {
    Some(NamespaceRecord {
        name: namespace.name_any(),
        labels: namespace.labels().clone(),
    })
}

/// A node.
#[must_use]
pub fn node(node: &Node) -> Option<NodeRecord> {
    let taints = node.spec.as_ref().and_then(|s| s.taints.as_ref());
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_ref());
    Some(NodeRecord {
        name: NodeName::new(node.name_any()),
        uid: node.uid().unwrap_or_default(),
        labels: node.labels().clone(),
        // As Kubernetes reads it: a value that is no boolean excludes too.
        excluded: node
            .labels()
            .get(api::LABEL_EXCLUDE_NODE)
            .is_some_and(|value| {
                !matches!(
                    value.as_str(),
                    "false" | "False" | "FALSE" | "f" | "F" | "0"
                )
            }),
        out_of_service: taints
            .into_iter()
            .flatten()
            .any(|t| t.key == api::TAINT_OUT_OF_SERVICE),
        network_unavailable: conditions
            .into_iter()
            .flatten()
            .any(|c| c.type_ == "NetworkUnavailable" && c.status == "True"),
        deleting: node.metadata.deletion_timestamp.is_some(),
        being_scaled_down: taints
            .into_iter()
            .flatten()
            .any(|t| t.key == api::TAINT_SCALE_DOWN),
        ready: conditions
            .into_iter()
            .flatten()
            .all(|c| c.type_ != "Ready" || c.status == "True"),
        external_ips: node_addresses(node, "ExternalIP"),
        internal_ips: node_addresses(node, "InternalIP"),
    })
}

fn node_addresses(node: &Node, kind: &str) -> Vec<IpAddr> {
    let addresses = node
        .status
        .iter()
        .flat_map(|s| s.addresses.iter().flatten());
    addresses
        .filter(|address| address.type_ == kind)
        .filter_map(|address| address.address.parse().ok())
        .collect()
}

/// What a node's agent says; `None` if it says nothing.
#[must_use]
pub fn host(announcements: &NodeAnnouncements) -> Option<HostRecord> {
    let status = announcements.status.as_ref()?;
    let mut said: BTreeMap<IpAddr, Vec<Announcement>> = BTreeMap::new();
    for entry in &status.addresses {
        if let Ok(address) = entry.address.parse() {
            said.entry(address).or_default().push(Announcement {
                interface: entry.interface.clone(),
                state: entry.state,
                since: entry.since.clone(),
                began: seconds(&entry.since),
                mac: entry.conflicting_mac.clone(),
                reason: entry.reason.clone(),
            });
        }
    }
    let all = u64::from(status.announcing) + u64::from(status.abnormal);
    Some(HostRecord {
        name: NodeName::new(announcements.name_any()),
        announcements: Some(Announcements {
            said,
            cut: u64::try_from(status.addresses.len()).is_ok_and(|listed| listed < all),
        }),
        facts: status.host.as_ref().map(|host| HostFacts {
            kube_proxy_mode: host.kube_proxy_mode.clone(),
            addresses: host
                .addresses
                .iter()
                .filter_map(|a| a.parse().ok())
                .collect(),
            listening: host
                .listening
                .iter()
                .filter_map(|p| p.parse().ok())
                .collect(),
        }),
    })
}

/// An EndpointSlice of a Service.
#[must_use]
pub fn slice(slice: &EndpointSlice) -> Option<SliceRecord> {
    let namespace = slice.namespace().unwrap_or_default();
    let service = slice.labels().get("kubernetes.io/service-name")?;
    let mut ready = BTreeSet::new();
    let mut terminating = BTreeSet::new();
    for endpoint in &slice.endpoints {
        let Some(node) = endpoint.node_name.as_deref().map(NodeName::from) else {
            continue;
        };
        let conditions = endpoint.conditions.as_ref();
        if conditions.and_then(|c| c.ready).unwrap_or(true) {
            ready.insert(node);
        } else if conditions.is_some_and(|c| c.serving == Some(true) && c.terminating == Some(true))
        {
            terminating.insert(node);
        }
    }
    Some(SliceRecord {
        service: ServiceKey::new(namespace.clone(), service),
        key: (namespace, slice.name_any()),
        ready,
        terminating,
    })
}

fn families(families: Option<&[String]>, policy: Option<&str>) -> Families {
    let primary = match families.and_then(|f| f.first()).map(String::as_str) {
        Some("IPv6") => Family::V6,
        _ => Family::V4,
    };
    match (families.map_or(1, <[String]>::len), policy) {
        (0 | 1, _) => Families::Single(primary),
        (_, Some("RequireDualStack")) => Families::Require(primary),
        _ => Families::Prefer(primary),
    }
}

/// How addresses are announced; without any advertisement on every interface whose subnet holds the address.
fn rules(advertise: Option<&[Advertisement]>) -> Vec<Layer2Rule> {
    let Some(advertise) = advertise else {
        return vec![Layer2Rule::default()];
    };
    advertise
        .iter()
        .filter_map(|a| a.layer2.as_ref())
        .map(|layer2| Layer2Rule {
            interfaces: layer2
                .interfaces
                .clone()
                .map(|names| names.into_iter().collect()),
            nodes: layer2.node_selector.as_ref().map(selector),
            services: layer2.service_selector.as_ref().map(selector),
            preferred: layer2
                .preferred_nodes
                .iter()
                .flatten()
                .map(|preferred| (preferred.weight, selector(&preferred.node_selector)))
                .collect(),
        })
        .collect()
}

/// A port, whatever it says: the place in the list must stay the same.
fn port(port: &ServicePort) -> PortRecord {
    let protocol: Option<Protocol> = port.protocol.as_deref().and_then(|p| p.parse().ok());
    PortRecord {
        name: port.name.clone(),
        port: Port::new(
            protocol.unwrap_or_default(),
            u16::try_from(port.port).unwrap_or_default(),
        ),
        node_port: port
            .node_port
            .and_then(|number| u16::try_from(number).ok())
            .filter(|number| *number != 0),
    }
}

/// A label selector as Kubernetes writes it.
pub fn selector(selector: &LabelSelector) -> Selector {
    let labels = selector.match_labels.clone().unwrap_or_default();
    let expressions = selector.match_expressions.iter().flatten();
    Selector::new(
        labels,
        expressions.map(|e| {
            (
                e.key.clone(),
                e.operator.clone(),
                e.values.clone().unwrap_or_default(),
            )
        }),
    )
}

fn condition(condition: &Condition) -> ConditionRecord {
    ConditionRecord {
        holds: condition.status == "True",
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        since: condition.last_transition_time.0.to_string(),
    }
}

/// Seconds of a duration such as `1h30m`, a started one counted. What is not one is none: the schema refuses it.
fn duration(text: &str) -> i64 {
    let mut millis: i64 = 0;
    let mut number = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let factor = match c {
            'h' => 3_600_000,
            'm' if rest.next_if_eq(&'s').is_some() => 1,
            'm' => 60_000,
            's' => 1_000,
            _ => return 0,
        };
        // Digits without end are a very long time.
        let value = number.parse::<i64>().unwrap_or(i64::MAX);
        millis = millis.saturating_add(value.saturating_mul(factor));
        number.clear();
    }
    // A century is as good as for ever, and keeps clear of the ends of the calendar.
    (millis.saturating_add(999) / 1_000).min(3_155_760_000)
}

fn created(metadata: &ObjectMeta) -> i64 {
    metadata
        .creation_timestamp
        .as_ref()
        .map_or(0, |time| time.0.as_second())
}

#[cfg(test)]
mod tests;
