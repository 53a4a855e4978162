//! Listeners and target groups: one per port number, TCP and UDP of one number together.

use std::collections::{BTreeMap, BTreeSet};

use herald_spi::Protocol;

use super::{PortWish, health, targets};
use crate::{
    annotations::{ProxyProtocol, Wishes},
    input::{Input, ServicePort},
    model::{Attributes, GroupKind},
    refusal::{Reason, Refusal},
    settings::Settings,
    words::{TargetFamily, TargetType, Wire},
};

/// What becomes of the ports.
pub(super) struct Served {
    pub(super) ports: BTreeMap<u16, PortWish>,
    pub(super) refused: BTreeMap<u16, Refusal>,
    pub(super) warnings: Vec<Refusal>,
}

pub(super) fn ports(
    input: &Input<'_>,
    settings: &Settings,
    wishes: &Wishes,
) -> Result<Served, Refusal> {
    named_ports_exist(input, wishes)?;
    let mut by_number: BTreeMap<u16, Vec<&ServicePort>> = BTreeMap::new();
    for port in &input.service.ports {
        by_number.entry(port.port.number).or_default().push(port);
    }
    let target_type = wishes.target_type.unwrap_or(settings.target_type);
    let mut served = Served {
        ports: BTreeMap::new(),
        refused: BTreeMap::new(),
        warnings: Vec::new(),
    };
    let share = settings.targets_per_balancer / by_number.len().max(1);
    for (number, ports) in by_number {
        match port_wish(input, settings, wishes, target_type, &ports) {
            Ok(mut wish) => {
                if let Some(left_out) = targets::limit(&mut wish.targets, share, &input.service.uid)
                {
                    served.warnings.push(Refusal::new(
                        Reason::TargetsLeftOut,
                        format!("port {number} has {left_out} targets more than its share of the quota ({share}); they are left out"),
                    ));
                }
                served.ports.insert(number, wish);
            }
            Err(refusal) => drop(served.refused.insert(number, refusal)),
        }
    }
    if target_type == TargetType::Instance {
        served
            .warnings
            .extend(targets::nodes_without_instance(input, wishes));
    }
    if served.ports.is_empty() {
        return Err(served.refused.into_values().next().unwrap_or_else(|| {
            Refusal::new(Reason::NoPorts, "the Service has no ports; add one")
        }));
    }
    Ok(served)
}

/// Every port that an annotation names is one of the Service's.
fn named_ports_exist(input: &Input<'_>, wishes: &Wishes) -> Result<(), Refusal> {
    let numbers: BTreeSet<u16> = input
        .service
        .ports
        .iter()
        .map(|port| port.port.number)
        .collect();
    let proxied = match &wishes.proxy_protocol {
        ProxyProtocol::Ports(ports) => ports.clone(),
        ProxyProtocol::Unsaid | ProxyProtocol::All => BTreeSet::new(),
    };
    let numbered = [
        (
            "target-group-attributes.PORT",
            wishes.group_attributes_of.keys().copied().collect(),
        ),
        ("proxy-protocol-per-target-group", proxied),
        (
            "listener-attributes.PROTOCOL-PORT",
            wishes
                .listener_attributes
                .keys()
                .map(|(_, port)| *port)
                .collect(),
        ),
    ];
    for (key, named) in numbered {
        if let Some(port) = named.difference(&numbers).next() {
            return Err(no_such_port(key, &port.to_string()));
        }
    }
    for named in &wishes.tls_ports {
        if !input.service.ports.iter().any(|port| is_named(port, named)) {
            return Err(no_such_port("ssl-ports", named));
        }
    }
    Ok(())
}

fn no_such_port(key: &str, named: &str) -> Refusal {
    Refusal::new(
        Reason::InvalidAnnotation,
        format!(
            "aws-load-balancer-{key} names {named}, which is no port of the Service; correct or remove it"
        ),
    )
}

fn is_named(port: &ServicePort, named: &str) -> bool {
    port.name == named || port.port.number.to_string() == named
}

fn port_wish(
    input: &Input<'_>,
    settings: &Settings,
    wishes: &Wishes,
    target_type: TargetType,
    ports: &[&ServicePort],
) -> Result<PortWish, Refusal> {
    let Some(&first) = ports.first() else {
        return Err(Refusal::new(
            Reason::NoPorts,
            "the Service has no ports; add one",
        ));
    };
    let plain = plain_wire(wishes, target_type, ports)?;
    let tls = !wishes.certificates.is_empty()
        && plain != Wire::Udp
        && (wishes.tls_ports.is_empty()
            || wishes.tls_ports.iter().any(|named| is_named(first, named)));
    if tls && plain == Wire::TcpUdp {
        return Err(Refusal::new(
            Reason::PortsCannotMerge,
            format!(
                "port {} is for TLS and for UDP; a balancer has one listener per port number, so use another number for one of them",
                first.port.number
            ),
        ));
    }
    let kind = GroupKind {
        wire: match (tls, wishes.backend_tls) {
            (true, true) => Wire::Tls,
            _ => plain,
        },
        target_type,
        family: if input.service.has_v6 {
            TargetFamily::V6
        } else {
            TargetFamily::V4
        },
    };
    certificates_are_here(settings, wishes, tls)?;
    let wire = if tls { Wire::Tls } else { plain };
    let mut certificates = wishes.certificates.iter().filter(|_| tls).cloned();
    Ok(PortWish {
        wire,
        certificate: certificates.next(),
        more_certificates: certificates.collect(),
        ssl_policy: tls.then(|| {
            wishes
                .ssl_policy
                .clone()
                .unwrap_or_else(|| settings.ssl_policy.clone())
        }),
        alpn: wishes.alpn.filter(|_| tls),
        attributes: listener_attributes(wishes, wire, first.port.number)?,
        health: health::health(input, wishes, kind)?,
        group_attributes: group_attributes(wishes, first.port.number),
        targets: targets::targets(input, wishes, kind, first)?,
        kind,
    })
}

