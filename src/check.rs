//! What makes bare-metal load balancing fail in practice, found before users notice. Pure.
//!
//! Owns the findings: each with its word, how bad it is, on which object, and the one command or edit that repairs it.
//! Knows no client and no clock: the facts come in, the findings go out, the worst first.
//!
//! ```text
//!   the cluster's objects ─┐
//!   what agents report ────┼──▶ Facts ──examine──▶ Findings ──▶ herald check
//!   what a survey found ───┘
//! ```
//!
//! Invariant: every part that was looked at leaves a line: what is amiss there, that all is well, why it could not be
//! found out, or why there was nothing to look at.

pub mod facts;
mod finding;
mod install;
mod kernel;
mod membership;
mod pools;
mod rivals;
mod services;
mod wire;

pub use facts::Facts;
pub use finding::{Finding, Findings, Severity, Word};
pub(crate) use rivals::KUBE_VIP_LEASE;

/// Everything that is found, the worst first.
#[must_use]
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Findings::default();
    install::examine(facts, &mut findings);
    membership::examine(facts, &mut findings);
    kernel::examine(facts, &mut findings);
    pools::examine(facts, &mut findings);
    rivals::examine(facts, &mut findings);
    services::examine(facts, &mut findings);
    wire::examine(facts, &mut findings);
    for unread in facts.unread() {
        findings.unknown(
            Word::CouldNotRead,
            &unread.resource,
            unread.message(),
            unread.repair(),
        );
    }
    findings.sorted()
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
