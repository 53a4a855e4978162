//! Ports that Services serve directly on node addresses: the other half of the conflict table.

use std::collections::BTreeMap;

use herald_spi::{Port, ServiceKey};

/// Which Service serves which port directly. One port has one Service, on whatever nodes it serves: which nodes
/// those are changes, and a port must not change hands by that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken(BTreeMap<Port, ServiceKey>);

impl Taken {
    /// The Service that serves a port.
    #[must_use]
    pub fn holder(&self, port: Port) -> Option<&ServiceKey> {
        self.0.get(&port)
    }
}

impl FromIterator<(Port, ServiceKey)> for Taken {
    fn from_iter<I: IntoIterator<Item = (Port, ServiceKey)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}
