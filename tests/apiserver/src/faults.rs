//! Faults on demand: rules that say which requests go wrong, how, and how often.
//!
//! A rule matches by verb, resource, namespace, name and client; the first one that matches and is
//! not used up decides. Rules are added and removed at run time, by [`Faults`] or over HTTP
//! (`/herald-faults`). Invariant: a rule with a count takes effect exactly that many times.

mod rule;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

pub use rule::{Action, ActiveFault, ClientId, Fault, RequestFacts};

/// The rules of a server. Clones share them.
#[derive(Debug, Clone)]
pub struct Faults {
    rules: Arc<Mutex<Rules>>,
    /// Bumped at every change, so that open connections look again.
    changed: watch::Sender<u64>,
    paused: watch::Sender<bool>,
    /// The store's newest revision, which a stale list freezes.
    revisions: watch::Receiver<u64>,
}

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    active: Vec<ActiveFault>,
}

impl Faults {
    /// No rules yet.
    pub(crate) fn new(revisions: watch::Receiver<u64>) -> Self {
        Self {
            rules: Arc::default(),
            changed: watch::Sender::new(0),
            paused: watch::Sender::new(false),
            revisions,
        }
    }

    /// Adds a rule; its number removes it. Open connections obey at once.
    pub fn add(&self, mut fault: Fault) -> u64 {
        if let Action::StaleList { resource_version } = &mut fault.action {
            resource_version.get_or_insert_with(|| *self.revisions.borrow());
        }
        let mut rules = self.lock();
        rules.next += 1;
        let id = rules.next;
        rules.active.push(ActiveFault { id, hits: 0, fault });
        drop(rules);
        self.changed.send_modify(|version| *version += 1);
        id
    }

    /// Removes one rule; says whether it was there.
    pub fn remove(&self, id: u64) -> bool {
        let mut rules = self.lock();
        let before = rules.active.len();
        rules.active.retain(|rule| rule.id != id);
        let removed = rules.active.len() < before;
        drop(rules);
        self.changed.send_modify(|version| *version += 1);
        removed
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.lock().active.clear();
        self.changed.send_modify(|version| *version += 1);
    }

    /// The rules, oldest first, with how often each took effect. A rule that is used up stays listed.
    #[must_use]
    pub fn list(&self) -> Vec<ActiveFault> {
        self.lock().active.clone()
    }

    /// How often a rule took effect.
    #[must_use]
    pub fn hits(&self, id: u64) -> u64 {
        self.lock()
            .active
            .iter()
            .find(|rule| rule.id == id)
            .map_or(0, |rule| rule.hits)
    }

    /// Stops answering: requests wait and watches stand still until [`Faults::resume`].
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Answers again.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Whether the server is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Returns when the server is not paused.
    pub(crate) async fn resumed(&self) {
        let mut paused = self.paused.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = paused.wait_for(|paused| !paused).await;
    }

    /// Tells when rules change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The first rule of one of the wanted kinds that matches; it has taken effect once more.
    pub(crate) fn take(
        &self,
        facts: &RequestFacts,
        wanted: impl Fn(&Action) -> bool,
    ) -> Option<Action> {
        let mut rules = self.lock();
        let rule = rules.active.iter_mut().find(|rule| {
            let left = rule.fault.count.is_none_or(|count| rule.hits < count);
            left && wanted(&rule.fault.action) && rule.fault.matches(facts)
        })?;
        rule.hits += 1;
        Some(rule.fault.action.clone())
    }

    /// Whether new connections are closed.
    pub(crate) fn refuses_connections(&self) -> bool {
        let rules = self.lock();
        rules
            .active
            .iter()
            .any(|rule| rule.fault.action == Action::RefuseConnections)
    }

    /// Whether a client is partitioned.
    pub(crate) fn is_partitioned(&self, client: &ClientId) -> bool {
        let rules = self.lock();
        rules
            .active
            .iter()
            .any(|rule| rule.fault.action == Action::Partition && rule.fault.matches_client(client))
    }

    /// Whether an open watch must end because a rule was added after it started.
    pub(crate) fn cuts_open_watch(&self, facts: &RequestFacts, seen: &mut u64) -> bool {
        let mut rules = self.lock();
        let newest = rules.next;
        let since = std::mem::replace(seen, newest);
        let rule = rules.active.iter_mut().find(|rule| {
            let left = rule.fault.count.is_none_or(|count| rule.hits < count);
            let cuts = matches!(rule.fault.action, Action::CutWatch { after_events: 0 });
            rule.id > since && left && cuts && rule.fault.matches(facts)
        });
        let Some(rule) = rule else { return false };
        rule.hits += 1;
        true
    }

    /// The number of the newest rule.
    pub(crate) fn newest(&self) -> u64 {
        self.lock().next
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(verb: &str, resource: &str) -> RequestFacts {
        RequestFacts {
            verb: verb.into(),
            resource: resource.into(),
            group: "coordination.k8s.io".into(),
            subresource: "status".into(),
            client: ClientId {
                user_agent: "agent/1 (n1)".into(),
                token: Some("t".into()),
            },
            ..RequestFacts::default()
        }
    }

    #[test]
    fn a_rule_takes_effect_as_often_as_it_says() {
        let faults = Faults::new(watch::Sender::new(7).subscribe());
        let id = faults.add(
            Fault::new(Action::Hang)
                .verb("update")
                .resource("leases")
                .times(2),
        );
        let any = |_: &Action| true;
        assert_eq!(faults.take(&facts("get", "leases"), any), None);
        assert_eq!(
            faults.take(&facts("update", "leases"), any),
            Some(Action::Hang)
        );
        assert_eq!(
            faults.take(&facts("update", "leases"), any),
            Some(Action::Hang)
        );
        assert_eq!(faults.take(&facts("update", "leases"), any), None);
        assert_eq!(faults.hits(id), 2);
    }

    #[test]
    fn rules_match_by_every_condition() {
        let cases = [
            (Fault::new(Action::Hang), true),
            (
                Fault::new(Action::Hang).resource("leases.coordination.k8s.io"),
                true,
            ),
            (Fault::new(Action::Hang).resource("leases/status"), true),
            (Fault::new(Action::Hang).resource("leases/scale"), false),
            (Fault::new(Action::Hang).client("agent/1"), true),
            (Fault::new(Action::Hang).client("t"), true),
            (Fault::new(Action::Hang).client("other"), false),
            (Fault::new(Action::Hang).namespace("x"), false),
        ];
        for (fault, expected) in cases {
            assert_eq!(
                fault.matches(&facts("get", "leases")),
                expected,
                "{fault:?}"
            );
        }
    }
}
