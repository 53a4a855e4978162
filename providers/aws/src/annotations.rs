//! What a Service asks for by the annotations `service.beta.kubernetes.io/aws-load-balancer-*`.
//!
//! Owns: their syntax, and what contradicts what among them. Never: what they mean for a given network or port.
//! Nothing is ignored in silence: each ill, unknown, unsupported or contradictory key is a refusal, and each key that
//! cloud-provider-aws knows but a Network Load Balancer cannot honour is a warning.
//!
//! ```text
//!   annotations ──▶ Reader ──▶ Wishes + warnings
//!                      └─────▶ refusals (all of them, not just the first)
//! ```

mod guard;
mod health;
mod reader;
mod wishes;

use std::collections::BTreeMap;

use crate::{
    refusal::{Reason, Refusal},
    words::{Scheme, TargetType, Wire},
};
use reader::{PREFIX, Reader};
pub use wishes::{HealthPort, ProxyProtocol, Wishes};

/// Weighted target groups.
const ACTIONS: &str = "service.beta.kubernetes.io/actions.";

/// Known, with a known meaning, and not served.
const LATER: &[&str] = &[
    "minimum-load-balancer-capacity",
    "quic-enabled-ports",
    "quic-enabled-containers",
    "multi-cluster-target-group",
    "inbound-sg-rules-on-private-link-traffic",
    "enable-prefix-for-ipv6-source-nat",
    "source-nat-ipv6-prefixes",
];

/// What cloud-provider-aws does with Classic Load Balancers only.
const CLASSIC: &[&str] = &[
    "access-log-emit-interval",
    "connection-draining-enabled",
    "connection-draining-timeout",
    "connection-idle-timeout",
    "extra-security-groups",
];

/// Reads all that is said under the prefixes. The second part warns.
///
/// # Errors
/// Every refusal, in the order of the keys' meaning.
pub fn parse(
    annotations: &BTreeMap<String, String>,
) -> Result<(Wishes, Vec<Refusal>), Vec<Refusal>> {
    let mut reader = Reader::new(annotations);
    let mut wishes = Wishes {
        name: balancer_name(&mut reader),
        ..Wishes::default()
    };
    placement(&mut reader, &mut wishes);
    balancer_attributes(&mut reader, &mut wishes);
    tls(&mut reader, &mut wishes);
    groups(&mut reader, &mut wishes);
    health::health(&mut reader, &mut wishes);
    guard::security(&mut reader, &mut wishes, annotations);
    let warnings = unserved(&mut reader, &wishes, annotations);
    let ills = reader.finish();
    if ills.is_empty() {
        Ok((wishes, warnings))
    } else {
        Err(ills)
    }
}

/// The labels that nodes must have to be targets, whatever else is wrong.
#[must_use]
pub fn node_labels(annotations: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    Reader::new(annotations).map("target-node-labels")
}

fn balancer_name(reader: &mut Reader<'_>) -> Option<String> {
    let name = reader.text("name")?;
    let letters = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    let edges = name.starts_with('-') || name.ends_with('-') || name.starts_with("internal-");
    if name.len() <= 32 && letters && !edges {
        return Some(name);
    }
    reader.ill(
        "name",
        format!("is {name:?}; a name has up to 32 letters, digits and hyphens, with no hyphen at its ends and no internal- in front"),
    );
    None
}

