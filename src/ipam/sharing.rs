//! Whether a Service may share an address with those that have it.
//!
//! Two Services may iff they have the same key, are of one namespace or the pool lets the whole cluster share, serve
//! different ports, and, where both are under `externalTrafficPolicy: Local`, select the same endpoints. Among several
//! it holds for each pair.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use herald_spi::{PoolName, Port, ServiceKey};

use super::{Holder, Pool, Refusal, Scope, Share, Terms};

/// Why two Services may not share an address, their ports aside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// They are of different namespaces, and the pool shares only within one; `None`: no pool has the address.
    OtherNamespace(Option<PoolName>),
    /// The Service that shares the address has lost its own key.
    OwnKeyMissing,
    /// The holder has no key.
    NoKey,
    /// The holder has another key.
    OtherKey,
    /// Both are under `externalTrafficPolicy: Local` and select different endpoints.
    OtherSelector,
}

/// How a Service comes to stand beside the holders of an address.
#[derive(Clone, Copy)]
pub(super) enum Standing<'a> {
    /// It wants in; the pool is the one that has the address.
    Joins(Option<&'a Pool>),
    /// It is one of them. What has become of the pool no longer matters.
    Stays,
}

/// Whether a Service with these terms may share the address with the others. What differs most is told first; of the
/// namespaces before the keys, so that nobody learns anything of a key out of his reach.
pub(super) fn judge<'a>(
    address: IpAddr,
    service: &ServiceKey,
    terms: &Terms,
    others: impl Iterator<Item = &'a Share> + Clone,
    standing: Standing<'_>,
) -> Result<(), Refusal> {
    if let (None, Standing::Joins(_), Some(first)) = (&terms.key, standing, others.clone().next()) {
        return Err(Refusal::AddressInUse {
            address,
            holder: Arc::clone(&first.holder),
            shared: first.terms.key.is_some(),
        });
    }
    let mismatch = |holder: &Arc<Holder>, why| Refusal::SharingKeyMismatch {
        address,
        holder: Arc::clone(holder),
        why,
    };
    for Share { holder, terms: its } in others.clone() {
        if let Some(why) = keep_apart(service, terms, holder, its, standing) {
            return Err(mismatch(holder, why));
        }
    }
    let mut clashes = BTreeMap::<Port, Arc<Holder>>::new();
    for Share { holder, terms: its } in others.clone() {
        for port in terms.ports.intersection(&its.ports) {
            clashes.entry(*port).or_insert_with(|| Arc::clone(holder));
        }
    }
    if let Some((port, holder)) = clashes.first_key_value() {
        return Err(Refusal::PortInUse {
            address,
            port: *port,
            holder: Arc::clone(holder),
            clashes,
        });
    }
    for Share { holder, terms: its } in others {
        if matches!((&terms.local, &its.local), (Some(a), Some(b)) if a != b) {
            return Err(mismatch(holder, Mismatch::OtherSelector));
        }
    }
    Ok(())
}

/// What is wrong with namespaces and keys.
fn keep_apart(
    service: &ServiceKey,
    terms: &Terms,
    holder: &Holder,
    its: &Terms,
    standing: Standing<'_>,
) -> Option<Mismatch> {
    if let Standing::Joins(pool) = standing
        && holder.service.namespace != service.namespace
        && pool.is_none_or(|pool| pool.shared_by == Scope::Namespace)
    {
        let pool = pool.map(|pool| pool.name.clone());
        return Some(Mismatch::OtherNamespace(pool));
    }
    match (&terms.key, &its.key) {
        (Some(key), Some(other)) if key == other => None,
        (None, _) => Some(Mismatch::OwnKeyMissing),
        (_, None) => Some(Mismatch::NoKey),
        _ => Some(Mismatch::OtherKey),
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherNamespace(Some(pool)) => write!(
                f,
                "it is of another namespace, and pool {pool} shares only within one (sharing: Namespace); ask for \
                 another address, or have the pool say sharing: Cluster"
            ),
            Self::OtherNamespace(None) => f.write_str(
                "it is of another namespace, and no pool that has the address says sharing: Cluster; ask for another \
                 address",
            ),
            Self::OwnKeyMissing => f.write_str(
                "this Service has no sharing key any more; put herald.dev/sharing-key back, or ask for another address",
            ),
            Self::NoKey => f.write_str(
                "it has no sharing key; give both the same herald.dev/sharing-key, or ask for another address",
            ),
            Self::OtherKey => f.write_str(
                "it has another sharing key; give both the same herald.dev/sharing-key, or ask for another address",
            ),
            Self::OtherSelector => f.write_str(
                "both have externalTrafficPolicy: Local and select different endpoints; make their selectors equal, \
                 set one to Cluster, or ask for another address",
            ),
        }
    }
}
