//! A cluster with something to see: two pools, Services of some teams, one refused, one in conflict, some moves.

use herald_apiserver::ApiServer;
use k8s_openapi::jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::support::{Cluster, condition, eventually};

const HERALD: &str = "herald.dev/v1alpha1";

struct Wish {
    namespace: &'static str,
    name: &'static str,
    annotations: Value,
    spec: Value,
    /// The node that announces it.
    node: &'static str,
    minutes: i64,
}

fn wish(namespace: &'static str, name: &'static str, node: &'static str, minutes: i64) -> Wish {
    Wish {
        namespace,
        name,
        annotations: json!({}),
        spec: json!({ "ports": [{ "port": 443 }] }),
        node,
        minutes,
    }
}

fn wishes() -> Vec<Wish> {
    let public = || json!({ "herald.dev/pool": "public" });
    let dual = json!({ "ports": [{ "name": "http", "port": 80 }, { "name": "https", "port": 443 }], "ipFamilyPolicy": "RequireDualStack" });
    let local = json!({ "ports": [{ "port": 443 }], "externalTrafficPolicy": "Local" });
    vec![
        Wish {
            annotations: public(),
            ..wish("shop", "storefront", "node-1", 25_920)
        },
        Wish {
            annotations: public(),
            ..wish("shop", "checkout", "node-2", 25_920)
        },
        Wish {
            annotations: public(),
            ..wish("mail", "mx", "node-3", 9_500)
        },
        Wish {
            annotations: public(),
            ..wish("media", "cdn", "node-1", 9_400)
        },
        wish("infra", "dns", "node-2", 63_400),
        Wish {
            spec: dual,
            ..wish("infra", "ingress", "node-3", 38)
        },
        wish("infra", "registry", "node-1", 4_300),
        Wish {
            spec: local,
            ..wish("infra", "vpn", "node-3", 38)
        },
        wish("media", "transcode", "node-2", 2_900),
        wish("shop", "search", "node-1", 38),
        wish("team-a", "grafana", "node-2", 610),
        Wish {
            annotations: public(),
            ..wish("team-a", "demo", "", 0)
        },
        Wish {
            annotations: json!({ "herald.dev/addresses": "192.168.77.201" }),
            ..wish("team-b", "printer", "", 0)
        },
        Wish {
            annotations: json!({ "herald.dev/colour": "<img src=x onerror=alert(1)>" }),
            ..wish("team-b", "odd-request", "", 0)
        },
    ]
}

/// Makes everything, and waits until the controller has decided.
pub async fn fill(cluster: &Cluster) {
    for number in 1..=3 {
        cluster.create(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": format!("node-{number}") },
            "spec": {}, "status": {
                "addresses": [{ "type": "InternalIP", "address": format!("192.168.77.1{number}") }],
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        }));
    }
    cluster.pool(
        "lan",
        json!({ "addresses": ["192.168.77.200-192.168.77.219", "fd77::200/120"], "retention": "1h" }),
    );
    cluster.pool(
        "public",
        json!({ "addresses": ["203.0.113.8/30"], "automatic": false }),
    );
    // Another host has one of the addresses.
    cluster.create(json!({
        "apiVersion": HERALD, "kind": "AddressAllocation", "metadata": { "name": "192.168.77.212" },
        "spec": {
            "address": "192.168.77.212", "pool": "lan", "reservedUntil": ago(-9),
            "foreignUse": { "mac": "3c:52:82:1e:07:b4", "namespace": "shop", "name": "search" },
        },
    }));
    for namespace in ["shop", "mail", "media", "infra", "team-a", "team-b"] {
        cluster.create(
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }),
        );
    }
    let wishes = wishes();
    for wish in &wishes {
        let mut spec = json!({ "type": "LoadBalancer" });
        let more = wish.spec.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(more);
        cluster.create(json!({
            "apiVersion": "v1", "kind": "Service", "spec": spec,
            "metadata": {
                "namespace": wish.namespace, "name": wish.name, "annotations": wish.annotations,
            },
        }));
        decided(&cluster.api, wish).await;
    }
    // One that went, and whose address waits for it.
    let gone = wish("team-a", "preview", "", 0);
    cluster.create(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": "team-a", "name": "preview" },
        "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] },
    }));
    decided(&cluster.api, &gone).await;
    cluster
        .api
        .delete("v1", "Service", gone.namespace, gone.name)
        .unwrap();
    announce(cluster, &wishes);
    moves(cluster);
}

