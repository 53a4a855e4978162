//! What a Service asks for, read from its spec and annotations. Pure.
//!
//! Whatever is said under Herald's prefix is understood or refused, never passed over.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::PoolName;

use super::node_ports::Wish;
use crate::{
    api::{self, Provider},
    ipam::{Request, Terms, excerpt, parse_addresses},
    world::{Pairs, ServiceRecord, TrafficPolicy},
};

/// Everything that a Service asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What the allocator must know.
    pub request: Request,
    /// Who serves it.
    pub provider: Provider,
    /// Whether it may have addresses of nodes when no address is free; `None`: as the pools say.
    pub fallback: Option<bool>,
    /// What it wants of its node ports itself; [`Wish::Keep`]: as the pool or the cluster says.
    pub node_ports: Wish,
}

/// What a Service in a namespace with these labels asks for; one that names no provider is served by `default`.
///
/// # Errors
/// With a sentence that says what is wrong and what to write instead.
pub fn asked(
    service: &ServiceRecord,
    namespace_labels: &BTreeMap<String, String>,
    default: Provider,
) -> Result<Asked, String> {
    refuse_unknown(service)?;
    may_adopt(service)?;
    let provider = provider(service, default)?;
    refuse_pools(service, provider)?;
    Ok(Asked {
        request: Request {
            service: service.key.clone(),
            uid: service.uid.clone(),
            created: service.created,
            labels: service.labels.to_map(),
            namespace_labels: namespace_labels.clone(),
            families: service.families,
            addresses: addresses(service)?,
            pools: pools(service)?,
            terms: Terms {
                key: sharing_key(service)?,
                ..terms(service)
            },
        },
        provider,
        fallback: word(
            service,
            api::ANNOTATION_FALLBACK,
            [("nodes", true), ("none", false)],
        )?,
        node_ports: word(
            service,
            api::ANNOTATION_NODE_PORTS,
            [("disabled", Wish::Disable), ("enabled", Wish::Enable)],
        )?
        .unwrap_or(Wish::Keep),
    })
}

/// On what terms a Service shares addresses, its key left out.
fn terms(service: &ServiceRecord) -> Terms {
    Terms {
        key: None,
        ports: service
            .ports
            .iter()
            .map(|port| port.port)
            .collect::<BTreeSet<_>>(),
        local: (service.policy == TrafficPolicy::Local).then(|| local_selector(&service.selector)),
    }
}

/// The terms that a Service's annotations tell; an ill-formed key shares nothing.
pub fn recorded_terms(service: &ServiceRecord) -> Terms {
    Terms {
        key: sharing_key(service).unwrap_or_default(),
        ..terms(service)
    }
}

/// A selector as text of a bounded length: equal texts mean equal selectors.
fn local_selector(selector: &Pairs) -> String {
    const MOST: usize = 200;
    let pairs: Vec<_> = selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let text = pairs.join(",");
    if text.len() <= MOST {
        return text;
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let hex: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// One of a few words.
fn word<T: Copy, const N: usize>(
    service: &ServiceRecord,
    key: &str,
    words: [(&str, T); N],
) -> Result<Option<T>, String> {
    let Some(text) = annotation(service, key) else {
        return Ok(None);
    };
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, meaning)) => Ok(Some(*meaning)),
        None => {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            Err(format!(
                "{key}: {:?} is none of {}",
                excerpt(text),
                known.join(", ")
            ))
        }
    }
}

fn sharing_key(service: &ServiceRecord) -> Result<Option<String>, String> {
    const LONGEST: usize = 253;
    let Some((key, text)) = either(
        service,
        api::ANNOTATION_SHARING_KEY,
        api::METALLB_SHARING_KEY,
    )?
    else {
        return Ok(None);
    };
    if text.is_empty() {
        return Err(format!("{key} is empty; write a key, or remove it"));
    }
    if text.chars().count() > LONGEST {
        return Err(format!(
            "{key} is longer than {LONGEST} characters; write a shorter key"
        ));
    }
    Ok(Some(text.to_owned()))
}

