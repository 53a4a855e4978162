//! All that the claims of this node depend on at one moment, found from the facts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{IfIndex, Mac, NodeName, Place, ServiceKey, Time};

use super::{
    candidate::{CandidateSet, Judge, Member, Refusal, Unfit, Verdict},
    epoch::{self, Epoch},
    facts::{AddressFacts, NodeFacts, PeerLink, Segment},
    owner::{self, Seat},
    rebalance::{self, Outlook, Pace, Scope},
};

/// What [`survey`] starts from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// This node.
    pub me: &'a NodeName,
    /// This node's kube-proxy is not healthy.
    pub impaired: bool,
    /// All nodes of the cluster, as last known.
    pub nodes: &'a BTreeMap<NodeName, NodeFacts>,
    /// All addresses that layer 2 announces, as last known.
    pub addresses: &'a BTreeMap<IpAddr, AddressFacts>,
    /// All links of this node that could announce, with what is heard there. Of several on one segment, one only.
    pub segments: &'a BTreeMap<IfIndex, Segment>,
    /// What this node claims: [`super::Claims::claimed`].
    pub claimed: &'a BTreeMap<Place, Epoch>,
    /// The hardware addresses of all Herald nodes ever known, this one's among them or not. Those that are not heard
    /// matter most: a peer that cannot be heard is no stranger.
    pub herald_macs: &'a BTreeSet<Mac>,
    /// The addresses that may move to a better place while their owners are well.
    pub rebalance: &'a Scope,
}

/// Everything at one moment, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// Every link of this node that could announce.
    pub segments: BTreeMap<IfIndex, SegmentView>,
    /// Every address on every link that may carry it, or that carries it.
    pub places: BTreeMap<Place, PlaceView>,
    /// The hardware addresses of other Herald nodes.
    pub peer_macs: BTreeSet<Mac>,
    /// The hardware addresses of this node.
    pub own_macs: BTreeSet<Mac>,
    /// The nodes that exist. A peer that was heard and is silent counts as missing only while it exists.
    pub nodes: BTreeSet<NodeName>,
}

/// One link and who is heard there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentView {
    /// The link is up.
    pub up: bool,
    /// The hardware address with which this node announces there.
    pub mac: Mac,
    /// Since when this agent has listened there.
    pub listening_since: Time,
    /// The peers that are heard.
    pub heard: BTreeSet<NodeName>,
    /// How many of them are [`super::Peer::quiet`].
    pub quiet: usize,
    /// The hardware addresses of those that are heard.
    pub heard_macs: BTreeSet<Mac>,
    /// What a rebalance would do here; `None` where no address is in its scope.
    pub outlook: Option<Outlook>,
}

/// One address on one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceView {
    /// Why this node may not announce it; `None` if it may.
    pub unfit: Option<Unfit>,
    /// Who may.
    pub candidates: Arc<CandidateSet>,
    /// Who should claim it, if it needs an owner and some node may be it.
    pub chosen: Option<NodeName>,
    /// Who will be chosen if its owner, which has been silent for most of the dead time, is lost.
    pub heir: Option<NodeName>,
    /// Why the peer that owns it may not keep it.
    pub owner_unfit: Option<Unfit>,
    /// What live peers claim. Usually one at most.
    pub claims: Vec<PeerClaim>,
    /// See [`AddressFacts::fresh`].
    pub fresh: bool,
    /// See [`AddressFacts::proxied`].
    pub proxied: bool,
    /// The Services that have no part in it, with the reason.
    pub refused: Vec<(ServiceKey, Refusal)>,
}

/// A live peer's claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerClaim {
    /// Whose.
    pub node: NodeName,
    /// With which epoch.
    pub epoch: Epoch,
    /// The peer is about to end.
    pub leaving: bool,
}

/// A place with what the plan needs of it.
struct Draft<'a> {
    address: IpAddr,
    facts: &'a AddressFacts,
    verdict: Verdict,
    unfit: Option<Unfit>,
    mine: bool,
    owner_unfit: Option<Unfit>,
    claims: Vec<PeerClaim>,
    holder: Option<NodeName>,
}

