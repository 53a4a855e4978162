//! Reads what there is of one Service, call by call: the caller makes each call and brings the answer back.
//!
//! ```text
//!   first   balancers, target groups (by ARN from memory, by name only where needed), security groups, rules
//!   then    listeners of the balancers
//!   then    tags of all of these: what is not ours is put aside here
//!   last    targets; attributes and certificates where they are ours to keep and not remembered
//! ```
//! An object that is missing is left out, since another may have deleted it a moment ago. Any other failure ends the look:
//! nothing is planned on half a view.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    call::{BalancerRead, Call, GroupRead, Health, ListenerRead, Reply, RuleRead},
    failure::{Failure, Verdict},
    inventory::TAGGED,
    memory::{Kind, Memory},
    model::{Tags, Target},
    observed::{Balancer, Group, Listener, Observed},
    owner::{ATTRIBUTE, CLUSTER, Owner, UID},
    words::{Id, Moment, Wire},
};

/// A look under way.
#[derive(Debug)]
pub struct Look {
    owner: Owner,
    now: Moment,
    todo: VecDeque<Call>,
    stage: Stage,
    balancers: BTreeMap<String, BalancerRead>,
    groups: BTreeMap<String, GroupRead>,
    listeners: BTreeMap<String, Vec<ListenerRead>>,
    tags: BTreeMap<String, Tags>,
    targets: BTreeMap<String, BTreeMap<Target, Health>>,
    security_groups: BTreeSet<String>,
    rules: Vec<RuleRead>,
    /// Whether only whose objects are, and not how they are, matters.
    brief: bool,
    end: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Objects,
    Listeners,
    Tags,
    Details,
    Done,
}

impl Look {
    /// A look at what `owner` has; `name` is what the user wants the balancer to be called.
    #[must_use]
    pub fn new(owner: Owner, name: Option<&str>, memory: &Memory, now: Moment) -> Self {
        let ids = |arns: &BTreeSet<String>| arns.iter().map(Id::known).collect::<Vec<_>>();
        let mut todo = VecDeque::new();
        if memory.hints.balancers.is_empty() {
            todo.extend(name.map(|name| Call::DescribeBalancerNamed(name.to_owned())));
        } else {
            todo.push_back(Call::DescribeBalancers(ids(&memory.hints.balancers)));
        }
        if !memory.hints.groups.is_empty() {
            todo.push_back(Call::DescribeGroups(ids(&memory.hints.groups)));
        }
        todo.extend(memory.names.iter().map(|(kind, name)| match kind {
            Kind::Balancer => Call::DescribeBalancerNamed(name.clone()),
            Kind::Group => Call::DescribeGroupNamed(name.clone()),
        }));
        let ours: Tags = [
            (CLUSTER.to_owned(), owner.cluster.clone()),
            (UID.to_owned(), owner.uid.clone()),
        ]
        .into();
        todo.push_back(Call::DescribeSecurityGroups(ours.clone()));
        todo.push_back(Call::DescribeSecurityGroupRules(ours));
        Self {
            owner,
            now,
            todo,
            stage: Stage::Objects,
            balancers: BTreeMap::new(),
            groups: BTreeMap::new(),
            listeners: BTreeMap::new(),
            tags: BTreeMap::new(),
            targets: BTreeMap::new(),
            security_groups: BTreeSet::new(),
            rules: Vec::new(),
            brief: false,
            end: None,
        }
    }

    /// A look at what is left of a Service that goes: listeners go with their balancer, and nobody asks how targets are.
    #[must_use]
    pub fn for_deletion(owner: Owner, memory: &Memory, now: Moment) -> Self {
        Self {
            brief: true,
            ..Self::new(owner, None, memory, now)
        }
    }

    /// The next call; `None` at the end.
    pub fn next_call(&mut self, memory: &Memory) -> Option<Call> {
        while self.end.is_none() && self.stage != Stage::Done {
            if let Some(call) = self.todo.front() {
                return Some(call.clone());
            }
            self.advance(memory);
        }
        None
    }

