//! Reads and writes the state file. Nothing that goes wrong here ends the agent, and the log says it once.
//!
//! A write goes to a file beside it, to the disk, and into place by a rename; so whoever reads sees the last whole one,
//! however the writer ended.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use herald_spi::NodeName;
use tokio::{sync::watch, task, time};
use tracing::{info, warn};

use super::Memory;

/// How often to write.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Pace {
    /// The least time between two writes.
    pub(in super::super) least: Duration,
    /// When a write that failed is tried again.
    pub(in super::super) retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            least: Duration::from_secs(1),
            retry: Duration::from_secs(10),
        }
    }
}

/// Far more than 10,000 addresses take; a file beyond that is not ours.
const LARGEST: u64 = 256 << 20;

/// Where the file lies unless told otherwise. `/run` does not outlive the node's boot, and nor should this.
pub(in super::super) fn usual(node: &NodeName) -> PathBuf {
    Path::new("/run/herald").join(format!("agent-{node}.json"))
}

/// What the file says, if there is one and it says something.
pub(in super::super) fn recall(path: &Path, node: &NodeName) -> Option<Memory> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            warn!(reason = "StateFileUnread", file = %path.display(), %error, "the state file cannot be read");
            return None;
        }
    };
    match Memory::from_text(&text, node) {
        Ok(memory) => {
            info!(file = %path.display(), addresses = memory.addresses.len(), "remembers what it knew");
            Some(memory)
        }
        Err(error) => {
            warn!(reason = error.reason(), file = %path.display(), why = %error, "the state file is passed over");
            None
        }
    }
}

/// Writes what is to be remembered, whenever that changes, until the sender is gone.
pub(in super::super) async fn keep(
    path: PathBuf,
    node: NodeName,
    mut memory: watch::Receiver<Arc<Memory>>,
    pace: Pace,
) {
    let mut failing = false;
    while memory.changed().await.is_ok() {
        let wanted = Arc::clone(&memory.borrow_and_update());
        let (to, of) = (path.clone(), node.clone());
        let written = task::spawn_blocking(move || write(&to, &wanted.to_text(&of)?));
        match written
            .await
            .unwrap_or_else(|end| Err(io::Error::other(end)))
        {
            Ok(()) => {
                if std::mem::take(&mut failing) {
                    info!(file = %path.display(), "the state file is written again");
                }
                time::sleep(pace.least).await;
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    warn!(reason = "StateFileUnwritten", file = %path.display(), %error,
                        "what this agent knows cannot be written down; trying again");
                }
                memory.mark_changed();
                time::sleep(pace.retry).await;
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > LARGEST {
        return Err(io::Error::other(format!("{length} bytes are too many")));
    }
    fs::read(path)
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    fs::create_dir_all(dir)?;
    let written = write_whole(beside, text).and_then(|()| fs::rename(beside, path));
    if written.is_err() {
        // On a full disk the half that was written is in the way.
        let _gone = fs::remove_file(beside);
        return written;
    }
    File::open(dir)?.sync_all()
}

fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{node, sample},
        *,
    };

    /// A directory that goes with the test.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("herald-{name}-{}", std::process::id()));
            let _left_over = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    fn put(path: &Path, memory: &Memory) -> io::Result<()> {
        write(path, &memory.to_text(&node("a"))?)
    }

    #[test]
    fn what_was_written_is_recalled_by_this_node_only() {
        let dir = Dir::new("recalled");
        let path = dir.0.join("run/herald/agent-a.json");
        assert_eq!(recall(&path, &node("a")), None);
        put(&path, &sample()).unwrap();
        assert_eq!(recall(&path, &node("a")), Some(sample()));
        assert_eq!(recall(&path, &node("b")), None);
        let names = fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(names.count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_writer_that_was_killed_half_way_leaves_the_last_whole_file() {
        let dir = Dir::new("killed");
        let path = dir.0.join("agent-a.json");
        put(&path, &sample()).unwrap();
        let text = sample().to_text(&node("a")).unwrap();
        fs::write(dir.0.join("agent-a.json.new"), &text[..text.len() / 2]).unwrap();
        assert_eq!(recall(&path, &node("a")), Some(sample()));
        // Nor does the half hinder the next writer.
        put(&path, &Memory::default()).unwrap();
        assert_eq!(recall(&path, &node("a")), Some(Memory::default()));
    }

    #[test]
    fn a_torn_file_is_no_memory() {
        let dir = Dir::new("torn");
        let path = dir.0.join("agent-a.json");
        let text = sample().to_text(&node("a")).unwrap();
        for length in [0, 1, text.len() / 2, text.len() - 1] {
            fs::write(&path, &text[..length]).unwrap();
            assert_eq!(recall(&path, &node("a")), None, "{length} bytes");
        }
        assert_eq!(recall(&dir.0, &node("a")), None, "a directory");
    }

    #[test]
    fn a_write_that_fails_leaves_the_last_whole_file() {
        let dir = Dir::new("failing");
        let path = dir.0.join("agent-a.json");
        put(&path, &sample()).unwrap();
        // Even root cannot write to a directory as if it were a file.
        fs::create_dir(dir.0.join("agent-a.json.new")).unwrap();
        assert!(put(&path, &Memory::default()).is_err());
        assert_eq!(recall(&path, &node("a")), Some(sample()));
        // There is always room for nothing, and never for something.
        assert!(write(Path::new("/dev/full/agent-a.json"), b"x").is_err());
    }

    #[tokio::test]
    async fn changes_are_written_and_failures_are_tried_again() {
        let dir = Dir::new("kept");
        let path = dir.0.join("agent-a.json");
        let in_the_way = dir.0.join("agent-a.json.new");
        fs::create_dir(&in_the_way).unwrap();
        let (sender, receiver) = watch::channel(Arc::default());
        let pace = Pace {
            least: Duration::from_millis(5),
            retry: Duration::from_millis(50),
        };
        let task = tokio::spawn(keep(path.clone(), node("a"), receiver, pace));
        let until = async |wanted: Option<Memory>| {
            for _ in 0..500 {
                if recall(&path, &node("a")) == wanted {
                    return true;
                }
                time::sleep(Duration::from_millis(10)).await;
            }
            false
        };
        sender.send_replace(Arc::new(sample()));
        time::sleep(pace.retry / 2).await;
        assert_eq!(recall(&path, &node("a")), None);
        fs::remove_dir(&in_the_way).unwrap();
        assert!(until(Some(sample())).await, "without another change");
        sender.send_replace(Arc::default());
        assert!(until(Some(Memory::default())).await);
        drop(sender);
        time::timeout(Duration::from_secs(5), task)
            .await
            .unwrap()
            .unwrap();
    }
}
