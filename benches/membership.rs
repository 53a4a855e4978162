//! Heartbeats beside SWIM: `cargo bench --bench membership`.
//!
//! Agents on one segment in virtual time, once with Herald's membership and twice with `foca`: with its settings for a
//! LAN, and with settings that notice a death about as soon as Herald does. All on the same network: each datagram takes
//! 0.05 to 2 ms and is lost on its own. Everything is seeded, so the figures do not depend on the machine.
//!
//! ```text
//!   Trial ──plays──▶ World (time, network, who sees whom) ──▶ Agent: Heartbeats (herald), Swim (foca)
//!     └──▶ Figures ──▶ table or JSON
//! ```
//!
//! Not compared: what the two say besides who is alive. Herald's datagrams are signed and carry the state of the claims,
//! foca's are neither signed nor carry anything.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on has nothing to say"
)]

#[path = "membership/figures.rs"]
mod figures;
#[path = "membership/heartbeats.rs"]
mod heartbeats;
#[path = "shared/machine.rs"]
mod machine;
#[path = "membership/swim.rs"]
mod swim;
#[path = "membership/trial.rs"]
mod trial;
#[path = "membership/world.rs"]
mod world;

use std::{process::ExitCode, sync::Mutex, thread};

use clap::Parser;
use figures::{Figures, Format};
use trial::{Contestant, Trial};

/// What the command line takes.
#[derive(Debug, Parser)]
#[command(
    name = "cargo bench --bench membership --",
    about = "Measures Herald's heartbeats beside SWIM (foca), simulated in virtual time",
    after_help = "Examples:\n  cargo bench --bench membership\n  cargo bench --bench membership -- --agents 5 --agents 50\n  \
    cargo bench --bench membership -- --only foca-tuned --agents 30 --probe-period 40 --suspect 100\n  \
    cargo bench --bench membership -- --scale 10 --seed 7 -o json > figures.json"
)]
struct Options {
    /// How many agents share the segment; may be given several times.
    #[arg(long, default_values_t = [3, 30, 300], value_parser = clap::value_parser!(u16).range(2..=1_000))]
    agents: Vec<u16>,
    /// Only these; left out: all.
    #[arg(long, value_enum, value_name = "WHO")]
    only: Vec<Contestant>,
    /// What all chance comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times as long, and with how many times as many deaths.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    #[command(flatten)]
    tuned: swim::Tuned,
    /// How the result is told.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Cargo says this.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    // Without it this is `cargo test --all-targets`, which has no time for it.
    if !options.bench {
        println!("run me with: cargo bench --bench membership");
        return ExitCode::SUCCESS;
    }
    if let Err(problem) = options.tuned.check() {
        eprintln!("error: {problem}");
        return ExitCode::from(2);
    }
    if options.output == Format::Text {
        machine::print();
        println!("seed:   {}\n", options.seed);
    }
    figures::tell(options.output, &play(&options.trials()));
    ExitCode::SUCCESS
}

impl Options {
    /// Everything that is to be played, in the order of the table.
    fn trials(&self) -> Vec<Trial> {
        let all = [
            Contestant::Herald,
            Contestant::FocaLan,
            Contestant::FocaTuned,
        ];
        let wanted = |who: &Contestant| self.only.is_empty() || self.only.contains(who);
        let of = |who: Contestant| {
            let trial = move |agents: &u16| Trial {
                who,
                agents: *agents,
                seed: self.seed,
                scale: self.scale,
                tuned: self.tuned,
            };
            self.agents.iter().map(trial)
        };
        all.into_iter().filter(wanted).flat_map(of).collect()
    }
}

/// Plays all trials, one per core at a time, the largest first.
fn play(trials: &[Trial]) -> Vec<Figures> {
    let mut order: Vec<_> = trials.iter().enumerate().collect();
    order.sort_by_key(|(_, trial)| trial.agents);
    let (queue, done) = (Mutex::new(order), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no player panicked").pop();
                    let Some((at, trial)) = next else { return };
                    let figures = trial.play();
                    done.lock().expect("no player panicked").push((at, figures));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no player panicked");
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, figures)| figures).collect()
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if (0.01..=1_000.0).contains(&scale) => Ok(scale),
        _ => Err("a number from 0.01 to 1000 is needed".to_owned()),
    }
}
