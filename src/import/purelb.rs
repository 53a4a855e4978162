//! PureLB: ServiceGroups of both versions, and the annotations of Services.

use serde::Deserialize;

use super::{Document, Draft, ImportError, Resource, services::Words};
use crate::api::AddressPoolSpec;

const GROUP: Resource = resource("ServiceGroup", "servicegroups");
const AGENT: Resource = resource("LBNodeAgent", "lbnodeagents");
pub(super) const RESOURCES: [Resource; 2] = [GROUP, AGENT];

const fn resource(kind: &'static str, plural: &'static str) -> Resource {
    Resource {
        group: "purelb.io",
        versions: &["v2", "v1"],
        kind,
        plural,
        name: None,
    }
}

pub(super) const WORDS: Words = Words {
    name: "PureLB",
    prefixes: &["purelb.io/"],
    kept: &[],
    addresses: &["purelb.io/addresses"],
    pool: &["purelb.io/service-group"],
    sharing: &["purelb.io/allow-shared-ip"],
    written: &[
        "allocated-by",
        "allocated-from",
        "pool-type",
        "announcing",
        "announcing-IPv4",
        "announcing-IPv6",
        "skip-ipv6-dad",
        "re-evaluate",
    ],
    classes: &["purelb.io/purelb"],
    spare_pool: "imported-from-purelb",
};

/// The group of Services that name none.
const DEFAULT: &str = "default";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Group {
    local: Option<Pools>,
    remote: Option<Pools>,
    external: Option<serde_json::Value>,
    netbox: Option<serde_json::Value>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    enforce_namespaces: bool,
    #[serde(default)]
    namespace_default: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pools {
    v4pool: Option<Pool>,
    v6pool: Option<Pool>,
    #[serde(default)]
    v4pools: Vec<Pool>,
    #[serde(default)]
    v6pools: Vec<Pool>,
    // As v1 had it before there was a pool per family.
    #[serde(default)]
    pool: String,
    #[serde(default, rename = "subnet")]
    _subnet: String,
    #[serde(default, rename = "aggregation")]
    _aggregation: String,
    #[serde(default, rename = "skipIPv6DAD")]
    skips_dad: bool,
    #[serde(default, rename = "multiPool")]
    multi_pool: bool,
    #[serde(default, rename = "balancePools")]
    balances: bool,
}

/// Subnet and aggregation tell the kernel's routes; Herald makes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    pool: String,
    #[serde(default, rename = "subnet")]
    _subnet: String,
    #[serde(default, rename = "aggregation")]
    _aggregation: String,
}

pub(super) fn read(documents: &[Document], draft: &mut Draft) -> Result<(), ImportError> {
    for document in documents {
        if document.is(&GROUP)? {
            group(document, draft)?;
        } else if document.is(&AGENT)? {
            let why = "left out: Herald's agents announce on every interface whose subnet holds the address; to name \
                       interfaces, write `advertise` into the pools";
            draft.note(&document.title(), "", why);
        }
    }
    Ok(())
}

fn group(document: &Document, draft: &mut Draft) -> Result<(), ImportError> {
    let title = document.title();
    let group: Group = document.part("spec")?;
    if group.external.is_some() || group.netbox.is_some() {
        let why = "left out: its addresses come from another IPAM, which Herald does not ask; make a pool of those \
                   that are its to give";
        draft.note(&title, "spec", why);
        return Ok(());
    }
    if group.remote.is_some() {
        let why = "announced by routing: Herald has no BGP yet, and announces it only where a node has its subnet";
        draft.note(&title, "spec.remote", why);
    }
    let mut texts = Vec::new();
    for pools in group.local.into_iter().chain(group.remote) {
        if pools.multi_pool || pools.balances {
            let why = "left out: a Service gets one address per family, the lowest that is free";
            draft.note(&title, "multiPool, balancePools", why);
        }
        if pools.skips_dad {
            let why = "left out: Herald asks the LAN before it announces an address, always";
            draft.note(&title, "skipIPv6DAD", why);
        }
        let singles = pools.v4pool.into_iter().chain(pools.v6pool);
        let several = pools.v4pools.into_iter().chain(pools.v6pools);
        texts.extend(singles.chain(several).map(|pool| pool.pool));
        texts.extend(Some(pools.pool).filter(|pool| !pool.is_empty()));
    }
    let ranges = draft.ranges(&title, "spec", &texts)?;
    let bound = !group.namespaces.is_empty();
    if bound && !group.enforce_namespaces {
        let why = "from now on a boundary: Services of other namespaces cannot ask for this pool. Take `namespaces` \
                   off the pool if they shall";
        draft.note(&title, "spec.namespaces", why);
    }
    let spec = AddressPoolSpec {
        automatic: bound || document.name == DEFAULT,
        // Before that of everybody, and before others of the same namespaces.
        priority: i32::from(bound) + i32::from(group.namespace_default),
        namespaces: bound.then_some(group.namespaces),
        ..AddressPoolSpec::default()
    };
    draft.add(&title, &document.name, ranges, spec);
    Ok(())
}
