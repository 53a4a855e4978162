//! `herald lab --provider aws-nlb --once` as a user runs it, in an AWS that is moto: from a Service with two ports to an
//! empty account.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]
#![cfg(feature = "lab")]

use std::process::{Command, Output};

use moto::Moto;
use serde_json::Value;

#[path = "moto/mod.rs"]
mod moto;
#[path = "venv/mod.rs"]
mod venv;

fn show(endpoint: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    command
        .args(["lab", "--provider", "aws-nlb", "--once", "--output", "json"])
        .env_remove("KUBEBUILDER_ASSETS")
        .env_remove("AWS_ENDPOINT_URL");
    if let Some(endpoint) = endpoint {
        command.env("AWS_ENDPOINT_URL", endpoint);
    }
    command.output().unwrap()
}

#[test]
fn a_balancer_comes_changes_and_goes_without_a_trace() {
    let tmp = env!("CARGO_TARGET_TMPDIR");
    let Some(python) = venv::python(tmp, "moto", "moto", moto::REQUIREMENTS) else {
        return;
    };
    let moto = Moto::start(&python);
    let output = show(Some(&moto.endpoint));
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps: Vec<&str> = result["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["step"].as_str())
        .collect();
    assert_eq!(
        steps,
        [
            "api", "account", "objects", "herald", "applied", "hostname", "targets", "changed",
            "targets", "health", "refused", "deleted", "empty",
        ],
        "{result}"
    );
}

/// Nothing is made in an AWS that may be somebody's.
#[test]
fn only_an_aws_on_this_machine_will_do() {
    for (endpoint, says) in [
        (None, "AWS_ENDPOINT_URL names none"),
        (
            Some("https://ec2.eu-west-1.example.com"),
            "only in an AWS on this machine",
        ),
        (Some("http://127.0.0.1:1"), "moto_server"),
    ] {
        let output = show(endpoint);
        let progress = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{endpoint:?}");
        assert!(progress.contains(says), "{endpoint:?}: {progress}");
    }
}
