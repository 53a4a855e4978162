//! Many machines on simulated segments in virtual time: loss, delay, partitions, pauses, restarts. Seeded.
//!
//! Run one seed with `HERALD_SEED=7 cargo test membership::simulation`; each failure names its seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use herald_spi::{IfIndex, Link, Links, Mac, NodeName, Place, Time};

use super::{
    Claims, Config, Incarnation, Input, Keys, Membership, NodeAddresses, Notice, Output, OwnClaims,
    Peer, View, dice::Dice,
};

mod claims;
mod faults;
mod figures;
mod liveness;
mod paths;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// What a sleeping process's socket buffers.
const BUFFER: usize = 180;
/// The one interface of an agent that has one.
const ETH0: IfIndex = IfIndex(2);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("HERALD_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=count).collect(),
    }
}

fn keys(text: &str) -> Keys {
    Keys::parse(text).unwrap()
}

/// One agent and its node.
struct Agent {
    name: NodeName,
    /// The node runs the agent.
    core: Option<Membership>,
    lives: u64,
    links: Links,
    /// Which segment each interface is plugged into.
    plugged: BTreeMap<IfIndex, u32>,
    claims: Claims,
    view: Arc<View>,
    views: u64,
    notices: Vec<(Time, Notice)>,
    asleep_until: Option<Time>,
    /// By interface, or by the second path.
    inbox: Vec<(Option<IfIndex>, Vec<u8>)>,
    sent: u64,
    sent_bytes: u64,
    sent_routed: u64,
}

/// Bytes on the way to an agent, on an interface or by the second path.
type Flight = (usize, Option<IfIndex>, Vec<u8>);

struct World {
    seed: u64,
    now: Time,
    config: Config,
    dice: Dice,
    /// Of 1,000 datagrams so many are lost on the way to each hearer.
    loss: u64,
    delay: (Duration, Duration),
    /// Who wakes looks at the clock before it reads what has arrived.
    clock_first: bool,
    agents: Vec<Agent>,
    /// Agents in different groups do not hear each other.
    groups: BTreeMap<usize, u32>,
    /// Of 1,000 datagrams of the second path so many are lost; nobody has one unless it is introduced.
    routed_loss: u64,
    flying: BTreeMap<(Time, u64), Flight>,
    next_flight: u64,
    /// Everything ever said, if someone records it.
    recording: Option<Vec<Vec<u8>>>,
}

impl World {
    /// `count` agents on one segment, started at once.
    fn new(seed: u64, count: usize) -> Self {
        Self::with(seed, count, Config::default())
    }

    /// The same with other times.
    fn with(seed: u64, count: usize, config: Config) -> Self {
        let mut world = Self {
            seed,
            now: Time::from_start(ms(1_000)),
            config,
            dice: Dice::new(seed ^ 0x5EED),
            loss: 0,
            delay: (Duration::from_micros(50), ms(2)),
            clock_first: false,
            agents: Vec::new(),
            groups: BTreeMap::new(),
            routed_loss: 0,
            flying: BTreeMap::new(),
            next_flight: 0,
            recording: None,
        };
        for at in 0..count {
            world.add(&format!("node-{at}"), &[(ETH0, 0)]);
            world.start(at);
        }
        world
    }

    fn add(&mut self, name: &str, plugged: &[(IfIndex, u32)]) -> usize {
        let at = self.agents.len();
        let links = plugged
            .iter()
            .map(|(interface, _)| (*interface, link(at, *interface)));
        let name = NodeName::from(name);
        self.agents.push(Agent {
            view: Arc::new(View::empty(name.clone(), Incarnation(0))),
            name,
            core: None,
            lives: 0,
            links: links.collect(),
            plugged: plugged.iter().copied().collect(),
            claims: Claims::new(),
            views: 0,
            notices: Vec::new(),
            asleep_until: None,
            inbox: Vec::new(),
            sent: 0,
            sent_bytes: 0,
            sent_routed: 0,
        });
        at
    }

    /// Starts the agent in a later incarnation than before.
    fn start(&mut self, at: usize) {
        let incarnation = self.agents[at].lives + 1_000;
        self.start_as(at, Incarnation(incarnation));
    }

    fn start_as(&mut self, at: usize, incarnation: Incarnation) {
        let seed = self.dice.next();
        let agent = &mut self.agents[at];
        agent.lives += 1;
        let core = Membership::new(
            self.config,
            agent.name.clone(),
            incarnation,
            keys(KEY),
            seed,
        );
        agent.core = Some(core);
        self.relink(at);
        let claims = self.agents[at].claims.clone();
        self.claim(at, claims);
    }

