//! Makes `src/schema/builtin.json`: the fields of the built-in types, from k8s-openapi's schemas and
//! the list types below. Fails when the checked-in file differs; `HERALD_REWRITE_SCHEMA=1` rewrites it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and its helpers are tests too"
)]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

const CORE: &str = "io.k8s.api.core.v1";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Lists that are not atomic for server-side apply: package, type, field, keys (none: a set).
/// Source: the `x-kubernetes-list-type` markers of the Kubernetes 1.36 types.
const LISTS: &[(&str, &str, &str, &[&str])] = &[
    (META, "ObjectMeta", "finalizers", &[]),
    (META, "ObjectMeta", "ownerReferences", &["uid"]),
    (CORE, "NamespaceStatus", "conditions", &["type"]),
    (CORE, "ServiceSpec", "ports", &["port", "protocol"]),
    (CORE, "ServiceStatus", "conditions", &["type"]),
    (CORE, "NodeSpec", "podCIDRs", &[]),
    (CORE, "NodeStatus", "addresses", &["type"]),
    (CORE, "NodeStatus", "conditions", &["type"]),
    (CORE, "PodSpec", "containers", &["name"]),
    (CORE, "PodSpec", "ephemeralContainers", &["name"]),
    (CORE, "PodSpec", "initContainers", &["name"]),
    (CORE, "PodSpec", "hostAliases", &["ip"]),
    (CORE, "PodSpec", "imagePullSecrets", &["name"]),
    (CORE, "PodSpec", "resourceClaims", &["name"]),
    (CORE, "PodSpec", "schedulingGates", &["name"]),
    (
        CORE,
        "PodSpec",
        "topologySpreadConstraints",
        &["topologyKey", "whenUnsatisfiable"],
    ),
    (CORE, "PodSpec", "volumes", &["name"]),
    (CORE, "PodStatus", "conditions", &["type"]),
    (CORE, "PodStatus", "podIPs", &["ip"]),
    (CORE, "PodStatus", "resourceClaimStatuses", &["name"]),
    (CORE, "Container", "env", &["name"]),
    (CORE, "Container", "ports", &["containerPort", "protocol"]),
    (CORE, "Container", "volumeDevices", &["devicePath"]),
    (CORE, "Container", "volumeMounts", &["mountPath"]),
    (CORE, "EphemeralContainer", "env", &["name"]),
    (
        CORE,
        "EphemeralContainer",
        "ports",
        &["containerPort", "protocol"],
    ),
    (CORE, "EphemeralContainer", "volumeDevices", &["devicePath"]),
    (CORE, "EphemeralContainer", "volumeMounts", &["mountPath"]),
    (CORE, "ResourceRequirements", "claims", &["name"]),
    (
        CORE,
        "ContainerStatus",
        "allocatedResourcesStatus",
        &["name"],
    ),
    (CORE, "ContainerStatus", "volumeMounts", &["mountPath"]),
    (CORE, "ResourceStatus", "resources", &["resourceID"]),
    (CORE, "ServiceAccount", "secrets", &["name"]),
    ("io.k8s.api.discovery.v1", "Endpoint", "addresses", &[]),
    (
        "io.k8s.api.apps.v1",
        "DeploymentStatus",
        "conditions",
        &["type"],
    ),
    (
        "io.k8s.api.apps.v1",
        "DaemonSetStatus",
        "conditions",
        &["type"],
    ),
    (
        "io.k8s.api.policy.v1",
        "PodDisruptionBudgetStatus",
        "conditions",
        &["type"],
    ),
    (
        ADMISSION,
        "ValidatingWebhookConfiguration",
        "webhooks",
        &["name"],
    ),
    (ADMISSION, "ValidatingWebhook", "matchConditions", &["name"]),
    (
        ADMISSION,
        "MutatingWebhookConfiguration",
        "webhooks",
        &["name"],
    ),
    (ADMISSION, "MutatingWebhook", "matchConditions", &["name"]),
    (
        ADMISSION,
        "ValidatingAdmissionPolicySpec",
        "matchConditions",
        &["name"],
    ),
    (
        ADMISSION,
        "ValidatingAdmissionPolicySpec",
        "variables",
        &["name"],
    ),
    (
        ADMISSION,
        "ValidatingAdmissionPolicyStatus",
        "conditions",
        &["type"],
    ),
    (
        ADMISSION,
        "ValidatingAdmissionPolicyBindingSpec",
        "validationActions",
        &[],
    ),
    (
        EXTENSIONS,
        "CustomResourceDefinitionStatus",
        "conditions",
        &["type"],
    ),
];
const ADMISSION: &str = "io.k8s.api.admissionregistration.v1";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/// Structs that are one leaf for server-side apply.
const ATOMIC_STRUCTS: &[(&str, &str)] = &[
    (META, "OwnerReference"),
    (META, "LabelSelector"),
    (CORE, "ObjectReference"),
    (CORE, "NodeSelectorTerm"),
    (CORE, "NodeSelector"),
    (CORE, "ConfigMapKeySelector"),
    (CORE, "ObjectFieldSelector"),
    (CORE, "ResourceFieldSelector"),
    (CORE, "SecretKeySelector"),
    (CORE, "LocalObjectReference"),
    (CORE, "TypedLocalObjectReference"),
    (CORE, "EndpointAddress"),
    (CORE, "EndpointPort"),
    ("io.k8s.api.discovery.v1", "EndpointPort"),
    ("io.k8s.api.rbac.v1", "RoleRef"),
    ("io.k8s.api.rbac.v1", "Subject"),
    (ADMISSION, "MatchResources"),
    (ADMISSION, "NamedRuleWithOperations"),
    (ADMISSION, "ParamKind"),
    (ADMISSION, "Variable"),
    (ADMISSION, "ParamRef"),
];

