//! The show: a Service gets a balancer, changes, asks for nonsense, goes, and leaves nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context as _;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Service};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject},
};
use serde_json::json;

use super::{account::Found, explain, look::Seen, stage::Stage};
use crate::{
    api,
    lab::{
        cluster::CONTROLLER,
        look::until,
        objects::{self, within},
        progress::{Progress, Unmet},
    },
};

/// The example that the show is about.
const FILE: &str = "aws/internal.yaml";
const EXAMPLE: &str = include_str!("../../../examples/aws/internal.yaml");
/// How long Herald may take to start, or to see a change, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long until a balancer is there: AWS takes two minutes, and moto none; Herald looks every 15 to 20 seconds.
const PROVISIONING: Duration = Duration::from_secs(90);
/// How long until nothing is left: Herald gives the balancer's interfaces a minute, and looks again.
const DELETION: Duration = Duration::from_secs(300);
const MISSPELT: &str = "service.beta.kubernetes.io/aws-load-balancer-sheme";

/// Runs every step; the first that does not hold ends the show.
pub(in super::super) async fn run(stage: &mut Stage, progress: &mut Progress) -> Result<(), Unmet> {
    objects(stage, progress).await?;
    herald(stage, progress).await?;
    let mut wish: DynamicObject =
        serde_saphyr::from_str(EXAMPLE).map_err(|error| Unmet::new(error.to_string()))?;
    applied(stage, progress, &wish).await?;
    let first = hostname(stage, progress).await?;
    targets(stage, progress, &[80, 443]).await?;
    changed(stage, progress, &mut wish, &first).await?;
    targets(stage, progress, &[80, 443, 9000]).await?;
    explain::healthy(stage, progress, &wish.name_any(), PATIENCE).await?;
    refused(stage, progress, &mut wish, &first).await?;
    deleted(stage, progress, &wish).await?;
    empty(stage, progress).await
}

async fn objects(stage: &Stage, progress: &mut Progress) -> Result<(), Unmet> {
    let expected = "the API server takes Herald's resource definitions and rights, and the nodes";
    let work = async {
        let members = stage.members();
        objects::prepare(&stage.api, &members).await?;
        let known = members.iter().filter_map(|member| {
            Some(format!(
                "{} is {}",
                member.name,
                member.provider_id.as_ref()?
            ))
        });
        let known: Vec<_> = known.collect();
        Ok((
            (),
            format!(
                "Herald's resource definitions are served; {}",
                known.join(", ")
            ),
        ))
    };
    progress.step("objects", expected, work).await
}

async fn herald(stage: &mut Stage, progress: &mut Progress) -> Result<(), Unmet> {
    let work = async {
        stage.start_herald()?;
        let leases: Api<Lease> = Api::namespaced(stage.api.clone(), api::DEFAULT_NAMESPACE);
        let leads = until(PATIENCE, async || {
            let lease = within(leases.get(api::LEASE)).await?;
            let holder = lease.spec.and_then(|spec| spec.holder_identity);
            Ok(holder
                .filter(|holder| !holder.is_empty())
                .ok_or_else(|| "nobody leads".to_owned()))
        });
        let leader = leads
            .await
            .map_err(|last| Unmet::new(last).suspecting(CONTROLLER))?;
        Ok((
            (),
            format!("a controller leads, as {leader}; no agent is needed"),
        ))
    };
    progress.step("herald", "a controller leads", work).await
}

async fn applied(
    stage: &Stage,
    progress: &mut Progress,
    wish: &DynamicObject,
) -> Result<(), Unmet> {
    let work = async {
        objects::apply(&stage.api, wish).await?;
        Ok((
            (),
            format!("examples/{FILE}, a Service with the ports 80 and 443"),
        ))
    };
    progress
        .step("applied", "the API server takes the example", work)
        .await
}

/// The Service gets a hostname once its balancer is ready.
async fn hostname(stage: &Stage, progress: &mut Progress) -> Result<String, Unmet> {
    let work = async {
        let seen = wait(stage, PROVISIONING, |seen| {
            seen.reason == "Provisioned" && seen.ports == [80, 443].into()
        });
        let hostname = seen.await?.hostname.unwrap_or_default();
        let told = format!("{hostname}, shown once AWS called the balancer active");
        Ok((hostname, told))
    };
    progress
        .step("hostname", "the Service has a hostname", work)
        .await
}

/// Each port has a listener, and a target group with every instance in it.
async fn targets(stage: &Stage, progress: &mut Progress, ports: &[u16]) -> Result<(), Unmet> {
    let expected = format!(
        "a listener at each of {}, and all instances in the target group behind it",
        list(ports)
    );
    let work = async {
        let seen = look(stage).await?;
        let instances = stage.account.instances.iter();
        let all: BTreeSet<_> = instances.map(|instance| instance.id.clone()).collect();
        let node_ports = seen.node_ports.values();
        let wanted = Found {
            listeners: ports.iter().copied().collect(),
            targets: node_ports.map(|port| (*port, all.clone())).collect(),
        };
        let told = |found: &Found| told(found, &seen.node_ports, stage);
        let found = until(PATIENCE, async || {
            let found = stage.account.found(&seen.uid).await?;
            Ok(if found == wanted {
                Ok(())
            } else {
                Err(told(&found))
            })
        });
        found
            .await
            .map_err(|last| Unmet::new(last).suspecting(CONTROLLER))?;
        Ok(((), told(&wanted)))
    };
    progress.step("targets", &expected, work).await
}

