//! This node's claims: when it claims an address, keeps it and lets it go.
//!
//! Invariants:
//! * A duty to own a place and the claim to it exist together: both begin and end in one step.
//! * A better claim of a live peer ends this node's in the step that sees it, so two owners who hear each other
//!   exist for as long as a message travels.
//! * Only a planned handover claims without asking the wire, and only above a claim that is heard.
//! * A peer that announces and is not heard is yielded to or outlasted, by a rule that it knows too; no other host is.
//! * A live owner that is well loses an address only to a rebalance that somebody asked for, on a calm segment.
//! * The wire is asked while the owner is quiet already, so that a takeover need not wait for the answer.
//! * Nothing is claimed on a segment before this agent has listened there for [`Config::settle`].
//!
//! ```text
//!                    settled, chosen (or its turn by rank)
//!   ┌──────────┐ ───────────────────────────────▶ ┌────────┐ nobody answers   ┌─────┐
//!   │ Standby, │                                  │ asking │ (kube-proxy too, │ own │
//!   │ Waiting  │ ◀─────────────────────────────── │        │ if first) ─────▶ │     │
//!   └──────────┘   a peer claims                  └────────┘                  └─────┘
//!      ▲   │ the owner is leaving or no candidate: claim above it, unasked        ▲ │
//!      │   └──────────────────────────────────────────────────────────────────────┘ │
//!      │     or a rebalance leads here                                              │
//!      └─ a better claim; no candidate and nobody to take it; link down; withdrawn ─┘
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herald_spi::{IfIndex, Mac, NodeName, Place, Time};
use serde::{Deserialize, Serialize};

pub use self::report::{Event, Loss, Origin, Output, State, Wait};
use self::{calm::Calm, context::Context, ear::Ear, post::Post};
use super::{epoch::Epoch, scene::Scene};

mod calm;
mod context;
mod damper;
mod ear;
mod inquiry;
mod post;
mod report;
mod rivalry;

/// The times of the machine. The defaults are what the promises were tested with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Listening on a segment before the first claim there, and again after a pause or a link's return. Long enough
    /// for some heartbeats of every peer, so that live owners are known first.
    pub settle: Duration,
    /// How much longer each candidate waits for those before it, if nobody claims. Longer than an API view lags
    /// behind in good health and than the chosen one needs; the second in line acts only when the first is stuck.
    pub rank_delay: Duration,
    /// After this long without the provider's report a question is put again. Well above the 60 ms that it takes.
    pub answer_timeout: Duration,
    /// An answer to the first probe holds for this long: a stranger is asked about again, and silence is checked
    /// again if kube-proxy took longer.
    pub first_retry: Duration,
    /// When to ask again after a takeover found that someone answers. Half of what a failover may take in all.
    pub takeover_retry: Duration,
    /// When to ask again if a peer answered that is heard, but no claim of it: the claim is on its way.
    pub heard_retry: Duration,
    /// A Herald node that announces what this node owns and is not heard for so long is not heard at all. Two
    /// heartbeats at least: after a partition an announcement may come first.
    pub unheard_after: Duration,
    /// And one that goes on for so long hears this node, and has the better claim.
    pub stubborn_after: Duration,
    /// How often announcements may start over while a worse claim is heard.
    pub round_pause: Duration,
    /// How long an owner that became no candidate waits for another candidate before it stops, where stopping helps
    /// nobody at once: selectors, labels and taints flicker when they are edited.
    pub unfit_grace: Duration,
    /// How long a leaving agent goes on answering for what nobody has claimed.
    pub leave_grace: Duration,
    /// The pause after taking a place from a live owner that is no candidate in this node's view; doubled each time.
    /// Two nodes whose views disagree would else pass it to and fro as fast as messages travel.
    pub handover_pause: Duration,
    /// The longest such pause; after twice as long without a handover the first one is back.
    pub handover_pause_max: Duration,
    /// How long nothing must have come or gone on a segment before a rebalance moves anything there: long enough for
    /// the views of all agents to be equal.
    pub calm: Duration,
    /// For so long a rebalance waits for an address that has no owner, and no longer: one that nobody can claim, since
    /// another host answers for it, must not hold up the rest.
    pub vacancy: Duration,
    /// The pause between two moves of a rebalance that was asked for.
    pub rebalance_pause: Duration,
    /// And of one that goes on by itself.
    pub slow_rebalance_pause: Duration,
}

