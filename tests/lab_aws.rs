//! `herald lab --provider aws-nlb --once` as a user runs it, in an AWS that is moto: from a Service with two ports to an
//! empty account.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]
#![cfg(feature = "lab")]

use std::{
    path::Path,
    process::{Command, Output},
};

use moto::Moto;
use serde_json::Value;

#[path = "moto/mod.rs"]
mod moto;
#[path = "venv/mod.rs"]
mod venv;

const REGION: &str = "eu-central-1";
/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The show, in an environment that must not lead it anywhere else.
fn show(endpoint: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    command
        .args(["lab", "--provider", "aws-nlb", "--once", "--output", "json"])
        .env_remove("KUBEBUILDER_ASSETS")
        .env_remove("AWS_ENDPOINT_URL")
        .env("AWS_ENDPOINT_URL_EC2", NOWHERE)
        .env("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", NOWHERE)
        .env("AWS_USE_FIPS_ENDPOINT", "true")
        .env("AWS_PROFILE", "somebody")
        .env("AWS_REGION", REGION);
    if let Some(endpoint) = endpoint {
        command.env("AWS_ENDPOINT_URL", endpoint);
    }
    command.output().unwrap()
}

/// What moto tells another program than Herald.
fn known(python: &Path, moto: &Moto, service: &str, call: &str) -> Value {
    const ASK: &str = "
import boto3, json, sys
endpoint, region, service, call = sys.argv[1:]
client = boto3.client(service, endpoint_url=endpoint, region_name=region,
                      aws_access_key_id='testing', aws_secret_access_key='testing')
print(json.dumps(getattr(client, call)(), default=str))
";
    let mut command = Command::new(python);
    command.args(["-c", ASK, &moto.endpoint, REGION, service, call]);
    serde_json::from_str(&venv::run(&mut command).unwrap()).unwrap()
}

#[test]
fn a_balancer_comes_changes_and_goes_without_a_trace() {
    let tmp = env!("CARGO_TARGET_TMPDIR");
    let Some(python) = venv::python(tmp, "moto", "moto", moto::REQUIREMENTS) else {
        return;
    };
    let moto = Moto::start(&python);
    let before = known(&python, &moto, "ec2", "describe_vpcs");
    let output = show(Some(&moto.endpoint));
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = result["steps"].as_array().unwrap();
    let names: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["step"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "api", "account", "objects", "herald", "applied", "hostname", "targets", "changed",
            "targets", "health", "refused", "deleted", "empty",
        ],
        "{result}"
    );
    let told = |name| {
        let named = steps.iter().filter(move |step| step["step"] == name);
        named.map(|step| step["seen"].as_str().unwrap())
    };
    let hostname = told("hostname").next().unwrap();
    let region = format!(".{REGION}.elb.amazonaws.com");
    assert!(hostname.contains(&region), "{hostname}");
    for (targets, ports) in told("targets").zip([&[80, 443][..], &[80, 443, 9000]]) {
        let ways: Vec<&str> = targets.split("; ").collect();
        assert_eq!(ways.len(), ports.len(), "{targets}");
        for (way, port) in ways.iter().zip(ports) {
            let expected = format!("port {port} → node-1, node-2, node-3 at ");
            assert!(way.starts_with(&expected), "{targets}");
            assert!(!way.contains("no listener"), "{targets}");
        }
    }
    // Another program finds nothing either, and what the lab had made for itself went with it.
    let empty = Value::Array(Vec::new());
    let balancers = known(&python, &moto, "elbv2", "describe_load_balancers");
    assert_eq!(balancers["LoadBalancers"], empty);
    let groups = known(&python, &moto, "elbv2", "describe_target_groups");
    assert_eq!(groups["TargetGroups"], empty);
    let after = known(&python, &moto, "ec2", "describe_vpcs");
    assert_eq!(after["Vpcs"], before["Vpcs"]);
    let instances = known(&python, &moto, "ec2", "describe_instances");
    let reserved = instances["Reservations"].as_array().unwrap();
    assert_eq!(reserved.len(), 3);
    for reservation in reserved {
        assert_eq!(reservation["Instances"][0]["State"]["Name"], "terminated");
    }
}

/// Nothing is made in an AWS that may be somebody's.
#[test]
fn only_an_aws_on_this_machine_will_do() {
    for (endpoint, says) in [
        (None, "AWS_ENDPOINT_URL names none"),
        (
            Some("https://ec2.eu-west-1.example.com"),
            "only in an AWS on this machine",
        ),
        (Some(NOWHERE), "moto_server"),
    ] {
        let output = show(endpoint);
        let progress = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{endpoint:?}");
        assert!(progress.contains(says), "{endpoint:?}: {progress}");
    }
}
