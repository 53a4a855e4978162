//! From Kubernetes objects to Herald's records.

use std::collections::BTreeSet;

use herald_spi::{NodeName, PoolName, ServiceKey};
use k8s_openapi::{
    api::{
        core::v1::{Namespace, Node, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, ObjectMeta},
};
use kube::ResourceExt as _;

use crate::{
    api::{
        self, AddressAllocation, AddressPool, AddressPoolSpec, Advertisement, FallbackPolicy,
        NodePortPolicy, Reason, SharingScope,
    },
    ipam::{Families, Family, Pool, Selector, Tenants},
    world::{
        AllocationRecord, ConditionRecord, IngressRecord, Layer2Rule, NamespaceRecord, NodeRecord,
        PoolRecord, PoolUnfit, ServiceRecord, SliceRecord, TrafficPolicy,
    },
};

/// Which Services without a class are Herald's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classes {
    /// Those with one of Herald's classes and those without a class.
    Default,
    /// Only those with one of Herald's classes.
    OwnOnly,
}

impl Classes {
    /// Whether a Service of this class is Herald's.
    #[must_use]
    pub fn include(self, class: Option<&str>) -> bool {
        match class {
            Some(class) => class.starts_with(api::CLASS_PREFIX),
            None => self == Self::Default,
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
    let ours = |key: &str| {
        key.starts_with(api::ANNOTATION_PREFIX)
            || [
                api::METALLB_POOL,
                api::METALLB_ADDRESSES,
                api::METALLB_SHARING_KEY,
            ]
            .contains(&key)
    };
    Some(ServiceRecord {
        key: ServiceKey::new(service.namespace().unwrap_or_default(), service.name_any()),
        uid: service.uid().unwrap_or_default(),
        resource_version: service.resource_version().unwrap_or_default(),
        created: created(&service.metadata),
        deleting: service.metadata.deletion_timestamp.is_some(),
        labels: service.labels().clone(),
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
        policy: match spec.external_traffic_policy.as_deref() {
            Some("Local") => TrafficPolicy::Local,
            _ => TrafficPolicy::Cluster,
        },
        ingress: balancer
            .and_then(|b| b.ingress.as_ref())
            .into_iter()
            .flatten()
            .map(|entry| IngressRecord {
                ip: entry.ip.as_deref().and_then(|ip| ip.parse().ok()),
                hostname: entry.hostname.clone(),
                ip_mode: entry.ip_mode.clone(),
            })
            .collect(),
        allocated: status
            .and_then(|s| s.conditions.as_ref())
            .into_iter()
            .flatten()
            .find(|c| c.type_ == api::CONDITION_ALLOCATED)
            .map(condition),
    })
}

/// A pool, with what this version does not obey turned into a refusal.
#[must_use]
pub fn pool(object: &AddressPool) -> Option<PoolRecord> {
    let name = PoolName::new(object.name_any());
    let spec = &object.spec;
    let rules = rules(spec.advertise.as_deref());
    let pool = match unsupported(spec) {
        Some(what) => Err(PoolUnfit {
            reason: Reason::NOT_SUPPORTED.as_str(),
            message: format!(
                "this version of Herald does not obey {what} yet; remove it to use the pool. Addresses in use stay"
            ),
        }),
        None => Pool::parse(
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
        rules,
        advertise: spec.advertise.clone(),
        ignore_exclude_label: spec.ignore_exclude_label,
        status: object.status.clone(),
    })
}

/// An allocation; `None` if its name is none of Herald's making.
#[must_use]
pub fn allocation(object: &AddressAllocation) -> Option<AllocationRecord> {
    let address = api::address_of_object_name(&object.name_any()).ok()?;
    let spec = &object.spec;
    Some(AllocationRecord {
        address,
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        created: created(&object.metadata),
        pool: Some(spec.pool.as_str())
            .filter(|p| !p.is_empty())
            .map(PoolName::from),
        holders: spec.holders.clone(),
        advertise: spec.advertise.clone(),
        rules: rules(spec.advertise.as_deref()),
        ignore_exclude_label: spec.ignore_exclude_label,
    })
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

/// The first field that is set and that this version does not obey.
fn unsupported(spec: &AddressPoolSpec) -> Option<&'static str> {
    let layer2 = || spec.advertise.iter().flatten().map(|a| a.layer2.as_ref());
    if spec.quota_per_namespace.is_some() {
        Some("spec.quotaPerNamespace")
    } else if spec.retention.is_some() {
        Some("spec.retention")
    } else if spec.node_ports != NodePortPolicy::Keep {
        Some("spec.nodePorts: Disable")
    } else if spec.fallback != FallbackPolicy::None {
        Some("spec.fallback: Nodes")
    } else if spec.sharing != SharingScope::Namespace {
        Some("spec.sharing: Cluster")
    } else if layer2().any(|l| l.is_none()) {
        Some("an entry of spec.advertise without layer2")
    } else if layer2().flatten().any(|l| l.service_selector.is_some()) {
        Some("spec.advertise[].layer2.serviceSelector")
    } else if layer2().flatten().any(|l| l.preferred_nodes.is_some()) {
        Some("spec.advertise[].layer2.preferredNodes")
    } else {
        None
    }
}

/// How addresses are announced; without any advertisement on every interface whose subnet holds the address.
fn rules(advertise: Option<&[Advertisement]>) -> Vec<Layer2Rule> {
    let Some(advertise) = advertise else {
        return vec![Layer2Rule {
            interfaces: None,
            nodes: None,
        }];
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
        })
        .collect()
}

fn selector(selector: &LabelSelector) -> Selector {
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

fn created(metadata: &ObjectMeta) -> i64 {
    metadata
        .creation_timestamp
        .as_ref()
        .map_or(0, |time| time.0.as_second())
}
