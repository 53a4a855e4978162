//! A survey of the region, shared by all Services: what carries our cluster's tags, and so what has no Service any more.
//!
//! ```text
//!   DescribeLoadBalancers ─┐
//!   DescribeTargetGroups ──┴▶ DescribeTags, 20 at a time ─┐
//!   DescribeSecurityGroups ─┐                             ├▶ Inventory ─▶ hints of a Service
//!   DescribeSecurityGroupRules ▶ by tag ──────────────────┘           └▶ orphans: UIDs without a Service
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    call::{Call, Reply},
    failure::{Failure, Verdict},
    model::Tags,
    owner::{CLUSTER, SERVICE, UID},
    words::Id,
};

/// AWS tells the tags of so many objects at once.
pub(crate) const TAGGED: usize = 20;

/// The objects of one Service, by ARN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Balancers.
    pub balancers: BTreeSet<String>,
    /// Target groups.
    pub groups: BTreeSet<String>,
    /// Security groups, by id.
    pub security_groups: BTreeSet<String>,
    /// Rules, by id, in whatever security group.
    pub rules: BTreeSet<String>,
}

/// What of a region carries the cluster's tag, by UID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    by_uid: BTreeMap<String, (String, Hints)>,
}

/// Something of ours whose Service is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The Service's UID.
    pub uid: String,
    /// What the Service was called.
    pub service: String,
    /// What is left of it.
    pub left: Hints,
}

/// A survey under way.
#[derive(Debug)]
pub struct Survey {
    cluster: String,
    todo: VecDeque<Call>,
    groups: BTreeSet<String>,
    inventory: Inventory,
    end: Option<Verdict>,
}

impl Survey {
    /// A survey for this cluster.
    pub fn new(cluster: impl Into<String>) -> Self {
        let cluster = cluster.into();
        let ours: Tags = [(CLUSTER.to_owned(), cluster.clone())].into();
        Self {
            cluster,
            todo: [
                Call::DescribeAllBalancers,
                Call::DescribeAllGroups,
                Call::DescribeSecurityGroups(ours.clone()),
                Call::DescribeSecurityGroupRules(ours),
            ]
            .into(),
            groups: BTreeSet::new(),
            inventory: Inventory::default(),
            end: None,
        }
    }

    /// The next call, if any.
    #[must_use]
    pub fn next_call(&self) -> Option<&Call> {
        self.todo.front().filter(|_| self.end.is_none())
    }

    /// Takes the answer to that call.
    pub fn take(&mut self, answer: Result<Reply, Failure>) {
        let Some(call) = self.todo.pop_front() else {
            return;
        };
        match answer {
            Ok(Reply::Balancers(read)) => self.ask_tags(read.into_iter().map(|read| read.arn)),
            Ok(Reply::Groups(read)) => {
                let arns: Vec<String> = read.into_iter().map(|read| read.arn).collect();
                self.groups.extend(arns.iter().cloned());
                self.ask_tags(arns);
            }
            Ok(Reply::Tags(tags)) => tags.into_iter().for_each(|(arn, tags)| {
                let of_groups = self.groups.contains(&arn);
                self.file(&tags, |hints| {
                    let kind = if of_groups {
                        &mut hints.groups
                    } else {
                        &mut hints.balancers
                    };
                    kind.insert(arn);
                });
            }),
            Ok(Reply::SecurityGroups(found)) => found.into_iter().for_each(|(id, tags)| {
                self.file(&tags, |hints| hints.security_groups.extend([id]));
            }),
            Ok(Reply::Rules(rules)) => rules.into_iter().for_each(|rule| {
                self.file(&rule.tags, |hints| hints.rules.extend([rule.id]));
            }),
            Ok(_) => {}
            // Something went away meanwhile, so AWS tells nothing of the others either.
            Err(failure) if failure.is_missing() => self.ask_one_by_one(&call),
            Err(failure) => self.end = Some(failure.classify(&call)),
        }
    }

    /// The inventory.
    ///
    /// # Errors
    /// The call that failed.
    pub fn finish(self) -> Result<Inventory, Verdict> {
        self.end.map_or(Ok(self.inventory), Err)
    }

    fn ask_tags(&mut self, arns: impl IntoIterator<Item = String>) {
        let ids: Vec<Id> = arns.into_iter().map(Id::Known).collect();
        let calls = ids
            .chunks(TAGGED)
            .map(|chunk| Call::DescribeTags(chunk.to_vec()));
        self.todo.extend(calls);
    }

    fn ask_one_by_one(&mut self, call: &Call) {
        if let Call::DescribeTags(ids) = call
            && ids.len() > 1
        {
            self.todo
                .extend(ids.iter().map(|id| Call::DescribeTags(vec![id.clone()])));
        }
    }

    /// Files an object with these tags, if they are ours: AWS takes wildcards in filters, so a filter alone proves nothing.
    fn file(&mut self, tags: &Tags, put: impl FnOnce(&mut Hints)) {
        let Some(uid) = tags
            .get(UID)
            .filter(|_| tags.get(CLUSTER) == Some(&self.cluster))
        else {
            return;
        };
        let service = tags.get(SERVICE).cloned().unwrap_or_default();
        let (_, hints) = self
            .inventory
            .by_uid
            .entry(uid.clone())
            .or_insert((service, Hints::default()));
        put(hints);
    }
}

impl Hints {
    /// Every object, as AWS names it, balancers first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let elb = self.balancers.iter().chain(&self.groups);
        let all = elb.chain(&self.security_groups).chain(&self.rules);
        all.map(String::as_str)
    }
}

impl Inventory {
    /// What there is for a Service.
    #[must_use]
    pub fn of(&self, uid: &str) -> Hints {
        self.by_uid
            .get(uid)
            .map(|(_, hints)| hints.clone())
            .unwrap_or_default()
    }

    /// What there is for Services that are no more.
    #[must_use]
    pub fn orphans(&self, living: &BTreeSet<String>) -> Vec<Orphan> {
        let dead = self.by_uid.iter().filter(|(uid, _)| !living.contains(*uid));
        dead.map(|(uid, (service, left))| Orphan {
            uid: uid.clone(),
            service: service.clone(),
            left: left.clone(),
        })
        .collect()
    }
}
