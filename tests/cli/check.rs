//! `herald check`: what it finds in whole, half-installed and crowded clusters, and how it says so.

use std::{process::Stdio, time::Duration};

use herald_apiserver::{Action, Fault};
use serde_json::{Value, json};
use tokio::time;

use super::{
    herald, output,
    support::{Cluster, Controller, eventually},
};

/// Asks; the exit code and what was printed.
async fn ask(cluster: &Cluster, arguments: &[&str]) -> (Option<i32>, String) {
    let (_directory, kubeconfig) = cluster.kubeconfig("");
    let mut command = herald(&[&["check"], arguments].concat());
    command.env("KUBECONFIG", kubeconfig);
    let (done, errors) = output(command).await;
    assert_eq!(errors, "", "{arguments:?}");
    (done.status.code(), String::from_utf8(done.stdout).unwrap())
}

/// Each finding that is not of these severities, as `severity word object`.
async fn found(cluster: &Cluster, without: &[&str]) -> (Option<i32>, Vec<String>) {
    let (code, text) = ask(cluster, &["-o", "json"]).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    let of = |finding: &Value| {
        let word = |key: &str| finding[key].as_str().unwrap().to_owned();
        [word("severity"), word("word"), word("object")]
    };
    let findings = answer["findings"].as_array().unwrap().iter().map(of);
    let findings = findings.filter(|[severity, ..]| !without.contains(&severity.as_str()));
    (code, findings.map(|it| it.join(" ")).collect())
}

const AMISS: [&str; 2] = ["ok", "skip"];

/// A node with an agent that reports.
fn node(cluster: &Cluster, name: &str, address: &str) {
    cluster.create(json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": name },
        "spec": { "podCIDRs": ["10.244.0.0/24"] },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": address }],
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    }));
    report(
        cluster,
        name,
        json!({ "host": host(address), "agent": agent("0a0b0c0d", &[]) }),
    );
}

fn host(address: &str) -> Value {
    json!({
        "kubeProxyMode": "nftables", "addresses": [address], "listening": [],
        "interfaces": [{
            "name": "eth0", "subnets": ["10.1.0.0/24"], "arpIgnore": 0, "arpAnnounce": 0, "rpFilter": 2,
        }],
        "gateways": [{ "address": "10.1.0.1", "interface": "eth0" }],
    })
}

fn agent(key: &str, dropped: &[&str]) -> Value {
    let dropped: Vec<_> = dropped
        .iter()
        .map(|why| json!({ "why": why, "since": "2026-01-01T00:00:00Z" }))
        .collect();
    json!({ "version": env!("CARGO_PKG_VERSION"), "key": key, "dropped": dropped })
}

/// What an agent applies as its status, with its own clock in it.
fn report(cluster: &Cluster, node: &str, status: Value) {
    report_at(cluster, node, status, 0);
}

