//! MetalLB: IPAddressPools and L2Advertisements, and the annotations of Services.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;

use super::{
    Document, Draft, ImportError, Resource,
    advertise::{advertise, each, only},
    services::Words,
};
use crate::{
    api::{AddressPoolSpec, Layer2Advertisement, PreferredNodes},
    cluster::selector,
};

const POOL: Resource = resource("IPAddressPool", "ipaddresspools");
const LAYER2: Resource = resource("L2Advertisement", "l2advertisements");
const BGP: Resource = resource("BGPAdvertisement", "bgpadvertisements");
const PEER: Resource = Resource {
    versions: &["v1beta2", "v1beta1"],
    ..resource("BGPPeer", "bgppeers")
};
pub(super) const RESOURCES: [Resource; 4] = [POOL, LAYER2, BGP, PEER];

const fn resource(kind: &'static str, plural: &'static str) -> Resource {
    Resource {
        group: "metallb.io",
        versions: &["v1beta1"],
        kind,
        plural,
        name: None,
    }
}

pub(super) const WORDS: Words = Words {
    name: "MetalLB",
    prefixes: &["metallb.io/", "metallb.universe.tf/"],
    // Herald reads those of metallb.io itself.
    kept: &[
        "metallb.io/address-pool",
        "metallb.io/loadBalancerIPs",
        "metallb.io/allow-shared-ip",
    ],
    addresses: &[
        "metallb.io/loadBalancerIPs",
        "metallb.universe.tf/loadBalancerIPs",
    ],
    pool: &[
        "metallb.io/address-pool",
        "metallb.universe.tf/address-pool",
    ],
    sharing: &[
        "metallb.io/allow-shared-ip",
        "metallb.universe.tf/allow-shared-ip",
    ],
    written: &["ip-allocated-from-pool"],
    classes: &["metallb"],
    spare_pool: "imported-from-metallb",
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pool {
    addresses: Vec<String>,
    #[serde(default = "yes")]
    auto_assign: bool,
    #[serde(default, rename = "avoidBuggyIPs")]
    avoid_buggy_ips: bool,
    #[serde(default)]
    service_allocation: Option<Allocation>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Allocation {
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    namespace_selectors: Vec<LabelSelector>,
    #[serde(default)]
    service_selectors: Vec<LabelSelector>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Layer2 {
    #[serde(default, rename = "ipAddressPools")]
    pools: Vec<String>,
    #[serde(default, rename = "ipAddressPoolSelectors")]
    pool_selectors: Vec<LabelSelector>,
    #[serde(default)]
    node_selectors: Vec<LabelSelector>,
    #[serde(default)]
    service_selectors: Vec<LabelSelector>,
    #[serde(default)]
    interfaces: Vec<String>,
    #[serde(default)]
    preferred_node_selectors: Vec<Preferred>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Preferred {
    weight: u8,
    preference: LabelSelector,
}

const fn yes() -> bool {
    true
}

pub(super) fn read(documents: &[Document], draft: &mut Draft) -> Result<(), ImportError> {
    let (mut pools, mut ads) = (Vec::new(), Vec::new());
    for document in documents {
        if document.is(&POOL)? {
            pools.push((document, document.part::<Pool>("spec")?));
        } else if document.is(&LAYER2)? {
            // An empty one, which announces everything, may have no spec at all.
            let spec = document.part::<Option<Layer2>>("spec")?;
            ads.push(spec.unwrap_or_default());
        } else if document.is(&BGP)? || document.is(&PEER)? {
            let why =
                "Herald has no BGP yet: keep MetalLB for what needs it, or announce on the LAN";
            draft.note(&document.title(), "", why);
        } else if document.group == POOL.group && document.kind == "AddressPool" {
            return Err(ImportError::Version {
                object: document.title(),
                version: format!("{}, kind AddressPool", document.version),
                known: "IPAddressPool of v1beta1 (MetalLB 0.13 and newer)".to_owned(),
            });
        }
    }
    let ranks = ranks(pools.iter().map(|(_, pool)| pool));
    for (document, pool) in pools {
        one(document, pool, &ads, &ranks, draft)?;
    }
    Ok(())
}

/// MetalLB's lowest number comes first, and none last; Herald's highest comes first.
fn ranks<'a>(pools: impl Iterator<Item = &'a Pool>) -> BTreeMap<i64, i32> {
    let asked = pools.filter_map(|pool| pool.service_allocation.as_ref());
    let numbers: BTreeSet<i64> = asked.map(|it| it.priority).filter(|it| *it > 0).collect();
    numbers.into_iter().rev().zip(1..).collect()
}

fn one(
    document: &Document,
    pool: Pool,
    ads: &[Layer2],
    ranks: &BTreeMap<i64, i32>,
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let title = document.title();
    let ranges = draft.ranges(&title, "spec.addresses", &pool.addresses)?;
    let allocation = pool.service_allocation.unwrap_or_default();
    let field = "serviceAllocation.serviceSelectors";
    let service_selector = only(draft, &title, field, allocation.service_selectors);
    let (namespaces, namespace_selector) = if allocation.namespaces.is_empty() {
        let field = "serviceAllocation.namespaceSelectors";
        (
            None,
            only(draft, &title, field, allocation.namespace_selectors),
        )
    } else {
        if !allocation.namespace_selectors.is_empty() {
            let why = "left out: a pool names namespaces or selects them. Add the names to the pool's `namespaces`";
            draft.note(&title, "serviceAllocation.namespaceSelectors", why);
        }
        (Some(allocation.namespaces), None)
    };
    let ways: Vec<_> = ads
        .iter()
        .filter(|ad| ad.selects(document))
        .flat_map(Layer2::ways)
        .collect();
    if ways.is_empty() {
        let why = "no L2Advertisement selects it, so MetalLB does not announce it on the LAN; Herald does wherever a \
                   node has its subnet";
        draft.note(&title, "", why);
    }
    let spec = AddressPoolSpec {
        automatic: pool.auto_assign,
        avoid_edge_addresses: pool.avoid_buggy_ips,
        priority: ranks.get(&allocation.priority).copied().unwrap_or_default(),
        namespaces,
        namespace_selector,
        service_selector,
        advertise: advertise(draft, &title, ways),
        ..AddressPoolSpec::default()
    };
    draft.add(&title, &document.name, ranges, spec);
    Ok(())
}

impl Layer2 {
    fn selects(&self, pool: &Document) -> bool {
        let all = self.pools.is_empty() && self.pool_selectors.is_empty();
        all || self.pools.contains(&pool.name)
            || self
                .pool_selectors
                .iter()
                .any(|it| selector(it).matches(&pool.labels))
    }

    /// Any of the node selectors with any of the service selectors.
    fn ways(&self) -> Vec<Layer2Advertisement> {
        let preferred = self.preferred_node_selectors.iter();
        let preferred: Vec<_> = preferred
            .map(|it| PreferredNodes {
                weight: it.weight,
                node_selector: it.preference.clone(),
            })
            .collect();
        let mut ways = Vec::new();
        for node_selector in each(&self.node_selectors) {
            for service_selector in each(&self.service_selectors) {
                ways.push(Layer2Advertisement {
                    interfaces: (!self.interfaces.is_empty()).then(|| self.interfaces.clone()),
                    node_selector: node_selector.clone(),
                    service_selector,
                    preferred_nodes: (!preferred.is_empty()).then(|| preferred.clone()),
                });
            }
        }
        ways
    }
}
