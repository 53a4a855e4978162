//! The segment that the agents share: time, a network with delay and loss, and who holds whom for alive.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use herald_spi::Time;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// How long a datagram takes.
const DELAY: std::ops::RangeInclusive<Duration> =
    Duration::from_micros(50)..=Duration::from_millis(2);

/// One agent, without clock and sockets.
pub trait Agent {
    /// Takes a datagram.
    fn hear(&mut self, now: Time, datagram: &[u8], effects: &mut Vec<Effect>);
    /// Does what is due.
    fn wake(&mut self, now: Time, effects: &mut Vec<Effect>);
    /// When something is due next.
    fn wakes_at(&self) -> Option<Time>;
}

/// What an agent does. Agents are known by their place in the world.
pub enum Effect {
    /// Sends by multicast.
    Tell(Rc<[u8]>),
    /// Sends by unicast.
    TellOne(usize, Rc<[u8]>),
    /// Holds another agent for alive from now on.
    Sees(usize),
    /// Holds another agent for dead from now on.
    Buries(usize),
}

/// What an agent has to know to start.
pub struct Birth {
    pub now: Time,
    pub at: usize,
    /// How many agents there are.
    pub agents: usize,
    /// Counts the starts of all agents.
    pub life: u64,
    pub seed: u64,
}

/// Starts agents of one protocol.
pub type Start<'a> = dyn Fn(&Birth, &mut Vec<Effect>) -> Box<dyn Agent> + 'a;

/// Datagrams and bytes, of all agents.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub sent: u64,
    pub sent_bytes: u64,
    pub heard: u64,
    pub heard_bytes: u64,
}

/// What happened since the last [`World::reset`].
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub traffic: Traffic,
    /// From each death until no other agent held the dead for alive.
    pub noticed: Vec<Duration>,
    /// How often a living agent, held for alive by all, was then held for dead by at least one.
    pub false_deaths: u64,
    /// How often one agent held a living one for dead.
    pub false_views: u64,
    /// The lives of all agents, added up.
    pub lived: Duration,
}

pub struct World<'a> {
    start: &'a Start<'a>,
    now: Time,
    dice: StdRng,
    /// The share of datagrams that do not arrive.
    loss: f64,
    nodes: Vec<Node>,
    running: u32,
    lives: u64,
    events: BTreeMap<(Time, u64), Event>,
    next_event: u64,
    record: Record,
}

#[derive(Default)]
struct Node {
    agent: Option<Box<dyn Agent>>,
    /// The earliest wake among the events.
    armed: Option<Time>,
    sees: BTreeSet<usize>,
    /// How many running agents hold this one for alive.
    seen_by: u32,
    died: Option<Time>,
}

enum Event {
    Start(usize),
    Wake(usize),
    Arrive(usize, Rc<[u8]>),
}

impl<'a> World<'a> {
    /// Agents that all start within `span`.
    pub fn new(start: &'a Start<'a>, agents: u16, span: Duration, seed: u64) -> Self {
        let mut world = Self {
            start,
            now: Time::from_start(Duration::from_secs(1)),
            dice: StdRng::seed_from_u64(seed),
            loss: 0.0,
            nodes: Vec::new(),
            running: 0,
            lives: 0,
            events: BTreeMap::new(),
            next_event: 0,
            record: Record::default(),
        };
        world.nodes.resize_with(agents.into(), Node::default);
        for at in 0..world.nodes.len() {
            let moment = world.moment_within(span);
            world.plan(moment, Event::Start(at));
        }
        world
    }

    /// Starts anew to record, with such a loss.
    pub fn reset(&mut self, loss: f64) {
        self.loss = loss;
        self.record = Record::default();
    }

    pub fn record(&self) -> &Record {
        &self.record
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(event) = self.events.first_entry() {
            if event.key().0 > until {
                break;
            }
            let ((now, _), event) = event.remove_entry();
            self.pass(now);
            self.happen(event);
        }
        self.pass(until);
    }

    /// Runs until it holds, looked at every 10 ms; says whether it does after `within`.
    pub fn run_until(&mut self, within: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + within;
        while !holds(self) {
            if self.now >= until {
                return false;
            }
            self.run_for(Duration::from_millis(10));
        }
        true
    }

    /// Every agent runs and is held for alive by all others.
    pub fn is_whole(&self) -> bool {
        let all_run = self.running as usize == self.nodes.len();
        all_run && self.nodes.iter().all(|n| n.seen_by + 1 == self.running)
    }

