//! When each Service's turn comes, and what its turns remember of each other. Pure.
//!
//! A turn comes at once when something changes, a little later while AWS or time must bring something about, later and
//! later while somebody must act, and every few minutes where all is well: targets and rules may drift.
//!
//! A name has one turn at a time, also where the Service was made again or went to another provider and came back while
//! a turn was under way: the next one begins when that one has ended, and what it ended with counts for its own Service.

use std::collections::{BTreeMap, BTreeSet};

use herald_aws::{Call, Moment, Plan, Remedy};
use herald_spi::ServiceKey;

use super::job::{End, Job, Keep, Task};
use crate::controller::execute::Failure;

/// Turns of a Service where all is well are so many seconds apart, more or less.
const STEADY: u64 = 300;
/// After calls were made it is worth looking at what they did.
const SOON: u64 = 15;
/// The longest pause while somebody must act.
const LONGEST: u64 = 600;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Desk {
    units: BTreeMap<ServiceKey, Unit>,
    queue: BTreeSet<(Moment, ServiceKey)>,
    /// The turns under way, by their number.
    under_way: BTreeMap<ServiceKey, u64>,
    turns: u64,
}

/// What a Service's turns ask AWS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Calls {
    /// Nothing.
    #[default]
    None,
    /// What is left, to delete it.
    Left,
    /// Everything, the network included.
    All,
}

/// A Service.
#[derive(Debug)]
struct Unit {
    uid: String,
    /// What is remembered; away with the hand while there is a turn.
    keep: Option<Keep>,
    calls: Calls,
    due: Moment,
    /// Something changed during its turn.
    again: bool,
    /// The version of the Service that the watch told of during its turn.
    heard: u64,
    failures: u32,
    /// What its turn was for.
    scene: Option<std::sync::Arc<super::Scene>>,
    glance: Option<(Call, u64)>,
    /// Which survey it has been told of.
    surveyed: Moment,
    releases: bool,
}

impl Desk {
    /// Asks for a turn of a Service, at that time at the latest. `version`: because its watch tells of that version, which
    /// may be its own turn's doing.
    pub(super) fn look_at(
        &mut self,
        key: &ServiceKey,
        uid: &str,
        at: Moment,
        version: Option<u64>,
        calls: Calls,
    ) {
        let same = self.units.get(key).is_some_and(|unit| unit.uid == uid);
        if !same {
            self.drop_unit(key);
            let unit = Unit {
                uid: uid.to_owned(),
                keep: Some(Keep::new(at)),
                calls,
                due: at,
                again: false,
                heard: 0,
                failures: 0,
                scene: None,
                glance: None,
                surveyed: Moment::default(),
                releases: false,
            };
            self.units.insert(key.clone(), unit);
            self.queue.insert((at, key.clone()));
        } else if let Some(unit) = self.units.get_mut(key) {
            unit.calls = calls;
            let Some(keep) = &unit.keep else {
                unit.again |= version.is_none();
                unit.heard = unit.heard.max(version.unwrap_or(0));
                return;
            };
            let is_news = version.is_none_or(|version| version > keep.written);
            if is_news && at < unit.due {
                self.queue.remove(&(unit.due, key.clone()));
                unit.due = at;
                self.queue.insert((at, key.clone()));
            }
        }
    }

    /// Whether the watch has told of all that the Service's turns have written.
    pub(super) fn has_caught_up(&self, key: &ServiceKey, version: u64) -> bool {
        let keep = self.units.get(key).and_then(|unit| unit.keep.as_ref());
        keep.is_none_or(|keep| version >= keep.written)
    }

    /// Forgets a Service.
    pub(super) fn drop_unit(&mut self, key: &ServiceKey) {
        if let Some(unit) = self.units.remove(key) {
            self.queue.remove(&(unit.due, key.clone()));
        }
    }

