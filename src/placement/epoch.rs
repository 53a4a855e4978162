//! Which of two claims stands, and with which number a new one is made.
//!
//! The highest epoch wins, ties go by rendezvous hash. Epochs carry one bit of meaning: **even** was claimed while
//! most of the segment was heard, **odd** without.
//!
//! ```text
//!   last seen   claim with a majority   claim without
//!   nothing             2                     1
//!      1                2                     1
//!      2                4                     1
//!      4                6                     3
//! ```
//!
//! A takeover with a majority raises the epoch: whoever comes back with the old number yields. A takeover without
//! one stays *below* what it replaces, because it cannot tell a dead owner from a cable of its own that is cut. When
//! the cable heals, the many keep what they have. Were it raised as well, one node that is deaf or was cut off would
//! take every address of the segment at the moment it is heard again, and nobody had failed.
//!
//! Two nodes that share a wire and do not hear each other's claims see each other's announcements. Of those, the one
//! with the better hash of address and hardware address stands.

use std::net::IpAddr;

use herald_spi::{Mac, NodeName};

use super::rendezvous::{self, Score};

/// How often an address changed its owner, roughly; see the module.
pub type Epoch = u64;

/// What a claimant can tell about the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It hears some peer, and of all nodes that it ever heard there and that still exist, itself included, most.
    Majority,
    /// It hears nobody, or half of the nodes or fewer.
    Minority,
}

impl Hearing {
    /// From the number of peers that are heard, and of those that should be and are not.
    #[must_use]
    pub const fn of(heard: usize, absent: usize) -> Self {
        if heard > 0 && heard + 1 > absent {
            Self::Majority
        } else {
            Self::Minority
        }
    }
}

/// The epoch to claim with, when `seen` is the highest that was ever seen for the place.
#[must_use]
pub const fn claiming(seen: Option<Epoch>, hearing: Hearing) -> Epoch {
    match (seen, hearing) {
        (None, Hearing::Majority) => 2,
        (None, Hearing::Minority) => 1,
        (Some(seen), Hearing::Majority) => above(seen),
        (Some(seen), Hearing::Minority) => match (seen & !1).checked_sub(1) {
            Some(below) => below,
            None => 1,
        },
    }
}

/// The epoch that surely replaces `seen`: for a handover, where the old owner lives and waits for it.
#[must_use]
pub const fn above(seen: Epoch) -> Epoch {
    (seen | 1).saturating_add(1)
}

/// What a claim weighs: the greater one stands. Total, so that all agents agree.
#[must_use]
pub fn weight(
    address: IpAddr,
    node: &NodeName,
    epoch: Epoch,
) -> (Epoch, Score, std::cmp::Reverse<&NodeName>) {
    (
        epoch,
        rendezvous::score(address, node),
        std::cmp::Reverse(node),
    )
}

/// What a node weighs for an address by its hardware address alone: all that is known of a peer that announces it and
/// is not heard. Total, so that both agree.
#[must_use]
pub fn weight_on_the_wire(address: IpAddr, mac: Mac) -> (Score, Mac) {
    let named = NodeName::new(mac.to_string());
    (rendezvous::score(address, &named), mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_rises_and_a_minority_stays_below() {
        use Hearing::{Majority, Minority};
        for (seen, hearing, claim) in [
            (None, Majority, 2),
            (None, Minority, 1),
            (Some(1), Majority, 2),
            (Some(1), Minority, 1),
            (Some(2), Majority, 4),
            (Some(2), Minority, 1),
            (Some(3), Majority, 4),
            (Some(3), Minority, 1),
            (Some(4), Majority, 6),
            (Some(4), Minority, 3),
            (Some(0), Minority, 1),
        ] {
            assert_eq!(claiming(seen, hearing), claim, "{seen:?} {hearing:?}");
        }
    }

    #[test]
    fn who_hears_nobody_or_half_is_no_majority() {
        for (heard, absent, hearing) in [
            (0, 0, Hearing::Minority),
            (0, 1, Hearing::Minority),
            (1, 0, Hearing::Majority),
            (1, 1, Hearing::Majority),
            (1, 2, Hearing::Minority),
            (28, 1, Hearing::Majority),
        ] {
            assert_eq!(Hearing::of(heard, absent), hearing, "{heard} {absent}");
        }
    }

    #[test]
    fn the_epoch_counts_before_the_hash() {
        let address = IpAddr::from([10, 0, 0, 1]);
        let (a, b) = (NodeName::from("a"), NodeName::from("b"));
        assert!(weight(address, &a, 3) > weight(address, &b, 2));
        assert!(weight(address, &b, 3) > weight(address, &a, 2));
        assert_ne!(weight(address, &a, 2), weight(address, &b, 2));
    }
}
