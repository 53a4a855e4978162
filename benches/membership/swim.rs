//! foca as an agent of the simulated world, joined as an agent of Herald would join: it knows the addresses of all nodes.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    num::{NonZeroU8, NonZeroU32, NonZeroUsize},
    time::Duration,
};

use clap::Args;
use foca::{
    AccumulatingRuntime, Config, Error, Foca, Identity, NoCustomBroadcast, OwnedNotification,
    PeriodicParams, PostcardCodec, Timer,
};
use herald_spi::Time;
use rand::{SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::{
    heartbeats::{EPOCH, address},
    world::{Agent, Birth, Effect},
};

/// Who knows nobody asks all nodes so often.
const ALONE: Duration = Duration::from_secs(1);

/// The times of the tuned foca, in milliseconds.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "The tuned foca")]
pub struct Tuned {
    /// Milliseconds between two probes of an agent.
    #[arg(long, default_value_t = 50, value_name = "MS")]
    probe_period: u64,
    /// Milliseconds after which an unanswered probe is tried by way of other agents.
    #[arg(long, default_value_t = 10, value_name = "MS")]
    probe_rtt: u64,
    /// By way of how many other agents.
    #[arg(long, default_value_t = NonZeroUsize::MIN.saturating_add(2), value_name = "COUNT")]
    indirect: NonZeroUsize,
    /// Milliseconds from the suspicion to the death.
    #[arg(long, default_value_t = 150, value_name = "MS")]
    suspect: u64,
    /// Milliseconds between two rounds of gossip.
    #[arg(long, default_value_t = 20, value_name = "MS")]
    gossip: u64,
    /// How many agents each round of gossip reaches.
    #[arg(long, default_value_t = NonZeroUsize::MIN.saturating_add(2), value_name = "COUNT")]
    fanout: NonZeroUsize,
    /// How often an agent passes a piece of news on.
    #[arg(long, default_value_t = NonZeroU8::MIN.saturating_add(14), value_name = "COUNT")]
    transmissions: NonZeroU8,
}

impl Tuned {
    /// Refuses times that foca cannot work with.
    pub fn check(&self) -> Result<(), String> {
        if self.probe_rtt == 0 || self.suspect == 0 || self.gossip == 0 {
            return Err("--probe-rtt, --suspect and --gossip need at least 1 ms".to_owned());
        }
        if self.probe_rtt >= self.probe_period {
            return Err(format!(
                "--probe-rtt {} must be less than --probe-period {}",
                self.probe_rtt, self.probe_period
            ));
        }
        Ok(())
    }

    pub fn config(&self, agents: u16) -> Config {
        let every = |millis, num_members| PeriodicParams {
            frequency: Duration::from_millis(millis),
            num_members,
        };
        Config {
            probe_period: Duration::from_millis(self.probe_period),
            probe_rtt: Duration::from_millis(self.probe_rtt),
            num_indirect_probes: self.indirect,
            suspect_to_down_after: Duration::from_millis(self.suspect),
            max_transmissions: self.transmissions,
            periodic_gossip: Some(every(self.gossip, self.fanout)),
            // Who was buried alive shall soon hear of it.
            periodic_announce_to_down_members: Some(every(1_000, NonZeroUsize::MIN)),
            ..lan(agents)
        }
    }
}

/// What foca recommends for a LAN of so many agents.
pub fn lan(agents: u16) -> Config {
    Config::new_lan(NonZeroU32::new(agents.into()).unwrap_or(NonZeroU32::MIN))
}

/// An address and the life of the agent there, so that an agent that was buried comes back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Id {
    address: Ipv4Addr,
    life: u64,
}

impl Id {
    /// The node there, in whatever life.
    fn node(at: usize) -> Self {
        Self {
            address: address(at),
            life: 0,
        }
    }

    fn place(&self) -> usize {
        let from = address(0).to_bits();
        usize::try_from(self.address.to_bits() - from).expect("an address of this world")
    }
}

impl Identity for Id {
    type Addr = Ipv4Addr;

