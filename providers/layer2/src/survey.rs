//! Looks on one segment for hosts that have addresses which nobody should have, and for DHCP servers that give them out.
//! Once, when somebody asks; apart from the thread that answers, on sockets of its own.
//!
//! ```text
//!   Plan ──▶ machine: probes, one every 10 ms ──frames──▶ sockets ──▶ the wire
//!   held ──▶    ▲ └──▶ Found ──▶ tell                        │
//!               └──────────────── frames ◀───────────────────┘
//! ```
//!
//! Nothing that is sent changes anybody's cache: ARP probes have no sender (RFC 5227), solicitations no source (RFC 4862
//! section 5.4.2), and a DISCOVER takes no lease. An address that is held at the moment is neither asked for nor told.

mod machine;

use std::{future::poll_fn, net::IpAddr, time::Duration};

use herald_spi::{Link, Time};
use tokio::time;

pub use machine::{Found, LIMIT, Plan, Survey};

use crate::{
    error::Layer2Error,
    filter::{self, Program},
    frame::MAX_FRAME,
    socket,
    sys::{self, Watched},
};

/// So many frames are read from one socket before the next one has its turn.
const BATCH: usize = 64;

/// Carries a plan out on a link. `held` says whether an address has a holder now; `tell` is told what was found so far,
/// about once a second.
///
/// # Errors
/// When packet sockets are forbidden, or the link is gone or down.
pub async fn survey(
    link: &Link,
    plan: Plan,
    held: impl Fn(IpAddr) -> bool,
    mut tell: impl FnMut(&Found),
) -> Result<Found, Layer2Error> {
    const TELL: Duration = Duration::from_secs(1);
    let sockets = open(link, &plan)?;
    let mut survey = Survey::new(now(), link.mac, plan);
    let mut tell_at = now() + TELL;
    let mut buffer = [0; MAX_FRAME + 1];
    while let Some(next) = survey.next_deadline() {
        let wait = next.min(tell_at).since(now());
        tokio::select! {
            () = readable(&sockets) => {}
            () = time::sleep(wait) => {}
        }
        for watched in &sockets {
            socket::read_batch(watched, &mut buffer, BATCH, |frame| survey.receive(frame))?;
        }
        for frame in survey.tick(now(), &held) {
            send(&sockets, &frame)?;
        }
        if now() >= tell_at {
            tell_at = now() + TELL;
            tell(survey.found());
        }
    }
    Ok(survey.end(&held))
}

/// A socket for each kind of frame that is asked or answered with.
fn open(link: &Link, plan: &Plan) -> Result<Vec<Watched>, Layer2Error> {
    let programs: [(bool, u16, Program); 3] = [
        (
            plan.targets.iter().any(IpAddr::is_ipv4),
            0x0806,
            filter::any_arp(),
        ),
        (
            plan.targets.iter().any(IpAddr::is_ipv6),
            0x86dd,
            filter::any_ndp(),
        ),
        (
            plan.transaction.is_some(),
            0x0800,
            filter::to_dhcp_clients(),
        ),
    ];
    let wanted = programs.into_iter().filter(|(wanted, ..)| *wanted);
    wanted
        .map(|(_, ethertype, program)| socket::open(link, ethertype, &program))
        .collect()
}

async fn readable(sockets: &[Watched]) {
    poll_fn(|context| {
        let mut ready = std::task::Poll::Pending;
        for watched in sockets {
            // Each one is asked, so that each one wakes the task.
            if watched.poll_readable(context).is_ready() {
                ready = std::task::Poll::Ready(());
            }
        }
        ready
    })
    .await;
}

/// Any of them sends any frame. A queue that is full for a moment loses a probe; each address is asked for twice.
fn send(sockets: &[Watched], frame: &[u8]) -> Result<(), Layer2Error> {
    let Some(watched) = sockets.first() else {
        return Ok(());
    };
    match watched.socket().send(frame) {
        Ok(_) => Ok(()),
        Err(error) if socket::is_passing(&error) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn now() -> Time {
    Time::from_start(sys::since_boot())
}
