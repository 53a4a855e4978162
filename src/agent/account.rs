//! What the agent tells the cluster about its addresses. Pure.

use std::{collections::BTreeMap, time::Duration};

use herald_spi::{Place, Time};
use k8s_openapi::jiff::Timestamp;

use super::{check::Outcome, mind::Mind, report::Account};
use crate::{
    api::{
        AddressChecks, AnnouncedAddress, AnnouncementState, CheckOutcome, FailedCheck, HostFacts,
        NodeAnnouncementsStatus,
    },
    placement::State,
};

/// How many addresses one object lists.
const MOST: usize = 1000;
/// And how many failed checks.
const MOST_FAILED: usize = 100;
/// A conflict that was not seen for so long is over.
const CONFLICT_FADES: Duration = Duration::from_secs(60);

/// Since when each place has been in its state, as wall-clock time that does not change from report to report.
pub(super) type Since = BTreeMap<(Place, Matter), String>;

/// What is told of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Matter {
    State(AnnouncementState),
    Check(CheckOutcome),
}

/// The account now. `since` remembers from one to the next; `host` is what is known of the host.
pub(super) fn account(
    mind: &Mind,
    host: Option<HostFacts>,
    now: Time,
    clock: Timestamp,
    since: &mut Since,
) -> Account {
    let mut addresses = Vec::new();
    let mut announcing = 0_u32;
    let mut kept = Since::new();
    for (place, state) in &mind.output.states {
        let Some(said) = say(mind, now, *place, state) else {
            continue;
        };
        announcing = announcing.saturating_add(u32::from(matches!(
            state,
            State::Announcing { .. } | State::HandingOver { .. }
        )));
        let began = begin(since, &mut kept, clock, *place, Matter::State(said.state));
        addresses.push(AnnouncedAddress {
            since: began,
            ..said
        });
    }
    let checks = checks(mind, |place, outcome| {
        begin(since, &mut kept, clock, place, Matter::Check(outcome))
    });
    *since = kept;
    let abnormal = addresses
        .iter()
        .filter(|a| a.state != AnnouncementState::Announcing)
        .count();
    addresses.sort_by(|a, b| (a.state, &a.address).cmp(&(b.state, &b.address)));
    addresses.truncate(MOST);
    Account {
        node_uid: mind.node_uid(),
        status: NodeAnnouncementsStatus {
            announcing,
            abnormal: u32::try_from(abnormal).unwrap_or(u32::MAX),
            peers: u32::try_from(mind.peers()).unwrap_or(u32::MAX),
            addresses,
            checks,
            host,
        },
    }
}

/// Since when a matter stands as it does: as before, or from now on.
fn begin(
    since: &Since,
    kept: &mut Since,
    clock: Timestamp,
    place: Place,
    matter: Matter,
) -> String {
    let known = since.get(&(place, matter)).cloned();
    let began = known.unwrap_or_else(|| round(clock).to_string());
    kept.insert((place, matter), began.clone());
    began
}

/// What is found out about the addresses of other nodes, if any falls to this one.
fn checks(
    mind: &Mind,
    mut since: impl FnMut(Place, CheckOutcome) -> String,
) -> Option<AddressChecks> {
    let mut checks = AddressChecks {
        checked: u32::try_from(mind.checks.checked()).unwrap_or(u32::MAX),
        ..AddressChecks::default()
    };
    for (place, owner, outcome) in mind.checks.failing() {
        let (outcome, mac) = match outcome {
            Outcome::Reached => continue,
            Outcome::Unanswered => (CheckOutcome::Unanswered, None),
            Outcome::WrongMac(mac) => (CheckOutcome::WrongMac, Some(mac.to_string())),
        };
        checks.failing = checks.failing.saturating_add(1);
        let since = since(place, outcome);
        if checks.failed.len() < MOST_FAILED {
            checks.failed.push(FailedCheck {
                address: place.address.to_string(),
                interface: mind.interface(place.interface),
                owner: owner.to_string(),
                outcome,
                mac,
                since,
            });
        }
    }
    (checks.checked > 0).then_some(checks)
}

/// What there is to say about one place, if it is worth saying.
fn say(mind: &Mind, now: Time, place: Place, state: &State) -> Option<AnnouncedAddress> {
    let rival = mind
        .rivals
        .get(&place)
        .filter(|rival| now.since(rival.seen) < CONFLICT_FADES);
    let reason = match state {
        State::NotCandidate(unfit) => Some(unfit.reason().to_owned()),
        _ => None,
    };
    let (state, mac, message) = match state {
        State::Announcing { .. } | State::HandingOver { .. } => match (rival, mind.failing.get(&place)) {
            (Some(rival), _) => (
                AnnouncementState::Conflict,
                Some(rival.mac),
                Some("another host claims this address; it is defended".to_owned()),
            ),
            (None, Some(why)) => (AnnouncementState::NoLink, None, Some(why.clone())),
            (None, None) => (AnnouncementState::Announcing, None, None),
        },
        State::InUse { mac } => (
            AnnouncementState::InUse,
            Some(*mac),
            Some("another host had this address before it was announced; remove it from that host, or exclude the \
                  address from its pool"
                .to_owned()),
        ),
        State::Conflict { mac } => (
            AnnouncementState::Conflict,
            Some(*mac),
            Some("another host answers for this address, and no other node is heard; remove it from that host".to_owned()),
        ),
        State::PeerUnheard { mac } => (
            AnnouncementState::PeerUnheard,
            Some(*mac),
            Some("another node answers for it, but its heartbeats are not heard; is UDP port 9471 blocked?".to_owned()),
        ),
        State::NotCandidate(unfit) => (
            AnnouncementState::NotCandidate,
            None,
            Some(format!("this node may not announce it ({}), and hears nobody who does", unfit.reason())),
        ),
        State::NoLink | State::Standby { .. } | State::Waiting(_) => return None,
    };
    Some(AnnouncedAddress {
        address: place.address.to_string(),
        service: mind
            .services
            .get(&place.address)
            .map(ToString::to_string)
            .unwrap_or_default(),
        interface: mind.interface(place.interface),
        since: String::new(),
        state,
        conflicting_mac: mac.map(|mac| mac.to_string()),
        reason,
        message,
    })
}

fn round(clock: Timestamp) -> Timestamp {
    Timestamp::from_second(clock.as_second()).unwrap_or(clock)
}
