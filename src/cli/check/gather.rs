//! Reads everything that a check wants to know. What cannot be read is noted, and nothing is given up for it.

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment},
        coordination::v1::Lease,
        core::v1::{ConfigMap, Node, Secret, Service},
        networking::v1::ServiceCIDR,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    jiff::Timestamp,
};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde::de::DeserializeOwned;
use tokio::time;

use super::{definitions::definition, project};
use crate::{
    api::{self, AddressPool, NodeAnnouncements},
    check::{
        self,
        facts::{
            AgentReport, Cause, Definition, Facts, KubeProxy, LeaseFacts, Read, Unread, Wire,
            Workload,
        },
    },
    cli::{
        reading::{Reader, Unanswered},
        status::BALANCERS,
    },
    cluster,
};

const SYSTEM: &str = "kube-system";
const CILIUM_POOLS: &str = "ciliumloadbalancerippools.cilium.io";
/// A Lease that was renewed so many seconds ago by this machine's clock needs no second look.
const RENEWED: i64 = 10;
/// How long to look whether it is renewed after all: a leader does that every second.
const WATCHED: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_secs(1);

/// Reads everything.
///
/// # Errors
/// When the API server cannot be reached or does not know who asks: then nothing at all could be found out.
pub(super) async fn gather(reader: &Reader, namespace: &str) -> anyhow::Result<Facts> {
    reach(reader).await?;
    let all = ListParams::default;
    let nodes: Api<Node> = Api::all(reader.client());
    let pools: Api<AddressPool> = Api::all(reader.client());
    let services: Api<Service> = Api::all(reader.client());
    let (nodes, agents, pools, services, leases, workloads, installed, names, ranges) = tokio::join!(
        list(reader, &nodes, all(), "nodes"),
        agents(reader),
        list(reader, &pools, all(), "addresspools.herald.dev"),
        list(reader, &services, all().fields(BALANCERS), "services"),
        leases(reader, namespace),
        workloads(reader),
        installed(reader),
        names(reader),
        service_ranges(reader),
    );
    // A key that an agent signs with is there, and who may read it can forge heartbeats: not asked for in vain.
    let key_is_seen = agents
        .iter()
        .flatten()
        .any(|report| report.status.agent.is_some());
    let peer_key = match key_is_seen {
        true => None,
        false => Some(peer_key(reader, namespace).await),
    };
    // Agents tell better how kube-proxy works on their nodes than its configuration does.
    let kernel_is_seen = agents
        .iter()
        .flatten()
        .any(|report| report.status.host.is_some());
    let kube_proxy = match kube_proxy(reader).await {
        Err(unread) if kernel_is_seen && unread.cause == Cause::Forbidden => Ok(None),
        read => read,
    };
    Ok(Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        namespace: namespace.to_owned(),
        known: api::crds().iter().map(definition).collect(),
        cilium_pools: cilium_pools(reader, &names).await,
        installed,
        definitions: names,
        nodes: nodes.map(|nodes| nodes.iter().filter_map(project::node).collect()),
        agents,
        pools: pools.map(|pools| pools.iter().filter_map(cluster::pool).collect()),
        services: services.map(|all| all.iter().filter_map(project::service).collect()),
        leases,
        workloads,
        kube_proxy,
        service_ranges: ranges,
        peer_key,
        wire: Wire::NotAsked,
    })
}

/// What the agents report.
pub(super) async fn agents(reader: &Reader) -> Read<Vec<AgentReport>> {
    let api: Api<NodeAnnouncements> = Api::all(reader.client());
    let read = list(
        reader,
        &api,
        ListParams::default(),
        "nodeannouncements.herald.dev",
    )
    .await?;
    Ok(read.iter().filter_map(project::report).collect())
}

/// Whether there is an API server that knows who asks. What it allows is another matter.
async fn reach(reader: &Reader) -> anyhow::Result<()> {
    match reader.call(reader.client().apiserver_version()).await {
        Err(Unanswered::Refused(kube::Error::Api(status))) if status.code != 401 => Ok(()),
        answer => Ok(answer.map(drop)?),
    }
}

