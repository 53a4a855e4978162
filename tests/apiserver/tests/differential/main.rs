//! One script of requests, several servers, the same answers.
//!
//! Every `tests/script/*.yaml` is replayed against the stand-in. With `KUBEBUILDER_ASSETS` (a
//! directory with `etcd` and `kube-apiserver`) it is also replayed against a real API server, and the
//! normalised answers must be equal. Without, they must equal the recorded `*.golden.json`, which
//! `HERALD_REWRITE_GOLDENS=1` writes: from the real server if there is one, else from the stand-in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and its helpers are tests too"
)]

mod normalise;
mod real;
mod script;

use std::path::{Path, PathBuf};

use herald_apiserver::ApiServer;
use kube::{Client, Config};
use serde_json::Value;

use real::RealServer;
use script::Step;

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_answers_as_the_real_server() {
    // Already installed is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let real = RealServer::start_if_wanted().await;
    let mut differences = Vec::new();
    let mut requests = 0;
    for path in scripts() {
        let steps = script::read(&path);
        requests += steps.len();
        let ours = script::replay(&stand_in().await, &steps).await;
        let expected = match &real {
            Some(real) => script::replay(&real.client, &steps).await,
            None => golden(&path, &ours),
        };
        if std::env::var_os("HERALD_REWRITE_GOLDENS").is_some() {
            let text = serde_json::to_string_pretty(&expected).unwrap();
            std::fs::write(golden_path(&path), text + "\n").unwrap();
        }
        compare(&path, &steps, &expected, &ours, &mut differences);
        if real.is_some() {
            // What was recorded must still be what the real server says.
            compare(
                &path,
                &steps,
                &expected,
                &golden(&path, &expected),
                &mut differences,
            );
        }
    }
    let against = if real.is_some() {
        "the real kube-apiserver"
    } else {
        "recorded answers"
    };
    drop(real);
    println!("{requests} requests compared with {against}");
    assert!(
        differences.is_empty(),
        "{} answers differ from {against}:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn scripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/script");
    let only = std::env::var("HERALD_SCRIPT").ok();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .filter(|path| cfg!(feature = "cel") || path.file_stem().unwrap() != "cel")
        .filter(|path| {
            only.as_ref()
                .is_none_or(|only| path.file_stem().unwrap() == only.as_str())
        })
        .collect();
    paths.sort();
    paths
}

fn golden_path(script: &Path) -> PathBuf {
    script.with_extension("golden.json")
}

fn golden(script: &Path, ours: &[Value]) -> Vec<Value> {
    match std::fs::read_to_string(golden_path(script)) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(_) if std::env::var_os("HERALD_REWRITE_GOLDENS").is_some() => ours.to_vec(),
        Err(error) => panic!("{}: {error}", golden_path(script).display()),
    }
}

async fn stand_in() -> Client {
    let server = ApiServer::builder().build().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { server.serve(listener).await });
    let mut config = Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn compare(path: &Path, steps: &[Step], expected: &[Value], ours: &[Value], out: &mut Vec<String>) {
    let file = path.file_stem().unwrap().to_string_lossy();
    if expected.len() != ours.len() {
        out.push(format!(
            "{file}: {} answers, {} expected",
            ours.len(),
            expected.len()
        ));
        return;
    }
    for ((step, expected), ours) in steps.iter().zip(expected).zip(ours) {
        if expected == ours {
            continue;
        }
        out.push(format!(
            "\n{file}: {} ({} {})",
            step.name, step.method, step.path
        ));
        differences("", expected, ours, out);
    }
}

/// Names every place where two answers differ.
fn differences(path: &str, expected: &Value, ours: &Value, out: &mut Vec<String>) {
    match (expected, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key), b.get(key));
                if a != b {
                    let absent = Value::String("<absent>".to_owned());
                    differences(
                        &format!("{path}/{key}"),
                        a.unwrap_or(&absent),
                        b.unwrap_or(&absent),
                        out,
                    );
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                if a != b {
                    differences(&format!("{path}/{at}"), a, b, out);
                }
            }
        }
        _ => out.push(format!(
            "  {path}\n    expected {expected}\n    got      {ours}"
        )),
    }
}
