//! A small forwarder that stands where kube-proxy stands: it carries traffic from node to backend.
//!
//! For every address in the status of a Service of type LoadBalancer it makes the address deliverable on its node,
//! without putting it on a NIC, listens on the Service's ports and carries what comes to a ready endpoint. It keeps
//! kube-proxy's promises to others: it reports its syncs in kube-proxy's metrics, so that the agent can wait for them.
//!
//! ```text
//!   Services, EndpointSlices ──rules──▶ Rules ──sync──▶ routes (wire) + proxies ──▶ backends
//!                                         └────────────▶ SyncRecord ──▶ /metrics
//! ```

mod metrics;
mod proxy;
mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, reflector, watcher},
};
use tokio::{sync::Notify, task::JoinSet, time};
use tracing::{info, warn};

use self::{
    metrics::SyncRecord,
    proxy::Proxy,
    rules::{Front, Rules},
};
use super::wire::Wire;

/// After a sync that failed in part.
const RETRY: Duration = Duration::from_secs(1);

/// Runs the forwarder of one node until the returned set is dropped.
pub(super) async fn run(client: Client, node: String, wire: Wire) -> anyhow::Result<JoinSet<()>> {
    let record = Arc::new(SyncRecord::default());
    let mut tasks = metrics::serve(Arc::clone(&record)).await?;
    let changed = Arc::new(Notify::new());
    let services = follow(
        &mut tasks,
        Api::<Service>::all(client.clone()),
        &changed,
        &record,
    );
    let slices = follow(
        &mut tasks,
        Api::<EndpointSlice>::all(client),
        &changed,
        &record,
    );
    tasks.spawn(async move {
        // A forwarder that knows half would refuse connections that the other half allows.
        if services.wait_until_ready().await.is_err() || slices.wait_until_ready().await.is_err() {
            return;
        }
        let mut forwarder = Forwarder {
            wire,
            addresses: BTreeSet::new(),
            proxies: BTreeMap::new(),
        };
        loop {
            let (began, rules) = (
                Instant::now(),
                rules::rules(&services.state(), &slices.state(), &node),
            );
            let complete = forwarder.sync(&rules).await;
            record.synced(began.elapsed());
            if complete {
                changed.notified().await;
            } else {
                drop(time::timeout(RETRY, changed.notified()).await);
            }
        }
    });
    Ok(tasks)
}

/// Watches all objects of a kind; says so after each change.
fn follow<K>(
    tasks: &mut JoinSet<()>,
    api: Api<K>,
    changed: &Arc<Notify>,
    record: &Arc<SyncRecord>,
) -> reflector::Store<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
    K: serde::de::DeserializeOwned,
{
    let (reader, writer) = reflector::store();
    let (changed, record) = (Arc::clone(changed), Arc::clone(record));
    let events = reflector(
        writer,
        watcher(api, watcher::Config::default()).default_backoff(),
    );
    tasks.spawn(events.for_each(move |event| {
        match event {
            Ok(_) => {
                record.queued();
                changed.notify_one();
            }
            Err(error) => warn!(%error, "watching goes on later"),
        }
        std::future::ready(())
    }));
    reader
}

/// What this node carries now.
struct Forwarder {
    wire: Wire,
    addresses: BTreeSet<IpAddr>,
    proxies: BTreeMap<Front, Proxy>,
}

impl Forwarder {
    /// Makes it so. Whether all of it worked.
    async fn sync(&mut self, rules: &Rules) -> bool {
        let mut complete = true;
        self.proxies
            .retain(|front, _| rules.fronts.contains_key(front));
        let gone: Vec<_> = self
            .addresses
            .difference(&rules.addresses)
            .copied()
            .collect();
        for address in gone {
            complete &= told(self.wire.stop_delivering(address).await);
            self.addresses.remove(&address);
            info!(%address, "let go");
        }
        for address in &rules.addresses {
            if !self.addresses.contains(address) && told(self.wire.deliver(*address).await) {
                self.addresses.insert(*address);
                info!(%address, "taken");
            }
            complete &= self.addresses.contains(address);
        }
        for (front, backends) in &rules.fronts {
            if let Some(proxy) = self.proxies.get(front) {
                proxy.set_backends(backends);
                continue;
            }
            match Proxy::start(front, backends) {
                Ok(proxy) => drop(self.proxies.insert(front.clone(), proxy)),
                Err(error) => complete = told(Err(error)),
            }
        }
        complete
    }
}

fn told(result: anyhow::Result<()>) -> bool {
    if let Err(error) = &result {
        warn!("{error:#}; trying again");
    }
    result.is_ok()
}
