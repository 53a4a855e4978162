//! Who else has an address, and who does not hear whom. Pure.

use super::{Report, Status};
use crate::{
    api::{self, AnnouncementState},
    world::AllocationRecord,
};

/// Something between hosts that is not as it should be, or was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// One word, as in docs/reasons.md.
    pub state: String,
    /// Whether it is being dealt with, and only good to know.
    pub is_over: bool,
    /// The address that it is about, if it is about one.
    pub address: Option<String>,
    /// A Service that has it, as `namespace/name`.
    pub service: Option<String>,
    /// The node that sees it.
    pub node: Option<String>,
    /// Where it sees it.
    pub interface: Option<String>,
    /// The hardware address of the other host.
    pub mac: Option<String>,
    /// Since when, RFC 3339.
    pub since: Option<String>,
    /// Details for people.
    pub message: String,
}

/// What nodes say of addresses that others have too or that nobody reaches, what is wrong between the agents, and which
/// addresses are in quarantine.
#[must_use]
pub fn conflicts<'a>(
    reports: &[Report],
    status: &Status,
    locks: impl IntoIterator<Item = &'a AllocationRecord>,
) -> Vec<Conflict> {
    let of_addresses = reports.iter().flat_map(of_addresses);
    let of_checks = reports.iter().flat_map(of_checks);
    let of_agents = status.agents.iter().map(|trouble| Conflict {
        state: trouble.state.clone(),
        message: trouble.message.clone(),
        node: Some(trouble.node.clone()),
        ..blank()
    });
    let of_locks = locks.into_iter().filter_map(of_lock);
    of_addresses
        .chain(of_checks)
        .chain(of_agents)
        .chain(of_locks)
        .collect()
}

fn of_addresses(report: &Report) -> impl Iterator<Item = Conflict> {
    let amiss = report.addresses.iter().filter(|said| match said.state {
        AnnouncementState::InUse
        | AnnouncementState::Conflict
        | AnnouncementState::PeerUnheard
        | AnnouncementState::NoLink => true,
        AnnouncementState::Announcing | AnnouncementState::NotCandidate => false,
    });
    amiss.map(|said| Conflict {
        state: format!("{:?}", said.state),
        address: Some(said.address.clone()),
        service: Some(said.service.clone()).filter(|service| !service.is_empty()),
        node: Some(report.node.clone()),
        interface: Some(said.interface.clone()),
        mac: said.conflicting_mac.clone(),
        since: Some(said.since.clone()),
        message: said.message.clone().unwrap_or_default(),
        ..blank()
    })
}

fn of_checks(report: &Report) -> impl Iterator<Item = Conflict> {
    report.unreached.iter().map(|check| Conflict {
        state: format!("{:?}", check.outcome),
        address: Some(check.address.clone()),
        node: Some(report.node.clone()),
        interface: Some(check.interface.clone()),
        mac: check.mac.clone(),
        since: Some(check.since.clone()),
        message: super::said::failure(&report.node, check),
        ..blank()
    })
}

/// An address that another host was found to have.
fn of_lock(lock: &AllocationRecord) -> Option<Conflict> {
    let foreign = lock.foreign_use.as_deref()?;
    let until = lock.reserved_until.map(api::moment);
    let until = until.map_or(String::new(), |until| format!(", until {until}"));
    Some(Conflict {
        state: api::Reason::ADDRESS_REPLACED.as_str().to_owned(),
        is_over: lock.holders.is_empty(),
        address: lock.key.address().map(|address| address.to_string()),
        service: Some(format!("{}/{}", foreign.namespace, foreign.name)),
        mac: Some(foreign.mac.clone()),
        message: match lock.holders.as_slice() {
            [] => format!("in quarantine, given to nobody{until}"),
            _ => "another host used it first; the Service is moved to another address".to_owned(),
        },
        ..blank()
    })
}

fn blank() -> Conflict {
    Conflict {
        state: String::new(),
        is_over: false,
        address: None,
        service: None,
        node: None,
        interface: None,
        mac: None,
        since: None,
        message: String::new(),
    }
}