/// Waits until the Service has been told something.
async fn decided(api: &ApiServer, wish: &Wish) {
    eventually(wish.name, async || {
        let service = api.get("v1", "Service", wish.namespace, wish.name).unwrap();
        let told = condition(&service["status"], "herald.dev/AddressAllocated");
        if told["reason"].is_string() {
            Ok(())
        } else {
            Err(service)
        }
    })
    .await;
}

/// What the agents of the nodes would say.
fn announce(cluster: &Cluster, wishes: &[Wish]) {
    for node in ["node-1", "node-2", "node-3"] {
        let mut addresses = Vec::new();
        for wish in wishes.iter().filter(|wish| wish.node == node) {
            let service = cluster
                .api
                .get("v1", "Service", wish.namespace, wish.name)
                .unwrap();
            let ingress = service["status"]["loadBalancer"]["ingress"].clone();
            for entry in ingress.as_array().unwrap() {
                let mut said = json!({
                    "address": entry["ip"], "service": format!("{}/{}", wish.namespace, wish.name),
                    "interface": "eth0", "since": ago(wish.minutes), "state": "Announcing",
                });
                if wish.name == "transcode" {
                    said["state"] = "Conflict".into();
                    said["since"] = ago(6).into();
                    said["conflictingMac"] = "9c:8e:cd:10:44:2a".into();
                    said["message"] = "9c:8e:cd:10:44:2a claims it too; it is defended".into();
                }
                addresses.push(said);
            }
        }
        let abnormal = addresses
            .iter()
            .filter(|a| a["state"] == "Conflict")
            .count();
        let unheard = match node {
            "node-1" => json!([{ "node": "node-3", "interface": "eth1", "why": "PeerUnheard" }]),
            _ => json!([]),
        };
        cluster.create(json!({
            "apiVersion": HERALD, "kind": "NodeAnnouncements", "metadata": { "name": node }, "spec": {},
        }));
        let status = json!({ "status": {
            "announcing": addresses.len() - abnormal, "abnormal": abnormal, "peers": 2, "addresses": addresses,
            "checks": { "checked": 4, "failing": 0, "failed": [] }, "unheard": unheard,
        } });
        cluster
            .api
            .merge_patch(HERALD, "NodeAnnouncements", "", node, "status", status)
            .unwrap();
    }
}

/// What the agents told of the last hour.
fn moves(cluster: &Cluster) {
    let unheard = "is not heard any more; announced";
    for (minutes, namespace, name, address, how) in [
        (
            52,
            "infra",
            "registry",
            "192.168.77.202",
            "node-3 to node-1 (eth0): rebalanced, without a break".to_owned(),
        ),
        (
            51,
            "media",
            "cdn",
            "203.0.113.11",
            "node-3 to node-1 (eth0): rebalanced, without a break".to_owned(),
        ),
        (
            38,
            "infra",
            "ingress",
            "192.168.77.201",
            format!("node-2 to node-3 (eth0): node-2 {unheard} 412 ms after it was heard last"),
        ),
        (
            38,
            "infra",
            "vpn",
            "192.168.77.203",
            format!("node-2 to node-3 (eth0): node-2 {unheard} 415 ms after it was heard last"),
        ),
        (
            38,
            "shop",
            "search",
            "192.168.77.205",
            format!("node-2 to node-1 (eth0): node-2 {unheard} 409 ms after it was heard last"),
        ),
        (
            11,
            "team-a",
            "grafana",
            "192.168.77.206",
            "node-1 to node-2 (eth0): node-1 hands it over (its agent ends), without a break"
                .to_owned(),
        ),
    ] {
        cluster.create(json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "type": "Normal", "reason": "Moved",
            "metadata": { "namespace": namespace, "name": format!("{name}.{minutes}") },
            "action": "Announce", "eventTime": micro(minutes), "note": format!("{address} moved from {how}"),
            "regarding": { "apiVersion": "v1", "kind": "Service", "namespace": namespace, "name": name },
            "reportingController": "herald-agent", "reportingInstance": "node-1",
        }));
    }
}

fn ago(minutes: i64) -> String {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    (now - minutes.minutes()).to_string()
}

fn micro(minutes: i64) -> String {
    let now = Timestamp::now() - minutes.minutes();
    format!("{now:.6}")
}
