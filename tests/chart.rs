//! The Helm chart, by Helm's own engine: it makes what kustomize applies, every object is one that the API server takes,
//! and values that contradict each other are refused in words.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/kustomize.rs"]
mod kustomize;
#[path = "chart/policy.rs"]
mod policy;
#[path = "chart/refused.rs"]
mod refused;
mod support;
mod venv;

use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

use herald::api;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, ValidationDirective},
};
use serde_json::{Value, json};

use crate::{
    helm::{CHART, Helm, objects, parsed},
    support::Cluster,
};

/// Texts that the chart carries, since Helm reads nothing outside of it, and where they come from.
const TEXTS: [(&str, &str); 5] = [
    ("rbac.yaml", "deploy/base/rbac.yaml"),
    ("crds.yaml", "deploy/crds/herald.yaml"),
    ("node-ports-policy.yaml", "deploy/node-ports-policy.yaml"),
    ("herald.rules.yaml", "deploy/alerts/herald.rules.yaml"),
    ("herald.json", "deploy/dashboards/herald.json"),
];
const VALUES: [(&str, &str); 3] = [
    ("minimal", include_str!("chart/values/minimal.yaml")),
    ("aws", include_str!("chart/values/aws.yaml")),
    ("everything", include_str!("chart/values/everything.yaml")),
];

type Objects = BTreeMap<(String, String), Value>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn values(name: &str) -> Value {
    yaml(VALUES.iter().find(|(known, _)| *known == name).unwrap().1)
}

fn rendered(helm: &Helm, values: &Value) -> Objects {
    objects(
        &helm
            .render(values)
            .unwrap_or_else(|why| panic!("{values}: {why}")),
    )
}

#[test]
fn the_chart_carries_the_texts_of_deploy() {
    for (copy, source) in TEXTS {
        let copy = format!("deploy/helm/herald/files/{copy}");
        if env::var_os("HERALD_REWRITE_CHART").is_some() {
            fs::write(root().join(&copy), read(source)).unwrap();
        }
        assert!(
            read(&copy) == read(source),
            "{copy} differs from {source}; copy it anew: HERALD_REWRITE_CHART=1 cargo test --test chart texts"
        );
    }
}

#[test]
fn chart_kustomizations_and_program_are_of_one_version() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = yaml(&read("deploy/helm/herald/Chart.yaml"));
    assert_eq!(chart["version"], version);
    assert_eq!(chart["appVersion"], version);
    for place in [
        "deploy",
        "deploy/overlays/bare-metal",
        "deploy/overlays/aws",
    ] {
        let kustomization = yaml(&read(&format!("{place}/kustomization.yaml")));
        assert_eq!(kustomization["images"][0]["newTag"], version, "{place}");
    }
}

/// Every key of values.yaml has its place in the schema and the other way round.
#[test]
fn schema_and_values_have_the_same_keys() {
    fn compare(place: &str, values: &Value, schema: &Value) {
        let (Some(values), Some(known)) = (values.as_object(), schema["properties"].as_object())
        else {
            return;
        };
        if schema["additionalProperties"] != false || place.ends_with("resources") {
            return;
        }
        let keys = |map: &serde_json::Map<String, Value>| {
            let keys = map.keys().filter(|key| *key != "global").cloned();
            let mut keys: Vec<_> = keys.collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(values), keys(known), "{place}");
        for (key, value) in values {
            compare(&format!("{place}.{key}"), value, &known[key]);
        }
    }
    let schema = serde_json::from_str(&read("deploy/helm/herald/values.schema.json")).unwrap();
    compare("", &yaml(&read("deploy/helm/herald/values.yaml")), &schema);
}

/// But for tables, which their keys explain.
#[test]
fn every_value_has_a_comment() {
    let text = read("deploy/helm/herald/values.yaml");
    let mut before = "";
    let mut bare = Vec::new();
    for line in text.lines() {
        let key = line.trim_start().split(':').next().unwrap();
        let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric());
        let of_kubernetes = ["requests", "limits", "operator", "effect"].contains(&key);
        let is_table = line.ends_with(':');
        if is_key && !is_table && !of_kubernetes && !before.trim_start().starts_with('#') {
            bare.push(line);
        }
        before = line;
    }
    assert!(bare.is_empty(), "values without a comment: {bare:#?}");
    assert!(text.lines().count() > 100);
}