    /// Takes the answer to that call.
    pub fn take(&mut self, answer: Result<Reply, Failure>, memory: &mut Memory) {
        let Some(call) = self.todo.pop_front() else {
            return;
        };
        match answer {
            Ok(reply) => self.file(&call, reply, memory),
            Err(failure) if failure.is_missing() => self.missing(&call, memory),
            Err(failure) => self.end = Some(failure.classify(&call)),
        }
    }

    fn advance(&mut self, memory: &Memory) {
        let ids = |arns: Vec<&String>| arns.into_iter().map(Id::known).collect::<Vec<_>>();
        match self.stage {
            Stage::Objects => {
                let balancers = self.balancers.keys().filter(|_| !self.brief);
                self.todo
                    .extend(balancers.map(|arn| Call::DescribeListeners(Id::known(arn))));
                self.stage = Stage::Listeners;
            }
            Stage::Listeners => {
                let listeners = self.listeners.values().flatten().map(|read| &read.arn);
                let all = ids(self
                    .balancers
                    .keys()
                    .chain(self.groups.keys())
                    .chain(listeners)
                    .collect());
                self.todo.extend(
                    all.chunks(TAGGED)
                        .map(|chunk| Call::DescribeTags(chunk.to_vec())),
                );
                self.stage = Stage::Tags;
            }
            Stage::Tags => {
                if !self.brief {
                    self.ask_details(memory);
                }
                self.stage = Stage::Details;
            }
            Stage::Details | Stage::Done => self.stage = Stage::Done,
        }
    }

    fn ask_details(&mut self, memory: &Memory) {
        let owned = |arn: &String| self.tags.get(arn).is_some_and(|tags| self.owner.owns(tags));
        let wanted = |arn: &String| {
            let ours = |tags: &Tags| tags.keys().any(|key| key.starts_with(ATTRIBUTE));
            owned(arn)
                && self.tags.get(arn).is_some_and(ours)
                && !memory.attributes.contains_key(arn)
        };
        let mut todo = VecDeque::new();
        for arn in self.groups.keys().filter(|arn| owned(arn)) {
            todo.push_back(Call::DescribeTargetHealth(Id::known(arn)));
            if wanted(arn) {
                todo.push_back(Call::DescribeGroupAttributes(Id::known(arn)));
            }
        }
        for arn in self.balancers.keys().filter(|arn| owned(arn)) {
            if wanted(arn) {
                todo.push_back(Call::DescribeBalancerAttributes(Id::known(arn)));
            }
            for listener in self.listeners.get(arn).into_iter().flatten() {
                if wanted(&listener.arn) {
                    todo.push_back(Call::DescribeListenerAttributes(Id::known(&listener.arn)));
                }
                if listener.spec.wire == Wire::Tls
                    && !memory.certificates.contains_key(&listener.arn)
                {
                    todo.push_back(Call::DescribeListenerCertificates(Id::known(&listener.arn)));
                }
            }
        }
        self.todo = todo;
    }

    fn file(&mut self, call: &Call, reply: Reply, memory: &mut Memory) {
        match (call, reply) {
            (_, Reply::Balancers(read)) => {
                // AWS keeps the capitals of a name in the hostname; a Service's status can have none.
                let plain = |read: BalancerRead| BalancerRead {
                    dns_name: read.dns_name.to_ascii_lowercase(),
                    ..read
                };
                let read = read.into_iter().map(plain);
                self.balancers
                    .extend(read.map(|read| (read.arn.clone(), read)));
            }
            (_, Reply::Groups(read)) => {
                self.groups
                    .extend(read.into_iter().map(|read| (read.arn.clone(), read)));
            }
            (Call::DescribeListeners(balancer), Reply::Listeners(read)) => {
                self.listeners.insert(balancer.as_str().to_owned(), read);
            }
            (_, Reply::Tags(tags)) => self.tags.extend(tags),
            // AWS takes wildcards in filters, so that a filter alone proves nothing.
            (_, Reply::SecurityGroups(found)) => {
                let ours = found.into_iter().filter(|(_, its)| self.owner.owns(its));
                self.security_groups = ours.map(|(id, _)| id).collect();
            }
            (_, Reply::Rules(rules)) => {
                let ours = rules.into_iter().filter(|rule| self.owner.owns(&rule.tags));
                self.rules = ours.collect();
            }
            (Call::DescribeTargetHealth(group), Reply::Targets(targets)) => {
                self.targets.insert(group.as_str().to_owned(), targets);
            }
            (Call::DescribeListenerCertificates(listener), Reply::Certificates(found)) => {
                memory
                    .certificates
                    .insert(listener.as_str().to_owned(), found);
            }
            (
                Call::DescribeBalancerAttributes(id)
                | Call::DescribeListenerAttributes(id)
                | Call::DescribeGroupAttributes(id),
                Reply::Attributes(found),
            ) => drop(memory.attributes.insert(id.as_str().to_owned(), found)),
            _ => {}
        }
    }