    /// Kills that many agents, each at a moment of its own within `span`, which passes.
    pub fn kill_within(&mut self, victims: usize, span: Duration) {
        let until = self.now + span;
        let order = rand::seq::index::sample(&mut self.dice, self.nodes.len(), victims);
        let mut moments: Vec<_> = order
            .iter()
            .map(|at| (self.moment_within(span), at))
            .collect();
        moments.sort_unstable();
        for (moment, at) in moments {
            self.run_for(moment.since(self.now));
            self.kill(at);
        }
        self.run_for(until.since(self.now));
    }

    /// Starts all that are dead.
    pub fn revive(&mut self) {
        for at in 0..self.nodes.len() {
            if self.nodes[at].agent.is_none() {
                self.start(at);
            }
        }
    }

    fn moment_within(&mut self, span: Duration) -> Time {
        self.now + self.dice.random_range(Duration::ZERO..=span)
    }

    fn plan(&mut self, when: Time, event: Event) {
        self.next_event += 1;
        self.events.insert((when, self.next_event), event);
    }

    fn pass(&mut self, now: Time) {
        self.record.lived += now.since(self.now) * self.running;
        self.now = self.now.max(now);
    }

    fn kill(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.agent = None;
        node.armed = None;
        node.died = Some(self.now);
        self.running -= 1;
        for other in std::mem::take(&mut node.sees) {
            self.lose_sight_of(other);
        }
    }

    fn start(&mut self, at: usize) {
        self.lives += 1;
        let birth = Birth {
            now: self.now,
            at,
            agents: self.nodes.len(),
            life: self.lives,
            seed: self.dice.random(),
        };
        let mut effects = Vec::new();
        let node = &mut self.nodes[at];
        node.agent = Some((self.start)(&birth, &mut effects));
        node.died = None;
        self.running += 1;
        self.follow(at, effects);
    }

    fn happen(&mut self, event: Event) {
        let mut effects = Vec::new();
        let at = match event {
            Event::Start(at) => return self.start(at),
            Event::Wake(at) => {
                let node = &mut self.nodes[at];
                // Another wake took its place, or its agent is no more.
                if node.armed != Some(self.now) {
                    return;
                }
                node.armed = None;
                let Some(agent) = &mut node.agent else { return };
                if agent.wakes_at().is_some_and(|due| due <= self.now) {
                    agent.wake(self.now, &mut effects);
                }
                at
            }
            Event::Arrive(at, datagram) => {
                let Some(agent) = &mut self.nodes[at].agent else {
                    return;
                };
                self.record.traffic.heard += 1;
                self.record.traffic.heard_bytes += datagram.len() as u64;
                agent.hear(self.now, &datagram, &mut effects);
                at
            }
        };
        self.follow(at, effects);
    }

    /// Does what an agent wants done, and sees to it that it wakes in time.
    fn follow(&mut self, at: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Tell(datagram) => {
                    self.sent(&datagram);
                    for to in (0..self.nodes.len()).filter(|to| *to != at) {
                        self.fly(to, &datagram);
                    }
                }
                Effect::TellOne(to, datagram) => {
                    self.sent(&datagram);
                    self.fly(to, &datagram);
                }
                Effect::Sees(other) => {
                    if self.nodes[at].sees.insert(other) {
                        self.nodes[other].seen_by += 1;
                    }
                }
                Effect::Buries(other) => self.bury(at, other),
            }
        }
        let node = &mut self.nodes[at];
        let due = node.agent.as_ref().and_then(|agent| agent.wakes_at());
        if let Some(due) = due.map(|due| due.max(self.now))
            && node.armed.is_none_or(|armed| due < armed)
        {
            node.armed = Some(due);
            self.plan(due, Event::Wake(at));
        }
    }

    fn sent(&mut self, datagram: &[u8]) {
        self.record.traffic.sent += 1;
        self.record.traffic.sent_bytes += datagram.len() as u64;
    }

    fn fly(&mut self, to: usize, datagram: &Rc<[u8]>) {
        if !self.dice.random_bool(self.loss) {
            let arrives = self.now + self.dice.random_range(DELAY);
            self.plan(arrives, Event::Arrive(to, Rc::clone(datagram)));
        }
    }

    fn bury(&mut self, at: usize, other: usize) {
        if !self.nodes[at].sees.remove(&other) {
            return;
        }
        let buried = &self.nodes[other];
        if buried.died.is_none() {
            let all_saw_it = buried.seen_by + 1 == self.running;
            self.record.false_deaths += u64::from(all_saw_it);
            self.record.false_views += 1;
        }
        self.lose_sight_of(other);
    }

    /// One agent fewer holds it for alive.
    fn lose_sight_of(&mut self, other: usize) {
        let node = &mut self.nodes[other];
        node.seen_by -= 1;
        if let Some(died) = node.died.filter(|_| node.seen_by == 0) {
            self.record.noticed.push(self.now.since(died));
        }
    }
}
