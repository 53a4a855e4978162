//! What the agent knows, and the conclusions it draws. Pure but for the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use herald_spi::{Desired, IfIndex, Links, Mac, NodeName, Place, Report, ServiceKey, Time};
use tracing::{info, warn};

use super::{
    account::CONFLICT_FADES,
    check::Checks,
    facts::{Watch, Watched, segments},
    gates::Gates,
    lookup::{Published, Strangers},
    memory::{Last, Memory},
    moves::{Move, tell},
    reach::Reach,
    requests::Requests,
    soundness::Readiness,
    survey::Desk,
};
use crate::{
    membership::{NodeAddresses, OwnClaims, View},
    placement::{
        self, AddressFacts, Claims, Event, Facts, Input, Loss, NodeFacts, Output, Scope, survey,
    },
};

mod checking;
mod surveying;

/// A host that is no Herald node and claims an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rival {
    pub(super) mac: Mac,
    pub(super) seen: Time,
}

/// What is known of nodes and of addresses; drawn up anew only when something of it may have changed.
#[derive(Clone, Debug, PartialEq)]
struct Cluster {
    nodes: Arc<BTreeMap<NodeName, NodeFacts>>,
    addresses: Arc<BTreeMap<IpAddr, AddressFacts>>,
}

/// Conclusions are drawn at least so often.
const RECONSIDER: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Mind {
    me: NodeName,
    watched: Watched,
    pub(super) links: Links,
    view: Arc<View>,
    claims: Claims,
    gates: Gates,
    readiness: Readiness,
    requests: Requests,
    surveys: Desk,
    impaired: bool,
    /// The first complete view, or what was remembered of one, has been taken in.
    started: bool,
    /// What an earlier life of this agent knew.
    recalled: Memory,
    /// What is to be remembered.
    memory: Arc<Memory>,
    /// What the last conclusions were drawn from.
    cluster: Option<Cluster>,
    /// Something may have changed of that.
    stale: bool,
    concluded_at: Time,
    /// Where the nodes are, as last known.
    node_addresses: Arc<NodeAddresses>,
    /// The hardware addresses of all Herald nodes ever known.
    herald_macs: BTreeSet<Mac>,
    strangers: Strangers,
    reach: Reach,
    pub(super) rivals: BTreeMap<Place, Rival>,
    pub(super) failing: BTreeMap<Place, String>,
    pub(super) checks: Checks,
    pub(super) output: Output,
    missed: bool,
}

impl Mind {
    pub(super) fn new(me: NodeName, view: Arc<View>, recalled: Memory) -> Self {
        Self {
            claims: Claims::new(me.clone(), placement::Config::default()),
            checks: Checks::new(me.clone()),
            me,
            watched: Watched::default(),
            links: Links::new(),
            view,
            gates: Gates::default(),
            readiness: Readiness::default(),
            requests: Requests::default(),
            surveys: Desk::default(),
            impaired: false,
            started: false,
            node_addresses: Arc::clone(&recalled.node_addresses),
            recalled,
            memory: Arc::default(),
            cluster: None,
            stale: true,
            concluded_at: Time::ZERO,
            herald_macs: BTreeSet::new(),
            strangers: Strangers::default(),
            reach: Reach::default(),
            rivals: BTreeMap::new(),
            failing: BTreeMap::new(),
            output: Output::default(),
            missed: false,
        }
    }

    /// Takes in what a watch says. Whether that changes anything.
    pub(super) fn watch(&mut self, watch: Watch) -> bool {
        let of_nodes = matches!(watch, Watch::Nodes(_));
        let changed = self.watched.take(watch);
        self.stale |= changed;
        if of_nodes && self.watched.nodes.synced() {
            let told = self.watched.node_addresses();
            if *self.node_addresses != told {
                self.node_addresses = Arc::new(told);
            }
        }
        changed
    }

