//! A pool as its `AddressPool` says it, and why one cannot be used.

use herald_spi::PoolName;

use super::{
    InvalidSelector, Range, RangeError, Request, Scope, Selector, Tenants, address::excerpt,
    passed::Why,
};

/// The rules of an `AddressPool`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// When it was made, in seconds of Unix time: of two pools that overlap the older one is used.
    pub created: i64,
    /// The addresses to give out. Entries may overlap within one pool.
    pub ranges: Vec<Range>,
    /// Addresses that are never given out, whether or not they are in `ranges`.
    pub exclude: Vec<Range>,
    /// Whether Services that name neither pool nor address are served from it.
    pub automatic: bool,
    /// Pools of higher priority are used first; ties by name.
    pub priority: i32,
    /// Leave out .0 and .255 of every IPv4 /24, a CIDR's network address, and an IPv4 CIDR's broadcast address.
    pub avoid_edge_addresses: bool,
    /// Which namespaces may use it.
    pub tenants: Tenants,
    /// Which Services may use it; `None`: all.
    pub service_selector: Option<Selector>,
    /// Who may share one of its addresses by key.
    pub shared_by: Scope,
    /// How many of its addresses the Services of one namespace may hold; `None`: any number.
    pub quota_per_namespace: Option<u32>,
}

/// Why a pool is not Ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolFault {
    /// An entry is no range.
    #[error("{field}[{index}] = {entry:?}: {source}")]
    InvalidRange {
        /// `spec.addresses` or `spec.exclude`.
        field: &'static str,
        /// The place in the list, from 0.
        index: usize,
        /// The entry, shortened.
        entry: String,
        /// What is wrong with it.
        source: RangeError,
    },
    /// A selector that means nothing.
    #[error("{field}: {source}")]
    InvalidSelector {
        /// `spec.namespaceSelector` or `spec.serviceSelector`.
        field: &'static str,
        /// What is wrong with it.
        source: InvalidSelector,
    },
    /// An older pool gives out some of the addresses.
    #[error("{range} is also in the older pool {other}; remove it from one of them, or exclude it")]
    Overlap {
        /// The older pool.
        other: PoolName,
        /// The first run of addresses that both have.
        range: Range,
    },
    /// Nothing is left to give out.
    #[error("no address is left after the exclusions; add some to spec.addresses")]
    Empty,
}

impl Pool {
    /// An open, automatic pool of these entries, each a range, a CIDR or an address. The other rules are set on the
    /// result.
    ///
    /// # Errors
    /// [`PoolFault::InvalidRange`] for the first entry that is no range.
    pub fn parse<S: AsRef<str>>(
        name: PoolName,
        created: i64,
        addresses: &[S],
        exclude: &[S],
    ) -> Result<Self, PoolFault> {
        Ok(Self {
            name,
            created,
            ranges: ranges("spec.addresses", addresses)?,
            exclude: ranges("spec.exclude", exclude)?,
            automatic: true,
            priority: 0,
            avoid_edge_addresses: false,
            tenants: Tenants::default(),
            service_selector: None,
            shared_by: Scope::default(),
            quota_per_namespace: None,
        })
    }

    /// Whether the Service may have an address from here when it asks for the pool or for an address in it.
    pub(super) fn admit_on_request(&self, request: &Request) -> Result<(), Why> {
        if !self
            .tenants
            .allow(&request.service.namespace, &request.namespace_labels)
        {
            return Err(Why::NamespaceNotAllowed);
        }
        let selects = |selector: &Selector| selector.matches(&request.labels);
        if !self.service_selector.as_ref().is_none_or(selects) {
            return Err(Why::ServiceNotSelected);
        }
        Ok(())
    }

    /// Whether the Service may have an address from here without asking for it.
    pub(super) fn admit_automatically(&self, request: &Request) -> Result<(), Why> {
        if !self.automatic {
            return Err(Why::NotAutomatic);
        }
        self.admit_on_request(request)
    }

    /// The first selector that means nothing.
    pub(super) fn check_selectors(&self) -> Result<(), PoolFault> {
        [
            ("spec.namespaceSelector", &self.tenants.selector),
            ("spec.serviceSelector", &self.service_selector),
        ]
        .into_iter()
        .find_map(|(field, selector)| Some((field, selector.as_ref()?.fault()?.clone())))
        .map_or(Ok(()), |(field, source)| {
            Err(PoolFault::InvalidSelector { field, source })
        })
    }
}

impl PoolFault {
    /// The one word for the `Ready` condition.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidRange { .. } => "InvalidRange",
            Self::InvalidSelector { .. } => "InvalidSelector",
            Self::Overlap { .. } => "Overlap",
            Self::Empty => "Empty",
        }
    }
}

fn ranges<S: AsRef<str>>(field: &'static str, entries: &[S]) -> Result<Vec<Range>, PoolFault> {
    let parse = |(index, entry): (usize, &S)| {
        let entry = entry.as_ref();
        entry.parse().map_err(|source| PoolFault::InvalidRange {
            field,
            index,
            entry: excerpt(entry),
            source,
        })
    };
    entries.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_entry_is_named_with_its_place() {
        for (addresses, exclude, words) in [
            (
                vec!["10.0.0.1", "10.0.0.7/24"],
                vec![],
                "spec.addresses[1] = \"10.0.0.7/24\": ",
            ),
            (vec!["10.0.0.1"], vec!["lan"], "spec.exclude[0] = \"lan\": "),
        ] {
            let fault = Pool::parse("lan".into(), 0, &addresses, &exclude).unwrap_err();
            assert_eq!(fault.reason(), "InvalidRange");
            assert!(fault.to_string().starts_with(words), "{fault}");
        }
    }

    #[test]
    fn a_selector_that_means_nothing_is_named() {
        let ill = || Selector::new([].into(), [("tier".into(), "Is".into(), vec![])]);
        let pool = Pool::parse("lan".into(), 0, &["10.0.0.1"], &[]).unwrap();
        assert_eq!(pool.check_selectors(), Ok(()));
        let by_service = Pool {
            service_selector: Some(ill()),
            ..pool.clone()
        };
        let by_namespace = Pool {
            tenants: Tenants {
                namespaces: None,
                selector: Some(ill()),
            },
            ..pool
        };
        for (pool, field) in [
            (by_service, "spec.serviceSelector"),
            (by_namespace, "spec.namespaceSelector"),
        ] {
            let fault = pool.check_selectors().unwrap_err();
            assert_eq!(fault.reason(), "InvalidSelector");
            assert!(fault.to_string().starts_with(field), "{fault}");
        }
    }
}
