//! The steps from what is there to what shall be: pure, the same for the same input, one line per step.
//!
//! Invariants: nothing is touched that does not carry the Service's tags; nothing is emptied or taken away before
//! what replaces it works; applied to what it was made from, the next plan is empty or only waits.
//!
//! ```text
//!   security group, rules ▶ target groups ▶ targets ▶ balancer ▶ listeners     make
//!         the new balancer is active and as healthy as the old ▶ status moves
//!   targets that left ▶ listeners, target groups ▶ balancers that were replaced ▶ rules, security group     break
//! ```

mod attributes;
mod balancer;
mod gone;
mod groups;
mod held;
mod listeners;
mod retire;
mod security;
mod served;

use std::{collections::BTreeSet, fmt};

use herald_spi::{Port, Protocol};

use crate::{
    apply::Outcome,
    call::Call,
    desired::Wanted,
    observed::Observed,
    refusal::{Reason, Refusal},
    words::{Id, Moment, Wire},
};

/// What to do now, and what to wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// What time or AWS must bring about first.
    pub waits: Vec<Wait>,
    /// What is not done, and why.
    pub troubles: Vec<Trouble>,
    /// What becomes of the Service's status.
    pub publish: Publish,
    /// The balancer that AWS is still making.
    pub provisioning: Option<String>,
    /// Whether nothing is left of a Service that goes, so that its finalizer may go, too.
    pub gone: bool,
    /// What is known of the time when every call of it was answered.
    pub then: Then,
}

/// What comes when a plan is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// Nothing, until something changes or is waited for.
    #[default]
    Rest,
    /// Another look finds more to do.
    More,
    /// Nothing is left of a Service that goes.
    Gone,
}

/// A call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about: the failure of one port stops no other.
    pub part: Part,
    /// For people.
    pub why: String,
    /// The call.
    pub call: Call,
    /// What later steps call what it makes.
    pub makes: Option<String>,
    /// Steps without which it is not done, by their place.
    pub needs: BTreeSet<usize>,
}

/// What a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Security groups and their rules.
    Security,
    /// The balancer.
    Balancer,
    /// A port.
    Port(u16),
    /// What was replaced.
    Old,
}

/// Something that takes time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What, and why.
    pub refusal: Refusal,
    /// Worth looking again in so many seconds.
    pub again: u64,
}

/// Something that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is about.
    pub part: Part,
    /// Why.
    pub refusal: Refusal,
}

/// What becomes of the Service's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Publish {
    /// It stays.
    #[default]
    Keep,
    /// It has no address any more.
    Clear,
    /// It shows a balancer.
    Show {
        /// Its hostname.
        hostname: String,
        /// The ports that it serves.
        ports: BTreeSet<Port>,
    },
}

/// Plans. `published` is the hostname in the Service's status.
#[must_use]
pub fn plan(wanted: &Wanted, observed: &Observed, published: Option<&str>, now: Moment) -> Plan {
    let mut plan = Plan::default();
    match wanted {
        Wanted::Served(desired) => served::serve(&mut plan, desired, observed, published, now),
        Wanted::Held(wrong) => held::hold(&mut plan, wrong, observed),
        Wanted::Gone(owner) => gone::delete(&mut plan, owner, observed),
    }
    plan
}

impl Plan {
    /// Whether there is nothing to do, to wait for or to publish.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.steps.is_empty() && self.waits.is_empty() && self.publish == Publish::Keep
    }

    /// Whether something is missed that may have come since the network was read.
    #[must_use]
    pub fn doubts_network(&self) -> bool {
        self.troubles.iter().any(|trouble| {
            matches!(
                trouble.refusal.reason,
                Reason::NoSubnets
                    | Reason::SubnetNotFound
                    | Reason::SecurityGroupNotFound
                    | Reason::FamilyUnavailable
            )
        })
    }

    /// What is left of it once it was carried out. Where every call was answered nobody looks again only to see that it is
    /// as AWS said: the next steady look does.
    #[must_use]
    pub fn rest(&self, outcome: &Outcome) -> Self {
        let mut rest = self.clone();
        if outcome.remedy.is_none() && self.then != Then::More {
            rest.steps.clear();
            rest.publish = Publish::Keep;
            rest.gone |= self.then == Then::Gone;
            rest.provisioning = rest.provisioning.or_else(|| outcome.balancer.clone());
        }
        rest
    }

    /// When it is worth looking again, in seconds; `None`: when something changes.
    #[must_use]
    pub fn again(&self) -> Option<u64> {
        self.waits.iter().map(|wait| wait.again).min()
    }

    /// The one read that tells whether waiting is over, where AWS makes a balancer and nothing else is to be done: until
    /// it shows another state than [`State::Provisioning`](crate::State::Provisioning), a whole look would see nothing new.
    #[must_use]
    pub fn glance(&self) -> Option<Call> {
        let only = self
            .waits
            .iter()
            .all(|wait| wait.refusal.reason == Reason::Provisioning);
        let idle = self.steps.is_empty() && self.publish == Publish::Keep;
        let arn = self.provisioning.clone().filter(|_| only && idle)?;
        Some(Call::DescribeBalancers(vec![Id::Known(arn)]))
    }

    fn step(&mut self, part: Part, why: impl Into<String>, call: Call) -> usize {
        self.steps.push(Step {
            part,
            why: why.into(),
            call,
            makes: None,
            needs: BTreeSet::new(),
        });
        self.steps.len() - 1
    }

    fn make(&mut self, part: Part, why: impl Into<String>, call: Call, name: &str) {
        let at = self.step(part, why, call);
        if let Some(step) = self.steps.get_mut(at) {
            step.makes = Some(name.to_owned());
        }
    }

    fn step_after(
        &mut self,
        needs: impl IntoIterator<Item = usize>,
        part: Part,
        why: impl Into<String>,
        call: Call,
    ) -> usize {
        let at = self.step(part, why, call);
        if let Some(step) = self.steps.get_mut(at) {
            step.needs.extend(needs);
        }
        at
    }

    fn wait(&mut self, reason: Reason, message: impl Into<String>, again: u64) {
        let refusal = Refusal::new(reason, message);
        self.waits.push(Wait { refusal, again });
    }

    fn trouble(&mut self, part: Part, refusal: Refusal) {
        self.troubles.push(Trouble { part, refusal });
    }
}

/// The Service's ports that a listener serves.
fn ports_of(wire: Wire, number: u16) -> Vec<Port> {
    let protocols: &[Protocol] = match wire {
        Wire::Tcp | Wire::Tls => &[Protocol::Tcp],
        Wire::Udp => &[Protocol::Udp],
        Wire::TcpUdp => &[Protocol::Tcp, Protocol::Udp],
    };
    protocols
        .iter()
        .map(|protocol| Port::new(*protocol, number))
        .collect()
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Security => f.write_str("security"),
            Self::Balancer => f.write_str("balancer"),
            Self::Port(number) => write!(f, "port {number}"),
            Self::Old => f.write_str("old"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{}: {} ({})", step.part, step.call, step.why)?;
        }
        for wait in &self.waits {
            writeln!(f, "wait {}s: {}", wait.again, wait.refusal)?;
        }
        for trouble in &self.troubles {
            writeln!(f, "not done, {}: {}", trouble.part, trouble.refusal)?;
        }
        match &self.publish {
            Publish::Keep => {}
            Publish::Clear => writeln!(f, "status: no address")?,
            Publish::Show { hostname, ports } => {
                let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
                writeln!(f, "status: {hostname} {}", ports.join(" "))?;
            }
        }
        if self.gone {
            writeln!(f, "nothing is left")?;
        }
        Ok(())
    }
}
