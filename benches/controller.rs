//! What the controller costs beside the bare API writes: `cargo bench --bench controller`.
//!
//! The controller is the real binary, the API server a process of its own: the stand-in, which is this benchmark again
//! in another role, and etcd with kube-apiserver where `KUBEBUILDER_ASSETS` names their directory. In the same run, on a
//! server just as fresh, a plain concurrent client makes the same writes for the same Services.
//!
//! ```text
//!   bench ──starts──▶ API server ◀──writes── herald controller, or the plain client
//!     └────────watches Services──────┘
//! ```
//!
//! Prints the machine, then each figure against its target. Ends with 1 if a target is missed. Words after `--` choose
//! parts: `standin`, `real`, `burst`, `restart`; `rounds=N`, `services=N` and `kept=N` change their size; `hold` only
//! sets up what a restart finds, for profilers.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot go on has nothing to say"
)]

#[path = "controller/audit.rs"]
mod audit;
#[path = "controller/board.rs"]
mod board;
#[path = "controller/burst.rs"]
mod burst;
#[path = "shared/machine.rs"]
mod machine;
#[path = "controller/objects.rs"]
mod objects;
#[path = "controller/plain.rs"]
mod plain;
#[path = "controller/program.rs"]
mod program;
#[path = "controller/real.rs"]
mod real;
#[path = "controller/restart.rs"]
mod restart;
#[path = "controller/server.rs"]
mod server;
#[path = "controller/standin.rs"]
mod standin;
#[path = "controller/watcher.rs"]
mod watcher;

use std::{path::PathBuf, process::ExitCode};

use board::Board;
use server::Kind;

/// What the words of the command line chose.
struct Choice {
    words: Vec<String>,
}

impl Choice {
    fn said(&self, word: &str) -> bool {
        self.words.iter().any(|said| said == word)
    }

    /// Whether a part is wanted, one of several that exclude one another.
    fn wants(&self, word: &str, group: [&str; 2]) -> bool {
        self.said(word) || !group.iter().any(|other| self.said(other))
    }

    fn number(&self, word: &str, otherwise: u32) -> u32 {
        let value = self
            .words
            .iter()
            .find_map(|w| w.strip_prefix(word)?.strip_prefix('='));
        value.map_or(otherwise, |value| value.parse().expect("a number after ="))
    }
}

fn main() -> ExitCode {
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let words: Vec<_> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some(standin::ROLE) => return on_runtime(standin::play()),
        Some(plain::ROLE) => return on_runtime(plain::play()),
        _ => {}
    }
    // Without it this is `cargo test --all-targets`, where unoptimised figures would mean nothing.
    if !words.iter().any(|word| word == "--bench") {
        println!("run me with: cargo bench --bench controller");
        return ExitCode::SUCCESS;
    }
    let choice = Choice { words };
    machine::print();
    on_runtime(async move {
        let mut board = Board::default();
        for kind in kinds(&choice) {
            println!("\n== {kind}");
            if choice.said("hold") {
                restart::hold(&kind, choice.number("kept", 10_000)).await?;
            }
            if choice.wants("burst", ["burst", "restart"]) {
                let size = burst::Size {
                    services: choice.number("services", 5_000),
                    rounds: choice.number("rounds", 3),
                };
                burst::run(&kind, size, &mut board).await?;
            }
            if choice.wants("restart", ["burst", "restart"]) {
                restart::run(&kind, choice.number("kept", 10_000), &mut board).await?;
            }
        }
        Ok(board.verdict())
    })
}

fn kinds(choice: &Choice) -> Vec<Kind> {
    let group = ["standin", "real"];
    let mut kinds = Vec::new();
    if choice.wants("standin", group) {
        kinds.push(Kind::Standin);
    }
    if choice.wants("real", group) {
        match std::env::var_os("KUBEBUILDER_ASSETS") {
            Some(dir) => kinds.push(Kind::Real(PathBuf::from(dir))),
            None => println!("without kube-apiserver: KUBEBUILDER_ASSETS is not set"),
        }
    }
    kinds
}

/// On two threads, like the controller.
fn on_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}