/// What happens besides the scene. Takes effect in the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// [`herald_spi::Report::Answered`].
    Answered {
        /// Where it was asked.
        place: Place,
        /// The question's number.
        question: u64,
        /// Who answered.
        by: BTreeSet<Mac>,
    },
    /// [`herald_spi::Report::Rivalled`].
    Rivalled {
        /// Where it was seen.
        place: Place,
        /// Who says that it has the address.
        by: Mac,
    },
    /// The process stood still for so long that peers may have taken over. Step at once.
    Paused,
    /// The agent is about to end. Step at once, publish, and go on until [`Output::done`].
    Leave,
}

/// The state machine of this node's claims.
#[derive(Debug)]
pub struct Claims {
    me: NodeName,
    config: Config,
    /// Boxed, for the map has nearly as much room for what is not there as for what is.
    posts: BTreeMap<Place, Box<Post>>,
    ears: BTreeMap<IfIndex, Ear>,
    calms: BTreeMap<IfIndex, Calm>,
    recalled: BTreeMap<Place, Epoch>,
    claimed: BTreeMap<Place, Epoch>,
    /// Events of inputs, for the next step.
    pending: Vec<Event>,
    paused_at: Time,
    leaving_since: Option<Time>,
    questions: u64,
    deadline: Option<Time>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(1),
            rank_delay: Duration::from_secs(4),
            answer_timeout: Duration::from_secs(1),
            first_retry: Duration::from_secs(5),
            takeover_retry: Duration::from_secs(1),
            heard_retry: Duration::from_millis(250),
            unheard_after: Duration::from_millis(500),
            stubborn_after: Duration::from_secs(3),
            round_pause: Duration::from_secs(1),
            unfit_grace: Duration::from_secs(3),
            leave_grace: Duration::from_millis(500),
            handover_pause: Duration::from_millis(250),
            handover_pause_max: Duration::from_secs(16),
            calm: Duration::from_secs(5),
            vacancy: Duration::from_secs(30),
            rebalance_pause: Duration::from_secs(1),
            slow_rebalance_pause: Duration::from_secs(30),
        }
    }
}

impl Claims {
    /// The claims of this node: none.
    #[must_use]
    pub fn new(me: NodeName, config: Config) -> Self {
        Self {
            me,
            config,
            posts: BTreeMap::new(),
            ears: BTreeMap::new(),
            calms: BTreeMap::new(),
            recalled: BTreeMap::new(),
            claimed: BTreeMap::new(),
            pending: Vec::new(),
            paused_at: Time::ZERO,
            leaving_since: None,
            questions: 0,
            deadline: None,
        }
    }

    /// Epochs from before a restart. They claim nothing; they only keep new claims above the old ones.
    pub fn recall(&mut self, epochs: BTreeMap<Place, Epoch>) {
        self.recalled.extend(epochs);
    }

