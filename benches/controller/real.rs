//! etcd and kube-apiserver as processes. The lab starts them too, but for people: this one listens to nobody else,
//! and has cluster IPs for more Services.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::program::Program;

pub const TOKEN: &str = "bench";

/// Starts both in that directory; gives them in the order in which they are to be killed, the URL and the
/// certificate that will appear. The server is not ready yet.
pub fn start(assets: &Path, dir: &Path) -> anyhow::Result<(Vec<Program>, String, PathBuf)> {
    let [client, peer, port] = ports()?;
    let file = |name: &str| dir.join(name).display().to_string();
    let mut etcd = Command::new(assets.join("etcd"));
    etcd.arg(format!("--data-dir={}", file("etcd"))).args([
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
        // So that the figures are of the API server and not of this machine's disk; the same for both sides.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]);
    std::fs::write(
        dir.join("tokens.csv"),
        format!("{TOKEN},bench,bench,system:masters\n"),
    )?;
    let key = dir.join("service-account.key");
    let made = std::process::Command::new("openssl")
        .args(["genrsa", "-out"])
        .arg(&key)
        .arg("2048")
        .output()
        .context("openssl is needed for the API server's service account key")?;
    if !made.status.success() {
        bail!("openssl: {}", String::from_utf8_lossy(&made.stderr));
    }
    let mut server = Command::new(assets.join("kube-apiserver"));
    server.args([
        format!("--etcd-servers=http://127.0.0.1:{client}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/12".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", key.display()),
        format!("--service-account-signing-key-file={}", key.display()),
        format!("--token-auth-file={}", file("tokens.csv")),
        format!("--cert-dir={}", file("certificates")),
    ]);
    let etcd = Program::start("etcd", etcd)?;
    let programs = vec![Program::start("kube-apiserver", server)?, etcd];
    let authority = dir.join("certificates").join("apiserver.crt");
    Ok((programs, format!("https://127.0.0.1:{port}"), authority))
}

/// Three ports that nothing listens on now.
fn ports() -> anyhow::Result<[u16; 3]> {
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = [free()?, free()?, free()?];
    let [a, b, c] = held.each_ref().map(|l| l.local_addr().map(|a| a.port()));
    Ok([a?, b?, c?])
}
