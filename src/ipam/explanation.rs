//! A decision, step by step.

use std::{collections::BTreeSet, net::IpAddr};

use herald_spi::PoolName;

use super::{Counts, Grant, Refusal, Wait, Why};

/// How a request is decided, for people who ask why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// All pools: those that are tried in that order, then the others, those that are not Ready last.
    pub considered: Vec<Considered>,
    /// One sentence for each thing that decided, without the subject: "has 10.0.0.7 already and keeps it".
    pub notes: Vec<String>,
    /// The answer.
    pub answer: Result<Grant, Refusal>,
    /// What could change it, if the Service lacks something.
    pub waits: BTreeSet<Wait>,
}

/// A pool as the decision saw it. Of one that is not Ready, or is named and does not exist, nothing is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// Its name.
    pub pool: PoolName,
    /// Its priority.
    pub priority: i32,
    /// Whether it serves what does not ask for it.
    pub automatic: bool,
    /// What it has.
    pub counts: Counts,
    /// How many of its addresses the Service's namespace holds, and may hold, if that is limited.
    pub quota: Option<(u64, u32)>,
    /// What came of it.
    pub verdict: Considering,
}

/// What came of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Considering {
    /// These addresses of it are granted.
    Chosen(Vec<IpAddr>),
    /// It was not needed: another one served.
    NotNeeded,
    /// It cannot serve.
    Passed(Why),
}