    pub(super) fn report(&mut self, now: Time, report: Report) {
        match report {
            Report::Links(links) => {
                info!(links = names(&links), "links that can announce");
                let index = |name: &str| {
                    let link = links.values().find(|link| link.name == name)?;
                    Some(link.index)
                };
                self.claims.recall(self.recalled.epochs(index));
                self.links = links;
                self.stale = true;
            }
            Report::Answered {
                place,
                question,
                by,
            } => {
                for mac in by.difference(&self.herald_macs) {
                    self.strangers.meet(*mac);
                }
                self.claims.handle(
                    now,
                    Input::Answered {
                        place,
                        question,
                        by,
                    },
                );
            }
            Report::Conflict { place, by } => {
                self.strangers.meet(by);
                let known = self.rivals.insert(place, Rival { mac: by, seen: now });
                if known.is_none_or(|rival| rival.mac != by) {
                    let interface = self.interface(place.interface);
                    warn!(reason = "AddressConflict", address = %place.address, interface, mac = %by,
                        "another host claims an address of this cluster; it is defended, and that host should lose it");
                }
            }
            Report::Rivalled { place, by } => {
                self.claims.handle(now, Input::Rivalled { place, by });
            }
            Report::Failing { place, why } => {
                warn!(address = %place.address, interface = self.interface(place.interface), why, "cannot announce");
                self.failing.insert(place, why);
            }
            Report::Recovered { place } => {
                info!(address = %place.address, interface = self.interface(place.interface), "can announce again");
                self.failing.remove(&place);
            }
        }
    }

    /// Takes in what is heard. How long those had been silent that fell silent with that.
    pub(super) fn view(&mut self, now: Time, view: Arc<View>) -> Vec<Duration> {
        if view.pauses > self.view.pauses {
            self.claims.handle(now, Input::Paused);
        }
        let known = |interface, node, heard| {
            let before = self.view.segments.get(interface);
            before.is_some_and(|segment| segment.lost.get(node) == Some(heard))
        };
        let lost = view.segments.iter().flat_map(|(interface, segment)| {
            let fresh = segment.lost.iter();
            fresh.filter(move |(node, heard)| !known(interface, node, heard))
        });
        let silences = lost.map(|(_, heard)| now.since(*heard)).collect();
        self.view = view;
        silences
    }

    /// Whether this node's kube-proxy is not healthy.
    pub(super) fn set_impaired(&mut self, impaired: bool) {
        self.impaired = impaired;
    }

    pub(super) fn leave(&mut self, now: Time) {
        self.claims.handle(now, Input::Leave);
    }

    /// Whether kube-proxy should be asked.
    pub(super) fn waits_for_kube_proxy(&self) -> bool {
        self.gates.any_waiting()
    }

    /// Takes in what kube-proxy tells. Whether that changes anything.
    pub(super) fn kube_proxy(&mut self, now: Time, metrics: Option<&str>) -> bool {
        let opened = self.gates.ask(now, metrics);
        self.stale |= opened;
        opened
    }

    /// When to draw conclusions even if nothing happens.
    pub(super) fn next_deadline(&self) -> Time {
        let fades = self
            .rivals
            .values()
            .map(|rival| rival.seen + CONFLICT_FADES);
        let fades = fades.filter(|at| *at > self.concluded_at);
        let others = [
            self.claims.next_deadline(),
            self.readiness.next_deadline(),
            self.surveys.next_deadline(),
        ];
        let reconsider = self.concluded_at + RECONSIDER;
        others
            .into_iter()
            .flatten()
            .chain(fades)
            .fold(reconsider, Time::min)
    }

    /// Whether everything that is watched has been listed, this node is among it, and this agent has listened for
    /// long enough to take over what is handed to it.
    pub(super) fn ready(&self) -> bool {
        self.is_told() && self.output.settled && self.watched.nodes.get(&self.me).is_some()
    }

    /// Whether to ask the API server whose hardware addresses were seen.
    pub(super) fn asks_about_strangers(&mut self, now: Time) -> bool {
        self.strangers.ask(now)
    }

    /// Takes in the hardware addresses of all nodes. Says whether anything changed.
    pub(super) fn learn_macs(&mut self, published: Published) -> bool {
        for rival in self.rivals.values() {
            if let Some(node) = published.get(&rival.mac) {
                info!(mac = %rival.mac, %node, "the host that claims an address is a node of this cluster, never heard");
            }
        }
        self.strangers.learn(published)
    }

    /// Another host whose agent speaks under this node's name; not a second agent on this one.
    pub(super) fn namesake(&self) -> Option<Mac> {
        let namesake = self.view.namesake.as_ref()?;
        (!namesake.on_this_host).then_some(namesake.mac)
    }