/// Finds candidates and owners for every place of this node.
#[must_use]
pub fn survey(facts: &Facts<'_>) -> Scene {
    let own_macs: BTreeSet<_> = facts
        .segments
        .values()
        .map(|segment| segment.link.mac)
        .collect();
    let peers = facts
        .segments
        .values()
        .flat_map(|segment| segment.peers.values());
    let heard_macs = peers.flat_map(|peer| peer.macs.iter());
    let herald_macs = facts.herald_macs.iter().chain(heard_macs);
    let mut scene = Scene {
        peer_macs: herald_macs
            .filter(|mac| !own_macs.contains(mac))
            .copied()
            .collect(),
        own_macs,
        nodes: facts.nodes.keys().cloned().collect(),
        ..Scene::default()
    };
    for (&interface, segment) in facts.segments {
        scene.segments.insert(
            interface,
            SegmentView {
                up: segment.link.up,
                mac: segment.link.mac,
                listening_since: segment.listening_since,
                heard: segment.peers.keys().cloned().collect(),
                quiet: segment.peers.values().filter(|peer| peer.quiet).count(),
                heard_macs: segment
                    .peers
                    .values()
                    .flat_map(|peer| peer.macs.iter().copied())
                    .collect(),
                outlook: None,
            },
        );
        let drafts = draft(facts, interface, segment);
        let seats: Vec<_> = drafts
            .iter()
            .map(|draft| Seat {
                address: draft.address,
                candidates: &draft.verdict.candidates,
                holder: draft.holder.as_ref(),
            })
            .collect();
        let mut plan: BTreeMap<IpAddr, NodeName> = owner::plan(&seats)
            .into_iter()
            .map(|(address, node)| (address, node.clone()))
            .collect();
        if let Some(view) = scene.segments.get_mut(&interface) {
            view.outlook = outlook(facts, segment, &drafts, &seats, &plan);
        }
        let mut heirs = heirs(segment, &drafts);
        scene.places.extend(drafts.into_iter().map(|draft| {
            let place = Place {
                address: draft.address,
                interface,
            };
            let chosen = plan.remove(&draft.address);
            let heir = heirs.remove(&draft.address);
            (place, draft.view(chosen, heir))
        }));
    }
    scene
}

