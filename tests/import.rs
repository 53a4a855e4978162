//! Moving over from another load balancer, as the guides of `docs/migrate` tell it: the commands that stand there are
//! run, and the Service keeps its address at every moment.
//!
//! ```text
//!   test ─▶ unshare --net ─▶ this binary again: API server, `herald controller`, `herald agent`, `herald import`
//!                              └─ veth ─┬─ a host that answers for the address, as the other one's speaker does
//!                                       └─ a client that asks who does
//! ```
//! Needs `ip`, and root or user namespaces; says so and skips otherwise, and fails instead under `CI=true`.

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
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use kube::{
    Api, Client as Kube, Config,
    api::{ApiResource, DynamicObject, Patch, PatchParams, TypeMeta},
    core::GroupVersionKind,
};
use namespace::outside;
use serde_json::{Value, json};
use support::{Cluster, condition, eventually};
use wire::{Agent, Client, HERALD, MAC, Process, VETH};

const VIP: &str = "192.168.77.200";
/// The host that has the address before Herald does.
const SPEAKER: &str = "02:00:00:00:00:77";
const ASKER: &str = "02:00:00:00:00:88";

/// What a cluster has of the other one, before anything of Herald's comes.
struct Rival {
    guide: &'static str,
    definitions: &'static [(&'static str, &'static str, &'static str, bool)],
    objects: &'static str,
    /// What it has written on the Service.
    annotations: &'static str,
}

const METALLB: Rival = Rival {
    guide: "metallb",
    definitions: &[
        ("metallb.io", "v1beta1", "IPAddressPool", true),
        ("metallb.io", "v1beta1", "L2Advertisement", true),
    ],
    objects: "
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: lan, namespace: default},
 spec: {addresses: [192.168.77.200-192.168.77.210]}}
---
{apiVersion: metallb.io/v1beta1, kind: L2Advertisement, metadata: {name: lan, namespace: default}}
",
    annotations: "{metallb.io/ip-allocated-from-pool: lan}",
};
const KUBE_VIP: Rival = Rival {
    guide: "kube-vip",
    definitions: &[],
    objects: "
{apiVersion: v1, kind: ConfigMap, metadata: {name: kubevip, namespace: kube-system},
 data: {range-global: 192.168.77.200-192.168.77.210}}
",
    annotations: "{kube-vip.io/vipHost: node-7}",
};
const PURELB: Rival = Rival {
    guide: "purelb",
    definitions: &[("purelb.io", "v2", "ServiceGroup", true)],
    objects: "
{apiVersion: purelb.io/v2, kind: ServiceGroup, metadata: {name: default, namespace: default},
 spec: {local: {v4pools: [{pool: 192.168.77.200-192.168.77.210, subnet: 192.168.77.0/24}]}}}
",
    annotations: "{purelb.io/allocated-by: PureLB, purelb.io/allocated-from: default}",
};
const CILIUM: Rival = Rival {
    guide: "cilium",
    definitions: &[
        ("cilium.io", "v2", "CiliumLoadBalancerIPPool", false),
        ("cilium.io", "v2alpha1", "CiliumL2AnnouncementPolicy", false),
    ],
    objects: "
{apiVersion: cilium.io/v2, kind: CiliumLoadBalancerIPPool, metadata: {name: lan},
 spec: {blocks: [{start: 192.168.77.200, stop: 192.168.77.210}]}}
---
{apiVersion: cilium.io/v2alpha1, kind: CiliumL2AnnouncementPolicy, metadata: {name: lan},
 spec: {loadBalancerIPs: true, interfaces: [eth0]}}
",
    annotations: "{lbipam.cilium.io/ips: 192.168.77.200}",
};

fn definition(group: &str, version: &str, kind: &str, namespaced: bool) -> Value {
    let plural = match kind {
        "CiliumL2AnnouncementPolicy" => "ciliuml2announcementpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group,
            "scope": if namespaced { "Namespaced" } else { "Cluster" },
            "names": { "plural": plural, "kind": kind, "singular": kind.to_lowercase() },
            "versions": [{ "name": version, "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            } } }],
        },
    })
}

