//! What Herald tells Prometheus: the page that lists it, the alerts, and the dashboard speak of metrics that there are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use herald::{
    cluster::Classes,
    controller,
    telemetry::{Metric, catalogue},
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Cluster, eventually};

const PAGE: &str = "docs/metrics.md";
const RULES: &str = "deploy/alerts/herald.rules.yaml";
const RULE_TESTS: &str = "deploy/alerts/herald.rules.test.yaml";
const DASHBOARD: &str = "deploy/dashboards/herald.json";
/// What stands between these in the page is printed by `herald metrics`.
const MARKS: [&str; 2] = [
    "<!-- from here on: herald metrics -->\n\n",
    "\n<!-- until here: herald metrics -->",
];
/// Labels that Prometheus gives by where it scrapes, and those of its own.
const FROM_PROMETHEUS: [&str; 4] = ["instance", "node", "pod", "le"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All that controller and agent register.
fn served() -> Vec<Metric> {
    let mut registry = Registry::default();
    herald::controller::sample_metrics(&mut registry);
    herald::agent::sample_metrics(&mut registry);
    catalogue(&registry).unwrap()
}

/// Every series that can be asked for, with its labels.
fn series() -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for metric in served() {
        let labels: BTreeSet<_> = metric.labels.into_keys().collect();
        if metric.kind == "histogram" {
            for suffix in ["_bucket", "_sum", "_count"] {
                all.insert(format!("{}{suffix}", metric.name), labels.clone());
            }
        } else {
            all.insert(metric.name, labels);
        }
    }
    all
}

/// promtool. `None`, said aloud, where it is missing; a failure under CI.
fn promtool(arguments: &[&str]) -> Option<String> {
    let run = Command::new("promtool")
        .args(arguments)
        .current_dir(root())
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) => {
            let help = format!("promtool is missing ({error}): apt-get install prometheus");
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{help}");
            eprintln!("skipped: {help}");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
    Some(text)
}

/// The names of series in an expression, each with the labels that it is selected by.
fn selected(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find("herald_") {
        let (name, after) =
            rest[at..].split_at(rest[at..].find(|c| !is_word(c)).unwrap_or(rest.len() - at));
        let selector = after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        let labels = selector.into_iter().flat_map(|(inner, _)| inner.split(','));
        let labels = labels.map(|one| one.trim().chars().take_while(|c| is_word(*c)).collect());
        found.push((name.to_owned(), labels.collect()));
        rest = after;
    }
    found
}

/// An expression asks for what is served, and for its labels.
fn assert_served(place: &str, expression: &str) {
    let series = series();
    let asked = selected(expression);
    assert!(
        !asked.is_empty(),
        "{place}: no metric of Herald's in {expression}"
    );
    for (name, labels) in &asked {
        let known = series
            .get(name)
            .unwrap_or_else(|| panic!("{place}: nobody serves {name}"));
        for label in labels {
            assert!(
                known.contains(label),
                "{place}: {name} has no label {label}, but {known:?}"
            );
        }
    }
    for by in expression.split(" by (").skip(1) {
        for label in by.split(')').next().unwrap().split(',').map(str::trim) {
            let is_known = asked.iter().any(|(name, _)| series[name].contains(label));
            assert!(
                is_known || FROM_PROMETHEUS.contains(&label),
                "{place}: nothing has the label {label}"
            );
        }
    }
}

#[test]
fn the_page_lists_what_is_served() {
    let printed = Command::new(env!("CARGO_BIN_EXE_herald"))
        .arg("metrics")
        .output()
        .unwrap();
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    let page = read(PAGE);
    let (before, rest) = page.split_once(MARKS[0]).expect("the first mark");
    let (listed, after) = rest.split_once(MARKS[1]).expect("the second mark");
    if env::var_os("HERALD_REWRITE_METRICS").is_some() {
        let page = [before, MARKS[0], &printed, MARKS[1], after].concat();
        fs::write(root().join(PAGE), page).unwrap();
        return;
    }
    assert!(
        listed == printed,
        "{PAGE} differs from what is registered; write it anew: HERALD_REWRITE_METRICS=1 cargo test --test metrics page"
    );
}

