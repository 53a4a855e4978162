//! Controllers that are broken on purpose: the model must notice each.

use std::collections::BTreeSet;

use herald::controller::Plan;
use herald_spi::ServiceKey;

/// What is wrong with the controllers of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing.
    None,
    /// They publish addresses without their locks.
    NoLocks,
    /// They give nothing back.
    NoUnlocks,
    /// They are not told of locks once they lead.
    DeafToLocks,
    /// They take a Service's addresses away when they refuse something.
    Evicting,
    /// They say no and not why.
    Silent,
    /// They never look at those whose turn has come.
    Forgetful,
}

impl Sabotage {
    /// The plan as the broken controller makes it.
    pub fn spoil(self, mut plan: Plan, roused: &mut BTreeSet<ServiceKey>) -> Plan {
        match self {
            Self::None | Self::DeafToLocks => {}
            Self::NoLocks => plan.locks.clear(),
            Self::NoUnlocks => plan.unlocks.clear(),
            Self::Forgetful => roused.clear(),
            Self::Evicting => {
                if let Some(status) = &mut plan.status
                    && status.conditions.iter().any(|c| !c.verdict.holds)
                    && let Some(ingress) = &mut status.ingress
                {
                    ingress.clear();
                }
            }
            Self::Silent => {
                for condition in plan.status.iter_mut().flat_map(|s| &mut s.conditions) {
                    condition.verdict.message.clear();
                }
            }
        }
        plan
    }
}
