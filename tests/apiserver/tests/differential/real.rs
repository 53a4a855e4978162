//! A real etcd and kube-apiserver for the time of a test: own directory, loopback only.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kube::config::AuthInfo;
use kube::{Client, Config};
use tempfile::TempDir;

/// How long the server may take until it is ready, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const TOKEN: &str = "herald-differential";

/// A running control plane; ends when dropped.
pub struct RealServer {
    pub client: Client,
    // Dropped in this order: a kube-apiserver that lost its etcd would hang.
    _apiserver: Killed,
    _etcd: Killed,
    _directory: TempDir,
}

/// A process that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl RealServer {
    /// Starts one if `KUBEBUILDER_ASSETS` names the binaries.
    pub async fn start_if_wanted() -> Option<Self> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").filter(|path| !path.is_empty());
        let Some(assets) = assets.map(PathBuf::from) else {
            println!("KUBEBUILDER_ASSETS is not set: comparing with recorded answers only");
            return None;
        };
        Some(Self::start(&assets).await)
    }

    async fn start(assets: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clients, peers, secure) = (free_port(), free_port(), free_port());
        let etcd = start_etcd(assets, directory.path(), clients, peers);
        let apiserver = start_apiserver(assets, directory.path(), clients, secure);
        let mut config = Config::new(format!("https://127.0.0.1:{secure}").parse().unwrap());
        config.accept_invalid_certs = true;
        config.default_retry = false;
        config.auth_info = AuthInfo {
            token: Some(TOKEN.to_owned().into()),
            ..AuthInfo::default()
        };
        let client = Client::try_from(config).unwrap();
        let started = Self {
            client,
            _apiserver: apiserver,
            _etcd: etcd,
            _directory: directory,
        };
        started.wait_until_ready().await;
        started
    }

    async fn wait_until_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The default namespace is made after the server says that it is ready.
            let ask = |path: &str| {
                let request = http::Request::get(path).body(Vec::new()).unwrap();
                self.client.request_text(request)
            };
            if ask("/readyz").await.is_ok() && ask("/api/v1/namespaces/default").await.is_ok() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "kube-apiserver is not ready after {PATIENCE:?}: {}",
                std::fs::read_to_string(self._directory.path().join("apiserver.log"))
                    .unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn logged(mut command: Command, log: PathBuf) -> Killed {
    let log = File::create(log).unwrap();
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Killed(child)
}

fn start_etcd(assets: &Path, directory: &Path, clients: u16, peers: u16) -> Killed {
    let mut command = Command::new(assets.join("etcd"));
    let (clients, peers) = (
        format!("http://127.0.0.1:{clients}"),
        format!("http://127.0.0.1:{peers}"),
    );
    command
        .arg(format!("--data-dir={}", directory.join("etcd").display()))
        .arg(format!("--listen-client-urls={clients}"))
        .arg(format!("--advertise-client-urls={clients}"))
        .arg(format!("--listen-peer-urls={peers}"))
        .arg(format!("--initial-advertise-peer-urls={peers}"))
        .arg(format!("--initial-cluster=default={peers}"))
        .arg("--unsafe-no-fsync");
    logged(command, directory.join("etcd.log"))
}

fn start_apiserver(assets: &Path, directory: &Path, etcd: u16, secure: u16) -> Killed {
    let key = directory.join("service-account.key");
    let made = Command::new("openssl")
        .args(["genrsa", "-out"])
        .arg(&key)
        .arg("2048")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("openssl is needed to make a service account key");
    assert!(made.success(), "openssl genrsa failed");
    let tokens = directory.join("tokens.csv");
    std::fs::write(&tokens, format!("{TOKEN},admin,1,\"system:masters\"\n")).unwrap();
    let mut command = Command::new(assets.join("kube-apiserver"));
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .arg("--bind-address=127.0.0.1")
        .arg("--advertise-address=127.0.0.1")
        .arg(format!("--secure-port={secure}"))
        .arg(format!(
            "--cert-dir={}",
            directory.join("certificates").display()
        ))
        .arg(format!("--token-auth-file={}", tokens.display()))
        .arg("--authorization-mode=AlwaysAllow")
        .arg(format!("--service-account-key-file={}", key.display()))
        .arg(format!(
            "--service-account-signing-key-file={}",
            key.display()
        ))
        .arg("--service-account-issuer=https://herald.test")
        .arg("--service-cluster-ip-range=10.96.0.0/16,fd96::/108")
        .arg("--disable-admission-plugins=ServiceAccount")
        .arg("--endpoint-reconciler-type=none");
    logged(command, directory.join("apiserver.log"))
}