    /// Of several objects AWS does not say which is missing.
    fn missing(&mut self, call: &Call, memory: &mut Memory) {
        match call {
            Call::DescribeBalancers(ids) if ids.len() > 1 => {
                self.todo.extend(
                    ids.iter()
                        .map(|id| Call::DescribeBalancers(vec![id.clone()])),
                );
            }
            Call::DescribeGroups(ids) if ids.len() > 1 => {
                self.todo
                    .extend(ids.iter().map(|id| Call::DescribeGroups(vec![id.clone()])));
            }
            Call::DescribeTags(ids) if ids.len() > 1 => {
                self.todo
                    .extend(ids.iter().map(|id| Call::DescribeTags(vec![id.clone()])));
            }
            Call::DescribeBalancers(ids) | Call::DescribeGroups(ids)
                if memory.is_settled(self.now) =>
            {
                ids.iter().for_each(|id| memory.forget(id.as_str()));
            }
            Call::DescribeTargetHealth(id) => drop(self.groups.remove(id.as_str())),
            _ => {}
        }
    }

    /// What there is.
    ///
    /// # Errors
    /// The call that failed.
    pub fn finish(self, memory: &mut Memory) -> Result<Observed, Verdict> {
        if let Some(verdict) = self.end {
            return Err(verdict);
        }
        let mut observed = Observed {
            security_groups: self.security_groups,
            rules: self.rules,
            sure: memory.is_sure(self.now),
            ..Observed::default()
        };
        let mut tags = self.tags;
        let mut listeners = self.listeners;
        for (arn, read) in self.balancers {
            // Without its tags nobody knows whose it is: it went away, or it has only just come.
            let Some(its) = tags.remove(&arn) else {
                continue;
            };
            if !self.owner.owns(&its) {
                observed.strangers.insert(read.name, self.owner.judge(&its));
                memory.forget(&arn);
                continue;
            }
            let of_listener = |read: ListenerRead| Listener {
                tags: tags.get(&read.arn).cloned().unwrap_or_default(),
                attributes: memory.attributes.get(&read.arn).cloned(),
                certificates: memory
                    .certificates
                    .get(&read.arn)
                    .cloned()
                    .unwrap_or_default(),
                read,
            };
            observed.balancers.push(Balancer {
                tags: its,
                attributes: memory.attributes.get(&arn).cloned(),
                listeners: listeners
                    .remove(&arn)
                    .unwrap_or_default()
                    .into_iter()
                    .map(of_listener)
                    .collect(),
                read,
            });
            memory.hints.balancers.insert(arn);
        }
        let mut targets = self.targets;
        for (arn, read) in self.groups {
            let Some(its) = tags.remove(&arn) else {
                continue;
            };
            if !self.owner.owns(&its) {
                memory.forget(&arn);
                continue;
            }
            observed.groups.push(Group {
                read,
                tags: its,
                attributes: memory.attributes.get(&arn).cloned(),
                targets: targets.remove(&arn).unwrap_or_default(),
            });
            memory.hints.groups.insert(arn);
        }
        memory.names.clear();
        Ok(observed)
    }
}
