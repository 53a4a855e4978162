//! The manifests that people apply: they say what the code says, and keep what the documentation promises.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use herald::api::{self, AddressPool};
use k8s_openapi::api::{
    admissionregistration::v1alpha1::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding},
    apps::v1::{DaemonSet, Deployment},
    core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

const CRDS: &str = "deploy/crds/herald.yaml";
/// For those who want it: applied by hand.
const OPTIONAL: &str = "deploy/node-ports-policy.yaml";
/// What stands in a cluster that runs Herald, and what may be added.
const FOLDERS: [&str; 4] = [
    "deploy",
    "deploy/base",
    "deploy/overlays/bare-metal",
    "deploy/overlays/shared",
];

/// One YAML document, and where it stands.
struct Manifest {
    file: String,
    kind: String,
    object: Value,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Everything in the YAML files of a folder, but not of the folders in it.
fn manifests(folder: &str) -> Result<Vec<Manifest>> {
    let files = fs::read_dir(root().join(folder)).with_context(|| format!("no folder {folder}"))?;
    let mut files: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    ensure!(!files.is_empty(), "{folder} has no manifest");
    let mut manifests = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let file = file.strip_prefix(root())?.display().to_string();
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(&text).map_err(|error| anyhow!("{file}: {error}"))?;
        manifests.extend(objects.into_iter().map(|object| {
            Manifest {
                file: file.clone(),
                kind: object
                    .get("kind")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                object,
            }
        }));
    }
    Ok(manifests)
}

/// The only manifest of this kind in `deploy/`.
fn deployed(kind: &str) -> Result<Value> {
    let mut found = manifests("deploy/base")?
        .into_iter()
        .filter(|manifest| manifest.kind == kind);
    let only = found
        .next()
        .with_context(|| format!("deploy/base has no {kind}"))?;
    ensure!(found.next().is_none(), "deploy/base has two of kind {kind}");
    Ok(only.object)
}

/// Reads the object as a `T`. A field that `T` does not know would be dropped in silence; here it is an error.
fn fits<T: DeserializeOwned + Serialize>(manifest: &Manifest) -> Result<()> {
    let place = || format!("{}, {}", manifest.file, manifest.kind);
    let read: T = serde_json::from_value(manifest.object.clone()).with_context(place)?;
    match lost(
        &manifest.object,
        &serde_json::to_value(read)?,
        String::new(),
    ) {
        Some(field) => bail!(
            "{}: {field} is none of its fields, or reads otherwise",
            place()
        ),
        None => Ok(()),
    }
}

/// The same manifest under the version that the oldest wire types know; its fields are those of v1.
fn early(mut manifest: Manifest) -> Manifest {
    if let Some(version) = manifest.object.get_mut("apiVersion")
        && *version == "admissionregistration.k8s.io/v1"
    {
        *version = json!("admissionregistration.k8s.io/v1alpha1");
    }
    manifest
}

/// The path of the first field of `written` that `read` has not.
fn lost(written: &Value, read: &Value, path: String) -> Option<String> {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            written.iter().find_map(|(name, value)| {
                let path = format!("{path}.{name}");
                match read.get(name) {
                    Some(read) => lost(value, read, path),
                    None => Some(path),
                }
            })
        }
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            let pairs = written.iter().zip(read).enumerate();
            pairs
                .into_iter()
                .find_map(|(i, (written, read))| lost(written, read, format!("{path}[{i}]")))
        }
        _ => (written != read).then_some(path),
    }
}

#[test]
fn every_field_of_every_manifest_is_known() -> Result<()> {
    let mut all = manifests("examples")?;
    for folder in FOLDERS {
        all.extend(manifests(folder)?);
    }
    for manifest in all {
        match manifest.kind.as_str() {
            "AddressPool" => fits::<AddressPool>(&manifest)?,
            "ClusterRole" => fits::<ClusterRole>(&manifest)?,
            "ClusterRoleBinding" => fits::<ClusterRoleBinding>(&manifest)?,
            "ConfigMap" => fits::<ConfigMap>(&manifest)?,
            "DaemonSet" => fits::<DaemonSet>(&manifest)?,
            "Deployment" => fits::<Deployment>(&manifest)?,
            "MutatingAdmissionPolicy" => fits::<MutatingAdmissionPolicy>(&early(manifest))?,
            "MutatingAdmissionPolicyBinding" => {
                fits::<MutatingAdmissionPolicyBinding>(&early(manifest))?;
            }
            "Namespace" => fits::<Namespace>(&manifest)?,
            "NetworkPolicy" => fits::<NetworkPolicy>(&manifest)?,
            "Pod" => fits::<Pod>(&manifest)?,
            "PodDisruptionBudget" => fits::<PodDisruptionBudget>(&manifest)?,
            "Role" => fits::<Role>(&manifest)?,
            "RoleBinding" => fits::<RoleBinding>(&manifest)?,
            "Service" => fits::<Service>(&manifest)?,
            "ServiceAccount" => fits::<ServiceAccount>(&manifest)?,
            "Kustomization" => {}
            other => bail!("{}: teach this test the kind {other:?}", manifest.file),
        }
    }
    Ok(())
}