/// The value of an annotation or of its synonym, which must agree.
fn either<'a>(
    service: &'a ServiceRecord,
    own: &'static str,
    synonym: &'static str,
) -> Result<Option<(&'static str, &'a str)>, String> {
    match (annotation(service, own), annotation(service, synonym)) {
        (Some(a), Some(b)) if a != b => {
            Err(format!("{own} and {synonym} differ; keep one of them"))
        }
        (Some(text), _) => Ok(Some((own, text))),
        (None, Some(text)) => Ok(Some((synonym, text))),
        (None, None) => Ok(None),
    }
}

/// Whether the user allows Herald to take the Service over from another controller.
///
/// # Errors
/// When the annotation is neither `true` nor `false`.
pub fn may_adopt(service: &ServiceRecord) -> Result<bool, String> {
    let allowed = word(
        service,
        api::ANNOTATION_ADOPT,
        [("true", true), ("false", false)],
    )?;
    Ok(allowed.unwrap_or(false))
}

fn annotation<'a>(service: &'a ServiceRecord, key: &str) -> Option<&'a str> {
    service.annotations.get(key).map(|value| value.trim())
}

fn refuse_unknown(service: &ServiceRecord) -> Result<(), String> {
    let unknown = service.annotations.keys().find(|key| {
        key.starts_with(api::ANNOTATION_PREFIX) && !api::SERVICE_ANNOTATIONS.contains(&key.as_str())
    });
    match unknown {
        Some(key) => Err(format!(
            "unknown annotation {}; known are {}",
            excerpt(key),
            api::SERVICE_ANNOTATIONS.join(", ")
        )),
        None => Ok(()),
    }
}

/// Who serves the Service: its class says so, or the annotation, or the controller's default.
pub(super) fn provider(service: &ServiceRecord, default: Provider) -> Result<Provider, String> {
    let known = || Provider::ALL.map(Provider::class).join(" or ");
    let by_class = match service.class.as_deref() {
        None => None,
        Some(class) => Some(Provider::of_class(class).ok_or_else(|| {
            format!(
                "spec.loadBalancerClass: this version of Herald does not serve {}; use {}",
                excerpt(class),
                known()
            )
        })?),
    };
    let by_annotation = match annotation(service, api::ANNOTATION_PROVIDER) {
        None => None,
        Some(text) => Some(Provider::of_word(text).ok_or_else(|| {
            format!(
                "{}: this version of Herald does not serve {:?}; use {}",
                api::ANNOTATION_PROVIDER,
                excerpt(text),
                Provider::ALL.map(Provider::word).join(" or ")
            )
        })?),
    };
    match (by_class, by_annotation) {
        (Some(class), Some(word)) if class != word => Err(format!(
            "spec.loadBalancerClass {} and {}: {} contradict each other; remove the annotation",
            class.class(),
            api::ANNOTATION_PROVIDER,
            word.word()
        )),
        (by_class, by_annotation) => Ok(by_class.or(by_annotation).unwrap_or(default)),
    }
}

/// Addresses of nodes and of a cloud's balancers come from no pool.
fn refuse_pools(service: &ServiceRecord, provider: Provider) -> Result<(), String> {
    let whose = match provider {
        Provider::Layer2 => return Ok(()),
        Provider::Node => "addresses of nodes come from no pool",
        Provider::AwsNlb => "the addresses of a Network Load Balancer come from no pool",
    };
    let keys = [
        api::ANNOTATION_POOL,
        api::METALLB_POOL,
        api::ANNOTATION_ADDRESSES,
        api::METALLB_ADDRESSES,
        api::ANNOTATION_SHARING_KEY,
        api::METALLB_SHARING_KEY,
    ];
    let annotated = keys
        .into_iter()
        // A balancer is no address that could be missing.
        .chain((provider == Provider::AwsNlb).then_some(api::ANNOTATION_FALLBACK))
        .find(|key| service.annotations.contains_key(key));
    let set = annotated.or(service.requested_ip.as_ref().map(|_| "spec.loadBalancerIP"));
    match set {
        Some(what) => Err(format!(
            "{what} contradicts the provider {}: {whose}; remove one of the two",
            provider.word()
        )),
        None => Ok(()),
    }
}

