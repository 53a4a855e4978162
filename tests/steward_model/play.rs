//! One history from one seed: who does what next is up to the dice, and every promise is looked at after every step.

use std::collections::{BTreeMap, VecDeque};

use herald::{api::NodePortPolicy, cluster::Classes};

use crate::{
    admins,
    controller::{Controller, Fate, Options},
    dice::Dice,
    promises::{self, Kept},
    sabotage::Sabotage,
    server::{Deed, Server},
    users,
};

/// See the module.
pub struct Play {
    pub dice: Dice,
    pub server: Server,
    pub controllers: Vec<Controller>,
    pub options: Options,
    pub step: usize,
    /// What happened last.
    pub trail: VecDeque<String>,
    /// How often something was seen: what the histories reach.
    pub seen: BTreeMap<String, usize>,
    verbose: bool,
    temper: Temper,
    next_id: usize,
    checked: u64,
}

/// What kind of world it is.
struct Temper {
    /// How likely what goes next is: users, watches, looks, calls, time, relists, faults.
    weights: [usize; 7],
    /// Of a hundred calls how many are lost on each way.
    losses: usize,
    /// Events that a watch tells at once.
    breath: usize,
}

/// Steps that are kept for a report.
const TRAIL: usize = 60;

impl Play {
    pub fn new(seed: u64, sabotage: Sabotage, verbose: bool) -> Self {
        let mut dice = Dice::new(seed);
        let calm = dice.percent(25);
        let temper = Temper {
            weights: [
                10 + dice.below(10),
                20 + dice.below(25),
                14,
                28,
                3,
                if calm { 0 } else { 2 },
                if calm { 0 } else { 1 + dice.below(6) },
            ],
            losses: if calm { 0 } else { dice.below(6) },
            breath: *dice.pick(&[1, 2, 3, 100]),
        };
        let options = Options {
            classes: match dice.percent(15) {
                true => Classes::OnNodes,
                false => Classes::Default,
            },
            node_ports: match dice.percent(10) {
                true => NodePortPolicy::Disable,
                false => NodePortPolicy::Keep,
            },
            sabotage,
        };
        let mut server = Server::new();
        server.serves_on_nodes = options.classes == Classes::OnNodes;
        admins::found(&mut dice, &mut server);
        let mut play = Self {
            dice,
            server,
            controllers: Vec::new(),
            options,
            step: 0,
            trail: VecDeque::new(),
            seen: BTreeMap::new(),
            verbose,
            temper,
            next_id: 0,
            checked: 0,
        };
        for _ in 0..2 + play.dice.below(2) {
            let controller = play.born();
            play.controllers.push(controller);
        }
        play.server.lease = Some(play.controllers[0].id);
        play
    }

    pub fn run(&mut self, steps: usize) -> Kept {
        let mut quiet_at = 0;
        while self.step < steps {
            self.step += 1;
            let said = self.happen();
            self.note(&said);
            self.check()?;
            if self.step >= quiet_at {
                quiet_at = self.step + 60 + self.dice.below(300);
                self.come_to_rest()?;
            }
        }
        self.come_to_rest()
    }

    /// Looks at what a step has changed.
    pub fn check(&mut self) -> Kept {
        let deeds = std::mem::take(&mut self.server.deeds);
        for deed in &deeds {
            self.count(deed);
            promises::deed(&self.server, deed)?;
        }
        let version = self.server.version();
        if !deeds.is_empty() || version != self.checked {
            self.checked = version;
            promises::cluster(&self.server)?;
        }
        Ok(())
    }

    pub fn note(&mut self, said: &str) {
        let line = format!("{:>5} {said}", self.step);
        if self.verbose {
            println!("{line}");
        }
        if self.trail.len() == TRAIL {
            self.trail.pop_front();
        }
        self.trail.push_back(line);
    }

    fn count(&mut self, deed: &Deed) {
        let mut see = |what: String| *self.seen.entry(what).or_default() += 1;
        match deed {
            Deed::Status { before, write, .. } => {
                for condition in &write.conditions {
                    see(format!("says {}", condition.verdict.reason));
                }
                if before.is_marked() && write.conditions.is_empty() {
                    see("a status taken away".to_owned());
                }
            }
            Deed::NodePorts { patch, .. } => see(format!("node ports {}", patch.allocate)),
            Deed::Lock { before, after } => {
                if after.as_ref().is_some_and(|lock| lock.holders.len() > 1) {
                    see("an address is shared".to_owned());
                }
                if after
                    .as_ref()
                    .is_some_and(|lock| lock.key.address().is_none())
                {
                    see("a port of the nodes is locked".to_owned());
                }
                let kept = before.as_ref().is_some_and(|lock| lock.awaited.is_some());
                let taken = after.as_ref().is_some_and(|lock| !lock.holders.is_empty());
                if kept && taken {
                    see("an address waited for its Service".to_owned());
                }
            }
        }
    }

    fn born(&mut self) -> Controller {
        self.next_id += 1;
        Controller::new(self.next_id, self.options)
    }

    fn happen(&mut self) -> String {
        let weights = self.temper.weights;
        match self.dice.weigh(&weights) {
            0 => format!("somebody {}", users::act(&mut self.dice, &mut self.server)),
            1 => self.hear(),
            2 => self.work(),
            3 => self.act(),
            4 => self.pass_time(),
            5 => self.relist(),
            _ => self.fault(),
        }
    }

