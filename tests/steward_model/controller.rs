//! A controller: the real steward and the real errands, with hands that make one call at a time. What `run.rs` and
//! `execute.rs` do around them is done here in the same order, without tasks, so that anything may happen in between.

use std::collections::BTreeSet;

use herald::{
    api::NodePortPolicy,
    cluster::Classes,
    controller::{Call, Errand, Input, Plan, Steward},
};
use herald_spi::ServiceKey;

use crate::{queue::Queue, sabotage::Sabotage, server::Server, watching::Kind};

/// How all controllers of a run are told to run.
#[derive(Clone, Copy)]
pub struct Options {
    pub classes: Classes,
    pub node_ports: NodePortPolicy,
    pub sabotage: Sabotage,
}

/// See the module.
pub struct Controller {
    pub id: usize,
    pub steward: Steward,
    pub queue: Queue,
    pub hands: Vec<Hand>,
    /// Where each watch is in the log of its kind; `None` before its first list.
    watches: [Option<usize>; 7],
    /// Whether it believes that it leads.
    leads: bool,
    /// Leading, and everything has been read and adopted.
    active: bool,
    /// The step at which a paused process goes on.
    pub frozen_until: usize,
    /// How far its clock is ahead of the server's.
    pub skew: i64,
    sabotage: Sabotage,
}

/// An errand on its way.
pub struct Hand {
    errand: Errand,
    /// It had passed the check of the lease when the lease was lost: it may make one call more.
    late: bool,
    /// How it ended, until the loop hears of it.
    ended: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Well,
    Failed,
}

/// What becomes of a call on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// The server did it, and the answer never came.
    ReplyLost,
    /// It never came to the server.
    RequestLost,
}

/// Errands under way at the same time; the real one has more.
const HANDS: usize = 4;

impl Controller {
    pub fn new(id: usize, options: Options) -> Self {
        Self {
            id,
            steward: Steward::new(options.classes).with_node_ports(options.node_ports),
            queue: Queue::default(),
            hands: Vec::new(),
            watches: [None; 7],
            leads: false,
            active: false,
            frozen_until: 0,
            skew: 0,
            sabotage: options.sabotage,
        }
    }

    pub fn is_active(&self) -> bool {
        self.active
    }

    /// The kinds whose watch has something to say.
    pub fn unheard(&self, server: &Server) -> Vec<Kind> {
        let mut kinds = Kind::ALL.to_vec();
        kinds.retain(|kind| match self.watches[*kind as usize] {
            Some(at) => at < server.head(*kind),
            None => *kind != Kind::Slices || self.steward.needs_endpoints(),
        });
        kinds
    }

    /// The watch of a kind tells up to so many events, or its first list.
    pub fn hear(&mut self, server: &Server, kind: Kind, most: usize) -> usize {
        let Some(at) = self.watches[kind as usize] else {
            self.relist(server, kind, server.head(kind));
            return 0;
        };
        let until = server.head(kind).min(at + most);
        for at in at..until {
            self.take(server.event(kind, at));
        }
        self.watches[kind as usize] = Some(until);
        until - at
    }

    /// The watch begins anew with a list as of that position.
    pub fn relist(&mut self, server: &Server, kind: Kind, at: usize) {
        self.take(server.list(kind, at));
        self.watches[kind as usize] = Some(at);
    }

    pub fn position(&self, kind: Kind) -> Option<usize> {
        self.watches[kind as usize]
    }

    /// Every log begins anew.
    pub fn rewind(&mut self) {
        for at in self.watches.iter_mut().flatten() {
            *at = 0;
        }
    }

    fn take(&mut self, input: Input) {
        let deaf = self.sabotage == Sabotage::DeafToLocks;
        if deaf && self.active && matches!(input, Input::Allocations(_)) {
            return;
        }
        let look = self.steward.take(input);
        self.look_at(look);
    }

    pub fn clock(&self, server: &Server) -> i64 {
        server.now + self.skew
    }

    /// What each turn of the loop begins with.
    pub fn turn(&mut self, server: &mut Server) {
        let clock = self.clock(server);
        server.past.latest = server.past.latest.max(clock);
        let look = self.steward.tick(clock);
        self.look_at(look);
        let holds = server.lease == Some(self.id);
        if !self.active && holds && self.leads && self.steward.synced() {
            server.successor();
            let look = self.steward.begin();
            self.active = true;
            self.look_at(look);
        }
    }

    /// It learns whether it leads. Says whether that is news.
    pub fn learn(&mut self, server: &Server) -> bool {
        let leads = server.lease == Some(self.id);
        if leads == self.leads {
            return false;
        }
        self.leads = leads;
        if !leads {
            self.active = false;
            self.steward.rest();
            self.queue.clear();
        }
        true
    }

    /// The lease is gone, whether it knows or not.
    pub fn lose_lease(&mut self) {
        for hand in &mut self.hands {
            hand.late = true;
        }
    }

    pub fn look_at(&mut self, services: BTreeSet<ServiceKey>) {
        if self.active {
            for key in services {
                self.queue.push(self.steward.seniority(&key), key);
            }
        }
    }

