//! One node of the simulation: the real machine of `placement`, a membership that counts heartbeats, and a wire that
//! is told who owns what.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use herald::placement::{
    AddressFacts, Claims, Config, Event, Facts, Input, NodeFacts, Output, Pace, Peer, PeerLink,
    Scope, Segment, epoch::Epoch, survey,
};
use herald_spi::{Duty, IfIndex, Link, Mac, NodeName, Place, Time};

pub(crate) const LAN: IfIndex = IfIndex(2);
/// A peer that was silent for so long is lost.
pub(crate) const DETECTION: u64 = 400;
/// And for so long, quiet.
const QUIET: u64 = 250;

/// What the API server says, as far as one node has heard.
#[derive(Clone, Default)]
pub(crate) struct View {
    pub(crate) nodes: BTreeMap<NodeName, NodeFacts>,
    pub(crate) addresses: BTreeMap<IpAddr, AddressFacts>,
    /// What may be rebalanced; [`Pace::Asked`] ends for each agent that has seen it come to rest.
    pub(crate) rebalance: Scope,
}

/// A heartbeat, whole.
#[derive(Clone)]
pub(crate) struct Heartbeat {
    pub(crate) from: usize,
    pub(crate) incarnation: u32,
    pub(crate) serial: u64,
    pub(crate) leaving: bool,
    pub(crate) claims: Arc<BTreeMap<IpAddr, Epoch>>,
}

struct Heard {
    at: u64,
    incarnation: u32,
    serial: u64,
}

pub(crate) struct Agent {
    pub(crate) name: NodeName,
    pub(crate) alive: bool,
    pub(crate) paused: bool,
    pub(crate) deaf: bool,
    /// Its watch of the API server hangs.
    pub(crate) stale: bool,
    pub(crate) next_heartbeat: u64,
    pub(crate) incarnation: u32,
    pub(crate) out: Output,
    pub(crate) dirty: bool,
    me: usize,
    names: Arc<Vec<NodeName>>,
    macs: Arc<BTreeSet<Mac>>,
    view: View,
    view_serial: u64,
    proxied_at: BTreeMap<IpAddr, u64>,
    segments: BTreeMap<IfIndex, Segment>,
    heard: BTreeMap<usize, Heard>,
    claims: Claims,
    published: Arc<BTreeMap<IpAddr, Epoch>>,
    asked: BTreeSet<u64>,
    announced: BTreeMap<Place, u32>,
}

/// What a step wants of the rest of the world.
#[derive(Default)]
pub(crate) struct Wishes {
    /// Its duties or claims changed.
    pub(crate) changed: bool,
    /// A heartbeat shall go out now.
    pub(crate) speak: bool,
    /// Questions to the wire.
    pub(crate) asks: Vec<(Place, u64)>,
    /// Places whose announcements start, with the round.
    pub(crate) announces: Vec<(Place, u32)>,
    pub(crate) events: Vec<Event>,
}

pub(crate) fn mac(node: usize) -> Mac {
    let [.., high, low] = u64::try_from(node).unwrap().to_be_bytes();
    Mac([2, 0, 0, 0, high, low])
}

fn time(now: u64) -> Time {
    Time::from_start(Duration::from_millis(now))
}

fn link(node: usize) -> Link {
    Link {
        index: LAN,
        name: "eth0".into(),
        mac: mac(node),
        up: true,
        addresses: vec!["10.0.0.1/16".parse().unwrap()],
    }
}

impl Agent {
    pub(crate) fn new(me: usize, names: Arc<Vec<NodeName>>, macs: Arc<BTreeSet<Mac>>) -> Self {
        let name = names[me].clone();
        Self {
            alive: false,
            paused: false,
            deaf: false,
            stale: false,
            next_heartbeat: 0,
            incarnation: 0,
            out: Output::default(),
            dirty: false,
            me,
            names,
            macs,
            view: View::default(),
            view_serial: 0,
            proxied_at: BTreeMap::new(),
            segments: BTreeMap::new(),
            heard: BTreeMap::new(),
            claims: Claims::new(name.clone(), Config::default()),
            published: Arc::default(),
            asked: BTreeSet::new(),
            announced: BTreeMap::new(),
            name,
        }
    }

