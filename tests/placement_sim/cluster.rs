//! The simulated cluster: agents, the API server that they watch, the segment between them, and virtual time.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald::placement::{AddressFacts, Event, NodeFacts, Policy, Rule, ServiceFacts};
use herald_spi::{Mac, NodeName, Place, ServiceKey};

use crate::{
    agent::{Agent, Heartbeat, View, mac},
    dice::Dice,
    watch::Watch,
};

/// How often a healthy agent speaks.
const HEARTBEAT: u64 = 100;
/// When announcements leave after a gain.
const ANNOUNCEMENTS: [u64; 4] = [1, 1_000, 2_000, 4_000];
/// The two times at which a question goes to the wire, and when its answer is due.
const PROBES: [u64; 2] = [0, 20];
const ANSWER: u64 = 60;

#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) nodes: usize,
    pub(crate) addresses: usize,
    /// Of each hundred heartbeats so many are lost, for each hearer separately.
    pub(crate) loss: u64,
    /// Agents start within so many milliseconds.
    pub(crate) skew: u64,
    /// The step of virtual time: what an agent coalesces.
    pub(crate) tick: u64,
}

enum Mail {
    Heartbeat {
        group: u8,
        third: u64,
        heartbeat: Heartbeat,
    },
    Speak {
        node: usize,
    },
    Probe {
        node: usize,
        incarnation: u32,
        place: Place,
        question: u64,
    },
    Answer {
        node: usize,
        incarnation: u32,
        place: Place,
        question: u64,
    },
    View {
        node: usize,
        serial: u64,
        view: Arc<View>,
    },
    Start {
        node: usize,
    },
    Announcement {
        node: usize,
        place: Place,
        round: u32,
    },
}

/// One gain of an address, as its agent told it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) at: u64,
    pub(crate) node: usize,
    pub(crate) event: Event,
}

pub(crate) struct Cluster {
    pub(crate) now: u64,
    pub(crate) dice: Dice,
    pub(crate) agents: Vec<Agent>,
    pub(crate) api: View,
    pub(crate) watch: Watch,
    pub(crate) told: Vec<Told>,
    /// Which side of a partition a node is on.
    pub(crate) side: Vec<u8>,
    /// The same for heartbeats alone, as behind a wrong firewall.
    pub(crate) ears: Vec<u8>,
    /// Addresses that a host which is no Herald node answers for.
    pub(crate) strangers: BTreeSet<IpAddr>,
    options: Options,
    seed: u64,
    mail: BTreeMap<(u64, u64), Mail>,
    serial: u64,
    answers: BTreeMap<(usize, u64), BTreeSet<Mac>>,
}

pub(crate) fn address(n: usize) -> IpAddr {
    let [.., high, low] = u64::try_from(n).unwrap().to_be_bytes();
    IpAddr::from([10, 0, 100 + high, low])
}

fn facts(n: usize, rules: &Arc<[Rule]>, policy: Policy) -> AddressFacts {
    let service = ServiceFacts {
        key: ServiceKey::new("sim", n.to_string()),
        created: 0,
        policy,
    };
    AddressFacts {
        rules: Arc::clone(rules),
        ignore_exclude_label: false,
        services: vec![service],
        fresh: false,
        proxied: true,
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "at {} ms; replay with HERALD_SIM_SEED={}",
                self.now, self.seed
            );
        }
    }
}

