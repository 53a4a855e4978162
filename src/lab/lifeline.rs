//! No process of the lab outlives the lab.
//!
//! The kernel signals a process when its parent dies ([`tie`]). It does so when the *thread* ends that made the
//! process, so the lab makes processes only from threads that live as long as they do: main threads.
//!
//! ```text
//!   lab ─┬─ controller (by `exec`)                    lab dies: SIGKILL
//!        └─ switch                                    lab dies: SIGTERM, so that it can sweep the floor
//!             ├─ node-1 ── agent (by `exec`)          switch dies: SIGKILL, and so on
//!             └─ client
//! ```

use std::{
    ffi::OsString,
    fs::File,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{ExitCode, Stdio},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::{prctl, signal::Signal},
    unistd::getppid,
};
use tokio::process::{Child, Command};

/// This very binary, even if the file has been replaced since.
const SELF: &str = "/proc/self/exe";

/// Ends this process with `signal` when its parent dies. To be called after every change of credentials.
pub(super) fn tie(parent: u32, signal: Signal) -> anyhow::Result<()> {
    prctl::set_pdeathsig(signal).context("cannot tie this process to its parent")?;
    if u32::try_from(getppid().as_raw()) != Ok(parent) {
        bail!("the lab is gone");
    }
    Ok(())
}

/// Becomes another program that dies with the parent; returns only on failure.
pub(super) fn exec(parent: u32, command: Vec<OsString>) -> anyhow::Result<ExitCode> {
    tie(parent, Signal::SIGKILL)?;
    let mut words = command.into_iter();
    let program = words.next().context("nothing to start")?;
    let mut command = std::process::Command::new(&program);
    if Path::new(&program) == Path::new(SELF) {
        command.arg0("herald");
    }
    Err(command.args(words).exec()).with_context(|| format!("cannot start {}", program.display()))
}

/// A command that plays a role of the lab. It dies with this thread, does not hear Ctrl-C, and writes to `log`.
pub(super) fn role(log: &Path) -> anyhow::Result<Command> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(SELF);
    command
        .arg0("herald")
        .arg("lab-role")
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share the log")?)
        .stderr(log)
        // Ctrl-C in a terminal reaches the whole foreground group; the lab itself ends its processes.
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// A command that becomes `program`, tied to this process like a role.
pub(super) fn program(log: &Path, program: impl Into<OsString>) -> anyhow::Result<Command> {
    let mut command = role(log)?;
    command
        .arg("exec")
        .arg("--parent")
        .arg(std::process::id().to_string())
        .arg("--");
    command.arg(program.into());
    Ok(command)
}

/// A command that becomes this binary again, with arguments of its own.
pub(super) fn herald(log: &Path) -> anyhow::Result<Command> {
    program(log, SELF)
}

/// Kills a process and waits until it is gone.
pub(super) async fn end(child: &mut Child) {
    // It fails only for a process that is gone already.
    drop(child.kill().await);
}
