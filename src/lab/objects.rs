//! The objects that the lab writes: what a cluster has before Herald comes, and the examples.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, bail};
use k8s_openapi::{
    api::core::v1::Service,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams, TypeMeta},
    core::GroupVersionKind,
};
use serde_json::json;
use tokio::time;

use super::{rights, segment::Host};
use crate::api;

/// The lab as a field manager.
pub(super) const LAB: &str = "herald-lab";

/// The examples of the repository, by file name, in the order in which they are applied.
const EXAMPLES: [(&str, &str); 4] = [
    ("pool.yaml", include_str!("../../examples/pool.yaml")),
    ("service.yaml", include_str!("../../examples/service.yaml")),
    (
        "service-dual-stack.yaml",
        include_str!("../../examples/service-dual-stack.yaml"),
    ),
    (
        "service-requested-address.yaml",
        include_str!("../../examples/service-requested-address.yaml"),
    ),
];

const NAMESPACES: [&str; 2] = ["default", api::DEFAULT_NAMESPACE];
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A real API server takes a moment to serve a new resource.
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// A node as the cluster is to know it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where a cloud has zones.
    pub(super) zone: Option<String>,
    /// What a cloud calls it.
    pub(super) provider_id: Option<String>,
    /// Its InternalIPs.
    pub(super) addresses: Vec<IpAddr>,
}

impl Member {
    /// A host on the segment.
    pub(super) fn of(host: &Host) -> Self {
        Self {
            name: host.name.clone(),
            zone: None,
            provider_id: None,
            addresses: host.addresses().into(),
        }
    }

    fn object(&self) -> serde_json::Value {
        let mut labels = json!({"kubernetes.io/hostname": self.name});
        if let (Some(zone), Some(labels)) = (&self.zone, labels.as_object_mut()) {
            let region = zone.trim_end_matches(|last: char| last.is_ascii_lowercase());
            labels.insert("topology.kubernetes.io/zone".to_owned(), json!(zone));
            labels.insert("topology.kubernetes.io/region".to_owned(), json!(region));
        }
        let mut object = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
        });
        if let (Some(id), Some(object)) = (&self.provider_id, object.as_object_mut()) {
            object.insert("spec".to_owned(), json!({"providerID": id}));
        }
        object
    }
}

/// Writes namespaces, Nodes, what Herald may do, and its resource definitions, and waits until these are served.
pub(super) async fn prepare(client: &Client, nodes: &[Member]) -> anyhow::Result<()> {
    for name in NAMESPACES {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        apply(client, &serde_json::from_value(namespace)?).await?;
    }
    for object in rights::objects().context("deploy/base/rbac.yaml")? {
        apply(client, &object).await?;
    }
    for node in nodes {
        apply(client, &serde_json::from_value(node.object())?).await?;
        let addresses = node
            .addresses
            .iter()
            .map(|a| json!({"type": "InternalIP", "address": a}));
        // Not by apply: its schema has one address of each type, and here are two.
        let status = json!({
            "status": {"addresses": addresses.collect::<Vec<_>>(), "conditions": [{
                "type": "Ready", "status": "True", "reason": "HeraldLab",
                "message": "a node of herald lab",
            }]},
        });
        let nodes: Api<DynamicObject> = Api::all_with(client.clone(), &resource("", "v1", "Node"));
        within(nodes.patch_status(&node.name, &PatchParams::default(), &Patch::Merge(&status)))
            .await
            .with_context(|| format!("the status of {}", node.name))?;
    }
    for crd in api::crds() {
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        let name = crd.name_any();
        let sent = serde_json::to_value(&crd)?;
        within(crds.patch(&name, &params(), &Patch::Apply(&sent)))
            .await
            .context(name)?;
    }
    let established = async {
        while !established(client).await? {
            time::sleep(POLL).await;
        }
        Ok(())
    };
    match time::timeout(ESTABLISHED_WITHIN, established).await {
        Ok(done) => done,
        Err(_) => bail!("the API server does not establish Herald's resource definitions"),
    }
}

async fn established(client: &Client) -> anyhow::Result<bool> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in api::crds() {
        let crd = within(crds.get(&crd.name_any())).await?;
        let conditions = crd
            .status
            .into_iter()
            .flat_map(|s| s.conditions.unwrap_or_default());
        if !conditions
            .into_iter()
            .any(|c| c.type_ == "Established" && c.status == "True")
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Applies the examples; gives the names of their files.
pub(super) async fn apply_examples(client: &Client) -> anyhow::Result<Vec<&'static str>> {
    for (file, text) in EXAMPLES {
        let object = serde_saphyr::from_str(text).with_context(|| file.to_owned())?;
        apply(client, &object)
            .await
            .with_context(|| format!("examples/{file}"))?;
    }
    Ok(EXAMPLES.iter().map(|(file, _)| *file).collect())
}

/// The examples' Services as the API server has them now.
pub(super) async fn example_services(client: &Client) -> anyhow::Result<Vec<Service>> {
    let api: Api<Service> = Api::default_namespaced(client.clone());
    let mut services = Vec::new();
    for (file, text) in EXAMPLES {
        let object: DynamicObject = serde_saphyr::from_str(text).context(file)?;
        if kind(&object) == "Service" {
            services.push(within(api.get(&object.name_any())).await.context(file)?);
        }
    }
    Ok(services)
}

/// Applies one object by server-side apply, in the default namespace if it names none.
pub(super) async fn apply(client: &Client, object: &DynamicObject) -> anyhow::Result<()> {
    let types = object
        .types
        .as_ref()
        .context("an object without apiVersion and kind")?;
    let kind = GroupVersionKind::try_from(types).context("an object with an ill apiVersion")?;
    let resource = resource(&kind.group, &kind.version, &kind.kind);
    let name = object.name_any();
    let api: Api<DynamicObject> = match (object.namespace(), kind.kind.as_str()) {
        (Some(namespace), _) => Api::namespaced_with(client.clone(), &namespace, &resource),
        (None, "Service" | "EndpointSlice") => {
            Api::default_namespaced_with(client.clone(), &resource)
        }
        (None, _) => Api::all_with(client.clone(), &resource),
    };
    within(api.patch(&name, &params(), &Patch::Apply(object)))
        .await
        .map(drop)
        .with_context(|| format!("{} {name}", kind.kind))
}

/// A call that must not take long.
pub(super) async fn within<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
) -> anyhow::Result<T> {
    match time::timeout(CALL_TIMEOUT, call).await {
        Ok(Err(kube::Error::Api(status))) => {
            bail!(
                "the API server refused ({} {}): {}",
                status.code,
                status.reason,
                status.message
            )
        }
        Ok(result) => result.context("the API server cannot be reached"),
        Err(_) => bail!("the API server did not answer within {CALL_TIMEOUT:?}"),
    }
}

fn kind(object: &DynamicObject) -> &str {
    object
        .types
        .as_ref()
        .map_or("", |types: &TypeMeta| types.kind.as_str())
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn params() -> PatchParams {
    PatchParams::apply(LAB).force()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_objects_of_known_kinds() {
        let kinds = EXAMPLES.map(|(file, text)| {
            let object: DynamicObject = serde_saphyr::from_str(text).expect(file);
            kind(&object).to_owned()
        });
        assert_eq!(kinds, ["AddressPool", "Service", "Service", "Service"]);
    }
}
