//! A process in a namespace: it dies with the benchmark, and writes into a log or nowhere.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::station::Station;

/// A running process; dropping it kills it.
pub struct Process(Child);

impl Process {
    /// Starts it.
    pub fn start(
        station: &Station,
        mut command: Command,
        log: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let output = match log {
            Some(path) => Stdio::from(File::options().create(true).append(true).open(path)?),
            None => Stdio::null(),
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output);
        let name = command.get_program().to_owned();
        let child = station.run(move || command.spawn());
        Ok(Self(child.with_context(|| {
            format!("cannot start {}", name.display())
        })?))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.id())?), signal)?)
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// Ends it as an administrator would, and waits until it is gone.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM)?;
        for _ in 0..1_000 {
            if self.0.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("it does not end within 10 s")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
