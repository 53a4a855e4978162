//! `herald lab --once --provider aws-nlb` as a user runs it, against moto, an AWS that is not Herald's: a Service gets a
//! hostname, its targets are registered, it changes, it goes, and the account is empty.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]
#![cfg(feature = "lab")]

#[path = "../providers/aws-client/tests/moto/server.rs"]
mod server;
mod venv;

use std::process::{Command, Output};

use serde_json::Value;

/// The lab with AWS there, and with an environment that must not lead it anywhere else.
fn lab(endpoint: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    command
        .args(["lab", "--once", "--provider", "aws-nlb", "-o", "json"])
        .env_remove("KUBEBUILDER_ASSETS")
        .env_remove("AWS_ENDPOINT_URL")
        .env("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9")
        .env(
            "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
            "http://127.0.0.1:9",
        )
        .env("AWS_PROFILE", "somebody")
        .env("AWS_REGION", "eu-central-1");
    if let Some(endpoint) = endpoint {
        command.env("AWS_ENDPOINT_URL", endpoint);
    }
    command.output().unwrap()
}

/// All that moto knows of one kind in that region, asked for by another program than Herald.
fn known(server: &server::Server, service: &str, call: &str) -> Value {
    let script = "
import boto3, json, sys
client = boto3.client(sys.argv[2], endpoint_url=sys.argv[1], region_name='eu-central-1',
                      aws_access_key_id='testing', aws_secret_access_key='testing')
print(json.dumps(getattr(client, sys.argv[3])(), default=str))
";
    let mut command = Command::new(&server.python);
    command.args(["-c", script, &server.endpoint, service, call]);
    serde_json::from_str(&venv::run(&mut command).unwrap()).unwrap()
}

/// What a step's line says.
fn line<'a>(steps: &'a [Value], name: &str, nth: usize) -> &'a str {
    let mut named = steps.iter().filter(|step| step["step"] == name);
    named.nth(nth).unwrap()["seen"].as_str().unwrap()
}

#[test]
fn every_step_of_the_show_holds() {
    let Some(server) = server::start() else {
        return;
    };
    let vpcs = known(&server, "ec2", "describe_vpcs");
    let output = lab(Some(&server.endpoint));
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["held"], true, "{result}");
    let steps = result["steps"].as_array().unwrap();
    let names: Vec<_> = steps
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "api", "account", "objects", "herald", "applied", "hostname", "targets", "changed",
            "targets", "refused", "deleted", "empty",
        ]
    );
    let hostname = line(steps, "hostname", 0);
    assert!(
        hostname.contains(".eu-central-1.elb.amazonaws.com"),
        "{hostname}"
    );
    for (nth, ports) in [(0, &[80, 443][..]), (1, &[80, 443, 9000])] {
        let targets = line(steps, "targets", nth);
        let led: Vec<_> = targets.split("; ").collect();
        assert_eq!(led.len(), ports.len(), "{targets}");
        for (led, port) in led.iter().zip(ports) {
            let expected = format!("port {port} → node-1, node-2, node-3 at ");
            assert!(led.starts_with(&expected), "{targets}");
            assert!(!led.contains("no listener"), "{targets}");
        }
    }
    let refused = line(steps, "refused", 0);
    assert!(
        refused.contains("aws-load-balancer-sheme; did you mean"),
        "{refused}"
    );
    // It is not Herald alone that finds nothing there, and the lab's own VPC went with it.
    let balancers = known(&server, "elbv2", "describe_load_balancers");
    assert_eq!(balancers["LoadBalancers"], Value::Array(Vec::new()));
    let groups = known(&server, "elbv2", "describe_target_groups");
    assert_eq!(groups["TargetGroups"], Value::Array(Vec::new()));
    assert_eq!(known(&server, "ec2", "describe_vpcs")["Vpcs"], vpcs["Vpcs"]);
    let instances = known(&server, "ec2", "describe_instances");
    for reservation in instances["Reservations"].as_array().unwrap() {
        assert_eq!(reservation["Instances"][0]["State"]["Name"], "terminated");
    }
}

/// Nothing is made in an AWS that somebody pays for, nor anywhere by guessing.
#[test]
fn without_an_aws_on_this_machine_nothing_is_made() {
    for (endpoint, expected) in [
        (None, "AWS_ENDPOINT_URL names none"),
        (
            Some("https://elasticloadbalancing.eu-central-1.amazonaws.com"),
            "only in an AWS on this machine",
        ),
        (
            Some("http://10.255.255.1:5566"),
            "only in an AWS on this machine",
        ),
        (Some("http://127.0.0.1:9"), "Connection refused"),
    ] {
        let output = lab(endpoint);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{endpoint:?}: {errors}");
        let errors = errors.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(errors.contains(expected), "{endpoint:?}: {errors}");
        assert!(errors.contains("moto_server -p"), "{endpoint:?}: {errors}");
    }
}