fn report_at(cluster: &Cluster, node: &str, mut status: Value, ahead: i64) {
    let object = json!({
        "apiVersion": "herald.dev/v1alpha1", "kind": "NodeAnnouncements", "metadata": { "name": node },
    });
    if cluster
        .api
        .get("herald.dev/v1alpha1", "NodeAnnouncements", "", node)
        .is_err()
    {
        let mut new = object.clone();
        new["spec"] = json!({});
        cluster.create(new);
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let seconds = i64::try_from(now.as_secs()).unwrap() + ahead;
    status["clock"] = json!(jiff::Timestamp::from_second(seconds).unwrap().to_string());
    status["peers"] = status.get("peers").cloned().unwrap_or(json!(1));
    let mut full = object;
    full["status"] = status;
    cluster.api.apply_status("herald-agent", full).unwrap();
}

/// A cluster in which nothing is amiss.
async fn whole() -> (Cluster, Controller) {
    let cluster = Cluster::start().await;
    let controller = cluster.controller();
    cluster.pool("lan", json!({ "addresses": ["10.1.0.200-10.1.0.250"] }));
    for (name, address) in [("a", "10.1.0.11"), ("b", "10.1.0.12")] {
        node(&cluster, name, address);
    }
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.200"], "Allocated").await;
    (cluster, controller)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_amiss_it_says_what_was_checked() {
    let (cluster, _controller) = whole().await;
    let (code, text) = ask(&cluster, &[]).await;
    assert_eq!(code, Some(0), "{text}");
    for word in [
        "Definitions",
        "Versions",
        "Controller",
        "Agents",
        "Keys",
        "Heartbeats",
        "Clocks",
        "Kernel",
        "Pools",
        "Rivals",
    ] {
        let line = text
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(word));
        let line = line.unwrap_or_else(|| panic!("no line of {word}:\n{text}"));
        assert!(line.starts_with("ok "), "{line}");
    }
    assert!(text.contains("herald check --wire"), "{text}");
    assert_eq!(ask(&cluster, &["--quiet"]).await, (Some(0), String::new()));
    let (_, yaml) = ask(&cluster, &["-o", "yaml"]).await;
    assert!(yaml.starts_with("well: true\n"), "{yaml}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_herald_is_told_what_is_missing() {
    let cluster = Cluster::bare().await;
    let (code, found) = found(&cluster, &AMISS).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        found,
        [
            "fail CrdMissing CustomResourceDefinition/addresspools.herald.dev",
            "fail CrdMissing CustomResourceDefinition/addressallocations.herald.dev",
            "fail CrdMissing CustomResourceDefinition/nodeannouncements.herald.dev",
            "fail NoLeader Lease/herald-controller in herald-system",
            "fail PeerKeyMissing Secret/herald-peer-key in herald-system",
        ]
    );
    let (_, text) = ask(&cluster, &["-q"]).await;
    assert!(text.contains("-> herald crds | kubectl apply"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_a_line_and_no_end() {
    let (cluster, _controller) = whole().await;
    let resources = [
        "nodes",
        "services",
        "daemonsets.apps",
        "customresourcedefinitions.apiextensions.k8s.io",
    ];
    for resource in resources {
        let forbidden = Fault::new(Action::Error {
            code: 403,
            reason: None,
            message: Some(format!("{resource} is forbidden")),
            retry_after_seconds: None,
        });
        let plural = resource.split('.').next().unwrap();
        cluster
            .api
            .faults()
            .add(forbidden.verb("list").resource(plural));
    }
    let (code, text) = ask(&cluster, &["--quiet"]).await;
    assert_eq!(code, Some(2), "{text}");
    for resource in resources {
        let said = format!("could not be found out: needs verb list on {resource}");
        assert!(text.contains(&said), "{said}:\n{text}");
    }
    let (_, text) = ask(&cluster, &[]).await;
    assert!(
        text.contains("ok") && text.contains("Definitions"),
        "the rest is checked all the same:\n{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_differ_are_told_from_each_other() {
    let (cluster, _controller) = whole().await;
    let other = json!({ "host": host("10.1.0.12"), "peers": 0, "agent": {
        "version": "0.0.9", "key": "ffffffff", "dropped": [{ "why": "UnknownKey", "since": "2026-01-01T00:00:00Z" }],
    } });
    report_at(&cluster, "b", other, 60);
    let (code, found) = found(&cluster, &AMISS).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        found,
        [
            "fail KeyMismatch agents",
            "fail PeerUnheard Node/b (0 of 1)",
            "warn VersionsDiffer NodeAnnouncements",
            "warn HeartbeatsDropped Node/b",
            "warn ClockSkew Node/b",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_gone_and_another_schema_are_noticed() {
    let (cluster, controller) = whole().await;
    controller.stop().await;
    let schema = json!({ "openAPIV3Schema": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
    } });
    let name = "nodeannouncements.herald.dev";
    let crd = cluster
        .api
        .get(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "",
            name,
        )
        .unwrap();
    let mut versions = crd["spec"]["versions"].clone();
    versions[0]["schema"] = schema;
    let patch = json!({ "spec": { "versions": versions } });
    cluster
        .api
        .merge_patch(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "",
            name,
            "",
            patch,
        )
        .unwrap();
    let (_, found) = found(&cluster, &AMISS).await;
    assert_eq!(
        found,
        [
            "fail NoLeader Lease/herald-controller in herald-system",
            "warn CrdSchemaDiffers CustomResourceDefinition/nodeannouncements.herald.dev",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_controller_and_a_second_release_are_found_by_what_runs() {
    let (cluster, _controller) = whole().await;
    for (namespace, name, labels, image) in [
        (
            "metallb-system",
            "speaker",
            json!({}),
            "quay.io/metallb/speaker:v0.15.2",
        ),
        (
            "other",
            "herald-agent",
            json!({ "app.kubernetes.io/name": "herald", "app.kubernetes.io/component": "agent" }),
            "herald",
        ),
        (
            "herald-system",
            "herald-agent",
            json!({ "app.kubernetes.io/name": "herald", "app.kubernetes.io/component": "agent" }),
            "herald",
        ),
    ] {
        if namespace != "herald-system" {
            cluster.create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }));
        }
        cluster.create(json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": { "name": name, "namespace": namespace, "labels": labels },
            "spec": {
                "selector": { "matchLabels": { "a": "b" } },
                "template": {
                    "metadata": { "labels": { "a": "b" } },
                    "spec": { "containers": [{ "name": "one", "image": image }] },
                },
            },
        }));
        let status = json!({ "status": {
            "currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 2,
        } });
        cluster
            .api
            .merge_patch("apps/v1", "DaemonSet", namespace, name, "status", status)
            .unwrap();
    }
    let (code, found) = found(&cluster, &AMISS).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        found,
        [
            "fail TwoReleases Namespaces/herald-system,other",
            "warn OtherController DaemonSet/speaker in metallb-system",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_is_asked_by_the_pools_and_waited_for() {
    let (cluster, _controller) = whole().await;
    let (_directory, kubeconfig) = cluster.kubeconfig("");
    let mut command = herald(&["check", "--wire", "-o", "json"]);
    command.env("KUBECONFIG", kubeconfig).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    let asked = || {
        let pool = cluster
            .api
            .get("herald.dev/v1alpha1", "AddressPool", "", "lan")
            .unwrap();
        let value = pool["metadata"]["annotations"]["herald.dev/survey"]
            .as_str()
            .map(str::to_owned);
        value.ok_or("not asked")
    };
    let request = eventually("the pool says it", async || asked()).await;
    let survey = |node: &str, answered: Value, offers: Value| {
        let survey = json!({ "request": request, "done": true, "pools": ["lan"], "interfaces": [{
            "interface": "eth0", "by": "a", "asked": 50, "answered": answered, "offers": offers,
        }] });
        let address = if node == "a" {
            "10.1.0.11"
        } else {
            "10.1.0.12"
        };
        let status =
            json!({ "host": host(address), "agent": agent("0a0b0c0d", &[]), "survey": survey });
        report(&cluster, node, status);
    };
    let mac = "02:00:00:00:00:99";
    survey(
        "a",
        json!([{ "address": "10.1.0.210", "mac": mac }]),
        json!([{ "server": "10.1.0.2", "mac": mac, "address": "10.1.0.201" }]),
    );
    survey("b", json!([]), json!([]));
    let done = time::timeout(Duration::from_secs(60), child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
    let amiss: Vec<_> = answer["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["severity"] == "fail")
        .collect();
    assert_eq!(amiss.len(), 2, "{amiss:?}");
    assert_eq!(
        (&amiss[0]["word"], &amiss[0]["object"]),
        (&json!("AddressAnswered"), &json!("AddressPool/lan"))
    );
    let repair = amiss[0]["repair"].as_str().unwrap();
    assert!(
        repair.contains(r#"-p '{"spec":{"exclude":["10.1.0.210"]}}'"#),
        "{repair}"
    );
    assert_eq!(amiss[1]["word"], "DhcpInPool");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_stay_silent_and_pools_that_may_not_be_patched_are_told() {
    let (cluster, _controller) = whole().await;
    let (code, text) = ask(&cluster, &["--wire", "--timeout", "1", "--quiet"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("WireUnanswered") && text.contains("Node/a, b"),
        "{text}"
    );
    let forbidden = Fault::new(Action::Error {
        code: 403,
        reason: None,
        message: Some("addresspools.herald.dev is forbidden".to_owned()),
        retry_after_seconds: None,
    });
    cluster
        .api
        .faults()
        .add(forbidden.verb("patch").resource("addresspools"));
    let (code, text) = ask(&cluster, &["--wire", "--quiet"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("needs verb patch on addresspools.herald.dev"),
        "{text}"
    );
}
