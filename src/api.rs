//! Herald's API: the custom resources, the annotations and classes on Services, and the words for outcomes.
//!
//! Owns every name that users or scripts rely on. Knows Kubernetes types, does nothing with them.
//!
//! ```text
//!   AddressPool ──allocator──▶ AddressAllocation (one per address: the lock) ──▶ Service.status
//!                                                                      agents ──▶ NodeAnnouncements
//! ```

mod allocation;
mod announcements;
mod conditions;
mod crds;
mod names;
mod pool;
mod provider;
mod reason;

pub use allocation::{
    AddressAllocation, AddressAllocationSpec, Awaited, ForeignUse, Holder, InvalidObjectName,
    address_of_object_name, moment, node_port_of_object_name, object_name,
    object_name_of_node_port,
};
pub use announcements::{
    AddressChecks, AgentFacts, AnnouncedAddress, AnnouncementState, Answered, CheckOutcome,
    DhcpOffer, DropReason, DroppedHeartbeats, FailedCheck, GatewayFacts, HostFacts, InterfaceFacts,
    NodeAnnouncements, NodeAnnouncementsSpec, NodeAnnouncementsStatus, SurveyedInterface,
    UnheardPeer, UnheardReason, WireSurvey,
};
pub use conditions::{Verdict, condition, merge_condition};
pub use crds::{crds, crds_yaml};
pub use names::*;
pub use pool::{
    AddressPool, AddressPoolSpec, AddressPoolStatus, Advertisement, FallbackPolicy, FamilyStatus,
    Layer2Advertisement, NodePortPolicy, PreferredNodes, RebalancePolicy, SharingScope,
};
pub use provider::Provider;
pub use reason::Reason;
