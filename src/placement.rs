//! Which node announces which address: PURE, with time as an argument.
//!
//! Owns: who may announce an address on a segment and why not ([`candidate`]), whom every agent agrees upon when an
//! owner must be chosen ([`owner`], [`rendezvous`]) or addresses are to be spread anew ([`rebalance`]), and when this
//! node itself claims, keeps and lets go ([`claims`]). Never: Kubernetes objects, sockets, tasks, a clock. The agent converts what it watched and heard
//! into [`facts`]; everything here iterates ordered maps, so that equal facts give equal answers on every node.
//!
//! ```text
//!   Node, Service, EndpointSlice, pool ─▶ NodeFacts, AddressFacts ┐
//!   heartbeats on each link ────────────▶ Segment, Peer           ├─ survey() ─▶ Scene
//!   this node's claims ─────────────────▶ claimed                 ┘               │
//!                                                                                 ▼
//!   answers from the wire, a pause, the end ─▶ Claims::handle()        Claims::step(now, scene)
//!                                                                                 │
//!   providers ◀─ duties ── Output ── claims ─▶ heartbeats,   states, events ─▶ report
//! ```
//!
//! One round of the agent: `survey` with what [`Claims::claimed`] says, then [`Claims::step`], then publish the
//! claims and hand over the duties; again when a fact changed or [`Claims::next_deadline`] has come. Coalescing
//! changes over some 10 ms costs nothing that a user would notice.

pub mod candidate;
pub mod claims;
pub mod epoch;
pub mod facts;
pub mod owner;
pub mod rebalance;
pub mod rendezvous;
pub mod scene;

pub use candidate::{CandidateSet, Explanation, Refusal, Unfit};
pub use claims::{Claims, Config, Event, Input, Loss, Origin, Output, State, Wait};
pub use facts::{
    AddressFacts, NodeFacts, Nodes, Peer, PeerLink, Policy, Preference, Rule, Segment, ServiceFacts,
};
pub use rebalance::{Move, Outlook, Pace, Scope};
pub use scene::{Facts, PeerClaim, PlaceView, Scene, SegmentView, survey};
