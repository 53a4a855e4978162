//! Whatever call the process dies at, whatever call fails, in every standard case: it ends as if nothing had happened,
//! nothing is left over, nothing of others is touched, and what served goes on serving.

use std::collections::BTreeSet;

use super::{
    cases::{CASES, Case},
    world::World,
};
use crate::fake::Fault;

/// The clean history of a case.
struct Clean {
    base: World,
    /// Calls worth failing: each write, and each read the first time that it is made.
    calls: Vec<usize>,
    end: Vec<String>,
    theirs: Vec<String>,
}

impl Clean {
    fn of(case: &Case) -> Self {
        let mut base = case.base();
        (case.change)(&mut base);
        let theirs = base.theirs();
        let start = base.aws.log.len();
        let mut world = base.clone();
        world.settle();
        let mut known = BTreeSet::new();
        let calls = (start..world.aws.log.len())
            .filter(|at| {
                let line = &world.aws.log[*at];
                !line.starts_with("Describe") || known.insert(line.clone())
            })
            .collect();
        if world.deleted {
            assert_eq!(world.ours(), Vec::<String>::new(), "{}", case.name);
        }
        assert_eq!(world.theirs(), theirs, "{}", case.name);
        Self {
            base,
            calls,
            end: world.ours(),
            theirs,
        }
    }

    /// Each history that `disturb` makes of the case ends alike.
    fn holds(&self, case: &Case, what: &str, disturb: impl Fn(&mut World, usize)) {
        for at in &self.calls {
            let mut world = self.base.clone();
            disturb(&mut world, *at);
            world.settle();
            assert_eq!(
                world.ours(),
                self.end,
                "{}: {what} at call {at}\n{}",
                case.name,
                world.aws.log[self.calls[0]..].join("\n")
            );
            assert_eq!(
                world.theirs(),
                self.theirs,
                "{}: {what} at call {at}",
                case.name
            );
        }
    }
}

fn each(what: &str, disturb: impl Fn(&mut World, usize)) {
    for case in CASES {
        Clean::of(case).holds(case, what, &disturb);
    }
}

fn die(world: &mut World, at: usize) {
    world.dies_at = Some(at);
    // It may end before it dies where time passes otherwise.
    drop(world.try_settle());
    world.restart();
}

#[test]
fn dying_before_any_call() {
    each("death", die);
}

#[test]
fn dying_before_any_call_where_nothing_new_is_seen_for_a_while() {
    each("death with lag", |world, at| {
        world.aws.lag = 20;
        die(world, at);
    });
}

/// The Service may be deleted before what the dead process made can be seen.
#[test]
fn dying_anywhere_in_a_create_and_then_being_deleted() {
    for case in CASES.iter().filter(|case| case.before.is_none()) {
        let clean = Clean::of(case);
        for at in &clean.calls {
            let mut world = clean.base.clone();
            world.aws.lag = 20;
            die(&mut world, *at);
            world.deleted = true;
            world.settle();
            world.aws.pass(100);
            assert_eq!(
                world.ours(),
                Vec::<String>::new(),
                "{}: at call {at}",
                case.name
            );
            assert_eq!(world.theirs(), clean.theirs, "{}: at call {at}", case.name);
        }
    }
}

#[test]
fn dying_again_and_again() {
    each("deaths", |world, at| {
        die(world, at);
        for more in [1, 3, 7] {
            let at = world.aws.log.len() + more;
            die(world, at);
        }
    });
}

#[test]
fn throttling_at_any_call() {
    each("throttling", |world, at| {
        world.aws.faults.extend([(at, Fault::Throttle)])
    });
}

#[test]
fn an_answer_that_is_lost_after_success() {
    each("lost answer", |world, at| {
        world.aws.faults.extend([(at, Fault::LoseReply)])
    });
    each("lost answer with lag", |world, at| {
        world.aws.lag = 20;
        world.aws.faults.insert(at, Fault::LoseReply);
    });
}

#[test]
fn a_call_that_is_lost() {
    each("lost call", |world, at| {
        world.aws.faults.extend([(at, Fault::Drop)])
    });
}

#[test]
fn an_action_that_is_forbidden_for_a_while() {
    for case in CASES {
        let clean = Clean::of(case);
        let mut trial = clean.base.clone();
        trial.settle();
        let action = |at: &usize| trial.aws.log[*at].split(' ').next().unwrap().to_owned();
        let actions: BTreeSet<String> = clean.calls.iter().map(action).collect();
        for action in actions {
            let mut world = clean.base.clone();
            world.aws.denied.insert(action.clone());
            for _ in 0..30 {
                world.round().unwrap();
                assert_eq!(
                    world.theirs(),
                    clean.theirs,
                    "{}: {action} denied",
                    case.name
                );
                world.aws.pass(15);
            }
            world.aws.denied.clear();
            world.settle();
            assert_eq!(world.ours(), clean.end, "{}: {action} denied", case.name);
        }
    }
}
