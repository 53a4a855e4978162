//! Stands for the endpoint controller: there are no pods here, so the lab itself says where Services with the
//! selector `app: echo` have their backends, one slice per family.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams},
    runtime::{WatchStreamExt as _, reflector, watcher},
};
use serde_json::{Value, json};
use tokio::time;
use tracing::warn;

use super::{
    backend,
    objects::{self, LAB, within},
    segment::{Host, Segment},
};

/// The selector that the backends answer to.
const SELECTOR: (&str, &str) = ("app", "echo");
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const RETRY: Duration = Duration::from_secs(1);

/// Keeps the slices of all Services that the backends serve; ends only with its task.
pub(super) async fn keep(client: Client, segment: Segment) {
    let (services, writer) = reflector::store();
    let api: Api<Service> = Api::all(client.clone());
    let watch = reflector(
        writer,
        watcher(api, watcher::Config::default()).default_backoff(),
    );
    let mut events = std::pin::pin!(watch);
    let mut written = BTreeSet::new();
    let mut retry = false;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(_)) => {}
                Some(Err(error)) => warn!(%error, "watching Services goes on later"),
                None => return,
            },
            () = time::sleep(RETRY), if retry => {}
        }
        // Half a list would remove the slices of the other half.
        if services.wait_until_ready().now_or_never().is_none() {
            continue;
        }
        let result = write(&client, &services.state(), &segment, &mut written).await;
        retry = result.is_err();
        if let Err(error) = result {
            warn!("{error:#}; trying again");
        }
    }
}

/// Writes what differs from what was written last, and removes the slices of Services that are gone.
async fn write(
    client: &Client,
    services: &[Arc<Service>],
    segment: &Segment,
    written: &mut BTreeSet<String>,
) -> anyhow::Result<()> {
    let ours = services.iter().filter(|s| is_ours(s));
    let wanted: Vec<_> = ours.flat_map(|service| slices(service, segment)).collect();
    let mut texts = BTreeSet::new();
    for slice in &wanted {
        let text = slice.to_string();
        if !written.contains(&text) {
            let object: DynamicObject = serde_json::from_value(slice.clone())?;
            objects::apply(client, &object).await?;
        }
        texts.insert(text);
    }
    if *written == texts {
        return Ok(());
    }
    let all: Api<EndpointSlice> = Api::all(client.clone());
    let ours = ListParams::default().labels(&format!("{MANAGED_BY}={LAB}"));
    for slice in within(all.list(&ours)).await?.items {
        let (namespace, name) = (slice.namespace().unwrap_or_default(), slice.name_any());
        let metadata = |w: &Value, key: &str| w.pointer(&format!("/metadata/{key}")).cloned();
        let is_wanted = wanted.iter().any(|w| {
            metadata(w, "namespace") == Some(json!(namespace))
                && metadata(w, "name") == Some(json!(name))
        });
        if !is_wanted {
            let api: Api<EndpointSlice> = Api::namespaced(client.clone(), &namespace);
            within(api.delete(&name, &DeleteParams::default())).await?;
        }
    }
    *written = texts;
    Ok(())
}

fn is_ours(service: &Service) -> bool {
    let selector = service.spec.as_ref().and_then(|s| s.selector.as_ref());
    selector
        .and_then(|s| s.get(SELECTOR.0))
        .is_some_and(|value| value == SELECTOR.1)
}

/// The slices of one Service: every node's backend, in each of the Service's families.
fn slices(service: &Service, segment: &Segment) -> Vec<Value> {
    let (name, namespace) = (service.name_any(), service.namespace().unwrap_or_default());
    let ports = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
    let ports: Vec<_> = ports
        .map(|p| json!({"name": p.name, "port": target(p), "protocol": p.protocol}))
        .collect();
    let slice = |(family, suffix, address): (&str, &str, fn(&Host) -> IpAddr)| {
        let endpoints = segment.nodes.iter().map(|node| {
            json!({
                "addresses": [address(node)],
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "nodeName": node.name,
            })
        });
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{name}-lab-{suffix}"), "namespace": namespace,
                "labels": {SERVICE_NAME: name, MANAGED_BY: LAB},
            },
            "addressType": family,
            "endpoints": endpoints.collect::<Vec<_>>(),
            "ports": ports,
        })
    };
    let ipv4: fn(&Host) -> IpAddr = |host| host.ipv4.into();
    let ipv6: fn(&Host) -> IpAddr = |host| host.ipv6.into();
    let families = service
        .spec
        .as_ref()
        .and_then(|s| s.ip_families.as_deref())
        .unwrap_or_default();
    [("IPv4", "ipv4", ipv4), ("IPv6", "ipv6", ipv6)]
        .into_iter()
        .filter(|(family, ..)| families.iter().any(|f| f == family))
        .map(slice)
        .collect()
}

/// A named port is the backend's only one.
fn target(port: &ServicePort) -> i32 {
    match &port.target_port {
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(_)) => i32::from(backend::PORT),
        None => port.port,
    }
}
