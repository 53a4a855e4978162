//! How targets are asked whether they are well.

use crate::{
    annotations::{HealthPort, Wishes},
    input::Input,
    model::{GroupKind, HealthCheck},
    refusal::{Reason, Refusal},
    words::{Probe, TargetType, Wire},
};

/// Where kube-proxy, and what stands in for it, says whether the node forwards.
const KUBE_PROXY: u16 = 10256;

pub(super) fn health(
    input: &Input<'_>,
    wishes: &Wishes,
    kind: GroupKind,
) -> Result<HealthCheck, Refusal> {
    let said = &wishes.health;
    let instances = kind.target_type == TargetType::Instance;
    let of_node = instances && said.port.is_none() && said.protocol.is_none();
    // Under Local only nodes with an endpoint may get packets, and they alone know. A UDP node port answers no
    // connection, so there the node itself is asked.
    let node_port = match (input.service.local, kind.wire) {
        (true, _) if of_node => input.service.health_check_node_port,
        (false, Wire::Udp) if of_node => Some(KUBE_PROXY),
        _ => None,
    };
    let local = input.service.local && instances;
    let probe = said.protocol.unwrap_or(if node_port.is_some() {
        Probe::Http
    } else {
        Probe::Tcp
    });
    let http = probe != Probe::Tcp;
    let port = match &said.port {
        None => node_port,
        Some(HealthPort::Traffic) => None,
        Some(HealthPort::Number(number)) => Some(*number),
        Some(HealthPort::Named(name)) => Some(named(input, kind.target_type, name)?),
    }
    .or_else(|| {
        let unsaid = http && local && said.port.is_none();
        input.service.health_check_node_port.filter(|_| unsaid)
    });
    let path = if local || node_port.is_some() {
        "/healthz"
    } else {
        "/"
    };
    let interval = said.interval.unwrap_or(10);
    let timeout = said
        .timeout
        .unwrap_or(if local { 6 } else { 10 }.min(interval));
    if timeout > interval {
        return Err(Refusal::new(
            Reason::ContradictoryAnnotations,
            format!(
                "the health check's timeout ({timeout} s) is longer than its interval ({interval} s)"
            ),
        ));
    }
    let threshold = if local { 2 } else { 3 };
    Ok(HealthCheck {
        probe,
        port,
        path: http.then(|| said.path.clone().unwrap_or_else(|| path.to_owned())),
        codes: http.then(|| said.codes.clone().unwrap_or_else(|| "200-399".to_owned())),
        interval,
        timeout,
        healthy: said.healthy.unwrap_or(threshold),
        unhealthy: said.unhealthy.unwrap_or(threshold),
    })
}

fn named(input: &Input<'_>, target_type: TargetType, name: &str) -> Result<u16, Refusal> {
    let refuse = |why: &str| {
        Refusal::new(
            Reason::InvalidAnnotation,
            format!("aws-load-balancer-healthcheck-port is {name:?}, {why}"),
        )
    };
    let port = input
        .service
        .ports
        .iter()
        .find(|port| port.name == name)
        .ok_or_else(|| {
            refuse("which is no port of the Service; use traffic-port, a number or a port's name")
        })?;
    match target_type {
        TargetType::Instance => port
            .node_port
            .ok_or_else(|| refuse("which has no node port; use another")),
        TargetType::Ip => port.target_port.ok_or_else(|| {
            refuse("whose targetPort is a name, and may differ by pod; use a number")
        }),
    }
}
