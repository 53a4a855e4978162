//! `herald rebalance`: what it foresees, asks for and waits for.

use std::process::Stdio;

use herald_apiserver::{Action, Fault};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    herald,
    lists::announce,
    output,
    support::{Cluster, eventually},
};

const ANNOTATION: &str = "herald.dev/rebalance";

/// Four addresses of pool `lan`, all announced by `node-1`; `node-2` is back and has none.
async fn uneven() -> Cluster {
    let cluster = Cluster::start().await;
    let controller = cluster.controller();
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1-10.1.0.4"] }));
    cluster.pool("other", json!({ "addresses": ["10.2.0.1"] }));
    for n in 1..=4 {
        let name = format!("web-{n}");
        let address = format!("10.1.0.{n}");
        let asked = json!({ "herald.dev/addresses": address });
        cluster.service(&name, asked, json!({}));
        cluster.expect(&name, &[&address], "Allocated").await;
    }
    controller.stop().await;
    for node in ["node-1", "node-2"] {
        cluster.create(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": node },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        }));
    }
    announce(
        &cluster,
        "node-1",
        &["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"],
    );
    announce(&cluster, "node-2", &[]);
    cluster
}

fn asked(cluster: &Cluster, pool: &str) -> Option<String> {
    let pool = cluster
        .api
        .get("herald.dev/v1alpha1", "AddressPool", "", pool)
        .unwrap();
    let value = &pool["metadata"]["annotations"][ANNOTATION];
    value.as_str().map(str::to_owned)
}

fn command(cluster: &Cluster, arguments: &[&str]) -> (tempfile::TempDir, Command) {
    let (directory, kubeconfig) = cluster.kubeconfig("");
    let mut command = herald(arguments);
    command.env("KUBECONFIG", kubeconfig);
    (directory, command)
}

async fn ask(cluster: &Cluster, arguments: &[&str]) -> (Option<i32>, String, String) {
    let (_directory, command) = command(cluster, arguments);
    let (done, errors) = output(command).await;
    let text = String::from_utf8(done.stdout).unwrap();
    (done.status.code(), text, errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_what_would_move_and_asks_for_nothing() {
    let cluster = uneven().await;
    let (code, table, _) = ask(&cluster, &["rebalance", "--dry-run"]).await;
    assert_eq!(code, Some(0), "{table}");
    assert!(
        table.contains("2 moves to make; nothing was asked for."),
        "{table}"
    );
    let (_, text, _) = ask(&cluster, &["rebalance", "--dry-run", "-o", "json"]).await;
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["result"], "DryRun");
    assert_eq!(told["pools"], json!(["lan", "other"]));
    let load = |node: &str, before: u32| json!({ "node": node, "before": before, "after": 2 });
    assert_eq!(told["nodes"], json!([load("node-1", 4), load("node-2", 0)]));
    for line in told["moves"].as_array().unwrap() {
        assert_eq!(
            (&line["from"], &line["to"]),
            (&json!("node-1"), &json!("node-2"))
        );
        assert_eq!(line["done"], false);
    }
    assert_eq!(told["moves"].as_array().unwrap().len(), 2);
    assert_eq!(
        (asked(&cluster, "lan"), asked(&cluster, "other")),
        (None, None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_and_waits_until_the_agents_have_moved_everything() {
    let cluster = uneven().await;
    let (_directory, mut rebalance) = command(&cluster, &["rebalance", "lan"]);
    let child = rebalance.stdout(Stdio::piped()).spawn().unwrap();
    eventually("the pool says it", async || {
        asked(&cluster, "lan").ok_or("not asked")
    })
    .await;
    assert_eq!(asked(&cluster, "other"), None);
    announce(&cluster, "node-2", &["10.1.0.1", "10.1.0.3"]);
    announce(&cluster, "node-1", &["10.1.0.2", "10.1.0.4"]);
    let done = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{text}");
    assert!(text.contains("10.1.0.3  node-1 -> node-2"), "{text}");
    assert!(text.ends_with("Rebalanced.\n"), "{text}");

    let first = asked(&cluster, "lan");
    let (code, text, _) = ask(&cluster, &["rebalance"]).await;
    assert_eq!(code, Some(0));
    assert!(text.contains("Nothing to move"), "{text}");
    assert_eq!(
        asked(&cluster, "lan"),
        first,
        "nothing is asked for in vain"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_differs_from_the_one_before() {
    let cluster = uneven().await;
    let (code, text, _) = ask(&cluster, &["rebalance", "--no-wait"]).await;
    assert_eq!(code, Some(0));
    assert!(text.contains("Asked for 2 moves"), "{text}");
    let first = asked(&cluster, "lan").unwrap();
    assert_eq!(asked(&cluster, "other").as_ref(), Some(&first));
    ask(&cluster, &["rebalance", "--no-wait"]).await;
    assert_ne!(asked(&cluster, "lan"), Some(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_may_not_or_are_not_ready_get_nothing() {
    let cluster = uneven().await;
    let patch = |patch: Value| {
        cluster
            .api
            .merge_patch("v1", "Node", "", "node-2", "", patch)
            .unwrap();
    };
    let label = "node.kubernetes.io/exclude-from-external-load-balancers";
    patch(json!({ "metadata": { "labels": { label: "" } } }));
    let (_, text, _) = ask(&cluster, &["rebalance", "--dry-run"]).await;
    assert!(text.contains("Nothing to move"), "{text}");
    patch(json!({ "metadata": { "labels": { label: null } } }));
    let (_, text, _) = ask(&cluster, &["rebalance", "--dry-run"]).await;
    assert!(text.contains("2 moves"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_said_in_one_line() {
    let cluster = uneven().await;
    let (code, _, errors) = ask(&cluster, &["rebalance", "lam"]).await;
    assert_eq!(code, Some(2));
    assert_eq!(
        errors,
        "herald: there is no AddressPool lam; there are: lan,other\n"
    );
    let forbidden = Fault::new(Action::Error {
        code: 403,
        reason: None,
        message: Some("addresspools.herald.dev is forbidden".to_owned()),
        retry_after_seconds: None,
    });
    let forbidden = forbidden.verb("patch").resource("addresspools");
    cluster.api.faults().add(forbidden);
    let (code, _, errors) = ask(&cluster, &["rebalance"]).await;
    assert_eq!(code, Some(2));
    let words = "cannot ask for a rebalance of pool lan: the API server does not allow this";
    assert!(errors.contains(words), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}
