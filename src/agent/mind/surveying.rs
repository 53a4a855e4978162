//! Looking on the wire for hosts on free addresses, when somebody asks.

use std::sync::Arc;

use herald_spi::Time;
use tracing::info;

use super::{
    super::{
        facts::segments,
        survey::{Held, Order, jobs},
    },
    Mind,
};

impl Mind {
    /// Takes in what the pools ask for. Nothing before all is known that is held.
    pub(super) fn notice_surveys(&mut self, now: Time) {
        if !self.is_told() {
            return;
        }
        let pools = self.watched.pools.iter();
        let said = pools.map(|(name, pool)| (name, pool.survey_asked.as_deref()));
        let said: Vec<_> = said.collect();
        self.surveys.notice(now, &said);
    }

    /// What to look for, once somebody has asked for it.
    pub(in crate::agent) fn survey(
        &mut self,
        now: Time,
        transaction: impl FnMut() -> u32,
    ) -> Option<Order> {
        let (request, pools) = self.surveys.due(now)?;
        info!(request, "asked to look on the wire");
        let records = self.watched.pools.iter();
        let records = records.filter(|(name, _)| pools.contains(name));
        let records: Vec<_> = records.map(|(_, record)| &**record).collect();
        let segments = segments(&self.links, &self.view);
        let jobs = jobs(&self.me, &segments, &records, &self.held(), transaction);
        Some(Order {
            request,
            pools,
            jobs,
        })
    }

    /// What nobody may ask for: it has a lock, is announced by this node or may be, or is claimed by a peer.
    pub(in crate::agent) fn held(&self) -> Held {
        let facts = self.cluster.iter().flat_map(|it| it.addresses.keys());
        let own = self.output.states.keys().map(|place| place.address);
        let peers = self.view.segments.values().flat_map(|it| it.peers.values());
        let claimed = peers.flat_map(|peer| peer.claims.keys());
        Arc::new(
            self.watched
                .locked()
                .chain(facts.copied())
                .chain(own)
                .chain(claimed.copied())
                .collect(),
        )
    }
}