impl Cluster {
    /// Nobody has started yet; all will within the skew.
    pub(crate) fn new(seed: u64, options: Options) -> Self {
        let names: Arc<Vec<_>> = Arc::new(
            (0..options.nodes)
                .map(|n| NodeName::new(format!("node-{n}")))
                .collect(),
        );
        let macs = Arc::new((0..options.nodes).map(mac).collect());
        let rules: Arc<[Rule]> = vec![Rule::default()].into();
        let addresses =
            (0..options.addresses).map(|n| (address(n), facts(n, &rules, Policy::Cluster)));
        let mut cluster = Self {
            now: 0,
            dice: Dice::new(seed),
            agents: (0..options.nodes)
                .map(|n| Agent::new(n, Arc::clone(&names), Arc::clone(&macs)))
                .collect(),
            api: View {
                nodes: names
                    .iter()
                    .map(|name| (name.clone(), NodeFacts::default()))
                    .collect(),
                addresses: addresses.collect(),
                rebalance: BTreeMap::new(),
            },
            watch: Watch::default(),
            told: Vec::new(),
            side: vec![0; options.nodes],
            ears: vec![0; options.nodes],
            strangers: BTreeSet::new(),
            options,
            seed,
            mail: BTreeMap::new(),
            serial: 0,
            answers: BTreeMap::new(),
        };
        for node in 0..options.nodes {
            let at = cluster.dice.below(options.skew);
            cluster.post(at, Mail::Start { node });
        }
        cluster
    }

    /// A cluster that has settled, with each address owned.
    pub(crate) fn settled(seed: u64, options: Options) -> Self {
        let mut cluster = Self::new(seed, options);
        cluster.run(options.skew + 1_500);
        cluster.watch.strict = true;
        cluster.told.clear();
        cluster.expect_owned();
        cluster
    }

    fn post(&mut self, at: u64, mail: Mail) {
        self.serial += 1;
        self.mail.insert((at, self.serial), mail);
    }

    /// Lets so much time pass.
    pub(crate) fn run(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while self.now < end {
            self.now += self.options.tick;
            while let Some(entry) = self
                .mail
                .first_entry()
                .filter(|entry| entry.key().0 <= self.now)
            {
                let mail = entry.remove();
                self.deliver(mail);
            }
            for node in 0..self.agents.len() {
                self.tick(node);
            }
            self.watch
                .look(self.now, &self.api, &self.agents, &self.side);
        }
    }

    fn tick(&mut self, node: usize) {
        let agent = &mut self.agents[node];
        if !agent.alive || agent.paused {
            return;
        }
        if let Some(wishes) = agent.tick(self.now) {
            self.watch.changed |= wishes.changed;
            let incarnation = agent.incarnation;
            self.told
                .extend(wishes.events.into_iter().map(|event| Told {
                    at: self.now,
                    node,
                    event,
                }));
            for (place, question) in wishes.asks {
                for after in PROBES {
                    let probe = Mail::Probe {
                        node,
                        incarnation,
                        place,
                        question,
                    };
                    self.post(self.now + after, probe);
                }
                self.post(
                    self.now + ANSWER,
                    Mail::Answer {
                        node,
                        incarnation,
                        place,
                        question,
                    },
                );
            }
            for (place, round) in wishes.announces {
                for after in ANNOUNCEMENTS {
                    self.post(self.now + after, Mail::Announcement { node, place, round });
                }
            }
            if wishes.speak {
                // A change is said twice, so that one lost frame costs little.
                self.speak(node);
                self.post(self.now + 20, Mail::Speak { node });
            }
        }
        let agent = &mut self.agents[node];
        if agent.next_heartbeat <= self.now {
            agent.next_heartbeat = self.now + HEARTBEAT - self.dice.below(10);
            self.speak(node);
        }
    }

    fn speak(&mut self, node: usize) {
        let agent = &self.agents[node];
        if !agent.reachable() {
            return;
        }
        self.serial += 1;
        let heartbeat = agent.heartbeat(self.serial);
        let group = self.ears[node];
        // Three delays, each for a third of the hearers.
        for third in 0..3 {
            let at = self.now + 1 + self.dice.below(8);
            self.post(
                at,
                Mail::Heartbeat {
                    group,
                    third,
                    heartbeat: heartbeat.clone(),
                },
            );
        }
    }

