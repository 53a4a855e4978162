//! Draws a [`View`] of what was heard.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use herald_spi::{IfIndex, NodeName};

use super::{
    Claims, Peer, Segment,
    heard::{Heard, VoiceKey},
    voice::Voice,
};

/// The peers on one segment. A peer that speaks from two interfaces there is one peer with the claims of both.
pub(super) fn peers(heard: &Heard) -> BTreeMap<NodeName, Peer> {
    let mut peers: BTreeMap<NodeName, Peer> = BTreeMap::new();
    for ((node, _), voice) in &heard.voices {
        match peers.get_mut(node) {
            Some(peer) => join(peer, voice),
            None => {
                peers.insert(node.clone(), peer(voice));
            }
        }
    }
    peers
}

/// Which own interfaces share a segment: those that hear each other, and those that hear the same interface of a
/// peer (Linux drops own IPv4 datagrams that come back on another interface, so the peers' voices are needed too).
pub(super) fn same_segment(
    heard: &BTreeMap<IfIndex, Heard>,
) -> BTreeMap<IfIndex, BTreeSet<IfIndex>> {
    let mut first_heard_on: BTreeMap<&VoiceKey, IfIndex> = BTreeMap::new();
    let mut groups: BTreeMap<IfIndex, BTreeSet<IfIndex>> = heard
        .keys()
        .map(|interface| (*interface, BTreeSet::from([*interface])))
        .collect();
    for (interface, here) in heard {
        for from in here.echoes.keys() {
            unite(&mut groups, *interface, *from);
        }
        for voice in here.voices.keys() {
            let first = *first_heard_on.entry(voice).or_insert(*interface);
            unite(&mut groups, *interface, first);
        }
    }
    for (interface, group) in &mut groups {
        group.remove(interface);
    }
    groups
}

/// The view of one segment.
pub(super) fn segment(heard: &Heard, up: bool, same_segment: BTreeSet<IfIndex>) -> Segment {
    Segment {
        listening_since: heard.listening_since,
        up,
        same_segment,
        lost: heard.lost.clone(),
        dark: heard.dark.clone(),
        peers: peers(heard),
    }
}

fn peer(voice: &Voice) -> Peer {
    Peer {
        incarnation: voice.incarnation,
        since: voice.since,
        interface: Arc::clone(&voice.interface),
        mac: voice.mac,
        macs: Arc::clone(&voice.macs),
        subnets: Arc::clone(&voice.subnets),
        leaving: voice.leaving,
        settled: voice.settled,
        impaired: voice.impaired,
        synced: voice.mirror.synced(),
        quiet: voice.quiet,
        claims: Arc::clone(voice.mirror.claims()),
    }
}

fn join(peer: &mut Peer, voice: &Voice) {
    let claims = voice.mirror.claims();
    if peer.claims.is_empty() && !claims.is_empty() {
        peer.interface = Arc::clone(&voice.interface);
        peer.mac = voice.mac;
        peer.subnets = Arc::clone(&voice.subnets);
        peer.claims = Arc::clone(claims);
    } else if !claims.is_empty() {
        let all: &mut Claims = Arc::make_mut(&mut peer.claims);
        for (address, epoch) in claims.iter() {
            let known = all.entry(*address).or_default();
            *known = (*known).max(*epoch);
        }
    }
    peer.since = peer.since.min(voice.since);
    peer.leaving |= voice.leaving;
    peer.settled |= voice.settled;
    peer.impaired |= voice.impaired;
    peer.synced &= voice.mirror.synced();
    peer.quiet &= voice.quiet;
}

fn unite(groups: &mut BTreeMap<IfIndex, BTreeSet<IfIndex>>, one: IfIndex, other: IfIndex) {
    let group = |of| groups.get(&of).cloned().unwrap_or_default();
    let (left, right) = (group(one), group(other));
    if left.is_empty() || right.is_empty() || left == right {
        return;
    }
    let all: BTreeSet<IfIndex> = left.union(&right).copied().collect();
    for member in &all {
        groups.insert(*member, all.clone());
    }
}