impl Rival {
    async fn cluster(&self) -> Cluster {
        let cluster = Cluster::start().await;
        for namespace in ["default", "kube-system"] {
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            let _there = cluster.api.create(namespace);
        }
        for &(group, version, kind, namespaced) in self.definitions {
            cluster.create(definition(group, version, kind, namespaced));
        }
        for object in serde_saphyr::from_multiple::<Value>(self.objects).unwrap() {
            cluster.create(object);
        }
        cluster.create(
            json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "one" },
            "status": { "addresses": [{ "type": "InternalIP", "address": "192.168.77.1" }] } }),
        );
        let annotations: Value = serde_saphyr::from_str(self.annotations).unwrap();
        cluster.service("web", annotations, json!({}));
        let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": VIP }] } } });
        let status = Patch::Merge(&status);
        let services: Api<k8s_openapi::api::core::v1::Service> =
            Api::namespaced(client(&cluster), "default");
        let params = PatchParams::default();
        let patched = services.patch_status("web", &params, &status);
        patched.await.unwrap();
        cluster
    }

    /// The lines of the guide that begin so, each a command line.
    fn commands(&self, program: &str) -> Vec<String> {
        let path = format!("docs/migrate/{}.md", self.guide);
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| line.starts_with(program))
            .map(str::to_owned)
            .collect()
    }
}

fn client(cluster: &Cluster) -> Kube {
    Kube::try_from(Config::new(
        format!("http://{}", cluster.address).parse().unwrap(),
    ))
    .unwrap()
}

fn herald(cluster: &Cluster, line: &str) -> Output {
    let (_directory, kubeconfig) = cluster.kubeconfig("test");
    let words: Vec<_> = line.split_whitespace().skip(1).collect();
    Command::new(HERALD)
        .args(words)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap()
}

/// What `kubectl apply --server-side -f -` does.
async fn apply(cluster: &Cluster, manifests: &str) {
    for object in serde_saphyr::from_multiple::<DynamicObject>(manifests).unwrap() {
        let types: TypeMeta = object.types.clone().unwrap();
        let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(client(cluster), namespace, &kind),
            None => Api::all_with(client(cluster), &kind),
        };
        let name = object.metadata.name.clone().unwrap();
        let params = PatchParams::apply("kubectl");
        let applied = api.patch(&name, &params, &Patch::Apply(&object)).await;
        applied.unwrap();
    }
}

fn controller(cluster: &Cluster, dir: &Path, provider: &str) -> Process {
    let arguments = ["--http", "127.0.0.1:0", "--default-provider", provider];
    let log = dir.join(format!("controller-{provider}.log"));
    Process::controller(cluster.kubeconfig("test"), &arguments, &log)
}

/// The hardware address that answers for the address.
fn owner(asker: &Client) -> Option<String> {
    asker.run("ip neigh flush all");
    let mut poke = asker.command("bash -c");
    poke.arg(format!("echo > /dev/udp/{VIP}/9"));
    let _sent = poke.output();
    std::thread::sleep(Duration::from_millis(100));
    let known = asker.run(&format!("ip neigh show {VIP}"));
    let mut words = known.split_whitespace();
    words.find(|word| *word == "lladdr")?;
    words.next().map(str::to_owned)
}

