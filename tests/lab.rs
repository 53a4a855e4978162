//! `herald lab --once` as a user runs it, and as an ordinary user in a user namespace: the whole path, from a Service
//! to an answered request, and a failover.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]
#![cfg(feature = "lab")]

use std::process::{Command, Output};

use serde_json::Value;

fn show(mut command: Command) -> Output {
    command
        .args(["lab", "--once", "--output", "json"])
        .env_remove("KUBEBUILDER_ASSETS")
        .output()
        .unwrap()
}

#[track_caller]
fn held(output: &Output) {
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = result["steps"].as_array().unwrap();
    assert!(steps.len() > 10, "{result}");
    for word in [
        "address",
        "announced",
        "neighbour",
        "answered",
        "killed",
        "recovered",
        "one owner",
        "returned",
        "page",
    ] {
        assert!(
            steps.iter().any(|step| step["step"] == word),
            "no step {word}: {result}"
        );
    }
}

/// One test, so that the two labs do not fight for the processors.
#[test]
fn every_step_of_the_show_holds() {
    let plain = show(Command::new(env!("CARGO_BIN_EXE_herald")));
    let words = String::from_utf8_lossy(&plain.stderr).into_owned();
    if !plain.status.success() && words.contains("user namespace") {
        assert!(std::env::var_os("CI").is_none(), "{words}");
        eprintln!("skipped: needs root or user namespaces: {words}");
        return;
    }
    held(&plain);
    let mut unshared = Command::new("unshare");
    unshared.args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_herald")]);
    held(&show(unshared));
}

/// The same show on etcd, kube-apiserver and, where the directory has it, kube-proxy.
#[test]
fn every_step_holds_on_a_real_control_plane() {
    let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") else {
        eprintln!("left out: KUBEBUILDER_ASSETS names no directory with etcd and kube-apiserver");
        return;
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    let command = command
        .args(["lab", "--once", "--output", "json", "--control-plane"])
        .arg(assets);
    held(&command.output().unwrap());
}
