//! A cluster for tests: the stand-in API server on a loopback port, Herald's resources, and controllers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use herald::{cluster::Classes, controller};
use herald_apiserver::ApiServer;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle, time};
use tokio_util::sync::CancellationToken;

/// As whom the API server knows the controller and the agents of an installation.
pub const CONTROLLER: &str = "system:serviceaccount:herald-system:herald-controller";
pub const AGENT: &str = "system:serviceaccount:herald-system:herald-agent";

/// What an installation may do: its accounts, roles and bindings.
pub fn rights() -> Vec<Value> {
    serde_saphyr::from_multiple(include_str!("../../deploy/base/rbac.yaml")).unwrap()
}

/// The stand-in, served.
pub struct Cluster {
    pub api: ApiServer,
    pub address: SocketAddr,
}

/// A controller that runs in this process.
pub struct Controller {
    /// Its name as leader.
    pub identity: String,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Cluster {
    /// A cluster with Herald's resource definitions and namespace.
    pub async fn start() -> Self {
        let cluster = Self::bare().await;
        for crd in herald::api::crds() {
            cluster.create(serde_json::to_value(crd).unwrap());
        }
        cluster.create(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "herald-system" },
        }));
        cluster
    }

    /// A cluster that has never heard of Herald.
    pub async fn bare() -> Self {
        let api = ApiServer::builder()
            .service_cidrs(&["10.96.0.0/16", "fd96::/108"])
            .build()
            .unwrap();
        Self::serve(api).await
    }

    pub async fn serve(api: ApiServer) -> Self {
        static LOGGING: std::sync::Once = std::sync::Once::new();
        LOGGING.call_once(|| herald::telemetry::start_logging(herald::telemetry::LogFormat::Text));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = api.clone();
        tokio::spawn(async move { server.serve(listener).await });
        Self { api, address }
    }

    pub fn client(&self) -> Client {
        let mut config = Config::new(format!("http://{}", self.address).parse().unwrap());
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    /// A kubeconfig file for programs.
    pub fn kubeconfig(&self, token: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubeconfig");
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "test", "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        });
        std::fs::write(&path, text.to_string()).unwrap();
        (directory, path)
    }

    pub fn controller(&self) -> Controller {
        self.controller_with(Classes::Default)
    }

    pub fn controller_with(&self, classes: Classes) -> Controller {
        Controller::start(self.client(), classes)
    }

    #[track_caller]
    pub fn create(&self, object: Value) -> Value {
        self.api.create(object).unwrap()
    }

    pub fn pool(&self, name: &str, spec: Value) {
        self.create(json!({
            "apiVersion": "herald.dev/v1alpha1", "kind": "AddressPool",
            "metadata": { "name": name }, "spec": spec,
        }));
    }

    pub fn service(&self, name: &str, annotations: Value, spec: Value) {
        let mut full = json!({ "type": "LoadBalancer", "ports": [{ "port": 80 }] });
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        self.create(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": "default", "annotations": annotations },
            "spec": full,
        }));
    }

    /// Addresses, reason and message of a Service, as a user sees them.
    pub fn outcome(&self, name: &str) -> (Vec<String>, String, String) {
        let service = self.api.get("v1", "Service", "default", name).unwrap();
        let status = &service["status"];
        let ingress = status["loadBalancer"]["ingress"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let addresses = ingress
            .iter()
            .map(|i| i["ip"].as_str().unwrap_or_default().to_owned());
        let condition = condition(status, "herald.dev/AddressAllocated");
        let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        (addresses.collect(), text("reason"), text("message"))
    }

    /// Waits until a Service has these addresses for this reason, and returns the message.
    pub async fn expect(&self, name: &str, addresses: &[&str], reason: &str) -> String {
        let (.., message) = eventually(&format!("{name}: {addresses:?} {reason}"), async || {
            let outcome = self.outcome(name);
            if outcome.0 == addresses && outcome.1 == reason {
                Ok(outcome)
            } else {
                Err(outcome)
            }
        })
        .await;
        message
    }

    /// Waits until a pool's Ready condition has this reason, and returns the message.
    pub async fn expect_pool(&self, name: &str, reason: &str) -> String {
        eventually(&format!("pool {name}: {reason}"), async || {
            let pool = self
                .api
                .get("herald.dev/v1alpha1", "AddressPool", "", name)
                .unwrap();
            let ready = condition(&pool["status"], "Ready");
            if ready["reason"] == reason {
                Ok(ready["message"].as_str().unwrap_or_default().to_owned())
            } else {
                Err(ready)
            }
        })
        .await
    }

    pub fn locks(&self) -> Vec<String> {
        let locks = self
            .api
            .list("herald.dev/v1alpha1", "AddressAllocation", "", "")
            .unwrap();
        locks
            .iter()
            .map(|l| l["spec"]["address"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Controller {
    /// Starts one on any cluster.
    pub fn start(client: Client, classes: Classes) -> Self {
        Self::start_beside(client, classes, None)
    }

    /// The same, beside a cloud.
    pub fn start_beside(
        client: Client,
        classes: Classes,
        cloud: Option<controller::cloud::Options>,
    ) -> Self {
        let identity = format!("test-{:08x}", rand::random::<u32>());
        let options = controller::Options {
            namespace: "herald-system".into(),
            classes,
            node_ports: herald::api::NodePortPolicy::Keep,
            http: "127.0.0.1:0".parse().unwrap(),
            identity: identity.clone(),
            cloud,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(controller::run(client, options, stop.clone()));
        Self {
            identity,
            stop,
            task,
        }
    }

    /// Whether it has ended of its own accord, which it must not.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it as SIGTERM would.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Ends it as SIGKILL would.
    pub fn kill(self) {
        self.task.abort();
    }
}

pub fn condition(status: &Value, kind: &str) -> Value {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions
        .into_iter()
        .find(|c| c["type"] == kind)
        .unwrap_or_default()
}

/// Tries until it holds; fails with what was seen last.
pub async fn eventually<T, E: std::fmt::Debug>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let patience = Duration::from_secs(30);
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(seen) if start.elapsed() > patience => panic!("{what}: seen last {seen:?}"),
            Err(_) => time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Nothing is written for a while.
pub async fn quiet(api: &ApiServer) {
    let mut last = api.resource_version();
    let mut calm = 0;
    // The leader's Lease is renewed every second, and nothing else may be.
    while calm < 3 {
        time::sleep(Duration::from_millis(300)).await;
        let now = api.resource_version();
        calm = if now - last <= 1 { calm + 1 } else { 0 };
        last = now;
    }
}

pub async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than {limit:?}"))
}
