//! A process of the benchmark: what it says, what it costs, how it ends.

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time,
};

type Lines = Arc<Mutex<Vec<(Instant, String)>>>;

/// A running process; dropping it kills it.
pub struct Program {
    name: &'static str,
    child: Child,
    lines: Lines,
}

/// CPU time and memory of a process.
#[derive(Clone, Copy)]
pub struct Cost {
    pub cpu: Duration,
    /// Resident now and at most, in MiB.
    pub resident: f64,
    pub peak: f64,
}

impl Program {
    /// Starts it. What it says on standard error is kept with the moment it was said.
    pub fn start(name: &'static str, mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let lines = Lines::default();
        if let Some(stderr) = child.stderr.take() {
            let lines = Arc::clone(&lines);
            tokio::spawn(async move {
                let mut reader = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = reader.next_line().await {
                    lock(&lines).push((Instant::now(), line));
                }
            });
        }
        Ok(Self { name, child, lines })
    }

    /// This very benchmark in another role.
    pub fn role(
        role: &'static str,
        arguments: &[&str],
        kubeconfig: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("no path to myself")?);
        command.arg(role).args(arguments);
        command.env(
            "KUBECONFIG",
            kubeconfig.map_or(OsStr::new(""), Path::as_os_str),
        );
        Self::start(role, command)
    }

    /// The controller.
    pub fn controller(kubeconfig: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
        command
            .args(["controller", "--http", "127.0.0.1:0"])
            .env("KUBECONFIG", kubeconfig);
        Self::start("herald controller", command)
    }

    /// Waits until it says these words; gives the moment and the line.
    pub async fn said(&mut self, words: &str) -> anyhow::Result<(Instant, String)> {
        let limit = Instant::now() + Duration::from_secs(120);
        loop {
            let found = lock(&self.lines)
                .iter()
                .find(|(_, line)| line.contains(words))
                .cloned();
            if let Some(found) = found {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.words());
            }
            if Instant::now() > limit {
                bail!("{} never said {words:?}: {}", self.name, self.words());
            }
            time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How often it has said these words.
    pub fn times(&self, words: &str) -> usize {
        lock(&self.lines)
            .iter()
            .filter(|(_, line)| line.contains(words))
            .count()
    }

    /// All that it has said, but not more than anyone would read.
    fn words(&self) -> String {
        let lines = lock(&self.lines);
        let last = lines.iter().rev().take(20).rev();
        last.map(|(_, line)| line.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// What it has cost so far.
    pub fn cost(&self) -> anyhow::Result<Cost> {
        let pid = self.child.id().context("it has ended")?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // After the name in parentheses, which may hold anything: state is the third field, utime the fourteenth.
        let fields: Vec<_> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |at: usize| {
            fields
                .get(at)
                .and_then(|f| f.parse::<u64>().ok())
                .unwrap_or(0)
        };
        // The kernel tells times to user space in hundredths of a second on every architecture.
        let cpu = Duration::from_millis((ticks(11) + ticks(12)) * 10);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mebibytes = |key: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or_default();
            let kibibytes = line
                .trim()
                .trim_end_matches(" kB")
                .parse::<f64>()
                .unwrap_or(f64::NAN);
            kibibytes / 1024.0
        };
        Ok(Cost {
            cpu,
            resident: mebibytes("VmRSS:"),
            peak: mebibytes("VmHWM:"),
        })
    }

    /// Ends it as Kubernetes would, and waits until it is gone.
    pub async fn end(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id() {
            kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        }
        time::timeout(Duration::from_secs(10), self.child.wait())
            .await
            .with_context(|| format!("{} does not end", self.name))??;
        Ok(())
    }

    /// Kills it and waits until it is gone.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// For roles: returns when the benchmark that started this process is gone, or has let go of it.
pub async fn parent_gone() {
    let read = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    let _ended_or_broken = tokio::task::spawn_blocking(read).await;
}

fn lock(lines: &Lines) -> std::sync::MutexGuard<'_, Vec<(Instant, String)>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