    fn kill(&mut self, at: usize) {
        self.agents[at].core = None;
        self.agents[at].inbox.clear();
    }

    fn relink(&mut self, at: usize) {
        let links = self.agents[at].links.clone();
        let open = links.keys().copied().collect();
        self.feed(
            at,
            Input::Links {
                links: Arc::new(links),
                open,
            },
        );
    }

    fn claim(&mut self, at: usize, claims: Claims) {
        let on = |address| Place {
            address,
            interface: ETH0,
        };
        let own: OwnClaims = claims
            .iter()
            .map(|(address, epoch)| (on(*address), *epoch))
            .collect();
        self.agents[at].claims = claims;
        self.feed(at, Input::Claims(Arc::new(own)));
    }

    /// The process does not run for so long, while its socket buffers.
    fn sleep(&mut self, at: usize, for_: Duration) {
        self.agents[at].asleep_until = Some(self.now + for_);
    }

    fn feed(&mut self, at: usize, input: Input) {
        let agent = &mut self.agents[at];
        let Some(core) = &mut agent.core else { return };
        let mut outputs = Vec::new();
        let tick = matches!(input, Input::Tick);
        core.handle(self.now, input, &mut outputs);
        assert!(
            !tick || core.next_deadline() > Some(self.now),
            "seed {}: it spins",
            self.seed
        );
        for output in outputs {
            match output {
                Output::Send { interface, bytes } => self.fly(at, interface, bytes),
                Output::SendRouted { to, bytes } => self.route(at, &to, &bytes),
                Output::View(view) => {
                    self.agents[at].view = view;
                    self.agents[at].views += 1;
                }
                Output::Notice(notice) => self.agents[at].notices.push((self.now, notice)),
            }
        }
    }

    fn fly(&mut self, from: usize, interface: IfIndex, bytes: Vec<u8>) {
        assert!(
            bytes.len() <= 1_200,
            "seed {}: {} bytes",
            self.seed,
            bytes.len()
        );
        self.agents[from].sent += 1;
        self.agents[from].sent_bytes += bytes.len() as u64;
        if let Some(recording) = &mut self.recording {
            recording.push(bytes.clone());
        }
        let segment = self.agents[from].plugged[&interface];
        let group = |at: usize| self.groups.get(&at).copied().unwrap_or(0);
        let mut hearers = Vec::new();
        for (to, agent) in self
            .agents
            .iter()
            .enumerate()
            .filter(|(to, _)| group(*to) == group(from))
        {
            for (on, _) in agent.plugged.iter().filter(|(_, plug)| **plug == segment) {
                if (to, *on) != (from, interface) && agent.links.get(on).is_some_and(|link| link.up)
                {
                    hearers.push((to, *on));
                }
            }
        }
        for (to, on) in hearers {
            if self.dice.next() % 1_000 >= self.loss {
                let arrives = self.now + self.dice.between(self.delay.0, self.delay.1);
                self.deliver_at(arrives, to, on, bytes.clone());
            }
        }
    }

    /// Gives everybody a second path.
    fn introduce(&mut self) {
        let nodes: NodeAddresses = (0..self.agents.len())
            .map(|at| (self.agents[at].name.clone(), node_address(at)))
            .collect();
        let nodes = Arc::new(nodes);
        for at in 0..self.agents.len() {
            self.feed(at, Input::Nodes(Arc::clone(&nodes)));
        }
    }

    fn route(&mut self, from: usize, to: &[IpAddr], bytes: &[u8]) {
        assert!(bytes.len() <= 1_200, "seed {}", self.seed);
        self.agents[from].sent_routed += to.len() as u64;
        if let Some(recording) = &mut self.recording {
            recording.push(bytes.to_vec());
        }
        for to in (0..self.agents.len()).filter(|at| to.contains(&node_address(*at))) {
            if self.dice.next() % 1_000 >= self.routed_loss {
                let arrives = self.now + self.dice.between(self.delay.0, self.delay.1);
                self.fly_to(arrives, to, None, bytes.to_vec());
            }
        }
    }

    fn deliver_at(&mut self, arrives: Time, to: usize, on: IfIndex, bytes: Vec<u8>) {
        self.fly_to(arrives, to, Some(on), bytes);
    }

    fn fly_to(&mut self, arrives: Time, to: usize, on: Option<IfIndex>, bytes: Vec<u8>) {
        self.next_flight += 1;
        self.flying
            .insert((arrives, self.next_flight), (to, on, bytes));
    }

