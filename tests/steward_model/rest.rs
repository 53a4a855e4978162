//! The quiet points of a history: users and faults pause, one controller leads until nothing is left to do.

use crate::{
    controller::Fate,
    play::Play,
    promises::{Kept, broken},
    quiet,
};

/// So many turns are enough for whatever was going on.
const TURNS: usize = 6_000;

impl Play {
    /// Lets everything come to rest, and looks at what it has come to.
    pub fn come_to_rest(&mut self) -> Kept {
        // What a clock that went ahead has put off comes late.
        let ahead = self
            .controllers
            .iter()
            .map(|c| c.skew)
            .max()
            .unwrap_or(0)
            .max(0);
        let leader = self.only_leader();
        self.drain(leader)?;
        let horizon = ahead + *self.dice.pick(&[130, 130, 700, 4_000]);
        self.let_time_pass(leader, horizon)?;
        self.looks_are_idle(leader)?;
        let server = &self.server;
        quiet::cluster(server)?;
        let steward = quiet::fresh(server, self.options, server.now);
        quiet::another_agrees(server, steward)?;
        for controller in &mut self.controllers {
            for kind in controller.unheard(&self.server) {
                controller.hear(&self.server, kind, 0);
                controller.hear(&self.server, kind, usize::MAX / 2);
            }
            controller.rewind();
        }
        self.server.compact();
        self.note("quiet: all promises hold");
        Ok(())
    }

    /// The clocks are right, all processes run, and one leads. What others were about to say is said.
    fn only_leader(&mut self) -> usize {
        for controller in &mut self.controllers {
            controller.frozen_until = 0;
            controller.skew = 0;
        }
        let holder = self.server.lease;
        if self.dice.percent(25) || !self.controllers.iter().any(|c| Some(c.id) == holder) {
            self.move_lease();
        }
        let holder = self.server.lease;
        for at in 0..self.controllers.len() {
            let leads = Some(self.controllers[at].id) == holder;
            self.controllers[at].learn(&self.server);
            while !leads && !self.controllers[at].hands.is_empty() {
                let said = self.controllers[at].act(&mut self.server, 0, Fate::Answered);
                let id = self.controllers[at].id;
                self.note(&format!("c{id} {said}"));
            }
        }
        self.controllers
            .iter()
            .position(|c| Some(c.id) == holder)
            .unwrap_or(0)
    }

    /// The leader hears everything and does everything.
    fn drain(&mut self, leader: usize) -> Kept {
        for _ in 0..TURNS {
            let controller = &mut self.controllers[leader];
            let id = controller.id;
            controller.queue.retry();
            let said = if let Some(kind) = self.dice.any(controller.unheard(&self.server)) {
                let heard = controller.hear(&self.server, kind, usize::MAX / 2);
                format!("hears {heard} of {kind:?}")
            } else if !controller.hands.is_empty() {
                controller.act(&mut self.server, 0, Fate::Answered)
            } else if let Some((key, plan)) = controller.work(&mut self.server) {
                format!(
                    "looks at {key}: {}",
                    plan.unwrap_or_else(|| "all is well".to_owned())
                )
            } else if controller.is_active() && controller.queue.is_empty() {
                return Ok(());
            } else {
                "waits".to_owned()
            };
            self.note(&format!("c{id} {said}"));
            self.check()?;
        }
        broken(quiet::ENDS, format!("still at work after {TURNS} turns"))
    }

    /// Whatever is due soon comes to pass; nothing stays due.
    fn let_time_pass(&mut self, leader: usize, horizon: i64) -> Kept {
        let end = self.server.now + horizon;
        for _ in 0..40 {
            let now = self.server.now;
            let Some(due) = self.controllers[leader].steward.next_due() else {
                return Ok(());
            };
            if due <= now {
                let what = format!("{} s ago something was due, and still is", now - due);
                return broken(quiet::SLEEPS, what);
            }
            if due > end {
                return Ok(());
            }
            self.server.now = due;
            self.note(&format!("{} s pass, until something is due", due - now));
            self.controllers[leader].turn(&mut self.server);
            self.drain(leader)?;
        }
        broken(quiet::SLEEPS, "something is due again and again")
    }

    /// Promise 9.
    fn looks_are_idle(&mut self, leader: usize) -> Kept {
        let steward = &mut self.controllers[leader].steward;
        for key in quiet::keys(&self.server) {
            let plan = steward.plan(&key);
            if plan.is_empty() {
                continue;
            }
            let record = self
                .server
                .services
                .get(&key)
                .map(|service| &service.record);
            match quiet::difference(record, &plan) {
                Some(would) => return broken(quiet::NO_OP, format!("{key}: would {would}")),
                None => *self.seen.entry("an old sentence".to_owned()).or_default() += 1,
            }
        }
        let roused = steward.roused();
        if !roused.is_empty() {
            self.controllers[leader].look_at(roused);
            return self.drain(leader);
        }
        Ok(())
    }
}
