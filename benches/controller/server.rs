//! An API server, fresh, with Herald's resources, one pool, and the way in.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tokio::time;

use crate::{objects, program::Program, real, standin};

/// Which API server.
#[derive(Clone)]
pub enum Kind {
    Standin,
    /// The binaries' directory.
    Real(PathBuf),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standin => "against the stand-in API server",
            Self::Real(_) => "against etcd and kube-apiserver",
        })
    }
}

/// A running API server; dropping it kills it.
pub struct Server {
    pub kind: Kind,
    pub client: Client,
    pub kubeconfig: PathBuf,
    /// In the order in which they are to be killed.
    programs: Vec<Program>,
    _dir: tempfile::TempDir,
}

impl Server {
    /// Starts one and waits until the pool can be used.
    pub async fn start(kind: &Kind) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (programs, url, authority) = match kind {
            Kind::Standin => {
                let (program, url) = standin::start().await?;
                (vec![program], url, None)
            }
            Kind::Real(assets) => {
                let (programs, url, authority) = real::start(assets, dir.path())?;
                (programs, url, Some(authority))
            }
        };
        let kubeconfig = dir.path().join("kubeconfig");
        let mut cluster = serde_json::Map::from_iter([("server".to_owned(), json!(url))]);
        if let Some(authority) = &authority {
            appears(authority).await?;
            cluster.insert("certificate-authority".to_owned(), json!(authority));
        }
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{ "name": "bench", "cluster": cluster }],
            "users": [{ "name": "bench", "user": { "token": real::TOKEN } }],
            "contexts": [{ "name": "bench", "context": { "cluster": "bench", "user": "bench" } }],
        });
        std::fs::write(&kubeconfig, text.to_string())?;
        let client = client(&kubeconfig).await?;
        let server = Self {
            kind: kind.clone(),
            client,
            kubeconfig,
            programs,
            _dir: dir,
        };
        server.install().await?;
        Ok(server)
    }

    /// Everything a controller needs to begin, which may take a while to be taken.
    async fn install(&self) -> anyhow::Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for definition in herald::api::crds() {
            patiently("the definitions", async || {
                definitions
                    .create(&PostParams::default(), &definition)
                    .await
            })
            .await?;
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = objects::namespace(herald::api::DEFAULT_NAMESPACE);
        patiently("the namespace", async || {
            namespaces.create(&PostParams::default(), &namespace).await
        })
        .await?;
        let pools: Api<herald::api::AddressPool> = Api::all(self.client.clone());
        let pool = objects::pool();
        patiently("the pool", async || {
            pools.create(&PostParams::default(), &pool).await
        })
        .await
    }

    /// Ends it.
    pub async fn stop(self) -> anyhow::Result<()> {
        for program in self.programs {
            program.kill().await?;
        }
        Ok(())
    }
}

/// A client as the kubeconfig says.
pub async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let config = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn appears(file: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    while !file.is_file() {
        anyhow::ensure!(
            start.elapsed() < Duration::from_secs(60),
            "{} never appears",
            file.display()
        );
        time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Creates until it is there; a server that has just started refuses for a while.
async fn patiently<T>(what: &str, create: impl AsyncFn() -> kube::Result<T>) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        match create().await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(()),
            Err(error) if start.elapsed() > Duration::from_secs(60) => {
                return Err(error).with_context(|| format!("cannot create {what}"));
            }
            Err(_) => time::sleep(Duration::from_millis(100)).await,
        }
    }
}
