mod gaining;
mod keeping;
mod rebalancing;
mod rivalry;

use std::{net::IpAddr, sync::Arc};

use herald_spi::{Duty, Gain, Question, Wonder};

use super::*;
use crate::placement::{
    candidate::{CandidateSet, Unfit},
    scene::{PeerClaim, PlaceView, SegmentView},
};

const PLACE: Place = Place {
    address: IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 77, 200)),
    interface: IfIndex(2),
};
const STRANGER: Mac = Mac([2, 0xbb, 0, 0, 0, 1]);
/// Well after the agents of these tests have settled.
const START: u64 = 10_000;

/// Node `a`, the chosen one, with peers `b` and `c`, on one link, with one address that nobody claims.
struct World {
    scene: Scene,
    claims: Claims,
    out: Output,
    now: u64,
}

fn at(milliseconds: u64) -> Time {
    Time::from_start(Duration::from_millis(milliseconds))
}

fn name(node: &str) -> NodeName {
    NodeName::from(node)
}

/// The hardware address of node `a`, `b`, ...
fn mac(node: &str) -> Mac {
    Mac([2, 0, 0, 0, 0, node.as_bytes()[0]])
}

fn candidates(nodes: &str) -> Arc<CandidateSet> {
    Arc::new(CandidateSet(
        nodes
            .split_whitespace()
            .map(|node| (name(node), 0))
            .collect(),
    ))
}

impl World {
    fn new() -> Self {
        let nodes = ["a", "b", "c"];
        let place = PlaceView {
            unfit: None,
            candidates: candidates("a b c"),
            chosen: Some(name("a")),
            heir: None,
            owner_unfit: None,
            claims: Vec::new(),
            fresh: false,
            proxied: false,
            refused: Vec::new(),
        };
        let segment = SegmentView {
            up: true,
            mac: mac("a"),
            listening_since: at(0),
            heard: BTreeSet::from(["b", "c"].map(name)),
            quiet: 0,
            heard_macs: BTreeSet::from(["b", "c"].map(mac)),
            outlook: None,
        };
        Self {
            scene: Scene {
                segments: BTreeMap::from([(PLACE.interface, segment)]),
                places: BTreeMap::from([(PLACE, place)]),
                peer_macs: ["b", "c"].map(mac).into(),
                own_macs: [mac("a")].into(),
                nodes: nodes.map(name).into(),
            },
            claims: Claims::new(name("a"), Config::default()),
            out: Output::default(),
            now: START,
        }
    }

    /// Node `a` owns the address with this epoch or the next, since [`START`].
    fn owning() -> Self {
        let mut world = Self::new();
        world.step();
        world.answer(&[]);
        assert_eq!(world.step().reason(), "Announcing");
        world
    }

    fn place(&mut self) -> &mut PlaceView {
        self.scene.places.get_mut(&PLACE).unwrap()
    }

    fn segment(&mut self) -> &mut SegmentView {
        self.scene.segments.get_mut(&PLACE.interface).unwrap()
    }

    fn peers_claim(&mut self, claims: &[(&str, Epoch)]) {
        self.place().claims = claims
            .iter()
            .map(|(node, epoch)| PeerClaim {
                node: name(node),
                epoch: *epoch,
                leaving: false,
            })
            .collect();
    }

    fn hear(&mut self, nodes: &[&str]) {
        self.segment().heard = nodes.iter().copied().map(name).collect();
        self.segment().heard_macs = nodes.iter().copied().map(mac).collect();
    }

    fn unfit(&mut self, why: Unfit, others: &str) {
        self.place().unfit = Some(why);
        self.place().candidates = candidates(others);
        self.place().chosen = others.split_whitespace().next().map(name);
    }

    fn step(&mut self) -> State {
        self.claims.step(at(self.now), &self.scene, &mut self.out);
        assert_eq!(self.claims.claimed(), &self.out.claims);
        let owned = self
            .out
            .duties
            .values()
            .filter(|duty| matches!(duty, Duty::Own { .. }))
            .count();
        assert_eq!(owned, self.out.claims.len(), "duty and claim go together");
        assert!(
            self.claims
                .next_deadline()
                .is_none_or(|deadline| deadline > at(self.now))
        );
        let calm = self.out.clone();
        self.claims.step(at(self.now), &self.scene, &mut self.out);
        let events = std::mem::take(&mut self.out.events);
        assert_eq!(events, [], "a step without news says nothing");
        self.out.events = calm.events.clone();
        assert_eq!(self.out, calm, "a step without news changes nothing");
        self.state()
    }

    fn wait(&mut self, milliseconds: u64) -> State {
        self.now += milliseconds;
        self.step()
    }

    /// Steps whenever it is time to, for so long; the reasons on the way.
    fn run(&mut self, milliseconds: u64) -> Vec<(u64, &'static str)> {
        let end = self.now + milliseconds;
        let mut seen = Vec::new();
        while let Some(deadline) = self
            .claims
            .next_deadline()
            .filter(|deadline| *deadline <= at(end))
        {
            self.now = u64::try_from(deadline.since_start().as_millis()).unwrap();
            seen.push((self.now - START, self.step().reason()));
        }
        self.now = end;
        seen
    }

    fn state(&self) -> State {
        self.out
            .states
            .get(&PLACE)
            .cloned()
            .unwrap_or(State::NoLink)
    }

    fn question(&self) -> Option<Question> {
        match self.out.duties.get(&PLACE) {
            Some(Duty::Ask(question)) => Some(*question),
            _ => None,
        }
    }

    fn answer(&mut self, by: &[Mac]) {
        let question = self.question().expect("something is asked").id;
        let input = Input::Answered {
            place: PLACE,
            question,
            by: by.iter().copied().collect(),
        };
        self.claims.handle(at(self.now), input);
    }

    fn claim(&self) -> Option<Epoch> {
        self.out.claims.get(&PLACE).copied()
    }

    fn round(&self) -> u32 {
        match self.out.duties[&PLACE] {
            Duty::Own { round, .. } => round,
            Duty::Ask(_) => panic!("not owned"),
        }
    }
}
