//! A reader beside the controller: sees addresses appear, and which objects have changed. It reads as little of each
//! object as it needs, so that it takes little from what is measured.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use kube::{Client, core::WatchEvent};
use serde::Deserialize;
use tokio::{task::JoinHandle, time};

/// The kinds that Herald writes, with where they are.
pub const KINDS: [(&str, &str); 6] = [
    ("services", "/api/v1/services"),
    (
        "addressallocations",
        "/apis/herald.dev/v1alpha1/addressallocations",
    ),
    ("events", "/apis/events.k8s.io/v1/events"),
    ("addresspools", "/apis/herald.dev/v1alpha1/addresspools"),
    ("secrets", "/api/v1/secrets"),
    ("leases", "/apis/coordination.k8s.io/v1/leases"),
];
const SERVICES: &str = "/api/v1/services";

/// The version of every object, by kind and uid.
pub type Versions = BTreeMap<(&'static str, String), String>;

#[derive(Clone, Debug, Deserialize)]
pub struct Object {
    pub metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub uid: String,
    #[serde(default)]
    pub resource_version: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    load_balancer: Balancer,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Balancer {
    #[serde(default)]
    ingress: Vec<Ingress>,
}

#[derive(Clone, Debug, Deserialize)]
struct Ingress {
    #[serde(default)]
    ip: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    metadata: ListMetadata,
    items: Vec<Object>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
    #[serde(default)]
    remaining_item_count: u32,
}

/// A watch that waits for that many Services to have addresses.
pub struct Watcher(JoinHandle<anyhow::Result<Instant>>);

impl Watcher {
    /// Starts to watch from now on.
    pub async fn start(client: &Client, number: u32) -> anyhow::Result<Self> {
        let version = now(client).await?;
        let client = client.clone();
        let path = format!("{SERVICES}?watch=1&resourceVersion={version}&timeoutSeconds=900");
        let mut addressed = BTreeSet::new();
        let mut addresses = BTreeMap::new();
        Ok(Self(tokio::spawn(async move {
            let mut events = pin!(client.request_events::<Object>(get(&path)?).await?);
            while let Some(event) = events.try_next().await? {
                let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else {
                    continue;
                };
                let Some(ingress) = object.status.load_balancer.ingress.first() else {
                    continue;
                };
                let holder = addresses
                    .entry(ingress.ip.clone())
                    .or_insert_with(|| object.metadata.name.clone());
                if *holder != object.metadata.name {
                    bail!("{} is given to two Services", ingress.ip);
                }
                addressed.insert(object.metadata.name);
                if u32::try_from(addressed.len()) == Ok(number) {
                    return Ok(Instant::now());
                }
            }
            bail!("the watch ended after {} addresses", addressed.len())
        })))
    }

    /// When the last of them had its address.
    pub async fn done(self) -> anyhow::Result<Instant> {
        time::timeout(Duration::from_secs(600), self.0)
            .await
            .context("not all Services get addresses")??
    }
}

/// The version of the newest write.
pub async fn now(client: &Client) -> anyhow::Result<String> {
    let list = list(client, SERVICES, "limit=1").await?;
    Ok(list.metadata.resource_version)
}

/// When there are that many Events.
pub async fn events(client: &Client, number: u32) -> anyhow::Result<Instant> {
    let start = Instant::now();
    loop {
        let list = list(
            client,
            "/apis/events.k8s.io/v1/namespaces/default/events",
            "limit=1",
        )
        .await?;
        let there = u32::try_from(list.items.len())? + list.metadata.remaining_item_count;
        if there >= number {
            return Ok(Instant::now());
        }
        if start.elapsed() > Duration::from_secs(300) {
            bail!("only {there} Events");
        }
        time::sleep(Duration::from_millis(20)).await;
    }
}

/// The Services, in the order of their names.
pub async fn services(client: &Client) -> anyhow::Result<Vec<Metadata>> {
    let list = list(client, "/api/v1/namespaces/default/services", "").await?;
    let all = list.items.into_iter().map(|object| object.metadata);
    Ok(all
        .filter(|metadata| metadata.name != "kubernetes")
        .collect())
}

/// The version of every object but the Leases.
pub async fn versions(client: &Client) -> anyhow::Result<Versions> {
    let mut versions = Versions::new();
    for (kind, path) in KINDS {
        if kind == "leases" {
            continue;
        }
        for object in list(client, path, "").await?.items {
            versions.insert(
                (kind, object.metadata.uid),
                object.metadata.resource_version,
            );
        }
    }
    Ok(versions)
}

async fn list(client: &Client, path: &str, query: &str) -> anyhow::Result<List> {
    let list = client
        .request::<List>(get(&format!("{path}?{query}"))?)
        .await;
    list.with_context(|| format!("cannot list {path}"))
}

pub fn get(path: &str) -> anyhow::Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}
