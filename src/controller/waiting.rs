//! Who waits for what, so that a change wakes those whom it could serve and nobody else. Pure.

use std::collections::{BTreeMap, BTreeSet};

use herald_spi::ServiceKey;

use crate::ipam::Wait;

/// A Service in the order in which it is served: the oldest first.
pub(super) type Turn = (i64, ServiceKey);

/// The waiting Services, by Service and by what they wait for; the two always agree.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    services: BTreeMap<ServiceKey, (i64, BTreeSet<Wait>)>,
    queues: BTreeMap<Wait, BTreeSet<Turn>>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.services.len()
    }

    /// From now on the Service waits for these and nothing else.
    pub(super) fn set(&mut self, service: &ServiceKey, created: i64, waits: BTreeSet<Wait>) {
        if self
            .services
            .get(service)
            .is_some_and(|(since, known)| *since == created && *known == waits)
        {
            return;
        }
        self.clear(service);
        if waits.is_empty() {
            return;
        }
        for wait in &waits {
            let queue = self.queues.entry(wait.clone()).or_default();
            queue.insert((created, service.clone()));
        }
        self.services.insert(service.clone(), (created, waits));
    }

    /// The Service waits for nothing any more.
    pub(super) fn clear(&mut self, service: &ServiceKey) {
        let Some((created, waits)) = self.services.remove(service) else {
            return;
        };
        let turn = (created, service.clone());
        for wait in waits {
            if let Some(queue) = self.queues.get_mut(&wait) {
                queue.remove(&turn);
                if queue.is_empty() {
                    self.queues.remove(&wait);
                }
            }
        }
    }

    /// All that wait for it.
    pub(super) fn all(&self, wait: &Wait) -> impl Iterator<Item = &ServiceKey> {
        let queue = self.queues.get(wait);
        queue.into_iter().flatten().map(|(_, service)| service)
    }

    /// The one whose turn is first.
    pub(super) fn first(&self, wait: &Wait) -> Option<&Turn> {
        self.queues.get(wait)?.first()
    }

    /// The one whose turn is next after this one.
    pub(super) fn after(&self, wait: &Wait, turn: &Turn) -> Option<&Turn> {
        use std::ops::Bound::{Excluded, Unbounded};
        let queue = self.queues.get(wait)?;
        queue.range((Excluded(turn), Unbounded)).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ServiceKey {
        ServiceKey::new("default", name)
    }

    fn turn(created: i64, name: &str) -> Turn {
        (created, key(name))
    }

    #[test]
    fn turns_go_by_age_and_end_with_the_wait() {
        let pool = Wait::Pool("lan".into());
        let mut waiting = Waiting::default();
        waiting.set(&key("young"), 2, [pool.clone()].into());
        waiting.set(&key("old"), 1, [pool.clone(), Wait::AnyPool].into());
        assert_eq!(waiting.first(&pool), Some(&turn(1, "old")));
        assert_eq!(
            waiting.after(&pool, &turn(1, "old")),
            Some(&turn(2, "young"))
        );
        assert_eq!(waiting.after(&pool, &turn(2, "young")), None);
        waiting.set(&key("old"), 1, [Wait::AnyPool].into());
        assert_eq!(waiting.first(&pool), Some(&turn(2, "young")));
        waiting.clear(&key("old"));
        assert_eq!(waiting.first(&Wait::AnyPool), None);
        assert_eq!(waiting.len(), 1);
    }
}
