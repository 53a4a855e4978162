//! Finding the cluster as kubectl does, and saying clearly why it cannot be reached.

use std::time::Duration;

use kube::{Client, Config, config::KubeConfigOptions};

/// Why there is no cluster to work with.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither a kubeconfig nor a service account.
    #[error(
        "no cluster found: set KUBECONFIG, put a kubeconfig at ~/.kube/config, or run inside a cluster with a \
         service account; `herald lab` needs none ({0})"
    )]
    NoConfig(String),
    /// The client could not be built.
    #[error("the kubeconfig cannot be used: {0}")]
    BadConfig(#[source] kube::Error),
    /// The API server could not be talked to.
    #[error("{0}")]
    Unreachable(String),
}

/// A client for calls that must not take long, and one for watches.
///
/// Neither retries on its own: Herald's loops do, and they know what a late answer costs.
///
/// # Errors
/// When no cluster is configured or its configuration cannot be used. Does not talk to the cluster.
pub async fn connect() -> Result<Client, ClusterError> {
    let mut config = match Config::from_kubeconfig(&KubeConfigOptions::default()).await {
        Ok(config) => config,
        Err(kubeconfig) => {
            Config::incluster().map_err(|_| ClusterError::NoConfig(chain(&kubeconfig)))?
        }
    };
    config.connect_timeout = Some(Duration::from_secs(5));
    // Watches hear a bookmark every minute; a server that is silent for longer hangs.
    config.read_timeout = Some(Duration::from_secs(90));
    config.default_retry = false;
    Client::try_from(config).map_err(ClusterError::BadConfig)
}

/// What to tell a person about a failed call: the cause, and what to do.
#[must_use]
pub fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 401 => format!(
            "the API server refused the credentials (401 {}): renew the token or check the user in the kubeconfig",
            status.reason
        ),
        kube::Error::Api(status) if status.code == 403 => format!(
            "the API server does not allow this ({}): apply deploy/base/rbac.yaml or use another user",
            status.message
        ),
        // Said of a path, not of an object.
        kube::Error::Api(status) if status.code == 404 && status.message.contains("page not found") => {
            "the API server does not know Herald's resources: run `herald crds | kubectl apply -f -`".to_owned()
        }
        kube::Error::Api(status) => format!("the API server answered {}: {}", status.code, status.message),
        kube::Error::Service(cause) => format!("the API server cannot be reached: {}", chain(cause.as_ref())),
        other => format!("the API server cannot be used: {}", chain(other)),
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