/// Maps that are one leaf for server-side apply.
const ATOMIC_MAPS: &[(&str, &str, &str)] = &[
    (CORE, "ServiceSpec", "selector"),
    (CORE, "PodSpec", "nodeSelector"),
];

/// Lists that a strategic merge patch merges: by a key, or as a set of scalars (no key).
const MERGED: &[(&str, &str, &str, &str)] = &[
    (META, "ObjectMeta", "finalizers", ""),
    (META, "ObjectMeta", "ownerReferences", "uid"),
    (CORE, "NamespaceStatus", "conditions", "type"),
    (CORE, "ServiceSpec", "ports", "port"),
    (CORE, "ServiceStatus", "conditions", "type"),
    (CORE, "NodeSpec", "podCIDRs", ""),
    (CORE, "NodeStatus", "addresses", "type"),
    (CORE, "NodeStatus", "conditions", "type"),
    (CORE, "PodSpec", "containers", "name"),
    (CORE, "PodSpec", "ephemeralContainers", "name"),
    (CORE, "PodSpec", "initContainers", "name"),
    (CORE, "PodSpec", "hostAliases", "ip"),
    (CORE, "PodSpec", "imagePullSecrets", "name"),
    (CORE, "PodSpec", "resourceClaims", "name"),
    (CORE, "PodSpec", "schedulingGates", "name"),
    (CORE, "PodSpec", "topologySpreadConstraints", "topologyKey"),
    (CORE, "PodSpec", "volumes", "name"),
    (CORE, "PodStatus", "conditions", "type"),
    (CORE, "PodStatus", "podIPs", "ip"),
    (CORE, "PodStatus", "resourceClaimStatuses", "name"),
    (CORE, "Container", "env", "name"),
    (CORE, "Container", "ports", "containerPort"),
    (CORE, "Container", "volumeDevices", "devicePath"),
    (CORE, "Container", "volumeMounts", "mountPath"),
    (CORE, "EphemeralContainer", "env", "name"),
    (CORE, "EphemeralContainer", "ports", "containerPort"),
    (CORE, "EphemeralContainer", "volumeDevices", "devicePath"),
    (CORE, "EphemeralContainer", "volumeMounts", "mountPath"),
    (CORE, "ServiceAccount", "secrets", "name"),
    (
        "io.k8s.api.apps.v1",
        "DeploymentStatus",
        "conditions",
        "type",
    ),
    (
        "io.k8s.api.apps.v1",
        "DaemonSetStatus",
        "conditions",
        "type",
    ),
    (
        "io.k8s.api.policy.v1",
        "PodDisruptionBudgetStatus",
        "conditions",
        "type",
    ),
    (
        ADMISSION,
        "ValidatingWebhookConfiguration",
        "webhooks",
        "name",
    ),
    (ADMISSION, "ValidatingWebhook", "matchConditions", "name"),
    (
        ADMISSION,
        "MutatingWebhookConfiguration",
        "webhooks",
        "name",
    ),
    (ADMISSION, "MutatingWebhook", "matchConditions", "name"),
    (
        ADMISSION,
        "ValidatingAdmissionPolicySpec",
        "matchConditions",
        "name",
    ),
    (
        ADMISSION,
        "ValidatingAdmissionPolicySpec",
        "variables",
        "name",
    ),
];

/// Defaults of keys of lists: an item without the key is found under the default.
const KEY_DEFAULTS: &[(&str, &str, &str, &str)] = &[
    (CORE, "ServicePort", "protocol", "TCP"),
    (CORE, "ContainerPort", "protocol", "TCP"),
];

#[test]
fn the_checked_in_schema_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/builtin.json");
    let mut text = generate();
    text.push('\n');
    if std::env::var_os("HERALD_REWRITE_SCHEMA").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == text,
        "src/schema/builtin.json is stale: HERALD_REWRITE_SCHEMA=1 rewrites it"
    );
}

