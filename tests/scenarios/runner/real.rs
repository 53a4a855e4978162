//! A real control plane for the scripts: etcd and kube-apiserver, with the flags that `herald lab` gives them.

use std::{
    fs::File,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
    core::ObjectMeta,
    runtime::wait::{await_condition, conditions},
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::{self, Instant},
};

use crate::support;

const TOKEN: &str = "scenarios";
/// By which it knows the controller.
const HERALDS: &str = "controller";
/// What stands before the point of a P-256 key in a SubjectPublicKeyInfo (RFC 5480, section 2).
const P256_PUBLIC_KEY_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const READY_WITHIN: Duration = Duration::from_secs(90);

/// Two processes and their directory; both end, and it goes, when this is dropped.
pub struct Real {
    pub client: Client,
    /// The controller's, with no rights but its own.
    pub heralds: Client,
    processes: Vec<Child>,
    dir: tempfile::TempDir,
}

impl Real {
    /// Starts the binaries of a directory and waits until the API server is ready.
    pub async fn start(assets: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let here = dir.path();
        let etcd_port = free_port().await?;
        let port = free_port().await?;
        let etcd = etcd(assets, here, etcd_port).await?;
        let apiserver = apiserver(assets, here, etcd_port, port)?;
        let mut config = Config::new(format!("https://127.0.0.1:{port}").parse()?);
        config.accept_invalid_certs = true;
        config.auth_info.token = Some(TOKEN.to_owned().into());
        config.default_retry = false;
        let mut heralds = config.clone();
        heralds.auth_info.token = Some(HERALDS.to_owned().into());
        let mut real = Self {
            client: Client::try_from(config)?,
            heralds: Client::try_from(heralds)?,
            processes: vec![apiserver, etcd],
            dir,
        };
        real.wait_until_ready().await?;
        Ok(real)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            if let Ok(answer) = self.client.request_text(request).await
                && answer == "ok"
            {
                return Ok(());
            }
            for child in &mut self.processes {
                if let Some(status) = child.try_wait()? {
                    let log = std::fs::read_to_string(self.dir.path().join("kube-apiserver.log"))?;
                    let last: Vec<_> = log.lines().rev().take(5).collect();
                    bail!("etcd or kube-apiserver ended: {status}: {last:#?}");
                }
            }
            if start.elapsed() > READY_WITHIN {
                bail!("kube-apiserver is not ready after {READY_WITHIN:?}");
            }
            time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Makes Herald's kinds, namespace and rights known.
    pub async fn install(&self) -> anyhow::Result<()> {
        let crds: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for crd in herald::api::crds() {
            let name = crd.name_any();
            crds.create(&PostParams::default(), &crd).await?;
            let established = conditions::is_crd_established();
            time::timeout(
                Duration::from_secs(30),
                await_condition(crds.clone(), &name, established),
            )
            .await??;
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some("herald-system".to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        namespaces
            .create(&PostParams::default(), &namespace)
            .await?;
        for object in support::rights() {
            let object: DynamicObject = serde_json::from_value(object)?;
            let types = object.types.as_ref().context("no kind")?;
            let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
            let api: Api<DynamicObject> = match object.namespace() {
                Some(namespace) => Api::namespaced_with(self.client.clone(), &namespace, &kind),
                None => Api::all_with(self.client.clone(), &kind),
            };
            api.create(&PostParams::default(), &object).await?;
        }
        Ok(())
    }

    /// Ends both, the API server first.
    pub async fn stop(mut self) {
        for child in &mut self.processes {
            let _ended = child.kill().await;
        }
    }
}

async fn etcd(assets: &Path, dir: &Path, port: u16) -> anyhow::Result<Child> {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", free_port().await?);
    let mut command = program(assets, dir, "etcd")?;
    command
        .arg(format!("--data-dir={}", dir.join("etcd").display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=default={peer}"))
        .arg("--unsafe-no-fsync");
    command.spawn().context("etcd")
}

fn apiserver(assets: &Path, dir: &Path, etcd: u16, port: u16) -> anyhow::Result<Child> {
    let tokens = dir.join("tokens.csv");
    let controller = support::CONTROLLER;
    let known =
        format!("{TOKEN},{TOKEN},{TOKEN},system:masters\n{HERALDS},{controller},{controller}\n");
    std::fs::write(&tokens, known)?;
    let [private, public] = service_account_keys(dir)?;
    let mut command = program(assets, dir, "kube-apiserver")?;
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .arg(format!("--secure-port={port}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        .args([
            "--endpoint-reconciler-type=none",
            "--authorization-mode=RBAC",
        ])
        .arg("--service-cluster-ip-range=10.96.0.0/16,fd96::/108")
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg(format!("--cert-dir={}", dir.join("certificates").display()))
        .arg(format!("--token-auth-file={}", tokens.display()))
        .arg(format!("--service-account-key-file={}", public.display()))
        .arg(format!(
            "--service-account-signing-key-file={}",
            private.display()
        ));
    command.spawn().context("kube-apiserver")
}

fn program(assets: &Path, dir: &Path, name: &str) -> anyhow::Result<Command> {
    let path = std::path::absolute(assets)?.join(name);
    let log = File::create(dir.join(format!("{name}.log")))?;
    let mut command = Command::new(&path);
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    Ok(command)
}

/// A new key pair in two files: the private half, and the public one.
fn service_account_keys(dir: &Path) -> anyhow::Result<[PathBuf; 2]> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let private = EcdsaKeyPair::generate_pkcs8(algorithm, &random);
    let private = private.map_err(|_| anyhow::anyhow!("no random numbers for a key"))?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random);
    let pair = pair.map_err(|error| anyhow::anyhow!("an ill key: {error}"))?;
    let public = [&P256_PUBLIC_KEY_INFO, pair.public_key().as_ref()].concat();
    let files = ["service-account.key", "service-account.pub"].map(|name| dir.join(name));
    std::fs::write(&files[0], pem("PRIVATE KEY", private.as_ref()))?;
    std::fs::write(&files[1], pem("PUBLIC KEY", &public))?;
    Ok(files)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

async fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?.port())
}