#[test]
fn the_definitions_are_those_of_the_code() -> Result<()> {
    let written = fs::read_to_string(root().join(CRDS)).unwrap_or_default();
    ensure!(
        written == api::crds_yaml()?,
        "{CRDS} differs from the types in src/api; write it anew: cargo run -- crds > {CRDS}"
    );
    Ok(())
}

#[test]
fn kustomize_applies_every_file_but_the_optional() -> Result<()> {
    for folder in ["deploy/crds", "deploy/base"] {
        let mut wanted: Vec<_> = manifests(folder)?.into_iter().map(|m| m.file).collect();
        wanted.retain(|file| !file.ends_with("/kustomization.yaml"));
        wanted.dedup();
        assert_eq!(listed(folder)?, wanted);
    }
    assert_eq!(listed("deploy")?, ["deploy/base", "deploy/crds"]);
    let beside: Vec<_> = manifests("deploy")?.into_iter().map(|m| m.file).collect();
    ensure!(
        beside
            .iter()
            .all(|file| file == OPTIONAL || file == "deploy/kustomization.yaml"),
        "{beside:?}"
    );
    Ok(())
}

/// The resources of a kustomization, by their paths.
fn listed(folder: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(root().join(folder).join("kustomization.yaml"))?;
    let kustomization: Value = serde_saphyr::from_str(&text).map_err(|error| anyhow!("{error}"))?;
    let resources = kustomization.get("resources").and_then(Value::as_array);
    let resources = resources.context("no resources")?.iter();
    let mut listed: Vec<_> = resources
        .filter_map(Value::as_str)
        .map(|file| format!("{folder}/{file}"))
        .collect();
    listed.sort();
    Ok(listed)
}

/// The variant in comments must be as sound as the manifest itself.
#[test]
fn the_policy_for_namespaces_is_sound_too() -> Result<()> {
    let text = fs::read_to_string(root().join(OPTIONAL))?;
    let (_, variant) = text.split_once("\n#---\n").context("no variant")?;
    let lines: Option<Vec<_>> = variant.lines().map(|line| line.strip_prefix('#')).collect();
    let text = lines.context("a line without its mark")?.join("\n");
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| anyhow!("{error}"))?;
    assert_eq!(objects.len(), 2);
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let manifest = early(Manifest {
            file: OPTIONAL.to_owned(),
            kind,
            object,
        });
        match manifest.kind.as_str() {
            "MutatingAdmissionPolicy" => fits::<MutatingAdmissionPolicy>(&manifest)?,
            _ => fits::<MutatingAdmissionPolicyBinding>(&manifest)?,
        }
    }
    Ok(())
}

#[test]
fn permissions_are_spelt_out_and_no_secret_is_read() -> Result<()> {
    let roles: Vec<_> = manifests("deploy/base")?
        .into_iter()
        .filter(|m| m.kind.ends_with("Role"))
        .collect();
    ensure!(
        roles.len() == 6,
        "five ClusterRoles and a Role were expected"
    );
    for role in roles {
        for rule in role.object["rules"].as_array().context("no rules")? {
            let text = rule.to_string();
            ensure!(!text.contains('*'), "{} has a wildcard: {text}", role.file);
            if text.contains("\"secrets\"") {
                assert_eq!(
                    (role.kind.as_str(), &rule["verbs"]),
                    ("Role", &json!(["create"]))
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_agent_has_two_capabilities_and_the_controller_none() -> Result<()> {
    let agent = deployed("DaemonSet")?;
    let pod = &agent["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["securityContext"],
        json!({
            "runAsUser": 0,
            "runAsGroup": 0,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"], "add": ["NET_RAW", "SYS_NICE"] },
        })
    );
    assert_eq!(
        pod["securityContext"],
        json!({ "seccompProfile": { "type": "RuntimeDefault" } })
    );
    assert_eq!(
        pod["volumes"][0]["secret"]["secretName"],
        api::PEER_KEY_SECRET
    );
    for shared in ["hostPID", "hostIPC"] {
        assert_eq!(pod[shared], Value::Null);
    }
    let controller = deployed("Deployment")?;
    let pod = &controller["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        })
    );
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["hostNetwork"], Value::Null);
    Ok(())
}

#[test]
fn the_binary_understands_the_arguments() -> Result<()> {
    for kind in ["Deployment", "DaemonSet"] {
        let workload = deployed(kind)?;
        let args = &workload["spec"]["template"]["spec"]["containers"][0]["args"];
        let args = args
            .as_array()
            .context("no args")?
            .iter()
            .filter_map(Value::as_str);
        // Every argument before --help is read first, and refused if it is unknown.
        let run = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(args)
            .arg("--help")
            .output()?;
        ensure!(
            run.status.success(),
            "{kind}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
    }
    Ok(())
}
