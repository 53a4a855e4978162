//! The machine that the figures were measured on.

use std::fs;

/// Says it in three lines.
pub fn print() {
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
