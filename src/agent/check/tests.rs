//! The pace of the checks, and what they tell, in virtual time.

use std::sync::Arc;

use herald_spi::{Gain, IfIndex};

use super::*;

const OWNER: Mac = Mac([2, 0, 0, 0, 0, 1]);
const HOST: Mac = Mac([2, 0, 0, 0, 0, 9]);

/// Checks, their clock, and a wire on which all hosts of `answer` answer.
struct Bench {
    checks: Checks,
    now: Time,
    duties: BTreeMap<Place, Duty>,
    answer: BTreeSet<Mac>,
    /// When what was asked.
    asked: Vec<(Duration, Place)>,
    /// What was told, but for confirmations.
    told: Vec<(Duration, Outcome)>,
    confirmed: usize,
}

fn place(n: u16) -> Place {
    let [high, low] = n.to_be_bytes();
    Place {
        address: [10, 0, high, low].into(),
        interface: IfIndex(2),
    }
}

fn target(owner: &str) -> Target {
    Target {
        owner: owner.into(),
        macs: Arc::new([OWNER].into()),
    }
}

impl Bench {
    /// As many addresses of node a.
    fn new(addresses: u16) -> Self {
        let mut bench = Self {
            checks: Checks::new("me".into()),
            now: Time::from_start(Duration::from_secs(1_000)),
            duties: BTreeMap::new(),
            answer: [OWNER].into(),
            asked: Vec::new(),
            told: Vec::new(),
            confirmed: 0,
        };
        bench.review("a", addresses);
        bench
    }

    fn review(&mut self, owner: &str, addresses: u16) {
        let targets = (0..addresses).map(|n| (place(n), target(owner)));
        self.checks.review(self.now, targets.collect());
    }

    fn elapsed(&self) -> Duration {
        self.now.since(Time::from_start(Duration::from_secs(1_000)))
    }

    /// The duties as they would be handed over.
    fn handed(&mut self) -> BTreeMap<Place, Duty> {
        let mut duties = self.duties.clone();
        self.checks.add_to(self.now, &mut duties);
        duties
    }

    /// Lets the time pass; each question is answered at once.
    fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        let mut ticks = 0;
        while let Some(at) = self.checks.next_deadline().filter(|at| *at <= until) {
            ticks += 1;
            assert!(ticks < 100_000, "it spins");
            self.now = self.now.max(at);
            if !self.checks.tick(self.now, &self.duties) {
                continue;
            }
            for (place, duty) in self.handed() {
                let Duty::Ask(question) = duty else { continue };
                self.asked.push((self.elapsed(), place));
                let found = self
                    .checks
                    .answered(self.now, place, question.id, &self.answer);
                match found {
                    Some(finding) if finding.changed => {
                        self.told.push((self.elapsed(), finding.outcome));
                    }
                    Some(_) => self.confirmed += 1,
                    None => {}
                }
            }
        }
        self.now = until;
    }

    fn times(&self) -> Vec<f64> {
        self.asked.iter().map(|(at, _)| at.as_secs_f64()).collect()
    }
}

#[test]
fn a_new_address_is_checked_after_5_s_and_then_every_30() {
    let mut bench = Bench::new(1);
    bench.pass(3_000);
    let times = bench.times();
    assert!((4.5..6.6).contains(&times[0]), "{times:?}");
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        pauses.iter().all(|pause| (25.0..36.1).contains(pause)),
        "{pauses:?}"
    );
    assert_eq!((bench.told.len(), bench.confirmed), (0, times.len()));
}

#[test]
fn no_second_sees_more_than_20_questions_and_all_get_their_turn() {
    for (addresses, seconds) in [(300, 36), (2_000, 110)] {
        let mut bench = Bench::new(addresses);
        bench.pass(seconds);
        for window in bench.asked.windows(21) {
            assert!(window[20].0 - window[0].0 >= Duration::from_secs(1));
        }
        let places: BTreeSet<_> = bench.asked.iter().map(|(_, place)| *place).collect();
        assert_eq!(places.len(), usize::from(addresses));
    }
}