async fn list<K>(reader: &Reader, api: &Api<K>, params: ListParams, resource: &str) -> Read<Vec<K>>
where
    K: Clone + DeserializeOwned + Debug,
{
    let read = reader.try_list(api, params).await;
    read.map_err(|error| unread("list", resource, &error))
}

async fn get<K>(reader: &Reader, api: &Api<K>, name: &str, resource: &str) -> Read<Option<K>>
where
    K: Clone + DeserializeOwned + Debug,
{
    let read = reader.call(api.get_opt(name)).await;
    read.map_err(|error| unread("get", resource, &error))
}

/// Why something could not be done.
pub(super) fn unread(verb: &'static str, resource: &str, error: &Unanswered) -> Unread {
    let cause = match error {
        Unanswered::Refused(kube::Error::Api(status)) if status.code == 403 => Cause::Forbidden,
        Unanswered::Refused(kube::Error::Api(status)) if status.code == 404 => Cause::NotServed,
        other => Cause::Failed(other.to_string()),
    };
    Unread {
        verb,
        resource: resource.to_owned(),
        cause,
    }
}

/// Herald's definitions, each by its name: a role can be kept to these three.
async fn installed(reader: &Reader) -> Read<Vec<Definition>> {
    let api: Api<CustomResourceDefinition> = Api::all(reader.client());
    let mut installed = Vec::new();
    for known in api::crds() {
        let resource = "customresourcedefinitions.apiextensions.k8s.io";
        let found = get(reader, &api, &known.name_any(), resource).await?;
        installed.extend(found.as_ref().map(definition));
    }
    Ok(installed)
}

/// The names of all definitions, without their schemas, which are megabytes.
async fn names(reader: &Reader) -> Read<BTreeSet<String>> {
    let api: Api<CustomResourceDefinition> = Api::all(reader.client());
    let params = ListParams::default();
    let read = reader.call(api.list_metadata(&params)).await;
    let resource = "customresourcedefinitions.apiextensions.k8s.io";
    let read = read.map_err(|error| unread("list", resource, &error))?;
    Ok(read.items.iter().map(|object| object.name_any()).collect())
}

async fn cilium_pools(reader: &Reader, names: &Read<BTreeSet<String>>) -> Read<usize> {
    if !names
        .as_ref()
        .is_ok_and(|names| names.contains(CILIUM_POOLS))
    {
        return Ok(0);
    }
    let mut last = Ok(0);
    for version in ["v2", "v2alpha1"] {
        let kind = GroupVersionKind::gvk("cilium.io", version, "CiliumLoadBalancerIPPool");
        let resource = ApiResource::from_gvk_with_plural(&kind, "ciliumloadbalancerippools");
        let api: Api<DynamicObject> = Api::all_with(reader.client(), &resource);
        last = list(reader, &api, ListParams::default(), CILIUM_POOLS)
            .await
            .map(|pools| pools.len());
        if !last.as_ref().is_err_and(Unread::is_not_served) {
            break;
        }
    }
    last
}

async fn workloads(reader: &Reader) -> Read<Vec<Workload>> {
    let daemons: Api<DaemonSet> = Api::all(reader.client());
    let deployments: Api<Deployment> = Api::all(reader.client());
    let all = ListParams::default;
    let (daemons, deployments) = tokio::join!(
        list(reader, &daemons, all(), "daemonsets.apps"),
        list(reader, &deployments, all(), "deployments.apps"),
    );
    let (daemons, deployments) = (daemons?, deployments?);
    let daemons = daemons.iter().map(project::daemon_set);
    Ok(daemons
        .chain(deployments.iter().map(project::deployment))
        .collect())
}