/// One definition a line, so that a change can be read.
fn generate() -> String {
    let mut definitions = definitions();
    for (package, kind, field, keys) in LISTS {
        let list = property(&mut definitions, package, kind, field);
        let Some(list) = list else { continue };
        if keys.is_empty() {
            list["x-kubernetes-list-type"] = json!("set");
        } else {
            list["x-kubernetes-list-type"] = json!("map");
            list["x-kubernetes-list-map-keys"] = json!(keys);
        }
    }
    for (package, kind) in ATOMIC_STRUCTS {
        if let Some(definition) = definitions.get_mut(&format!("{package}.{kind}")) {
            definition["x-kubernetes-map-type"] = json!("atomic");
        }
    }
    for (package, kind, field) in ATOMIC_MAPS {
        property(&mut definitions, package, kind, field).unwrap()["x-kubernetes-map-type"] =
            json!("atomic");
    }
    for (package, kind, field, key) in MERGED {
        let list = property(&mut definitions, package, kind, field).unwrap();
        list["x-kubernetes-patch-strategy"] = json!("merge");
        if !key.is_empty() {
            list["x-kubernetes-patch-merge-key"] = json!(key);
        }
    }
    for (package, kind, field, default) in KEY_DEFAULTS {
        property(&mut definitions, package, kind, field).unwrap()["default"] = json!(default);
    }
    let lines: Vec<String> = definitions
        .iter()
        .map(|(name, schema)| format!("{}:{schema}", json!(name)))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

fn property<'a>(
    definitions: &'a mut Map<String, Value>,
    package: &str,
    kind: &str,
    field: &str,
) -> Option<&'a mut Value> {
    definitions.get_mut(&format!("{package}.{kind}"))?["properties"].get_mut(field)
}

fn definitions() -> Map<String, Value> {
    use k8s_openapi::api::admissionregistration::v1 as admission;
    use k8s_openapi::api::{
        apps::v1 as apps, coordination::v1 as coordination, core::v1 as core,
        discovery::v1 as discovery, events::v1 as events, networking::v1 as networking,
        policy::v1 as policy, rbac::v1 as rbac, scheduling::v1 as scheduling,
    };
    let mut generator = SchemaSettings::draft07().into_generator();
    generator.subschema_for::<core::Namespace>();
    generator.subschema_for::<core::Service>();
    generator.subschema_for::<core::Node>();
    generator.subschema_for::<core::Secret>();
    generator.subschema_for::<core::ConfigMap>();
    generator.subschema_for::<core::Event>();
    generator.subschema_for::<core::Pod>();
    generator.subschema_for::<core::ServiceAccount>();
    generator.subschema_for::<core::Endpoints>();
    generator.subschema_for::<discovery::EndpointSlice>();
    generator.subschema_for::<coordination::Lease>();
    generator.subschema_for::<events::Event>();
    generator.subschema_for::<CustomResourceDefinition>();
    generator.subschema_for::<rbac::Role>();
    generator.subschema_for::<rbac::RoleBinding>();
    generator.subschema_for::<rbac::ClusterRole>();
    generator.subschema_for::<rbac::ClusterRoleBinding>();
    generator.subschema_for::<apps::Deployment>();
    generator.subschema_for::<apps::DaemonSet>();
    generator.subschema_for::<policy::PodDisruptionBudget>();
    generator.subschema_for::<scheduling::PriorityClass>();
    generator.subschema_for::<networking::NetworkPolicy>();
    generator.subschema_for::<admission::ValidatingWebhookConfiguration>();
    generator.subschema_for::<admission::MutatingWebhookConfiguration>();
    generator.subschema_for::<admission::ValidatingAdmissionPolicy>();
    generator.subschema_for::<admission::ValidatingAdmissionPolicyBinding>();
    let mut definitions = generator.take_definitions(true);
    definitions.values_mut().for_each(slim);
    // Any JSON, or one of several shapes: k8s-openapi knows no type for these.
    for (name, definition) in &mut definitions {
        let kind = name.rsplit('.').next().unwrap_or_default();
        if kind == "JSON" || kind.starts_with("JSONSchemaPropsOr") {
            definition
                .as_object_mut()
                .unwrap()
                .retain(|key, _| key == "description");
        }
    }
    definitions.retain(|name, _| name.starts_with("io.k8s."));
    definitions
}

/// Keeps what the stand-in reads: types, members, references and the first sentence for `explain`.
fn slim(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if let Some(text) = map.get("description").and_then(Value::as_str) {
        let first = text.split(['\n']).next().unwrap_or_default();
        let first = first
            .split(". ")
            .next()
            .unwrap_or_default()
            .trim_end_matches('.');
        let short: String = first.chars().take(160).collect();
        map.insert("description".to_owned(), json!(format!("{short}.")));
    }
    if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default().to_owned();
        map.insert(
            "$ref".to_owned(),
            json!(format!("#/components/schemas/{name}")),
        );
    }
    if let Some(Value::Array(parts)) = map.remove("allOf") {
        for part in parts {
            if let Value::Object(part) = part {
                map.extend(part);
            }
        }
        slim(schema);
        return;
    }
    for key in ["properties"] {
        if let Some(Value::Object(members)) = map.get_mut(key) {
            members.values_mut().for_each(slim);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            slim(inner);
        }
    }
}
