//! The targets of a port: nodes at their node port, or endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ring::digest::{SHA256, digest};

use super::HeldTargets;
use crate::{
    annotations::{self, Wishes},
    input::{Input, Node, ServicePort},
    model::{GroupKind, Target},
    refusal::{Reason, Refusal},
    settings::Settings,
    words::{TargetFamily, TargetType},
};

pub(super) fn targets(
    input: &Input<'_>,
    wishes: &Wishes,
    kind: GroupKind,
    port: &ServicePort,
) -> Result<BTreeSet<Target>, Refusal> {
    match kind.target_type {
        TargetType::Instance => instances(input, &wishes.node_labels, port).ok_or_else(|| {
            Refusal::new(
                Reason::NodePortsNeeded,
                format!("port {} has no node port, and instance targets are reached there; set spec.allocateLoadBalancerNodePorts: true, or aws-load-balancer-nlb-target-type: ip", port.port.number),
            )
        }),
        TargetType::Ip => Ok(endpoints(input, kind.family, port)),
    }
}

/// `None` without a node port.
fn instances(
    input: &Input<'_>,
    labels: &BTreeMap<String, String>,
    port: &ServicePort,
) -> Option<BTreeSet<Target>> {
    let port = port.node_port.filter(|port| *port > 0)?;
    let ids = selected(input, labels).filter_map(Node::instance);
    Some(
        ids.map(|id| Target {
            id: id.to_owned(),
            port,
            outside: false,
        })
        .collect(),
    )
}

fn endpoints(input: &Input<'_>, family: TargetFamily, port: &ServicePort) -> BTreeSet<Target> {
    let wanted = |address: &IpAddr| address.is_ipv6() == (family == TargetFamily::V6);
    input
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.ready && wanted(&endpoint.address))
        .filter_map(|endpoint| {
            let number = *endpoint.ports.get(&port.name)?;
            let inside = input
                .network
                .ranges
                .iter()
                .any(|range| range.contains(&endpoint.address));
            Some(Target {
                id: endpoint.address.to_string(),
                port: number,
                outside: !inside,
            })
        })
        .collect()
}

fn selected<'a>(
    input: &Input<'a>,
    labels: &BTreeMap<String, String>,
) -> impl Iterator<Item = &'a Node> {
    let wanted = labels.clone();
    input.nodes.iter().filter(move |node| {
        node.fit
            && wanted
                .iter()
                .all(|(key, value)| node.labels.get(key) == Some(value))
    })
}

pub(super) fn nodes_without_instance(input: &Input<'_>, wishes: &Wishes) -> Vec<Refusal> {
    selected(input, &wishes.node_labels)
        .filter(|node| node.instance().is_none())
        .map(|node| {
            Refusal::new(
                Reason::NodeWithoutInstance,
                format!("node {} has no EC2 instance in spec.providerID, so it is no target; the other nodes serve", node.name),
            )
        })
        .collect()
}

/// Drops what is above the limit, the same ones each time; how many, if any.
pub(super) fn limit(targets: &mut BTreeSet<Target>, share: usize, salt: &str) -> Option<usize> {
    let over = targets.len().checked_sub(share).filter(|over| *over > 0)?;
    let mut ranked: Vec<_> = std::mem::take(targets)
        .into_iter()
        .map(|target| {
            (
                digest(&SHA256, format!("{salt}\0{target}").as_bytes())
                    .as_ref()
                    .to_vec(),
                target,
            )
        })
        .collect();
    ranked.sort();
    targets.extend(ranked.into_iter().take(share).map(|(_, target)| target));
    Some(over)
}

/// The targets of whatever target group there may be for a port, for a Service that asks for nonsense: what was right
/// before stays in service through rollouts.
pub(super) fn held(input: &Input<'_>, settings: &Settings) -> HeldTargets {
    let labels = annotations::node_labels(&input.service.annotations);
    let share = settings.targets_per_balancer / input.service.ports.len().max(1);
    let mut held = HeldTargets::new();
    for port in &input.service.ports {
        let number = port.port.number;
        for family in [TargetFamily::V4, TargetFamily::V6] {
            let mut of_pods = endpoints(input, family, port);
            limit(&mut of_pods, share, &input.service.uid);
            held.insert((number, TargetType::Ip, family), of_pods);
            if let Some(mut of_nodes) = instances(input, &labels, port) {
                limit(&mut of_nodes, share, &input.service.uid);
                held.insert((number, TargetType::Instance, family), of_nodes);
            }
        }
    }
    held
}
