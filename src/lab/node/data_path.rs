//! What carries traffic from a node to a backend: the lab's forwarder, or a real kube-proxy.

use std::path::Path;

use anyhow::Context as _;
use tokio::{process::Child, task::JoinSet};

use super::super::{
    control_plane::search_path, forwarder, kubeconfig, lifeline, line::DataPathKind,
    namespace::set_sysctl, role::Place, wire::Wire,
};

/// A running data path; dropping it ends it.
pub(super) enum DataPath {
    Forwarder(JoinSet<()>),
    KubeProxy(Child),
}

impl DataPath {
    /// Starts the one that was chosen.
    pub(super) async fn start(
        kind: &DataPathKind,
        place: &Place,
        node: &str,
        wire: Wire,
    ) -> anyhow::Result<Self> {
        match kind {
            DataPathKind::Forwarder => {
                let client = kubeconfig::client(&place.dir).await?;
                forwarder::run(client, node.to_owned(), wire)
                    .await
                    .map(Self::Forwarder)
            }
            DataPathKind::KubeProxy(path) => kube_proxy(path, place, node).map(Self::KubeProxy),
        }
    }

    /// Waits until it fails; for ever if there is none.
    pub(super) async fn failed(path: Option<&mut Self>) -> String {
        match path {
            Some(Self::Forwarder(tasks)) => {
                drop(tasks.join_next().await);
                "the forwarder stopped".to_owned()
            }
            Some(Self::KubeProxy(child)) => match child.wait().await {
                Ok(status) => format!("kube-proxy ended: {status}"),
                Err(error) => format!("kube-proxy is lost: {error}"),
            },
            None => std::future::pending().await,
        }
    }
}

/// kube-proxy in nftables mode. It leaves alone what is not this namespace's: the sizes of conntrack.
fn kube_proxy(path: &Path, place: &Place, node: &str) -> anyhow::Result<Child> {
    // Packets to a backend on another node pass through.
    for forwarding in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        set_sysctl(forwarding, "1")?;
    }
    let log = place.logs.join(format!("kube-proxy-{node}.log"));
    let mut kubeconfig = std::ffi::OsString::from("--kubeconfig=");
    kubeconfig.push(kubeconfig::path(&place.dir));
    let mut command = lifeline::program(&log, path)?;
    command.env("PATH", search_path());
    command
        .arg(kubeconfig)
        .arg(format!("--hostname-override={node}"))
        .args([
            "--proxy-mode=nftables",
            "--cluster-cidr=10.244.0.0/16,fd44::/48",
        ])
        .args([
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0s",
        ])
        .args(["--conntrack-tcp-timeout-close-wait=0s"])
        .args([
            "--metrics-bind-address=127.0.0.1:10249",
            "--healthz-bind-address=0.0.0.0:10256",
        ]);
    command.spawn().context("cannot start kube-proxy")
}
