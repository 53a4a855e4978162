//! What stands in the place of a cluster's control plane: the stand-in API server, or real binaries.
//!
//! Both serve the API at 127.0.0.1 in the host's namespace and by a unix socket to the nodes, and write the lab's
//! kubeconfig.

mod real;
mod standin;

use std::path::{Path, PathBuf};

use anyhow::bail;

use self::{real::Real, standin::Standin};
use super::{floor::Floor, kubeconfig::Access, line::DataPathKind};

/// The binaries of a real control plane.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    etcd: PathBuf,
    kube_apiserver: PathBuf,
    controller_manager: Option<PathBuf>,
    pub(super) kube_proxy: Option<PathBuf>,
}

impl Binaries {
    /// Looks into a directory.
    pub(super) fn find(dir: &Path) -> anyhow::Result<Self> {
        let dir = std::path::absolute(dir)?;
        let binary = |name: &str| Some(dir.join(name)).filter(|path| path.is_file());
        let (Some(etcd), Some(kube_apiserver)) = (binary("etcd"), binary("kube-apiserver")) else {
            bail!(
                "{} holds no etcd and kube-apiserver: name their directory with --control-plane, or unset \
                 KUBEBUILDER_ASSETS to use the stand-in",
                dir.display()
            );
        };
        Ok(Self {
            etcd,
            kube_apiserver,
            controller_manager: binary("kube-controller-manager"),
            kube_proxy: binary("kube-proxy").filter(|_| nft().is_some()),
            dir,
        })
    }

    /// What is there besides, for people.
    pub(super) fn extras(&self) -> &'static str {
        if self.controller_manager.is_some() {
            ", kube-controller-manager"
        } else {
            ""
        }
    }
}

/// Where programs are looked for that ordinary users do not always have on their path.
const ROOTS_PATH: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The search path of programs, with those for root.
pub(super) fn search_path() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(ROOTS_PATH.map(PathBuf::from));
    // Joining fails only if a part holds a colon, and then it was no part.
    std::env::join_paths(dirs).unwrap_or(path)
}

/// The `nft` program, without which kube-proxy makes no rules.
fn nft() -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|dir| dir.join("nft"))
        .find(|path| path.is_file())
}

/// A running control plane; dropping it ends it.
pub(super) enum ControlPlane {
    Standin(Standin),
    Real(Real),
}

impl ControlPlane {
    /// Starts the real one if there are binaries, on that port or on any if it is 0.
    pub(super) async fn start(
        binaries: Option<Binaries>,
        floor: &Floor,
        port: u16,
    ) -> anyhow::Result<Self> {
        match binaries {
            Some(binaries) => Real::start(binaries, floor, port).await.map(Self::Real),
            None => Standin::start(floor.dir(), port).await.map(Self::Standin),
        }
    }

    /// How clients get in.
    pub(super) fn access(&self) -> &Access {
        match self {
            Self::Standin(standin) => &standin.access,
            Self::Real(real) => &real.access,
        }
    }

    /// The port at 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Standin(standin) => standin.port,
            Self::Real(real) => real.port,
        }
    }

    /// What carries traffic on the nodes of this control plane.
    pub(super) fn data_path(&self) -> DataPathKind {
        match self {
            Self::Standin(_) => DataPathKind::Forwarder,
            Self::Real(real) => match &real.binaries.kube_proxy {
                Some(path) => DataPathKind::KubeProxy(path.clone()),
                None => DataPathKind::Forwarder,
            },
        }
    }

    /// Waits until it fails.
    pub(super) async fn failed(&mut self) -> String {
        match self {
            Self::Standin(standin) => standin.failed().await,
            Self::Real(real) => real.failed().await,
        }
    }

    /// Ends it, and waits until it has ended.
    pub(super) async fn stop(&mut self) {
        match self {
            Self::Standin(standin) => standin.stop().await,
            Self::Real(real) => real.stop().await,
        }
    }
}