/// Where the balancer stands, and what it sends packets to.
fn placement(reader: &mut Reader<'_>, wishes: &mut Wishes) {
    let kind = reader.text("type");
    match kind.as_deref() {
        None | Some("external" | "nlb" | "nlb-ip") => {}
        Some(other) => reader.ill(
            "type",
            format!("is {other:?}; it takes external, nlb-ip or nlb"),
        ),
    }
    wishes.target_type = reader.word("nlb-target-type");
    if kind.as_deref() == Some("nlb-ip") {
        if wishes.target_type == Some(TargetType::Instance) {
            reader.contradiction(format!(
                "{PREFIX}type is nlb-ip and {PREFIX}nlb-target-type is instance; remove one"
            ));
        }
        wishes.target_type = Some(TargetType::Ip);
    }
    wishes.scheme = reader.word("scheme");
    if let Some(internal) = reader.flag("internal") {
        let said = if internal {
            Scheme::Internal
        } else {
            Scheme::InternetFacing
        };
        if wishes.scheme.is_some_and(|scheme| scheme != said) {
            reader.contradiction(format!(
                "{PREFIX}internal says {said} and {PREFIX}scheme says otherwise; remove the former"
            ));
        }
        wishes.scheme = Some(said);
    }
    wishes.stack = reader.word("ip-address-type");
    wishes.subnets = reader.list("subnets");
    wishes.allocations = reader.ids("eip-allocations", "eipalloc-");
    wishes.private_v4 = reader.parsed_list("private-ipv4-addresses", "an IPv4 address");
    wishes.v6 = reader.parsed_list("ipv6-addresses", "an IPv6 address");
    if !wishes.allocations.is_empty() && !wishes.private_v4.is_empty() {
        reader.contradiction(format!("{PREFIX}eip-allocations is for internet-facing balancers and {PREFIX}private-ipv4-addresses for internal ones; remove one"));
    }
    wishes.node_labels = reader.map("target-node-labels");
    wishes.tags = reader.map("additional-resource-tags");
    for key in wishes.tags.keys() {
        if key.is_empty()
            || key.len() > 128
            || key.starts_with("aws:")
            || key.starts_with("herald.dev/")
        {
            reader.ill("additional-resource-tags", format!("has the key {key:?}; keys have 1 to 128 letters and begin with neither aws: nor herald.dev/"));
        }
    }
}

/// The map, and the older keys that each say one entry of it.
fn balancer_attributes(reader: &mut Reader<'_>, wishes: &mut Wishes) {
    let mut attributes = reader.map("attributes");
    let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string());
    let older = [
        (
            "access_logs.s3.enabled",
            flag(reader.flag("access-log-enabled")),
        ),
        (
            "access_logs.s3.bucket",
            reader.text("access-log-s3-bucket-name"),
        ),
        (
            "access_logs.s3.prefix",
            reader.text("access-log-s3-bucket-prefix"),
        ),
        (
            "load_balancing.cross_zone.enabled",
            flag(reader.flag("cross-zone-load-balancing-enabled")),
        ),
    ];
    for (key, value) in older {
        let Some(value) = value else { continue };
        if attributes.get(key).is_some_and(|said| *said != value) {
            reader.contradiction(format!("{PREFIX}attributes gives {key} another value than the annotation for just that; remove the latter"));
        }
        attributes.insert(key.to_owned(), value);
    }
    let truths = [
        "access_logs.s3.enabled",
        "deletion_protection.enabled",
        "load_balancing.cross_zone.enabled",
    ];
    for key in truths {
        if attributes
            .get(key)
            .is_some_and(|value| !matches!(value.as_str(), "true" | "false"))
        {
            reader.ill(
                "attributes",
                format!("gives {key} a value that is neither true nor false"),
            );
        }
    }
    let routing = [
        "availability_zone_affinity",
        "partial_availability_zone_affinity",
        "any_availability_zone",
    ];
    if let Some(policy) = attributes.get("dns_record.client_routing_policy")
        && !routing.contains(&policy.as_str())
    {
        reader.ill(
            "attributes",
            format!(
                "gives dns_record.client_routing_policy {policy:?}; it takes one of: {}",
                routing.join(", ")
            ),
        );
    }
    let logs = attributes
        .get("access_logs.s3.enabled")
        .is_some_and(|enabled| enabled == "true");
    if logs && !attributes.contains_key("access_logs.s3.bucket") {
        reader.contradiction(format!(
            "{PREFIX}attributes enables access logs without access_logs.s3.bucket; name the bucket"
        ));
    }
    wishes.attributes = attributes;
}