#[test]
fn helm_finds_nothing_to_complain_of() {
    let Some(helm) = Helm::found() else { return };
    for (name, _) in VALUES {
        let said = helm.lint(&values(name));
        let bad: Vec<_> = said.iter().filter(|said| said["severity"] != 1).collect();
        assert!(bad.is_empty(), "{name}: {bad:?}");
    }
}

/// What Helm adds to every object says who installed it; nothing else may differ.
fn bare(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        let of_helm = [
            "app.kubernetes.io/instance",
            "app.kubernetes.io/version",
            "app.kubernetes.io/managed-by",
        ];
        labels.retain(|label, _| !of_helm.contains(&&**label) && label != "helm.sh/chart");
        // Not all of deploy/ carries it.
        labels.remove("app.kubernetes.io/name");
    }
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove("helm.sh/resource-policy");
    }
    for table in ["labels", "annotations"] {
        metadata.retain(|key, value| key != table || value != &json!({}));
    }
    object
}

fn assert_same(what: &str, chart: Objects, kustomize: Objects) {
    let bare = |objects: Objects| -> Objects {
        objects
            .into_iter()
            .map(|(key, object)| (key, bare(object)))
            .collect()
    };
    let (chart, kustomize) = (bare(chart), bare(kustomize));
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&chart),
        names(&kustomize),
        "{what}: not the same objects"
    );
    for (key, object) in &chart {
        assert_eq!(
            object, &kustomize[key],
            "{what}: {key:?}: chart, then kustomize"
        );
    }
}

#[test]
fn the_chart_makes_what_kustomize_applies() {
    let Some(helm) = Helm::found() else { return };
    let default = rendered(&helm, &json!({ "namespace": { "create": true } }));
    let Some(bare_metal) = kustomize::build("deploy/overlays/bare-metal") else {
        return;
    };
    assert_same(
        "bare metal",
        default.clone(),
        parsed("bare-metal", &bare_metal),
    );
    let plain = parsed("deploy", &kustomize::build("deploy").unwrap());
    assert!(plain.len() > 10, "{:?}", plain.keys());
    let common = default
        .into_iter()
        .filter(|(key, _)| plain.contains_key(key));
    assert_same("kubectl apply -k deploy/", common.collect(), plain);
    let aws = kustomize::build("deploy/overlays/aws").unwrap();
    assert_same("AWS", rendered(&helm, &values("aws")), parsed("aws", &aws));
}

/// The fields of an object that the API server of the tests knows are those of Kubernetes.
async fn apply(client: &Client, object: &Value) -> kube::Result<DynamicObject> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let api_version = text(&object["apiVersion"]);
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kind = GroupVersionKind::gvk(group, version, &text(&object["kind"]));
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("chart")
    };
    let name = text(&object["metadata"]["name"]);
    api.patch(&name, &params, &Patch::Apply(object)).await
}

#[tokio::test]
async fn the_api_server_takes_every_object() {
    let Some(helm) = Helm::found() else { return };
    for (name, values) in [("default", json!({}))]
        .into_iter()
        .chain(VALUES.map(|(name, _)| (name, values(name))))
    {
        let cluster = Cluster::bare().await;
        let client = cluster.client();
        for crd in parsed("operator", include_str!("chart/operator.yaml")).into_values() {
            cluster.create(crd);
        }
        let mut objects: Vec<_> = rendered(&helm, &values).into_values().collect();
        let first = |object: &Value| match object["kind"].as_str().unwrap() {
            "Namespace" => 0,
            "CustomResourceDefinition" => 1,
            _ => 2,
        };
        objects.sort_by_key(first);
        if first(&objects[0]) != 0 {
            cluster.create(json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "herald-system" },
            }));
        }
        for object in &objects {
            let kind = object["kind"].as_str().unwrap();
            if kind.starts_with("MutatingAdmissionPolicy") {
                // Newer than the stand-in's Kubernetes types; tests/manifests.rs reads the same text field by field.
                continue;
            }
            let applied = apply(&client, object).await;
            applied.unwrap_or_else(|error| panic!("{name}: {kind}: {error}\n{object:#}"));
        }
        let mut wrong = objects.pop().unwrap();
        wrong["surprise"] = json!(1);
        let refused = apply(&client, &wrong).await.unwrap_err().to_string();
        assert!(refused.contains("surprise"), "{name}: {refused}");
    }
}

