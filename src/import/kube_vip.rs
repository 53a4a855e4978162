//! kube-vip: the ConfigMap of its cloud provider, and the annotations of Services.

use std::collections::BTreeMap;

use super::{Document, Draft, ImportError, Resource, advertise::advertise, services::Words};
use crate::api::{AddressPoolSpec, Layer2Advertisement};

const CONFIG: Resource = Resource {
    group: "",
    versions: &["v1"],
    kind: "ConfigMap",
    plural: "configmaps",
    name: Some("kubevip"),
};
pub(super) const RESOURCES: [Resource; 1] = [CONFIG];

pub(super) const WORDS: Words = Words {
    name: "kube-vip",
    prefixes: &["kube-vip.io/"],
    kept: &[],
    addresses: &["kube-vip.io/loadbalancerIPs"],
    pool: &[],
    sharing: &[],
    written: &["vipHost", "requestedIP", "hwaddr"],
    classes: &["kube-vip.io/kube-vip-class"],
    spare_pool: "imported-from-kube-vip",
};

const GLOBAL: &str = "global";
/// Asks for an address by DHCP.
const DHCP: &str = "0.0.0.0/32";

/// What the ConfigMap says of one namespace, or of all.
#[derive(Default)]
struct Group {
    addresses: Vec<String>,
    interfaces: Vec<String>,
}

pub(super) fn read(documents: &[Document], draft: &mut Draft) -> Result<(), ImportError> {
    for document in documents {
        if document.is(&CONFIG)? {
            config(document, draft)?;
        }
    }
    Ok(())
}

fn config(document: &Document, draft: &mut Draft) -> Result<(), ImportError> {
    let title = document.title();
    let data: BTreeMap<String, String> = document.part("data")?;
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    let mut avoid_edge_addresses = false;
    for (key, value) in &data {
        let parts = || {
            value
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
        };
        match key.split_once('-') {
            Some(("cidr" | "range", whose)) => {
                let (dhcp, addresses): (Vec<_>, Vec<_>) = parts().partition(|part| *part == DHCP);
                if !dhcp.is_empty() {
                    let why = "left out: Herald takes addresses from pools, not from a DHCP server";
                    draft.note(&title, key, why);
                }
                let group = groups.entry(whose).or_default();
                group
                    .addresses
                    .extend(addresses.into_iter().map(str::to_owned));
            }
            Some(("interface", whose)) => {
                let group = groups.entry(whose).or_default();
                group.interfaces.extend(parts().map(str::to_owned));
            }
            Some(("allow", _)) if key.starts_with("allow-share-") => {
                let why = "left out: with Herald Services share an address by the same key in herald.dev/sharing-key";
                draft.note(&title, key, why);
            }
            _ if key == "search-order" => {
                draft.note(
                    &title,
                    key,
                    "left out: Herald gives the lowest address that is free",
                );
            }
            _ if key == "skip-end-ips-in-cidr" => avoid_edge_addresses = value == "true",
            _ => {
                let why =
                    format!("data: {key} is none of the keys that this version of Herald knows");
                return Err(ImportError::Shape { object: title, why });
            }
        }
    }
    let spills = groups.contains_key(GLOBAL) && groups.len() > 1;
    for (whose, group) in groups {
        let field = format!("data, {whose}");
        let ranges = draft.ranges(&title, &field, &group.addresses)?;
        if ranges.is_empty() {
            continue;
        }
        let own = whose != GLOBAL;
        let ways = (!group.interfaces.is_empty()).then(|| Layer2Advertisement {
            interfaces: Some(group.interfaces),
            ..Layer2Advertisement::default()
        });
        let spec = AddressPoolSpec {
            automatic: true,
            // Whoever has a pool of his own is served from it first.
            priority: i32::from(own),
            namespaces: own.then(|| vec![whose.to_owned()]),
            avoid_edge_addresses,
            advertise: advertise(draft, &title, ways.into_iter().collect()),
            ..AddressPoolSpec::default()
        };
        if own && spills {
            let why = "when its pool is full, Services of the namespace get addresses of the global one, which kube-vip \
                       does not do";
            draft.note(&title, &field, why);
        }
        draft.add(&title, &format!("kube-vip-{whose}"), ranges, spec);
    }
    Ok(())
}
