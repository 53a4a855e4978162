//! One place and how this node stands to it.

use std::{collections::BTreeSet, time::Duration};

use herald_spi::{Duty, Gain, Mac, NodeName, Time, Wonder};

use super::{
    context::Context,
    damper::Damper,
    inquiry::{Finding, Inquiry, Progress},
    report::{Event, Loss, Origin, State, Wait},
    rivalry::{Rivalry, Verdict},
};
use crate::placement::{
    candidate::Unfit,
    epoch::{self, Epoch},
    owner,
    scene::PeerClaim,
};

/// How this node stands to one place.
#[derive(Debug, Default)]
pub(super) struct Post {
    /// The highest epoch ever seen here, this node's included.
    seen: Option<Epoch>,
    held: Option<Held>,
    inquiry: Inquiry,
    /// Since when a settled candidate could claim it and saw nobody who does.
    vacant_since: Option<Time>,
    /// The last peer that claimed it, and since when it does not.
    last_owner: Option<(NodeName, Option<Time>)>,
    /// Counts on over gains, so that the provider never takes a new gain for the old one.
    round: u32,
    damper: Damper,
    rivalry: Rivalry,
}

#[derive(Debug)]
struct Held {
    epoch: Epoch,
    gain: Gain,
    since: Time,
    unfit_since: Option<Time>,
    /// When the announcements started last.
    announced_at: Time,
    /// A worse claim of a live peer is heard.
    rivalled: bool,
    /// The announcements shall start over as soon as they may.
    owed: bool,
}

impl Post {
    pub(super) fn new(recalled: Option<Epoch>) -> Self {
        Self {
            seen: recalled,
            ..Self::default()
        }
    }

    pub(super) fn seen(&self) -> Option<Epoch> {
        self.seen
    }

    pub(super) fn claim(&self) -> Option<Epoch> {
        self.held.as_ref().map(|held| held.epoch)
    }

    pub(super) fn duty(&self) -> Option<Duty> {
        match &self.held {
            Some(held) => Some(Duty::Own {
                gain: held.gain,
                round: self.round,
            }),
            None => self.inquiry.question().map(Duty::Ask),
        }
    }

    pub(super) fn answered(&mut self, now: Time, question: u64, by: BTreeSet<Mac>) {
        self.inquiry.answered(now, question, by);
    }

    pub(super) fn rivalled(&mut self, now: Time, by: Mac) {
        self.rivalry.see(now, by);
    }

    /// Lets go without a word; whether something was held.
    pub(super) fn forsake(&mut self) -> bool {
        self.rest();
        self.held.take().is_some()
    }

    pub(super) fn step(&mut self, cx: &mut Context<'_>) -> State {
        self.learn(cx);
        if !cx.segment.up {
            self.rest();
            self.drop(cx, Loss::NoLink);
            return State::NoLink;
        }
        match self.hold(cx) {
            Some(state) => state,
            None => self.seek(cx),
        }
    }

    fn learn(&mut self, cx: &Context<'_>) {
        match cx.best() {
            Some(best) => {
                self.seen = self.seen.max(Some(best.epoch));
                if !matches!(&self.last_owner, Some((node, None)) if *node == best.node) {
                    self.last_owner = Some((best.node.clone(), None));
                }
            }
            None => {
                if let Some((_, missed @ None)) = &mut self.last_owner {
                    *missed = Some(cx.now);
                }
            }
        }
    }

    /// Keeps what is held, or lets it go: then `None`.
    fn hold(&mut self, cx: &mut Context<'_>) -> Option<State> {
        let held = self.held.as_mut()?;
        let address = cx.place.address;
        let mine = epoch::weight(address, cx.me, held.epoch);
        let better = cx
            .best()
            .filter(|best| epoch::weight(address, &best.node, best.epoch) > mine);
        if let Some(better) = better {
            let to = better.node.clone();
            self.held = None;
            cx.events.push(Event::Yielded {
                place: cx.place,
                to,
            });
            return None;
        }
        match self.rivalry.settle(cx) {
            Verdict::Nothing => {}
            Verdict::Stand => held.owed = true,
            Verdict::Yield { to: mac } => {
                self.drop(cx, Loss::PeerUnheard { mac });
                return None;
            }
        }
        let since = held.since;
        let unfit = cx
            .leaving_since
            .map_or(cx.view.unfit, |_| Some(Unfit::Leaving));
        held.unfit_since = unfit.map(|_| held.unfit_since.unwrap_or(cx.now));
        let state = match unfit.zip(held.unfit_since) {
            None => State::Announcing { since },
            Some((why, unfit_since)) => {
                let (until, loss) = cx.reprieve(why, unfit_since);
                if until.is_some_and(|until| cx.now >= until) {
                    self.drop(cx, loss);
                    return None;
                }
                until.into_iter().for_each(|until| cx.wake_at(until));
                State::HandingOver { since, why }
            }
        };
        self.reassure(cx);
        Some(state)
    }

