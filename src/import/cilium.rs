//! Cilium: LB-IPAM's pools, L2 announcement policies, and the annotations of Services.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;

use super::{Document, Draft, ImportError, Resource, advertise::advertise, services::Words};
use crate::api::{AddressPoolSpec, Advertisement, Layer2Advertisement};

const POOL: Resource = Resource {
    group: "cilium.io",
    versions: &["v2", "v2alpha1"],
    kind: "CiliumLoadBalancerIPPool",
    plural: "ciliumloadbalancerippools",
    name: None,
};
const POLICY: Resource = Resource {
    kind: "CiliumL2AnnouncementPolicy",
    plural: "ciliuml2announcementpolicies",
    ..POOL
};
pub(super) const RESOURCES: [Resource; 2] = [POOL, POLICY];

pub(super) const WORDS: Words = Words {
    name: "Cilium",
    prefixes: &["lbipam.cilium.io/", "io.cilium/lb-ipam-"],
    kept: &[],
    addresses: &["lbipam.cilium.io/ips", "io.cilium/lb-ipam-ips"],
    pool: &[],
    sharing: &[
        "lbipam.cilium.io/sharing-key",
        "io.cilium/lb-ipam-sharing-key",
    ],
    written: &[],
    classes: &["io.cilium/l2-announcer"],
    spare_pool: "imported-from-cilium",
};

