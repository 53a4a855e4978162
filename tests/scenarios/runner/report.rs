//! What is told when a script fails: the Services, pools, locks and Events as they are.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    cluster::Cluster,
    expect::{addresses, holders_of},
    object::{EVENT, LOCK, POOL, SERVICE},
};

/// How many objects of a kind are shown.
const SHOWN: usize = 8;
/// How much of a message is shown.
const WIDTH: usize = 300;

/// The cluster as it is now.
pub async fn seen(cluster: &Cluster) -> String {
    let mut text = String::from("  seen last:\n");
    for (kind, line) in [
        (&SERVICE, service as fn(&Value) -> String),
        (&POOL, pool),
        (&LOCK, lock),
        (&EVENT, event),
    ] {
        let items = cluster.list(kind).await.unwrap_or_default();
        for item in items.iter().take(SHOWN) {
            let _written = writeln!(text, "    {} {}", kind.word, line(item));
        }
        if items.len() > SHOWN {
            let _written = writeln!(text, "    and {} more", items.len() - SHOWN);
        }
    }
    text
}

fn name(object: &Value) -> String {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    match text("namespace") {
        "" => text("name").to_owned(),
        namespace => format!("{namespace}/{}", text("name")),
    }
}

fn short(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match text.chars().count() > WIDTH {
        true => text.chars().take(WIDTH).chain("...".chars()).collect(),
        false => text.to_owned(),
    }
}

fn conditions(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let each = conditions.into_iter().flatten().map(|c| {
        let word = |key: &str| c[key].as_str().unwrap_or_default();
        format!(
            "\n      {} {} {}: {}",
            word("type"),
            word("status"),
            word("reason"),
            short(&c["message"])
        )
    });
    each.collect()
}

fn service(object: &Value) -> String {
    let ingress = &object["status"]["loadBalancer"]["ingress"];
    let shown = match addresses(object).is_empty() && !ingress.is_null() {
        true => ingress.to_string(),
        false => addresses(object).join(" "),
    };
    format!("{} [{shown}]{}", name(object), conditions(object))
}

fn pool(object: &Value) -> String {
    let status = &object["status"];
    let counts = format!("ipv4 {} ipv6 {}", status["ipv4"], status["ipv6"]);
    format!("{} {counts}{}", name(object), conditions(object))
}

fn lock(object: &Value) -> String {
    let mut rest = object["spec"].clone();
    if let Some(map) = rest.as_object_mut() {
        map.remove("holders");
    }
    format!("{} held by {:?} {rest}", name(object), holders_of(object))
}

fn event(object: &Value) -> String {
    let about = object["regarding"]["name"].as_str().unwrap_or_default();
    let word = |key: &str| object[key].as_str().unwrap_or_default();
    format!("{about}: {} {}", word("reason"), short(&object["note"]))
}
