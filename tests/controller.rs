//! The controller against the stand-in API server: what users see of it, also when things go wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

mod support;

use std::time::Duration;

use herald::cluster::Classes;
use herald_apiserver::{Action, Fault};
use serde_json::json;
use support::{Cluster, eventually, quiet};
use tokio::time;

#[tokio::test(flavor = "multi_thread")]
async fn services_get_addresses_of_their_families_and_keep_them_through_restarts() {
    let cluster = Cluster::start().await;
    cluster.pool(
        "lan",
        json!({ "addresses": ["192.168.77.200-192.168.77.250", "fd77::200/120"] }),
    );
    cluster.service("web", json!({}), json!({}));
    cluster.service(
        "dual",
        json!({}),
        json!({ "ipFamilyPolicy": "RequireDualStack" }),
    );
    cluster.service("six", json!({}), json!({ "ipFamilies": ["IPv6"] }));
    cluster.service(
        "foreign",
        json!({}),
        json!({ "loadBalancerClass": "example.com/lb" }),
    );
    let controller = cluster.controller();
    let asked = json!({ "herald.dev/addresses": "192.168.77.210" });
    cluster.service("asked", asked, json!({}));
    cluster.service(
        "spec",
        json!({}),
        json!({ "loadBalancerIP": "192.168.77.211" }),
    );
    cluster
        .expect("asked", &["192.168.77.210"], "Allocated")
        .await;
    cluster
        .expect("spec", &["192.168.77.211"], "Allocated")
        .await;
    let message = cluster
        .expect("web", &["192.168.77.201"], "Allocated")
        .await;
    assert_eq!(message, "192.168.77.201 from pool lan");
    cluster
        .expect("dual", &["192.168.77.200", "fd77::200"], "Allocated")
        .await;
    cluster.expect("six", &["fd77::201"], "Allocated").await;
    cluster.expect("foreign", &[], "").await;
    let web = cluster.api.get("v1", "Service", "default", "web").unwrap();
    assert_eq!(web["status"]["loadBalancer"]["ingress"][0]["ipMode"], "VIP");
    assert_eq!(
        web["metadata"]["annotations"]["herald.dev/allocated-from"],
        "lan"
    );
    cluster.expect_pool("lan", "Ready").await;
    let events = cluster
        .api
        .list("events.k8s.io/v1", "Event", "default", "")
        .unwrap();
    assert!(
        events
            .iter()
            .any(|e| e["reason"] == "Allocated" && e["regarding"]["name"] == "web")
    );

    controller.stop().await;
    let before: Vec<_> = ["web", "dual", "six", "asked"]
        .map(|name| cluster.outcome(name))
        .into();
    let versions = |kind| {
        let objects = cluster.api.list("v1", kind, "default", "").unwrap();
        objects
            .iter()
            .map(|o| o["metadata"]["resourceVersion"].clone())
            .collect::<Vec<_>>()
    };
    let services = versions("Service");
    let second = cluster.controller();
    quiet(&cluster.api).await;
    let after: Vec<_> = ["web", "dual", "six", "asked"]
        .map(|name| cluster.outcome(name))
        .into();
    assert_eq!(before, after);
    assert_eq!(
        services,
        versions("Service"),
        "a restart writes to no Service"
    );
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_why_and_cost_nothing() {
    let cluster = Cluster::start().await;
    let controller = cluster.controller();
    cluster.service("web", json!({}), json!({}));
    let message = cluster.expect("web", &[], "NoPool").await;
    assert!(
        message.contains("no pool") || message.contains("AddressPool"),
        "{message}"
    );
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1-10.1.0.2"] }));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    for (name, annotations, spec, reason, words) in [
        (
            "taken",
            json!({ "herald.dev/addresses": "10.1.0.1" }),
            json!({}),
            "AddressInUse",
            "default/web",
        ),
        (
            "outside",
            json!({ "herald.dev/addresses": "10.9.9.9" }),
            json!({}),
            "AddressNotInPool",
            "10.9.9.9",
        ),
        (
            "family",
            json!({ "herald.dev/addresses": "fd00::1" }),
            json!({}),
            "InvalidRequest",
            "IPv6",
        ),
        (
            "ill",
            json!({ "herald.dev/addresses": "10.1.0" }),
            json!({}),
            "InvalidRequest",
            "10.1.0",
        ),
        (
            "typo",
            json!({ "herald.dev/adresses": "10.1.0.2" }),
            json!({}),
            "InvalidRequest",
            "unknown annotation",
        ),
        (
            "lost",
            json!({ "herald.dev/pool": "nowhere" }),
            json!({}),
            "PoolNotFound",
            "nowhere",
        ),
        (
            "six",
            json!({}),
            json!({ "ipFamilies": ["IPv6"] }),
            "FamilyUnavailable",
            "IPv6",
        ),
        (
            "both",
            json!({}),
            json!({ "ipFamilyPolicy": "RequireDualStack" }),
            "FamilyUnavailable",
            "IPv6",
        ),
        (
            "bgp",
            json!({}),
            json!({ "loadBalancerClass": "herald.dev/bgp" }),
            "InvalidRequest",
            "herald.dev/bgp",
        ),
    ] {
        cluster.service(name, annotations, spec);
        let message = cluster.expect(name, &[], reason).await;
        assert!(message.contains(words), "{name}: {message}");
    }
    cluster.service("second", json!({}), json!({}));
    cluster.expect("second", &["10.1.0.2"], "Allocated").await;
    cluster.service("third", json!({}), json!({}));
    let message = cluster.expect("third", &[], "PoolExhausted").await;
    assert!(message.contains("lan"), "{message}");
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    cluster
        .api
        .delete("v1", "Service", "default", "second")
        .unwrap();
    cluster.expect("third", &["10.1.0.2"], "Allocated").await;
    let warned = eventually("an Event tells the refusal", async || {
        let events = cluster
            .api
            .list("events.k8s.io/v1", "Event", "default", "")
            .unwrap();
        let found = events
            .iter()
            .find(|e| e["reason"] == "AddressInUse" && e["type"] == "Warning");
        found.cloned().ok_or(events.len())
    })
    .await;
    assert_eq!(warned["regarding"]["name"], "taken");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_that_cannot_be_used_say_why() {
    let cluster = Cluster::start().await;
    let controller = cluster.controller();
    cluster.pool("good", json!({ "addresses": ["10.1.0.1-10.1.0.9"] }));
    cluster.expect_pool("good", "Ready").await;
    for (name, spec, reason, words) in [
        (
            "reversed",
            json!({ "addresses": ["10.2.0.9-10.2.0.1"] }),
            "InvalidRange",
            "10.2.0.9",
        ),
        (
            "large",
            json!({ "addresses": ["0.0.0.0/0"] }),
            "InvalidRange",
            "0.0.0.0/0",
        ),
        (
            "overlapping",
            json!({ "addresses": ["10.1.0.5-10.1.0.20"] }),
            "Overlap",
            "good",
        ),
        (
            "mute",
            json!({ "addresses": ["10.4.0.1"], "advertise": [{}] }),
            "NotSupported",
            "layer2",
        ),
    ] {
        cluster.pool(name, spec);
        let message = cluster.expect_pool(name, reason).await;
        assert!(message.contains(words), "{name}: {message}");
    }
    // The good one goes on to serve.
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    cluster.service(
        "asking",
        json!({ "herald.dev/pool": "reversed" }),
        json!({}),
    );
    let message = cluster.expect("asking", &[], "NoPool").await;
    assert!(message.contains("reversed"), "{message}");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenancy_and_priority_choose_the_pool() {
    let cluster = Cluster::start().await;
    cluster.create(json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "team-a", "labels": { "tier": "gold" } },
    }));
    cluster.pool("any", json!({ "addresses": ["10.1.0.1-10.1.0.9"] }));
    let gold = json!({ "matchLabels": { "tier": "gold" } });
    cluster.pool(
        "gold",
        json!({ "addresses": ["10.2.0.1-10.2.0.9"], "priority": 10, "namespaceSelector": gold }),
    );
    cluster.pool(
        "manual",
        json!({ "addresses": ["10.3.0.1"], "priority": 99, "automatic": false }),
    );
    let controller = cluster.controller();
    cluster.service("web", json!({}), json!({}));
    cluster.create(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web", "namespace": "team-a" },
        "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] },
    }));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    eventually("team-a is served from its own pool", async || {
        let web = cluster.api.get("v1", "Service", "team-a", "web").unwrap();
        let ip = web["status"]["loadBalancer"]["ingress"][0]["ip"].clone();
        if ip == "10.2.0.1" { Ok(()) } else { Err(ip) }
    })
    .await;
    cluster.service("sneaky", json!({ "herald.dev/pool": "gold" }), json!({}));
    cluster.expect("sneaky", &[], "PoolNotAllowed").await;
    cluster.service(
        "asked",
        json!({ "metallb.io/address-pool": "manual" }),
        json!({}),
    );
    cluster.expect("asked", &["10.3.0.1"], "Allocated").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_change_releases_and_takes_heralds_words_away() {
    let cluster = Cluster::start().await;
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1"] }));
    let controller = cluster.controller();
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    let to_cluster_ip = json!({ "spec": { "type": "ClusterIP" } });
    cluster
        .api
        .merge_patch("v1", "Service", "default", "web", "", to_cluster_ip)
        .unwrap();
    eventually("the address is free and the condition gone", async || {
        let web = cluster.api.get("v1", "Service", "default", "web").unwrap();
        let conditions = web["status"]["conditions"].as_array().map_or(0, Vec::len);
        let annotated = !web["metadata"]["annotations"]["herald.dev/allocated-from"].is_null();
        if conditions == 0 && !annotated && cluster.locks().is_empty() {
            Ok(())
        } else {
            Err(web)
        }
    })
    .await;
    cluster.service("next", json!({}), json!({}));
    cluster.expect("next", &["10.1.0.1"], "Allocated").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classless_services_are_left_alone_when_told_so() {
    let cluster = Cluster::start().await;
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1-10.1.0.9"] }));
    let controller = cluster.controller_with(Classes::OwnOnly);
    cluster.service("plain", json!({}), json!({}));
    cluster.service(
        "classed",
        json!({}),
        json!({ "loadBalancerClass": "herald.dev/layer2" }),
    );
    cluster.expect("classed", &["10.1.0.1"], "Allocated").await;
    cluster.expect("plain", &[], "").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_api_server_lose_nothing_and_double_nothing() {
    let cluster = Cluster::start().await;
    cluster.pool("lan", json!({ "addresses": ["10.1.0.0/24"] }));
    let faults = cluster.api.faults();
    let unavailable = || Action::Error {
        code: 503,
        reason: None,
        message: None,
        retry_after_seconds: None,
    };
    faults.add(
        Fault::new(Action::LoseReply)
            .verb("create")
            .resource("addressallocations")
            .times(3),
    );
    faults.add(
        Fault::new(Action::LoseReply)
            .verb("patch")
            .resource("services/status")
            .times(3),
    );
    faults.add(
        Fault::new(unavailable())
            .verb("patch")
            .resource("services/status")
            .times(5),
    );
    faults.add(
        Fault::new(unavailable())
            .verb("create")
            .resource("addressallocations")
            .times(5),
    );
    let controller = cluster.controller();
    for number in 0..40 {
        cluster.service(&format!("s{number:02}"), json!({}), json!({}));
        if number % 10 == 5 {
            let cut = faults.add(Fault::new(Action::CutWatch { after_events: 0 }).times(2));
            time::sleep(Duration::from_millis(50)).await;
            faults.remove(cut);
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..40 {
        let name = format!("s{number:02}");
        let address = eventually(&name, async || {
            let (addresses, reason, message) = cluster.outcome(&name);
            if reason == "Allocated" {
                Ok(addresses[0].clone())
            } else {
                Err((reason, message))
            }
        })
        .await;
        assert!(seen.insert(address.clone()), "{address} is held twice");
    }
    eventually("one lock per address", async || {
        let locks = cluster.locks();
        if locks.len() == 40 {
            Ok(())
        } else {
            Err(locks.len())
        }
    })
    .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_and_its_half_done_work_finished() {
    let cluster = Cluster::start().await;
    cluster.pool("lan", json!({ "addresses": ["10.1.0.0/24"] }));
    let first = cluster.controller();
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.0"], "Allocated").await;
    let second = cluster.controller();
    // The first one takes a lock and dies before it writes the status.
    let hang = cluster.api.faults().add(
        Fault::new(Action::Hang)
            .verb("patch")
            .resource("services/status"),
    );
    cluster.service("half", json!({}), json!({}));
    eventually("the lock of the second address", async || {
        let locks = cluster.locks();
        if locks.len() == 2 { Ok(()) } else { Err(locks) }
    })
    .await;
    first.kill();
    cluster.api.faults().remove(hang);
    cluster.expect("half", &["10.1.0.1"], "Allocated").await;
    cluster.expect("web", &["10.1.0.0"], "Allocated").await;
    assert_eq!(cluster.locks().len(), 2);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphaned_locks_of_vanished_services_are_given_back() {
    let cluster = Cluster::start().await;
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1"] }));
    cluster.create(json!({
        "apiVersion": "herald.dev/v1alpha1", "kind": "AddressAllocation", "metadata": { "name": "10.1.0.1" },
        "spec": { "address": "10.1.0.1", "pool": "lan",
                  "holders": [{ "namespace": "default", "name": "gone", "uid": "long-gone" }] },
    }));
    let controller = cluster.controller();
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_key_is_made_once() {
    let cluster = Cluster::start().await;
    let secret = || {
        cluster
            .api
            .get("v1", "Secret", "herald-system", "herald-peer-key")
    };
    let controller = cluster.controller();
    let made = eventually("the Secret", async || secret()).await;
    controller.stop().await;
    let again = cluster.controller();
    quiet(&cluster.api).await;
    assert_eq!(made["data"], secret().unwrap()["data"]);
    again.stop().await;
}
