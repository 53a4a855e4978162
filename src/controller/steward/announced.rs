//! Whether nodes announce a Service's addresses, by what their agents report: the condition `herald.dev/Announced`.
//!
//! A report may be old: its node may be dead. Of two nodes that announce an address on an interface of the same name the
//! later one is believed, and a node that is not ready only where no other announces the address.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::{NodeName, ServiceKey};

use super::{Steward, replacing::InUse};
use crate::{
    api::{AnnouncementState, Reason, Verdict},
    ipam::Granted,
    world::{Announcement, ConditionRecord, ServiceRecord},
};

/// How long nobody may announce an address before it is told: agents report once a second, and a move takes less.
pub(super) const PATIENCE: i64 = 3;
/// How many nodes a message names.
const NAMED: usize = 8;

/// What is said of the announcement of a Service.
#[derive(Debug, Default)]
pub(super) struct Announced {
    pub(super) verdict: Option<Verdict>,
    pub(super) look_again: Option<i64>,
}

/// What all nodes say of one address.
type Said<'a> = Vec<(&'a NodeName, &'a Announcement)>;

impl Steward {
    /// The verdict on the addresses of pools that it has.
    pub(super) fn announced(
        &mut self,
        service: &ServiceRecord,
        kept: &[Granted],
        in_use: &InUse,
    ) -> Announced {
        if kept.is_empty() || self.on_nodes.announcements().next().is_none() {
            self.unannounced.remove(&service.key);
            return Announced::default();
        }
        let addresses = kept.iter().map(|granted| granted.address);
        let is_published = |address: &IpAddr| service.status_addresses().any(|a| a == *address);
        if addresses.clone().any(|address| !is_published(&address)) {
            // Agents announce what is published.
            self.unannounced.insert(service.key.clone(), self.now);
            return Announced {
                verdict: service.announced.as_deref().and_then(told),
                look_again: Some(self.now.saturating_add(PATIENCE)),
            };
        }
        let cut = self.on_nodes.announcements().any(|(_, all)| all.cut);
        let judged: Vec<_> = addresses
            .map(|address| (address, self.said_of(address)))
            .map(|(address, said)| (said.is_empty(), judge(address, &said, in_use)))
            .collect();
        if cut && judged.iter().any(|(unsaid, _)| *unsaid) {
            // Perhaps it is among those that the lists have no room for.
            return Announced {
                verdict: service.announced.as_deref().and_then(told),
                look_again: None,
            };
        }
        let worst = judged.iter().map(|(_, verdict)| verdict).find(|v| !v.holds);
        let (holds, reason) = worst.map_or((true, Reason::ANNOUNCING), |v| (false, v.reason));
        let message = judged.iter().map(|(_, verdict)| verdict.message.as_str());
        let message = message.collect::<Vec<_>>().join("; ");
        if holds {
            self.unannounced.remove(&service.key);
            return Announced {
                verdict: Some(Verdict::yes(reason, message)),
                look_again: None,
            };
        }
        self.after_patience(service, Verdict::no(reason, message))
    }

    /// The Services that have one of these addresses.
    pub(super) fn holders_of(&self, addresses: &BTreeSet<IpAddr>) -> BTreeSet<ServiceKey> {
        let shares = addresses
            .iter()
            .flat_map(|address| self.ipam.sharers(*address));
        shares.map(|share| share.holder.service.clone()).collect()
    }

    /// A move is over before it needs telling.
    fn after_patience(&mut self, service: &ServiceRecord, verdict: Verdict) -> Announced {
        let now = self.now;
        let since = self.unannounced.entry(service.key.clone()).or_insert(now);
        // The clock may have been set back.
        *since = (*since).min(now);
        let due = since.saturating_add(PATIENCE);
        let is_told = service.announced.as_deref().is_some_and(|c| !c.holds);
        if due <= now || is_told {
            return Announced {
                verdict: Some(verdict),
                look_again: None,
            };
        }
        Announced {
            verdict: service.announced.as_deref().and_then(told),
            look_again: Some(due),
        }
    }

    /// What the nodes that exist say of an address, without what is outdated.
    fn said_of(&self, address: IpAddr) -> Said<'_> {
        let all = self.on_nodes.announcements();
        let existing = all.filter(|(node, _)| self.on_nodes.node(node).is_some());
        let said = existing.flat_map(|(node, all)| {
            let said = all.said.get(&address).into_iter().flatten();
            said.map(move |said| (node, said))
        });
        let said: Said<'_> = said.collect();
        let is_owner = |said: &Announcement| said.state == AnnouncementState::Announcing;
        let is_ready = |node: &NodeName| self.on_nodes.node(node).is_some_and(|n| n.ready);
        let owned_well = said.iter().any(|(node, s)| is_owner(s) && is_ready(node));
        let mut latest: BTreeMap<&str, &str> = BTreeMap::new();
        for (_, said) in said.iter().filter(|(_, s)| is_owner(s)) {
            let since = latest.entry(&said.interface).or_default();
            *since = (*since).max(&said.since);
        }
        let is_current = |node: &NodeName, said: &Announcement| {
            let is_latest = latest.get(said.interface.as_str()) == Some(&said.since.as_str());
            !is_owner(said) || is_latest && (is_ready(node) || !owned_well)
        };
        said.into_iter()
            .filter(|(node, said)| is_current(node, said))
            .collect()
    }
}

