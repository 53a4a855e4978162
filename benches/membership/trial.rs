//! One contestant among so many agents: deaths, an idle while, and a while in which datagrams are lost.

use std::{fmt, time::Duration};

use clap::ValueEnum;
use herald::membership::Config;

use crate::{
    figures::Figures,
    heartbeats::Heartbeats,
    swim::{self, Swim, Tuned},
    world::{Agent, Birth, Effect, World},
};

/// The share of lost datagrams in the bad while.
const LOSS: f64 = 0.2;
/// By then all have found each other, or never will.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contestant {
    /// Herald's heartbeats, `--failover normal`.
    Herald,
    /// foca with its settings for a LAN.
    FocaLan,
    /// foca with settings as fast as Herald's.
    FocaTuned,
}

#[derive(Clone, Copy, Debug)]
pub struct Trial {
    pub who: Contestant,
    pub agents: u16,
    pub seed: u64,
    pub scale: f64,
    pub tuned: Tuned,
}

/// How much is played, as much as takes tens of seconds.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// In which agents start or die, each at a moment of its own: longer than what they do regularly.
    span: Duration,
    /// After the others are found, until all is told about them.
    settling: Duration,
    /// How often agents die.
    rounds: u32,
    /// How many die in one span.
    victims: usize,
    idle: Duration,
    lossy: Duration,
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Herald => "Herald, normal",
            Self::FocaLan => "foca, LAN",
            Self::FocaTuned => "foca, tuned",
        })
    }
}

impl Trial {
    pub fn play(&self) -> Figures {
        let load = self.load();
        let start = |birth: &Birth, effects: &mut Vec<Effect>| self.start(birth, effects);
        let mut world = World::new(&start, self.agents, load.span, self.seed);

        self.report("the agents find each other");
        let whole = world.run_until(PATIENCE, World::is_whole);
        assert!(whole, "{self}: not all agents found each other");
        world.run_for(load.settling);

        self.report(&format!("idle for {} s", load.idle.as_secs_f64()));
        world.reset(0.0);
        world.run_for(load.idle);
        let idle = world.record().clone();

        self.report(&format!("{} deaths", load.rounds as usize * load.victims));
        world.reset(0.0);
        for _ in 0..load.rounds {
            self.play_deaths(&mut world, &load);
        }
        let deaths = world.record().clone();

        self.report(&format!("20 % loss for {} s", load.lossy.as_secs_f64()));
        world.reset(LOSS);
        world.run_for(load.lossy);
        self.report("done");
        Figures::new(*self, load.idle, &idle, deaths, world.record())
    }

    /// Kills, waits until all have noticed, and starts the dead again.
    fn play_deaths(&self, world: &mut World<'_>, load: &Load) {
        let deaths = world.record().noticed.len() + load.victims;
        world.kill_within(load.victims, load.span);
        let noticed = world.run_until(PATIENCE, |world| world.record().noticed.len() == deaths);
        assert!(noticed, "{self}: a death was never noticed by all");
        world.revive();
        let whole = world.run_until(PATIENCE, World::is_whole);
        assert!(whole, "{self}: not all agents came back");
        world.run_for(load.settling);
    }

    fn start(&self, birth: &Birth, effects: &mut Vec<Effect>) -> Box<dyn Agent> {
        let swim = match self.who {
            Contestant::Herald => {
                return Box::new(Heartbeats::start(Config::NORMAL, birth, effects));
            }
            Contestant::FocaLan => swim::lan(self.agents),
            Contestant::FocaTuned => self.tuned.config(self.agents),
        };
        Box::new(Swim::start(swim, birth, effects))
    }

    /// Every agent hears every heartbeat, so the work grows with the square of the agents; with SWIM it grows as they do.
    fn load(&self) -> Load {
        let agents = f64::from(self.agents);
        let (span, settling, idle, lossy) = match self.who {
            Contestant::Herald => (0.2, 0.3, 900.0 / agents.powi(2), 130_000.0 / agents.powi(2)),
            _ => (1.0, 2.0, 180.0 / agents, 4_000.0 / agents),
        };
        let scaled = |count: f64| (count * self.scale).round().max(1.0);
        let (rounds, victims) = match self.agents {
            0..100 => (scaled(1_500.0 / (agents + 12.0)), 1),
            100.. => (scaled(1.0), 10),
        };
        Load {
            span: Duration::from_secs_f64(span),
            settling: Duration::from_secs_f64(settling),
            rounds: rounds as u32,
            victims,
            idle: Duration::from_secs_f64(scaled(idle)),
            lossy: Duration::from_secs_f64(scaled(lossy)),
        }
    }

    fn report(&self, doing: &str) {
        eprintln!("{self}: {doing}");
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} agents", self.who, self.agents)
    }
}
