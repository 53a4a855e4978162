//! Whose turn it is when something becomes free: the oldest that waits for it, and the next one only if something is
//! left. So an address that frees costs one look, however many wait.

use std::{collections::BTreeSet, net::IpAddr};

use herald_spi::{PoolName, ServiceKey};

use super::Steward;
use crate::ipam::Wait;

impl Steward {
    /// Wakes the first in each queue of those that a change at the address may help: `before` is what could be waited
    /// for there before the change.
    pub(super) fn stir(
        &mut self,
        address: IpAddr,
        mut before: BTreeSet<Wait>,
        look: &mut BTreeSet<ServiceKey>,
    ) {
        before.append(&mut self.ipam.stirs(address));
        for wait in before {
            if let Some((created, service)) = self.waiting.first(&wait).cloned() {
                look.insert(service.clone());
                self.woken.entry(service).or_default().insert(wait, created);
            }
        }
    }

    /// All that wait for a pool to be made or edited.
    pub(super) fn wake_for_pools(&self, names: &BTreeSet<PoolName>) -> BTreeSet<ServiceKey> {
        let named = names.iter().map(|name| Wait::Pool(name.clone()));
        let waits = named.chain([Wait::AnyPool]);
        waits
            .flat_map(|wait| self.waiting.all(&wait).cloned().collect::<Vec<_>>())
            .collect()
    }

    /// After a woken Service had its turn: the next one's.
    pub(super) fn pass_turn(&mut self, service: &ServiceKey) {
        for (wait, created) in self.woken.remove(service).unwrap_or_default() {
            if !self.is_open(&wait) {
                continue;
            }
            // By the age that it had in the queue: it may have been made again since.
            let turn = (created, service.clone());
            if let Some((created, next)) = self.waiting.after(&wait, &turn).cloned() {
                self.roused.insert(next.clone());
                self.woken.entry(next).or_default().insert(wait, created);
            }
        }
    }

    /// Whether there is something left for the next in the queue.
    fn is_open(&self, wait: &Wait) -> bool {
        match wait {
            Wait::Free(pool, family) => self.ipam.has_free(pool, *family),
            Wait::Address(address) => self
                .ipam
                .sharers(*address)
                .all(|share| share.terms.key.is_some()),
            Wait::Key(_) | Wait::Quota(..) | Wait::Pool(_) | Wait::AnyPool => true,
        }
    }
}