    /// Starts the agent with nothing but what the API server says.
    pub(crate) fn start(&mut self, now: u64, view: &View) {
        self.alive = true;
        self.paused = false;
        self.incarnation += 1;
        self.out = Output::default();
        self.next_heartbeat = now;
        self.dirty = true;
        self.view = view.clone();
        self.forget_requests();
        self.proxied_at.clear();
        self.heard.clear();
        let segment = Segment {
            link: link(self.me),
            listening_since: time(now),
            peers: BTreeMap::new(),
        };
        self.segments = BTreeMap::from([(LAN, segment)]);
        self.claims = Claims::new(self.name.clone(), Config::default());
        self.published = Arc::default();
        self.asked.clear();
        self.announced.clear();
    }

    /// What was asked for is done, or was asked before the start: then it is no request.
    fn forget_requests(&mut self) {
        self.view.rebalance.retain(|_, pace| *pace == Pace::Slow);
    }

    pub(crate) fn stop(&mut self) {
        self.alive = false;
        self.out = Output::default();
    }

    /// On the network, so that frames reach it and its own leave.
    pub(crate) fn reachable(&self) -> bool {
        self.alive && !self.paused && self.link_up()
    }

    pub(crate) fn link_up(&self) -> bool {
        self.segments
            .get(&LAN)
            .is_some_and(|segment| segment.link.up)
    }

    pub(crate) fn set_link(&mut self, up: bool) {
        self.segment().link.up = up;
        self.dirty = true;
    }

    fn segment(&mut self) -> &mut Segment {
        self.segments.get_mut(&LAN).unwrap()
    }

    /// The watch delivers a newer view; addresses that were not there before are fresh.
    pub(crate) fn learn(&mut self, serial: u64, view: &View, proxy_synced_at: u64) {
        if serial < self.view_serial {
            return;
        }
        self.view_serial = serial;
        let mut addresses = view.addresses.clone();
        for (address, facts) in &mut addresses {
            match self.view.addresses.get(address) {
                Some(known) => (facts.fresh, facts.proxied) = (known.fresh, known.proxied),
                None => {
                    (facts.fresh, facts.proxied) = (true, false);
                    self.proxied_at.insert(*address, proxy_synced_at);
                }
            }
        }
        self.view = View {
            nodes: view.nodes.clone(),
            addresses,
            rebalance: view.rebalance.clone(),
        };
        self.dirty = true;
    }

    pub(crate) fn hear(&mut self, now: u64, heartbeat: &Heartbeat) {
        let from = heartbeat.from;
        if let Some(known) = self.heard.get(&from)
            && (known.incarnation, known.serial) > (heartbeat.incarnation, heartbeat.serial)
        {
            return;
        }
        let Heartbeat {
            incarnation,
            serial,
            ..
        } = *heartbeat;
        self.heard.insert(
            from,
            Heard {
                at: now,
                incarnation,
                serial,
            },
        );
        let name = self.names[from].clone();
        let peers = &mut self.segment().peers;
        let known = peers.get(&name).is_some_and(|peer| {
            peer.leaving == heartbeat.leaving
                && !peer.quiet
                && Arc::ptr_eq(&peer.claims, &heartbeat.claims)
        });
        if !known {
            let links = vec![PeerLink {
                name: "eth0".into(),
                subnets: link(from).subnets().collect(),
            }];
            let peer = Peer {
                links,
                macs: Arc::new([mac(from)].into()),
                leaving: heartbeat.leaving,
                quiet: false,
                impaired: false,
                claims: Arc::clone(&heartbeat.claims),
            };
            peers.insert(name, peer);
            self.dirty = true;
        }
    }

    pub(crate) fn answer(&mut self, now: u64, place: Place, question: u64, by: BTreeSet<Mac>) {
        self.claims.handle(
            time(now),
            Input::Answered {
                place,
                question,
                by,
            },
        );
        self.dirty = true;
    }

    /// A frame says that another node has the address; where nothing is owned nobody looks.
    pub(crate) fn see(&mut self, now: u64, place: Place, by: Mac) {
        if self.announced.contains_key(&place) {
            self.claims.handle(time(now), Input::Rivalled { place, by });
            self.dirty = true;
        }
    }

