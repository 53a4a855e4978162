//! The lab's directory and its logs. Nothing of the directory is left when the lab is over.

use std::{
    fs::{self, DirBuilder, File},
    io::{ErrorKind, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::unistd::geteuid;

/// The kernel takes paths of unix sockets up to 107 octets; the longest name in the directory is short.
const LONGEST_PATH: usize = 80;
/// What the directories of all labs are called, before the process id.
const PREFIX: &str = "herald-lab-";
/// The file that is locked as long as the lab lives.
const LOCK: &str = "lock";
const SWEEPS: u32 = 20;
const SWEEP_PAUSE: Duration = Duration::from_millis(50);
/// How many lines of a log are shown.
const TAIL: usize = 12;

/// A directory for this lab alone. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Floor {
    dir: PathBuf,
    logs: PathBuf,
    kept: bool,
    _lock: File,
}

impl Floor {
    /// Makes the directory; logs go into `keep_logs`, or below the directory and away with it.
    pub(super) fn new(keep_logs: Option<&Path>) -> anyhow::Result<Self> {
        let name = format!("{PREFIX}{}", std::process::id());
        let places = [std::env::temp_dir(), PathBuf::from("/tmp")].map(|place| place.join(&name));
        let fits = |dir: &&PathBuf| dir.as_os_str().as_bytes().len() <= LONGEST_PATH;
        let Some(dir) = places.iter().find(fits) else {
            bail!("no place for the lab's directory")
        };
        dir.parent().into_iter().for_each(sweep_after_others);
        // Who called sudo must get to the kubeconfig; all else in here is root's.
        let mode = if behind_sudo().is_some() {
            0o711
        } else {
            0o700
        };
        DirBuilder::new().mode(mode).create(dir).with_context(|| {
            format!(
                "cannot make {}: set TMPDIR to a directory that you may write to",
                dir.display()
            )
        })?;
        let lock = File::create(dir.join(LOCK)).context("cannot make the lab's lock")?;
        lock.try_lock().context("another lab has this lab's lock")?;
        let mut floor = Self {
            logs: dir.join("logs"),
            dir: dir.clone(),
            kept: false,
            _lock: lock,
        };
        if let Some(logs) = keep_logs {
            floor.logs = std::path::absolute(logs).context("an ill path for --keep-logs")?;
            floor.kept = true;
        }
        fs::create_dir_all(&floor.logs)
            .with_context(|| format!("cannot make {}", floor.logs.display()))?;
        Ok(floor)
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where logs go.
    pub(super) fn logs(&self) -> &Path {
        &self.logs
    }

    /// Whether the logs outlive the lab.
    pub(super) fn keeps_logs(&self) -> bool {
        self.kept
    }

    /// The file of one process's log.
    pub(super) fn log(&self, process: &str) -> PathBuf {
        self.logs.join(format!("{process}.log"))
    }

    /// The last lines of one process's log.
    pub(super) fn tail(&self, process: &str) -> Vec<String> {
        let text = fs::read(self.log(process)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines
            .get(lines.len().saturating_sub(TAIL)..)
            .unwrap_or_default()
            .to_vec()
    }
}

/// Writes a file that nobody else may read.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The user and group who called `sudo`, if that is how this process was started.
pub(super) fn behind_sudo() -> Option<(u32, u32)> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    (geteuid().is_root()).then_some((number("SUDO_UID")?, number("SUDO_GID")?))
}

/// Removes a lab's directory. A process that is about to die may write to it once more.
pub(super) fn sweep(dir: &Path) {
    for _ in 0..SWEEPS {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => thread::sleep(SWEEP_PAUSE),
            _ => return,
        }
    }
}

/// Removes the directories of labs that died too early to have a switch that does it. Theirs is the lock of a lab
/// that lives, in whatever process namespace.
fn sweep_after_others(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    for dir in entries.flatten().map(|entry| entry.path()) {
        let name = dir.file_name().unwrap_or_default();
        if name.as_bytes().starts_with(PREFIX.as_bytes())
            && File::open(dir.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
        {
            sweep(&dir);
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        sweep(&self.dir);
    }
}