    /// Who fell silent on which interface and is alive, and whether it says that it has no carrier there.
    pub(super) fn unheard(&self) -> impl Iterator<Item = (&NodeName, IfIndex, bool)> {
        let segments = self.view.segments.iter().filter(|(_, segment)| segment.up);
        segments.flat_map(|(interface, segment)| {
            let alive = segment
                .lost
                .keys()
                .filter(|node| self.view.reached.contains(*node));
            alive.map(|node| (node, *interface, segment.dark.contains(node)))
        })
    }

    /// The links on which there is no peer to speak with.
    pub(super) fn silent_links(&self) -> BTreeSet<IfIndex> {
        self.reach.silent(&self.links)
    }

    /// Where the nodes are, as last known.
    pub(super) fn node_addresses(&self) -> &Arc<NodeAddresses> {
        &self.node_addresses
    }

    /// How many agents are heard on any segment.
    pub(super) fn peers(&self) -> usize {
        let names: BTreeSet<_> = self
            .view
            .segments
            .values()
            .flat_map(|s| s.peers.keys())
            .collect();
        names.len()
    }

    /// The uid of this node's object.
    pub(super) fn node_uid(&self) -> Option<String> {
        self.watched
            .nodes
            .get(&self.me)
            .map(|node| node.uid.clone())
    }

    /// The name of an interface, for people.
    pub(super) fn interface(&self, index: IfIndex) -> String {
        self.links
            .get(&index)
            .map_or_else(|| format!("#{index}"), |link| link.name.clone())
    }

    /// Whether the API server has told everything once.
    pub(super) fn is_told(&self) -> bool {
        self.watched.synced()
    }

    /// The cluster as the API server tells it, or as it was remembered until then. `None` if neither is known.
    fn cluster(&mut self, now: Time, unix: f64) -> Option<Cluster> {
        self.stale |= self.readiness.next_deadline().is_some_and(|at| at <= now);
        if !std::mem::take(&mut self.stale) {
            return self.cluster.clone();
        }
        let (nodes, mut addresses) = if self.is_told() {
            self.miss_own_node();
            let mut nodes = self.watched.node_facts();
            let ready = self.watched.nodes.iter();
            let ready = ready.map(|(name, node)| (name, node.ready));
            self.readiness.notice(now, ready, &mut nodes);
            (nodes, self.watched.address_facts())
        } else if self.recalled.nodes.is_empty() {
            return None;
        } else {
            let Memory {
                nodes, addresses, ..
            } = &self.recalled;
            (BTreeMap::clone(nodes), BTreeMap::clone(addresses))
        };
        self.gates.notice(now, unix, &mut addresses, !self.started);
        let pools = self.watched.pools.iter().map(|(_, pool)| &**pool);
        self.reach.learn(&self.links, pools, &addresses);
        self.started = true;
        let cluster = Cluster {
            nodes: Arc::new(nodes),
            addresses: Arc::new(addresses),
        };
        // What is the same again stays the same object: comparing it costs nothing from then on.
        if self.cluster.as_ref() != Some(&cluster) {
            self.cluster = Some(cluster);
        }
        self.cluster.clone()
    }

    /// A Service that has the address.
    pub(super) fn service(&self, address: IpAddr) -> Option<&ServiceKey> {
        let facts = self.cluster.as_ref()?.addresses.get(&address)?;
        Some(&facts.services.first()?.key)
    }

    /// The addresses that moved to this node with the last conclusions.
    pub(super) fn moves(&self, now: Time) -> Vec<Move> {
        let told = |event: &Event| {
            let Event::Gained { place, .. } = event else {
                return None;
            };
            let segment = self.view.segments.get(&place.interface);
            let silent_since = |node: &NodeName| segment?.lost.get(node).copied();
            let interface = self.interface(place.interface);
            let (note, without_owner) = tell(now, &self.me, &interface, event, silent_since)?;
            let service = self.service(place.address).and_then(|key| {
                let uid = self.watched.services.get(key)?.uid.to_string();
                Some((key.clone(), uid))
            });
            Some(Move {
                service,
                note,
                without_owner,
            })
        };
        self.output.events.iter().filter_map(told).collect()
    }