#[test]
fn names_and_words_keep_the_conventions() {
    let all = served();
    let names: BTreeSet<_> = all.iter().map(|metric| &metric.name).collect();
    assert_eq!(names.len(), all.len(), "a name is there twice");
    for metric in &all {
        let Metric {
            name, kind, help, ..
        } = metric;
        assert!(name.starts_with("herald_"), "{name}");
        assert!(!help.is_empty() && !help.contains('|'), "{name}: {help:?}");
        assert_eq!(
            name.ends_with("_total"),
            kind == "counter",
            "{name} is a {kind}"
        );
        assert_eq!(
            name.ends_with("_seconds"),
            kind == "histogram",
            "{name} is a {kind}"
        );
        assert!(
            !metric.labels.contains_key("service") && !metric.labels.contains_key("address"),
            "{name}"
        );
    }
}

fn alerts() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&read(RULES)).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    groups
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn alerts_fire_and_stay_silent() {
    if promtool(&["check", "rules", RULES]).is_some() {
        promtool(&["test", "rules", RULE_TESTS]);
    }
}

#[test]
fn every_alert_has_both_cases_and_says_what_to_do() {
    let tests: Value = serde_saphyr::from_str(&read(RULE_TESTS)).unwrap();
    let mut cases: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for case in tests["tests"].as_array().unwrap() {
        for test in case["promql_expr_test"].as_array().unwrap() {
            let alert = test["expr"].as_str().unwrap().split('"').nth(1).unwrap();
            let fires = !test["exp_samples"].as_array().unwrap().is_empty();
            cases.entry(alert.to_owned()).or_default().insert(fires);
        }
    }
    let page = read("docs/troubleshooting.md");
    let link = "https://github.com/herald-lb/herald/blob/main/docs/troubleshooting.md#";
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert_eq!(
            cases.remove(name),
            Some(BTreeSet::from([false, true])),
            "{name}"
        );
        let text = |value: &Value| {
            value
                .as_str()
                .unwrap_or_else(|| panic!("{name}"))
                .to_owned()
        };
        let annotations = &alert["annotations"];
        assert!(
            !text(&annotations["summary"]).is_empty()
                && !text(&annotations["description"]).is_empty()
        );
        assert_eq!(
            text(&annotations["runbook_url"]),
            format!("{link}{}", name.to_lowercase())
        );
        let severity = text(&alert["labels"]["severity"]);
        assert!(
            ["info", "warning", "critical"].contains(&&*severity),
            "{name}: {severity}"
        );
        assert!(!text(&alert["for"]).is_empty());
        let (_, told) = page
            .split_once(&format!("### {name}\n"))
            .unwrap_or_else(|| panic!("no section {name}"));
        let told = told.split("\n### ").next().unwrap();
        assert!(
            told.contains("herald ") || told.contains("kubectl "),
            "{name}: which command shows more?"
        );
        assert_served(name, &text(&alert["expr"]));
        for words in ["summary", "description"] {
            let words = text(&annotations[words]);
            for label in words.split("$labels.").skip(1) {
                let label = label.split(' ').next().unwrap();
                let expression = text(&alert["expr"]);
                let kept: Vec<_> = expression.split(" by (").skip(1).collect();
                let is_kept = |by: &&str| by.split(')').next().is_some_and(|by| by.contains(label));
                assert!(
                    !kept.is_empty() && kept.iter().all(is_kept),
                    "{name}: no label {label} is left of {expression}"
                );
            }
        }
    }
    assert!(cases.is_empty(), "no such alert: {cases:?}");
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

fn expressions() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let expression = text(&target["expr"]).replace("$__rate_interval", "5m");
            found.push((
                text(&panel["title"]),
                expression,
                text(&target["legendFormat"]),
            ));
        }
    }
    found
}

