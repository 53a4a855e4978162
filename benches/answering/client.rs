//! The client: asks for one address at a time through a raw socket, and takes the time until the answer.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use herald_layer2::{
    decode,
    frame::{Frame, arp, ndp},
    tap::Tap,
};
use herald_spi::{IfIndex, Mac};

use crate::{cluster::NODES_OWN, segment::Segment};

/// An answer that takes longer is lost.
const PATIENCE: Duration = Duration::from_millis(200);
/// The pause between two questions: the agent has gone to sleep.
const PACE: Duration = Duration::from_millis(1);
/// The client asks in the name of so many hosts, because nobody may ask for a single address again and again.
const ASKERS: u8 = 32;
/// A prime, so that neighbouring questions are for addresses far apart, and each has its turn.
const STRIDE: usize = 7_919;

/// A raw socket on the segment.
pub struct Client {
    pub tap: Tap,
}

/// How fast answers came.
#[derive(Clone, Debug)]
pub struct Latencies {
    pub protocol: Protocol,
    pub answerer: Answerer,
    /// Sorted.
    times: Vec<Duration>,
    pub lost: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Arp,
    Ndp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answerer {
    Kernel,
    Herald,
}

/// A host in whose name is asked.
struct Asker {
    mac: Mac,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Client {
    pub fn open(segment: &Segment) -> anyhow::Result<Self> {
        // sysfs shows the namespace in which it was mounted.
        let shown = segment.client.sh("ip -o link show eth0");
        let index = shown.split(':').next().context("no index")?.parse()?;
        let tap = segment.client.run(move || Tap::open(IfIndex(index)))?;
        Ok(Self { tap })
    }

    /// Asks so often for each family and answerer, by turns.
    pub fn measure(&self, requests: u32, announced: &[IpAddr]) -> anyhow::Result<Vec<Latencies>> {
        let (own4, own6) = NODES_OWN;
        let of = |ipv4: bool| {
            announced
                .iter()
                .copied()
                .filter(move |it| it.is_ipv4() == ipv4)
        };
        let mut turns = [
            (
                Latencies::new(Protocol::Arp, Answerer::Kernel),
                vec![own4.into()],
            ),
            (
                Latencies::new(Protocol::Arp, Answerer::Herald),
                of(true).collect(),
            ),
            (
                Latencies::new(Protocol::Ndp, Answerer::Kernel),
                vec![own6.into()],
            ),
            (
                Latencies::new(Protocol::Ndp, Answerer::Herald),
                of(false).collect(),
            ),
        ];
        for number in 0..usize::try_from(requests)? {
            let asker = Asker::new(u8::try_from(number % usize::from(ASKERS))?);
            for (latencies, addresses) in &mut turns {
                ensure!(!addresses.is_empty(), "no address to ask for");
                let address: IpAddr = addresses[number.wrapping_mul(STRIDE) % addresses.len()];
                thread::sleep(PACE);
                match self.ask(&asker, address)? {
                    Some(time) => latencies.times.push(time),
                    None => latencies.lost += 1,
                }
            }
        }
        Ok(turns
            .into_iter()
            .map(|(latencies, _)| latencies.sorted())
            .collect())
    }

    /// The time until the answer; `None` if there is none.
    fn ask(&self, asker: &Asker, address: IpAddr) -> io::Result<Option<Duration>> {
        let question = asker.question(address);
        let sent = Instant::now();
        self.tap.send(&question)?;
        while let Some(left) = PATIENCE.checked_sub(sent.elapsed()) {
            let frame = self.tap.next(left)?;
            let took = sent.elapsed();
            if frame.is_some_and(|frame| asker.is_answered(address, &frame)) {
                return Ok(Some(took));
            }
        }
        Ok(None)
    }
}

impl Asker {
    fn new(number: u8) -> Self {
        Self {
            mac: Mac([2, 0, 0, 0, 0x78, number]),
            v4: Ipv4Addr::new(10, 9, 200, number),
            v6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0xc8, u16::from(number)),
        }
    }

    fn question(&self, address: IpAddr) -> Vec<u8> {
        match address {
            IpAddr::V4(address) => arp::request(self.mac, self.v4, address),
            IpAddr::V6(address) => ndp::request(self.mac, self.v6, address),
        }
    }

    fn is_answered(&self, address: IpAddr, frame: &[u8]) -> bool {
        match decode(frame) {
            Ok(Frame::Arp(arp)) => {
                !arp.is_request() && arp.destination() == self.mac && arp.sender() == address
            }
            Ok(Frame::Ndp(ndp)) => {
                !ndp.is_solicitation() && ndp.destination() == self.mac && ndp.target() == address
            }
            Err(_) => false,
        }
    }
}

impl Latencies {
    fn new(protocol: Protocol, answerer: Answerer) -> Self {
        Self {
            protocol,
            answerer,
            times: Vec::new(),
            lost: 0,
        }
    }

    fn sorted(mut self) -> Self {
        self.times.sort_unstable();
        self
    }

    pub fn answered(&self) -> usize {
        self.times.len()
    }

    /// What so many of a hundred answers took at most, in microseconds.
    pub fn percentile(&self, hundredths: usize) -> f64 {
        let last = self.times.len().saturating_sub(1);
        let time = self.times.get(last * hundredths / 100);
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Arp => "ARP",
            Self::Ndp => "NDP",
        })
    }
}

impl fmt::Display for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kernel => "kernel",
            Self::Herald => "herald",
        })
    }
}
