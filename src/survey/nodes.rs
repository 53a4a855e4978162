//! Nodes and their agents. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Counts, Report};
use crate::world::NodeRecord;

/// A node, and what its agent says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Nothing is wrong with what its agent does.
    pub well: bool,
    /// What keeps the node or its agent from its work, or limits it.
    pub troubles: Vec<NodeTrouble>,
    /// What its agent counts; nothing where no agent has said anything.
    pub counts: Option<Counts>,
    /// When its agent last had something new to say, in seconds of Unix time.
    pub written: Option<i64>,
}

/// What is to be said of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeTrouble {
    /// There is no such Node, and its agent's last words are still there.
    NoNode,
    /// No agent has said anything.
    NoAgent,
    /// Kubernetes does not call it Ready.
    NotReady,
    /// Its network is unavailable.
    NetworkUnavailable,
    /// It is tainted out-of-service.
    OutOfService,
    /// It is being deleted, or about to be.
    Leaving,
    /// Its label excludes it from load balancers.
    Excluded,
    /// Other agents do not hear its agent, though it is alive.
    Unheard,
    /// Another host runs an agent under its name.
    SameName,
}

impl NodeTrouble {
    /// A few words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoNode => "no such Node",
            Self::NoAgent => "no agent",
            Self::NotReady => "not Ready",
            Self::NetworkUnavailable => "network unavailable",
            Self::OutOfService => "out of service",
            Self::Leaving => "leaving",
            Self::Excluded => "excluded by label",
            Self::Unheard => "unheard by peers",
            Self::SameName => "two agents of this name",
        }
    }

    /// Whether somebody should look at it; else it is as somebody wants it, or Kubernetes tells it already.
    const fn is_amiss(self) -> bool {
        match self {
            Self::Unheard | Self::SameName | Self::NotReady | Self::NetworkUnavailable => true,
            Self::NoNode | Self::NoAgent | Self::OutOfService | Self::Leaving | Self::Excluded => {
                false
            }
        }
    }
}

/// Every node that exists or whose agent has said something, by name.
#[must_use]
pub fn nodes<'a>(
    records: impl IntoIterator<Item = &'a NodeRecord>,
    reports: &'a [Report],
) -> Vec<Node> {
    let records: BTreeMap<&str, &NodeRecord> = records
        .into_iter()
        .map(|record| (record.name.as_str(), record))
        .collect();
    let by_node: BTreeMap<&str, &Report> = reports
        .iter()
        .map(|report| (report.node.as_str(), report))
        .collect();
    let unheard: BTreeSet<&str> = reports
        .iter()
        .flat_map(|report| report.unheard.iter().map(|peer| peer.node.as_str()))
        .collect();
    let names: BTreeSet<&str> = records.keys().chain(by_node.keys()).copied().collect();
    let node = |name: &str| {
        let (record, report) = (records.get(name).copied(), by_node.get(name).copied());
        let is = |of: fn(&NodeRecord) -> bool| record.is_some_and(of);
        let said = [
            (NodeTrouble::NoNode, record.is_none()),
            (NodeTrouble::NoAgent, report.is_none()),
            (NodeTrouble::NotReady, is(|node| !node.ready)),
            (
                NodeTrouble::NetworkUnavailable,
                is(|node| node.network_unavailable),
            ),
            (NodeTrouble::OutOfService, is(|node| node.out_of_service)),
            (
                NodeTrouble::Leaving,
                is(|node| node.deleting || node.being_scaled_down),
            ),
            (NodeTrouble::Excluded, is(|node| node.excluded)),
            (NodeTrouble::Unheard, unheard.contains(name)),
            (
                NodeTrouble::SameName,
                report.is_some_and(|report| report.namesake.is_some()),
            ),
        ];
        let troubles: Vec<_> = said
            .into_iter()
            .filter_map(|(trouble, holds)| holds.then_some(trouble))
            .collect();
        let counts = report.map(|report| report.counts);
        Node {
            name: name.to_owned(),
            well: !troubles.iter().any(|trouble| trouble.is_amiss())
                && counts.is_none_or(|counts| counts.abnormal == 0 && counts.failing == 0),
            troubles,
            counts,
            written: report.and_then(|report| report.written),
        }
    };
    names.into_iter().map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{UnheardPeer, UnheardReason},
        world::samples,
    };

    #[test]
    fn a_node_is_told_with_its_agent_or_without() {
        let record = |name: &str, ready| NodeRecord {
            ready,
            ..samples::node(name, "10.0.0.1")
        };
        let report = |node: &str, counts| Report {
            node: node.into(),
            counts,
            ..Report::default()
        };
        let unhearing = Report {
            unheard: vec![UnheardPeer {
                node: "b".into(),
                interface: "eth0".into(),
                why: UnheardReason::PeerUnheard,
            }],
            ..report("a", Counts::default())
        };
        let abnormal = Counts {
            abnormal: 1,
            ..Counts::default()
        };
        let reports = [
            unhearing,
            report("b", Counts::default()),
            report("gone", abnormal),
        ];
        let records = [
            record("a", true),
            record("b", true),
            record("c", true),
            record("d", false),
        ];
        let told: Vec<_> = nodes(&records, &reports)
            .into_iter()
            .map(|node| (node.name, node.well, node.troubles))
            .collect();
        assert_eq!(
            told,
            [
                ("a".to_owned(), true, vec![]),
                ("b".to_owned(), false, vec![NodeTrouble::Unheard]),
                ("c".to_owned(), true, vec![NodeTrouble::NoAgent]),
                (
                    "d".to_owned(),
                    false,
                    vec![NodeTrouble::NoAgent, NodeTrouble::NotReady]
                ),
                ("gone".to_owned(), false, vec![NodeTrouble::NoNode]),
            ]
        );
    }
}
