//! Tests in a network namespace of their own: the test binary starts itself again in one.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy.toml exempts only the test functions themselves"
)]

use std::process::Command;

const INSIDE: &str = "HERALD_TEST_INSIDE_NETNS";

/// Runs the test once more in a network namespace of its own, if these commands work in such a one; true when that is
/// done, or cannot be done.
pub fn outside(test: &str, needs: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let unshare = |program: &str| {
        let mut command = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.arg("--net").arg(program);
        command
    };
    let able = |line: &&str| {
        let mut words = line.split(' ');
        let mut command = unshare(words.next().unwrap_or_default());
        let done = command.args(words).output();
        done.is_ok_and(|done| done.status.success())
    };
    if let Some(line) = needs.iter().find(|line| !able(line)) {
        let why = format!("needs root or user namespaces, and `{line}`");
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "{why}"
        );
        println!("skipped: {why}");
        return true;
    }
    let this = std::env::current_exe().unwrap();
    let done = unshare(this.to_str().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(done.success(), "failed inside the namespace");
    true
}