    /// Announces again while a peer claims it too, and once after, since it may have misled hosts.
    fn reassure(&mut self, cx: &mut Context<'_>) {
        let Some(held) = &mut self.held else { return };
        let rivalled = !cx.view.claims.is_empty();
        if rivalled || held.rivalled {
            held.owed = true;
        }
        held.rivalled = rivalled;
        if !held.owed {
            return;
        }
        if cx.now >= held.announced_at + cx.config.round_pause {
            held.announced_at = cx.now;
            held.owed = false;
            self.round = self.round.wrapping_add(1);
        }
        if held.owed || held.rivalled {
            cx.wake_at(held.announced_at + cx.config.round_pause);
        }
    }

    /// Not the owner: should this node be?
    fn seek(&mut self, cx: &mut Context<'_>) -> State {
        let vacant = cx
            .best()
            .is_none_or(|claim| claim.leaving || !cx.view.candidates.contains(&claim.node));
        let barred = match (cx.leaving_since, cx.view.unfit) {
            (Some(_), _) => Some(State::Waiting(Wait::Leaving)),
            (None, Some(unfit)) => Some(State::NotCandidate(unfit)),
            (None, None) => None,
        };
        if let Some(state) = barred {
            self.rest();
            return cx.standby_or(state);
        }
        if !vacant {
            if let Some(owner) = cx.best().filter(|owner| cx.led_here(owner)).cloned() {
                self.rest();
                let from = owner.node.clone();
                return self.relieve(cx, owner, Origin::Rebalance { from });
            }
            self.foresee(cx);
            return cx.standby_or(State::Waiting(Wait::Rank));
        }
        if cx.now < cx.ear.settled_at() {
            self.rest();
            cx.wake_at(cx.ear.settled_at());
            return cx.standby_or(State::Waiting(Wait::Settling));
        }
        let vacant_since = *self.vacant_since.get_or_insert(cx.now);
        let turn = vacant_since + self.queue(cx, vacant_since);
        if cx.now < turn {
            self.inquiry.close();
            cx.wake_at(turn);
            return cx.standby_or(State::Waiting(Wait::Rank));
        }
        match cx.best().cloned() {
            Some(old) => {
                let origin = Origin::Handover {
                    from: old.node.clone(),
                    why: cx.view.owner_unfit,
                };
                self.relieve(cx, old, origin)
            }
            None => self.succeed(cx),
        }
    }

    /// The owner is well, or it has been silent for long and this node comes next: then the wire is asked already, and
    /// the answer is there when the owner is lost.
    fn foresee(&mut self, cx: &mut Context<'_>) {
        let comes_next = cx.view.heir.as_ref() == Some(cx.me);
        if !comes_next || cx.now < cx.ear.settled_at() {
            return self.rest();
        }
        self.vacant_since = None;
        let patience = cx.config.takeover_retry;
        let (_, until) = self.inquiry.pursue(cx, Wonder::Takeover, |_| patience);
        cx.wake_at(until);
    }

    /// How long those before this node have for themselves. Whoever is not chosen waits for one of them at least,
    /// and only then counts how many there are.
    fn queue(&self, cx: &Context<'_>, vacant_since: Time) -> Duration {
        let chosen = cx.view.chosen.as_ref();
        if chosen == Some(cx.me) {
            return Duration::ZERO;
        }
        let one = cx.config.rank_delay;
        if cx.now < vacant_since + one {
            return one;
        }
        let rank = owner::rank(cx.place.address, &cx.view.candidates, chosen, cx.me);
        one.saturating_mul(rank.unwrap_or(u32::MAX))
    }

