//! What a survey sends when, and what it makes of the answers. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use herald_spi::{Mac, Time};

use crate::frame::{
    Frame, arp, decode,
    dhcp::{self, Offer},
    ndp,
};

/// So many addresses are asked for at most.
pub const LIMIT: usize = 4096;
/// Between two probes: a hundred a second, which no network feels.
const PACE: Duration = Duration::from_millis(10);
/// After the last probe answers may still come.
const LINGER: Duration = Duration::from_secs(1);
/// A DHCP server may ping an address for three seconds before it offers it.
const OFFERS: Duration = Duration::from_secs(5);
/// Each address is asked for so often, since a frame may be lost.
const ROUNDS: usize = 2;
/// More is not told of one segment.
const MOST_ANSWERS: usize = 1000;
const MOST_OFFERS: usize = 16;

/// What to look for on a link.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The addresses to ask for; beyond [`LIMIT`] they are left out.
    pub targets: Vec<IpAddr>,
    /// The number of the question to DHCP servers; `None`: they are not asked.
    pub transaction: Option<u32>,
}

/// What has been found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// For how many addresses was asked.
    pub asked: usize,
    /// Who has which of them.
    pub answered: BTreeSet<(IpAddr, Mac)>,
    /// What DHCP servers offer.
    pub offers: BTreeSet<Offer>,
}

/// See the module.
#[derive(Debug)]
pub struct Survey {
    me: Mac,
    targets: Vec<IpAddr>,
    /// The targets again, each with whether it was asked for.
    asked: BTreeMap<IpAddr, bool>,
    /// How many probes were due so far, of both rounds.
    at: usize,
    next: Time,
    ends: Time,
    transaction: Option<u32>,
    discovered: bool,
    found: Found,
    over: bool,
}

impl Survey {
    /// A survey that begins now.
    #[must_use]
    pub fn new(now: Time, me: Mac, plan: Plan) -> Self {
        let mut targets = plan.targets;
        targets.truncate(LIMIT);
        let ends = match plan.transaction {
            Some(_) => now + OFFERS,
            None => now,
        };
        Self {
            me,
            asked: targets.iter().map(|address| (*address, false)).collect(),
            over: targets.is_empty() && plan.transaction.is_none(),
            targets,
            at: 0,
            next: now,
            ends,
            transaction: plan.transaction,
            discovered: false,
            found: Found::default(),
        }
    }

