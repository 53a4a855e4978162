//! `herald rebalance` where three real agents move real addresses: in the lab, whose show leaves a node with nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]
#![cfg(feature = "lab")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// A lab that stays up; it ends with the test.
struct Lab {
    process: Child,
    kubeconfig: String,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).unwrap();
        // One that has ended is as good.
        let _ended = kill(Pid::from_raw(pid), Signal::SIGINT);
        let _ended = self.process.wait();
    }
}

/// A lab after its show; `None` where it cannot be.
fn lab() -> Option<Lab> {
    let mut process = Command::new(env!("CARGO_BIN_EXE_herald"))
        .arg("lab")
        .env_remove("KUBEBUILDER_ASSETS")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut told = String::new();
    for line in lines.map_while(Result::ok) {
        if let Some(kubeconfig) = line.trim().strip_prefix("export KUBECONFIG=") {
            let kubeconfig = kubeconfig.to_owned();
            return Some(Lab {
                process,
                kubeconfig,
            });
        }
        told += &(line + "\n");
    }
    let errors = process.wait_with_output().unwrap().stderr;
    let errors = String::from_utf8_lossy(&errors).into_owned();
    assert!(errors.contains("user namespace"), "{told}{errors}");
    assert!(std::env::var_os("CI").is_none(), "{errors}");
    eprintln!("skipped: needs root or user namespaces: {errors}");
    None
}

fn rebalance(lab: &Lab, arguments: &[&str]) -> Value {
    let done = Command::new(env!("CARGO_BIN_EXE_herald"))
        .args(["rebalance", "-o", "json"])
        .args(arguments)
        .env("KUBECONFIG", &lab.kubeconfig)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}{errors}");
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn the_agents_share_evenly_again_after_a_node_came_back() {
    let Some(lab) = lab() else { return };
    let foreseen = rebalance(&lab, &["--dry-run"]);
    let moves = foreseen["moves"].as_array().unwrap().len();
    assert!(moves > 0, "the show leaves a node with nothing: {foreseen}");
    let done = rebalance(&lab, &[]);
    assert_eq!(done["result"], "Rebalanced", "{done}");
    let moved = done["moves"].as_array().unwrap();
    assert_eq!(moved.len(), moves, "{done}");
    assert!(moved.iter().all(|line| line["done"] == true), "{done}");
    let loads = done["nodes"].as_array().unwrap();
    let loads: Vec<_> = loads.iter().map(|l| l["after"].as_u64().unwrap()).collect();
    let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
    assert!(most - least <= 1, "{done}");
    let again = rebalance(&lab, &[]);
    assert_eq!(again["result"], "Balanced", "{again}");
}
