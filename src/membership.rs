//! How agents hear of each other and of each other's claims.
//!
//! Owns: who is alive on which segment, what each of them claims there, and the datagrams by which they know. Never
//! decides who should own an address (`placement`), and knows neither Kubernetes nor frames. One interface is one
//! segment: what is heard on it says who shares it, and nothing that is heard elsewhere does.
//!
//! ```text
//!                  ┌─────────────────────────── Membership (pure) ──────────────────────────────┐
//!   datagram ──────┼▶ auth ─▶ message ─▶ identity ─▶ Heard ─▶ Voice ─▶ Mirror ──┐               │
//!   (per interface)│                       │ replay    (one per    (a peer's     ├─▶ picture ────┼─▶ View
//!                  │                    newest life    interface)   claims)      │               │
//!   links, claims ─┼▶ Speaker ─▶ Ledger ─▶ message ─▶ auth ─────────────────────────────────────┼─▶ datagram
//!                  │  (one per   (own claims)                                                    │
//!                  │  interface)                                                                 │
//!                  └─────────────────────────────────────────────────────────────────────────────┘
//!   run: one task with the sockets, the clock and the handle `Peers`
//! ```
//!
//! Invariants:
//! * Nothing unsigned is decoded, nothing counts twice, nothing of a former life counts after a newer was heard.
//! * `claims` of a synced peer were its claims at one moment, and what changed since is on its way.
//! * An idle agent says the same few bytes whatever it claims. A view is shown when something changed, and only then.
//! * Peers do not die of this process's own sleep.
//!
//! # The times
//!
//! A heartbeat at least every 200 ms; dead after 900 ms of silence. Both are in [`Config`], and all else follows:
//!
//! | time | default | why |
//! |---|---|---|
//! | heartbeat | 180 to 200 ms | jittered, so that agents do not speak in step |
//! | quiet after 2/3 of the dead time | 600 ms | three beats are missing: ask the silent peer to speak |
//! | ask again every 1/8 of a heartbeat | 25 ms | 11 times before 900 ms; one question on a segment is enough |
//! | quick beats after a question | at once, then 4, 25 ms apart | one question that arrives yields five answers |
//! | dead | 900 ms | |
//! | pause | over 450 ms late | half of the dead time |
//!
//! *A death* is noticed 900 ms after the last beat, which is up to 200 ms before the death: 700 to 900 ms after it. The
//! question to the wire takes 40 ms more, so an address moves within a second.
//!
//! *A false death* at 20 % loss, each datagram on its own. The four beats of a dead time are lost with 0.2⁴ = 1.6·10⁻³;
//! that alone would kill a peer every two minutes. In the 11 slots of 25 ms the peer speaks from the first question that
//! arrives, in slot j, on, and all 12 - j answers must be lost too:
//! Σⱼ 0.8·0.2ʲ⁻¹·0.2¹²⁻ʲ + 0.2¹¹ = 0.2¹¹·(11·0.8 + 1) = 2·10⁻⁷. Together 3·10⁻¹⁰ for each beat heard, or one false
//! death in 20 years for each pair of agents; 4·10⁻⁴ in five minutes among 30. Loss that comes in bursts is worse: a
//! segment that loses everything for 700 ms splits, and heals.
//!
//! *A starved process* may stall for 700 ms (900 less a heartbeat) before others bury it. Its own lateness, up to half of
//! a dead time, is added to its peers' time; so a dead peer is noticed after 1,350 ms at the latest, however starved the
//! process. Later than that is a pause: see [`View::pauses`].
//!
//! *Not noticed*: a sleep during which the monotonic clock stands still (suspend, a snapshot of a virtual machine). Such an
//! agent hears of the takeovers with the first heartbeats, within 200 ms.
//!
//! # The cost
//!
//! Per interface and family an idle agent sends 5 to 6 datagrams of about 100 bytes a second and hears as many from
//! each peer, whatever the number of addresses. A change costs one datagram at once and three repeats. A newcomer costs
//! each peer its claims once: about 60 to a datagram.

mod auth;
mod config;
mod counters;
mod dice;
mod digest;
mod heard;
mod identity;
mod incarnation;
mod ledger;
mod macs;
mod message;
mod mirror;
mod notice;
mod peers;
mod picture;
mod protocol;
mod receive;
mod replay;
mod run;
mod socket;
mod speaker;
mod transmit;
mod view;
mod voice;
mod wire;

pub use auth::{KEY_LENGTH, Keys, KeysError, Refusal};
pub use config::{Config, ConfigError};
pub use counters::{Counter, Counters};
pub use incarnation::Incarnation;
pub use message::{Malformed, Message};
pub use notice::{Notice, Weight};
pub use peers::{Peers, PeersError, Problems, Setup};
pub use protocol::{Input, Membership, Output};
pub use socket::{GROUP_V4, GROUP_V6};
pub use view::{Claims, Namesake, OwnClaims, Peer, Segment, View};

#[cfg(test)]
mod simulation;
