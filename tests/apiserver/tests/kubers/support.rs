//! A server, its client, and patience.

use std::time::Duration;

use futures::StreamExt;
use herald_apiserver::ApiServer;
use k8s_openapi::api::core::v1::Service;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Config};
use serde_json::json;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server, and a client of it.
pub async fn started() -> (ApiServer, Client) {
    let server = ApiServer::builder().build().unwrap();
    let client = client_of(&server).await;
    (server, client)
}

/// A client over TCP that does not try again by itself.
pub async fn client_of(server: &ApiServer) -> Client {
    // Already installed is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let mut config = Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// A Service of a type with one port.
pub fn service(name: &str, kind: &str) -> Service {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": kind, "ports": [{"port": 80}]},
    }))
    .unwrap()
}

/// Waits, but not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took longer than {PATIENCE:?}"),
    }
}

/// The next event as `WORD name`.
pub async fn next(
    events: &mut (impl futures::Stream<Item = watcher::Result<Event<Service>>> + Unpin),
) -> String {
    let event = soon("an event", events.next()).await.unwrap().unwrap();
    match event {
        Event::Init => "Init".to_owned(),
        Event::InitDone => "InitDone".to_owned(),
        Event::InitApply(object) => format!("InitApply {}", object.metadata.name.unwrap()),
        Event::Apply(object) => format!("Apply {}", object.metadata.name.unwrap()),
        Event::Delete(object) => format!("Delete {}", object.metadata.name.unwrap()),
    }
}

/// The code of a refusal; anything else is a failed test.
pub fn code_of<T>(result: kube::Result<T>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        Err(other) => panic!("not an answer of the server: {other}"),
        Ok(_) => panic!("it went through"),
    }
}
