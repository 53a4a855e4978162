//! What a Service without its address waits for.

use std::net::IpAddr;

use herald_spi::PoolName;

use super::Family;

/// A change that could turn a refusal into a grant.
///
/// What is done to the Service itself is no wait: an edit of it, of its namespace's labels, a record or a reservation
/// for it. Who does that asks again anyway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wait {
    /// A free address of the family appears in the pool.
    Free(PoolName, Family),
    /// A holder lets the address go or enters it, its terms or its recorded pool change, or its reservation changes or
    /// ends.
    Address(IpAddr),
    /// The same of any address that is shared under this key. It is a secret: not for messages.
    Key(String),
    /// The namespace holds fewer addresses of the pool than before.
    Quota(PoolName, String),
    /// The pool is made, edited or deleted.
    Pool(PoolName),
    /// Any pool is made, edited or deleted.
    AnyPool,
}