async fn walk(rival: &Rival) {
    let node = Client::plugged_in();
    let speaker = node.beside("eth7", SPEAKER);
    let asker = node.beside("eth8", ASKER);
    speaker.run(&format!("ip addr add {VIP}/24 dev eth7"));
    asker.run("ip addr add 192.168.77.8/24 dev eth8");
    let dir = tempfile::tempdir().unwrap();
    let cluster = rival.cluster().await;
    assert_eq!(owner(&asker).as_deref(), Some(SPEAKER));

    // Herald is there, and leaves the Services alone.
    let idle = controller(&cluster, dir.path(), "none");
    let api = format!("http://{}", cluster.address);
    let agent = Agent::start(dir.path(), "one", 9471, &api, Command::new(HERALD));

    // The import, by the guide's own words.
    let imports = rival.commands("herald import");
    let [check, import, again] = &imports[..] else {
        panic!("three imports are told: {imports:?}");
    };
    let done = herald(&cluster, check);
    let said = String::from_utf8_lossy(&done.stdout);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("create"), "{said}");
    let (import, apply_line) = import.split_once(" | ").unwrap();
    assert_eq!(apply_line, "kubectl apply --server-side -f -");
    let done = herald(&cluster, import);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    apply(&cluster, &String::from_utf8(done.stdout).unwrap()).await;
    let done = herald(&cluster, again);
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "nothing is left to change: {said}");
    assert_eq!(cluster.outcome("web").0, [VIP]);

    // Herald is told to serve: it adopts the address, and does not answer for it while another host does.
    drop(idle);
    let serving = controller(&cluster, dir.path(), "layer2");
    cluster.expect("web", &[VIP], "Allocated").await;
    let announced = || {
        let web = cluster.api.get("v1", "Service", "default", "web").unwrap();
        condition(&web["status"], "herald.dev/Announced")
    };
    eventually("the Service says who has its address", async || {
        let told = announced();
        let message = told["message"].as_str().unwrap_or_default();
        let known = told["reason"] == "AddressConflict" && message.contains(SPEAKER);
        if known {
            Ok(())
        } else {
            Err((told, agent.log()))
        }
    })
    .await;
    for _ in 0..3 {
        assert_eq!(owner(&asker).as_deref(), Some(SPEAKER));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(cluster.outcome("web").0, [VIP]);

    // The other one lets go, and Herald answers.
    speaker.run(&format!("ip addr del {VIP}/24 dev eth7"));
    let from = Instant::now();
    eventually("Herald answers", async || match owner(&asker) {
        Some(mac) if mac == MAC => Ok(()),
        other => Err(other),
    })
    .await;
    println!(
        "{}: without an owner for {:.1?}",
        rival.guide,
        from.elapsed()
    );
    assert_eq!(cluster.outcome("web").0, [VIP]);
    eventually("the Service says so", async || {
        let told = announced();
        if told["status"] == "True" {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    drop((serving, agent));
}

macro_rules! walks {
    ($($name:ident: $rival:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            if !outside(stringify!($name), &[VETH]) {
                walk(&$rival).await;
            }
        }
    )*};
}

walks! {
    the_guide_from_metallb_keeps_the_address: METALLB,
    the_guide_from_kube_vip_keeps_the_address: KUBE_VIP,
    the_guide_from_purelb_keeps_the_address: PURELB,
    the_guide_from_cilium_keeps_the_address: CILIUM,
}

/// Runs an import of a file.
fn of_file(text: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let done = Command::new(HERALD)
        .arg("import")
        .args(arguments)
        .arg("-f")
        .arg(file.path())
        .env_remove("KUBECONFIG")
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

#[test]
fn files_need_no_cluster_and_notes_are_no_manifests() {
    let text = include_str!("../src/import/fixtures/metallb.yaml");
    let (code, out, notes) = of_file(text, &["metallb"]);
    assert_eq!(code, Some(0), "{notes}");
    let kinds: Vec<String> = serde_saphyr::from_multiple::<Value>(&out)
        .unwrap()
        .iter()
        .map(|object| object["kind"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        kinds
            .iter()
            .all(|kind| kind == "AddressPool" || kind == "Service"),
        "{kinds:?}"
    );
    assert!(notes.starts_with("OBJECT"), "{notes}");
    assert!(notes.contains("BGPPeer/router"), "{notes}");
    let (_, out, _) = of_file(text, &["metallb", "-o", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["pools"][0]["metadata"]["name"], "lan");
    assert!(found["notes"].as_array().unwrap().len() > 3);
}

#[test]
fn what_cannot_be_read_is_refused_whole() {
    for (text, words) in [
        ("a: [", "is no YAML"),
        (
            "{apiVersion: metallb.io/v7, kind: IPAddressPool, metadata: {name: p}}",
            "IPAddressPool/p is of v7",
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: p}}",
            "there is nothing of MetalLB",
        ),
    ] {
        let (code, out, errors) = of_file(text, &["metallb"]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}