    /// A controller that is not paused, by its place; the leader rather than others.
    fn awake(&mut self) -> Option<usize> {
        let leader = self.server.lease;
        let awake: Vec<_> = (0..self.controllers.len())
            .filter(|at| self.controllers[*at].frozen_until <= self.step)
            .collect();
        let leading = awake
            .iter()
            .find(|at| Some(self.controllers[**at].id) == leader);
        match leading {
            Some(at) if self.dice.percent(60) => Some(*at),
            _ => self.dice.any(awake),
        }
    }

    fn hear(&mut self) -> String {
        let Some(at) = self.awake() else {
            return self.idle();
        };
        let breath = self.temper.breath;
        let controller = &mut self.controllers[at];
        let Some(kind) = self.dice.any(controller.unheard(&self.server)) else {
            return self.work();
        };
        let heard = controller.hear(&self.server, kind, breath);
        format!("c{} hears {heard} of {kind:?}", controller.id)
    }

    fn work(&mut self) -> String {
        let Some(at) = self.awake() else {
            return self.idle();
        };
        let controller = &mut self.controllers[at];
        if self.dice.percent(70) && controller.learn(&self.server) {
            return format!("c{} learns that leadership changed", controller.id);
        }
        match controller.work(&mut self.server) {
            None if !controller.hands.is_empty() => self.call_of(at),
            None => self.idle(),
            Some((key, None)) => format!("c{} looks at {key}: all is well", controller.id),
            Some((key, Some(plan))) => format!("c{} looks at {key}: {plan}", controller.id),
        }
    }

    fn act(&mut self) -> String {
        let step = self.step;
        let busy = self.controllers.iter().enumerate();
        let busy = busy.filter(|(_, c)| c.frozen_until <= step && !c.hands.is_empty());
        match self.dice.any(busy.map(|(at, _)| at)) {
            Some(at) => self.call_of(at),
            None => self.idle(),
        }
    }

    /// Nothing is under way where it was looked for: time for others.
    fn idle(&mut self) -> String {
        match self.dice.percent(70) {
            true => format!("somebody {}", users::act(&mut self.dice, &mut self.server)),
            false => self.pass_time(),
        }
    }

    fn call_of(&mut self, at: usize) -> String {
        let fate = match self.dice.below(100) {
            n if n < self.temper.losses => Fate::ReplyLost,
            n if n < self.temper.losses * 2 => Fate::RequestLost,
            _ => Fate::Answered,
        };
        let hand = self.dice.below(self.controllers[at].hands.len());
        let controller = &mut self.controllers[at];
        let said = controller.act(&mut self.server, hand, fate);
        format!("c{} {said}", controller.id)
    }

    fn pass_time(&mut self) -> String {
        let seconds = *self.dice.pick(&[1, 1, 2, 5, 30, 61, 601]);
        self.server.now += seconds;
        for controller in &mut self.controllers {
            controller.queue.retry();
        }
        // A Lease that nobody renews ends.
        let step = self.step;
        let alive = |c: &Controller| c.frozen_until <= step;
        let lease = self.server.lease;
        if !self
            .controllers
            .iter()
            .any(|c| Some(c.id) == lease && alive(c))
        {
            self.move_lease();
        }
        format!(
            "{seconds} s pass; c{} leads",
            self.server.lease.unwrap_or_default()
        )
    }

    /// The watch of a kind breaks and begins anew.
    fn relist(&mut self) -> String {
        let Some(at) = self.awake() else {
            return self.idle();
        };
        let kind = *self.dice.pick(&crate::watching::Kind::ALL);
        let controller = &mut self.controllers[at];
        let Some(from) = controller.position(kind) else {
            return self.hear();
        };
        let head = self.server.head(kind);
        let to = match self.dice.below(3) {
            0 => from + self.dice.below(head - from + 1),
            1 if self.dice.percent(40) => from.saturating_sub(self.dice.below(4)),
            _ => head,
        };
        controller.relist(&self.server, kind, to);
        format!(
            "c{} lists {kind:?} anew, at {to} of {head} after {from}",
            controller.id
        )
    }

    fn fault(&mut self) -> String {
        let at = self.dice.below(self.controllers.len());
        let id = self.controllers[at].id;
        match self.dice.below(4) {
            0 => {
                self.kill(at);
                format!("c{id} is killed")
            }
            1 => {
                let steps = 5 + self.dice.below(80);
                let step = self.step;
                let another = |c: &Controller| c.id != id && c.frozen_until <= step;
                if !self.controllers.iter().any(another) {
                    return self.idle();
                }
                self.controllers[at].frozen_until = self.step + steps;
                format!("c{id} is paused for {steps} steps")
            }
            2 => {
                self.move_lease();
                format!(
                    "the lease goes to c{}",
                    self.server.lease.unwrap_or_default()
                )
            }
            _ => {
                let skew = *self.dice.pick(&[0, 0, 3600, -3600, 59, -61]);
                self.controllers[at].skew = skew;
                format!("the clock of c{id} goes {skew} s wrong")
            }
        }
    }

    /// Whatever it was about to say may have been said.
    fn kill(&mut self, at: usize) {
        while !self.controllers[at].hands.is_empty() {
            let fate = match self.dice.percent(40) {
                true => Fate::ReplyLost,
                false => Fate::RequestLost,
            };
            let controller = &mut self.controllers[at];
            controller.act(&mut self.server, 0, fate);
        }
        self.controllers[at] = self.born();
    }

    /// Another one, or the same, leads from now on.
    pub fn move_lease(&mut self) {
        let step = self.step;
        let awake = self.controllers.iter().filter(|c| c.frozen_until <= step);
        let next = self.dice.any(awake.map(|c| c.id));
        if next == self.server.lease {
            return;
        }
        for controller in &mut self.controllers {
            if Some(controller.id) == self.server.lease {
                controller.lose_lease();
            }
        }
        self.server.lease = next;
    }
}