    /// The highest epoch known of each place: what [`Self::recall`] wants after a restart.
    pub fn epochs(&self) -> impl Iterator<Item = (Place, Epoch)> + '_ {
        self.posts
            .iter()
            .filter_map(|(place, post)| Some((*place, post.seen()?)))
    }

    /// What this node claims since the last step.
    #[must_use]
    pub fn claimed(&self) -> &BTreeMap<Place, Epoch> {
        &self.claimed
    }

    /// When to step again if nothing happens before: later than the last step.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Takes note of what happened.
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Answered {
                place,
                question,
                by,
            } => {
                if let Some(post) = self.posts.get_mut(&place) {
                    post.answered(now, question, by);
                }
            }
            Input::Rivalled { place, by } => {
                if let Some(post) = self.posts.get_mut(&place) {
                    post.rivalled(now, by);
                }
            }
            Input::Paused => {
                self.paused_at = now;
                for (&place, post) in &mut self.posts {
                    if post.forsake() {
                        self.pending.push(Event::Dropped {
                            place,
                            why: Loss::Paused,
                        });
                    }
                }
            }
            Input::Leave => self.leaving_since = self.leaving_since.or(Some(now)),
        }
    }

    /// Draws the conclusions from the scene. `out` is replaced.
    pub fn step(&mut self, now: Time, scene: &Scene, out: &mut Output) {
        *out = Output {
            events: std::mem::take(&mut self.pending),
            ..Output::default()
        };
        self.deadline = None;
        self.let_go_of_the_gone(scene, out);
        out.settled = self.listen(now, scene);
        out.rebalanced = self.look_ahead(now, scene);
        for (&place, view) in &scene.places {
            let segment = scene.segments.get(&place.interface);
            let Some((segment, ear)) = segment.zip(self.ears.get(&place.interface)) else {
                continue;
            };
            let recalled = &mut self.recalled;
            let post = self
                .posts
                .entry(place)
                .or_insert_with(|| Box::new(Post::new(recalled.remove(&place))));
            let mut context = Context {
                now,
                me: &self.me,
                config: &self.config,
                place,
                view,
                scene,
                segment,
                ear,
                calm: self.calms.get(&place.interface),
                leaving_since: self.leaving_since,
                questions: &mut self.questions,
                deadline: &mut self.deadline,
                events: &mut out.events,
            };
            let state = post.step(&mut context);
            out.states.insert(place, state);
            out.duties.extend(post.duty().map(|duty| (place, duty)));
            out.claims.extend(post.claim().map(|epoch| (place, epoch)));
        }
        self.claimed.clone_from(&out.claims);
        out.leaving = self.leaving_since.is_some();
        out.done = out.leaving && out.claims.is_empty();
    }

    fn let_go_of_the_gone(&mut self, scene: &Scene, out: &mut Output) {
        self.posts.retain(|place, post| {
            let there = scene.segments.contains_key(&place.interface);
            if there && scene.places.contains_key(place) {
                return true;
            }
            if post.claim().is_some() {
                let why = if there { Loss::Withdrawn } else { Loss::NoLink };
                out.events.push(Event::Dropped { place: *place, why });
            }
            false
        });
    }

    /// Listens on every segment; whether it has for long enough on all.
    fn listen(&mut self, now: Time, scene: &Scene) -> bool {
        self.ears
            .retain(|interface, _| scene.segments.contains_key(interface));
        let mut settled = true;
        for (&interface, segment) in &scene.segments {
            let ear = self.ears.entry(interface).or_default();
            ear.listen(now, segment, &scene.nodes, self.paused_at, &self.config);
            if segment.up && ear.settled_at() > now {
                settled = false;
                let earlier = self.deadline.unwrap_or(ear.settled_at());
                self.deadline = Some(earlier.min(ear.settled_at()));
            }
        }
        settled
    }

    /// Follows what a rebalance would do on every segment; whether one that was asked for has come to rest on all that
    /// it concerns.
    fn look_ahead(&mut self, now: Time, scene: &Scene) -> bool {
        self.calms
            .retain(|interface, _| scene.segments.contains_key(interface));
        let mut rested = None;
        for (&interface, segment) in &scene.segments {
            let Some(outlook) = &segment.outlook else {
                self.calms.remove(&interface);
                continue;
            };
            let calm = self.calms.entry(interface).or_default();
            calm.look(now, segment, outlook);
            let settled_at = self.ears.get(&interface).map_or(now, Ear::settled_at);
            let rests_at = calm.rests_at(&self.config).map(|at| at.max(settled_at));
            let next_at = calm.next(&self.config).map(|(_, at)| at.max(settled_at));
            let wakes = rests_at.into_iter().chain(next_at);
            for at in wakes.filter(|at| *at > now) {
                self.deadline = Some(self.deadline.map_or(at, |earlier| earlier.min(at)));
            }
            if outlook.asked {
                let rests = rests_at.is_some_and(|at| at <= now);
                rested = Some(rested.unwrap_or(true) && rests);
            }
        }
        rested.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
