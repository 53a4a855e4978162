//! What the agent tells the cluster about its addresses. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herald_spi::{Place, Time};
use k8s_openapi::jiff::Timestamp;

use super::{check::Outcome, mind::Mind, report::Account};
use crate::{
    api::{
        AddressChecks, AgentFacts, AnnouncedAddress, AnnouncementState, CheckOutcome, FailedCheck,
        HostFacts, NodeAnnouncementsStatus, UnheardPeer, UnheardReason, WireSurvey,
    },
    placement::State,
};

/// How many addresses one object lists.
const MOST: usize = 1000;
/// How many hardware addresses.
const MOST_MACS: usize = 64;
/// How many peers that are alive and not heard.
const MOST_UNHEARD: usize = 100;
/// And how many failed checks.
const MOST_FAILED: usize = 100;
/// A conflict that was not seen for so long is over.
pub(super) const CONFLICT_FADES: Duration = Duration::from_secs(60);

/// Since when each place has been in its state, as wall-clock time that does not change from report to report.
pub(super) type Since = BTreeMap<(Place, Matter), Timestamp>;

/// What is told of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Matter {
    State(AnnouncementState),
    Check(CheckOutcome),
}

/// What is told beside the addresses.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// What is known of the host.
    pub(super) host: Option<HostFacts>,
    /// What the agent says of itself.
    pub(super) agent: AgentFacts,
    /// What it found on the wire.
    pub(super) survey: Option<WireSurvey>,
}

/// The account now. `since` remembers from one to the next.
pub(super) fn account(
    mind: &Mind,
    beside: Beside,
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
            macs: macs(mind),
            unheard: unheard(mind),
            namesake: mind.namesake().map(|mac| mac.to_string()),
            host: beside.host,
            agent: Some(beside.agent),
            clock: None,
            survey: beside.survey,
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
    let known = since.get(&(place, matter)).copied();
    let began = known.unwrap_or_else(|| round(clock));
    kept.insert((place, matter), began);
    began.to_string()
}

/// The hardware addresses by which other agents know this node.
fn macs(mind: &Mind) -> Vec<String> {
    let macs: BTreeSet<_> = mind.links.values().map(|link| link.mac).collect();
    let macs = macs.into_iter().filter(|mac| mac.is_unicast());
    macs.take(MOST_MACS).map(|mac| mac.to_string()).collect()
}

/// Who fell silent on a segment and is alive.
fn unheard(mind: &Mind) -> Vec<UnheardPeer> {
    let unheard = mind.unheard().map(|(node, interface, dark)| UnheardPeer {
        node: node.to_string(),
        interface: mind.interface(interface),
        why: if dark {
            UnheardReason::PeerNoCarrier
        } else {
            UnheardReason::PeerUnheard
        },
    });
    unheard.take(MOST_UNHEARD).collect()
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
            .service(place.address)
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
