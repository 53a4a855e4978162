//! Another Herald node announces a place that this node owns, and is not heard.
//!
//! Heartbeats settle nearly all such cases within the time of a message. They cannot where they are blocked. Then the
//! two see each other's announcements, and both know whose hardware address has the better hash: the other one lets
//! go, asks the wire, gets an answer, and stays away for as long as it gets one. If it does not let go it hears this
//! node though this node does not hear it, and has the better claim: then this one lets go.
//!
//! ```text
//!   seen ── 0.5 s: heartbeats would have come ──▶ the worse hash yields;  the better stands
//!                                                                            └─ 3 s later still seen ──▶ yields
//! ```
//!
//! A host on the LAN may forge the hardware address of a node that is not heard here. This node then lets go, asks,
//! hears nobody, and claims again: some 50 ms without an answer, at most once in [`Config::handover_pause_max`] while
//! that goes on. The same host could do worse in its own name. The address of a node that is heard is of no use to it.

use std::{collections::BTreeMap, time::Duration};

use herald_spi::{Mac, Time};

use super::{Config, context::Context, damper::Damper};
use crate::placement::epoch;

/// Announcements come again after two seconds at the latest; who was not seen for so long has stopped.
const STOPPED: Duration = Duration::from_secs(5);
/// So many are told apart.
const MOST: usize = 64;

/// What is known of rivals on the wire.
#[derive(Debug, Default)]
pub(super) struct Rivalry {
    seen: BTreeMap<Mac, Sighting>,
    damper: Damper,
}

#[derive(Debug)]
struct Sighting {
    first: Time,
    last: Time,
    /// It was seen since this node last stood against it.
    anew: bool,
}

/// What follows from the rivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is none, or heartbeats settle it.
    Nothing,
    /// This node stands, and shall announce again: hosts may have been misled.
    Stand,
    /// This node lets go.
    Yield { to: Mac },
}

impl Rivalry {
    /// A rival announces it.
    pub(super) fn see(&mut self, now: Time, by: Mac) {
        self.seen
            .retain(|_, sighting| now.since(sighting.last) < STOPPED);
        if let Some(sighting) = self.seen.get_mut(&by) {
            sighting.last = now;
            sighting.anew = true;
        } else if self.seen.len() < MOST {
            let sighting = Sighting {
                first: now,
                last: now,
                anew: true,
            };
            self.seen.insert(by, sighting);
        }
    }

    /// This node is an owner from now on: who announced the place before is no rival.
    pub(super) fn start_over(&mut self) {
        self.seen.clear();
    }

    /// Draws the conclusion.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) -> Verdict {
        self.seen.retain(|mac, _| {
            cx.scene.peer_macs.contains(mac) && !cx.segment.heard_macs.contains(mac)
        });
        let address = cx.place.address;
        let mine = epoch::weight_on_the_wire(address, cx.segment.mac);
        let mut verdict = Verdict::Nothing;
        for (mac, sighting) in &mut self.seen {
            let unheard_at = sighting.first + cx.config.unheard_after;
            if cx.now < unheard_at {
                cx.wake_at(unheard_at);
                continue;
            }
            let better = epoch::weight_on_the_wire(address, *mac) > mine;
            let stays = sighting.last.since(sighting.first) >= cx.config.stubborn_after;
            let anew = std::mem::take(&mut sighting.anew);
            if (better || stays) && anew && cx.now >= self.damper.open_at() {
                self.damper.count(cx.now, &pace(cx.config));
                verdict = Verdict::Yield { to: *mac };
                break;
            }
            if anew {
                verdict = Verdict::Stand;
            }
        }
        verdict
    }
}

/// The second time may be for an answer that was lost; the pauses grow from there.
fn pace(config: &Config) -> Config {
    Config {
        handover_pause: config.round_pause,
        ..config.clone()
    }
}
