//! `herald status` and `herald pools`: their formats and their exit codes.

use std::process::Output;

use serde_json::{Value, json};

use super::{herald, output, support::Cluster};

/// A node says that it announces these addresses.
pub fn announce(cluster: &Cluster, node: &str, addresses: &[&str]) {
    let kind = ("herald.dev/v1alpha1", "NodeAnnouncements");
    if cluster.api.get(kind.0, kind.1, "", node).is_err() {
        cluster.create(json!({
            "apiVersion": kind.0, "kind": kind.1, "metadata": { "name": node }, "spec": {},
        }));
    }
    let addresses: Vec<_> = addresses
        .iter()
        .map(|address| {
            json!({
                "address": address, "service": "default/web", "interface": "eth0",
                "since": "2026-01-01T00:00:00Z", "state": "Announcing",
            })
        })
        .collect();
    let status = json!({ "status": {
        "announcing": addresses.len(), "abnormal": 0, "peers": 0, "addresses": addresses,
    } });
    cluster
        .api
        .merge_patch(kind.0, kind.1, "", node, "status", status)
        .unwrap();
}

async fn ask(cluster: &Cluster, arguments: &[&str]) -> (Output, String) {
    let (_directory, kubeconfig) = cluster.kubeconfig("");
    let mut command = herald(arguments);
    command.env("KUBECONFIG", &kubeconfig);
    let (done, errors) = output(command).await;
    let text = String::from_utf8(done.stdout.clone()).unwrap();
    assert_eq!(errors, "", "{arguments:?}");
    (done, text)
}

/// Every cell begins where its heading does.
#[track_caller]
fn lines_up(table: &str) {
    let lines: Vec<Vec<char>> = table.lines().map(|line| line.chars().collect()).collect();
    let header = &lines[0];
    let starts = (2..header.len())
        .filter(|at| header[at - 2..*at] == [' ', ' '] && header[*at] != ' ')
        .chain([0]);
    for start in starts {
        for line in &lines {
            assert_ne!(line.get(start), Some(&' '), "column {start}:\n{table}");
            let before = start.checked_sub(1).and_then(|at| line.get(at));
            assert!(
                matches!(before, None | Some(' ')),
                "column {start}:\n{table}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_has_four_formats_of_one_answer() {
    let cluster = Cluster::start().await;
    let controller = cluster.controller();
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1"] }));
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    cluster.service(
        "a-rather-long-name",
        json!({}),
        json!({ "externalTrafficPolicy": "Local", "loadBalancerClass": "herald.dev/layer2" }),
    );
    cluster
        .expect("a-rather-long-name", &[], "PoolExhausted")
        .await;
    controller.stop().await;
    announce(&cluster, "node-1", &["10.1.0.1"]);
    announce(&cluster, "node-2", &["10.1.0.1"]);

    let (done, table) = ask(&cluster, &["status"]).await;
    assert_eq!(done.status.code(), Some(1));
    lines_up(&table);
    assert!(table.contains('…'), "long messages are cut:\n{table}");
    assert!(table.contains("node-1 +1"), "{table}");

    let (_, wide) = ask(&cluster, &["status", "-o", "wide"]).await;
    lines_up(&wide);
    assert!(!wide.contains('…'), "nothing is cut:\n{wide}");
    for word in [
        "herald.dev/layer2",
        "Local",
        "TCP/80:",
        "node-1,node-2",
        "eth0",
        "a Service that no longer needs its own",
    ] {
        assert!(wide.contains(word), "{word}:\n{wide}");
    }

    let (_, text) = ask(&cluster, &["status", "-o", "json"]).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    let (_, yaml) = ask(&cluster, &["status", "-o", "yaml"]).await;
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), document);
    assert_eq!(document["well"], false);
    let web = &document["services"][1];
    assert_eq!(web["well"], true);
    assert_eq!(web["nodes"], json!(["node-1", "node-2"]));

    let (done, nobody) = ask(&cluster, &["status", "-n", "team-a"]).await;
    assert_eq!(done.status.code(), Some(0));
    assert!(nobody.contains("To make one"), "{nobody}");
    let (_, here) = ask(&cluster, &["status", "-n", "default"]).await;
    assert_eq!(here, table);
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_show_what_is_left_and_whether_they_are_ready() {
    let cluster = Cluster::start().await;
    let (done, none) = ask(&cluster, &["pools"]).await;
    assert_eq!(done.status.code(), Some(0));
    assert!(none.contains("kind: AddressPool"), "{none}");

    cluster.pool(
        "lan",
        json!({ "addresses": ["10.1.0.0/30", "fd77::/120"], "priority": 7 }),
    );
    let (done, pending) = ask(&cluster, &["pools"]).await;
    assert_eq!(done.status.code(), Some(1), "nobody has looked at it");
    assert!(pending.contains("False (Pending)"), "{pending}");

    let controller = cluster.controller();
    cluster.expect_pool("lan", "Ready").await;
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.0"], "Allocated").await;
    let counted = async || {
        let (done, text) = ask(&cluster, &["pools", "-o", "json"]).await;
        let document: Value = serde_json::from_str(&text).unwrap();
        let free = document["pools"][0]["families"][0]["free"].clone();
        if free == "3" {
            Ok((done, document))
        } else {
            Err(document)
        }
    };
    let (done, document) = super::eventually("the pool is counted", counted).await;
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(document["well"], true);
    assert_eq!(document["pools"][0]["families"][1]["family"], "IPv6");
    let (_, yaml) = ask(&cluster, &["pools", "-o", "yaml"]).await;
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), document);

    let young = json!({
        "addresses": ["10.1.0.2"], "namespaces": ["team-a"], "automatic": false,
        "serviceSelector": { "matchLabels": { "tier": "web" } },
    });
    cluster.pool("young", young);
    cluster.expect_pool("young", "Overlap").await;
    controller.stop().await;
    let (done, table) = ask(&cluster, &["pools"]).await;
    assert_eq!(done.status.code(), Some(1));
    lines_up(&table);
    let cells = |line: usize| -> Vec<&str> {
        let line = table.lines().nth(line).unwrap();
        line.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect()
    };
    assert_eq!(
        cells(1),
        ["lan", "True", "IPv4", "4", "1", "0", "0", "3", "7", "yes"]
    );
    assert_eq!(
        cells(2),
        [
            "lan", "True", "IPv6", "256", "0", "0", "0", "256", "7", "yes"
        ]
    );
    assert_eq!(
        cells(3),
        [
            "young",
            "False (Overlap)",
            "IPv4",
            "-",
            "-",
            "-",
            "-",
            "-",
            "0",
            "no"
        ]
    );
    let (_, wide) = ask(&cluster, &["pools", "-o", "wide"]).await;
    lines_up(&wide);
    for word in [
        "team-a",
        "tier=web",
        "Keep",
        "is also in the older pool lan",
    ] {
        assert!(wide.contains(word), "{word}:\n{wide}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_read_to_its_end() {
    let cluster = Cluster::start().await;
    for index in 0..1_001 {
        let pool = format!("pool-{index:04}");
        let address = format!("10.1.{}.{}", index / 250, index % 250);
        cluster.pool(&pool, json!({ "addresses": [address] }));
    }
    let (_, text) = ask(&cluster, &["pools", "-o", "json"]).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["pools"].as_array().unwrap().len(), 1_001);
    assert_eq!(document["pools"][1_000]["name"], "pool-1000");
}