/// Labels that Cilium gives a Service only in its selectors.
const NAMESPACE: &str = "io.kubernetes.service.namespace";
const NAME: &str = "io.kubernetes.service.name";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pool {
    #[serde(default)]
    blocks: Vec<Block>,
    #[serde(default, rename = "cidrs")]
    older: Vec<Block>,
    service_selector: Option<LabelSelector>,
    #[serde(default)]
    disabled: bool,
    #[serde(default, rename = "allowFirstLastIPs")]
    allow_first_last: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    cidr: Option<String>,
    start: Option<String>,
    stop: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Policy {
    service_selector: Option<LabelSelector>,
    node_selector: Option<LabelSelector>,
    #[serde(default)]
    interfaces: Vec<String>,
    #[serde(default, rename = "externalIPs")]
    external: bool,
    #[serde(default, rename = "loadBalancerIPs")]
    balancers: bool,
}

/// Whom a selector of Services lets in, as Herald says it.
#[derive(Default)]
struct Admitted {
    namespaces: Option<Vec<String>>,
    services: Option<LabelSelector>,
}

pub(super) fn read(documents: &[Document], draft: &mut Draft) -> Result<(), ImportError> {
    let mut ways = Vec::new();
    for document in documents {
        if document.is(&POLICY)? {
            let policy = document.part::<Option<Policy>>("spec")?.unwrap_or_default();
            ways.extend(announced(document, policy, draft));
        }
    }
    let advertised = advertise(draft, "CiliumL2AnnouncementPolicy", ways);
    for document in documents {
        if document.is(&POOL)? {
            pool(document, advertised.clone(), draft)?;
        }
    }
    Ok(())
}

fn pool(
    document: &Document,
    advertise: Option<Vec<Advertisement>>,
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let title = document.title();
    let pool: Pool = document.part("spec")?;
    let mut texts = Vec::new();
    for block in pool.blocks.into_iter().chain(pool.older) {
        texts.push(block.text(&title)?);
    }
    let ranges = draft.ranges(&title, "spec.blocks", &texts)?;
    if pool.disabled {
        let why = "the pool gives addresses only to whom asks for it by name or address: Herald has no pool that only \
                   keeps what it gave";
        draft.note(&title, "spec.disabled", why);
    }
    let admitted = admitted(&title, pool.service_selector, draft);
    let spec = AddressPoolSpec {
        automatic: !pool.disabled,
        avoid_edge_addresses: pool.allow_first_last.as_deref() == Some("No"),
        namespaces: admitted.namespaces,
        service_selector: admitted.services,
        advertise,
        ..AddressPoolSpec::default()
    };
    draft.add(&title, &document.name, ranges, spec);
    Ok(())
}

impl Block {
    fn text(self, object: &str) -> Result<String, ImportError> {
        match (self.cidr, self.start, self.stop) {
            (Some(cidr), None, None) => Ok(cidr),
            (None, Some(start), None) => Ok(start),
            (None, Some(start), Some(stop)) => Ok(format!("{start}-{stop}")),
            _ => Err(ImportError::Shape {
                object: object.to_owned(),
                why: "spec.blocks: a block has a cidr, or a start and perhaps a stop".to_owned(),
            }),
        }
    }
}

/// Cilium's own labels are no labels: the namespace is one of the pool's words, the name is none.
fn admitted(title: &str, selector: Option<LabelSelector>, draft: &mut Draft) -> Admitted {
    let Some(mut selector) = selector else {
        return Admitted::default();
    };
    let mut namespaces = None;
    let labels: BTreeMap<String, String> = selector.match_labels.take().unwrap_or_default();
    let (own, labels): (BTreeMap<_, _>, BTreeMap<_, _>) = labels
        .into_iter()
        .partition(|(key, _)| [NAMESPACE, NAME].contains(&key.as_str()));
    if let Some(namespace) = own.get(NAMESPACE) {
        namespaces = Some(vec![namespace.clone()]);
    }
    if own.contains_key(NAME) {
        let why = "left out: a pool chooses Services by labels, not by name. Have the Service ask for the pool by \
                   herald.dev/pool, and give the pool `automatic: false`";
        draft.note(title, NAME, why);
    }
    let mut expressions = selector.match_expressions.take().unwrap_or_default();
    expressions.retain(|it| match (it.key.as_str(), it.operator.as_str()) {
        (NAMESPACE, "In") if namespaces.is_none() => {
            namespaces = it.values.clone();
            false
        }
        (NAMESPACE | NAME, _) => {
            let why = "left out: a pool names namespaces, and chooses Services by labels";
            draft.note(title, &it.key, why);
            false
        }
        _ => true,
    });
    selector.match_labels = (!labels.is_empty()).then_some(labels);
    selector.match_expressions = (!expressions.is_empty()).then_some(expressions);
    let says = selector.match_labels.is_some() || selector.match_expressions.is_some();
    Admitted {
        namespaces,
        services: says.then_some(selector),
    }
}

/// The way in which a policy announces, if it announces addresses of load balancers.
fn announced(
    document: &Document,
    policy: Policy,
    draft: &mut Draft,
) -> Option<Layer2Advertisement> {
    let title = document.title();
    if policy.external {
        let why = "left out: Herald announces addresses of load balancers alone";
        draft.note(&title, "spec.externalIPs", why);
    }
    if !policy.balancers {
        draft.note(
            &title,
            "spec.loadBalancerIPs",
            "left out: it announces no addresses of load balancers",
        );
        return None;
    }
    let mut interfaces = Vec::new();
    for pattern in policy.interfaces {
        match literal(&pattern) {
            Some(name) => interfaces.push(name.to_owned()),
            None => {
                let why = format!(
                    "{pattern} is left out: Herald takes names, not patterns; add those that it matches"
                );
                draft.note(&title, "spec.interfaces", why);
            }
        }
    }
    let admitted = admitted(&title, policy.service_selector, draft);
    if admitted.namespaces.is_some() {
        let why =
            "left out: what is announced does not depend on the namespace; say it in the pool";
        draft.note(&title, NAMESPACE, why);
    }
    Some(Layer2Advertisement {
        interfaces: (!interfaces.is_empty()).then_some(interfaces),
        node_selector: policy.node_selector,
        service_selector: admitted.services,
        preferred_nodes: None,
    })
}

/// The one name that a pattern matches, if it is as simple as that.
fn literal(pattern: &str) -> Option<&str> {
    let name = pattern.strip_prefix('^').unwrap_or(pattern);
    let name = name.strip_suffix('$').unwrap_or(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}
