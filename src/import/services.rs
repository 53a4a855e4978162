//! What Services ask for in the other one's words, and which addresses they have and must keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde_json::Value;

use super::{Document, Draft, ImportError, ServiceChange};
use crate::{
    api::{self, AddressPoolSpec},
    ipam::Range,
};

/// The words of another load balancer.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) name: &'static str,
    /// What its annotations begin with.
    pub(super) prefixes: &'static [&'static str],
    /// Those that Herald reads itself.
    pub(super) kept: &'static [&'static str],
    /// Keys for requested addresses, a pool, and sharing; the first that is there counts.
    pub(super) addresses: &'static [&'static str],
    pub(super) pool: &'static [&'static str],
    pub(super) sharing: &'static [&'static str],
    /// Ends of those that it writes itself.
    pub(super) written: &'static [&'static str],
    pub(super) classes: &'static [&'static str],
    /// What the pool is called for addresses that are in none.
    pub(super) spare_pool: &'static str,
}

pub(super) fn read(
    words: &Words,
    documents: &[Document],
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let served: Vec<&Document> = documents
        .iter()
        .filter(|it| is_served(words, it, draft))
        .collect();
    let shared = Shared::of(&served);
    let mut spare = BTreeSet::new();
    for document in served {
        let text = |pointer: &str| document.value.pointer(pointer).and_then(Value::as_str);
        let title = format!("Service/{} in {}", document.name, document.namespace);
        let class = text("/spec/loadBalancerClass");
        let addresses = addresses(document);
        spare.extend(addresses.iter().copied().filter(|it| !draft.has(*it)));
        if let Some(class) = class {
            let list = listed(&addresses);
            let key = api::ANNOTATION_ADDRESSES;
            let why = format!(
                "{class} cannot be changed: make the Service anew, with loadBalancerClass herald.dev/layer2 and the \
                 annotation {key}={list}"
            );
            draft.note(&title, "spec.loadBalancerClass", why);
            continue;
        }
        let requested = text("/spec/loadBalancerIP").is_some_and(|ip| !ip.is_empty());
        let mut annotations = translated(words, document, &title, &addresses, requested, draft);
        if let Some(key) = shared.key(words, document, &addresses) {
            annotations.insert(api::ANNOTATION_SHARING_KEY.to_owned(), key);
        }
        if !annotations.is_empty() {
            draft.change(ServiceChange {
                namespace: document.namespace.clone(),
                name: document.name.clone(),
                annotations,
            });
        }
    }
    keep(words, spare, draft);
    for address in shared.across_namespaces() {
        draft.share_across_namespaces(address);
    }
    Ok(())
}

/// Which Services have which address.
struct Shared<'a>(BTreeMap<IpAddr, Vec<&'a Document>>);

