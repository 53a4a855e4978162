//! Who looks after a Service: the steward, which gives it addresses, or a cloud's part, which makes it a balancer. Pure.
//!
//! One of them at a time, and the Service itself says whose turn it is, so that a restart changes nothing:
//!
//! ```text
//!   steward ── takes its words and addresses off ──▶ cloud ── finalizer ──▶ balancer
//!      ▲                                                                       │
//!      └────────────── finalizer and words go, once nothing is left ◀──────────┘
//! ```

use std::collections::BTreeMap;

use super::{
    node_ports::Wish,
    request::{asked, may_adopt, provider},
};
use crate::{
    api::{self, Provider},
    cluster::Classes,
    world::ServiceRecord,
};

/// What a cloud's part is to do for a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Charge {
    /// Nothing: it is another's, or not yet its own.
    Nothing,
    /// Tell that another controller has it, by this evidence.
    Foreign(String),
    /// Serve it.
    Serve(Wish),
    /// Tell that the request is wrong, and keep what there is.
    Hold(String),
    /// Delete what there is.
    Release,
}

/// Whether a cloud's part serves the Service, or would.
pub(super) fn is_clouds(service: &ServiceRecord, classes: Classes) -> bool {
    classes.include(service.class.as_deref())
        && provider(service, classes.provider()) == Ok(Provider::AwsNlb)
}

/// Whether the steward has not let go of it yet.
pub(super) fn is_stewards_still(service: &ServiceRecord) -> bool {
    service.allocated.is_some()
        || service.announced.is_some()
        || service
            .annotations
            .contains_key(api::ANNOTATION_ALLOCATED_FROM)
}

/// What a cloud's part is to do.
pub(super) fn charge(service: &ServiceRecord, classes: Classes) -> Charge {
    let kept = service.kept_by_aws;
    let release = || {
        if kept {
            Charge::Release
        } else {
            Charge::Nothing
        }
    };
    if service.deleting || !classes.include(service.class.as_deref()) {
        return release();
    }
    match provider(service, classes.provider()) {
        Ok(Provider::AwsNlb) => {}
        Ok(_) => return release(),
        Err(why) if kept => return Charge::Hold(why),
        // The steward tells it.
        Err(_) => return Charge::Nothing,
    }
    if !kept {
        if is_stewards_still(service) {
            return Charge::Nothing;
        }
        if let Some(evidence) = foreign_evidence(service) {
            return Charge::Foreign(evidence);
        }
    }
    match asked(service, &BTreeMap::new(), classes.provider()) {
        Ok(asked) => Charge::Serve(asked.node_ports),
        Err(why) => Charge::Hold(why),
    }
}

/// Why a Service without Herald's finalizer is another controller's, if it is.
fn foreign_evidence(service: &ServiceRecord) -> Option<String> {
    if may_adopt(service).unwrap_or(false) {
        return None;
    }
    let advice = format!(
        "to let Herald make it another balancer, and show that one once it works, annotate it with {}=true; what the \
         other controller has made stays, and is yours to delete",
        api::ANNOTATION_ADOPT
    );
    if let Some(finalizer) = &service.foreign_finalizer {
        return Some(format!(
            "another controller's finalizer {finalizer} is on the Service; {advice}"
        ));
    }
    let entry = service.ingress.first()?;
    let ip = entry.ip.map(|ip| ip.to_string());
    let shown = ip.or_else(|| entry.hostname.clone()).unwrap_or_default();
    Some(format!(
        "its status names {shown}, which Herald did not write; {advice}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{IngressRecord, samples::service};

    fn of_aws() -> ServiceRecord {
        ServiceRecord {
            class: Some(api::CLASS_AWS_NLB.to_owned()),
            ..service("web")
        }
    }

    fn kept() -> ServiceRecord {
        ServiceRecord {
            kept_by_aws: true,
            ..of_aws()
        }
    }

    fn annotated(mut service: ServiceRecord, key: &str, value: &str) -> ServiceRecord {
        service.annotations.insert(key.to_owned(), value.to_owned());
        service
    }

    fn hostname() -> Vec<IngressRecord> {
        vec![IngressRecord {
            ip: None,
            hostname: Some("elsewhere.example.com".to_owned()),
            ip_mode: None,
            ports: Vec::new(),
        }]
    }

    fn told(service: &ServiceRecord) -> &'static str {
        match charge(service, Classes::Default) {
            Charge::Nothing => "nothing",
            Charge::Foreign(_) => "foreign",
            Charge::Serve(_) => "serve",
            Charge::Hold(_) => "hold",
            Charge::Release => "release",
        }
    }

    #[test]
    fn one_looks_after_a_service_and_lets_go_before_the_other_begins() {
        let other = ServiceRecord {
            class: Some(api::CLASS_LAYER2.to_owned()),
            ..service("web")
        };
        let leaving = ServiceRecord {
            class: other.class.clone(),
            ..kept()
        };
        let deleting = |service| ServiceRecord {
            deleting: true,
            ..service
        };
        let with_address = annotated(of_aws(), api::ANNOTATION_ALLOCATED_FROM, "lan");
        let foreign = ServiceRecord {
            ingress: hostname(),
            ..of_aws()
        };
        let pool = |service| annotated(service, api::ANNOTATION_POOL, "lan");
        let contradicted = annotated(kept(), api::ANNOTATION_PROVIDER, "layer2");
        for (service, wanted) in [
            (service("web"), "nothing"),
            (other, "nothing"),
            (of_aws(), "serve"),
            (
                annotated(service("web"), api::ANNOTATION_PROVIDER, "aws-nlb"),
                "serve",
            ),
            (kept(), "serve"),
            (leaving, "release"),
            (deleting(of_aws()), "nothing"),
            (deleting(kept()), "release"),
            (with_address, "nothing"),
            (foreign.clone(), "foreign"),
            (annotated(foreign, api::ANNOTATION_ADOPT, "true"), "serve"),
            (
                ServiceRecord {
                    ingress: hostname(),
                    ..kept()
                },
                "serve",
            ),
            (pool(of_aws()), "hold"),
            (pool(kept()), "hold"),
            (contradicted, "hold"),
        ] {
            assert_eq!(told(&service), wanted, "{service:?}");
        }
    }

    #[test]
    fn the_default_provider_takes_services_without_a_class() {
        assert!(is_clouds(&service("web"), Classes::OnAws));
        assert!(!is_clouds(&service("web"), Classes::Default));
        assert!(!is_clouds(&service("web"), Classes::OwnOnly));
        assert!(is_clouds(&of_aws(), Classes::OwnOnly));
    }
}
