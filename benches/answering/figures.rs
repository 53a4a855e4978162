//! The figures beside their targets, told as text or as JSON.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{
    client::{Answerer, Latencies, Protocol},
    flood::Flood,
};

/// How much later than the kernel's the median answer may come, and when 99 of 100 have to be there; microseconds.
const ABOVE_THE_KERNEL: f64 = 100.0;
const P99: f64 = 1_000.0;
/// What unrelated frames may cost the agent, in seconds on a processor.
const FLOOD: f64 = 0.05;
/// Of an agent with [`USUAL`] addresses: MiB, and the share of a core.
const RESIDENT: f64 = 15.0;
const SHARE: f64 = 0.005;
const USUAL: u32 = 1_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// All that was seen with so many addresses.
#[derive(Debug)]
pub struct Measured {
    pub addresses: u32,
    pub latencies: Vec<Latencies>,
    pub idle: Idle,
    pub flood: Flood,
}

/// The agent while nobody asks.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Of a core.
    pub share: f64,
    /// MiB, and of that what is no file's.
    pub resident: f64,
    pub anonymous: f64,
}

/// All figures so far.
pub struct Board {
    format: Format,
    measured: Vec<Value>,
}

impl Board {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            measured: Vec::new(),
        }
    }

    pub fn add(&mut self, measured: Measured) {
        match self.format {
            Format::Text => measured.print(),
            Format::Json => self.measured.push(measured.json()),
        }
    }

    /// Tells what is to be told at the end.
    pub fn tell(&self) {
        if self.format == Format::Json {
            println!("{:#}", Value::from(self.measured.clone()));
        }
    }
}

impl Measured {
    fn print(&self) {
        println!("\n== {} addresses", self.addresses);
        for latencies in &self.latencies {
            println!(
                "{} answered by {}: median {:>6.1} µs  p99 {:>7.1} µs  worst {:>8.1} µs  of {}, {} lost",
                latencies.protocol,
                latencies.answerer,
                latencies.percentile(50),
                latencies.percentile(99),
                latencies.percentile(100),
                latencies.answered(),
                latencies.lost
            );
        }
        for (protocol, above) in self.above() {
            let met = met(above <= ABOVE_THE_KERNEL);
            println!(
                "{protocol}, median above the kernel's: {above:.1} µs (target {ABOVE_THE_KERNEL} µs: {met})"
            );
        }
        let slow = self.of(Answerer::Herald).map(|it| it.percentile(99));
        let slow = slow.fold(0.0, f64::max);
        println!("p99: {slow:.1} µs (target {P99} µs: {})", met(slow < P99));
        let Idle {
            share,
            resident,
            anonymous,
        } = self.idle;
        let percent = share * 100.0;
        if self.addresses == USUAL {
            println!(
                "memory (RSS): {resident:.1} MiB, {anonymous:.1} MiB without the files' (target {RESIDENT} MiB: {})",
                met(resident < RESIDENT)
            );
            println!(
                "idle: {percent:.2} % of a core (target {} %: {})",
                SHARE * 100.0,
                met(share < SHARE)
            );
        } else {
            println!(
                "memory (RSS): {resident:.1} MiB, {anonymous:.1} MiB without the files'\nidle: {percent:.2} % of a core"
            );
        }
        let Flood {
            arrived,
            passed,
            took,
            cpu,
        } = self.flood;
        let cpu = cpu.as_secs_f64();
        println!(
            "{arrived} unrelated frames in {took:.2?}: {passed} passed the filters, {cpu:.4} s of CPU (target {FLOOD} s: {})",
            met(cpu < FLOOD)
        );
    }

    fn json(&self) -> Value {
        let latencies = self.latencies.iter().map(|it| {
            json!({
                "protocol": it.protocol.to_string(), "answeredBy": it.answerer.to_string(),
                "microseconds": { "median": it.percentile(50), "p99": it.percentile(99), "worst": it.percentile(100) },
                "answered": it.answered(), "lost": it.lost,
            })
        });
        json!({
            "addresses": self.addresses,
            "latencies": latencies.collect::<Vec<_>>(),
            "residentMebibytes": self.idle.resident,
            "anonymousMebibytes": self.idle.anonymous,
            "idleShareOfCore": self.idle.share,
            "unrelated": {
                "arrived": self.flood.arrived, "passed": self.flood.passed,
                "seconds": self.flood.took.as_secs_f64(), "cpuSeconds": self.flood.cpu.as_secs_f64(),
            },
        })
    }

    fn of(&self, answerer: Answerer) -> impl Iterator<Item = &Latencies> {
        self.latencies
            .iter()
            .filter(move |it| it.answerer == answerer)
    }

    /// How much later than the kernel's the agent's median answer comes.
    fn above(&self) -> impl Iterator<Item = (Protocol, f64)> {
        self.of(Answerer::Herald).filter_map(|herald| {
            let kernel = self
                .of(Answerer::Kernel)
                .find(|it| it.protocol == herald.protocol)?;
            Some((
                herald.protocol,
                herald.percentile(50) - kernel.percentile(50),
            ))
        })
    }
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
