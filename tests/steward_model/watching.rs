//! What watches read from the server: lists, and events one by one.

use herald::{controller::Input, world::Change};

use crate::server::Server;

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Services,
    Pools,
    Allocations,
    Namespaces,
    Nodes,
    Hosts,
    Slices,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Services,
        Self::Pools,
        Self::Allocations,
        Self::Namespaces,
        Self::Nodes,
        Self::Hosts,
        Self::Slices,
    ];
}

impl Server {
    /// The position behind the last event of a kind.
    pub fn head(&self, kind: Kind) -> usize {
        match kind {
            Kind::Services => self.balancers.head(),
            Kind::Pools => self.pools.head(),
            Kind::Allocations => self.locks.head(),
            Kind::Namespaces => self.namespaces.head(),
            Kind::Nodes => self.nodes.head(),
            Kind::Hosts => self.hosts.head(),
            Kind::Slices => self.slices.head(),
        }
    }

    /// The event at a position of the kind's log.
    pub fn event(&self, kind: Kind, at: usize) -> Input {
        match kind {
            Kind::Services => Input::Services(self.balancers.event(at)),
            Kind::Pools => Input::Pools(self.pools.event(at)),
            Kind::Allocations => Input::Allocations(self.locks.event(at)),
            Kind::Namespaces => Input::Namespaces(self.namespaces.event(at)),
            Kind::Nodes => Input::Nodes(self.nodes.event(at)),
            Kind::Hosts => Input::Hosts(self.hosts.event(at)),
            Kind::Slices => Input::Slices(self.slices.event(at)),
        }
    }

    /// A list as of a position of the kind's log.
    pub fn list(&self, kind: Kind, at: usize) -> Input {
        match kind {
            Kind::Services => Input::Services(Change::Reset(self.balancers.list(at))),
            Kind::Pools => Input::Pools(Change::Reset(self.pools.list(at))),
            Kind::Allocations => Input::Allocations(Change::Reset(self.locks.list(at))),
            Kind::Namespaces => Input::Namespaces(Change::Reset(self.namespaces.list(at))),
            Kind::Nodes => Input::Nodes(Change::Reset(self.nodes.list(at))),
            Kind::Hosts => Input::Hosts(Change::Reset(self.hosts.list(at))),
            Kind::Slices => Input::Slices(Change::Reset(self.slices.list(at))),
        }
    }
}
