//! From Kubernetes objects to the facts of a check.

use std::collections::BTreeSet;

use ipnet::IpNet;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment},
        core::v1::{ConfigMap, Node, PodSpec, Service},
    },
    jiff::Timestamp,
};
use kube::ResourceExt as _;
use serde::Deserialize;

use crate::{
    api::{self, NodeAnnouncements},
    check::facts::{AgentReport, KubeProxy, NodeFacts, ServiceFacts, Workload},
    cluster,
};

pub(super) fn node(object: &Node) -> Option<NodeFacts> {
    let spec = object.spec.as_ref();
    let ranges = spec.and_then(|spec| spec.pod_cidrs.clone());
    let one = spec.and_then(|spec| spec.pod_cidr.clone());
    let ranges = ranges.unwrap_or_else(|| one.into_iter().collect());
    Some(NodeFacts {
        record: cluster::node(object)?,
        pod_ranges: nets(ranges.iter().map(String::as_str)),
        provider_id: spec.and_then(|spec| spec.provider_id.clone()),
    })
}

/// What an agent reports, if it has reported at all. The API server notes when the agent's words last changed.
pub(super) fn report(object: &NodeAnnouncements) -> Option<AgentReport> {
    let status = object.status.clone()?;
    let mut writes = object.managed_fields().iter().filter(|write| {
        write.manager.as_deref() == Some(api::AGENT)
            && write.subresource.as_deref() == Some("status")
    });
    let written = writes.find_map(|write| Some(write.time.as_ref()?.0.as_second()));
    let clock: Option<Timestamp> = status.clock.as_ref().and_then(|clock| clock.parse().ok());
    Some(AgentReport {
        node: object.name_any(),
        clock: clock.map(|clock| clock.as_second()),
        written,
        status,
    })
}

pub(super) fn service(object: &Service) -> Option<ServiceFacts> {
    let conditions = object
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let conditions = conditions
        .into_iter()
        .flatten()
        .map(|condition| condition.type_.clone());
    let marks: BTreeSet<String> = object
        .annotations()
        .keys()
        .chain(object.labels().keys())
        .chain(object.finalizers())
        .cloned()
        .chain(conditions)
        .collect();
    Some(ServiceFacts {
        record: cluster::service(object)?,
        marks,
        annotations: object.annotations().keys().cloned().collect(),
    })
}

pub(super) fn daemon_set(object: &DaemonSet) -> Workload {
    let pod = object
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let status = object.status.as_ref();
    Workload {
        kind: "DaemonSet",
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        labels: object.labels().clone(),
        images: images(pod),
        arguments: arguments(pod),
        desired: status.map_or(0, |status| status.desired_number_scheduled),
        ready: status.map_or(0, |status| status.number_ready),
    }
}

pub(super) fn deployment(object: &Deployment) -> Workload {
    let spec = object.spec.as_ref();
    let pod = spec.and_then(|spec| spec.template.spec.as_ref());
    let status = object.status.as_ref();
    Workload {
        kind: "Deployment",
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        labels: object.labels().clone(),
        images: images(pod),
        arguments: arguments(pod),
        desired: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        ready: status.and_then(|status| status.ready_replicas).unwrap_or(0),
    }
}

fn images(pod: Option<&PodSpec>) -> Vec<String> {
    let containers = pod.into_iter().flat_map(|pod| &pod.containers);
    containers
        .filter_map(|container| container.image.clone())
        .collect()
}

fn arguments(pod: Option<&PodSpec>) -> Vec<String> {
    let containers = pod.into_iter().flat_map(|pod| &pod.containers);
    containers
        .flat_map(|container| container.args.iter().flatten().cloned())
        .collect()
}

/// The part of kube-proxy's configuration that matters, as kubeadm stores it.
pub(super) fn kube_proxy(object: &ConfigMap) -> Option<KubeProxy> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Configuration {
        mode: String,
        ipvs: Ipvs,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Ipvs {
        #[serde(rename = "strictARP")]
        strict_arp: bool,
    }
    let text = object.data.as_ref()?.get("config.conf")?;
    let read: Configuration = serde_saphyr::from_str(text).ok()?;
    Some(KubeProxy {
        mode: read.mode,
        strict_arp: read.ipvs.strict_arp,
    })
}

/// The range of Service addresses, as kubeadm stores it.
pub(super) fn service_subnet(object: &ConfigMap) -> Vec<IpNet> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Configuration {
        networking: Networking,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Networking {
        service_subnet: String,
    }
    let text = object
        .data
        .as_ref()
        .and_then(|data| data.get("ClusterConfiguration"));
    let read: Option<Configuration> = text.and_then(|text| serde_saphyr::from_str(text).ok());
    let subnet = read.unwrap_or_default().networking.service_subnet;
    nets(subnet.split(','))
}

/// Those that are networks.
pub(super) fn nets<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<IpNet> {
    texts.filter_map(|text| text.trim().parse().ok()).collect()
}