    /// Whether the announcements of a round go on.
    pub(crate) fn announces(&self, place: Place, round: u32) -> bool {
        self.reachable() && self.announced.get(&place) == Some(&round)
    }

    /// Wakes up after a pause; whether it still believes in the peers it heard before.
    pub(crate) fn wake(&mut self, now: u64, peers_are_lost: bool) {
        self.paused = false;
        self.dirty = true;
        self.next_heartbeat = now;
        self.claims.handle(time(now), Input::Paused);
        if peers_are_lost {
            self.heard.clear();
            self.segment().peers.clear();
        } else {
            self.heard.values_mut().for_each(|heard| heard.at = now);
        }
    }

    pub(crate) fn leave(&mut self, now: u64) {
        self.claims.handle(time(now), Input::Leave);
        self.dirty = true;
    }

    pub(crate) fn heartbeat(&self, serial: u64) -> Heartbeat {
        Heartbeat {
            from: self.me,
            incarnation: self.incarnation,
            serial,
            leaving: self.out.leaving,
            claims: Arc::clone(&self.published),
        }
    }

    /// Notices what only time tells, and steps if there is any reason to.
    pub(crate) fn tick(&mut self, now: u64) -> Option<Wishes> {
        let lost: Vec<_> = self
            .heard
            .iter()
            .filter(|(_, heard)| heard.at + DETECTION <= now)
            .map(|(from, _)| *from)
            .collect();
        for from in lost {
            self.heard.remove(&from);
            let name = self.names[from].clone();
            self.segment().peers.remove(&name);
            self.dirty = true;
        }
        self.notice_the_quiet(now);
        let view = &mut self.view;
        let dirty = &mut self.dirty;
        self.proxied_at.retain(|address, at| {
            if *at > now {
                return true;
            }
            if let Some(facts) = view.addresses.get_mut(address) {
                facts.proxied = true;
                *dirty = true;
            }
            false
        });
        let due = self
            .claims
            .next_deadline()
            .is_some_and(|deadline| deadline <= time(now));
        (self.dirty || due).then(|| self.step(now))
    }

    fn notice_the_quiet(&mut self, now: u64) {
        for (from, _) in self
            .heard
            .iter()
            .filter(|(_, heard)| heard.at + QUIET <= now)
        {
            let segment = self.segments.get_mut(&LAN).unwrap();
            if let Some(peer) = segment
                .peers
                .get_mut(&self.names[*from])
                .filter(|peer| !peer.quiet)
            {
                peer.quiet = true;
                self.dirty = true;
            }
        }
    }

    fn step(&mut self, now: u64) -> Wishes {
        self.dirty = false;
        let scene = survey(&Facts {
            me: &self.name,
            nodes: &self.view.nodes,
            addresses: &self.view.addresses,
            segments: &self.segments,
            claimed: self.claims.claimed(),
            impaired: false,
            herald_macs: &self.macs,
            rebalance: &self.view.rebalance,
        });
        let before = std::mem::take(&mut self.out);
        self.claims.step(time(now), &scene, &mut self.out);
        if self.out.rebalanced {
            self.forget_requests();
            self.dirty = true;
        }
        let claims_changed = before.claims != self.out.claims;
        if claims_changed {
            let claims = self
                .out
                .claims
                .iter()
                .map(|(place, epoch)| (place.address, *epoch));
            self.published = Arc::new(claims.collect());
            self.dirty = true;
        }
        let mut wishes = Wishes {
            changed: claims_changed,
            speak: claims_changed || before.leaving != self.out.leaving,
            events: std::mem::take(&mut self.out.events),
            ..Wishes::default()
        };
        let before = std::mem::take(&mut self.announced);
        for (place, duty) in &self.out.duties {
            match duty {
                Duty::Ask(question) => {
                    if self.asked.insert(question.id) {
                        wishes.asks.push((*place, question.id));
                    }
                }
                Duty::Own { round, .. } => {
                    self.announced.insert(*place, *round);
                    if before.get(place) != Some(round) {
                        wishes.announces.push((*place, *round));
                    }
                }
            }
        }
        wishes
    }
}
