//! The machine, and figures against their targets.

use std::{fs, process::ExitCode, time::Duration};

/// Prints figures and remembers whether one missed its target.
#[derive(Default)]
pub struct Board {
    missed: bool,
}

impl Board {
    /// A figure that nothing was promised of.
    pub fn show(&self, what: &str, value: impl Into<String>) {
        println!("{what:<52} {}", value.into());
    }

    /// A figure that keeps a promise or not.
    pub fn target(&mut self, what: &str, value: impl Into<String>, target: &str, kept: bool) {
        self.missed |= !kept;
        let kept = if kept { "yes" } else { "NO" };
        println!("{what:<52} {:>16}   {target}: {kept}", value.into());
    }

    pub fn verdict(&self) -> ExitCode {
        ExitCode::from(u8::from(self.missed))
    }
}

pub fn machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("cpu:    {}, {cores} cores", model.unwrap_or("unknown"));
    println!("kernel: {}", read("/proc/sys/kernel/osrelease").trim());
    println!("load:   {}", read("/proc/loadavg").trim());
}

/// The one in the middle.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many of them in a second.
pub fn rate(number: u32, took: Duration) -> f64 {
    f64::from(number) / took.as_secs_f64()
}
