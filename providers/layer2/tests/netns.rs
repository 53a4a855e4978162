//! Layer 2 for real: threads, sockets and netlink, judged by the Linux kernel's own neighbour resolution and by
//! arping, ndisc6 and tcpdump where they are installed.
//!
//! Needs root or user namespaces; says so and is skipped, but fails under `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy exempts test functions, but not what they call"
)]

#[path = "netns/hostile.rs"]
mod hostile;
#[path = "netns/lab.rs"]
mod lab;
#[path = "netns/life.rs"]
mod life;
#[path = "netns/limits.rs"]
mod limits;
#[path = "netns/links.rs"]
mod links;
#[path = "netns/recording.rs"]
mod recording;
#[path = "netns/resolving.rs"]
mod resolving;
#[path = "netns/station.rs"]
mod station;
#[path = "netns/wire.rs"]
mod wire;

use std::{
    collections::BTreeSet,
    env, fs,
    net::IpAddr,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use herald_layer2::{Ending, Layer2, Options, Selection, frame, tap::Tap};
use herald_spi::{
    Announcer, Desired, Duty, Gain, IfIndex, Links, Mac, Place, Question, Report, Wonder,
};
use lab::{Host, Segment, can_make_namespaces, index_of, installed, wait_for};
use station::Station;

const SOON: Duration = Duration::from_secs(5);

/// Layer 2 on a host, and what it reported.
struct Node {
    layer2: Layer2,
    reports: mpsc::Receiver<Report>,
}

impl Node {
    fn start(host: &Host) -> Self {
        let (sink, reports) = mpsc::channel();
        let layer2 = host.station.run(move || {
            Layer2::start(Options::default(), move |report| drop(sink.send(report))).unwrap()
        });
        Self { layer2, reports }
    }

    /// Owns exactly these addresses on one link.
    fn own(&self, interface: IfIndex, addresses: &[IpAddr]) {
        self.want(
            interface,
            addresses,
            Duty::Own {
                gain: Gain::Takeover,
                round: 0,
            },
            &[],
        );
    }

    fn want(&self, interface: IfIndex, addresses: &[IpAddr], duty: Duty, herald: &[Mac]) {
        let place = |&address| (Place { address, interface }, duty);
        self.layer2.set_desired(Arc::new(Desired {
            duties: addresses.iter().map(place).collect(),
            herald_macs: herald.iter().copied().collect(),
        }));
    }

    /// Waits for a report of a kind.
    fn expect<T>(&self, what: &str, mut pick: impl FnMut(&Report) -> Option<T>) -> T {
        let until = Instant::now() + SOON;
        while let Ok(report) = self
            .reports
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if let Some(picked) = pick(&report) {
                return picked;
            }
        }
        panic!("no report: {what}");
    }

    fn expect_links(&self, what: &str, holds: impl Fn(&Links) -> bool) -> Links {
        self.expect(what, |report| match report {
            Report::Links(links) if holds(links) => Some(links.clone()),
            _ => None,
        })
    }

    fn counter(&self, name: &str) -> u64 {
        self.layer2
            .counters()
            .read()
            .find(|(it, ..)| *it == name)
            .unwrap()
            .2
    }
}

fn v4() -> IpAddr {
    "192.168.77.200".parse().unwrap()
}

fn v6() -> IpAddr {
    "fd77::12:3456".parse().unwrap()
}