/// Whether a condition in these words tells that the address is announced: after a move it speaks of the one before.
pub(super) fn tells_of(message: &str, address: IpAddr) -> bool {
    let by_whom = announced_by(address, "");
    message.split("; ").any(|part| part.starts_with(&by_whom))
}

fn announced_by(address: IpAddr, owners: &str) -> String {
    format!("{address} by {owners}")
}

fn judge(address: IpAddr, said: &Said<'_>, in_use: &InUse) -> Verdict {
    let of = |state| said.iter().filter(move |(_, said)| said.state == state);
    if let Some((node, found)) = of(AnnouncementState::InUse).next() {
        let mac = found.mac.as_deref().unwrap_or("unknown");
        let mut why = format!(
            "{address}: the host {mac} used it first, as node {node} sees, so that node does not announce it"
        );
        if let Some(stays) = in_use.stays.get(&address) {
            why.push_str(&format!("; no other address replaces it: {stays}"));
        }
        return Verdict::no(Reason::ADDRESS_CONFLICT, why);
    }
    if let Some((node, conflict)) = of(AnnouncementState::Conflict).next() {
        let mac = conflict.mac.as_deref().unwrap_or("unknown");
        let why = format!("{address}: the host {mac} claims it too, as node {node} sees");
        return Verdict::no(Reason::ADDRESS_CONFLICT, why);
    }
    let owners = of(AnnouncementState::Announcing);
    let owners: Vec<_> = owners
        .map(|(node, said)| format!("node {node} ({})", said.interface))
        .collect();
    if !owners.is_empty() {
        let by = owners.join(" and ");
        return Verdict::yes(Reason::ANNOUNCING, announced_by(address, &by));
    }
    if let Some((node, unheard)) = of(AnnouncementState::PeerUnheard).next() {
        let mac = unheard.mac.as_deref().unwrap_or("unknown");
        let why = format!(
            "{address}: a Herald node with {mac} answers for it, and node {node} does not hear its heartbeats; is UDP \
             port 9471 blocked?"
        );
        return Verdict::no(Reason::PEER_UNHEARD, why);
    }
    if let Some((node, said)) = of(AnnouncementState::NoLink).next() {
        let why = format!("{address}: {} of node {node} has no link", said.interface);
        return Verdict::no(Reason::NO_INTERFACE, why);
    }
    unfit(address, of(AnnouncementState::NotCandidate))
}

/// Why no node may announce it.
fn unfit<'a>(
    address: IpAddr,
    said: impl Iterator<Item = &'a (&'a NodeName, &'a Announcement)>,
) -> Verdict {
    let unfit: BTreeMap<_, _> = said
        .map(|(node, said)| (*node, said.reason.as_deref().unwrap_or("NotCandidate")))
        .collect();
    // The nearest miss: what a node lacks that passes everything before.
    let reason = if unfit
        .values()
        .any(|why| *why == Reason::NO_ENDPOINT.as_str())
    {
        Reason::NO_ENDPOINT
    } else if unfit
        .values()
        .any(|why| *why == Reason::NO_INTERFACE.as_str())
    {
        Reason::NO_INTERFACE
    } else {
        Reason::NO_CANDIDATE
    };
    let more = unfit.len().saturating_sub(NAMED);
    let mut nodes: Vec<_> = unfit
        .iter()
        .take(NAMED)
        .map(|(node, why)| format!("{node}: {why}"))
        .collect();
    if more > 0 {
        nodes.push(format!("{more} more"));
    }
    let why = if nodes.is_empty() {
        "no node has an interface for it, or every agent is silent".to_owned()
    } else {
        nodes.join(", ")
    };
    Verdict::no(reason, format!("{address} is announced by no node ({why})"))
}

/// The condition as it stands.
fn told(condition: &ConditionRecord) -> Option<Verdict> {
    let words = [
        Reason::ANNOUNCING,
        Reason::NO_CANDIDATE,
        Reason::NO_INTERFACE,
        Reason::NO_ENDPOINT,
        Reason::ADDRESS_CONFLICT,
        Reason::PEER_UNHEARD,
    ];
    condition.verdict(&words)
}