fn tls(reader: &mut Reader<'_>, wishes: &mut Wishes) {
    wishes.certificates = reader.ids("ssl-cert", "arn:");
    wishes.tls_ports = reader.list("ssl-ports");
    wishes.ssl_policy = reader.text("ssl-negotiation-policy");
    wishes.backend_tls = match reader.text("backend-protocol").as_deref() {
        None | Some("tcp") => false,
        Some("ssl") => true,
        Some(other) => {
            reader.ill(
                "backend-protocol",
                format!("is {other:?}; it takes ssl or tcp"),
            );
            false
        }
    };
    wishes.alpn = reader.word("alpn-policy");
    if !wishes.certificates.is_empty() {
        return;
    }
    let orphans = [
        ("ssl-ports", !wishes.tls_ports.is_empty()),
        ("ssl-negotiation-policy", wishes.ssl_policy.is_some()),
        ("backend-protocol", wishes.backend_tls),
        ("alpn-policy", wishes.alpn.is_some()),
    ];
    for (key, _) in orphans.into_iter().filter(|(_, said)| *said) {
        reader.contradiction(format!("{PREFIX}{key} is for TLS listeners, and there is no certificate; give one in {PREFIX}ssl-cert"));
    }
}

/// Attributes of target groups and listeners.
fn groups(reader: &mut Reader<'_>, wishes: &mut Wishes) {
    let all = reader.text("proxy-protocol");
    let some: Vec<u16> = reader.parsed_list("proxy-protocol-per-target-group", "a port number");
    wishes.proxy_protocol = match all.as_deref() {
        None if some.is_empty() => ProxyProtocol::Unsaid,
        None => ProxyProtocol::Ports(some.into_iter().collect()),
        Some("*") => ProxyProtocol::All,
        Some(other) => {
            reader.ill("proxy-protocol", format!("is {other:?}; it takes only *"));
            ProxyProtocol::Unsaid
        }
    };
    wishes.group_attributes = reader.map("target-group-attributes");
    for (port, pairs) in reader.maps("target-group-attributes.") {
        match port.parse() {
            Ok(port) => drop(wishes.group_attributes_of.insert(port, pairs)),
            Err(_) => reader.ill(
                "target-group-attributes.",
                format!("is followed by {port:?}, which is no port number"),
            ),
        }
    }
    for (place, pairs) in reader.maps("listener-attributes.") {
        let said = place.split_once('-').and_then(|(wire, port)| {
            let wire = Wire::ALL
                .iter()
                .copied()
                .find(|known| known.as_str() == wire)?;
            Some((wire, port.parse().ok()?))
        });
        match said {
            Some(said) => drop(wishes.listener_attributes.insert(said, pairs)),
            None => reader.ill(
                "listener-attributes.",
                format!("is followed by {place:?}; write it as TCP-80"),
            ),
        }
    }
    wishes.merge = reader.flag("enable-tcp-udp-listener");
}

/// Refuses what comes later, and warns of what a Network Load Balancer does not have.
fn unserved(
    reader: &mut Reader<'_>,
    wishes: &Wishes,
    annotations: &BTreeMap<String, String>,
) -> Vec<Refusal> {
    let later: Vec<String> = LATER
        .iter()
        .filter(|key| reader.present(key))
        .map(|key| format!("{PREFIX}{key}"))
        .chain(
            annotations
                .keys()
                .filter(|key| key.starts_with(ACTIONS))
                .cloned(),
        )
        .collect();
    for key in later {
        reader.ills.push(Refusal::new(
            Reason::UnsupportedAnnotation,
            format!("Herald does not serve {key} yet; remove it"),
        ));
    }
    let mut warnings: Vec<Refusal> = CLASSIC
        .iter()
        .filter(|key| reader.present(key))
        .map(|key| {
            Refusal::new(
                Reason::IneffectiveAnnotation,
                format!("{PREFIX}{key} is for Classic Load Balancers; a Network Load Balancer has no such setting"),
            )
        })
        .collect();
    let tcp = matches!(
        wishes.health.protocol,
        None | Some(crate::words::Probe::Tcp)
    );
    if tcp
        && wishes.health.protocol.is_some()
        && (wishes.health.path.is_some() || wishes.health.codes.is_some())
    {
        warnings.push(Refusal::new(
            Reason::IneffectiveAnnotation,
            format!("{PREFIX}healthcheck-path and -success-codes are for http and https, and {PREFIX}healthcheck-protocol is tcp"),
        ));
    }
    warnings
}
