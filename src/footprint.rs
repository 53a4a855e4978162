//! Memory that a burst needed goes back to the system when it is over.
//!
//! A process of several threads has as many heaps, and each keeps what was freed in its midst, for the life of an agent
//! some megabytes on every node. And the code that only a start or a burst runs stays mapped, in pieces of 64 KiB and
//! more. So once nothing has changed for a while the allocator is told to give back what is free, and the kernel to map
//! code anew as it is run. The one stops each heap for the tenth of a millisecond that it takes, the other makes some
//! hundred first uses a microsecond longer; neither is done more often.

mod mapped;
mod sys;

use std::time::Duration;

use tokio::{sync::watch, time};

/// What comes after so long a calm is another burst.
const CALM: Duration = Duration::from_secs(10);

/// Gives memory back after each burst of `changes`. It never ends.
pub async fn keep_small<T>(mut changes: watch::Receiver<T>) -> ! {
    while changes.changed().await.is_ok() {
        while let Ok(Ok(())) = time::timeout(CALM, changes.changed()).await {}
        sys::give_back();
        sys::unmap_code();
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of this process, in kibibytes.
    #[cfg(target_os = "linux")]
    fn status(key: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kibibytes.unwrap().parse().unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn code_that_was_unmapped_runs_on() {
        let words = ["a constant", "of the program"].concat();
        let before = status("RssFile:");
        sys::unmap_code();
        let after = status("RssFile:");
        assert!(after < before, "{before} kB, then {after} kB");
        assert_eq!(words, "a constantof the program");
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn what_lies_free_between_things_that_stay_is_given_back() {
        // Too small to be given back alone, and every hundredth stays.
        let mut blocks: Vec<Box<[u8; 4096]>> = (0..10_000).map(|_| Box::new([1; 4096])).collect();
        let mut number = 0;
        blocks.retain(|_| {
            number += 1;
            number % 100 == 0
        });
        let before = status("VmRSS:");
        sys::give_back();
        let after = status("VmRSS:");
        assert!(after + 10_000 < before, "{before} kB, then {after} kB");
        assert_eq!(blocks.len(), 100);
    }
}
