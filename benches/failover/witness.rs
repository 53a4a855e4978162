//! Who answers the client's questions for the addresses. Two hosts that answer one question are two owners.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use herald_layer2::tap::Tap;
use herald_spi::IfIndex;

use crate::{
    prober::FORGET,
    segment::{CLIENT_MAC, Segment, VIPS},
};

/// Answers that are closer than this are to one question: the client asks once in [`FORGET`].
const ONE_QUESTION: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_millis(100);

type Mac = [u8; 6];

/// Listens on the client's link until it is dropped.
pub struct Witness {
    seen: Arc<Mutex<[Seen; 2]>>,
    stop: Arc<AtomicBool>,
}

/// The answers for one address.
#[derive(Debug, Default)]
struct Seen {
    last: Option<(Instant, Mac)>,
    /// How many questions two hosts answered.
    doubled: u32,
}

impl Witness {
    pub fn start(segment: &Segment) -> anyhow::Result<Self> {
        let link = IfIndex(segment.client_link()?);
        let tap = segment.client.run(move || Tap::open(link))?;
        let seen = Arc::<Mutex<[Seen; 2]>>::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, ended) = (Arc::clone(&seen), Arc::clone(&stop));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if let Ok(Some(frame)) = tap.next(PATIENCE)
                    && let Some((family, by)) = answer(&frame)
                {
                    kept.lock().unwrap()[family].take(Instant::now(), by);
                }
            }
        });
        Ok(Self { seen, stop })
    }

    /// Begins to count.
    pub fn begin(&self) {
        for seen in &mut *self.seen.lock().unwrap() {
            seen.doubled = 0;
        }
    }

    /// For how long two hosts have answered since, for each family.
    pub fn rivalries(&self) -> [Duration; 2] {
        let seen = self.seen.lock().unwrap();
        [0, 1].map(|family: usize| seen[family].doubled * FORGET)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    fn take(&mut self, now: Instant, by: Mac) {
        let rival =
            |(at, other): &(Instant, Mac)| *other != by && now.duration_since(*at) < ONE_QUESTION;
        self.doubled += u32::from(self.last.as_ref().is_some_and(rival));
        self.last = Some((now, by));
    }
}

/// For which family a frame answers the client, and who sent it.
fn answer(frame: &[u8]) -> Option<(usize, Mac)> {
    let field = |range: std::ops::Range<usize>| frame.get(range);
    if field(0..6)? != CLIENT_MAC {
        return None;
    }
    let by = Mac::try_from(field(6..12)?).ok()?;
    let [vip4, vip6] = VIPS;
    match field(12..14)? {
        [0x08, 0x06] => {
            let vip: Ipv4Addr = vip4.parse().ok()?;
            let is_reply = field(20..22)? == [0, 2] && field(28..32)? == vip.octets();
            is_reply.then_some((0, by))
        }
        [0x86, 0xdd] => {
            let vip: Ipv6Addr = vip6.parse().ok()?;
            // ICMPv6, neighbour advertisement.
            let is_advertisement =
                field(20..21)? == [58] && field(54..55)? == [136] && field(62..78)? == vip.octets();
            is_advertisement.then_some((1, by))
        }
        _ => None,
    }
}
