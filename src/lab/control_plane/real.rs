//! A real control plane, as processes beside the lab: etcd, kube-apiserver, and kube-controller-manager if it is there.
//!
//! No kubelet and no pods: Nodes and EndpointSlices are the lab's, as with the stand-in. Everything listens at
//! 127.0.0.1; the API server makes its own certificate, and knows people, the controller and the agents by their tokens.

mod keys;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{net::UnixListener, process::Child, time};

use super::{
    super::{
        floor::{Floor, write_private},
        kubeconfig::{self, Access},
        lifeline, port,
        relay::{self, Relay},
        rights::{Tokens, Who},
        role,
    },
    Binaries,
};

/// How long the API server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// A running control plane; dropping it ends it.
pub(in super::super) struct Real {
    pub(super) access: Access,
    pub(super) port: u16,
    pub(super) binaries: Binaries,
    /// With their names; each stands before what it needs.
    processes: Vec<(&'static str, Child)>,
    _nodes: Relay,
}

impl Real {
    /// Starts the binaries and waits until the API server is ready.
    pub(super) async fn start(
        binaries: Binaries,
        floor: &Floor,
        port: u16,
    ) -> anyhow::Result<Self> {
        let dir = floor.dir();
        let port = if port == 0 {
            port::free().await?.port()
        } else {
            port
        };
        let authority = dir.join("certificates").join("apiserver.crt");
        let access = Access {
            url: format!("https://127.0.0.1:{port}"),
            authority: Some(authority.clone()),
            tokens: Tokens::new(),
        };
        kubeconfig::write(dir, &access)?;
        let (service_key, service_key_public) = keys::write_service_account_keys(dir)?;
        let tokens = dir.join("tokens.csv");
        write_private(&tokens, &known(&access.tokens))?;
        let etcd_port = port::free().await?.port();
        let mut processes = vec![("etcd", etcd(&binaries, floor, etcd_port).await?)];
        let mut command =
            lifeline::program(&floor.log("kube-apiserver"), &binaries.kube_apiserver)?;
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
            .arg(format!("--secure-port={port}"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .args([
                "--endpoint-reconciler-type=none",
                "--authorization-mode=RBAC",
            ])
            .args([
                "--service-cluster-ip-range=10.96.0.0/16,fd96::/108",
                "--allow-privileged",
            ])
            .args(["--service-account-issuer=https://kubernetes.default.svc"])
            .arg(flag("cert-dir", authority.parent().unwrap_or(dir)))
            .arg(flag("token-auth-file", &tokens))
            .arg(flag("service-account-key-file", &service_key_public))
            .arg(flag("service-account-signing-key-file", &service_key));
        processes.insert(
            0,
            ("kube-apiserver", command.spawn().context("kube-apiserver")?),
        );
        let unix = UnixListener::bind(role::api_socket(dir)).context("no unix socket")?;
        let api_server = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let nodes = relay::unix_to_tcp(unix, api_server);
        let mut real = Self {
            access,
            port,
            binaries,
            processes,
            _nodes: nodes,
        };
        real.wait_until_ready(dir, &authority).await?;
        real.start_controller_manager(floor, &service_key)?;
        Ok(real)
    }

    async fn wait_until_ready(&mut self, dir: &Path, authority: &Path) -> anyhow::Result<()> {
        let ready = async {
            loop {
                // The API server writes its certificate before it serves.
                if authority.is_file() && is_ready(dir).await {
                    return;
                }
                time::sleep(POLL).await;
            }
        };
        let ready = time::timeout(READY_WITHIN, ready);
        tokio::select! {
            ready = ready => ready.map_err(|_| anyhow::anyhow!("kube-apiserver is not ready after {READY_WITHIN:?}")),
            why = failed(&mut self.processes) => bail!(why),
        }
    }

    fn start_controller_manager(&mut self, floor: &Floor, key: &Path) -> anyhow::Result<()> {
        let Some(path) = &self.binaries.controller_manager else {
            return Ok(());
        };
        let mut command = lifeline::program(&floor.log("kube-controller-manager"), path)?;
        command
            .arg(flag("kubeconfig", &kubeconfig::path(floor.dir())))
            .arg(flag("service-account-private-key-file", key))
            // Without kubelets every node would be called lost.
            .arg("--controllers=*,-node-lifecycle-controller")
            .args(["--leader-elect=false", "--secure-port=0"]);
        let child = command.spawn().context("kube-controller-manager")?;
        self.processes.insert(0, ("kube-controller-manager", child));
        Ok(())
    }

    /// Waits until a process ends.
    pub(super) async fn failed(&mut self) -> String {
        failed(&mut self.processes).await
    }

    /// Ends every process, none before those that need it.
    pub(super) async fn stop(&mut self) {
        for (_, child) in &mut self.processes {
            lifeline::end(child).await;
        }
    }
}

/// Tokens with the names and groups of their users, as the API server reads them.
fn known(tokens: &Tokens) -> String {
    let line = |who: Who| {
        let (token, user) = (tokens.of(who), who.user());
        format!("{token},{user},{user},\"{}\"\n", who.groups().join(","))
    };
    Who::ALL.map(line).concat()
}

async fn etcd(binaries: &Binaries, floor: &Floor, port: u16) -> anyhow::Result<Child> {
    let peer = format!("http://127.0.0.1:{}", port::free().await?.port());
    let client = format!("http://127.0.0.1:{port}");
    let mut command = lifeline::program(&floor.log("etcd"), &binaries.etcd)?;
    command
        .arg(flag("data-dir", &floor.dir().join("etcd")))
        .args([
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
        ])
        .args([
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
        ])
        .arg(format!("--initial-cluster=default={peer}"))
        // What it keeps is thrown away with the lab.
        .arg("--unsafe-no-fsync");
    command.spawn().context("etcd")
}

async fn failed(processes: &mut [(&'static str, Child)]) -> String {
    loop {
        for (name, child) in &mut *processes {
            if let Ok(Some(status)) = child.try_wait() {
                return format!("{name} ended: {status}");
            }
        }
        time::sleep(POLL).await;
    }
}

async fn is_ready(dir: &Path) -> bool {
    let Ok(client) = kubeconfig::client(dir).await else {
        return false;
    };
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
        return false;
    };
    client
        .request_text(request)
        .await
        .is_ok_and(|answer| answer == "ok")
}

fn flag(name: &str, path: &Path) -> std::ffi::OsString {
    let mut flag = std::ffi::OsString::from(format!("--{name}="));
    flag.push(PathBuf::from(path));
    flag
}