/// Where each port leads.
fn told(found: &Found, node_ports: &BTreeMap<u16, u16>, stage: &Stage) -> String {
    let ways = node_ports.iter().map(|(port, node_port)| {
        let listener = if found.listeners.contains(port) {
            ""
        } else {
            ", but no listener"
        };
        let behind = found.targets.get(node_port);
        let behind = |id: &String| behind.is_some_and(|behind| behind.contains(id));
        let instances = stage.account.instances.iter();
        let nodes = instances.filter(|instance| behind(&instance.id));
        let nodes: Vec<_> = nodes.map(|instance| instance.node.as_str()).collect();
        let nodes = if nodes.is_empty() {
            "nobody".to_owned()
        } else {
            nodes.join(", ")
        };
        format!("port {port} → {nodes} at {node_port}{listener}")
    });
    let stray = |listener: &&u16| !node_ports.contains_key(*listener);
    let stray = found.listeners.iter().filter(stray);
    let stray = stray.map(|port| format!("a listener too many at {port}"));
    ways.chain(stray).collect::<Vec<_>>().join("; ")
}

fn list(ports: &[u16]) -> String {
    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
    ports.join(", ")
}

/// One port more is served by the same balancer.
async fn changed(
    stage: &Stage,
    progress: &mut Progress,
    wish: &mut DynamicObject,
    first: &str,
) -> Result<(), Unmet> {
    let work = async {
        let ports = wish
            .data
            .pointer_mut("/spec/ports")
            .and_then(|ports| ports.as_array_mut());
        let ports = ports.context("the example has no ports")?;
        ports.push(json!({ "name": "metrics", "port": 9000, "targetPort": 9000 }));
        objects::apply(&stage.api, wish).await?;
        wait(stage, PATIENCE, |seen| {
            seen.reason == "Provisioned"
                && seen.ports.contains(&9000)
                && seen.hostname.as_deref() == Some(first)
        })
        .await?;
        Ok((
            (),
            "port 9000 was added, and the same hostname serves it".to_owned(),
        ))
    };
    progress
        .step("changed", "a port is added to the same balancer", work)
        .await
}

/// What is misspelt is told, and costs nothing.
async fn refused(
    stage: &Stage,
    progress: &mut Progress,
    wish: &mut DynamicObject,
    first: &str,
) -> Result<(), Unmet> {
    let work = async {
        let serves = |seen: &Seen| seen.hostname.as_deref() == Some(first);
        wish.annotations_mut()
            .insert(MISSPELT.to_owned(), "internet-facing".to_owned());
        objects::apply(&stage.api, wish).await?;
        let seen = wait(stage, PATIENCE, |seen| {
            serves(seen) && seen.reason == "UnknownAnnotation"
        })
        .await?;
        wish.annotations_mut().clear();
        objects::apply(&stage.api, wish).await?;
        wait(stage, PATIENCE, |seen| {
            serves(seen) && seen.reason == "Provisioned"
        })
        .await?;
        Ok(((), seen.said()))
    };
    progress
        .step(
            "refused",
            "a misspelt annotation is told, and what serves goes on",
            work,
        )
        .await
}

async fn deleted(
    stage: &Stage,
    progress: &mut Progress,
    wish: &DynamicObject,
) -> Result<(), Unmet> {
    let expected = "the Service is deleted once AWS has nothing of it any more";
    let work = async {
        let services: Api<Service> = Api::default_namespaced(stage.api.clone());
        let name = wish.name_any();
        within(services.delete(&name, &DeleteParams::default())).await?;
        let gone = until(DELETION, async || {
            Ok(match within(services.get_opt(&name)).await? {
                None => Ok(()),
                Some(service) => Err(Seen::of(&service).said()),
            })
        });
        gone.await
            .map_err(|last| Unmet::new(last).suspecting(CONTROLLER))?;
        let seen =
            "the Service went last: a balancer's interfaces keep its security group for a minute";
        Ok(((), seen.to_owned()))
    };
    progress.step("deleted", expected, work).await
}

async fn empty(stage: &Stage, progress: &mut Progress) -> Result<(), Unmet> {
    let work = async {
        let left = stage.account.ours().await?.orphans(&BTreeSet::new());
        let left: Vec<_> = left.iter().flat_map(|orphan| orphan.left.all()).collect();
        if left.is_empty() {
            let seen = "no balancer, target group, security group or rule carries Herald's tag";
            Ok(((), seen.to_owned()))
        } else {
            Err(Unmet::new(left.join(", ")).suspecting(CONTROLLER))
        }
    };
    progress
        .step("empty", "nothing of Herald's is left in AWS", work)
        .await
}

/// Waits until the Service is as it should be.
async fn wait(
    stage: &Stage,
    patience: Duration,
    holds: impl Fn(&Seen) -> bool,
) -> Result<Seen, Unmet> {
    let seen = until(patience, async || {
        let seen = look(stage).await?;
        Ok(if holds(&seen) {
            Ok(seen)
        } else {
            Err(seen.said())
        })
    });
    seen.await
        .map_err(|last| Unmet::new(last).suspecting(CONTROLLER))
}

async fn look(stage: &Stage) -> anyhow::Result<Seen> {
    let services: Api<Service> = Api::default_namespaced(stage.api.clone());
    let example: DynamicObject = serde_saphyr::from_str(EXAMPLE)?;
    let service = within(services.get(&example.name_any())).await?;
    Ok(Seen::of(&service))
}
