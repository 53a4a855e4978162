//! What has been understood so far.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;

use super::{Import, ImportError, Note, ServiceChange};
use crate::{
    api::{AddressPool, AddressPoolSpec, SharingScope},
    ipam::{Range, RangeError},
};

/// Pools with their ranges, Services, notes.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pools: Vec<(AddressPool, Vec<Range>)>,
    services: Vec<ServiceChange>,
    notes: BTreeSet<Note>,
}

impl Draft {
    /// Says something to people.
    pub(super) fn note(&mut self, object: &str, part: &str, message: impl Into<String>) {
        self.notes.insert(Note {
            object: object.to_owned(),
            part: part.to_owned(),
            message: message.into(),
        });
    }

    /// Reads ranges of another notation: blanks around the dash, and bits behind the prefix, as the others bear them.
    pub(super) fn ranges(
        &mut self,
        object: &str,
        field: &str,
        texts: &[String],
    ) -> Result<Vec<Range>, ImportError> {
        let mut ranges = Vec::new();
        for text in texts {
            let text = text.trim();
            let range = match text.parse::<Range>() {
                Err(RangeError::HostBits { network, .. }) => {
                    self.note(
                        object,
                        field,
                        format!("{text} is written as its network {network}"),
                    );
                    IpNet::to_string(&network).parse()
                }
                read => read,
            };
            let range = range.map_err(|error| ImportError::Addresses {
                object: object.to_owned(),
                field: field.to_owned(),
                why: error.to_string(),
            })?;
            ranges.push(range);
        }
        Ok(ranges)
    }

    /// Adds a pool. What another pool has already is left to that one, for an address is in one pool alone.
    pub(super) fn add(
        &mut self,
        object: &str,
        name: &str,
        ranges: Vec<Range>,
        spec: AddressPoolSpec,
    ) {
        let mut own: Vec<Range> = Vec::new();
        for range in ranges {
            let taken = own
                .iter()
                .map(|other| (name, other))
                .chain(self.named_ranges())
                .find_map(|(pool, other)| {
                    let meeting = range.overlap(other.first(), other.last())?;
                    Some(format!(
                        "{range} is left out: {meeting} is in pool {pool} already, and an address is in one pool alone"
                    ))
                });
            match taken {
                Some(message) => self.note(object, "addresses", message),
                None => own.push(range),
            }
        }
        if own.is_empty() {
            self.note(
                object,
                "",
                "has no addresses of its own, so no pool is made of it",
            );
            return;
        }
        let spec = AddressPoolSpec {
            addresses: own.iter().map(Range::to_string).collect(),
            ..spec
        };
        self.pools.push((AddressPool::new(name, spec), own));
    }

    pub(super) fn change(&mut self, change: ServiceChange) {
        self.services.push(change);
    }

    /// Services of several namespaces have this address.
    pub(super) fn share_across_namespaces(&mut self, address: IpAddr) {
        let holds = |(_, ranges): &&mut (AddressPool, Vec<Range>)| {
            ranges.iter().any(|range| range.contains(address))
        };
        let Some((pool, _)) = self.pools.iter_mut().find(holds) else {
            return;
        };
        if pool.spec.sharing == SharingScope::Cluster {
            return;
        }
        pool.spec.sharing = SharingScope::Cluster;
        let title = format!(
            "AddressPool/{}",
            pool.metadata.name.as_deref().unwrap_or_default()
        );
        let why = format!("Cluster, as Services of several namespaces share {address}");
        self.note(&title, "spec.sharing", why);
    }

    /// Whether a pool has the address.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.named_ranges()
            .any(|(_, range)| range.contains(address))
    }

    pub(super) fn has_pool(&self, name: &str) -> bool {
        self.named_ranges().any(|(pool, _)| pool == name)
    }

    fn named_ranges(&self) -> impl Iterator<Item = (&str, &Range)> {
        self.pools.iter().flat_map(|(pool, ranges)| {
            let name = pool.metadata.name.as_deref().unwrap_or_default();
            ranges.iter().map(move |range| (name, range))
        })
    }

    pub(super) fn finish(self) -> Import {
        Import {
            pools: self.pools.into_iter().map(|(pool, _)| pool).collect(),
            services: self.services,
            notes: self.notes.into_iter().collect(),
        }
    }
}