/// The controllers' Leases of all namespaces; of this one alone where no more may be read.
async fn leases(reader: &Reader, namespace: &str) -> Read<Vec<LeaseFacts>> {
    let found = look_at_leases(reader, namespace).await?;
    let now = Timestamp::now().as_second();
    let is_recent = |lease: &Lease| {
        let renewed = renewed(lease).map(|time| time.as_second());
        renewed.is_some_and(|renewed| (now - renewed).abs() <= RENEWED)
    };
    let mut fresh: Vec<bool> = found.iter().map(is_recent).collect();
    let started = time::Instant::now();
    // This machine's clock may be wrong: what is renewed while it is looked at is renewed.
    let awaited = |(lease, fresh): (&Lease, &bool)| {
        !fresh && lease.name_any() == api::LEASE && holder(lease).is_some()
    };
    while found.iter().zip(&fresh).any(awaited) && started.elapsed() < WATCHED {
        time::sleep(LOOK).await;
        let again = look_at_leases(reader, namespace).await?;
        for (lease, fresh) in found.iter().zip(&mut fresh) {
            let same = |it: &&Lease| {
                (it.namespace(), it.name_any()) == (lease.namespace(), lease.name_any())
            };
            let now = again.iter().find(same);
            *fresh |= now.is_some_and(|now| renewed(now) != renewed(lease));
        }
    }
    let facts = found.iter().zip(fresh).map(|(lease, fresh)| LeaseFacts {
        name: lease.name_any(),
        namespace: lease.namespace().unwrap_or_default(),
        holder: holder(lease),
        fresh,
    });
    Ok(facts.collect())
}

fn holder(lease: &Lease) -> Option<String> {
    let holder = lease.spec.as_ref()?.holder_identity.clone();
    holder.filter(|holder| !holder.is_empty())
}

fn renewed(lease: &Lease) -> Option<Timestamp> {
    Some(lease.spec.as_ref()?.renew_time.as_ref()?.0)
}

async fn look_at_leases(reader: &Reader, namespace: &str) -> Read<Vec<Lease>> {
    let resource = "leases.coordination.k8s.io";
    let everywhere: Api<Lease> = Api::all(reader.client());
    let named = |name| ListParams::default().fields(&format!("metadata.name={name}"));
    let mut leases = match list(reader, &everywhere, named(api::LEASE), resource).await {
        Err(unread) if unread.cause == Cause::Forbidden => {
            let here: Api<Lease> = Api::namespaced(reader.client(), namespace);
            match get(reader, &here, api::LEASE, resource).await {
                Ok(lease) => lease.into_iter().collect(),
                Err(_) => return Err(unread),
            }
        }
        read => read?,
    };
    // kube-vip is mostly found by its DaemonSet; who may not read its Lease misses little.
    let others = list(reader, &everywhere, named(check::KUBE_VIP_LEASE), resource).await;
    leases.extend(others.unwrap_or_default());
    Ok(leases)
}

async fn kube_proxy(reader: &Reader) -> Read<Option<KubeProxy>> {
    let api: Api<ConfigMap> = Api::namespaced(reader.client(), SYSTEM);
    let read = get(
        reader,
        &api,
        "kube-proxy",
        "configmaps/kube-proxy in kube-system",
    )
    .await?;
    Ok(read.as_ref().and_then(project::kube_proxy))
}

/// From the ServiceCIDR objects; where there are none, as before Kubernetes 1.33, from what kubeadm has stored.
async fn service_ranges(reader: &Reader) -> Read<Vec<ipnet::IpNet>> {
    let api: Api<ServiceCIDR> = Api::all(reader.client());
    let resource = "servicecidrs.networking.k8s.io";
    match list(reader, &api, ListParams::default(), resource).await {
        Err(unread) if !unread.is_not_served() => return Err(unread),
        Ok(objects) if !objects.is_empty() => {
            let ranges = objects
                .iter()
                .filter_map(|it| it.spec.as_ref()?.cidrs.as_deref());
            return Ok(project::nets(ranges.flatten().map(String::as_str)));
        }
        Ok(_) | Err(_) => {}
    }
    let api: Api<ConfigMap> = Api::namespaced(reader.client(), SYSTEM);
    let read = get(
        reader,
        &api,
        "kubeadm-config",
        "configmaps/kubeadm-config in kube-system",
    )
    .await?;
    Ok(read
        .as_ref()
        .map(project::service_subnet)
        .unwrap_or_default())
}

/// Whether the Secret is there; its content is not asked for.
async fn peer_key(reader: &Reader, namespace: &str) -> Read<bool> {
    let api: Api<Secret> = Api::namespaced(reader.client(), namespace);
    let read = reader
        .call(api.get_metadata_opt(api::PEER_KEY_SECRET))
        .await;
    let resource = format!("secrets/{} in {namespace}", api::PEER_KEY_SECRET);
    let read = read.map_err(|error| unread("get", &resource, &error))?;
    Ok(read.is_some())
}
