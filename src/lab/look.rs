//! What the API server says about Services and who announces their addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, ResourceExt as _, api::ListParams};
use tokio::time;

use super::objects::within;
use crate::api::{self, AnnouncementState, NodeAnnouncements};

const POLL: Duration = Duration::from_millis(50);

/// Which nodes say that they announce an address.
pub(super) type Announcers = BTreeMap<IpAddr, BTreeSet<String>>;

/// What a Service asked for and what it has.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Namespace and name.
    pub(super) key: String,
    pub(super) port: u16,
    /// How many families, hence addresses, it has.
    pub(super) families: usize,
    pub(super) requested: BTreeSet<IpAddr>,
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) pool: Option<String>,
    /// What Herald says about the allocation.
    pub(super) condition: String,
}

impl Seen {
    /// Reads what matters here out of a Service.
    pub(super) fn of(service: &Service) -> Self {
        let spec = service.spec.as_ref();
        let status = service.status.as_ref();
        let ingress = status.and_then(|s| s.load_balancer.as_ref()?.ingress.as_ref());
        let conditions = status.and_then(|s| s.conditions.as_ref());
        let condition = conditions
            .into_iter()
            .flatten()
            .find(|c| c.type_ == api::CONDITION_ALLOCATED);
        let requested = service.annotations().get(api::ANNOTATION_ADDRESSES);
        let port = spec.and_then(|s| s.ports.as_ref()?.first().map(|p| p.port));
        Self {
            key: format!(
                "{}/{}",
                service.namespace().unwrap_or_default(),
                service.name_any()
            ),
            port: port.and_then(|p| u16::try_from(p).ok()).unwrap_or(80),
            families: spec
                .and_then(|s| s.ip_families.as_ref())
                .map_or(1, Vec::len),
            requested: requested
                .map(|list| {
                    list.split(',')
                        .filter_map(|a| a.trim().parse().ok())
                        .collect()
                })
                .unwrap_or_default(),
            addresses: ingress
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ip.as_deref()?.parse().ok())
                .collect(),
            pool: service
                .annotations()
                .get(api::ANNOTATION_ALLOCATED_FROM)
                .cloned(),
            condition: condition.map_or_else(
                || "no word of the controller".to_owned(),
                |c| format!("{}: {}", c.reason, c.message),
            ),
        }
    }

    /// Whether it has what it asked for.
    pub(super) fn is_served(&self) -> bool {
        self.addresses.len() == self.families && self.addresses.is_superset(&self.requested)
    }

    /// Its address of a family.
    pub(super) fn address(&self, ipv4: bool) -> Option<IpAddr> {
        self.addresses
            .iter()
            .copied()
            .find(|address| address.is_ipv4() == ipv4)
    }
}

/// All Services of type LoadBalancer.
pub(super) async fn services(client: &Client) -> anyhow::Result<Vec<Seen>> {
    let api: Api<Service> = Api::all(client.clone());
    let balancers = ListParams::default().fields("spec.type=LoadBalancer");
    Ok(within(api.list(&balancers))
        .await?
        .items
        .iter()
        .map(Seen::of)
        .collect())
}

/// Who announces what.
pub(super) async fn announcers(client: &Client) -> anyhow::Result<Announcers> {
    let api: Api<NodeAnnouncements> = Api::all(client.clone());
    let mut announcers = Announcers::new();
    for node in within(api.list(&ListParams::default())).await? {
        for announced in node.status.iter().flat_map(|s| &s.addresses) {
            if announced.state == AnnouncementState::Announcing
                && let Ok(address) = announced.address.parse()
            {
                announcers
                    .entry(address)
                    .or_default()
                    .insert(node.name_any());
            }
        }
    }
    Ok(announcers)
}

/// How many other agents each agent hears.
pub(super) async fn peers(client: &Client) -> anyhow::Result<BTreeMap<String, u32>> {
    let api: Api<NodeAnnouncements> = Api::all(client.clone());
    let nodes = within(api.list(&ListParams::default())).await?;
    Ok(nodes
        .iter()
        .map(|node| (node.name_any(), node.status.as_ref().map_or(0, |s| s.peers)))
        .collect())
}

/// Looks again and again until something is as it should be; else what it was last.
pub(super) async fn until<T, L>(
    patience: Duration,
    mut look: impl FnMut() -> L,
) -> Result<T, String>
where
    L: Future<Output = anyhow::Result<Result<T, String>>>,
{
    let began = Instant::now();
    loop {
        let last = match look().await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(last)) => last,
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() > patience {
            return Err(last);
        }
        time::sleep(POLL).await;
    }
}
