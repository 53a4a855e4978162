//! What a process costs.

use std::{fs, time::Duration};

use anyhow::Context as _;

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Of all its threads, in user space and in the kernel.
    pub cpu: Duration,
    /// Resident, in MiB; and of that what is no file's, such as the program's own.
    pub resident: f64,
    pub anonymous: f64,
}

impl Cost {
    pub fn of(process: u32) -> anyhow::Result<Self> {
        let mut cpu = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            // Its first figure is the time on a processor, in nanoseconds; that of `stat` is in hundredths of a second.
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let time = schedstat.split_whitespace().next().context("no figure")?;
            cpu += Duration::from_nanos(time.parse()?);
        }
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let mebibytes = |key: &str| -> anyhow::Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kibibytes = line.context("no such line")?.trim().trim_end_matches(" kB");
            Ok(kibibytes.parse::<f64>()? / 1024.0)
        };
        Ok(Self {
            cpu,
            resident: mebibytes("VmRSS:")?,
            anonymous: mebibytes("RssAnon:")?,
        })
    }
}
