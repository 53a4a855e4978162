//! `--watch`: another answer after each change, through interruptions, until Ctrl-C.

use std::{process::Stdio, time::Duration};

use herald_apiserver::{Action, Fault};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout},
    time,
};

use super::{herald, support::Cluster};

struct Watch {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    errors: Lines<BufReader<ChildStderr>>,
    last: Value,
    _directory: tempfile::TempDir,
}

impl Watch {
    fn start(cluster: &Cluster, arguments: &[&str]) -> Self {
        let (directory, kubeconfig) = cluster.kubeconfig("");
        let mut child = herald(arguments)
            .env("KUBECONFIG", &kubeconfig)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            out: BufReader::new(child.stdout.take().unwrap()).lines(),
            errors: BufReader::new(child.stderr.take().unwrap()).lines(),
            child,
            last: Value::Null,
            _directory: directory,
        }
    }

    async fn line(&mut self) -> String {
        let line = time::timeout(Duration::from_secs(30), self.out.next_line());
        line.await.expect("nothing is printed").unwrap().unwrap()
    }

    /// The next document, which differs from the one before.
    async fn document(&mut self) -> Value {
        let document: Value = serde_json::from_str(&self.line().await).unwrap();
        assert_ne!(document, self.last, "printed without a change");
        self.last = document.clone();
        document
    }

    /// The next document in which this holds; those before it come from states that pass.
    async fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let document = self.document().await;
            if holds(&document) {
                return document;
            }
        }
    }

    /// Ends it as Ctrl-C does.
    async fn interrupt(mut self) -> Option<i32> {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        let end = time::timeout(Duration::from_secs(10), self.child.wait());
        end.await.expect("does not end").unwrap().code()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_prints_a_document_for_each_change_and_survives_an_interruption() {
    let cluster = Cluster::start().await;
    let mut watch = Watch::start(&cluster, &["status", "--watch", "-o", "json"]);
    let first = watch.document().await;
    assert_eq!(first, json!({ "well": true, "services": [], "agents": [] }));
    cluster.service(
        "web",
        json!({}),
        json!({ "loadBalancerClass": "herald.dev/layer2" }),
    );
    let second = watch.document().await;
    assert_eq!(second["well"], false);
    assert_eq!(second["services"][0]["state"], "Pending");

    // What is not shown prints nothing.
    cluster.service("inside", json!({}), json!({ "type": "ClusterIP" }));
    let controller = cluster.controller();
    watch
        .until(|document| document["services"][0]["state"] == "NoPool")
        .await;

    let fault = cluster
        .api
        .faults()
        .add(Fault::new(Action::RefuseConnections));
    controller.kill();
    let line = time::timeout(Duration::from_secs(30), watch.errors.next_line());
    let line = line
        .await
        .expect("the interruption is told")
        .unwrap()
        .unwrap();
    assert!(line.starts_with("herald: "), "{line}");
    assert!(line.contains("trying again"), "{line}");
    cluster.api.faults().remove(fault);
    cluster
        .api
        .delete("v1", "Service", "default", "web")
        .unwrap();
    let last = watch
        .until(|document| document["services"] == json!([]))
        .await;
    assert_eq!(last["well"], true);
    assert_eq!(watch.interrupt().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_print_another_table_into_a_pipe() {
    let cluster = Cluster::start().await;
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1"] }));
    let mut watch = Watch::start(&cluster, &["pools", "-w"]);
    assert!(watch.line().await.starts_with("NAME"));
    assert!(watch.line().await.starts_with("lan"));
    cluster.pool("more", json!({ "addresses": ["10.2.0.1"] }));
    assert_eq!(watch.line().await, "", "an empty line between");
    for start in ["NAME", "lan", "more"] {
        assert!(watch.line().await.starts_with(start));
    }
    assert_eq!(watch.interrupt().await, Some(0));
}
