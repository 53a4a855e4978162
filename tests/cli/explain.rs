//! `herald explain`: every way in which a Service gets its address, or does not.

use std::process::ExitStatus;

use serde_json::{Value, json};

use super::{
    herald,
    lists::announce,
    output,
    support::{Cluster, quiet},
};

struct Asked {
    status: ExitStatus,
    text: String,
    errors: String,
}

async fn ask(cluster: &Cluster, arguments: &[&str]) -> Asked {
    let (_directory, kubeconfig) = cluster.kubeconfig("");
    let mut explain = herald(&[&["explain"], arguments].concat());
    explain.env("KUBECONFIG", &kubeconfig);
    let (done, errors) = output(explain).await;
    Asked {
        status: done.status,
        text: String::from_utf8(done.stdout).unwrap(),
        errors,
    }
}

impl Asked {
    #[track_caller]
    fn says(&self, words: &[&str]) {
        for word in words {
            assert!(
                self.text.contains(word),
                "{word:?} is missing:\n{}{}",
                self.text,
                self.errors
            );
        }
    }

    #[track_caller]
    fn exits(&self, code: i32) {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}{}",
            self.text,
            self.errors
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_address_is_explained_and_all_is_well() {
    let cluster = Cluster::start().await;
    let controller = cluster.controller();
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1-10.1.0.9"] }));
    cluster.pool(
        "spare",
        json!({ "addresses": ["10.2.0.1"], "automatic": false }),
    );
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    // The Event comes after the status.
    quiet(&cluster.api).await;
    controller.stop().await;
    let unannounced = ask(&cluster, &["default/web"]).await;
    unannounced.exits(1);
    unannounced.says(&["Service default/web: Unannounced", "no node announces it"]);

    announce(&cluster, "node-1", &["10.1.0.1"]);
    let asked = ask(&cluster, &["default/web"]).await;
    asked.exits(0);
    asked.says(&[
        "Service default/web: Announcing",
        "families        IPv4 (SingleStack)",
        "spec.loadBalancerClass",
        "Herald's: it has no class",
        "chosen: 10.1.0.1",
        "passed over: not automatic",
        "herald.dev/AddressAllocated: True, Allocated, since ",
        "10.1.0.1  node-1  eth0",
        "Normal  Allocated",
    ]);
    assert!(
        !asked.text.contains("Decided now it would be"),
        "{}",
        asked.text
    );
    assert!(!asked.text.contains('\u{1b}'), "no colours into a pipe");
    for other in [
        &["web"][..],
        &["web", "-n", "default"],
        &["default/web", "-o", "wide"],
    ] {
        ask(&cluster, other).await.exits(0);
    }

    let document = ask(&cluster, &["web", "-o", "json"]).await;
    let document: Value = serde_json::from_str(&document.text).unwrap();
    assert_eq!(document["well"], true);
    assert_eq!(document["pools"][0]["name"], "lan");
    assert_eq!(document["pools"][0]["ipv4"]["free"], "8");
    assert_eq!(document["pools"][0]["verdict"], "Chosen");
    assert_eq!(
        document["addresses"][0]["announcements"][0]["node"],
        "node-1"
    );
    let yaml = ask(&cluster, &["web", "-o", "yaml"]).await;
    let yaml: Value = serde_saphyr::from_str(&yaml.text).unwrap();
    assert_eq!(yaml, document);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_is_named_with_its_counts_and_what_would_help() {
    let cluster = Cluster::start().await;
    let controller = cluster.controller();
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1"] }));
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    cluster.service("late", json!({}), json!({}));
    cluster.expect("late", &[], "PoolExhausted").await;
    controller.stop().await;
    let asked = ask(&cluster, &["late"]).await;
    asked.exits(1);
    asked.says(&[
        "Service default/late: PoolExhausted",
        "0 of 1",
        "passed over: IPv4 full (0 of 1 free)",
        "herald.dev/AddressAllocated: False, PoolExhausted",
        "Wakes when",
        "an IPv4 address of pool lan frees",
        "What would make it work",
        "add addresses to a pool",
    ]);

    // Nobody is there to act on it, and yet it is known what would be done.
    cluster.pool("more", json!({ "addresses": ["10.2.0.1"] }));
    let asked = ask(&cluster, &["late"]).await;
    asked.exits(1);
    asked.says(&["Decided now it would be", "10.2.0.1 from pool more"]);
    let document = ask(&cluster, &["late", "-o", "json"]).await;
    let document: Value = serde_json::from_str(&document.text).unwrap();
    assert_eq!(
        document["verdicts"][0]["written"]["reason"],
        "PoolExhausted"
    );
    assert_eq!(document["verdicts"][0]["now"]["reason"], "Allocated");
    assert_eq!(cluster.locks(), ["10.1.0.1"], "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_requested_address_is_named() {
    let cluster = Cluster::start().await;
    let controller = cluster.controller();
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1-10.1.0.9"] }));
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    cluster.service(
        "rival",
        json!({ "herald.dev/addresses": "10.1.0.1" }),
        json!({}),
    );
    cluster.expect("rival", &[], "AddressInUse").await;
    controller.stop().await;
    let asked = ask(&cluster, &["rival"]).await;
    asked.exits(1);
    asked.says(&[
        "annotation herald.dev/addresses",
        "Addresses that it asks for",
        "held by Service default/web",
        "10.1.0.1 frees",
        "ask for another address",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_heralds_is_said_to_be_whose_it_is() {
    let cluster = Cluster::start().await;
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1"] }));
    cluster.service(
        "other",
        json!({}),
        json!({ "loadBalancerClass": "example.com/other" }),
    );
    let asked = ask(&cluster, &["other"]).await;
    asked.exits(1);
    asked.says(&["another controller's, by its class example.com/other"]);

    cluster.service("plain", json!({}), json!({}));
    ask(&cluster, &["plain"]).await.says(&[
        "nothing is written yet",
        "Decided now it would be",
        "10.1.0.1 from pool lan",
    ]);
    ask(&cluster, &["plain", "--default-provider", "none"])
        .await
        .says(&[
            "not Herald's: it has no class",
            "spec.loadBalancerClass: herald.dev/layer2",
        ]);

    let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "203.0.113.7" }] } } });
    cluster
        .api
        .merge_patch("v1", "Service", "default", "plain", "status", status)
        .unwrap();
    let asked = ask(&cluster, &["plain"]).await;
    asked.exits(1);
    asked.says(&[
        "203.0.113.7, which lies in no pool",
        "herald.dev/adopt=true",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ill_request_and_a_mistyped_annotation_are_shown() {
    let cluster = Cluster::start().await;
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1"] }));
    cluster.service(
        "web",
        json!({ "herald.dev/adresses": "10.1.0.1" }),
        json!({}),
    );
    let asked = ask(&cluster, &["web"]).await;
    asked.exits(1);
    asked.says(&[
        "unknown         10.1.0.1",
        "What is wrong with the request",
        "unknown annotation herald.dev/adresses",
        "InvalidRequest",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_be_explained_ends_with_two_and_says_why() {
    let cluster = Cluster::start().await;
    cluster.service("web", json!({}), json!({}));
    cluster.service("inside", json!({}), json!({ "type": "ClusterIP" }));
    for (arguments, words) in [
        (&["wbe"][..], "there is no Service default/wbe"),
        (&["team-a/web"], "one of that name is in namespace default"),
        (&["inside"], "is of type ClusterIP, not LoadBalancer"),
        (&["default/web", "-n", "team-a"], "--namespace says team-a"),
        (&["a/b/c"], "write NAMESPACE/NAME"),
    ] {
        let asked = ask(&cluster, arguments).await;
        asked.exits(2);
        assert!(
            asked.errors.contains(words),
            "{arguments:?}: {}",
            asked.errors
        );
        assert_eq!(asked.text, "");
    }
}
