//! What the answer needs of a Service and of a node's announcements.

use herald_spi::ServiceKey;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;

use crate::{
    api::{self, AnnouncedAddress, FailedCheck, NodeAnnouncements, Provider, Reason},
    cluster::{self, Classes},
    world::{IngressRecord, Keyed, ServiceRecord},
};

/// A Service of type LoadBalancer.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Balancer {
    /// As the controller reads it.
    pub(in crate::cli) record: ServiceRecord,
    /// What it serves: `TCP/80`, with the node port behind a colon where there is one: `TCP/80:30080`.
    pub(in crate::cli) ports: Vec<String>,
}

/// What a node says of the addresses that it announces or should.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Report {
    pub(in crate::cli) node: String,
    pub(in crate::cli) addresses: Vec<AnnouncedAddress>,
    /// What the node cannot reach of the addresses that others announce.
    pub(in crate::cli) unreached: Vec<FailedCheck>,
    /// The node's own addresses.
    pub(in crate::cli) own: Vec<String>,
    version: u64,
}

impl Balancer {
    /// Any Service of type LoadBalancer.
    pub(in crate::cli) fn of(service: &Service) -> Option<Self> {
        Some(Self {
            record: cluster::service(service)?,
            ports: ports(service),
        })
    }

    /// One that is Herald's.
    pub(in crate::cli) fn of_herald(service: &Service) -> Option<Self> {
        Self::of(service).filter(Self::is_heralds)
    }

    /// Whether it says that it is Herald's, or Herald says so.
    pub(in crate::cli) fn is_heralds(&self) -> bool {
        let record = &self.record;
        Classes::OwnOnly.include(record.class.as_deref()) || record.allocated.is_some()
    }

    /// Whether its addresses are said to be those of nodes, which nobody announces.
    pub(in crate::cli) fn is_on_nodes(&self) -> bool {
        let record = &self.record;
        let fell_back = record
            .allocated
            .as_ref()
            .is_some_and(|condition| condition.reason == Reason::FELL_BACK_TO_NODES.as_str());
        let by_proxy = |entry: &IngressRecord| entry.ip_mode.as_deref() == Some("Proxy");
        let provider = record.annotations.get(api::ANNOTATION_PROVIDER);
        let asked_for = match record.class.as_deref() {
            Some(class) => class == api::CLASS_NODE,
            None => provider.is_some_and(|word| word.trim() == Provider::Node.word()),
        };
        fell_back || asked_for || record.ingress.iter().any(by_proxy)
    }
}

/// The ports of a Service.
pub(in crate::cli) fn ports(service: &Service) -> Vec<String> {
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    ports
        .map(|port| {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            match port.node_port.filter(|number| *number != 0) {
                Some(node_port) => format!("{protocol}/{}:{node_port}", port.port),
                None => format!("{protocol}/{}", port.port),
            }
        })
        .collect()
}

impl Report {
    /// What the node says, if it has said anything.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "a watch's projection may leave objects out"
    )]
    pub(in crate::cli) fn of(announcements: &NodeAnnouncements) -> Option<Self> {
        let status = announcements.status.as_ref();
        let version = announcements.resource_version();
        Some(Self {
            node: announcements.name_any(),
            addresses: status.map(|s| s.addresses.clone()).unwrap_or_default(),
            unreached: status
                .and_then(|s| s.checks.as_ref())
                .map(|checks| checks.failed.clone())
                .unwrap_or_default(),
            own: status
                .and_then(|s| s.host.as_ref())
                .map(|host| host.addresses.clone())
                .unwrap_or_default(),
            version: version.and_then(|v| v.parse().ok()).unwrap_or(0),
        })
    }
}

impl Keyed for Balancer {
    type Key = ServiceKey;

    fn key(&self) -> ServiceKey {
        self.record.key.clone()
    }

    fn version(&self) -> u64 {
        self.record.version()
    }
}

impl Keyed for Report {
    type Key = String;

    fn key(&self) -> String {
        self.node.clone()
    }

    fn version(&self) -> u64 {
        self.version
    }
}
