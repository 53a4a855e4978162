//! The stand-in API server on the segment, with Herald's resources, and the way to it.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::anyhow;
use herald_apiserver::ApiServer;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::segment::Segment;

const ADDRESS: &str = "10.99.0.254:6443";

/// A served API server; dropping it ends it.
pub struct ControlPlane {
    pub api: ApiServer,
    /// Where the kubeconfig lies, and room for what Herald's processes need.
    pub dir: tempfile::TempDir,
    kubeconfig: PathBuf,
    _serving: JoinSet<()>,
}

impl ControlPlane {
    /// Serves it where the segment has room for it, with Herald's definitions and namespaces.
    pub fn start(segment: &Segment) -> anyhow::Result<Self> {
        let api = ApiServer::builder()
            // Enough for no watch to fall behind while thousands of Services are made.
            .event_log(100_000)
            .build()
            .map_err(|status| anyhow!("{status}"))?;
        let listener = segment.control.run(|| TcpListener::bind(ADDRESS))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let served = api.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move { drop(served.serve(listener).await) });
        let dir = tempfile::tempdir()?;
        let kubeconfig = dir.path().join("kubeconfig");
        std::fs::write(&kubeconfig, configuration())?;
        let started = Self {
            api,
            dir,
            kubeconfig,
            _serving: serving,
        };
        for definition in herald::api::crds() {
            started.create(serde_json::to_value(definition)?)?;
        }
        for namespace in ["default", herald::api::DEFAULT_NAMESPACE] {
            // The server may have made it.
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            drop(started.create(namespace));
        }
        Ok(started)
    }

    pub fn create(&self, object: Value) -> anyhow::Result<()> {
        let created = self.api.create(object);
        created.map(drop).map_err(|status| anyhow!("{status}"))
    }

    /// A Node that is ready, and whose InternalIP is on the network of the API server.
    pub fn create_node(&self, metadata: Value, number: usize) -> anyhow::Result<()> {
        self.create(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": metadata,
            "status": {
                "addresses": [{ "type": "InternalIP", "address": format!("10.99.0.{number}") }],
                "conditions": [{ "type": "Ready", "status": "True", "reason": "Bench", "message": "" }],
            },
        }))
    }

    /// Herald's own program, or the build of it that `HERALD_PROGRAM` names, told where the API server is.
    pub fn herald(&self) -> Command {
        let other = std::env::var_os("HERALD_PROGRAM");
        let program = other.unwrap_or_else(|| env!("CARGO_BIN_EXE_herald").into());
        let mut command = Command::new(program);
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// The controller. It runs beside the API server, which it keeps when that is away for the agents.
    pub fn controller(&self) -> Command {
        let mut command = self.herald();
        command.args(["controller", "--http", "127.0.0.1:0"]);
        command
    }
}

/// A file for the log of a process, if there is a folder for logs.
pub fn log_file(logs: Option<&Path>, name: &str) -> Option<PathBuf> {
    logs.map(|dir| dir.join(format!("{name}.log")))
}

fn configuration() -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{ "name": "bench", "cluster": { "server": format!("http://{ADDRESS}") } }],
        "users": [{ "name": "bench", "user": {} }],
        "contexts": [{ "name": "bench", "context": { "cluster": "bench", "user": "bench" } }],
    })
    .to_string()
}
