//! What all nodes say of one address, and what it comes to. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use crate::api::{AnnouncedAddress, AnnouncementState, CheckOutcome, FailedCheck};

/// A node, and what it says of an address.
pub(super) type Saying<'a> = (&'a str, &'a AnnouncedAddress);
/// A node that checks, and what it found.
pub(super) type Failure<'a> = (&'a str, &'a FailedCheck);

/// What the nodes say.
#[derive(Default)]
pub(super) struct Said<'a> {
    /// Of each address, by node.
    addresses: BTreeMap<&'a str, Vec<Saying<'a>>>,
    /// Failed checks of each address, with the node that checks.
    unreached: BTreeMap<&'a str, Vec<Failure<'a>>>,
    /// The addresses that nodes have themselves.
    pub(super) own: BTreeSet<&'a str>,
    /// Some node announces more than its list has room for.
    pub(super) cut: bool,
}

impl<'a> Said<'a> {
    /// What these reports say.
    pub(super) fn of(reports: &[&'a Report]) -> Self {
        let mut said = Self::default();
        for report in reports {
            said.cut |= report.is_cut();
            said.own.extend(report.own.iter().map(String::as_str));
            for address in &report.addresses {
                let of_address = said.addresses.entry(&address.address).or_default();
                of_address.push((&report.node, address));
            }
            for check in &report.unreached {
                let of_address = said.unreached.entry(&check.address).or_default();
                of_address.push((&report.node, check));
            }
        }
        said.addresses.values_mut().for_each(drop_outdated);
        said
    }

    /// What is said of an address, and the failed checks of it.
    pub(super) fn of_address(&self, address: &str) -> (&[Saying<'a>], &[Failure<'a>]) {
        let said = self.addresses.get(address).map_or(&[][..], Vec::as_slice);
        let unreached = self.unreached.get(address).map_or(&[][..], Vec::as_slice);
        (said, unreached)
    }
}

/// The verdict on one address.
pub(super) struct Announced {
    pub(super) well: bool,
    pub(super) state: String,
    pub(super) message: String,
    /// Where it is not what the owners say.
    pub(super) since: Option<String>,
}

impl Announced {
    pub(super) fn new(well: bool, state: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            well,
            state: state.into(),
            message: message.into(),
            since: None,
        }
    }
}

/// What the nodes make of an address.
pub(super) fn announced(said: &[Saying<'_>], unreached: &[Failure<'_>]) -> Announced {
    // A node that may not announce it says nothing of those that do, perhaps on another segment.
    let is_announced = owners(said).next().is_some();
    let trouble = said.iter().find(|(_, a)| match a.state {
        AnnouncementState::Announcing => false,
        AnnouncementState::NotCandidate => !is_announced,
        _ => true,
    });
    if let Some((node, address)) = trouble {
        let message = match &address.message {
            Some(message) => format!("{node}: {message}"),
            None => format!("on node {node}"),
        };
        return Announced {
            since: Some(address.since.clone()),
            ..Announced::new(false, format!("{:?}", address.state), message)
        };
    }
    // A check of a former owner says nothing of the present one.
    let owners = nodes(said);
    let unreached = unreached
        .iter()
        .find(|(_, check)| owners.contains(&check.owner.as_str()));
    if let Some((node, check)) = unreached {
        return Announced {
            since: Some(check.since.clone()),
            ..Announced::new(false, format!("{:?}", check.outcome), failure(node, check))
        };
    }
    match owners.as_slice() {
        [] => Announced::new(false, "Unannounced", "no node announces it"),
        [_] => Announced::new(true, "Announcing", ""),
        nodes => {
            let message = format!(
                "announced by {}: right only if each is on a segment of its own",
                nodes.join(" and ")
            );
            Announced::new(true, "Announcing", message)
        }
    }
}

/// What a failed check means, for people.
pub(super) fn failure(node: &str, check: &FailedCheck) -> String {
    let FailedCheck {
        interface, owner, ..
    } = check;
    match check.outcome {
        CheckOutcome::Unanswered => format!(
            "{node} asked on {interface} and nobody answers, though {owner} announces it: does the network drop ARP or NDP?"
        ),
        CheckOutcome::WrongMac => {
            let mac = check.mac.as_deref().unwrap_or("another host");
            format!("{node} asked on {interface} and {mac} answers, which is not {owner}")
        }
    }
}

/// Drops what dead nodes said last: of two that announce an address on interfaces of one name the later is believed.
fn drop_outdated<'a>(said: &mut Vec<Saying<'a>>) {
    let mut latest: BTreeMap<&str, &str> = BTreeMap::new();
    let announcing = |a: &AnnouncedAddress| a.state == AnnouncementState::Announcing;
    for owner in said.iter().map(|(_, a)| *a).filter(|a| announcing(a)) {
        let since = latest.entry(&owner.interface).or_default();
        *since = (*since).max(&owner.since);
    }
    said.retain(|(_, a)| {
        !announcing(a) || latest.get(a.interface.as_str()) == Some(&a.since.as_str())
    });
}

pub(super) fn owners<'a>(said: &'a [Saying<'a>]) -> impl Iterator<Item = &'a Saying<'a>> {
    said.iter()
        .filter(|(_, a)| a.state == AnnouncementState::Announcing)
}

pub(super) fn nodes<'a>(said: &[(&'a str, &AnnouncedAddress)]) -> Vec<&'a str> {
    distinct(
        said.iter()
            .filter(|(_, a)| a.state == AnnouncementState::Announcing)
            .map(|(node, _)| *node),
    )
}

pub(super) fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.collect::<BTreeSet<_>>().into_iter().collect()
}
