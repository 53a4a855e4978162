//! The choice: nodes, then their addresses, then how each is served.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::{NodeName, Port, ServiceKey};

use crate::{Ask, Family, Occupant, Refusal, Steady, Taken, denied, steady::Standing};

/// How a Service is reached on a node's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// At its own ports: `ipMode: VIP`, so that kube-proxy has rules for the address.
    Direct,
    /// At its node ports only: `ipMode: Proxy`, so that kube-proxy leaves the address alone.
    NodePortOnly,
}

/// One address of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The address.
    pub address: IpAddr,
    /// How the Service is reached there.
    pub mode: Mode,
}

/// What a Service gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses: the primary family first, each family in the order of its addresses. Never empty.
    pub published: Vec<Published>,
    /// The nodes that they belong to.
    pub nodes: BTreeSet<NodeName>,
    /// Why some address is served by node port only, or left out since there are no node ports; to follow "since".
    pub why_not_direct: Option<String>,
}

/// Chooses for one Service.
///
/// ExternalIPs count if any node that serves has one of a wanted family, else InternalIPs: never both, since who
/// reaches the ones seldom reaches the others.
///
/// # Errors
/// When no address can be published; [`Refusal`] says why.
pub fn choose(
    nodes: &Steady,
    taken: &Taken,
    own: &ServiceKey,
    ask: &Ask,
) -> Result<Answer, Refusal> {
    let serving = serving(nodes, ask)?;
    let offers = offers(&serving, &ask.families);
    if offers.is_empty() {
        return Err(Refusal::NoNode {
            eligible: serving.len(),
            unfit: left_out(nodes),
            families: ask.families.clone(),
        });
    }
    let why_not = |offer: &Offer<'_>| match nodes.under_ipvs() {
        Some(node) => Some(format!(
            "kube-proxy on node {node} works with IPVS, which would take the nodes' addresses for its own"
        )),
        None => offer.why_not_direct(),
    };
    let obstacles: Vec<_> = offers.iter().map(why_not).collect();
    let why_not_direct = obstacles.iter().flatten().next().cloned();
    let any_direct = obstacles.iter().any(Option::is_none);
    if let (Some(why), false, false) = (&why_not_direct, any_direct, ask.node_ports) {
        return Err(Refusal::NoNodePort { why: why.clone() });
    }

    let mut answer = Answer {
        published: Vec::new(),
        nodes: BTreeSet::new(),
        why_not_direct,
    };
    for (offer, obstacle) in offers.iter().zip(&obstacles) {
        let mode = match obstacle {
            None => Mode::Direct,
            Some(_) if ask.node_ports => Mode::NodePortOnly,
            Some(_) => continue,
        };
        if mode == Mode::Direct {
            permit(&ask.ports, taken, own, offer)?;
        }
        answer.nodes.extend(offer.nodes.keys().copied().cloned());
        answer.published.push(Published {
            address: offer.address,
            mode,
        });
    }
    Ok(answer)
}

type Nodes<'a> = BTreeMap<&'a NodeName, &'a Standing>;

/// The eligible nodes that serve; under `Local` those with an endpoint.
fn serving<'a>(nodes: &'a Steady, ask: &Ask) -> Result<Nodes<'a>, Refusal> {
    let fit: Nodes<'a> = nodes.fit().collect();
    if fit.is_empty() {
        return Err(Refusal::NoNode {
            eligible: 0,
            unfit: left_out(nodes),
            families: ask.families.clone(),
        });
    }
    let Some(endpoints) = &ask.endpoints else {
        return Ok(fit);
    };
    let with_endpoint = endpoints.serving();
    let serving: Nodes<'a> = fit
        .into_iter()
        .filter(|(name, _)| with_endpoint.contains(*name))
        .collect();
    if serving.is_empty() {
        return Err(Refusal::NoEndpoint {
            elsewhere: with_endpoint.clone(),
        });
    }
    Ok(serving)
}

fn left_out(nodes: &Steady) -> Vec<(NodeName, crate::Unfit)> {
    let unfit = nodes.unfit().map(|(name, why)| (name.clone(), why));
    unfit.collect()
}

/// An address and the nodes that have it: mostly one, but a floating ExternalIP may be listed by several.
struct Offer<'a> {
    address: IpAddr,
    nodes: Nodes<'a>,
}

/// The addresses to publish, in their order.
fn offers<'a>(nodes: &Nodes<'a>, families: &[Family]) -> Vec<Offer<'a>> {
    let external = gather(nodes, families, |node| &node.external);
    if external.is_empty() {
        gather(nodes, families, |node| &node.internal)
    } else {
        external
    }
}

fn gather<'a>(
    nodes: &Nodes<'a>,
    families: &[Family],
    pick: impl Fn(&'a Standing) -> &'a BTreeSet<IpAddr>,
) -> Vec<Offer<'a>> {
    let mut found: BTreeMap<(usize, IpAddr), Nodes<'a>> = BTreeMap::new();
    for (name, node) in nodes {
        for address in pick(node) {
            let preference = families.iter().position(|f| *f == Family::of(*address));
            if let Some(preference) = preference {
                found
                    .entry((preference, *address))
                    .or_default()
                    .insert(name, node);
            }
        }
    }
    let offers = found
        .into_iter()
        .map(|((_, address), nodes)| Offer { address, nodes });
    offers.collect()
}

impl Offer<'_> {
    /// Why kube-proxy's rules for the address would see no traffic. An InternalIP is on an interface of its node,
    /// since the kubelet took it from there. An ExternalIP may be the outside of a 1:1 NAT, behind which packets
    /// carry another destination, so an agent must have seen it.
    fn why_not_direct(&self) -> Option<String> {
        let address = self.address;
        let mut silent = true;
        for node in self.nodes.values() {
            if node.internal.contains(&address) {
                return None;
            }
            if let Some(host) = &node.host {
                silent = false;
                if host.addresses.contains(&address) {
                    return None;
                }
            }
        }
        let names: Vec<_> = self.nodes.keys().map(ToString::to_string).collect();
        let names = names.join(", ");
        Some(if silent {
            format!(
                "no Herald agent on node {names} says whether ExternalIP {address} is on an interface there"
            )
        } else {
            format!("ExternalIP {address} is on no interface of node {names}, as behind a 1:1 NAT")
        })
    }
}

/// Whether a Service may capture these ports on the address of these nodes.
fn permit(
    ports: &BTreeSet<Port>,
    taken: &Taken,
    own: &ServiceKey,
    offer: &Offer<'_>,
) -> Result<(), Refusal> {
    for port in ports.iter().copied() {
        if let Some(why) = denied(port) {
            return Err(Refusal::PortDenied { port, why });
        }
        if let Some(holder) = taken.holder(port).filter(|holder| *holder != own) {
            return Err(Refusal::PortInUse {
                port,
                by: Occupant::Service(holder.clone()),
            });
        }
        let listens = |node: &Standing| {
            let host = node.host.as_ref();
            host.is_some_and(|host| host.listening.contains(&port))
        };
        if let Some((name, _)) = offer.nodes.iter().find(|(_, node)| listens(node)) {
            return Err(Refusal::PortInUse {
                port,
                by: Occupant::Process {
                    node: (*name).clone(),
                },
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
