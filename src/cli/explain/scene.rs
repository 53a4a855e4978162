//! Everything in the cluster that the decision on a Service depends on.

use anyhow::bail;
use herald_spi::ServiceKey;
use k8s_openapi::api::{
    core::v1::{Event, Namespace, Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    api::{AddressAllocation, AddressPool, NodeAnnouncements},
    cli::{reading::Reader, status::BALANCERS},
};

/// The cluster around one Service.
pub(super) struct Scene {
    pub(super) key: ServiceKey,
    pub(super) service: Service,
    /// All Services of type LoadBalancer, this one among them: each may have an address.
    pub(super) services: Vec<Service>,
    pub(super) pools: Vec<AddressPool>,
    pub(super) allocations: Vec<AddressAllocation>,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) nodes: Vec<Node>,
    pub(super) announcements: Vec<NodeAnnouncements>,
    /// Those on this Service; nothing, if they could not be read.
    pub(super) events: Option<Vec<Event>>,
}

/// Reads everything.
///
/// Fails if the Service is not there, is of another type, or something cannot be read.
pub(super) async fn read(reader: &Reader, key: &ServiceKey) -> anyhow::Result<Scene> {
    let client = || reader.client();
    let everything = ListParams::default;
    let services: Api<Service> = Api::all(client());
    let pools: Api<AddressPool> = Api::all(client());
    let allocations: Api<AddressAllocation> = Api::all(client());
    let namespaces: Api<Namespace> = Api::all(client());
    let nodes: Api<Node> = Api::all(client());
    let announcements: Api<NodeAnnouncements> = Api::all(client());
    let (services, pools, allocations, namespaces, nodes, announcements) = tokio::try_join!(
        reader.list(&services, everything().fields(BALANCERS)),
        reader.list(&pools, everything()),
        reader.list(&allocations, everything()),
        reader.list(&namespaces, everything()),
        reader.list(&nodes, everything()),
        reader.list(&announcements, everything()),
    )?;
    let is_it = |service: &&Service| {
        service.name_any() == key.name && service.namespace().as_deref() == Some(&key.namespace)
    };
    let Some(service) = services.iter().find(is_it).cloned() else {
        return absent(reader, key, &services).await;
    };
    Ok(Scene {
        key: key.clone(),
        service,
        services,
        pools,
        allocations,
        namespaces,
        nodes,
        announcements,
        events: events(reader, key).await,
    })
}

/// The endpoints of the Services in the namespace, which only few decisions need.
pub(super) async fn slices(reader: &Reader, namespace: &str) -> anyhow::Result<Vec<EndpointSlice>> {
    let slices: Api<EndpointSlice> = Api::namespaced(reader.client(), namespace);
    reader.list(&slices, ListParams::default()).await
}

/// Events are told only if they can be read: the decision does not depend on them.
async fn events(reader: &Reader, key: &ServiceKey) -> Option<Vec<Event>> {
    let events: Api<Event> = Api::namespaced(reader.client(), &key.namespace);
    let of_service = format!(
        "involvedObject.kind=Service,involvedObject.name={}",
        key.name
    );
    let params = ListParams::default().fields(&of_service);
    reader.list(&events, params).await.ok()
}

/// Says why there is nothing to explain.
async fn absent(reader: &Reader, key: &ServiceKey, services: &[Service]) -> anyhow::Result<Scene> {
    let api: Api<Service> = Api::namespaced(reader.client(), &key.namespace);
    if let Some(service) = reader.get(&api, &key.name).await? {
        let type_ = service.spec.and_then(|spec| spec.type_);
        bail!(
            "Service {key} is of type {}, not LoadBalancer, and gets no address. To ask for one: \
             kubectl -n {} patch service {} -p '{{\"spec\":{{\"type\":\"LoadBalancer\"}}}}'",
            type_.as_deref().unwrap_or("ClusterIP"),
            key.namespace,
            key.name,
        );
    }
    let namesakes = services.iter().filter(|s| s.name_any() == key.name);
    let namesakes: Vec<_> = namesakes
        .filter_map(ResourceExt::namespace)
        .take(3)
        .collect();
    match namesakes.as_slice() {
        [] => {
            bail!("there is no Service {key}; `kubectl get services -A` shows those that there are")
        }
        namespaces => bail!(
            "there is no Service {key}; one of that name is in namespace {}",
            namespaces.join(" and in ")
        ),
    }
}
