//! How agents hear of each other and of each other's claims.
//!
//! Owns: who is alive on which segment, what each of them claims there, and the datagrams by which they know. Never
//! decides who should own an address (`placement`), and knows neither Kubernetes nor frames. One interface is one
//! segment: what is heard on it says who shares it, and nothing that is heard elsewhere does. Beside the segments agents
//! send each other a word by their nodes' InternalIPs now and then: `second_path` says what that may decide.
//!
//! ```text
//!                  ┌─────────────────────────── Membership (pure) ──────────────────────────────┐
//!   datagram ──────┼▶ auth ─▶ message ─▶ identity ─▶ Heard ─▶ Voice ─▶ Mirror ──┐               │
//!   (per interface)│                       │ replay    (one per    (a peer's     ├─▶ picture ────┼─▶ View
//!                  │                    newest life    interface)   claims)      │               │
//!   second path ───┼▶ SecondPath, Identities, Heard (who has no carrier, leaves, left)                    │
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
//! Two times, both in [`Config`], and all else follows. What can be chosen (`herald agent --failover`):
//!
//! | time | fast | normal | calm | why |
//! |---|---|---|---|---|
//! | heartbeat | 25 ms | 100 ms | 200 ms | less up to a tenth, so that agents do not speak in step |
//! | quiet after 5/8 of the dead time | 62 ms | 250 ms | 500 ms | two beats are missing: ask the peer to speak |
//! | ask again every 1/8 of a heartbeat | 3 ms | 12.5 ms | 25 ms | 11 times before the end; one question on a segment is enough |
//! | quick beats after a question | at once, then 4, as far apart | | | one question that arrives yields five answers |
//! | dead after four heartbeats | 100 ms | 400 ms | 800 ms | |
//! | pause: late by 3/4 of the dead time | 75 ms | 300 ms | 600 ms | by then others may have buried this agent |
//!
//! *A death* is noticed a dead time after the last beat, which is up to a heartbeat before the death: 300 to 400 ms after
//! it, 75 to 100 ms at the fast setting. The question to the wire is asked in the meantime and gathering changes
//! takes 5 ms, so an address moves within half a second, or as quickly as keepalived does with an advertisement every 50 ms.
//!
//! *A lost carrier* is told at once on every other segment that both agents share, and by the second path: the peer is
//! lost when the word arrives, and what remains is the question to the wire. A node with one cable cannot tell.
//!
//! *A false death* at 20 % loss, each datagram on its own. The four beats of a dead time are lost with 0.2⁴ = 1.6·10⁻³;
//! that alone would kill a peer every minute. In the 11 slots between questions the peer speaks from the first question
//! that arrives, in slot j, on, and all 12 - j answers must be lost too:
//! Σⱼ 0.8·0.2ʲ⁻¹·0.2¹²⁻ʲ + 0.2¹¹ = 0.2¹¹·(11·0.8 + 1) = 2·10⁻⁷. Together 3·10⁻¹⁰ for each beat heard, or one false
//! death in 10 years for each pair of agents; 8·10⁻⁴ in five minutes among 30. The setting changes only how many beats
//! there are: four times as many false deaths at the fast one, half as many at the calm one. Loss that comes in bursts is
//! worse: a segment that loses everything for 300 ms splits, and heals.
//!
//! *A starved process* may stall for 300 ms (a dead time less a heartbeat) before others bury it; at the fast setting for
//! 75 ms, which a busy node does not keep. That is the price of that setting. Its own lateness, up to a pause, is added to
//! its peers' time; so a dead peer is noticed after 700 ms at the latest, however starved the process. Later than that is
//! a pause: see [`View::pauses`].
//!
//! *Different settings* on one segment, as while a setting is being changed: every heartbeat says its sender's, and the
//! slower of two counts for both.
//!
//! *Not noticed*: a sleep during which the monotonic clock stands still (suspend, a snapshot of a virtual machine). Such an
//! agent hears of the takeovers with the first heartbeats, within 100 ms.
//!
//! *Not used*: that a killed process's sockets vanish at once, which the kernel tells whoever sends there by unicast
//! (ICMP port unreachable, a reset of TCP). It would notice a killed process some 200 ms sooner, and a lost node no
//! sooner. ICMP can be forged by any host, so it could only hasten a question that is asked after 250 ms anyway.
//!
//! # The cost
//!
//! Per interface and family an idle agent sends 10 to 11 datagrams of about 110 bytes a second and hears as many from
//! each peer, whatever the number of addresses. A change costs one datagram at once and three repeats. A newcomer costs
//! each peer its claims once: about 60 to a datagram. The second path adds one datagram a second to each other node, or 64
//! a second in all. `docs/performance.md` has what was measured.
//!
//! SWIM (`foca`) was the other candidate: `cargo bench --bench membership` compares, `docs/performance.md` has the figures.

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
mod node_socket;
mod notice;
mod peers;
mod picture;
mod protocol;
mod receive;
mod replay;
mod run;
mod second_path;
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
pub use second_path::NodeAddresses;
pub use socket::{GROUP_V4, GROUP_V6};
pub use view::{Claims, Namesake, OwnClaims, Peer, Segment, View};

#[cfg(test)]
mod simulation;
