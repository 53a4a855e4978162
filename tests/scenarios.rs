//! Scenarios: small YAML scripts, each a promise of Herald's or a defect of a rival's, played against the controller.
//!
//! The controller has the rights of `deploy/base/rbac.yaml` and no more.
//!
//! Always on the stand-in API server, and on etcd and kube-apiserver too when `KUBEBUILDER_ASSETS` names their
//! directory. `HERALD_SCENARIO=words` plays only the scripts whose file has these words, with the controller's log; a
//! file's whole name also one that is left out as yet.
//! `tests/scenarios/README.md` tells how to write one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

#[path = "scenarios/runner/mod.rs"]
mod runner;
mod support;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use futures::StreamExt as _;
use runner::{Script, cluster::Cluster, play, read_all, real::Real};
use serde_json::json;
use tokio::sync::Mutex;

/// By which the stand-in knows the controller.
const TOKEN: &str = "controller";
/// Scripts that are played at the same time on the stand-in.
const AT_ONCE: usize = 8;

/// The two suites must not fight for the processors.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// The scripts to play, and a line for each that is left out.
fn scripts(real: bool) -> Vec<Script> {
    let wanted = std::env::var("HERALD_SCENARIO").unwrap_or_default();
    if !wanted.is_empty() {
        static LOGGING: std::sync::Once = std::sync::Once::new();
        LOGGING.call_once(|| herald::telemetry::start_logging(herald::telemetry::LogFormat::Text));
    }
    let mut scripts = read_all(&folder()).unwrap_or_else(|fault| panic!("{fault:#}"));
    scripts.retain(|script| script.file.contains(&wanted));
    assert!(!scripts.is_empty(), "no script has {wanted:?} in its name");
    scripts.retain(|script| match script.left_out(real) {
        None => true,
        // Asked for by its whole name, to see how far it comes.
        Some(_) if script.file == wanted => true,
        Some(why) => {
            println!("left out: {}: {why}", script.file);
            false
        }
    });
    scripts
}

#[track_caller]
fn judge(results: Vec<Result<(), String>>, start: Instant) {
    let total = results.len();
    let failures: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    println!(
        "{} of {total} scripts hold, in {:.1?}",
        total - failures.len(),
        start.elapsed()
    );
    let list = failures.join("\n");
    assert!(
        failures.is_empty(),
        "{} of {total} scripts fail:\n\n{list}",
        failures.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_script_holds_on_the_stand_in() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let start = Instant::now();
    let results = futures::stream::iter(scripts(false))
        .map(|script| async move {
            let mut cluster = standin().await;
            let start = Instant::now();
            let result = play(&mut cluster, &script).await;
            cluster.stop_controller().await;
            println!("{:6.1?} {}", start.elapsed(), script.file);
            result
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    judge(results, start);
}

async fn standin() -> Cluster {
    let api = herald_apiserver::ApiServer::builder()
        .token_of(TOKEN, support::CONTROLLER, &[])
        .anonymous("scenario", &["system:masters"])
        .enforce_rbac()
        .build()
        .unwrap();
    for crd in herald::api::crds() {
        api.create(serde_json::to_value(crd).unwrap()).unwrap();
    }
    api.create(
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "herald-system" } }),
    )
    .unwrap();
    for object in support::rights() {
        api.create(object).unwrap();
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { api.serve(listener).await });
    let mut config = kube::Config::new(url.parse().unwrap());
    config.default_retry = false;
    let mut heralds = config.clone();
    heralds.auth_info.token = Some(TOKEN.to_owned().into());
    Cluster::new(
        kube::Client::try_from(config).unwrap(),
        kube::Client::try_from(heralds).unwrap(),
        String::new(),
        false,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_script_holds_on_a_real_control_plane() {
    let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") else {
        println!("left out: KUBEBUILDER_ASSETS names no directory with etcd and kube-apiserver");
        return;
    };
    let _alone = ONE_AT_A_TIME.lock().await;
    let real = Real::start(Path::new(&assets)).await.unwrap();
    real.install().await.unwrap();
    let start = Instant::now();
    let mut results = Vec::new();
    for (number, script) in scripts(true).into_iter().enumerate() {
        let start = Instant::now();
        let (client, heralds) = (real.client.clone(), real.heralds.clone());
        let mut cluster = Cluster::new(client, heralds, format!("-s{number}x"), true);
        results.push(play(&mut cluster, &script).await);
        if let Err(fault) = cluster.clear().await {
            results.push(Err(format!("after {}: {fault:#}", script.file)));
        }
        println!("{:6.1?} {}", start.elapsed(), script.file);
    }
    real.stop().await;
    judge(results, start);
}

#[test]
fn every_annotation_reason_and_defect_has_a_script() {
    let gaps = runner::coverage::gaps(Path::new(env!("CARGO_MANIFEST_DIR")), &folder()).unwrap();
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}
