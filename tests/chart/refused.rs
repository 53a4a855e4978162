//! What the chart, and the admission policy that it brings, do not take.

use super::*;

#[test]
fn the_policy_knows_the_annotations() {
    let Some(helm) = Helm::found() else { return };
    let all = rendered(&helm, &values("everything"));
    let policy = &all[&(
        "ValidatingAdmissionPolicy".to_owned(),
        "herald-annotations".to_owned(),
    )];
    let variables = policy["spec"]["variables"].as_array().unwrap();
    let unknown = variables
        .iter()
        .find(|variable| variable["name"] == "unknown")
        .unwrap();
    let expression = unknown["expression"].as_str().unwrap();
    let quoted = expression.split('"').skip(1).step_by(2);
    let mut named: Vec<_> = quoted.collect();
    let mut known = api::SERVICE_ANNOTATIONS.to_vec();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
    let text = policy.to_string();
    assert!(text.contains(r#"in [\"team-a\",\"team-b\"]"#), "{text}");
}

#[test]
fn the_policy_refuses_what_is_new_and_wrong_alone() {
    let Some(helm) = Helm::found() else { return };
    let all = rendered(&helm, &values("everything"));
    let policy = &all[&(
        "ValidatingAdmissionPolicy".to_owned(),
        "herald-annotations".to_owned(),
    )];
    let with = |key: &str, value: &str| policy::service("team-a", json!({ key: value }));
    let created = |object: &Value| policy::judge(policy, object, None);
    let fine = Some(Vec::<String>::new());

    let mut plain = policy::service("shop", json!({}));
    assert_eq!(created(&plain), fine);
    plain["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    assert_eq!(created(&plain), fine, "without annotations");
    for known in api::SERVICE_ANNOTATIONS {
        let expected = known != api::ANNOTATION_ALLOCATED_FROM;
        assert_eq!(created(&with(known, "x")) == fine, expected, "{known}");
    }
    assert_eq!(created(&with("example.com/anything", "x")), fine);

    let typo = with("herald.dev/adresses", "10.0.0.1");
    let refused = created(&typo).unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].contains("no annotation herald.dev/adresses"),
        "{refused:?}"
    );
    let mut other = typo.clone();
    other["metadata"]["labels"] = json!({ "app": "web" });
    assert_eq!(
        policy::judge(policy, &other, Some(&typo)),
        fine,
        "an old mistake stands in nobody's way"
    );
    let mut internal = typo.clone();
    internal["spec"]["type"] = json!("ClusterIP");
    assert_eq!(created(&internal), None, "no load balancer");

    let written = with(api::ANNOTATION_ALLOCATED_FROM, "lan");
    let edited = with(api::ANNOTATION_ALLOCATED_FROM, "wan");
    assert_eq!(policy::judge(policy, &written, Some(&written)), fine);
    let refused = policy::judge(policy, &edited, Some(&written)).unwrap();
    assert!(refused[0].contains("is what Herald says"), "{refused:?}");

    let adopt = |namespace: &str| policy::service(namespace, json!({ "herald.dev/adopt": "true" }));
    assert_eq!(created(&adopt("team-b")), fine);
    let refused = created(&adopt("shop")).unwrap();
    assert!(refused[0].contains("namespace shop may not"), "{refused:?}");
    assert!(refused[0].contains("team-a, team-b"), "{refused:?}");
}

#[test]
fn contradictions_are_refused_in_words() {
    let Some(helm) = Helm::found() else { return };
    let aws = |key: &str, value: &str| json!({ "aws": { key: value } });
    let cases = [
        (
            json!({ "replicas": 3 }),
            "additional properties 'replicas' not allowed",
        ),
        (
            json!({ "agent": { "failover": "quick" } }),
            "value must be one of 'fast', 'normal', 'calm'",
        ),
        (
            json!({ "controller": { "replicas": 0 } }),
            "/controller/replicas",
        ),
        (
            json!({ "defaultProvider": "aws-nlb" }),
            "aws.clusterName is empty",
        ),
        (aws("region", "eu-west-1"), "aws.clusterName is empty"),
        (aws("defaultTargetType", "ip"), "aws.clusterName is empty"),
        (
            json!({ "agent": { "enabled": false } }),
            "nobody would announce addresses, but defaultProvider is layer2",
        ),
        (
            json!({ "monitoring": { "serviceMonitor": { "agents": true } } }),
            "monitoring.serviceMonitor.enabled is false",
        ),
        (
            json!({ "monitoring": { "serviceMonitor": { "enabled": true, "agents": true } } }),
            "agent.httpAddress is 127.0.0.1, which nobody reaches",
        ),
        (
            json!({ "controller": { "httpAddress": "127.0.0.1" } }),
            "where the kubelet cannot ask",
        ),
        (
            json!({ "agent": { "httpPort": 9471 } }),
            "agent.peerPort and agent.httpPort are the same",
        ),
        (
            json!({ "agent": { "extraArgs": ["--failover=fast"] } }),
            "set agent.failover instead",
        ),
        (
            json!({ "controller": { "extraArgs": ["--aws-region=x"] } }),
            "set aws.region instead",
        ),
        (
            json!({ "agent": { "resources": { "limits": { "cpu": "1" } } } }),
            "raise requests.cpu instead",
        ),
    ];
    for (values, words) in cases {
        let refused = helm.render(&values).expect_err(&values.to_string());
        assert!(refused.contains(words), "{values}: {refused}");
    }
}
