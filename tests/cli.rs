//! The binary as a user meets it: every refusal is one clear message that says what to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

#[path = "cli/check.rs"]
mod check;
#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/lists.rs"]
mod lists;
#[path = "cli/rebalance.rs"]
mod rebalance;
mod support;
#[path = "cli/watch.rs"]
mod watch;

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use herald_apiserver::{Action, ApiServer, Fault};
use serde_json::{Value, json};
use support::{Cluster, eventually};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time,
};

fn herald(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    command
        .args(arguments)
        .env_remove("KUBECONFIG")
        .env("HOME", "/nonexistent")
        .kill_on_drop(true);
    command
}

async fn output(mut command: Command) -> (Output, String) {
    let output = time::timeout(Duration::from_secs(60), command.output())
        .await
        .unwrap()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, errors)
}

/// Runs until the line appears on standard error; returns the process and all lines so far.
async fn until(mut command: Command, words: &str) -> (Child, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut seen = String::new();
    let wait = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            seen.push_str(&line);
            seen.push('\n');
            if line.contains(words) {
                return true;
            }
        }
        false
    };
    let found = time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap_or(false);
    assert!(found, "{words:?} never said:\n{seen}");
    (child, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cluster_it_says_how_to_give_one() {
    for arguments in [
        &["status"][..],
        &["status", "--watch"],
        &["pools"],
        &["explain", "default/web"],
        &["check"],
        &["rebalance"],
        &["controller"],
        &["agent", "--node-name", "n"],
    ] {
        let (output, errors) = output(herald(arguments)).await;
        assert!(!output.status.success());
        let is_question = matches!(
            arguments,
            ["status" | "pools" | "explain" | "check" | "rebalance", ..]
        );
        assert_eq!(output.status.code() == Some(2), is_question, "{errors}");
        assert!(
            errors.contains("no cluster found: set KUBECONFIG"),
            "{errors}"
        );
        assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_has_examples_and_the_definitions_are_yaml() {
    let (help, _) = output(herald(&["--help"])).await;
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("herald crds | kubectl apply -f -"), "{help}");
    let (crds, _) = output(herald(&["crds"])).await;
    assert_eq!(
        String::from_utf8(crds.stdout).unwrap(),
        herald::api::crds_yaml().unwrap()
    );
}

/// A real shell completes a command, an option and a value.
#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_what_there_is() {
    let (script, _) = output(herald(&["completion", "bash"])).await;
    let script = String::from_utf8(script.stdout).unwrap();
    for (words, wanted, other) in [
        ("herald reb", "rebalance", "status"),
        ("herald import ", "kube-vip", "rebalance"),
        ("herald status --wa", "--watch", "--namespace"),
    ] {
        let typed: Vec<_> = words.split(' ').collect();
        let last = typed.len() - 1;
        let test = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_WORDS[{last}]={:?}; COMP_CWORD={last}\n\
             _herald herald {:?} {:?}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            typed[last],
            typed[last],
            typed[last - 1],
        );
        let mut bash = Command::new("bash");
        bash.args(["-c", &test]).kill_on_drop(true);
        let (completed, errors) = output(bash).await;
        let completed = String::from_utf8(completed.stdout).unwrap();
        let completed: Vec<_> = completed.lines().collect();
        assert!(
            completed.contains(&wanted),
            "{words:?}: {completed:?} {errors}"
        );
        assert!(!completed.contains(&other), "{words:?}: {completed:?}");
    }
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        let (script, _) = output(herald(&["completion", shell])).await;
        let script = String::from_utf8(script.stdout).unwrap();
        assert!(script.contains("rebalance"), "{shell}: {script}");
        // What only the lab starts itself is nobody's to complete.
        assert!(!script.contains("lab-role"), "{shell}: {script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_named_as_such() {
    let api = ApiServer::builder()
        .token("right", "somebody")
        .build()
        .unwrap();
    let cluster = Cluster::serve(api).await;
    let (_directory, kubeconfig) = cluster.kubeconfig("wrong");
    let mut status = herald(&["status"]);
    status.env("KUBECONFIG", &kubeconfig);
    let (done, errors) = output(status).await;
    assert!(!done.status.success());
    assert!(errors.contains("refused the credentials"), "{errors}");

    let mut controller = herald(&["controller", "--http", "127.0.0.1:0"]);
    controller.env("KUBECONFIG", &kubeconfig);
    let (_child, lines) = until(controller, "going on with what is known").await;
    assert!(lines.contains("refused the credentials"), "{lines}");
    assert_eq!(
        lines.matches("going on with what is known").count(),
        1,
        "said once: {lines}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_definitions_are_named_with_the_command_that_installs_them() {
    let cluster = Cluster::bare().await;
    let (_directory, kubeconfig) = cluster.kubeconfig("");
    let mut status = herald(&["status"]);
    status.env("KUBECONFIG", &kubeconfig);
    let (done, errors) = output(status).await;
    assert!(!done.status.success());
    assert!(errors.contains("herald crds | kubectl apply"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_hangs_ends_a_question_with_words() {
    let cluster = Cluster::start().await;
    cluster.api.faults().add(Fault::new(Action::Hang));
    let (_directory, kubeconfig) = cluster.kubeconfig("");
    let mut status = herald(&["status"]);
    status.env("KUBECONFIG", &kubeconfig);
    let (done, errors) = output(status).await;
    assert!(!done.status.success());
    assert_eq!(
        done.status.code(),
        Some(2),
        "not the answer that something is amiss"
    );
    assert!(errors.contains("did not answer"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_of_every_service_and_whether_all_is_well() {
    let cluster = Cluster::start().await;
    let controller = cluster.controller();
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &[], "NoPool").await;
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1"] }));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    cluster.service("late", json!({}), json!({}));
    cluster.expect("late", &[], "PoolExhausted").await;
    controller.stop().await;
    let (_directory, kubeconfig) = cluster.kubeconfig("");
    let ask = async |arguments: &[&str]| {
        let mut status = herald(arguments);
        status.env("KUBECONFIG", &kubeconfig);
        output(status).await.0
    };
    let unannounced = ask(&["status", "-o", "json"]).await;
    assert!(!unannounced.status.success());
    let told: Value = serde_json::from_slice(&unannounced.stdout).unwrap();
    let states: Vec<_> = told["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (&s["name"], &s["state"]))
        .collect();
    assert_eq!(
        states,
        [
            (&json!("late"), &json!("PoolExhausted")),
            (&json!("web"), &json!("Unannounced"))
        ]
    );

    cluster
        .api
        .delete("v1", "Service", "default", "late")
        .unwrap();
    cluster.create(json!({
        "apiVersion": "herald.dev/v1alpha1", "kind": "NodeAnnouncements", "metadata": { "name": "node-1" }, "spec": {},
    }));
    let announced = json!({ "status": { "announcing": 1, "abnormal": 0, "peers": 0, "addresses": [{
        "address": "10.1.0.1", "service": "default/web", "interface": "eth0",
        "since": "2026-01-01T00:00:00Z", "state": "Announcing",
    }] } });
    cluster
        .api
        .merge_patch(
            "herald.dev/v1alpha1",
            "NodeAnnouncements",
            "",
            "node-1",
            "status",
            announced,
        )
        .unwrap();
    let well = ask(&["status"]).await;
    let table = String::from_utf8(well.stdout).unwrap();
    assert!(well.status.success(), "{table}");
    let row = table.lines().nth(1).unwrap();
    for word in ["default", "web", "10.1.0.1", "lan", "node-1", "Announcing"] {
        assert!(row.contains(word), "{table}");
    }
    assert!(!table.contains('\u{1b}'), "no colours into a pipe");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_the_right_to_packet_sockets_says_what_it_needs() {
    let cluster = Cluster::start().await;
    let (_directory, kubeconfig) = cluster.kubeconfig("");
    // A user namespace of its own gives no right over this network namespace, whoever runs the test.
    let mut agent = Command::new("unshare");
    agent
        .args([
            "--user",
            "--map-root-user",
            env!("CARGO_BIN_EXE_herald"),
            "agent",
            "--node-name",
            "n1",
        ])
        .args(["--http", "127.0.0.1:0"])
        .env("KUBECONFIG", &kubeconfig);
    let (done, errors) = output(agent).await;
    if errors.starts_with("unshare:") {
        assert!(
            std::env::var_os("CI").is_none(),
            "user namespaces are needed: {errors}"
        );
        eprintln!("skipped: needs user namespaces: {errors}");
        return;
    }
    assert!(!done.status.success());
    assert!(errors.contains("CAP_NET_RAW"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_ends_within_two_seconds_and_gives_the_lease_back() {
    let cluster = Cluster::start().await;
    let (_directory, kubeconfig) = cluster.kubeconfig("");
    let mut controller = herald(&[
        "controller",
        "--http",
        "127.0.0.1:0",
        "--log-format",
        "json",
    ]);
    controller.env("KUBECONFIG", &kubeconfig);
    let (mut child, lines) = until(controller, "serving\"").await;
    for line in lines.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert!(child.wait().await.unwrap().success());
    let holder = eventually("the Lease is free", async || {
        let lease = cluster
            .api
            .get(
                "coordination.k8s.io/v1",
                "Lease",
                "herald-system",
                "herald-controller",
            )
            .unwrap();
        let holder = lease["spec"]["holderIdentity"].clone();
        if holder.is_null() || holder == "" {
            Ok(holder)
        } else {
            Err(holder)
        }
    })
    .await;
    assert!(holder.is_null() || holder == "");
}
