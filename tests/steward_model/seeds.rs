//! Which histories are played, and what is said of one that breaks a promise.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Instant, SystemTime},
};

use crate::{
    known,
    play::Play,
    promises::{Broken, Kept},
    sabotage::Sabotage,
};

/// Steps of one history. A seed means the same history as long as this stays the same.
pub const STEPS: usize = 1_000;
/// The first seed of every run but a survey.
const FIRST: u64 = 1_795_439_089_000;
/// Histories are played by so many threads.
const THREADS: usize = 2;

/// Plays one history; a panic breaks a promise, too.
pub fn play(play: &mut Play, steps: usize) -> Kept {
    match catch_unwind(AssertUnwindSafe(|| play.run(steps))) {
        Ok(kept) => kept,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            Err(Broken {
                promise: "nothing panics",
                what: text.unwrap_or_default(),
            })
        }
    }
}

/// Plays as many histories as there is time for, or the one that is asked for.
pub fn play_all(failed_once: &[u64]) {
    if let Some(seed) = number("HERALD_MODEL_SEED") {
        let mut one = Play::new(seed, Sabotage::None, true);
        let kept = play(&mut one, STEPS);
        assert!(kept.is_ok(), "{}", report(seed, &one, kept));
        return;
    }
    let steps = number("HERALD_MODEL_STEPS").map_or(100_000, |n| usize::try_from(n).unwrap());
    let histories = steps.div_ceil(STEPS);
    // The same histories in every run, so that what fails was broken by the change at hand. A survey plays new ones;
    // docs/design-notes.md says what it still finds.
    let first = number("HERALD_MODEL_FIRST").unwrap_or_else(|| {
        let random = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        if is_survey() {
            random.unwrap().as_secs() * 1_000
        } else {
            FIRST
        }
    });
    let fresh = (first..).take(histories.saturating_sub(failed_once.len()));
    let seeds: Vec<u64> = failed_once.iter().copied().chain(fresh).collect();
    println!(
        "{} seeds: {failed_once:?} and from {first}; {STEPS} steps each",
        seeds.len()
    );
    let began = Instant::now();
    let (failures, known) = play_in_threads(&seeds);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} steps in {seconds:.1} s; {known} histories end at a known bug",
        seeds.len() * STEPS
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // The known ones are rare: what looks like them and is not shall not hide behind them.
    let most = failed_once.len() + seeds.len() / 20;
    assert!(
        known <= most,
        "{known} histories end at a known bug, more than {most}"
    );
}

/// What fails, until something does, and how many histories end at a known bug.
fn play_in_threads(seeds: &[u64]) -> (Vec<String>, usize) {
    let (next, known) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    // All failures in short, instead of the first one at length.
    let survey = is_survey();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut one = Play::new(*seed, Sabotage::None, false);
                    let kept = play(&mut one, STEPS);
                    match kept {
                        Ok(()) => {}
                        Err(broken) if survey => {
                            println!("{seed} {:>4} {}: {}", one.step, broken.promise, broken.what);
                        }
                        Err(broken) if known::is_bug(&broken) => {
                            known.fetch_add(1, Ordering::Relaxed);
                        }
                        kept => {
                            next.store(seeds.len(), Ordering::Relaxed);
                            failures.lock().unwrap().push(report(*seed, &one, kept));
                        }
                    }
                }
            });
        }
    });
    (failures.into_inner().unwrap(), known.into_inner())
}

fn report(seed: u64, play: &Play, kept: Kept) -> String {
    let Err(broken) = kept else {
        return String::new();
    };
    let trail: Vec<_> = play.trail.iter().map(String::as_str).collect();
    format!(
        "seed {seed} breaks a promise at step {}\n\n{}\n\n{}: {}\n\nreplay: HERALD_MODEL_SEED={seed} cargo test --test \
         steward_model the_promises_hold -- --nocapture\n",
        play.step,
        trail.join("\n"),
        broken.promise,
        broken.what
    )
}

fn is_survey() -> bool {
    number("HERALD_MODEL_SURVEY").is_some()
}

fn number(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().expect("a number"))
}