impl<'a> Shared<'a> {
    fn of(services: &[&'a Document]) -> Self {
        let mut holders: BTreeMap<IpAddr, Vec<&Document>> = BTreeMap::new();
        for &service in services {
            for address in addresses(service) {
                holders.entry(address).or_default().push(service);
            }
        }
        holders.retain(|_, holders| holders.len() > 1);
        Self(holders)
    }

    /// A key for a Service that shares an address and has none: with Herald all who share have the same.
    fn key(&self, words: &Words, service: &Document, addresses: &[IpAddr]) -> Option<String> {
        let has_key = |it: &Document| {
            words
                .sharing
                .iter()
                .any(|key| it.annotations.contains_key(*key))
        };
        let address = addresses.iter().find(|it| self.0.contains_key(it))?;
        (!has_key(service)).then(|| format!("shared-{}", address.to_string().replace(':', "-")))
    }

    fn across_namespaces(&self) -> impl Iterator<Item = IpAddr> {
        let several = |holders: &&Vec<&Document>| {
            let mut namespaces = holders.iter().map(|it| &it.namespace);
            let first = namespaces.next();
            namespaces.any(|it| Some(it) != first)
        };
        self.0
            .iter()
            .filter(move |(_, holders)| several(holders))
            .map(|(address, _)| *address)
    }
}

/// Whether a document is a Service that the other one serves: its class says so, or without one its annotations, or an
/// address of one of its pools. What Herald serves already is Herald's.
fn is_served(words: &Words, document: &Document, draft: &Draft) -> bool {
    let text = |pointer: &str| document.value.pointer(pointer).and_then(Value::as_str);
    let is_balancer = document.group.is_empty()
        && document.kind == "Service"
        && text("/spec/type") == Some("LoadBalancer");
    if !is_balancer || is_heralds(document) {
        return false;
    }
    if let Some(class) = text("/spec/loadBalancerClass") {
        return words.classes.contains(&class);
    }
    let mut keys = document.annotations.keys();
    let is_word = |key: &String| words.prefixes.iter().any(|it| key.starts_with(it));
    keys.any(is_word) || addresses(document).iter().any(|it| draft.has(*it))
}

fn is_heralds(service: &Document) -> bool {
    let conditions = service.value.pointer("/status/conditions");
    let mut conditions = conditions.and_then(Value::as_array).into_iter().flatten();
    conditions.any(|it| {
        let says = |key: &str, word: &str| it.get(key).and_then(Value::as_str) == Some(word);
        says("type", api::CONDITION_ALLOCATED) && says("status", "True")
    })
}

/// The addresses in the status.
fn addresses(service: &Document) -> Vec<IpAddr> {
    let ingress = service.value.pointer("/status/loadBalancer/ingress");
    let ingress = ingress.and_then(Value::as_array).into_iter().flatten();
    ingress
        .filter_map(|entry| entry.get("ip")?.as_str()?.parse().ok())
        .collect()
}

fn translated(
    words: &Words,
    service: &Document,
    title: &str,
    addresses: &[IpAddr],
    requested: bool,
    draft: &mut Draft,
) -> BTreeMap<String, String> {
    let find = |keys: &[&'static str]| {
        let known = keys
            .iter()
            .filter(|key| service.annotations.contains_key(**key));
        known.copied().next()
    };
    let value = |key: &str| service.annotations.get(key).cloned().unwrap_or_default();
    let [asked, pool, sharing] = [words.addresses, words.pool, words.sharing].map(find);
    let mut annotations = BTreeMap::new();
    let translate = |key: Option<&'static str>| key.filter(|key| !words.kept.contains(key));
    if let Some(key) = translate(sharing) {
        annotations.insert(api::ANNOTATION_SHARING_KEY.to_owned(), value(key));
    }
    if let Some(key) = translate(pool) {
        if draft.has_pool(&value(key)) {
            annotations.insert(api::ANNOTATION_POOL.to_owned(), value(key));
        } else {
            let why = format!("left out: no pool {} is imported", value(key));
            draft.note(title, key, why);
        }
    }
    let is_kept = asked.is_some_and(|key| words.kept.contains(&key));
    if !addresses.is_empty() && !is_kept && !requested {
        // Whatever the other one takes off the status when it goes.
        let key = api::ANNOTATION_ADDRESSES.to_owned();
        annotations.insert(key, listed(addresses));
    } else if let Some(key) = translate(asked).filter(|_| addresses.is_empty() && !requested) {
        let wanted = value(key);
        let mut parts = wanted.split(',').map(|part| part.trim().parse::<IpAddr>());
        if parts.all(|part| part.is_ok_and(|ip| !ip.is_unspecified())) {
            annotations.insert(api::ANNOTATION_ADDRESSES.to_owned(), wanted);
        } else {
            let why =
                format!("left out: Herald gives addresses of pools alone, and {wanted} is none");
            draft.note(title, key, why);
        }
    }
    for key in service.annotations.keys() {
        let Some(end) = words.prefixes.iter().find_map(|it| key.strip_prefix(it)) else {
            continue;
        };
        let known = [asked, pool, sharing].contains(&Some(key.as_str()))
            || [words.addresses, words.pool, words.sharing]
                .iter()
                .any(|keys| keys.contains(&key.as_str()))
            || words.written.contains(&end);
        if !known {
            draft.note(title, key, "left out: Herald has nothing like it");
        }
    }
    annotations
}

/// A pool for addresses that Services have and no pool gave them.
fn keep(words: &Words, spare: BTreeSet<IpAddr>, draft: &mut Draft) {
    if spare.is_empty() {
        return;
    }
    let list = listed(&spare.iter().copied().collect::<Vec<_>>());
    let ranges: Vec<Range> = spare
        .iter()
        .filter_map(|it| it.to_string().parse().ok())
        .collect();
    let title = format!("AddressPool/{}", words.spare_pool);
    draft.note(
        &title,
        "",
        format!(
            "made for {list}: Services have them, and no pool of {} does. Nobody else gets one who does not ask for it",
            words.name
        ),
    );
    let spec = AddressPoolSpec {
        automatic: false,
        ..AddressPoolSpec::default()
    };
    draft.add(&title, words.spare_pool, ranges, spec);
}

fn listed(addresses: &[IpAddr]) -> String {
    let addresses = addresses.iter().map(IpAddr::to_string);
    addresses.collect::<Vec<_>>().join(",")
}
