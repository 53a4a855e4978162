//! How the lab's processes start: one single-threaded runtime each, made after the namespaces.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::line::{Greeting, Line};

/// Where a role finds the lab.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Place {
    /// The process that started the role; they die together.
    #[arg(long)]
    pub(super) parent: u32,
    /// The lab's directory.
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// Where logs go.
    #[arg(long)]
    pub(super) logs: PathBuf,
}

impl Place {
    /// The same place for a process that this one starts.
    pub(super) fn arguments(&self) -> [std::ffi::OsString; 6] {
        [
            "--parent".into(),
            std::process::id().to_string().into(),
            "--dir".into(),
            self.dir.clone().into(),
            "--logs".into(),
            self.logs.clone().into(),
        ]
    }
}

/// The socket on which the lab waits for its roles.
pub(super) fn control_socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// The socket of the API server.
pub(super) fn api_socket(dir: &Path) -> PathBuf {
    dir.join("api.sock")
}

/// Runs a role. If its preparation failed, the lab is told why, and the role is over.
pub(super) fn run<W>(
    name: &str,
    place: &Place,
    prepared: anyhow::Result<()>,
    work: impl FnOnce(Line) -> W,
) -> anyhow::Result<()>
where
    W: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(async {
        let mut line = Line::call(&control_socket(&place.dir)).await?;
        let greeting = Greeting {
            name: name.to_owned(),
            pid: std::process::id(),
            trouble: prepared.as_ref().err().map(|error| format!("{error:#}")),
        };
        line.send(&greeting).await?;
        match prepared {
            Ok(()) => work(line).await,
            Err(error) => Err(error),
        }
    });
    runtime.shutdown_background();
    result
}