    /// A planned handover: the old owner lives, and answers until it sees the claim.
    fn relieve(&mut self, cx: &mut Context<'_>, old: PeerClaim, origin: Origin) -> State {
        self.inquiry.close();
        if !old.leaving {
            let next = self.damper.open_at();
            if cx.now < next {
                cx.wake_at(next);
                return cx.standby_or(State::Waiting(Wait::Rank));
            }
            self.damper.count(cx.now, cx.config);
        }
        let epoch = epoch::above(self.seen.unwrap_or(old.epoch));
        self.gain(cx, epoch, Gain::Takeover, origin, None)
    }

    /// Nobody claims it: claim it unless the wire says no.
    fn succeed(&mut self, cx: &mut Context<'_>) -> State {
        let first = cx.view.fresh && self.seen.is_none();
        let wonder = if first {
            Wonder::FirstClaim
        } else {
            Wonder::Takeover
        };
        let (config, alone) = (cx.config, cx.alone());
        let patience = |finding: &Finding| match finding {
            Finding::Peer => config.heard_retry,
            Finding::Stranger { .. } | Finding::Nobody if first => config.first_retry,
            _ => config.takeover_retry,
        };
        let (progress, until) = self.inquiry.pursue(cx, wonder, patience);
        cx.wake_at(until);
        let contested = match progress {
            Progress::Asking {
                last: Some(Finding::UnheardPeer { mac }),
            }
            | Progress::Found(Finding::UnheardPeer { mac }) => return State::PeerUnheard { mac },
            Progress::Asking {
                last: Some(Finding::Stranger { mac }),
            }
            | Progress::Found(Finding::Stranger { mac })
                if first =>
            {
                return State::InUse { mac };
            }
            Progress::Asking {
                last: Some(Finding::Stranger { mac }),
            } => return State::Conflict { mac },
            Progress::Asking { .. } | Progress::Found(Finding::Peer) => {
                return State::Waiting(Wait::AskingTheWire);
            }
            Progress::Found(Finding::Stranger { mac }) if alone => {
                return State::Conflict { mac };
            }
            Progress::Found(Finding::Stranger { mac }) => Some(mac),
            Progress::Found(Finding::Nobody) if first && !cx.view.proxied => {
                return State::Waiting(Wait::KubeProxy);
            }
            Progress::Found(Finding::Nobody) => None,
        };
        let epoch = epoch::claiming(self.seen, cx.ear.hearing());
        let (gain, origin) = if first {
            (Gain::First, Origin::First)
        } else {
            (Gain::Takeover, self.takeover(cx.now))
        };
        self.gain(cx, epoch, gain, origin, contested)
    }

    fn takeover(&self, now: Time) -> Origin {
        let (from, missed) = self.last_owner.clone().unzip();
        Origin::Takeover {
            from,
            missed_for: now.since(missed.flatten().unwrap_or(now)),
        }
    }

    fn gain(
        &mut self,
        cx: &mut Context<'_>,
        epoch: Epoch,
        gain: Gain,
        origin: Origin,
        contested: Option<Mac>,
    ) -> State {
        self.rest();
        self.rivalry.start_over();
        self.last_owner = None;
        self.seen = self.seen.max(Some(epoch));
        self.round = self.round.wrapping_add(1);
        self.held = Some(Held {
            epoch,
            gain,
            since: cx.now,
            unfit_since: None,
            announced_at: cx.now,
            rivalled: !cx.view.claims.is_empty(),
            owed: false,
        });
        cx.events.push(Event::Gained {
            place: cx.place,
            epoch,
            origin,
            contested,
        });
        State::Announcing { since: cx.now }
    }

    fn drop(&mut self, cx: &mut Context<'_>, why: Loss) {
        if self.held.take().is_some() {
            cx.events.push(Event::Dropped {
                place: cx.place,
                why,
            });
        }
    }

    /// Nothing to ask, nothing to wait for.
    fn rest(&mut self) {
        self.inquiry.close();
        self.vacant_since = None;
    }
}