    /// When [`Self::tick`] has something to do; `None` when all is done.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        (!self.over).then_some(self.next)
    }

    /// What is due now. What is held is not asked for.
    pub fn tick(&mut self, now: Time, held: &impl Fn(IpAddr) -> bool) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        if now < self.next {
            return frames;
        }
        if let Some(transaction) = self.transaction.filter(|_| !self.discovered) {
            self.discovered = true;
            frames.push(dhcp::discover(self.me, transaction, self.wanted(held)));
        }
        // One at a time: what is late is not made up for.
        while self.at < self.targets.len() * ROUNDS {
            let target = self.targets.get(self.at % self.targets.len());
            self.at += 1;
            let Some(target) = target.copied().filter(|target| !held(*target)) else {
                continue;
            };
            let answers = (target, Mac::ZERO)..=(target, Mac::BROADCAST);
            if self.found.answered.range(answers).next().is_some() {
                continue;
            }
            if let Some(asked) = self.asked.get_mut(&target) {
                self.found.asked += usize::from(!std::mem::replace(asked, true));
            }
            frames.push(match target {
                IpAddr::V4(target) => arp::probe(self.me, target),
                IpAddr::V6(target) => ndp::probe(self.me, target),
            });
            self.ends = self.ends.max(now + LINGER);
            self.next = now + PACE;
            return frames;
        }
        self.over = now >= self.ends;
        self.next = self.ends;
        frames
    }

    /// Takes in a frame. One that is none of the asked-for kinds, or ill, says nothing.
    pub fn receive(&mut self, bytes: &[u8]) {
        if let Ok(Some(offer)) = dhcp::offer(bytes, self.me) {
            let ours = self.transaction == Some(offer.transaction);
            if ours && self.found.offers.len() < MOST_OFFERS {
                self.found.offers.insert(offer);
            }
            return;
        }
        // Whoever speaks from an address has it, asked or not.
        let (address, mac) = match decode(bytes) {
            Ok(Frame::Arp(frame)) => (IpAddr::V4(frame.sender()), frame.sender_mac()),
            Ok(Frame::Ndp(frame)) if frame.is_solicitation() => {
                (IpAddr::V6(frame.source()), frame.source_mac())
            }
            Ok(Frame::Ndp(frame)) => {
                let mac = frame.link_layer().unwrap_or(frame.source_mac());
                (IpAddr::V6(frame.target()), mac)
            }
            Err(_) => return,
        };
        let asked = self.asked.get(&address) == Some(&true);
        if asked && mac != self.me && self.found.answered.len() < MOST_ANSWERS {
            self.found.answered.insert((address, mac));
        }
    }

    /// What has been found so far.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// What was found in the end, without the addresses that have a holder by now: it is the holder that answers.
    #[must_use]
    pub fn end(self, held: &impl Fn(IpAddr) -> bool) -> Found {
        let mut found = self.found;
        found.answered.retain(|(address, _)| !held(*address));
        found
    }

    /// The address that DHCP servers are asked for: one that lies in the range of a server is what it offers.
    fn wanted(&self, held: &impl Fn(IpAddr) -> bool) -> Option<Ipv4Addr> {
        let free = self.targets.iter().filter(|target| !held(**target));
        let mut v4 = free.filter_map(|target| match target {
            IpAddr::V4(target) => Some(*target),
            IpAddr::V6(_) => None,
        });
        v4.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 9]);

    fn at(millis: u64) -> Time {
        Time::from_start(Duration::from_millis(millis))
    }

    fn addresses(all: &[&str]) -> Vec<IpAddr> {
        all.iter().map(|address| address.parse().unwrap()).collect()
    }

    /// Runs it to its end; `answer` is what comes back for each frame. The frames, and when it ended.
    fn play(
        survey: &mut Survey,
        held: &impl Fn(IpAddr) -> bool,
        answer: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> (Vec<(Time, Vec<u8>)>, Time) {
        let (mut sent, mut now) = (Vec::new(), at(0));
        while let Some(next) = survey.next_deadline() {
            now = now.max(next);
            for frame in survey.tick(now, held) {
                if let Some(answer) = answer(&frame) {
                    survey.receive(&answer);
                }
                sent.push((now, frame));
            }
        }
        (sent, now)
    }

    fn target(frame: &[u8]) -> IpAddr {
        match decode(frame).unwrap() {
            Frame::Arp(frame) => {
                assert!(frame.is_probe(), "it must change nobody's cache");
                frame.target().into()
            }
            Frame::Ndp(frame) => {
                assert!(frame.is_probe());
                frame.target().into()
            }
        }
    }

    #[test]
    fn each_address_is_asked_for_twice_slowly_unless_it_is_held_or_answers() {
        let plan = Plan {
            targets: addresses(&[
                "192.168.77.1",
                "192.168.77.2",
                "192.168.77.3",
                "fd77::1",
                "fd77::2",
            ]),
            transaction: None,
        };
        let mut survey = Survey::new(at(0), ME, plan);
        let held = |address: IpAddr| address.to_string() == "192.168.77.2";
        let (sent, ended) = play(&mut survey, &held, |frame| match target(frame) {
            IpAddr::V4(it) if it.octets()[3] == 3 => {
                Some(arp::reply(OTHER, it, ME, [0, 0, 0, 0].into()))
            }
            IpAddr::V6(it) if it.segments()[7] == 2 => Some(ndp::unsolicited(OTHER, it)),
            _ => None,
        });
        let asked: Vec<String> = sent
            .iter()
            .map(|(_, frame)| target(frame).to_string())
            .collect();
        assert_eq!(
            asked,
            [
                "192.168.77.1",
                "192.168.77.3",
                "fd77::1",
                "fd77::2",
                "192.168.77.1",
                "fd77::1"
            ]
        );
        for pair in sent.windows(2) {
            assert!(pair[1].0.since(pair[0].0) >= PACE);
        }
        assert_eq!(ended, at(50) + LINGER);
        let found = survey.end(&held);
        assert_eq!(found.asked, 4);
        let answered: Vec<String> = found
            .answered
            .iter()
            .map(|(it, _)| it.to_string())
            .collect();
        assert_eq!(answered, ["192.168.77.3", "fd77::2"]);
    }

    #[test]
    fn what_got_a_holder_meanwhile_and_what_nobody_asked_for_is_not_told() {
        let plan = Plan {
            targets: addresses(&["192.168.77.1"]),
            transaction: None,
        };
        let mut survey = Survey::new(at(0), ME, plan);
        let one = [192, 168, 77, 1].into();
        let early = arp::announcement_request(OTHER, one);
        survey.receive(&early);
        assert_eq!(survey.found().answered.len(), 0, "nobody asked yet");
        play(&mut survey, &|_| false, |_| Some(early.clone()));
        survey.receive(&arp::announcement_request(OTHER, [192, 168, 77, 8].into()));
        survey.receive(&arp::announcement_request(ME, one));
        assert_eq!(
            survey.found().answered,
            BTreeSet::from([(one.into(), OTHER)])
        );
        assert_eq!(survey.end(&|_| true).answered, BTreeSet::new());
    }

    #[test]
    fn dhcp_servers_are_asked_once_and_waited_for() {
        let plan = Plan {
            targets: addresses(&["192.168.77.1", "192.168.77.2"]),
            transaction: Some(77),
        };
        let mut survey = Survey::new(at(0), ME, plan);
        let held = |address: IpAddr| address.to_string() == "192.168.77.1";
        let (sent, ended) = play(&mut survey, &held, |_| None);
        let discovers: Vec<_> = sent
            .iter()
            .filter(|(_, frame)| frame[12..14] == [8, 0])
            .collect();
        assert_eq!(discovers.len(), 1);
        let wanted = Ipv4Addr::new(192, 168, 77, 2);
        assert_eq!(discovers[0].1, dhcp::discover(ME, 77, Some(wanted)));
        assert_eq!(ended, at(0) + OFFERS);
    }

    #[test]
    fn a_large_pool_is_asked_for_in_part() {
        let targets = (0..5000_u32)
            .map(|n| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n)))
            .collect();
        let mut survey = Survey::new(
            at(0),
            ME,
            Plan {
                targets,
                transaction: None,
            },
        );
        let (sent, _) = play(&mut survey, &|_| false, |_| None);
        assert_eq!((sent.len(), survey.found().asked), (2 * LIMIT, LIMIT));
        assert_eq!(
            Survey::new(at(0), ME, Plan::default()).next_deadline(),
            None
        );
    }
}
