//! `herald controller` as a process: started, watched, paused.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Instant,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::support::{Cluster, eventually};

/// A controller in a process of its own, known to the API server by its token.
pub struct Controller {
    pub token: &'static str,
    child: Child,
    lines: Arc<Mutex<Vec<(Instant, String)>>>,
    _kubeconfig: tempfile::TempDir,
}

impl Controller {
    pub fn start(cluster: &Cluster, token: &'static str) -> Self {
        let (directory, kubeconfig) = cluster.kubeconfig(token);
        let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["controller", "--http", "127.0.0.1:0"])
            .env("KUBECONFIG", &kubeconfig)
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stderr.take().unwrap()).lines();
        let lines = Arc::default();
        let kept: Arc<Mutex<Vec<_>>> = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok(Some(line)) = reader.next_line().await {
                kept.lock().unwrap().push((Instant::now(), line));
            }
        });
        Self {
            token,
            child,
            lines,
            _kubeconfig: directory,
        }
    }

    /// Waits until it has said these words so often; gives the last of these times.
    pub async fn said(&self, words: &str, times: usize) -> (Instant, String) {
        eventually(&format!("{} says {words:?}", self.token), async || {
            let lines = self.lines.lock().unwrap();
            let found = lines
                .iter()
                .filter(|(_, line)| line.contains(words))
                .nth(times - 1);
            found
                .cloned()
                .ok_or_else(|| lines.iter().rev().take(5).cloned().collect::<Vec<_>>())
        })
        .await
    }

    /// Whether the Lease names it, by the name that it gave itself in its log.
    pub fn leads(&self, cluster: &Cluster) -> bool {
        let lease = cluster
            .api
            .get(
                "coordination.k8s.io/v1",
                "Lease",
                "herald-system",
                "herald-controller",
            )
            .unwrap();
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap().to_owned();
        self.lines
            .lock()
            .unwrap()
            .iter()
            .any(|(_, line)| line.contains(&holder))
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }
}