    fn hear(&mut self, at: usize, interface: Option<IfIndex>, bytes: Vec<u8>) {
        let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 9471));
        let input = match interface {
            Some(interface) => Input::Datagram {
                interface,
                source,
                bytes,
            },
            None => Input::Routed { source, bytes },
        };
        self.feed(at, input);
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let wakes = self.agents.iter().enumerate().filter_map(|(at, agent)| {
                let due = agent.core.as_ref()?.next_deadline()?;
                Some((agent.asleep_until.map_or(due, |asleep| asleep.max(due)), at))
            });
            let wake = wakes.min();
            let arrival = self
                .flying
                .first_key_value()
                .map(|((arrives, _), _)| *arrives);
            let (at, next) = match (wake, arrival) {
                (Some((wakes, at)), None) => (Some(at), wakes),
                (Some((wakes, at)), Some(arrives)) if wakes < arrives => (Some(at), wakes),
                (_, Some(arrives)) => (None, arrives),
                (None, None) => (None, until),
            };
            if next >= until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            if let Some(at) = at {
                self.agents[at].asleep_until = None;
                if self.clock_first {
                    self.feed(at, Input::Tick);
                }
                for (interface, bytes) in std::mem::take(&mut self.agents[at].inbox) {
                    self.hear(at, interface, bytes);
                }
                self.feed(at, Input::Tick);
            } else if let Some((_, (to, on, bytes))) = self.flying.pop_first() {
                let agent = &mut self.agents[to];
                if agent.asleep_until.is_none_or(|asleep| asleep <= self.now) {
                    self.hear(to, on, bytes);
                } else if agent.inbox.len() < BUFFER {
                    agent.inbox.push((on, bytes));
                }
            }
        }
    }

    /// Runs until the views fulfil the condition; fails after `within`.
    fn run_until(
        &mut self,
        within: Duration,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) -> Duration {
        let (from, mut shown) = (self.now, None);
        loop {
            let views: u64 = self.agents.iter().map(|agent| agent.views).sum();
            if shown.replace(views) != Some(views) && holds(self) {
                return self.now.since(from);
            }
            assert!(
                self.now.since(from) < within,
                "seed {}: not within {within:?}: {what}",
                self.seed
            );
            self.run_for(ms(1));
        }
    }

    /// Every running agent sees exactly the other running agents, with exactly their claims.
    fn agrees(&self) -> bool {
        let running = || self.agents.iter().filter(|agent| agent.core.is_some());
        let all = |right: &dyn Fn(&Peer, &Agent) -> bool| {
            running().all(|agent| {
                let peers = &agent.view.segments[&ETH0].peers;
                let mut others = running().filter(|other| other.name != agent.name);
                peers.len() + 1 == running().count()
                    && others.all(|other| peers.get(&other.name).is_some_and(|p| right(p, other)))
            })
        };
        // The quick question first.
        all(&|peer, other| peer.synced && peer.claims.len() == other.claims.len())
            && all(&|peer, other| *peer.claims == other.claims)
    }

    fn deaths(&self) -> Vec<&Notice> {
        let notices = self.agents.iter().flat_map(|agent| &agent.notices);
        notices
            .map(|(_, n)| n)
            .filter(|n| matches!(n, Notice::Died { .. }))
            .collect()
    }

    fn sees(&self, at: usize, other: usize) -> bool {
        let segment = self.agents[at].view.segments.get(&ETH0);
        segment.is_some_and(|segment| segment.peers.contains_key(&self.agents[other].name))
    }
}

/// A node's InternalIP.
fn node_address(node: usize) -> IpAddr {
    let [high, low] = u16::try_from(node).unwrap().to_be_bytes();
    IpAddr::from([10, 9, high, low])
}

fn link(node: usize, interface: IfIndex) -> Link {
    let [high, low] = u16::try_from(node).unwrap().to_be_bytes();
    let octet = u8::try_from(interface.0).unwrap();
    Link {
        index: interface,
        name: format!("eth{}", interface.0 - 2),
        mac: Mac([2, 0, 0, high, octet, low]),
        up: true,
        addresses: vec![format!("192.168.{}.{}/16", 77 + high, low).parse().unwrap()],
    }
}

/// `count` addresses from the `from`th on, half of them IPv6.
fn addresses(from: u32, count: u32, epoch: u64) -> Claims {
    let address = |n: u32| match n % 2 {
        0 => IpAddr::from((0x0A00_0000 + n).to_be_bytes()),
        _ => IpAddr::from((0xFD77_u128 << 112 | u128::from(n)).to_be_bytes()),
    };
    (from..from + count).map(|n| (address(n), epoch)).collect()
}