    /// Forgets everything, as when another controller leads.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    pub(super) fn keys(&self) -> Vec<(ServiceKey, String)> {
        let units = self.units.iter();
        units
            .map(|(key, unit)| (key.clone(), unit.uid.clone()))
            .collect()
    }

    /// What is asked for by the Service that asks for most.
    pub(super) fn calls(&self) -> Calls {
        let all = self.units.values().map(|unit| unit.calls);
        all.max().unwrap_or_default()
    }

    /// When the next turn comes.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.first_idle().map(|(due, _)| *due)
    }

    /// The first in the queue whose former turn has ended. No more wait for theirs than there are turns.
    fn first_idle(&self) -> Option<&(Moment, ServiceKey)> {
        let mut queue = self.queue.iter();
        queue.find(|(_, key)| !self.under_way.contains_key(key))
    }

    /// A Service whose turn has come; it is to be started, put off or dropped.
    pub(super) fn pop(&mut self, now: Moment) -> Option<ServiceKey> {
        let (due, key) = self.first_idle()?.clone();
        if due > now {
            return None;
        }
        self.queue.remove(&(due, key.clone()));
        Some(key)
    }

    /// Its turn cannot come yet.
    pub(super) fn put_off(&mut self, key: &ServiceKey, until: Moment) {
        if let Some(unit) = self.units.get_mut(key) {
            unit.due = until;
            self.queue.insert((until, key.clone()));
        }
    }

    /// Begins a turn. `survey`: what the newest survey has found, and when.
    pub(super) fn begin(
        &mut self,
        key: &ServiceKey,
        task: Task,
        survey: Option<(&herald_aws::Inventory, Moment)>,
    ) -> Option<Job> {
        if self.under_way.contains_key(key) {
            return None;
        }
        let unit = self.units.get_mut(key)?;
        let mut keep = unit.keep.take()?;
        if let Some((inventory, at)) = survey.filter(|(_, at)| *at != unit.surveyed) {
            keep.memory.survey(&inventory.of(&unit.uid), at);
            keep.memory.refresh();
            unit.surveyed = at;
        }
        let scene = match &task {
            Task::Serve { scene, .. } => Some(scene.clone()),
            _ => None,
        };
        let unchanged = scene == unit.scene && task.releases() == unit.releases;
        if !unchanged {
            unit.failures = 0;
        }
        unit.scene = scene;
        unit.releases = task.releases();
        self.turns += 1;
        self.under_way.insert(key.clone(), self.turns);
        Some(Job {
            key: key.clone(),
            uid: unit.uid.clone(),
            turn: self.turns,
            failures: unit.failures,
            task,
            keep,
            glance: unit
                .glance
                .as_ref()
                .filter(|_| unchanged && unit.scene.is_some())
                .map(|(call, _)| call.clone()),
        })
    }

    /// Ends a turn, of the Service that had this UID.
    pub(super) fn end(
        &mut self,
        (key, uid, turn): (&ServiceKey, &str, u64),
        keep: Keep,
        end: &End,
        now: Moment,
    ) {
        if self.under_way.get(key) != Some(&turn) {
            return;
        }
        self.under_way.remove(key);
        let Some(unit) = self.units.get_mut(key).filter(|unit| unit.uid == uid) else {
            return;
        };
        if unit.keep.is_some() {
            // It went and came back meanwhile, and waits for its turn.
            unit.keep = Some(keep);
            return;
        }
        let pause = unit.pause(end);
        let news = std::mem::take(&mut unit.again) | (unit.heard > keep.written);
        unit.heard = 0;
        unit.due = Moment(now.0 + if news { 0 } else { pause });
        unit.keep = Some(keep);
        self.queue.insert((unit.due, key.clone()));
    }

    /// Whether somebody who deletes would learn from another survey.
    pub(super) fn wants_survey(&self, now: Moment) -> bool {
        let wants = |unit: &Unit| {
            let keep = unit.keep.as_ref();
            unit.releases && keep.is_some_and(|keep| keep.memory.wants_survey(now))
        };
        self.units.values().any(wants)
    }
}

impl Unit {
    /// How many seconds until the next turn.
    fn pause(&mut self, end: &End) -> u64 {
        match end {
            End::StillProvisioning => self.glance.as_ref().map_or(SOON, |(_, again)| *again),
            End::Went(plan, remedy) => {
                self.glance = plan.glance().zip(plan.again());
                self.after(plan, *remedy)
            }
            End::Told | End::Gone => {
                self.failures = 0;
                self.steady()
            }
            End::Unwritten(Failure::Stale(_) | Failure::NotLeading) => 1,
            End::Unwritten(_) => self.later(1, 60),
        }
    }

    fn after(&mut self, plan: &Plan, remedy: Option<Remedy>) -> u64 {
        let made = (!plan.steps.is_empty()).then_some(SOON);
        // What is waited for says when to look; to look earlier is to ask in vain.
        let soonest = plan.again().or(made);
        match remedy {
            None | Some(Remedy::Done) => {
                self.failures = 0;
                let troubled = (!plan.troubles.is_empty()).then_some(STEADY);
                soonest.or(troubled).unwrap_or_else(|| self.steady())
            }
            Some(Remedy::Wait(seconds)) => self.later(seconds, 120),
            Some(Remedy::Look) => self.later(2, 60),
            // What else is under way goes on, but not at the price of asking in vain without end.
            Some(Remedy::Blocked) => self.later(SOON, 120),
            Some(Remedy::User) => self.later(SOON, LONGEST),
        }
    }

    /// Later and later.
    fn later(&mut self, first: u64, longest: u64) -> u64 {
        let pause = first.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        pause.min(longest)
    }

    /// Not all at the same time.
    fn steady(&self) -> u64 {
        let spread = self.uid.bytes().fold(0_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        STEADY - 30 + spread % 61
    }
}

#[cfg(test)]
mod tests {
    use herald_aws::{Part, Step};

    use super::*;

    fn key() -> ServiceKey {
        ServiceKey::new("shop", "web")
    }

    fn foreign() -> Task {
        let service = crate::world::AwsLeft {
            key: key(),
            uid: "u".to_owned(),
            resource_version: "1".to_owned(),
            finalizers: Vec::new(),
        };
        Task::ReleaseLeft(service.into())
    }

    fn look_at(desk: &mut Desk, uid: &str, at: Moment, version: Option<u64>) {
        desk.look_at(&key(), uid, at, version, Calls::All);
    }

