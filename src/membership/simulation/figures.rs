//! The figures in `docs/performance.md`: how soon deaths are noticed, how often falsely, and what it costs.
//!
//! `cargo test --release --lib membership::simulation::figures -- --ignored --nocapture`

use super::*;

/// Simulated agents, deaths to measure, and seconds of 20 % loss to bear.
const SIZES: [(usize, usize, u64); 3] = [(3, 100, 600), (30, 20, 60), (300, 1, 1)];

#[test]
#[ignore = "takes minutes; prints a table"]
fn detection_false_deaths_and_cost() {
    println!(
        "| setting | agents | noticed by all, median | slowest | false deaths at 20 % loss | in | sent by each | heard by each |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, config) in [
        ("normal", Config::NORMAL),
        ("calm", Config::CALM),
        ("fast", Config::FAST),
    ] {
        for (count, kills, seconds) in SIZES {
            let mut world = World::with(7, count, config);
            world.run_for(ms(1_000));
            let (median, slowest) = detection(&mut world, kills);
            let (sent, heard) = idle(&mut world);
            let deaths = false_deaths(&mut world, seconds);
            println!(
                "| {name} | {count} | {median} ms | {slowest} ms | {deaths} | {seconds} s | {sent}/s | {heard}/s |"
            );
        }
    }
}

/// Milliseconds from a kill until every other agent has noticed.
fn detection(world: &mut World, kills: usize) -> (u128, u128) {
    let count = world.agents.len();
    let mut times = Vec::new();
    for kill in 0..kills {
        let victim = kill % count;
        let moment = world.dice.between(ms(0), world.config.heartbeat);
        world.run_for(moment);
        world.kill(victim);
        let gone = |w: &World| (0..count).all(|at| at == victim || !w.sees(at, victim));
        times.push(world.run_until(ms(2_000), "the dead is gone", gone));
        world.start(victim);
        world.run_for(ms(1_000));
    }
    times.sort_unstable();
    (
        times[times.len() / 2].as_millis(),
        times[times.len() - 1].as_millis(),
    )
}

/// Datagrams a second, of one family on one interface.
fn idle(world: &mut World) -> (u64, u64) {
    const SECONDS: u64 = 1;
    let sent = |w: &World| w.agents.iter().map(|agent| agent.sent).sum::<u64>();
    let before = sent(world);
    world.run_for(ms(SECONDS * 1_000));
    let all = (sent(world) - before) / SECONDS;
    let count = world.agents.len() as u64;
    (all / count, all - all / count)
}

fn false_deaths(world: &mut World, seconds: u64) -> usize {
    let before = world.deaths().len();
    world.loss = 200;
    world.run_for(ms(seconds * 1_000));
    let false_ones = world.deaths().len() - before;
    world.loss = 0;
    false_ones
}
