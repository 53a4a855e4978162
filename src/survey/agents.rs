//! What is wrong between the agents: who is alive and not heard, and who has another's name. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Report, Trouble};
use crate::api::UnheardReason;

/// What the nodes say of each other.
#[derive(Default)]
pub(super) struct Agents<'a> {
    /// By the node that is not heard and why: who does not hear it, and where.
    unheard: BTreeMap<(&'a str, UnheardReason), BTreeSet<(&'a str, &'a str)>>,
    /// By node: the hardware address of the other host of that name.
    namesakes: BTreeMap<&'a str, &'a str>,
}

impl<'a> Agents<'a> {
    pub(super) fn take(&mut self, report: &'a Report) {
        for peer in &report.unheard {
            let by = self.unheard.entry((&peer.node, peer.why)).or_default();
            by.insert((&report.node, &peer.interface));
        }
        let namesake = report.namesake.as_deref();
        self.namesakes
            .extend(namesake.map(|mac| (report.node.as_str(), mac)));
    }

    /// One line for each node and trouble.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        let unheard = self.unheard.iter().map(|((node, why), by)| {
            let by: Vec<_> = by.iter().map(|(by, interface)| format!("{by} ({interface})")).collect();
            let (by, state) = (by.join(", "), format!("{why:?}"));
            let message = match why {
                UnheardReason::PeerNoCarrier => format!("{node} is alive, and has no carrier on the segment of {by}"),
                UnheardReason::PeerUnheard => format!(
                    "{node} is alive, and its heartbeats do not reach {by}: is UDP port 9471 blocked there, or the segment split?"
                ),
            };
            Trouble { node: (*node).to_owned(), state, message }
        });
        let namesakes = self.namesakes.iter().map(|(node, mac)| Trouble {
            node: (*node).to_owned(),
            state: "SameName".to_owned(),
            message: format!(
                "two agents run as node {node}, the other one on the host with {mac}: give each its own --node-name"
            ),
        });
        unheard.chain(namesakes).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster;

    fn report(node: &str, unheard: &[(&str, &str)], namesake: Option<&str>) -> Report {
        let unheard: Vec<_> = unheard
            .iter()
            .map(|(node, why)| json!({ "node": node, "interface": "eth0", "why": why }))
            .collect();
        let announcements = json!({
            "apiVersion": "herald.dev/v1alpha1", "kind": "NodeAnnouncements",
            "metadata": { "name": node }, "spec": {},
            "status": { "unheard": unheard, "namesake": namesake },
        });
        cluster::report(&serde_json::from_value(announcements).unwrap()).unwrap()
    }

    #[test]
    fn each_trouble_is_one_line_however_many_nodes_see_it() {
        let reports = [
            report("a", &[("c", "PeerUnheard"), ("d", "PeerNoCarrier")], None),
            report("b", &[("c", "PeerUnheard")], Some("02:00:00:00:00:09")),
            report("e", &[], None),
        ];
        let mut agents = Agents::default();
        reports.iter().for_each(|report| agents.take(report));
        let told: Vec<_> = agents
            .troubles()
            .into_iter()
            .map(|trouble| format!("{}: {}", trouble.state, trouble.message))
            .collect();
        assert_eq!(
            told,
            [
                "PeerUnheard: c is alive, and its heartbeats do not reach a (eth0), b (eth0): is UDP port 9471 blocked \
                 there, or the segment split?",
                "PeerNoCarrier: d is alive, and has no carrier on the segment of a (eth0)",
                "SameName: two agents run as node b, the other one on the host with 02:00:00:00:00:09: give each its \
                 own --node-name",
            ]
        );
    }
}
