//! Which addresses to ask for on which interface, and who does. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_layer2::survey::{LIMIT, Plan};
use herald_spi::{IfIndex, Link, NodeName};

use super::Held;
use crate::{api::SurveyedInterface, ipam::Range, placement::Segment, world::PoolRecord};

/// What to do about one interface.
#[derive(Debug)]
pub(in crate::agent) struct Job {
    pub(in crate::agent) link: Link,
    /// Who asks on this segment.
    by: NodeName,
    /// What this node asks; `None` where another one does.
    pub(in crate::agent) plan: Option<Plan>,
    /// How many addresses are too many.
    left: u32,
}

impl Job {
    /// What is told of it before anything is found.
    pub(super) fn line(&self) -> SurveyedInterface {
        SurveyedInterface {
            interface: self.link.name.clone(),
            by: self.by.to_string(),
            left: self.left,
            ..SurveyedInterface::default()
        }
    }
}

/// A job for each segment that has free addresses of these pools.
pub(in crate::agent) fn jobs(
    me: &NodeName,
    segments: &BTreeMap<IfIndex, Segment>,
    pools: &[&PoolRecord],
    held: &Held,
    mut transaction: impl FnMut() -> u32,
) -> Vec<Job> {
    let mut jobs = Vec::new();
    for segment in segments.values().filter(|segment| segment.link.up) {
        let runs = runs(&segment.link, pools);
        let all = runs.iter().map(size).fold(0, u128::saturating_add);
        let taken = held
            .iter()
            .filter(|address| runs.iter().any(|run| run.contains(**address)));
        let free = all.saturating_sub(u128::try_from(taken.count()).unwrap_or(0));
        let targets = runs.iter().flat_map(Range::addresses);
        let targets: Vec<IpAddr> = targets
            .filter(|address| !held.contains(address))
            .take(LIMIT)
            .collect();
        if targets.is_empty() {
            continue;
        }
        let left = free.saturating_sub(u128::try_from(targets.len()).unwrap_or(0));
        let staying = segment
            .peers
            .iter()
            .filter(|(_, peer)| !peer.leaving)
            .map(|(name, _)| name);
        let by = staying.chain([me]).min().unwrap_or(me).clone();
        let plan = (by == *me).then(|| Plan {
            transaction: targets.iter().any(IpAddr::is_ipv4).then(&mut transaction),
            targets,
        });
        jobs.push(Job {
            link: segment.link.clone(),
            left: u32::try_from(left).unwrap_or(u32::MAX),
            by,
            plan,
        });
    }
    jobs
}

/// The addresses of the pools that belong on this link: those in its subnets, and those of pools that name it.
fn runs(link: &Link, pools: &[&PoolRecord]) -> Vec<Range> {
    let mut runs = BTreeSet::new();
    for record in pools {
        let Ok(pool) = &record.pool else { continue };
        for rule in &record.rules {
            match &rule.interfaces {
                Some(names) if names.contains(&link.name) => runs.extend(pool.usable()),
                Some(_) => {}
                None => {
                    for range in pool.usable() {
                        let parts = link
                            .subnets()
                            .filter_map(|net| range.within(net.network(), net.broadcast()));
                        runs.extend(parts);
                    }
                }
            }
        }
    }
    runs.into_iter().collect()
}

fn size(range: &Range) -> u128 {
    let number = |address| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    number(range.last())
        .saturating_sub(number(range.first()))
        .saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use herald_spi::{Mac, Time};

    use super::*;
    use crate::{
        placement::Peer,
        world::{Layer2Rule, samples},
    };

    fn record(addresses: &[&str], interfaces: Option<&[&str]>) -> PoolRecord {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        PoolRecord {
            rules: vec![Layer2Rule {
                interfaces: interfaces.map(names),
                ..Layer2Rule::default()
            }],
            ..samples::pool("lan", addresses)
        }
    }

    fn segment(name: &str, subnets: &[&str], peers: &[(&str, bool)]) -> Segment {
        let peer = |leaving| Peer {
            leaving,
            ..Peer::default()
        };
        Segment {
            link: Link {
                index: IfIndex(1),
                name: name.to_owned(),
                mac: Mac([2, 0, 0, 0, 0, 1]),
                up: true,
                addresses: subnets.iter().map(|net| net.parse().unwrap()).collect(),
            },
            listening_since: Time::ZERO,
            peers: peers
                .iter()
                .map(|(name, leaving)| (NodeName::from(*name), peer(*leaving)))
                .collect(),
        }
    }

    /// By whom, for which addresses, how many are left out, and whether DHCP servers are asked.
    fn told(
        segment: Segment,
        record: &PoolRecord,
        held: &[&str],
    ) -> Vec<(String, Vec<String>, u32, bool)> {
        let held: Held = Arc::new(
            held.iter()
                .map(|address| address.parse().unwrap())
                .collect(),
        );
        let segments = BTreeMap::from([(IfIndex(1), segment)]);
        let jobs = jobs(&"b".into(), &segments, &[record], &held, || 7);
        jobs.into_iter()
            .map(|job| {
                let plan = job.plan.unwrap_or_default();
                let targets = plan.targets.iter().map(ToString::to_string).collect();
                (
                    job.by.to_string(),
                    targets,
                    job.left,
                    plan.transaction.is_some(),
                )
            })
            .collect()
    }

    #[test]
    fn only_free_addresses_on_the_links_subnets_are_asked_for() {
        let pool = record(&["192.168.77.254-192.168.78.1", "fd77::1-fd77::2"], None);
        let lan = ["192.168.77.1/24", "fd77::9/64"];
        let asked = told(
            segment("eth0", &lan, &[]),
            &pool,
            &["192.168.77.255", "fd77::2"],
        );
        let targets = ["192.168.77.254", "fd77::1"].map(str::to_owned).to_vec();
        assert_eq!(asked, [("b".to_owned(), targets, 0, true)]);
        assert_eq!(told(segment("eth0", &["10.0.0.1/8"], &[]), &pool, &[]), []);
        // A pool that names interfaces needs no subnet.
        let named = record(&["fd77::1"], Some(&["eth1"]));
        assert_eq!(told(segment("eth0", &lan, &[]), &named, &[]), []);
        let targets = vec!["fd77::1".to_owned()];
        assert_eq!(
            told(segment("eth1", &[], &[]), &named, &[]),
            [("b".to_owned(), targets, 0, false)]
        );
    }

    #[test]
    fn the_first_name_on_a_segment_asks() {
        let pool = record(&["192.168.77.200"], None);
        for (peers, by) in [
            (&[("c", false)][..], "b"),
            (&[("a", false)], "a"),
            (&[("a", true)], "b"),
        ] {
            let asked = told(segment("eth0", &["192.168.77.1/24"], peers), &pool, &[]);
            assert_eq!(asked[0].0, by);
            assert_eq!(asked[0].1.is_empty(), by != "b");
        }
    }

    #[test]
    fn of_a_large_pool_the_rest_is_counted() {
        let pool = record(&["fd77::/64"], None);
        let asked = told(segment("eth0", &["fd77::9/64"], &[]), &pool, &[]);
        assert_eq!((asked[0].1.len(), asked[0].2), (LIMIT, u32::MAX));
    }
}