    fn deliver(&mut self, mail: Mail) {
        match mail {
            Mail::Heartbeat {
                group,
                third,
                heartbeat,
            } => {
                for (node, agent) in self.agents.iter_mut().enumerate() {
                    let mine = (node as u64).wrapping_add(heartbeat.serial) % 3 == third;
                    if mine
                        && node != heartbeat.from
                        && self.ears[node] == group
                        && agent.reachable()
                        && !agent.deaf
                        && !self.dice.percent(self.options.loss)
                    {
                        agent.hear(self.now, &heartbeat);
                    }
                }
            }
            Mail::Speak { node } => self.speak(node),
            Mail::Probe {
                node,
                incarnation,
                place,
                question,
            } => {
                if self.agents[node].incarnation == incarnation {
                    let by = self.who_has(node, place.address);
                    self.answers.entry((node, question)).or_default().extend(by);
                }
            }
            Mail::Answer {
                node,
                incarnation,
                place,
                question,
            } => {
                let by = self.answers.remove(&(node, question)).unwrap_or_default();
                let agent = &mut self.agents[node];
                if agent.incarnation == incarnation
                    && agent.alive
                    && !agent.paused
                    && agent.link_up()
                {
                    agent.answer(self.now, place, question, by);
                }
            }
            Mail::View { node, serial, view } => {
                let synced_at = self.now + self.dice.below(1_000);
                let agent = &mut self.agents[node];
                if agent.alive && !agent.stale {
                    agent.learn(serial, &view, synced_at);
                }
            }
            Mail::Start { node } => self.start(node),
            Mail::Announcement { node, place, round } => {
                if !self.agents[node].announces(place, round) {
                    return;
                }
                for other in 0..self.agents.len() {
                    let agent = &mut self.agents[other];
                    if other != node
                        && self.side[other] == self.side[node]
                        && agent.reachable()
                        && !agent.deaf
                    {
                        agent.see(self.now, place, mac(node));
                    }
                }
            }
        }
    }

    /// Who answers `asker` on the wire now.
    fn who_has(&self, asker: usize, address: IpAddr) -> BTreeSet<Mac> {
        if self.agents[asker].deaf || !self.agents[asker].reachable() {
            return BTreeSet::new();
        }
        let owners = self.agents.iter().enumerate().filter(|(node, agent)| {
            let owns = agent
                .out
                .claims
                .keys()
                .any(|place| place.address == address);
            *node != asker && self.side[*node] == self.side[asker] && agent.reachable() && owns
        });
        let stranger = self
            .strangers
            .contains(&address)
            .then_some(Mac([2, 0xbb, 0, 0, 0, 1]));
        owners.map(|(node, _)| mac(node)).chain(stranger).collect()
    }

    pub(crate) fn start(&mut self, node: usize) {
        self.agents[node].start(self.now, &self.api);
        self.watch.changed = true;
    }

    pub(crate) fn crash(&mut self, node: usize) {
        self.agents[node].stop();
        self.watch.changed = true;
    }

    pub(crate) fn pause(&mut self, node: usize) {
        self.agents[node].paused = true;
        self.watch.changed = true;
    }

    pub(crate) fn wake(&mut self, node: usize) {
        let lost = self.dice.percent(50);
        self.agents[node].wake(self.now, lost);
        self.watch.changed = true;
    }

    pub(crate) fn set_link(&mut self, node: usize, up: bool) {
        self.agents[node].set_link(up);
        self.watch.changed = true;
    }

    /// From now on only nodes on one side hear each other.
    pub(crate) fn partition(&mut self, side: impl Fn(usize) -> u8) {
        self.side = (0..self.agents.len()).map(side).collect();
        self.ears.clone_from(&self.side);
        self.watch.healed(self.now);
    }

    /// Changes what the API server says; each watch hears of it within 100 ms.
    pub(crate) fn apply(&mut self, change: impl FnOnce(&mut View)) {
        change(&mut self.api);
        let view = Arc::new(self.api.clone());
        let serial = self.serial;
        for node in 0..self.agents.len() {
            let at = self.now + self.dice.below(100);
            self.post(
                at,
                Mail::View {
                    node,
                    serial,
                    view: Arc::clone(&view),
                },
            );
        }
        self.watch.changed = true;
    }

    /// The nodes as the API server knows them, to be changed by [`Self::apply`].
    pub(crate) fn name(&self, node: usize) -> NodeName {
        self.agents[node].name.clone()
    }
}