    fn renew(&self) -> Option<Self> {
        Some(Self {
            life: self.life + 1,
            ..*self
        })
    }

    fn addr(&self) -> Ipv4Addr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life > adversary.life
    }
}

pub struct Swim {
    foca: Foca<Id, PostcardCodec, StdRng, NoCustomBroadcast>,
    at: usize,
    agents: usize,
    runtime: AccumulatingRuntime<Id>,
    timers: BTreeMap<(Time, u64), Timer<Id>>,
    next_timer: u64,
    /// When to look for others, if there are none by then.
    looks_at: Time,
}

impl Swim {
    pub fn start(config: Config, birth: &Birth, effects: &mut Vec<Effect>) -> Self {
        let id = Id {
            // A life that was renewed often stays below the next one.
            life: EPOCH + birth.life * 1_000_000,
            ..Id::node(birth.at)
        };
        let rng = StdRng::seed_from_u64(birth.seed);
        let mut agent = Self {
            foca: Foca::new(id, config, rng, PostcardCodec),
            at: birth.at,
            agents: birth.agents,
            runtime: AccumulatingRuntime::new(),
            timers: BTreeMap::new(),
            next_timer: 0,
            looks_at: birth.now,
        };
        agent.look_for_others(birth.now);
        agent.follow(birth.now, effects);
        agent
    }

    fn look_for_others(&mut self, now: Time) {
        self.looks_at = now + ALONE;
        if self.foca.num_members() > 0 {
            return;
        }
        for at in (0..self.agents).filter(|at| *at != self.at) {
            self.foca
                .announce(Id::node(at), &mut self.runtime)
                .expect("an announcement fits a datagram");
        }
    }

    /// Whether this is the end of a suspicion that its target has refuted. foca 2.0 would then change nothing, but tell
    /// the target that it is down. That would take a new identity, and a part of the others would see a death.
    fn is_refuted(&self, timer: &Timer<Id>) -> bool {
        let Timer::ChangeSuspectToDown {
            member_id,
            incarnation,
            ..
        } = timer
        else {
            return false;
        };
        let mut members = self.foca.iter_members();
        members.any(|member| member.id() == member_id && member.incarnation() != *incarnation)
    }

    /// Passes on what foca wants done.
    fn follow(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some((to, datagram)) = self.runtime.to_send() {
            effects.push(Effect::TellOne(to.place(), datagram.as_ref().into()));
        }
        while let Some((after, timer)) = self.runtime.to_schedule() {
            self.next_timer += 1;
            self.timers.insert((now + after, self.next_timer), timer);
        }
        while let Some(notification) = self.runtime.to_notify() {
            match notification {
                OwnedNotification::MemberUp(id) => effects.push(Effect::Sees(id.place())),
                OwnedNotification::MemberDown(id) => effects.push(Effect::Buries(id.place())),
                _ => {}
            }
        }
    }
}

impl Agent for Swim {
    fn hear(&mut self, now: Time, datagram: &[u8], effects: &mut Vec<Effect>) {
        match self.foca.handle_data(datagram, &mut self.runtime) {
            // Who came back after a false death may be asked about its former life, which foca refuses.
            Ok(()) | Err(Error::DataFromOurselves | Error::IndirectForOurselves) => {}
            Err(error) => panic!("foca refused a datagram of foca: {error}"),
        }
        self.follow(now, effects);
    }

    fn wake(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some(timer) = self.timers.first_entry() {
            if timer.key().0 > now {
                break;
            }
            let timer = timer.remove();
            if self.is_refuted(&timer) {
                continue;
            }
            self.foca
                .handle_timer(timer, &mut self.runtime)
                .expect("timers come in order");
            self.follow(now, effects);
        }
        if self.looks_at <= now {
            self.look_for_others(now);
            self.follow(now, effects);
        }
    }

    fn wakes_at(&self) -> Option<Time> {
        let timer = self.timers.first_key_value().map(|((due, _), _)| *due);
        Some(timer.map_or(self.looks_at, |due| due.min(self.looks_at)))
    }
}
