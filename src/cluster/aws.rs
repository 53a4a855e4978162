//! From Kubernetes objects to what the cloud's part of the controller decides by.

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::ServiceKey;
use k8s_openapi::{
    api::{
        core::v1::{Node, Service, ServicePort},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt as _;

use super::project::{self, is_kept_by_aws};
use crate::{
    api,
    world::{AwsEndpoint, AwsLeft, AwsNode, AwsService, AwsSlice, TrafficPolicy},
};

const REGION: &str = "topology.kubernetes.io/region";

/// A Service of type LoadBalancer; `None` for any other.
#[must_use]
pub fn aws_service(service: &Service) -> Option<AwsService> {
    let record = project::service(service)?;
    let spec = service.spec.as_ref()?;
    let ports = spec.ports.iter().flatten().zip(&record.ports);
    let wanted = herald_aws::Service {
        key: record.key.clone(),
        uid: record.uid.clone(),
        annotations: service
            .annotations()
            .iter()
            .filter(|(key, _)| key.starts_with(api::AWS_ANNOTATION_PREFIX))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        ports: ports
            .map(|(port, record)| herald_aws::ServicePort {
                name: port.name.clone().unwrap_or_default(),
                port: record.port,
                node_port: record.node_port,
                target_port: target_port(port),
            })
            .collect(),
        has_v6: spec
            .ip_families
            .iter()
            .flatten()
            .any(|family| family == "IPv6"),
        source_ranges: spec.load_balancer_source_ranges.clone().unwrap_or_default(),
        local: record.policy == TrafficPolicy::Local,
        health_check_node_port: spec.health_check_node_port.and_then(number),
    };
    Some(AwsService {
        record,
        wanted,
        finalizers: service.finalizers().to_vec(),
    })
}

/// A Service of another type, if Herald's finalizer is still on it.
#[must_use]
pub fn aws_left(service: &Service) -> Option<AwsLeft> {
    is_kept_by_aws(&service.metadata).then(|| AwsLeft {
        key: ServiceKey::new(service.namespace().unwrap_or_default(), service.name_any()),
        uid: service.uid().unwrap_or_default(),
        resource_version: service.resource_version().unwrap_or_default(),
        finalizers: service.finalizers().to_vec(),
    })
}

/// An `EndpointSlice` of a Service, with its endpoints by address.
#[must_use]
pub fn aws_slice(slice: &EndpointSlice) -> Option<AwsSlice> {
    let namespace = slice.namespace().unwrap_or_default();
    let service = slice.labels().get("kubernetes.io/service-name")?;
    let ports: BTreeMap<String, u16> = slice
        .ports
        .iter()
        .flatten()
        .filter_map(|port| Some((port.name.clone().unwrap_or_default(), number(port.port?)?)))
        .collect();
    let endpoints = slice.endpoints.iter().filter_map(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        let says = |condition: Option<bool>| condition == Some(true);
        let ready = conditions.and_then(|c| c.ready).unwrap_or(true);
        Some(AwsEndpoint {
            endpoint: herald_aws::Endpoint {
                // The others are the same endpoint's, and no consumer looks at them.
                address: endpoint.addresses.first()?.parse().ok()?,
                ports: ports.clone(),
                ready,
            },
            ending: !ready && conditions.is_some_and(|c| says(c.serving) && says(c.terminating)),
        })
    });
    Some(AwsSlice {
        service: ServiceKey::new(namespace.clone(), service),
        key: (namespace, slice.name_any()),
        endpoints: endpoints.collect(),
    })
}

/// A node with its instance.
#[must_use]
pub fn aws_node(node: &Node) -> Option<AwsNode> {
    let record = project::node(node)?;
    let provider_id = node.spec.as_ref().and_then(|spec| spec.provider_id.clone());
    let labelled = record.labels.get(REGION).cloned();
    let mut v4 = record.internal_ips.iter().filter_map(|ip| match ip {
        IpAddr::V4(v4) => Some(*v4),
        IpAddr::V6(_) => None,
    });
    Some(AwsNode {
        address: v4.next(),
        region: labelled.or_else(|| provider_id.as_deref().and_then(region_of)),
        node: herald_aws::Node {
            name: record.name,
            provider_id,
            fit: record.ready
                && !record.excluded
                && !record.out_of_service
                && !record.deleting
                && !record.being_scaled_down,
            labels: record.labels,
            security_groups: Vec::new(),
        },
    })
}

/// The region of `aws:///eu-west-1a/i-0123`. Local zones have longer names, and say nothing here.
fn region_of(provider_id: &str) -> Option<String> {
    let zone = provider_id.strip_prefix("aws:///")?.split('/').next()?;
    let region = zone.strip_suffix(|last: char| last.is_ascii_lowercase())?;
    let ends_in_number = region.ends_with(|last: char| last.is_ascii_digit());
    (ends_in_number && region.split('-').count() == 3).then(|| region.to_owned())
}

fn target_port(port: &ServicePort) -> Option<u16> {
    match &port.target_port {
        Some(IntOrString::Int(target)) => number(*target),
        Some(IntOrString::String(_)) => None,
        None => number(port.port),
    }
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|number| *number != 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_keeps_what_its_balancer_is_made_of() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {
                "namespace": "shop", "name": "web", "uid": "u",
                "finalizers": ["herald.dev/aws-nlb"],
                "annotations": {
                    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
                    "herald.dev/node-ports": "disabled", "example.com/x": "y",
                },
            },
            "spec": {
                "type": "LoadBalancer", "ipFamilies": ["IPv4", "IPv6"], "externalTrafficPolicy": "Local",
                "healthCheckNodePort": 32000, "loadBalancerSourceRanges": ["192.0.2.0/24"],
                "ports": [
                    { "name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080 },
                    { "name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns" },
                ],
            },
        }))
        .unwrap();
        let found = aws_service(&service).unwrap();
        assert!(found.record.kept_by_aws);
        let wanted = found.wanted;
        assert_eq!(wanted.annotations.len(), 1);
        assert!(wanted.has_v6 && wanted.local);
        assert_eq!(wanted.health_check_node_port, Some(32000));
        let ports: Vec<_> = wanted
            .ports
            .iter()
            .map(|port| (port.port.to_string(), port.node_port, port.target_port))
            .collect();
        assert_eq!(
            ports,
            [
                ("TCP/80".to_owned(), Some(30080), Some(8080)),
                ("UDP/53".to_owned(), None, None)
            ]
        );
    }

    #[test]
    fn regions_are_read_from_zones_of_the_usual_form_alone() {
        for (id, region) in [
            ("aws:///eu-west-1a/i-0123", Some("eu-west-1")),
            ("aws:///us-west-2-lax-1a/i-0123", None),
            ("aws:///i-0123", None),
            ("gce://project/zone/name", None),
        ] {
            assert_eq!(region_of(id).as_deref(), region, "{id}");
        }
    }

    #[test]
    fn endpoints_have_the_ports_of_their_slice_and_say_whether_they_end() {
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": { "namespace": "shop", "name": "web-1",
                "labels": { "kubernetes.io/service-name": "web" } },
            "addressType": "IPv4",
            "ports": [{ "name": "http", "port": 8080 }],
            "endpoints": [
                { "addresses": ["10.0.0.1"] },
                { "addresses": ["10.0.0.2"], "conditions": { "ready": false, "serving": true, "terminating": true } },
                { "addresses": ["10.0.0.3"], "conditions": { "ready": false } },
            ],
        }))
        .unwrap();
        let endpoints = aws_slice(&slice).unwrap().endpoints;
        let said: Vec<_> = endpoints
            .iter()
            .map(|found| {
                (
                    found.endpoint.ready,
                    found.ending,
                    found.endpoint.ports["http"],
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                (true, false, 8080),
                (false, true, 8080),
                (false, false, 8080)
            ]
        );
    }
}