    /// A turn that ends so: when the next one comes.
    fn turn(desk: &mut Desk, now: u64, end: &End) -> u64 {
        let popped = desk.pop(Moment(now)).unwrap();
        let job = desk.begin(&popped, foreign(), None).unwrap();
        desk.end((&popped, &job.uid, job.turn), job.keep, end, Moment(now));
        desk.next_due().unwrap().0 - now
    }

    fn went(plan: Plan, remedy: Option<Remedy>) -> End {
        End::Went(Box::new(plan), remedy)
    }

    fn with_step() -> Plan {
        let mut plan = Plan::default();
        plan.steps.push(Step {
            part: Part::Balancer,
            why: String::new(),
            call: Call::DescribeAllBalancers,
            makes: None,
            needs: BTreeSet::new(),
        });
        plan
    }

    #[test]
    fn turns_come_sooner_or_later_by_how_the_last_one_ended() {
        let mut desk = Desk::default();
        look_at(&mut desk, "u", Moment(0), None);
        let steady = turn(&mut desk, 0, &went(Plan::default(), None));
        assert!((270..=330).contains(&steady), "{steady}");
        assert_eq!(turn(&mut desk, 1000, &went(with_step(), None)), SOON);
        assert_eq!(
            turn(&mut desk, 2000, &went(with_step(), Some(Remedy::Look))),
            2
        );
    }

    #[test]
    fn who_must_act_is_waited_for_longer_and_longer_until_something_changes() {
        let mut desk = Desk::default();
        look_at(&mut desk, "u", Moment(0), None);
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = turn(&mut desk, now, &went(with_step(), Some(Remedy::User)));
            pauses.push(pause);
            now += pause;
        }
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 600, 600]);
    }

    #[test]
    fn a_change_brings_the_turn_forward_and_one_during_a_turn_brings_another() {
        let mut desk = Desk::default();
        look_at(&mut desk, "u", Moment(0), None);
        turn(&mut desk, 0, &went(Plan::default(), None));
        look_at(&mut desk, "u", Moment(10), None);
        let popped = desk.pop(Moment(10)).unwrap();
        let mut job = desk.begin(&popped, foreign(), None).unwrap();
        look_at(&mut desk, "u", Moment(11), None);
        assert_eq!(desk.pop(Moment(11)), None, "one at a time");
        job.keep.written = 7;
        desk.end((&key(), "u", job.turn), job.keep, &End::Told, Moment(12));
        assert_eq!(desk.next_due(), Some(Moment(12)));
    }

    #[test]
    fn what_its_own_turn_wrote_brings_no_other_turn() {
        let mut desk = Desk::default();
        look_at(&mut desk, "u", Moment(0), None);
        let popped = desk.pop(Moment(0)).unwrap();
        let mut job = desk.begin(&popped, foreign(), None).unwrap();
        look_at(&mut desk, "u", Moment(0), Some(7));
        job.keep.written = 7;
        desk.end((&key(), "u", job.turn), job.keep, &End::Told, Moment(1));
        look_at(&mut desk, "u", Moment(2), Some(7));
        assert!(desk.next_due() > Some(Moment(100)));
        look_at(&mut desk, "u", Moment(3), Some(8));
        assert_eq!(desk.next_due(), Some(Moment(3)));
    }

    #[test]
    fn a_service_made_again_under_its_name_is_another() {
        let mut desk = Desk::default();
        look_at(&mut desk, "u", Moment(0), None);
        turn(&mut desk, 0, &went(Plan::default(), None));
        look_at(&mut desk, "v", Moment(20), None);
        assert_eq!(desk.pop(Moment(20)), Some(key()));
        assert_eq!(desk.len(), 1);
    }

    #[test]
    fn a_name_has_one_turn_at_a_time_whatever_becomes_of_its_service() {
        for (uid, comes_back) in [("v", false), ("u", true)] {
            let mut desk = Desk::default();
            look_at(&mut desk, "u", Moment(0), None);
            let popped = desk.pop(Moment(0)).unwrap();
            let mut first = desk.begin(&popped, foreign(), None).unwrap();
            desk.drop_unit(&key());
            look_at(&mut desk, uid, Moment(1), None);
            assert_eq!((desk.pop(Moment(9)), desk.next_due()), (None, None));
            assert!(desk.begin(&key(), foreign(), None).is_none());

            first.keep.written = 7;
            let ended = (&key(), "u", first.turn);
            desk.end(ended, first.keep, &End::Told, Moment(9));
            assert_eq!(desk.next_due(), Some(Moment(1)), "once");
            let popped = desk.pop(Moment(9)).unwrap();
            let second = desk.begin(&popped, foreign(), None).unwrap();
            let inherited = second.keep.written == 7;
            assert_eq!(inherited, comes_back, "what was remembered is its own");
            // The end of a turn that is over long ago is nobody's.
            desk.end(ended, Keep::new(Moment(0)), &End::Told, Moment(9));
            assert_eq!((desk.pop(Moment(999)), desk.next_due()), (None, None));
        }
    }
}
