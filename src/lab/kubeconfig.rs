//! The way in: one kubeconfig for kubectl, the controller, the agents and the lab itself, right in every namespace.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::floor;

/// How a client gets in.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) url: String,
    /// Where the connection is encrypted.
    pub(super) secret: Option<Secret>,
}

/// What an encrypted connection needs.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    /// File with the certificates to trust.
    pub(super) authority: PathBuf,
    pub(super) token: String,
}

/// Where the kubeconfig lies.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("kubeconfig")
}

/// Writes the kubeconfig; who called `sudo` may read it too.
pub(super) fn write(dir: &Path, access: &Access) -> anyhow::Result<()> {
    let path = path(dir);
    floor::write_private(&path, &text(access))?;
    if let Some((user, group)) = floor::behind_sudo() {
        chown(&path, Some(user), Some(group))
            .with_context(|| format!("cannot give {} away", path.display()))?;
    }
    Ok(())
}

/// A client as the kubeconfig says.
pub(super) async fn client(dir: &Path) -> anyhow::Result<Client> {
    let path = path(dir);
    let kubeconfig =
        Kubeconfig::read_from(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .context("cannot use the lab's own kubeconfig")?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(90));
    config.default_retry = false;
    Client::try_from(config).context("cannot make a client")
}

fn text(access: &Access) -> String {
    let url = &access.url;
    let (authority, user) = match &access.secret {
        None => (String::new(), "{}".to_owned()),
        Some(Secret { authority, token }) => {
            let authority = format!("    certificate-authority: {}\n", authority.display());
            (authority, format!("{{token: {token}}}"))
        }
    };
    format!(
        "\
# Made by `herald lab`; gone when the lab ends.
apiVersion: v1
kind: Config
current-context: herald-lab
clusters:
- name: herald-lab
  cluster:
    server: {url}
{authority}contexts:
- name: herald-lab
  context: {{cluster: herald-lab, user: herald-lab, namespace: default}}
users:
- name: herald-lab
  user: {user}
"
    )
}
