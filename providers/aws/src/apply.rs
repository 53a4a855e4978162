//! Does a plan, call by call: the caller makes each call and brings the answer back. A failure is judged, and stops only
//! what needs the step that failed.
//!
//! ```text
//!   Plan ──▶ Apply ── next ──▶ call        made objects get their ids here
//!              ▲                 │
//!              └──── take ◀── answer       done | wait | look again | blocked | the user must act
//! ```
//! Nothing is remembered that a restart would need: dying between any two calls is as good as ending there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    call::{Call, Reply},
    failure::{Failure, Remedy, Verdict},
    memory::{Kind, Memory},
    names,
    owner::{Owner, Ownership},
    plan::{Part, Plan, Step, Trouble},
    refusal::{Reason, Refusal},
    words::{Id, Moment},
};

/// A plan being done.
#[derive(Debug)]
pub struct Apply {
    owner: Owner,
    steps: Vec<Step>,
    at: usize,
    /// The calls of the present step that are still to be made.
    todo: VecDeque<Call>,
    /// A balancer under a name that the user chose, whose tags are still to be read.
    unproven: Option<String>,
    failed: BTreeSet<usize>,
    made: BTreeMap<String, String>,
    outcome: Outcome,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What is not done, and why.
    pub troubles: Vec<Trouble>,
    /// What to do about the worst of it; `None`: all is done.
    pub remedy: Option<Remedy>,
    /// How many calls were done.
    pub done: usize,
    /// The balancer that was made.
    pub balancer: Option<String>,
    /// Whether AWS has refused what fits the network as it was read: see [`Failure::doubts_network`].
    pub doubts_network: bool,
    stopped: bool,
}

impl Apply {
    /// Begins.
    #[must_use]
    pub fn new(owner: Owner, plan: &Plan) -> Self {
        Self {
            owner,
            steps: plan.steps.clone(),
            at: 0,
            todo: plan
                .steps
                .first()
                .map(|step| step.call.clone())
                .into_iter()
                .collect(),
            unproven: None,
            failed: BTreeSet::new(),
            made: BTreeMap::new(),
            outcome: Outcome::default(),
        }
    }

    /// The next call; `None` at the end.
    pub fn next_call(&mut self) -> Option<Call> {
        while !self.outcome.stopped {
            let step = self.steps.get(self.at)?;
            if let Some(arn) = &self.unproven {
                return Some(Call::DescribeTags(vec![Id::known(arn)]));
            }
            let held_off = !step.needs.is_disjoint(&self.failed);
            let call = self
                .todo
                .front()
                .filter(|_| !held_off)
                .map(|call| call.resolve(&self.made));
            match call {
                Some(Some(call)) => return Some(call),
                // What it needs was not made: that trouble is told already.
                Some(None) => self.skip(),
                None if held_off => self.skip(),
                None => self.advance(),
            }
        }
        None
    }

    fn skip(&mut self) {
        self.failed.insert(self.at);
        self.advance();
    }

    fn advance(&mut self) {
        self.at += 1;
        self.todo = self
            .steps
            .get(self.at)
            .map(|step| step.call.clone())
            .into_iter()
            .collect();
    }

    /// Takes the answer to that call.
    pub fn take(&mut self, answer: Result<Reply, Failure>, memory: &mut Memory, now: Moment) {
        if let Some(arn) = self.unproven.take() {
            return self.prove(&arn, answer, memory);
        }
        let Some(call) = self
            .todo
            .pop_front()
            .and_then(|call| call.resolve(&self.made))
        else {
            return;
        };
        match answer {
            Ok(reply) => self.succeed(&call, reply, memory, now),
            Err(failure) => self.fail(&call, &failure, memory, now),
        }
    }