    /// Draws the conclusions. `None` before anything is known: then nothing is announced.
    pub(super) fn conclude(&mut self, now: Time, unix: f64) -> Option<(Desired, OwnClaims)> {
        self.concluded_at = now;
        let Cluster { nodes, addresses } = self.cluster(now, unix)?;
        let rebalance = self.rebalance(now, &addresses);
        self.notice_surveys(now);
        let segments = segments(&self.links, &self.view);
        let mut herald_macs: BTreeSet<_> = self.view.known_macs.iter().copied().collect();
        herald_macs.extend(self.links.values().map(|link| link.mac));
        herald_macs.extend(&self.recalled.macs);
        herald_macs.extend(self.strangers.published().keys());
        let scene = survey(&Facts {
            me: &self.me,
            nodes: &nodes,
            addresses: &addresses,
            segments: &segments,
            claimed: self.claims.claimed(),
            impaired: self.impaired,
            herald_macs: &herald_macs,
            rebalance: &rebalance,
        });
        let mut output = std::mem::take(&mut self.output);
        self.claims.step(now, &scene, &mut output);
        for event in &output.events {
            self.log(event);
        }
        if output.rebalanced && self.requests.end() {
            info!("rebalanced: every address that may move is where it should be");
        }
        self.rivals.retain(|place, rival| {
            output.claims.contains_key(place) && !herald_macs.contains(&rival.mac)
        });
        let claims = output.claims.clone();
        self.output = output;
        self.herald_macs = herald_macs;
        self.checks.plan_review(now);
        Some((self.desired(now), claims))
    }

    /// What may move while its owner is well. Nothing while the API server has not said what is wanted now.
    fn rebalance(&mut self, now: Time, addresses: &BTreeMap<IpAddr, AddressFacts>) -> Scope {
        if !self.is_told() {
            return Scope::new();
        }
        let pools = self.watched.pools.iter();
        let said = pools.map(|(name, pool)| (name, pool.rebalance_asked.as_deref()));
        for pool in self.requests.notice(now, said) {
            info!(%pool, "asked to rebalance");
        }
        self.watched
            .rebalance(addresses.keys(), |pool| self.requests.go_on(pool))
    }

    /// What is to be remembered. Nothing that the conclusions lead to need wait for it.
    pub(super) fn remember(&mut self) -> &Arc<Memory> {
        let Some(Cluster { nodes, addresses }) = self.cluster.clone() else {
            return &self.memory;
        };
        let names: BTreeMap<IfIndex, Arc<str>> = self
            .links
            .iter()
            .map(|(index, link)| (*index, link.name.as_str().into()))
            .collect();
        let claims = self.claims.epochs().filter_map(|(place, epoch)| {
            let name = Arc::clone(names.get(&place.interface)?);
            let held = self.output.claims.contains_key(&place);
            Some(((place.address, name), Last { epoch, held }))
        });
        let memory = Memory {
            incarnation: self.view.incarnation.0,
            nodes,
            addresses,
            claims: claims.collect(),
            macs: self.herald_macs.clone(),
            node_addresses: Arc::clone(&self.node_addresses),
        };
        if *self.memory != memory {
            self.memory = Arc::new(memory);
        }
        &self.memory
    }

    fn miss_own_node(&mut self) {
        let missing = self.watched.nodes.get(&self.me).is_none();
        if missing && !self.missed {
            warn!(node = %self.me, "there is no such node in the cluster, so it announces nothing: give --node-name as in `kubectl get nodes`");
        }
        self.missed = missing;
    }

    fn log(&self, event: &Event) {
        match event {
            Event::Gained {
                place,
                epoch,
                origin,
                contested,
            } => {
                let interface = self.interface(place.interface);
                info!(address = %place.address, interface, epoch, ?origin, "announcing");
                if let Some(mac) = contested {
                    warn!(reason = "AddressConflict", address = %place.address, interface, %mac,
                        "another host answered for it");
                }
            }
            Event::Yielded { place, to } => {
                info!(address = %place.address, interface = self.interface(place.interface), %to, "let go to a peer");
            }
            Event::Dropped {
                place,
                why: Loss::PeerUnheard { mac },
            } => {
                warn!(reason = "PeerUnheard", address = %place.address, interface = self.interface(place.interface), %mac,
                    "let go to a node that announces it too and whose heartbeats are not heard; is their UDP port blocked?");
            }
            Event::Dropped { place, why } => {
                info!(address = %place.address, interface = self.interface(place.interface), ?why, "let go");
            }
        }
    }
}

fn names(links: &Links) -> String {
    let names: Vec<_> = links.values().map(|link| link.name.as_str()).collect();
    names.join(",")
}

#[cfg(test)]
mod tests;
