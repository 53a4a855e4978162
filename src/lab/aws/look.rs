//! What the API server says about Services that are to have balancers.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, ResourceExt as _, api::ListParams};

use crate::{api, lab::objects::within};

/// A Service as it is seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) uid: String,
    pub(super) hostname: Option<String>,
    /// The ports of the status.
    pub(super) ports: BTreeSet<u16>,
    /// The node port of each port.
    pub(super) node_ports: BTreeMap<u16, u16>,
    /// Reason and message of `herald.dev/Provisioned`.
    pub(super) reason: String,
    pub(super) message: String,
}

impl Seen {
    /// Reads what matters here out of a Service.
    pub(super) fn of(service: &Service) -> Self {
        let status = service.status.as_ref();
        let ingress =
            status.and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref()?.first());
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let mut conditions = conditions.into_iter().flatten();
        let provisioned =
            conditions.find(|condition| condition.type_ == api::CONDITION_PROVISIONED);
        let number = |port: i32| u16::try_from(port).ok();
        let shown = ingress.and_then(|ingress| ingress.ports.as_ref());
        let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
        Self {
            uid: service.uid().unwrap_or_default(),
            hostname: ingress.and_then(|ingress| ingress.hostname.clone()),
            ports: shown
                .into_iter()
                .flatten()
                .filter_map(|port| number(port.port))
                .collect(),
            node_ports: ports
                .into_iter()
                .flatten()
                .filter_map(|port| Some((number(port.port)?, number(port.node_port?)?)))
                .collect(),
            reason: provisioned.map_or_else(
                || "without a word of the controller".to_owned(),
                |it| it.reason.clone(),
            ),
            message: provisioned.map(|it| it.message.clone()).unwrap_or_default(),
        }
    }

    /// What Herald says of it.
    pub(super) fn said(&self) -> String {
        if self.message.is_empty() {
            return self.reason.clone();
        }
        format!("{}: {}", self.reason, self.message)
    }
}

/// What Herald says of each Service.
pub(super) async fn said(api: &Client) -> anyhow::Result<BTreeMap<String, String>> {
    let services: Api<Service> = Api::all(api.clone());
    let balancers = ListParams::default().fields("spec.type=LoadBalancer");
    let services = within(services.list(&balancers)).await?;
    let said = |service: &Service| {
        let namespace = service.namespace().unwrap_or_default();
        let key = format!("{namespace}/{}", service.name_any());
        (key, Seen::of(service).said())
    };
    Ok(services.items.iter().map(said).collect())
}