    fn succeed(&mut self, call: &Call, reply: Reply, memory: &mut Memory, now: Moment) {
        memory.note(call, &reply, now);
        self.outcome.done += 1;
        let Reply::Made(id) = reply else { return };
        if let Some(name) = self.steps.get(self.at).and_then(|step| step.makes.clone()) {
            self.made.insert(name, id.clone());
        }
        if let Call::CreateBalancer(spec) = call {
            // AWS hands out a balancer that exists alike under the same name, whoever made it. Nobody else makes names
            // like Herald's own.
            if !names::is_made_for(&spec.name, &self.owner) {
                self.unproven = Some(id.clone());
            }
            self.outcome.balancer = Some(id);
        }
    }

    fn prove(&mut self, arn: &str, answer: Result<Reply, Failure>, memory: &mut Memory) {
        let whose = match answer {
            Ok(Reply::Tags(mut tags)) => tags.remove(arn).map(|tags| self.owner.judge(&tags)),
            Ok(_) => None,
            Err(failure) if failure.is_missing() => None,
            Err(failure) => {
                let verdict = failure.classify(&Call::DescribeTags(Vec::new()));
                self.disown();
                return self.judge(verdict);
            }
        };
        match whose {
            Some(Ownership::Ours) => {}
            // It is only just made; the next look shows it.
            None => {
                self.disown();
                let refusal = Refusal::new(
                    Reason::Stale,
                    format!("AWS does not show the tags of {arn} yet"),
                );
                self.judge(Verdict {
                    remedy: Remedy::Look,
                    refusal,
                    stops_all: false,
                });
            }
            Some(whose) => {
                self.disown();
                memory.forget(arn);
                let refusal = Refusal::new(
                    Reason::NameInUse,
                    format!(
                        "a balancer of that name exists and belongs to {whose}; Herald does not touch it: choose another aws-load-balancer-name"
                    ),
                );
                self.judge(Verdict {
                    remedy: Remedy::User,
                    refusal,
                    stops_all: false,
                });
            }
        }
    }

    /// Nothing is done with what this step made.
    fn disown(&mut self) {
        self.failed.insert(self.at);
        if let Some(name) = self.steps.get(self.at).and_then(|step| step.makes.as_ref()) {
            self.made.remove(name);
        }
    }

    fn fail(&mut self, call: &Call, failure: &Failure, memory: &mut Memory, now: Moment) {
        self.outcome.doubts_network |= failure.doubts_network();
        if failure.code == "InvalidTarget" && self.split(call) {
            return;
        }
        match (failure.code.as_str(), call) {
            ("DuplicateLoadBalancerName", Call::CreateBalancer(spec)) => {
                memory.names.insert((Kind::Balancer, spec.name.clone()));
            }
            ("DuplicateTargetGroupName", Call::CreateGroup(spec)) => {
                memory.names.insert((Kind::Group, spec.name.clone()));
            }
            _ => {}
        }
        let verdict = failure.classify(call);
        if verdict.remedy == Remedy::Done {
            memory.note(call, &Reply::Done, now);
            self.outcome.done += 1;
            return;
        }
        if verdict.refusal.reason == Reason::Unreachable {
            memory.note_unheard(call, now);
        }
        self.failed.insert(self.at);
        self.judge(verdict);
    }

    /// One target that AWS does not take shall not keep the others out.
    fn split(&mut self, call: &Call) -> bool {
        let Call::RegisterTargets { group, targets } = call else {
            return false;
        };
        if targets.len() < 2 {
            return false;
        }
        let all: Vec<_> = targets.iter().cloned().collect();
        let halves = all
            .chunks(all.len().div_ceil(2))
            .map(|half| Call::RegisterTargets {
                group: group.clone(),
                targets: half.iter().cloned().collect(),
            });
        self.todo.extend(halves.collect::<Vec<_>>());
        true
    }

    fn judge(&mut self, verdict: Verdict) {
        let part = self
            .steps
            .get(self.at)
            .map_or(Part::Balancer, |step| step.part);
        self.outcome.stopped |= verdict.stops_all;
        self.outcome.remedy = self.outcome.remedy.max(Some(verdict.remedy));
        self.outcome.troubles.push(Trouble {
            part,
            refusal: verdict.refusal,
        });
    }

    /// What came of it.
    #[must_use]
    pub fn finish(self) -> Outcome {
        self.outcome
    }
}
