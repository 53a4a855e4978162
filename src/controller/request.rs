//! What a Service asks for, read from its spec and annotations. Pure.
//!
//! Whatever is said under Herald's prefix is understood or refused, never passed over.

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::PoolName;

use crate::{
    api,
    ipam::{Request, parse_addresses},
    world::ServiceRecord,
};

/// The request of a Service in a namespace with these labels.
///
/// # Errors
/// With a sentence that says what is wrong and what to write instead.
pub fn request(
    service: &ServiceRecord,
    namespace_labels: &BTreeMap<String, String>,
) -> Result<Request, String> {
    refuse_unknown(service)?;
    refuse_class(service)?;
    refuse_unsupported(service)?;
    Ok(Request {
        service: service.key.clone(),
        uid: service.uid.clone(),
        created: service.created,
        labels: service.labels.clone(),
        namespace_labels: namespace_labels.clone(),
        families: service.families,
        addresses: addresses(service)?,
        pools: pools(service)?,
    })
}

/// Whether the user allows Herald to take the Service over from another controller.
///
/// # Errors
/// When the annotation is neither `true` nor `false`.
pub fn may_adopt(service: &ServiceRecord) -> Result<bool, String> {
    match annotation(service, api::ANNOTATION_ADOPT) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(format!(
            "{}: {other:?} is neither \"true\" nor \"false\"",
            api::ANNOTATION_ADOPT
        )),
    }
}

fn annotation<'a>(service: &'a ServiceRecord, key: &str) -> Option<&'a str> {
    service.annotations.get(key).map(|value| value.trim())
}

fn refuse_unknown(service: &ServiceRecord) -> Result<(), String> {
    const KNOWN: [&str; 8] = [
        api::ANNOTATION_POOL,
        api::ANNOTATION_ADDRESSES,
        api::ANNOTATION_ALLOCATED_FROM,
        api::ANNOTATION_PROVIDER,
        api::ANNOTATION_ADOPT,
        api::ANNOTATION_SHARING_KEY,
        api::ANNOTATION_NODE_PORTS,
        api::ANNOTATION_FALLBACK,
    ];
    let unknown = service
        .annotations
        .keys()
        .find(|key| key.starts_with(api::ANNOTATION_PREFIX) && !KNOWN.contains(&key.as_str()));
    match unknown {
        Some(key) => Err(format!(
            "unknown annotation {key}; known are {}",
            KNOWN.join(", ")
        )),
        None => Ok(()),
    }
}

fn refuse_class(service: &ServiceRecord) -> Result<(), String> {
    match service.class.as_deref() {
        None | Some(api::CLASS_LAYER2) => {}
        Some(other) => {
            return Err(format!(
                "spec.loadBalancerClass: this version of Herald does not serve {other}; use {}",
                api::CLASS_LAYER2
            ));
        }
    }
    match annotation(service, api::ANNOTATION_PROVIDER) {
        None | Some("layer2") => Ok(()),
        Some(other) => Err(format!(
            "{}: this version of Herald does not serve {other:?}; use \"layer2\"",
            api::ANNOTATION_PROVIDER
        )),
    }
}

/// What this version knows and does not do yet.
fn refuse_unsupported(service: &ServiceRecord) -> Result<(), String> {
    let harmless = |key: &str, value: &str| match key {
        api::ANNOTATION_NODE_PORTS => value == "enabled",
        api::ANNOTATION_FALLBACK => value == "none",
        _ => false,
    };
    for key in [
        api::ANNOTATION_SHARING_KEY,
        api::METALLB_SHARING_KEY,
        api::ANNOTATION_NODE_PORTS,
        api::ANNOTATION_FALLBACK,
    ] {
        if let Some(value) = annotation(service, key)
            && !harmless(key, value)
        {
            return Err(format!(
                "{key}: {value:?} is not supported by this version of Herald; remove it"
            ));
        }
    }
    Ok(())
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
    let own = annotation(service, api::ANNOTATION_POOL);
    let synonym = annotation(service, api::METALLB_POOL);
    let (key, text) = match (own, synonym) {
        (Some(own), Some(synonym)) if own != synonym => {
            return Err(format!(
                "{} and {} name different pools; keep one of them",
                api::ANNOTATION_POOL,
                api::METALLB_POOL
            ));
        }
        (Some(own), _) => (api::ANNOTATION_POOL, own),
        (None, Some(synonym)) => (api::METALLB_POOL, synonym),
        (None, None) => return Ok(Vec::new()),
    };
    let mut names = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name.is_empty() {
            return Err(format!("{key}: {text:?} has an empty pool name"));
        }
        let name = PoolName::from(name);
        if names.contains(&name) {
            return Err(format!("{key}: {name} is named twice"));
        }
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::steward::tests::service;

    fn with(annotations: &[(&str, &str)]) -> Result<Request, String> {
        let mut service = service("web");
        service.annotations = annotations
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        request(&service, &BTreeMap::new())
    }

    #[test]
    fn requests_are_read_from_annotations_and_their_synonyms() {
        let asked = with(&[
            (api::ANNOTATION_ADDRESSES, "192.168.77.210, fd77::210"),
            (api::METALLB_ADDRESSES, "fd77::210,192.168.77.210"),
            (api::METALLB_POOL, "lan,dmz"),
            (api::ANNOTATION_NODE_PORTS, "enabled"),
        ])
        .unwrap();
        assert_eq!(asked.addresses.len(), 2);
        assert_eq!(asked.pools, ["lan".into(), "dmz".into()]);
    }

    #[test]
    fn what_is_not_understood_is_refused_aloud() {
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
                "different pools",
            ),
            (
                vec![
                    (api::ANNOTATION_ADDRESSES, "10.0.0.1"),
                    (api::METALLB_ADDRESSES, "10.0.0.2"),
                ],
                "different addresses",
            ),
            (vec![(api::ANNOTATION_SHARING_KEY, "k")], "not supported"),
            (
                vec![(api::ANNOTATION_NODE_PORTS, "disabled")],
                "not supported",
            ),
            (
                vec![(api::ANNOTATION_PROVIDER, "aws-nlb")],
                "does not serve",
            ),
        ] {
            let refusal = with(&annotations).unwrap_err();
            assert!(refusal.contains(words), "{annotations:?}: {refusal}");
        }
    }

    #[test]
    fn the_spec_field_must_agree_with_the_annotation() {
        let mut service = service("web");
        service.requested_ip = Some("10.0.0.1".into());
        assert_eq!(
            request(&service, &BTreeMap::new()).unwrap().addresses.len(),
            1
        );
        service
            .annotations
            .insert(api::ANNOTATION_ADDRESSES.into(), "10.0.0.2".into());
        assert!(
            request(&service, &BTreeMap::new())
                .unwrap_err()
                .contains("spec.loadBalancerIP")
        );
    }
}
