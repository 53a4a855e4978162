//! The explanation as plain data: what `-o json` prints, and what the text is made of.

use serde::Serialize;

use crate::cli::aws::Target;

/// Everything that there is to say of one Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Model {
    /// It has its addresses, and each is announced.
    pub(super) well: bool,
    pub(super) namespace: String,
    pub(super) name: String,
    /// In one word: `Announcing`, or what is amiss.
    pub(super) state: String,
    pub(super) asks: Vec<Ask>,
    pub(super) ownership: Ownership,
    /// What is wrong with the request itself.
    pub(super) invalid: Option<String>,
    /// In the order in which they are tried, then those that are not.
    pub(super) pools: Vec<Pool>,
    pub(super) requested: Vec<Requested>,
    /// Addresses of these pools that nobody has and that are kept back.
    pub(super) kept_back: Vec<KeptBack>,
    /// What decided, in sentences without their subject, the Service.
    pub(super) notes: Vec<String>,
    pub(super) verdicts: Vec<Verdict>,
    /// What could change the verdict.
    pub(super) wakes_when: Vec<String>,
    /// What to do about it.
    pub(super) advice: Option<String>,
    pub(super) addresses: Vec<Address>,
    /// Of its balancer in AWS, where AWS was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) targets: Option<Vec<Target>>,
    /// Of Herald, the latest last.
    pub(super) events: Vec<Event>,
}

/// One thing that the Service says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ask {
    pub(super) what: &'static str,
    pub(super) value: String,
    /// The field or the annotation that says so.
    pub(super) from: String,
}

/// Whose the Service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ownership {
    pub(super) heralds: bool,
    /// `Class`, `DefaultProvider`, `ForeignController` or `OtherClass`.
    pub(super) by: &'static str,
    pub(super) message: String,
}

/// A pool as the decision saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) priority: i32,
    pub(super) automatic: bool,
    /// Nothing where it has no addresses of the family, or where it is not Ready.
    pub(super) ipv4: Option<Counts>,
    pub(super) ipv6: Option<Counts>,
    pub(super) quota: Option<Quota>,
    /// `Chosen`, `NotNeeded` or `PassedOver`.
    pub(super) verdict: &'static str,
    /// The chosen addresses, or why it was passed over.
    pub(super) detail: String,
}

/// How many addresses of a family there are, as decimal strings: those of IPv6 do not fit a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    pub(super) capacity: String,
    pub(super) used: String,
    pub(super) reserved: String,
    pub(super) quarantined: String,
    pub(super) free: String,
}

/// How many addresses the Service's namespace has of a pool, and may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Quota {
    pub(super) held: u64,
    pub(super) limit: u32,
}

/// An address that the Service asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Requested {
    pub(super) address: String,
    /// The Ready pool that gives it out.
    pub(super) pool: Option<String>,
    /// Who has it.
    pub(super) holders: Vec<Holder>,
    pub(super) kept_back: Option<KeptBack>,
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Holder {
    /// `namespace/name`.
    pub(super) service: String,
    /// Whether it is the Service itself.
    pub(super) itself: bool,
    pub(super) ports: Vec<String>,
}

/// An address that nobody has and that is kept back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeptBack {
    pub(super) address: String,
    pub(super) pool: Option<String>,
    /// The deleted Service that it waits for; nothing: in quarantine.
    pub(super) awaits: Option<String>,
    /// In quarantine: the hardware address of the host that was found to use it.
    pub(super) used_by: Option<String>,
    pub(super) until: String,
}

/// A condition on the Service: what is written, and what the controller would write now, if that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) written: Option<Said>,
    pub(super) now: Option<Said>,
}

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said {
    pub(super) status: bool,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) since: Option<String>,
}

/// An address of the Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Address {
    pub(super) address: String,
    pub(super) well: bool,
    pub(super) state: String,
    pub(super) message: String,
    pub(super) announcements: Vec<Announcement>,
}

/// What a node does about an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Announcement {
    pub(super) node: String,
    pub(super) interface: String,
    pub(super) state: String,
    pub(super) since: String,
    pub(super) conflicting_mac: Option<String>,
    pub(super) message: Option<String>,
}

/// An Event on the Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub(super) when: String,
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) by: String,
}