#[test]
fn the_binary_understands_the_arguments() {
    let Some(helm) = Helm::found() else { return };
    for (name, _) in VALUES {
        for ((kind, _), object) in rendered(&helm, &values(name)) {
            if kind != "Deployment" && kind != "DaemonSet" {
                continue;
            }
            let container = &object["spec"]["template"]["spec"]["containers"][0];
            let args = container["args"].as_array().unwrap().iter();
            // Every argument before --help is read first, and refused if it is unknown.
            let run = Command::new(env!("CARGO_BIN_EXE_herald"))
                .args(args.map(|arg| arg.as_str().unwrap()))
                .arg("--help")
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&run.stderr);
            assert!(run.status.success(), "{name}, {kind}: {errors}");
        }
    }
}

#[test]
fn what_is_chosen_is_what_is_made() {
    let Some(helm) = Helm::found() else { return };
    let all = rendered(&helm, &values("everything"));
    let of = |kind: &str, name: &str| all[&(kind.to_owned(), name.to_owned())].clone();
    let pod = |kind, name| of(kind, name)["spec"]["template"]["spec"].clone();
    let digest = "registry.example/herald@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let controller = &pod("Deployment", "herald-controller")["containers"][0];
    assert_eq!(controller["image"], digest);
    assert_eq!(
        controller["args"],
        json!([
            "controller",
            "--log-format=text",
            "--http=[::]:8470",
            "--node-ports=disable",
            "--aws-cluster-name=prod",
            "--aws-region=eu-west-1",
            "--aws-vpc-id=vpc-0123456789abcdef0",
            "--aws-default-scheme=internet-facing",
            "--aws-default-target-type=ip",
            "--aws-default-tags=stage=prod,team=network",
        ])
    );
    let pods = pod("DaemonSet", "herald-agent");
    let agent = &pods["containers"][0];
    assert_eq!(
        agent["args"],
        json!([
            "agent",
            "--log-format=text",
            "--peer-key-file=/etc/herald/peer-key/keys",
            "--http=0.0.0.0:8472",
            "--failover=calm",
            "--peer-port=8471",
            "--state-file=/run/herald/state.json",
        ])
    );
    // On every address: the port is open on all of them, and the kubelet asks by one that is the node's own.
    assert_eq!(
        agent["ports"][1],
        json!({ "name": "http", "containerPort": 8472, "hostPort": 8472 })
    );
    assert_eq!(agent["livenessProbe"]["httpGet"]["host"], "127.0.0.1");
    assert_eq!(pods["volumes"][0]["secret"]["secretName"], "our-keys");
    assert_eq!(pods["imagePullSecrets"], json!([{ "name": "registry" }]));
    let network = of("NetworkPolicy", "herald-controller");
    let ports = network["spec"]["egress"][0]["ports"]
        .as_array()
        .unwrap()
        .iter();
    let ports: Vec<_> = ports.map(|port| port["port"].as_u64().unwrap()).collect();
    assert_eq!(ports, [6443, 443], "the API server, and AWS");
    assert!(network["spec"]["ingress"][0]["from"].is_array());

    let written = yaml(&read("deploy/alerts/herald.rules.yaml"));
    assert_eq!(of("PrometheusRule", "herald")["spec"], written);
    let dashboard = of("ConfigMap", "herald-dashboard")["data"]["herald.json"].clone();
    let dashboard: Value = serde_json::from_str(dashboard.as_str().unwrap()).unwrap();
    let written: Value = serde_json::from_str(&read("deploy/dashboards/herald.json")).unwrap();
    assert_eq!(dashboard, written);

    let minimal = rendered(&helm, &values("minimal"));
    let kinds: Vec<_> = minimal
        .keys()
        .map(|(kind, name)| format!("{kind}/{name}"))
        .collect();
    assert_eq!(
        kinds,
        [
            "ClusterRole/herald-controller",
            "ClusterRole/herald-metrics",
            "ClusterRole/herald-operator",
            "ClusterRole/herald-reader",
            "ClusterRoleBinding/herald-controller",
            "Deployment/herald-controller",
            "Role/herald-controller",
            "RoleBinding/herald-controller",
            "ServiceAccount/herald-controller",
        ]
    );
}

/// What Helm deletes with a release would take all pools and recorded addresses along.
#[test]
fn definitions_outlive_the_release() {
    let Some(helm) = Helm::found() else { return };
    let all = rendered(&helm, &json!({}));
    let crds: Vec<_> = all
        .iter()
        .filter(|((kind, _), _)| kind == "CustomResourceDefinition")
        .collect();
    assert_eq!(crds.len(), api::crds().len());
    for (_, crd) in crds {
        assert_eq!(
            crd["metadata"]["annotations"]["helm.sh/resource-policy"],
            "keep"
        );
    }
}

