//! A controller as a process of its own, and its HTTP port.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time,
};

use super::support::Cluster;

pub struct Served {
    child: Child,
    address: SocketAddr,
    kubeconfig: PathBuf,
    _directory: tempfile::TempDir,
}

pub struct Answer {
    pub status: u16,
    pub body: String,
    headers: BTreeMap<String, String>,
}

impl Served {
    /// Runs until it serves.
    pub async fn start(cluster: &Cluster) -> Self {
        Self::start_at(cluster, "127.0.0.1:0").await
    }

    /// The same, at this address.
    pub async fn start_at(cluster: &Cluster, http: &str) -> Self {
        let (directory, kubeconfig) = cluster.kubeconfig("");
        let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["controller", "--http", http])
            .env("KUBECONFIG", &kubeconfig)
            .env("NO_COLOR", "1")
            .env_remove("HERALD_LOG")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, rest)) = line.split_once("address=") {
                    let address = rest.split_whitespace().next().unwrap();
                    return address.parse().unwrap();
                }
            }
            panic!("it never said where it serves");
        };
        let address = time::timeout(Duration::from_secs(60), address).await;
        // What it says later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            child,
            address: address.expect("it does not serve"),
            kubeconfig,
            _directory: directory,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &self.address.to_string()).await
    }

    /// One request, as if the server was called by this name.
    pub async fn ask(&self, method: &str, path: &str, host: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        time::timeout(Duration::from_secs(60), read)
            .await
            .expect("no answer")
            .unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        Answer {
            status: status.parse().unwrap(),
            body: body.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
        }
    }

    /// The command line on the same cluster.
    pub async fn herald(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig);
        command.output().await.unwrap()
    }

    pub async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}
