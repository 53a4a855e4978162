//! The boundary to a provider that announces addresses on a network.
//!
//! Level-triggered: the agent hands over the full set of duties each time, the provider takes the difference. What
//! the provider learns comes back as [`Report`]s. Nothing here says how frames look.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{IfIndex, Links, Mac};

/// An address on one link: the unit of announcing, since each link is on a segment of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The address.
    pub address: IpAddr,
    /// The link of this node on which it is asked for or announced.
    pub interface: IfIndex,
}

/// Everything that a provider shall do, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// What to do where. A place that is missing here is let go at once. Serialised as a list of pairs, since
    /// formats such as JSON have only strings for keys.
    #[serde(with = "pairs")]
    pub duties: BTreeMap<Place, Duty>,
    /// Hardware addresses of all known Herald nodes, this one included: they are never foreign.
    pub herald_macs: BTreeSet<Mac>,
}

/// What to do about one address on one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Duty {
    /// Find out who answers for it; neither answer nor announce. Ends with [`Report::Answered`], but not while the
    /// link is down: then nobody can know, and the asker has its own patience.
    Ask(Question),
    /// Answer for it, announce it on gain and again from time to time, and defend it.
    Own {
        /// How it was gained.
        gain: Gain,
        /// When this number changes the announcements start over, as after the heal of a partition.
        round: u32,
    },
}

/// One question to the wire. A new `id` starts it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Chosen by the asker; comes back in the answer.
    pub id: u64,
    /// Which question.
    pub wonder: Wonder,
}

/// What the asker wants to know, and so how patiently it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wonder {
    /// Is the address free, before its very first claim: three probes within tens of milliseconds.
    FirstClaim,
    /// Does the silent owner still answer, before a takeover: two probes 20 ms apart.
    Takeover,
    /// Does the owner, another node, answer: two probes 100 ms apart. Only answers count, announcements and the probes
    /// of others do not, and all that come within 100 ms of the first one are named.
    Check,
}

/// How an owner came by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gain {
    /// The very first claim: probing goes on in the background at the pace of RFC 5227.
    First,
    /// Taken over from another node, or resumed.
    Takeover,
}

/// What a provider has learnt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The links of this node, whole, at the start and after each change.
    Links(Links),
    /// A question is answered, or its time is over: then `by` is empty.
    Answered {
        /// Where it was asked.
        place: Place,
        /// The question's `id`.
        question: u64,
        /// The hardware addresses that answered.
        by: BTreeSet<Mac>,
    },
    /// A host that is no Herald node claims an address that this node owns. Sent on the first sighting and then
    /// at most once a second.
    Conflict {
        /// Where it was seen.
        place: Place,
        /// Who claims it.
        by: Mac,
    },
    /// Another Herald node says on the wire that it has an address that this node owns. Sent on the first sighting and
    /// then at most once a second.
    Rivalled {
        /// Where it was seen.
        place: Place,
        /// Who says so.
        by: Mac,
    },
    /// An address that this node owns cannot be announced now, or one cannot be asked about because there is no
    /// such link; sent when that begins.
    Failing {
        /// Where.
        place: Place,
        /// Why, for people.
        why: String,
    },
    /// The end of [`Report::Failing`].
    Recovered {
        /// Where.
        place: Place,
    },
}

/// A provider that announces addresses. It runs on its own; dropping it lets everything go.
pub trait Announcer: Send + Sync {
    /// The provider's name, as in a pool's `advertise` and in metrics: `layer2`.
    fn name(&self) -> &'static str;

    /// Replaces everything that shall be done. Returns at once; the newest call wins.
    fn set_desired(&self, desired: Arc<Desired>);
}

mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Duty, Place};

    pub(super) fn serialize<S: Serializer>(
        duties: &BTreeMap<Place, Duty>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(duties)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Place, Duty>, D::Error> {
        Vec::deserialize(deserializer).map(|pairs: Vec<_>| pairs.into_iter().collect())
    }
}