fn plain_wire(
    wishes: &Wishes,
    target_type: TargetType,
    ports: &[&ServicePort],
) -> Result<Wire, Refusal> {
    let protocols: BTreeSet<Protocol> = ports.iter().map(|port| port.port.protocol).collect();
    let number = ports.first().map_or(0, |port| port.port.number);
    if protocols.contains(&Protocol::Sctp) {
        return Err(Refusal::new(
            Reason::UnsupportedProtocol,
            format!("a Network Load Balancer has no SCTP; port {number} is not served"),
        ));
    }
    if protocols.len() == 1 {
        return Ok(if protocols.contains(&Protocol::Tcp) {
            Wire::Tcp
        } else {
            Wire::Udp
        });
    }
    let cannot = |why: String| Err(Refusal::new(Reason::PortsCannotMerge, why));
    if wishes.merge == Some(false) {
        return cannot(format!(
            "port {number} is TCP and UDP, and aws-load-balancer-enable-tcp-udp-listener is false; a balancer has one listener per port number, so remove the annotation or a port"
        ));
    }
    let places: BTreeSet<_> = ports
        .iter()
        .map(|port| match target_type {
            TargetType::Instance => (port.node_port, String::new()),
            // A named target port is resolved per endpoint, under the name of the Service's port.
            TargetType::Ip => (
                port.target_port,
                port.target_port
                    .map_or_else(|| port.name.clone(), |_| String::new()),
            ),
        })
        .collect();
    if places.len() > 1 {
        let field = match target_type {
            TargetType::Instance => "nodePort",
            TargetType::Ip => "numeric targetPort",
        };
        return cannot(format!(
            "port {number} is TCP and UDP, and a balancer has one listener and one target port for both; give them the same {field}"
        ));
    }
    Ok(Wire::TcpUdp)
}

fn certificates_are_here(settings: &Settings, wishes: &Wishes, tls: bool) -> Result<(), Refusal> {
    for arn in wishes.certificates.iter().filter(|_| tls) {
        let mut parts = arn.split(':').skip(2);
        let (service, region) = (parts.next(), parts.next());
        if service == Some("acm") && region != Some(settings.region.as_str()) {
            return Err(Refusal::new(
                Reason::CertificateElsewhere,
                format!(
                    "certificate {arn} is not of region {}; import or request it there",
                    settings.region
                ),
            ));
        }
    }
    Ok(())
}

fn listener_attributes(wishes: &Wishes, wire: Wire, number: u16) -> Result<Attributes, Refusal> {
    let of_port: Vec<_> = wishes
        .listener_attributes
        .iter()
        .filter(|((_, port), _)| *port == number)
        .collect();
    let mut found = Attributes::new();
    for ((said, _), attributes) in of_port {
        let part = wire == Wire::TcpUdp && matches!(said, Wire::Tcp | Wire::Udp);
        if *said != wire && !part {
            return Err(Refusal::new(
                Reason::ContradictoryAnnotations,
                format!(
                    "aws-load-balancer-listener-attributes.{said}-{number} is for a {said} listener, and that of port {number} is {wire}"
                ),
            ));
        }
        found.extend(attributes.clone());
    }
    if let Some(timeout) = found.get("tcp.idle_timeout.seconds")
        && !timeout
            .parse()
            .is_ok_and(|seconds: u32| (60..=6000).contains(&seconds))
    {
        return Err(Refusal::new(
            Reason::InvalidAnnotation,
            format!(
                "tcp.idle_timeout.seconds of port {number} is {timeout:?}; it takes 60 to 6000"
            ),
        ));
    }
    Ok(found)
}

/// Those of all groups, then the port's own (an empty value keeps the former), then the proxy protocol.
fn group_attributes(wishes: &Wishes, number: u16) -> Attributes {
    let mut attributes = wishes.group_attributes.clone();
    let own = wishes
        .group_attributes_of
        .get(&number)
        .into_iter()
        .flatten();
    for (key, value) in own.filter(|(_, value)| !value.is_empty()) {
        attributes.insert(key.clone(), value.clone());
    }
    let proxied = match &wishes.proxy_protocol {
        ProxyProtocol::Unsaid => return attributes,
        ProxyProtocol::All => true,
        ProxyProtocol::Ports(ports) => ports.contains(&number),
    };
    attributes.insert("proxy_protocol_v2.enabled".to_owned(), proxied.to_string());
    attributes
}