#[test]
fn a_failure_is_told_once_after_three_tries_and_its_end_once() {
    let mut bench = Bench::new(1);
    bench.pass(60);
    assert_eq!(bench.checks.failing().count(), 0);
    bench.answer = [].into();
    bench.pass(60);
    let owner = NodeName::from("a");
    let failing: Vec<_> = bench.checks.failing().collect();
    assert_eq!(failing, [(place(0), &owner, Outcome::Unanswered)]);
    assert_eq!(bench.told.len(), 1);
    bench.answer = [OWNER].into();
    bench.pass(10);
    assert_eq!(
        bench.checks.failing().count(),
        0,
        "it is asked about often meanwhile"
    );
    bench.answer = [OWNER, HOST].into();
    bench.pass(60);
    let told: Vec<_> = bench.told.iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(
        told,
        [
            Outcome::Unanswered,
            Outcome::Reached,
            Outcome::WrongMac(HOST)
        ]
    );
    assert!(bench.checks.take_changed() && !bench.checks.take_changed());
    bench.pass(600);
    assert!(!bench.checks.take_changed(), "nothing new");
}

#[test]
fn an_address_that_changes_hands_starts_over() {
    let mut bench = Bench::new(1);
    bench.answer = [].into();
    bench.pass(30);
    assert_eq!(bench.checks.failing().count(), 1);
    bench.answer = [OWNER].into();
    bench.review("b", 1);
    assert_eq!(bench.checks.failing().count(), 0);
    assert!(bench.checks.take_changed());
    let from = bench.elapsed().as_secs_f64();
    bench.asked.clear();
    bench.pass(30);
    let first = bench.times()[0] - from;
    assert!((4.5..6.6).contains(&first), "{first}");
    bench.review("b", 0);
    bench.asked.clear();
    bench.pass(100);
    assert_eq!((bench.asked.len(), bench.checks.checked()), (0, 0));
    assert_eq!(bench.checks.next_deadline(), None);
}

/// Puts a question and leaves it open.
fn open_question(bench: &mut Bench) -> Question {
    bench.now = bench.checks.next_deadline().unwrap();
    assert!(bench.checks.tick(bench.now, &bench.duties));
    match bench.handed()[&place(0)] {
        Duty::Ask(question) => question,
        Duty::Own { .. } => panic!("nothing is owned"),
    }
}

#[test]
fn placement_wins_a_place_that_is_being_asked_about_and_that_says_nothing() {
    let mut bench = Bench::new(1);
    let takeover = Duty::Ask(Question {
        id: 7,
        wonder: Wonder::Takeover,
    });
    let own = Duty::Own {
        gain: Gain::Takeover,
        round: 0,
    };
    for duty in [takeover, own] {
        let question = open_question(&mut bench);
        assert!(Checks::asked(question.id) && !Checks::asked(7));
        bench.duties = [(place(0), duty)].into();
        assert_eq!(bench.handed(), bench.duties);
        let late = bench
            .checks
            .answered(bench.now, place(0), question.id, &[].into());
        assert_eq!(late, None);
        bench.pass(20);
        assert_eq!(bench.handed(), bench.duties, "nor is it asked meanwhile");
        bench.duties.clear();
    }
    bench.answer = [].into();
    bench.pass(6);
    assert!(bench.told.is_empty(), "three in a row, and all three later");
}

#[test]
fn a_question_that_could_not_be_put_is_forgotten() {
    let mut bench = Bench::new(1);
    let question = open_question(&mut bench);
    assert_eq!(bench.handed().len(), 1, "until it is answered");
    bench.now = bench.now + GIVE_UP;
    assert!(bench.checks.tick(bench.now, &bench.duties));
    assert!(bench.handed().is_empty());
    let late = bench
        .checks
        .answered(bench.now, place(0), question.id, &[].into());
    assert_eq!(late, None);
    bench.pass(10);
    assert_eq!(bench.asked.len(), 1, "put again");
}

#[test]
fn an_answer_takes_its_question_back() {
    let mut bench = Bench::new(1);
    let question = open_question(&mut bench);
    bench
        .checks
        .answered(bench.now, place(0), question.id, &[OWNER].into());
    bench.now = bench.checks.next_deadline().unwrap();
    assert!(bench.checks.tick(bench.now, &bench.duties));
    assert!(bench.handed().is_empty());
}

#[test]
fn the_targets_are_chosen_a_little_later_than_the_peers_change() {
    let mut bench = Bench::new(0);
    bench.checks.plan_review(bench.now);
    assert!(!bench.checks.wants_review(bench.now));
    bench.now = bench.checks.next_deadline().unwrap();
    assert!(bench.checks.wants_review(bench.now));
    bench.review("a", 1);
    assert!(!bench.checks.wants_review(bench.now + INTERVAL));
}
