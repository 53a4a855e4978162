//! The status and the Events, where the Service does not say so already.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use herald_spi::Port;

use super::Steward;
use crate::{
    api::{self, Verdict},
    controller::{ConditionWrite, Ingress, Notice, Plan, StatusWrite},
    ipam::Granted,
    world::{ConditionRecord, IngressRecord, IpMode, ServiceRecord},
};

/// The error of a port that another Service serves on the same address.
pub(super) const PORT_IN_USE: &str = "herald.dev/PortInUse";

/// What a Service shall be told.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    /// The condition on its addresses.
    pub(super) verdict: Verdict,
    /// Its addresses; `None`: what the status says is another's, and stays.
    pub(super) ingress: Option<Vec<Ingress>>,
    /// The pools that they come from.
    pub(super) pools: BTreeSet<String>,
    /// The condition on its node ports, if there is something to say.
    pub(super) node_ports: Option<Verdict>,
    /// The condition on who announces its addresses, if agents speak of it.
    pub(super) announced: Option<Verdict>,
}

impl Telling {
    /// Adds what differs from what the Service says to the plan.
    pub(super) fn tell(self, plan: &mut Plan, service: &ServiceRecord) {
        let allocated_from =
            (!self.pools.is_empty()).then(|| self.pools.into_iter().collect::<Vec<_>>().join(","));
        let same_ingress = self
            .ingress
            .as_ref()
            .is_none_or(|wanted| says_all(&service.ingress, wanted));
        let same_pools =
            service.annotations.get(api::ANNOTATION_ALLOCATED_FROM) == allocated_from.as_ref();
        let conditions = [
            (
                api::CONDITION_ALLOCATED,
                Some(self.verdict),
                service.allocated.as_ref(),
            ),
            (
                api::CONDITION_NODE_PORTS,
                self.node_ports,
                service.node_ports.as_ref(),
            ),
            (
                api::CONDITION_ANNOUNCED,
                self.announced,
                service.announced.as_deref(),
            ),
        ];
        let mut same = same_ingress && same_pools;
        let mut writes = Vec::new();
        for (type_, verdict, known) in conditions {
            same &= says(known, verdict.as_ref());
            let Some(verdict) = verdict else { continue };
            let news = !is_word(known, &verdict)
                || (type_ == api::CONDITION_ALLOCATED
                    && !same_addresses(service, self.ingress.as_deref()));
            if news {
                plan.notices.push(Notice {
                    uid: service.uid.clone(),
                    type_,
                    verdict: verdict.clone(),
                });
            }
            let since = known.filter(|c| c.holds == verdict.holds);
            writes.push(ConditionWrite {
                type_,
                since: since.map(|c| c.since.clone()),
                verdict,
            });
        }
        if !same {
            plan.status = Some(StatusWrite {
                resource_version: service.resource_version.clone(),
                clear: !service.ingress.is_empty()
                    && self.ingress.as_ref().is_some_and(Vec::is_empty),
                ingress: self.ingress,
                allocated_from,
                conditions: writes,
            });
        }
    }
}

impl Steward {
    /// Pool addresses as the status shall show them, each port of each one told where one cannot be served.
    pub(super) fn shown(
        service: &ServiceRecord,
        kept: &[Granted],
        clashing: &BTreeMap<IpAddr, BTreeSet<Port>>,
    ) -> Vec<Ingress> {
        let shown = |granted: &Granted| {
            let clashing = clashing.get(&granted.address);
            let told = clashing.is_some_and(|ports| !ports.is_empty());
            let ports = service.ports.iter().filter(|_| told).map(|port| {
                let taken = clashing.is_some_and(|ports| ports.contains(&port.port));
                (port.port, taken.then_some(PORT_IN_USE))
            });
            Ingress {
                address: granted.address,
                mode: IpMode::Vip,
                ports: ports.collect(),
            }
        };
        kept.iter().map(shown).collect()
    }
}

fn same_addresses(service: &ServiceRecord, wanted: Option<&[Ingress]>) -> bool {
    wanted.is_none_or(|wanted| {
        service
            .status_addresses()
            .eq(wanted.iter().map(|e| e.address))
    })
}

fn says_all(known: &[IngressRecord], wanted: &[Ingress]) -> bool {
    known.len() == wanted.len()
        && known
            .iter()
            .zip(wanted)
            .all(|(known, wanted)| says_entry(known, wanted))
}

fn says_entry(known: &IngressRecord, wanted: &Ingress) -> bool {
    let ports = wanted.ports.iter().map(|(port, error)| (*port, *error));
    known.ip == Some(wanted.address)
        && known.hostname.is_none()
        && known.ip_mode.as_deref() == Some(wanted.mode.as_str())
        && known
            .ports
            .iter()
            .map(|(port, error)| (*port, error.as_deref()))
            .eq(ports)
}

fn is_word(known: Option<&ConditionRecord>, verdict: &Verdict) -> bool {
    known.is_some_and(|c| c.holds == verdict.holds && c.reason == verdict.reason.as_str())
}

fn says(known: Option<&ConditionRecord>, verdict: Option<&Verdict>) -> bool {
    match verdict {
        None => known.is_none(),
        Some(verdict) => {
            is_word(known, verdict) && known.is_some_and(|c| c.message == verdict.message)
        }
    }
}
