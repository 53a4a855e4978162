//! Controller and agent have the rights that they need, and none that they do not: under exactly the roles of
//! `deploy/base/rbac.yaml` nothing is refused, and no permission is left over that nobody ever used.
//!
//! ```text
//!   test ─▶ unshare --net ─▶ this binary again: the API server, which enforces the roles, `herald controller`,
//!                              │                 `herald agent` of node one
//!                              └─ veth ── node two: an agent without API server, and a host of somebody else's
//! ```
//! Needs `ip` and `curl`, and root or user namespaces; says so and skips otherwise, and fails instead under `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

mod namespace;
mod support;
mod wire;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use herald_apiserver::{Access, Action, ApiServer, Fault};
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api, Client as Kube, Config,
    api::{Patch, PatchParams},
};
use namespace::outside;
use serde_json::{Value, json};
use support::{AGENT, CONTROLLER, Cluster, eventually, rights};
use wire::{Agent, Client, HERALD, Process, VETH};

/// Somebody who looks after Services.
const READER: &str = "jane";
const OPERATOR: &str = "joe";
const PROMETHEUS: &str = "system:serviceaccount:monitoring:prometheus";
/// Nobody listens there.
const AWAY: &str = "http://127.0.0.1:1";
const HELD: &str = "192.168.77.200";
const CONTESTED: &str = "192.168.77.201";

/// What the agent of node two has written: it holds the first address.
const STATE: &str = r#"{"version":1,"node":"two","incarnation":7,
    "nodes":{"one":{"excluded":false,"out_of_service":false,"network_unavailable":false,"deleting":false},
             "two":{"excluded":false,"out_of_service":false,"network_unavailable":false,"deleting":false}},
    "rules":[[{"interfaces":null,"nodes":"Every","services":null,"preferred":[]}]],
    "addresses":{"192.168.77.200":{"rules":0,"ignoreExcludeLabel":false,
        "services":[{"key":{"namespace":"default","name":"web"},"created":1,"policy":"Cluster"}]}},
    "claims":[{"address":"192.168.77.200","interface":"eth0","epoch":4,"held":true}],
    "macs":[]}"#;

/// A permission of a role.
type Permission = (String, String, String);

fn server() -> ApiServer {
    ApiServer::builder()
        .token_of("controller", CONTROLLER, &[])
        .token_of("agent", AGENT, &[])
        .token_of("reader", READER, &[])
        .token_of("operator", OPERATOR, &[])
        .token_of("prometheus", PROMETHEUS, &[])
        .token_of("stranger", "stranger", &[])
        .anonymous("admin", &["system:masters"])
        .enforce_rbac()
        .build()
        .unwrap()
}

/// A cluster in which Herald is installed, and people have been given its roles.
async fn cluster() -> Cluster {
    let cluster = Cluster::serve(server()).await;
    for crd in herald::api::crds() {
        cluster.create(serde_json::to_value(crd).unwrap());
    }
    cluster.create(json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "herald-system" },
    }));
    rights().into_iter().for_each(|it| drop(cluster.create(it)));
    for (user, role) in [
        (READER, "herald-reader"),
        (OPERATOR, "herald-reader"),
        (OPERATOR, "herald-operator"),
        (PROMETHEUS, "herald-metrics"),
    ] {
        let name = format!("{}-{role}", user.replace(':', "-"));
        cluster.create(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
        }));
    }
    for (name, address) in [("one", "192.168.77.1"), ("two", "192.168.77.9")] {
        cluster.create(
            json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name },
            "status": { "addresses": [{ "type": "InternalIP", "address": address }] } }),
        );
    }
    cluster
}

/// The rest of a command line, with somebody's rights.
fn herald(cluster: &Cluster, token: &str, arguments: &[&str]) -> Output {
    let (_directory, kubeconfig) = cluster.kubeconfig(token);
    Command::new(HERALD)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap()
}

fn controller(cluster: &Cluster, dir: &Path) -> Process {
    let arguments = ["--http", "0.0.0.0:9470"];
    let log = dir.join("controller.log");
    Process::controller(cluster.kubeconfig("controller"), &arguments, &log)
}

/// What `curl` hears: the code, and the body.
fn get(url: &str, token: Option<&str>) -> (String, String) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--max-time", "10"]);
    curl.args(["--write-out", "\n%{http_code}", url]);
    if let Some(token) = token {
        curl.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let done = curl.output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let (body, code) = text.rsplit_once('\n').unwrap();
    (code.to_owned(), body.to_owned())
}