/// The requested addresses; every place that names some must name the same.
fn addresses(service: &ServiceRecord) -> Result<Vec<IpAddr>, String> {
    let places = [
        (
            api::ANNOTATION_ADDRESSES,
            annotation(service, api::ANNOTATION_ADDRESSES),
        ),
        (
            api::METALLB_ADDRESSES,
            annotation(service, api::METALLB_ADDRESSES),
        ),
        ("spec.loadBalancerIP", service.requested_ip.as_deref()),
    ];
    let mut chosen: Option<(&str, Vec<IpAddr>)> = None;
    for (place, text) in places {
        let Some(text) = text else { continue };
        let mut addresses = parse_addresses(text).map_err(|fault| format!("{place}: {fault}"))?;
        addresses.sort();
        match &chosen {
            Some((other, known)) if *known != addresses => {
                return Err(format!(
                    "{other} and {place} ask for different addresses; keep one of them"
                ));
            }
            Some(_) => {}
            None => chosen = Some((place, addresses)),
        }
    }
    Ok(chosen.map(|(_, addresses)| addresses).unwrap_or_default())
}

fn pools(service: &ServiceRecord) -> Result<Vec<PoolName>, String> {
    let Some((key, text)) = either(service, api::ANNOTATION_POOL, api::METALLB_POOL)? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name.is_empty() {
            return Err(format!("{key}: {:?} has an empty pool name", excerpt(text)));
        }
        let name = PoolName::from(name);
        if names.contains(&name) {
            return Err(format!("{key}: {} is named twice", excerpt(name.as_str())));
        }
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::samples::service;

    fn of(service: &ServiceRecord) -> Result<Asked, String> {
        asked(service, &BTreeMap::new(), Provider::Layer2)
    }

    fn with(annotations: &[(&str, &str)]) -> Result<Asked, String> {
        let mut service = service("web");
        service.annotations = annotations
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        of(&service)
    }

    #[test]
    fn the_wish_for_node_ports_is_read_or_refused() {
        let wish =
            |value| with(&[(api::ANNOTATION_NODE_PORTS, value)]).map(|asked| asked.node_ports);
        assert_eq!(with(&[]).unwrap().node_ports, Wish::Keep);
        assert_eq!(wish(" disabled "), Ok(Wish::Disable));
        assert_eq!(wish("enabled"), Ok(Wish::Enable));
        assert!(wish("off").unwrap_err().contains("herald.dev/node-ports"));
    }

    #[test]
    fn requests_are_read_from_annotations_and_their_synonyms() {
        let asked = with(&[
            (api::ANNOTATION_ADDRESSES, "192.168.77.210, fd77::210"),
            (api::METALLB_ADDRESSES, "fd77::210,192.168.77.210"),
            (api::METALLB_POOL, "lan,dmz"),
            (api::METALLB_SHARING_KEY, "web"),
            (api::ANNOTATION_NODE_PORTS, "enabled"),
            (api::ANNOTATION_FALLBACK, "nodes"),
        ])
        .unwrap();
        assert_eq!(asked.request.addresses.len(), 2);
        assert_eq!(asked.request.pools, ["lan".into(), "dmz".into()]);
        assert_eq!(asked.request.terms.key.as_deref(), Some("web"));
        assert_eq!(asked.node_ports, Wish::Enable);
        assert_eq!(asked.fallback, Some(true));
        assert_eq!(asked.provider, Provider::Layer2);
    }

    #[test]
    fn what_is_not_understood_is_refused_aloud() {
        let endless = "x".repeat(64 * 1024);
        for (annotations, words) in [
            (
                vec![("herald.dev/adresses", "192.168.77.210")],
                "unknown annotation herald.dev/adresses",
            ),
            (
                vec![(api::ANNOTATION_ADDRESSES, "192.168.077.210")],
                "herald.dev/addresses",
            ),
            (
                vec![(api::ANNOTATION_ADDRESSES, "")],
                "herald.dev/addresses",
            ),
            (vec![(api::ANNOTATION_POOL, "lan,,dmz")], "empty pool name"),
            (vec![(api::ANNOTATION_POOL, "lan,lan")], "named twice"),
            (
                vec![(api::ANNOTATION_POOL, "a"), (api::METALLB_POOL, "b")],
                "herald.dev/pool and metallb.io/address-pool differ",
            ),
            (
                vec![
                    (api::ANNOTATION_ADDRESSES, "10.0.0.1"),
                    (api::METALLB_ADDRESSES, "10.0.0.2"),
                ],
                "different addresses",
            ),
            (vec![(api::ANNOTATION_SHARING_KEY, " ")], "is empty"),
            (
                vec![(api::ANNOTATION_SHARING_KEY, &endless)],
                "longer than 253 characters",
            ),
            (
                vec![
                    (api::ANNOTATION_SHARING_KEY, "a"),
                    (api::METALLB_SHARING_KEY, "b"),
                ],
                "differ",
            ),
            (
                vec![(api::ANNOTATION_NODE_PORTS, "off")],
                "\"off\" is none of \"disabled\", \"enabled\"",
            ),
            (
                vec![(api::ANNOTATION_FALLBACK, &endless)],
                "is none of \"nodes\", \"none\"",
            ),
            (vec![(api::ANNOTATION_ADOPT, "yes")], "is none of \"true\""),
            (vec![(api::ANNOTATION_PROVIDER, "bgp")], "does not serve"),
            (
                vec![
                    (api::ANNOTATION_PROVIDER, "aws-nlb"),
                    (api::ANNOTATION_FALLBACK, "nodes"),
                ],
                "herald.dev/fallback contradicts the provider aws-nlb",
            ),
            (
                vec![
                    (api::ANNOTATION_PROVIDER, "node"),
                    (api::ANNOTATION_POOL, "lan"),
                ],
                "herald.dev/pool contradicts the provider node",
            ),
        ] {
            let refusal = with(&annotations).unwrap_err();
            assert!(refusal.contains(words), "{refusal}");
            assert!(refusal.len() < 600, "{refusal}");
        }
    }

    #[test]
    fn class_and_annotation_must_name_the_same_provider() {
        let mut service = service("web");
        service.class = Some(api::CLASS_NODE.into());
        assert_eq!(of(&service).unwrap().provider, Provider::Node);
        let provider = api::ANNOTATION_PROVIDER.to_owned();
        service
            .annotations
            .insert(provider.clone(), "layer2".into());
        assert!(of(&service).unwrap_err().contains("contradict"));
        service.class = Some("herald.dev/bgp".into());
        assert!(
            of(&service)
                .unwrap_err()
                .contains("does not serve herald.dev/bgp")
        );
        service.class = None;
        service.annotations.insert(provider, "node".into());
        assert_eq!(of(&service).unwrap().provider, Provider::Node);
    }

    #[test]
    fn the_spec_field_must_agree_with_the_annotation() {
        let mut service = service("web");
        service.requested_ip = Some("10.0.0.1".into());
        assert_eq!(of(&service).unwrap().request.addresses.len(), 1);
        service
            .annotations
            .insert(api::ANNOTATION_ADDRESSES.into(), "10.0.0.2".into());
        assert!(of(&service).unwrap_err().contains("spec.loadBalancerIP"));
    }

    #[test]
    fn selectors_of_any_length_are_compared_as_text() {
        let long = |value: &str| Pairs::from([("app".to_owned(), value.repeat(300))]);
        assert_eq!(
            local_selector(&Pairs::from([("a".into(), "b".into())])),
            "a=b"
        );
        assert_eq!(local_selector(&long("x")), local_selector(&long("x")));
        assert_ne!(local_selector(&long("x")), local_selector(&long("y")));
        assert!(local_selector(&long("x")).len() < 100);
    }
}