    /// Takes the next Service up. Says which, and whether there is anything to do for it.
    pub fn work(&mut self, server: &mut Server) -> Option<(ServiceKey, Option<String>)> {
        self.turn(server);
        if !self.active || self.hands.len() >= HANDS {
            return None;
        }
        let key = self.queue.pop()?;
        let plan = self.steward.plan(&key);
        let mut roused = self.steward.roused();
        let plan = self.sabotage.spoil(plan, &mut roused);
        self.look_at(roused);
        if plan.is_empty() {
            self.queue.done(&key);
            return Some((key, None));
        }
        let shown = show(&plan);
        self.hands.push(Hand {
            errand: Errand::new(plan),
            late: false,
            ended: None,
        });
        Some((key, Some(shown)))
    }

    /// One hand makes its next call, or the loop hears of its end. Says what happened.
    pub fn act(&mut self, server: &mut Server, at: usize, fate: Fate) -> String {
        if let Some(end) = self.hands[at].ended {
            let hand = self.hands.swap_remove(at);
            let key = hand.errand.plan().service.clone();
            self.finish(hand, end);
            return format!("hears of the end for {key}: {end:?}");
        }
        let hand = &mut self.hands[at];
        let holds = server.lease == Some(self.id);
        if !holds && !std::mem::take(&mut hand.late) {
            hand.ended = Some(End::Failed);
            return format!(
                "does not go on for {}: not leading",
                hand.errand.plan().service
            );
        }
        let key = hand.errand.plan().service.clone();
        let Some(call) = hand.errand.call() else {
            hand.ended = Some(End::Well);
            return format!("is done for {key}");
        };
        let late = if holds { "" } else { " (late)" };
        let said = format!("for {key}{late} {}", show_call(&call));
        let reply = (fate != Fate::RequestLost).then(|| server.answer(&key, &call));
        let Some(reply) = reply.filter(|_| fate == Fate::Answered) else {
            hand.ended = Some(End::Failed);
            return format!("{said} => {fate:?}");
        };
        let answer = show_reply(&reply);
        if hand.errand.heed(reply).is_err() {
            hand.ended = Some(End::Failed);
        } else if hand.errand.call().is_none() {
            hand.ended = Some(End::Well);
        }
        format!("{said} => {answer}")
    }

    /// As the loop does when a hand comes back.
    fn finish(&mut self, hand: Hand, end: End) {
        let (plan, outcomes) = hand.errand.end();
        let carried_out = matches!(end, End::Well);
        let finished = self.steward.finish(&plan, outcomes, carried_out);
        if carried_out {
            self.queue.done(&plan.service);
        } else {
            let created = self.steward.seniority(&plan.service);
            self.queue.failed(created, &plan.service);
        }
        self.look_at(finished.look);
    }
}

fn show(plan: &Plan) -> String {
    let mut words = Vec::new();
    if plan.ask_first {
        words.push("ask".to_owned());
    }
    words.extend(plan.locks.iter().map(|lock| format!("lock {}", lock.key)));
    if let Some(status) = &plan.status {
        words.push(show_status(status));
    }
    words.extend(plan.unlocks.iter().map(|unlock| {
        let how = format!("{:?}", unlock.letting);
        let how = how.split('(').next().unwrap_or_default();
        format!("unlock {} of {} ({how})", unlock.key, unlock.holder)
    }));
    words.extend(
        plan.node_ports
            .as_ref()
            .map(|patch| format!("node ports {}", patch.allocate)),
    );
    if plan.again {
        words.push("again".to_owned());
    }
    words.join(", ")
}

fn show_status(write: &herald::controller::StatusWrite) -> String {
    let addresses: Option<Vec<_>> = write
        .ingress
        .as_ref()
        .map(|all| all.iter().map(|i| i.address.to_string()).collect());
    let says: Vec<_> = write
        .conditions
        .iter()
        .map(|c| c.verdict.reason.as_str())
        .collect();
    let addresses = addresses.map_or("as it is".to_owned(), |all| all.join(" "));
    format!(
        "status [{addresses}] {} at {}",
        says.join(" "),
        write.resource_version
    )
}

fn show_call(call: &Call<'_>) -> String {
    let holders = |spec: &herald::api::AddressAllocationSpec| {
        let names: Vec<_> = spec
            .holders
            .iter()
            .map(|h| format!("{}({})", h.name, h.uid))
            .collect();
        format!(
            "{} key={:?} until={:?}",
            names.join("+"),
            spec.sharing_key,
            spec.reserved_until
        )
    };
    match call {
        Call::ReadService => "reads it".to_owned(),
        Call::WriteStatus(write) => format!("writes {}", show_status(write)),
        Call::PatchNodePorts(patch) => format!("sets node ports {}", patch.allocate),
        Call::CreateLock(key, spec) => format!("creates {key}: {}", holders(spec)),
        Call::ReplaceLock(key, spec, version) => {
            format!("replaces {key} at {version}: {}", holders(spec))
        }
        Call::ReadLock(key) => format!("reads {key}"),
        Call::DeleteLock(key, version) => format!("deletes {key} at {}", version.resource_version),
    }
}

fn show_reply(reply: &herald::controller::Reply) -> String {
    use herald::controller::{Found, Reply};
    match reply {
        Reply::Service(Found::Balancer(record)) => format!("at {}", record.resource_version),
        Reply::Service(Found::OtherType { .. }) => "of another type".to_owned(),
        Reply::Lock(lock) => format!("at {}", lock.resource_version),
        Reply::Deleted => "deleted".to_owned(),
        Reply::Gone => "gone".to_owned(),
        Reply::Stale => "STALE".to_owned(),
    }
}