/// All that a role lets do.
fn permissions(role: &str) -> BTreeSet<Permission> {
    let mut all = BTreeSet::new();
    let mine = |object: &&Value| {
        let kind = object["kind"].as_str().unwrap();
        kind.ends_with("Role") && object["metadata"]["name"] == role
    };
    for object in rights().iter().filter(mine) {
        for rule in object["rules"].as_array().unwrap() {
            let words = |key: &str| -> Vec<String> {
                let list = rule[key].as_array().unwrap().iter();
                list.map(|word| word.as_str().unwrap().to_owned()).collect()
            };
            for group in words("apiGroups") {
                for resource in words("resources") {
                    for verb in words("verbs") {
                        all.insert((group.clone(), resource.clone(), verb));
                    }
                }
            }
        }
    }
    all
}

fn used(api: &ApiServer, user: &str) -> BTreeSet<Permission> {
    let accesses = api.accesses().into_iter();
    let mine = accesses.filter(|access| access.user == user && access.allowed);
    mine.filter(|access| !access.resource.is_empty())
        .map(|access| {
            let resource = match access.subresource.is_empty() {
                true => access.resource,
                false => format!("{}/{}", access.resource, access.subresource),
            };
            (access.group, resource, access.verb)
        })
        .collect()
}

fn refused(api: &ApiServer, users: &[&str]) -> Vec<Access> {
    let accesses = api.accesses().into_iter();
    let theirs = accesses.filter(|access| users.contains(&access.user.as_str()));
    theirs.filter(|access| !access.allowed).collect()
}