#[test]
fn the_notes_say_the_next_command() {
    let Some(helm) = Helm::found() else { return };
    let notes = |values: &Value| helm.render(values).unwrap()["herald/templates/NOTES.txt"].clone();
    let default = notes(&json!({}));
    for command in [
        "rollout status deployment/herald-controller",
        "rollout status daemonset/herald-agent",
        "kind: AddressPool",
        "kubectl label namespace herald-system",
    ] {
        assert!(default.contains(command), "{default}");
    }
    let aws = notes(&values("aws"));
    assert!(
        !aws.contains("herald-agent") && !aws.contains("AddressPool"),
        "{aws}"
    );
    assert!(!aws.contains("label namespace"), "{aws}");
}

/// `helm install`, `upgrade`, `rollback` and `uninstall` as people type them, from an older release on.
#[tokio::test(flavor = "multi_thread")]
async fn helm_installs_upgrades_and_takes_away() {
    let Some(helm) = Helm::found() else { return };
    let cluster = Cluster::bare().await;
    let (directory, kubeconfig) = cluster.kubeconfig("herald-admin");
    let kubeconfig = kubeconfig.to_str().unwrap().to_owned();
    let older = directory.path().join("herald");
    let copied = Command::new("cp").arg("-r").arg(CHART).arg(&older).status();
    assert!(copied.unwrap().success());
    let crds = older.join("files/crds.yaml");
    let text = fs::read_to_string(&crds).unwrap();
    let changed = text.replacen(
        "    kind: AddressPool\n",
        "    kind: AddressPool\n    categories: [old]\n",
        1,
    );
    assert_ne!(text, changed);
    fs::write(&crds, changed).unwrap();

    let act = async |what: &'static str, chart: &str, values: Value| {
        let (helm, chart, kubeconfig) = (helm.clone(), chart.to_owned(), kubeconfig.clone());
        let acted =
            tokio::task::spawn_blocking(move || helm.act(what, &chart, &kubeconfig, &values));
        acted
            .await
            .unwrap()
            .unwrap_or_else(|why| panic!("helm {what}: {why}"));
    };
    let workload = |kind: &str, name: &str| cluster.api.get("apps/v1", kind, "herald-system", name);
    let definition = || {
        let definitions = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");
        let found = cluster
            .api
            .get(definitions.0, definitions.1, "", "addresspools.herald.dev");
        found.unwrap()["spec"]["names"]["categories"].clone()
    };
    act("install", older.to_str().unwrap(), json!({})).await;
    cluster.pool("lan", json!({ "addresses": ["192.0.2.1"] }));
    assert_eq!(definition(), json!(["old"]));
    assert!(workload("DaemonSet", "herald-agent").is_ok());

    // A second release, elsewhere, is refused before anything is made.
    let (second, path) = (helm.clone(), kubeconfig.clone());
    let refused = tokio::task::spawn_blocking(move || second.install_into("other", &path));
    let refused = refused.await.unwrap().unwrap_err();
    assert!(
        refused.contains("meta.helm.sh/release-namespace"),
        "{refused}"
    );
    assert_eq!(
        cluster
            .api
            .list("v1", "ServiceAccount", "other", "")
            .unwrap(),
        Vec::<Value>::new()
    );

    let values = json!({
        "controller": { "replicas": 3 }, "agent": { "enabled": false }, "defaultProvider": "node",
    });
    act("upgrade", CHART, values).await;
    assert_ne!(definition(), json!(["old"]));
    let controller = workload("Deployment", "herald-controller").unwrap();
    assert_eq!(controller["spec"]["replicas"], 3);
    assert!(workload("DaemonSet", "herald-agent").is_err());

    act("rollback", CHART, json!({})).await;
    assert_eq!(definition(), json!(["old"]));
    assert!(workload("DaemonSet", "herald-agent").is_ok());

    act("uninstall", CHART, json!({})).await;
    assert!(workload("Deployment", "herald-controller").is_err());
    let pool = cluster
        .api
        .get("herald.dev/v1alpha1", "AddressPool", "", "lan");
    assert_eq!(pool.unwrap()["spec"]["addresses"], json!(["192.0.2.1"]));
}
