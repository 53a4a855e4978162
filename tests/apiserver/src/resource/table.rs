//! The one static table of the built-in resources.

use super::{Fidelity, Origin, Resource};

/// Properties of a row of the table, in letters: `n` namespaced, `s` status subresource,
/// `g` generation, `u` unconditional update, `c` create on update, `r` review, `m` modelled.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

/// group, version, kind, plural, short names, properties.
const BUILTIN: &[Row] = &[
    Row("", "v1", "Namespace", "namespaces", &["ns"], "sum"),
    Row("", "v1", "Service", "services", &["svc"], "nsucm"),
    Row("", "v1", "Node", "nodes", &["no"], "sum"),
    Row("", "v1", "Secret", "secrets", &[], "num"),
    Row("", "v1", "ConfigMap", "configmaps", &["cm"], "num"),
    Row("", "v1", "Event", "events", &["ev"], "nucm"),
    Row("", "v1", "Pod", "pods", &["po"], "nsug"),
    Row("", "v1", "ServiceAccount", "serviceaccounts", &["sa"], "nm"),
    Row("", "v1", "Endpoints", "endpoints", &["ep"], "nuc"),
    Row(
        "discovery.k8s.io",
        "v1",
        "EndpointSlice",
        "endpointslices",
        &[],
        "nugm",
    ),
    Row("coordination.k8s.io", "v1", "Lease", "leases", &[], "ncm"),
    Row("events.k8s.io", "v1", "Event", "events", &["ev"], "nucm"),
    Row(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        &["crd", "crds"],
        "sgm",
    ),
    Row(
        "rbac.authorization.k8s.io",
        "v1",
        "Role",
        "roles",
        &[],
        "nucm",
    ),
    Row(
        "rbac.authorization.k8s.io",
        "v1",
        "RoleBinding",
        "rolebindings",
        &[],
        "nucm",
    ),
    Row(
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRole",
        "clusterroles",
        &[],
        "ucm",
    ),
    Row(
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        &[],
        "ucm",
    ),
    Row(
        "apps",
        "v1",
        "Deployment",
        "deployments",
        &["deploy"],
        "nsgu",
    ),
    Row("apps", "v1", "DaemonSet", "daemonsets", &["ds"], "nsgu"),
    Row(
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        &["pdb"],
        "nsg",
    ),
    Row(
        "scheduling.k8s.io",
        "v1",
        "PriorityClass",
        "priorityclasses",
        &["pc"],
        "ug",
    ),
    Row(
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
        &["netpol"],
        "ngu",
    ),
    Row(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        &[],
        "g",
    ),
    Row(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        &[],
        "g",
    ),
    Row(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        &[],
        "sg",
    ),
    Row(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        &[],
        "g",
    ),
    Row(
        "authentication.k8s.io",
        "v1",
        "TokenReview",
        "tokenreviews",
        &[],
        "r",
    ),
    Row(
        "authentication.k8s.io",
        "v1",
        "SelfSubjectReview",
        "selfsubjectreviews",
        &[],
        "r",
    ),
    Row(
        "authorization.k8s.io",
        "v1",
        "SubjectAccessReview",
        "subjectaccessreviews",
        &[],
        "r",
    ),
    Row(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        &[],
        "r",
    ),
    Row(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        &[],
        "r",
    ),
    Row(
        "authorization.k8s.io",
        "v1",
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        &[],
        "nr",
    ),
];

/// The built-in resources, in the order of the table.
pub(crate) fn builtin() -> Vec<Resource> {
    BUILTIN.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Resource {
    let Row(group, version, kind, plural, short_names, properties) = row;
    let has = |letter: char| properties.contains(letter);
    Resource {
        group: (*group).to_owned(),
        version: (*version).to_owned(),
        kind: (*kind).to_owned(),
        list_kind: format!("{kind}List"),
        plural: (*plural).to_owned(),
        singular: kind.to_lowercase(),
        short_names: short_names.iter().map(|name| (*name).to_owned()).collect(),
        categories: categories(group, plural),
        namespaced: has('n'),
        status: has('s'),
        generation: has('g'),
        unconditional_update: has('u'),
        create_on_update: has('c'),
        review: has('r'),
        fidelity: if has('m') || has('r') {
            Fidelity::Modelled
        } else {
            Fidelity::AsSent
        },
        origin: Origin::Builtin,
    }
}

fn categories(group: &str, plural: &str) -> Vec<String> {
    let all = matches!(
        (group, plural),
        ("", "services" | "pods") | ("apps", "deployments" | "daemonsets")
    );
    let extensions = matches!(
        group,
        "admissionregistration.k8s.io" | "apiextensions.k8s.io"
    );
    let word = if all { "all" } else { "api-extensions" };
    if all || extensions {
        vec![word.to_owned()]
    } else {
        Vec::new()
    }
}