/// What a rebalance would do on the segment; `None` if it concerns nothing there.
fn outlook(
    facts: &Facts<'_>,
    segment: &Segment,
    drafts: &[Draft<'_>],
    seats: &[Seat<'_>],
    plan: &BTreeMap<IpAddr, NodeName>,
) -> Option<Outlook> {
    let paces = seats
        .iter()
        .filter_map(|seat| facts.rebalance.get(&seat.address));
    let pace = paces.max()?;
    let contested = drafts.iter().any(Draft::is_contested);
    let unready = |node: &NodeName| facts.nodes.get(node).is_some_and(|facts| facts.unready);
    let peers = segment.peers.iter();
    let steady = peers
        .filter(|(_, peer)| !peer.leaving && !peer.quiet && !peer.impaired)
        .map(|(node, _)| node)
        .chain((!facts.impaired).then_some(facts.me))
        .filter(|node| !unready(node))
        .collect();
    let next = || rebalance::next_move(seats, facts.rebalance, &steady);
    Some(Outlook {
        next: (!contested).then(next).flatten(),
        vacant: plan.keys().copied().collect(),
        contested,
        asked: *pace == Pace::Asked,
    })
}

/// The judge of a segment, also for [`Judge::explain`].
#[must_use]
pub fn judge<'a>(facts: &Facts<'a>, segment: &'a Segment) -> Judge<'a> {
    let link = PeerLink {
        name: segment.link.name.clone(),
        subnets: segment.link.subnets().collect(),
    };
    let me = Member {
        links: segment.link.up.then_some(link).into_iter().collect(),
        leaving: false,
        impaired: facts.impaired,
    };
    let peers = segment.peers.iter();
    let members = peers
        .map(|(node, peer)| {
            (
                node,
                Member {
                    links: peer.links.clone(),
                    leaving: peer.leaving,
                    impaired: peer.impaired,
                },
            )
        })
        .chain([(facts.me, me)]);
    Judge::new(facts.nodes, members.collect())
}

fn draft<'a>(facts: &Facts<'a>, interface: IfIndex, segment: &'a Segment) -> Vec<Draft<'a>> {
    let mut judge = judge(facts, segment);
    let mut heard = claims_by_address(segment);
    let subnets: Vec<_> = segment.link.subnets().collect();
    let carried = |address: IpAddr, facts: &AddressFacts| {
        let mut rules = facts.rules.iter();
        rules.any(|rule| rule.uses(address, &segment.link.name, subnets.iter().copied()))
    };
    let mut drafts = Vec::new();
    for (&address, about) in facts.addresses {
        let mine = facts.claimed.get(&Place { address, interface }).copied();
        if mine.is_none() && !carried(address, about) {
            continue;
        }
        let verdict = judge.verdict(address, about);
        let unfit = judge.unfit(address, about, &verdict, facts.me);
        let claims = heard.remove(&address).unwrap_or_default();
        let holder = holder(address, facts.me, mine, &claims).cloned();
        drafts.push(Draft {
            address,
            facts: about,
            owner_unfit: holder
                .as_ref()
                .filter(|holder| *holder != facts.me)
                .and_then(|holder| judge.unfit(address, about, &verdict, holder)),
            verdict,
            unfit,
            mine: mine.is_some(),
            claims,
            holder,
        });
    }
    drafts
}

/// The plan as it will be when those who are quiet are lost, for the addresses that they own.
fn heirs(segment: &Segment, drafts: &[Draft<'_>]) -> BTreeMap<IpAddr, NodeName> {
    let is_quiet = |node: &NodeName| segment.peers.get(node).is_some_and(|peer| peer.quiet);
    let is_left = |draft: &Draft<'_>| draft.holder.as_ref().is_some_and(is_quiet);
    if !drafts.iter().any(is_left) {
        return BTreeMap::new();
    }
    // Addresses of one pool point at one set, here as well.
    let mut remaining = BTreeMap::new();
    for all in drafts.iter().map(|draft| &draft.verdict.candidates) {
        let left = remaining.entry(Arc::as_ptr(all));
        left.or_insert_with(|| all.without(is_quiet));
    }
    let seats: Vec<_> = drafts
        .iter()
        .filter_map(|draft| {
            Some(Seat {
                address: draft.address,
                candidates: remaining.get(&Arc::as_ptr(&draft.verdict.candidates))?,
                holder: draft.holder.as_ref().filter(|holder| !is_quiet(holder)),
            })
        })
        .collect();
    let plan = owner::plan(&seats);
    let left = drafts.iter().filter(|draft| is_left(draft));
    left.filter_map(|draft| {
        let heir = plan.get(&draft.address)?;
        Some((draft.address, NodeName::clone(heir)))
    })
    .collect()
}

fn claims_by_address(segment: &Segment) -> BTreeMap<IpAddr, Vec<PeerClaim>> {
    let mut heard: BTreeMap<IpAddr, Vec<PeerClaim>> = BTreeMap::new();
    for (node, peer) in &segment.peers {
        for (&address, &epoch) in peer.claims.iter() {
            let claim = PeerClaim {
                node: node.clone(),
                epoch,
                leaving: peer.leaving,
            };
            heard.entry(address).or_default().push(claim);
        }
    }
    heard
}

fn holder<'a>(
    address: IpAddr,
    me: &'a NodeName,
    mine: Option<Epoch>,
    claims: &'a [PeerClaim],
) -> Option<&'a NodeName> {
    let peers = claims.iter().map(|claim| (&claim.node, claim.epoch));
    let all = peers.chain(mine.map(|epoch| (me, epoch)));
    all.max_by_key(|(node, epoch)| epoch::weight(address, node, *epoch))
        .map(|(node, _)| node)
}

impl Draft<'_> {
    fn is_contested(&self) -> bool {
        self.claims.len() + usize::from(self.mine) > 1
    }

    fn view(self, chosen: Option<NodeName>, heir: Option<NodeName>) -> PlaceView {
        PlaceView {
            unfit: self.unfit,
            candidates: self.verdict.candidates,
            chosen,
            heir,
            owner_unfit: self.owner_unfit,
            claims: self.claims,
            fresh: self.facts.fresh,
            proxied: self.facts.proxied,
            refused: self.verdict.refused,
        }
    }
}

impl PlaceView {
    /// The claim of a live peer that beats those of all other peers.
    #[must_use]
    pub fn best(&self, address: IpAddr) -> Option<&PeerClaim> {
        self.claims
            .iter()
            .max_by_key(|claim| epoch::weight(address, &claim.node, claim.epoch))
    }
}

#[cfg(test)]
mod tests;
