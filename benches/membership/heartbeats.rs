//! Herald's membership as an agent of the simulated world.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use herald::membership::{Config, Incarnation, Input, Keys, Membership, Notice, Output};
use herald_spi::{IfIndex, Link, Mac, NodeName, Time};
use ipnet::{IpNet, Ipv4Net};

use crate::world::{Agent, Birth, Effect};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const INTERFACE: IfIndex = IfIndex(2);
const NAME: &str = "node-";
/// Incarnations are as long as those of real agents, which are microseconds of Unix time.
pub const EPOCH: u64 = 1_790_000_000_000_000;

pub struct Heartbeats(Membership);

impl Heartbeats {
    pub fn start(config: Config, birth: &Birth, effects: &mut Vec<Effect>) -> Self {
        let mut agent = Self(Membership::new(
            config,
            NodeName::new(format!("{NAME}{}", birth.at)),
            Incarnation(EPOCH + birth.life),
            Keys::parse(KEY).expect("is a key"),
            birth.seed,
        ));
        let links = Input::Links {
            links: Arc::new([(INTERFACE, link(birth.at))].into()),
            open: BTreeSet::from([INTERFACE]),
        };
        agent.take(birth.now, links, effects);
        agent
    }

    fn take(&mut self, now: Time, input: Input, effects: &mut Vec<Effect>) {
        let mut outputs = Vec::new();
        self.0.handle(now, input, &mut outputs);
        effects.extend(outputs.into_iter().filter_map(|output| match output {
            Output::Send { bytes, .. } => Some(Effect::Tell(bytes.into())),
            Output::Notice(Notice::Joined { node, .. }) => Some(Effect::Sees(place(&node))),
            Output::Notice(Notice::Died { node, .. }) => Some(Effect::Buries(place(&node))),
            Output::Notice(_) | Output::View(_) => None,
        }));
    }
}

impl Agent for Heartbeats {
    fn hear(&mut self, now: Time, datagram: &[u8], effects: &mut Vec<Effect>) {
        let datagram = Input::Datagram {
            interface: INTERFACE,
            source: SocketAddr::from((Ipv4Addr::LOCALHOST, 9_471)),
            bytes: datagram.to_vec(),
        };
        self.take(now, datagram, effects);
    }

    fn wake(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.take(now, Input::Tick, effects);
    }

    fn wakes_at(&self) -> Option<Time> {
        self.0.next_deadline()
    }
}

fn place(node: &NodeName) -> usize {
    let number = node.as_str().strip_prefix(NAME);
    number
        .and_then(|number| number.parse().ok())
        .expect("is a node of this world")
}

/// The address of an agent's node.
pub fn address(at: usize) -> Ipv4Addr {
    let at = u32::try_from(at).expect("a place in the world");
    Ipv4Addr::from_bits(Ipv4Addr::new(192, 168, 0, 1).to_bits() + at)
}

fn link(at: usize) -> Link {
    let [first, second, third, fourth] = address(at).octets();
    let subnet = Ipv4Net::new(address(at), 16).expect("is a prefix length");
    Link {
        index: INTERFACE,
        name: "eth0".to_owned(),
        mac: Mac([2, 0, first, second, third, fourth]),
        up: true,
        addresses: vec![IpNet::V4(subnet)],
    }
}