/// Waits until everything that a role permits was used.
async fn exhausted(api: &ApiServer, user: &str, role: &str) {
    let granted = permissions(role);
    assert!(granted.len() > 5, "{role}: {granted:?}");
    eventually(&format!("{role} permits what nobody needs"), async || {
        let used = used(api, user);
        let left: Vec<_> = granted.difference(&used).cloned().collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// The Services, to people with all rights.
fn services(cluster: &Cluster) -> Api<Service> {
    let config = Config::new(format!("http://{}", cluster.address).parse().unwrap());
    Api::namespaced(Kube::try_from(config).unwrap(), "default")
}

/// Changes a Service as kubectl does.
async fn change(cluster: &Cluster, name: &str, change: Value) {
    let services = services(cluster);
    let patch = Patch::Merge(&change);
    let changed = services.patch(name, &PatchParams::default(), &patch).await;
    changed.unwrap();
}

fn event(cluster: &Cluster, word: &str) -> Result<(), Vec<Value>> {
    let events = cluster
        .api
        .list("events.k8s.io/v1", "Event", "", "")
        .unwrap();
    let notes: Vec<Value> = events.iter().map(|event| event["note"].clone()).collect();
    let told = notes
        .iter()
        .any(|note| note.as_str().is_some_and(|note| note.contains(word)));
    if told { Ok(()) } else { Err(notes) }
}

#[tokio::test(flavor = "multi_thread")]
async fn controller_and_agent_use_all_their_rights_and_no_others() {
    let test = "controller_and_agent_use_all_their_rights_and_no_others";
    if outside(test, &[VETH, "curl --version"]) {
        return;
    }
    let other = Client::plugged_in();
    other.run("ip link set lo up");
    let dir = tempfile::tempdir().unwrap();
    let cluster = cluster().await;
    cluster.pool(
        "lan",
        json!({ "addresses": ["192.168.77.200-192.168.77.210"] }),
    );

    let controller = controller(&cluster, dir.path());
    for name in ["web", "contested", "short-lived", "changes-its-type"] {
        let ports = json!({ "herald.dev/node-ports": "disabled" });
        let annotations = if name == "web" { ports } else { json!({}) };
        cluster.service(name, annotations, json!({}));
        eventually(&format!("{name} has an address"), async || {
            let (addresses, reason, message) = cluster.outcome(name);
            if addresses.is_empty() {
                Err((reason, message))
            } else {
                Ok(())
            }
        })
        .await;
    }
    assert_eq!(cluster.outcome("web").0, [HELD]);
    assert_eq!(cluster.outcome("contested").0, [CONTESTED]);
    cluster
        .api
        .delete("v1", "Service", "default", "short-lived")
        .unwrap();
    change(
        &cluster,
        "changes-its-type",
        json!({ "spec": { "type": "ClusterIP" } }),
    )
    .await;
    // A Service that shares an address joins its holder in the lock.
    let key = json!({ "metadata": { "annotations": { "herald.dev/sharing-key": "both" } } });
    change(&cluster, "web", key).await;
    cluster.service(
        "shares",
        json!({ "herald.dev/sharing-key": "both", "herald.dev/addresses": HELD }),
        json!({ "ports": [{ "port": 81 }] }),
    );
    cluster.expect("shares", &[HELD], "Allocated").await;

    // Somebody writes another address into the status: is it the Service's after all?
    let written = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } } });
    let written = Patch::Merge(&written);
    let services = services(&cluster);
    let params = PatchParams::default();
    let patched = services.patch_status("contested", &params, &written).await;
    patched.unwrap();
    // Where a Service is on the nodes themselves, those with an endpoint count.
    cluster.service(
        "on-nodes",
        json!({}),
        json!({ "loadBalancerClass": "herald.dev/node", "externalTrafficPolicy": "Local" }),
    );

    // The address is at node two, which dies: it moves to node one, which tells so.
    let two = dir.path().join("two");
    fs::create_dir_all(&two).unwrap();
    fs::write(two.join("agent.json"), STATE).unwrap();
    let dead = Agent::start(&two, "two", 9471, AWAY, other.command(HERALD));
    eventually("node two announces", async || {
        let log = dead.log();
        if log.contains("announcing") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    // And a host of somebody else's has another one.
    let third = other.beside("eth7", "02:00:00:00:00:77");
    third.run(&format!("ip addr add {CONTESTED}/24 dev eth7"));
    let one = dir.path().join("one");
    fs::create_dir_all(&one).unwrap();
    let api = format!("http://{}", cluster.address);
    let user = r#"{"token": "agent"}"#;
    let http = "0.0.0.0:9472";
    let agent = Agent::start_as(user, http, &one, "one", 9471, &api, Command::new(HERALD));
    eventually("node one hears node two", async || {
        let log = agent.log();
        if log.contains("is heard") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    // It tells of no moves before it had time to hear what others hold.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    drop(dead);
    eventually("the move is told", async || event(&cluster, "moved")).await;

    // Metrics and the page, from elsewhere.
    for port in [9470, 9472] {
        let url = format!("https://192.168.77.1:{port}/metrics");
        let plain = url.replace("https", "http");
        assert_eq!(
            get(&plain, Some("prometheus")).0,
            "403",
            "{url}: unencrypted"
        );
        assert_eq!(get(&url, None).0, "401", "{url}: without a token");
        assert_eq!(get(&url, Some("nonsense")).0, "401", "{url}");
        let (code, why) = get(&url, Some("stranger"));
        assert_eq!(code, "403", "{url}: {why}");
        assert!(
            why.contains("\"stranger\" cannot get path \"/metrics\""),
            "{why}"
        );
        let (code, metrics) = get(&url, Some("prometheus"));
        assert_eq!(code, "200", "{url}: {metrics}");
        assert!(metrics.contains("# EOF"), "{metrics}");
        let health = get(&plain.replace("metrics", "livez"), None);
        assert_eq!(health, ("200".to_owned(), "ok\n".to_owned()), "{url}");
        let near = format!("http://127.0.0.1:{port}/metrics");
        assert_eq!(get(&near, None).0, "200", "{near}");
    }
    let page = "https://192.168.77.1:9470/status.json";
    assert_eq!(
        get(page, Some("prometheus")).0,
        "403",
        "metrics are not the page"
    );
    assert_eq!(get("http://127.0.0.1:9470/", None).0, "200");

    exhausted(&cluster.api, CONTROLLER, "herald-controller").await;
    exhausted(&cluster.api, AGENT, "herald-agent").await;
    assert_eq!(refused(&cluster.api, &[CONTROLLER, AGENT]), []);

    // While the API server is away monitoring goes on, for whom it knew.
    cluster.api.faults().add(
        Fault::new(Action::Error {
            code: 503,
            reason: None,
            message: None,
            retry_after_seconds: None,
        })
        .resource("tokenreviews"),
    );
    let url = "https://192.168.77.1:9470/metrics";
    assert_eq!(get(url, Some("prometheus")).0, "200");
    assert_eq!(get(url, Some("somebody new")).0, "503");
    drop((controller, agent));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_and_ask_with_the_roles_for_people() {
    let cluster = cluster().await;
    cluster.pool(
        "lan",
        json!({ "addresses": ["192.168.77.200-192.168.77.210"] }),
    );
    cluster.service("web", json!({}), json!({}));
    for command in [
        &["status"][..],
        &["pools"],
        &["explain", "default/web"],
        &["check"],
    ] {
        let done = herald(&cluster, "reader", command);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!said.contains("forbidden"), "{command:?}: {said}");
        assert_ne!(done.status.code(), Some(2), "{command:?}: {said}");
    }
    // Nothing runs that would answer; asking is what counts.
    let _done = herald(&cluster, "operator", &["rebalance"]);
    let _done = herald(&cluster, "operator", &["check", "--wire", "--timeout", "1"]);
    let mut refused = refused(&cluster.api, &[READER, OPERATOR]);
    // Whether the key's Secret is there, `check` tells who may know.
    refused.retain(|access| access.resource != "secrets");
    assert_eq!(refused, []);
    let written = cluster.api.accesses();
    let mut written = written.iter().filter(|access| access.verb == "patch");
    assert!(
        written.any(|access| access.user == OPERATOR),
        "rebalance asks"
    );
}