#[test]
fn the_dashboard_draws_what_is_served() {
    let all = expressions();
    assert!(all.len() > 40, "{}", all.len());
    for (title, expression, legend) in &all {
        assert_served(title, expression);
        for label in legend
            .split("{{")
            .skip(1)
            .map(|part| part.split("}}").next().unwrap())
        {
            let is_left = expression.contains(label) || FROM_PROMETHEUS.contains(&label);
            assert!(
                is_left,
                "{title}: {legend} names a label that {expression} has not"
            );
        }
    }
    let rules = all.iter().enumerate().map(
        |(i, (_, expression, _))| json!({ "record": format!("drawn:{i}"), "expr": expression }),
    );
    let rules = json!({ "groups": [{ "name": "drawn", "rules": rules.collect::<Vec<_>>() }] });
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dashboard.rules.json");
    fs::write(&file, rules.to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);
}

#[test]
fn panels_lie_side_by_side() {
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels() {
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "{}",
            panel["title"]
        );
        let of = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(of("x") + of("w") <= 24, "{}", panel["title"]);
        for x in of("x")..of("x") + of("w") {
            for y in of("y")..of("y") + of("h") {
                assert!(taken.insert((x, y)), "{} lies upon another", panel["title"]);
            }
        }
    }
}

/// The lines that a controller serves of pools and Services.
async fn told(http: SocketAddr) -> Vec<String> {
    let Ok(mut stream) = TcpStream::connect(http).await else {
        return Vec::new();
    };
    let request = "GET /metrics HTTP/1.1\r\nHost: herald\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let lines = answer.lines().filter(|line| {
        let counts = ["leader", "services_failing", "pool_addresses"];
        counts
            .iter()
            .any(|name| line.starts_with(&format!("herald_controller_{name}")))
    });
    let mut lines: Vec<_> = lines
        .map(|line| line.replace("herald_controller_", ""))
        .collect();
    lines.sort();
    lines
}

/// What the alerts go by, as a running controller serves it; the one that waits has nothing to tell.
#[tokio::test]
async fn the_leader_alone_tells_of_pools_and_services() {
    let cluster = Cluster::start().await;
    cluster.pool("lan", json!({ "addresses": ["192.0.2.1-192.0.2.2"] }));
    for name in ["a", "b", "c"] {
        cluster.service(name, json!({}), json!({}));
    }
    let stop = CancellationToken::new();
    let start = async |identity: &str| {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = free.local_addr().unwrap();
        drop(free);
        let options = controller::Options {
            namespace: "herald-system".into(),
            classes: Classes::Default,
            node_ports: herald::api::NodePortPolicy::Keep,
            http,
            identity: identity.into(),
            cloud: None,
        };
        tokio::spawn(controller::run(cluster.client(), options, stop.clone()));
        http
    };
    let full = [
        "leader 1",
        r#"pool_addresses{pool="lan",family="IPv4",state="available"} 0.0"#,
        r#"pool_addresses{pool="lan",family="IPv4",state="capacity"} 2.0"#,
        r#"pool_addresses{pool="lan",family="IPv4",state="quarantined"} 0.0"#,
        r#"pool_addresses{pool="lan",family="IPv4",state="reserved"} 0.0"#,
        r#"pool_addresses{pool="lan",family="IPv4",state="used"} 2.0"#,
        r#"services_failing{condition="AddressAllocated",reason="PoolExhausted"} 1"#,
    ];
    let expect = async |http: SocketAddr, wanted: &[&str]| {
        eventually(&format!("{wanted:?}"), async || {
            let told = told(http).await;
            if told == wanted { Ok(()) } else { Err(told) }
        })
        .await;
    };
    let leader = start("first").await;
    expect(leader, &full).await;
    let waiting = start("second").await;
    expect(waiting, &["leader 0"]).await;
    expect(leader, &full).await;
    stop.cancel();
}
