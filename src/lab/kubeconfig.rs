//! The ways in, right in every namespace: a kubeconfig for kubectl and the lab itself, one for the controller, one for
//! the agents.

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

use super::{
    floor,
    rights::{Tokens, Who},
};

/// How a client gets in.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) url: String,
    /// File with the certificates to trust, where the connection is encrypted.
    pub(super) authority: Option<PathBuf>,
    pub(super) tokens: Tokens,
}

/// Where the kubeconfig of people lies, and of the lab.
pub(super) fn path(dir: &Path) -> PathBuf {
    path_of(dir, Who::People)
}

/// Where somebody's kubeconfig lies.
pub(super) fn path_of(dir: &Path, who: Who) -> PathBuf {
    dir.join(match who {
        Who::People => "kubeconfig",
        Who::Controller => "kubeconfig-controller",
        Who::Agent => "kubeconfig-agent",
    })
}

/// Writes the kubeconfigs; who called `sudo` may read that of people too.
pub(super) fn write(dir: &Path, access: &Access) -> anyhow::Result<()> {
    for who in Who::ALL {
        floor::write_private(&path_of(dir, who), &text(access, who))?;
    }
    let path = path(dir);
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

fn text(access: &Access, who: Who) -> String {
    let url = &access.url;
    let authority = access.authority.as_ref();
    let authority =
        authority.map(|path| format!("    certificate-authority: {}\n", path.display()));
    let user = match (&authority, who) {
        // kubectl sends no token where the connection is not encrypted.
        (None, Who::People) => "{}".to_owned(),
        _ => format!("{{token: {}}}", access.tokens.of(who)),
    };
    let authority = authority.unwrap_or_default();
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
