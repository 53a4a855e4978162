//! The objects of the benchmark, and crowds that write them.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::Context as _;
use herald::api::AddressPool;
use k8s_openapi::{
    api::core::v1::{Namespace, Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};

pub const POOL: &str = "lan";
/// Where the Services are.
pub const NAMESPACE: &str = "default";
/// Calls at the same time, of the plain client, the creators and Herald.
pub const HANDS: usize = 32;

pub fn namespace(name: &str) -> Namespace {
    Namespace {
        metadata: named(name),
        ..Namespace::default()
    }
}

/// A pool with room for every Service.
pub fn pool() -> AddressPool {
    let spec = serde_json::from_value(json!({ "addresses": ["10.0.0.0/16"] }));
    AddressPool::new(POOL, spec.expect("a pool"))
}

/// The address that the plain client gives to a Service, by its number.
pub fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + number)
}

/// A Service as people write them: a selector, labels, a port or two.
fn service(number: u32) -> Service {
    let app = format!("web-{number:05}");
    let port = |name: &str, port| ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    };
    Service {
        metadata: ObjectMeta {
            labels: Some(
                [
                    ("app.kubernetes.io/name".to_owned(), app.clone()),
                    (
                        "app.kubernetes.io/managed-by".to_owned(),
                        "bench".to_owned(),
                    ),
                ]
                .into(),
            ),
            ..named(&app)
        },
        spec: Some(ServiceSpec {
            type_: Some("LoadBalancer".to_owned()),
            // There are fewer node ports than Services here.
            allocate_load_balancer_node_ports: Some(false),
            selector: Some([("app.kubernetes.io/name".to_owned(), app)].into()),
            ports: Some(vec![port("http", 80), port("https", 443)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// Creates that many Services.
pub async fn create_services(client: &Client, number: u32) -> anyhow::Result<()> {
    let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
    crowd(number, move |at| {
        let services = services.clone();
        async move {
            services
                .create(&PostParams::default(), &service(at))
                .await?;
            Ok(())
        }
    })
    .await
}

/// Does something for every number below `number`, [`HANDS`] at a time.
pub async fn crowd<F>(number: u32, work: impl Fn(u32) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(HANDS));
    let mut tasks = JoinSet::new();
    for at in 0..number {
        let permit = Arc::clone(&room).acquire_owned().await.context("no room")?;
        let one = work(at);
        tasks.spawn(async move {
            let done = one.await;
            drop(permit);
            done
        });
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}
