//! Target groups: health over time, draining, what may be registered.

use super::{Answer, Fake, Group, Registered, known, name_is_fine, refuse, tag_limit};
use crate::{
    call::{Call, GroupRead, Health, Reply},
    failure::Failure,
    model::{GroupSpec, Target},
    words::{Id, TargetType},
};

/// So long a target is neither healthy nor unhealthy.
const INITIAL: u64 = 90;

impl Fake {
    pub(super) fn target_groups(&mut self, call: &Call) -> Answer {
        match call {
            Call::DescribeAllGroups => {
                let all = self.groups.iter().filter(|(_, it)| self.seen(it.made));
                Ok(Reply::Groups(
                    all.map(|(arn, it)| self.read_group(arn, it)).collect(),
                ))
            }
            Call::DescribeGroupNamed(name) => {
                let found = self
                    .groups
                    .iter()
                    .find(|(_, it)| it.spec.name == *name && self.seen(it.made));
                let (arn, it) = found.ok_or_else(|| missing(name))?;
                Ok(Reply::Groups(vec![self.read_group(arn, it)]))
            }
            Call::DescribeGroups(ids) => {
                let read = |id: &Id| {
                    let it = self.group(known(id)?)?;
                    if self.seen(it.made) {
                        Ok(self.read_group(id.as_str(), it))
                    } else {
                        Err(missing(id.as_str()))
                    }
                };
                ids.iter()
                    .map(read)
                    .collect::<Result<_, _>>()
                    .map(Reply::Groups)
            }
            Call::DescribeGroupAttributes(id) => Ok(Reply::Attributes(
                self.group(known(id)?)?.attributes.clone(),
            )),
            Call::DescribeTargetHealth(id) => {
                let it = self.group(known(id)?)?;
                Ok(Reply::Targets(
                    it.targets
                        .iter()
                        .map(|(target, its)| (target.clone(), self.health(it, target, its)))
                        .collect(),
                ))
            }
            Call::CreateGroup(spec) => self.create_group(spec),
            Call::ModifyGroup { group, health } => {
                self.group_mut(known(group)?)?.spec.health = health.clone();
                Ok(Reply::Done)
            }
            Call::ModifyGroupAttributes { group, attributes } => {
                let it = self.group_mut(known(group)?)?;
                if let Some(key) = attributes
                    .keys()
                    .find(|key| !it.attributes.contains_key(*key))
                {
                    return refuse(
                        "InvalidConfigurationRequest",
                        format!("unknown attribute {key}"),
                    );
                }
                it.attributes.extend(attributes.clone());
                Ok(Reply::Done)
            }
            Call::RegisterTargets { group, targets } => {
                for target in targets {
                    self.may_register(known(group)?, target)?;
                }
                let (now, limit) = (self.now, self.quotas.targets);
                let it = self.group_mut(known(group)?)?;
                for target in targets {
                    let its = it.targets.entry(target.clone()).or_insert(Registered {
                        since: now,
                        leaving: None,
                    });
                    if its.leaving.take().is_some() {
                        its.since = now;
                    }
                }
                if it.targets.len() > limit {
                    refuse("TooManyTargets", "quota")
                } else {
                    Ok(Reply::Done)
                }
            }
            Call::DeregisterTargets { group, targets } => {
                let now = self.now;
                let it = self.group_mut(known(group)?)?;
                let unused = it.used.is_none();
                it.targets
                    .retain(|target, _| !unused || !targets.contains(target));
                for (_, its) in it
                    .targets
                    .iter_mut()
                    .filter(|(target, _)| targets.contains(*target))
                {
                    its.leaving.get_or_insert(now);
                }
                Ok(Reply::Done)
            }
            Call::DeleteGroup(id) => {
                let arn = known(id)?;
                self.group(arn)?;
                if self
                    .listeners
                    .values()
                    .any(|listener| listener.spec.group.as_str() == arn)
                {
                    return refuse("ResourceInUse", arn);
                }
                self.groups.remove(arn);
                Ok(Reply::Done)
            }
            _ => refuse("InvalidAction", call.to_string()),
        }
    }

    pub(super) fn group(&self, arn: &str) -> Result<&Group, Failure> {
        self.groups.get(arn).ok_or_else(|| missing(arn))
    }

    fn group_mut(&mut self, arn: &str) -> Result<&mut Group, Failure> {
        self.groups.get_mut(arn).ok_or_else(|| missing(arn))
    }

    fn create_group(&mut self, spec: &GroupSpec) -> Answer {
        if let Some((arn, there)) = self.groups.iter().find(|(_, it)| it.spec.name == spec.name) {
            let alike = there.spec.kind == spec.kind
                && there.spec.health == spec.health
                && there.spec.port == spec.port;
            return if alike {
                Ok(Reply::Made(arn.clone()))
            } else {
                refuse("DuplicateTargetGroupName", &spec.name)
            };
        }
        if !name_is_fine(&spec.name) {
            return refuse("ValidationError", format!("name {}", spec.name));
        }
        let asked = &spec.health;
        if asked.timeout > asked.interval
            || !(5..=300).contains(&asked.interval)
            || !(2..=120).contains(&asked.timeout)
        {
            return refuse("ValidationError", asked.to_string());
        }
        tag_limit(&spec.tags)?;
        if self.groups.len() >= self.quotas.groups {
            return refuse("TooManyTargetGroups", "quota");
        }
        let arn = format!("arn:tg/{}/{}", spec.name, self.count());
        let keeps = if spec.kind.target_type == TargetType::Ip {
            "false"
        } else {
            "true"
        };
        let attributes = [
            ("deregistration_delay.timeout_seconds", "300"),
            (
                "deregistration_delay.connection_termination.enabled",
                "false",
            ),
            ("preserve_client_ip.enabled", keeps),
            ("proxy_protocol_v2.enabled", "false"),
            ("stickiness.enabled", "false"),
            ("stickiness.type", "source_ip"),
            (
                "load_balancing.cross_zone.enabled",
                "use_load_balancer_configuration",
            ),
        ];
        self.groups.insert(
            arn.clone(),
            Group {
                spec: spec.clone(),
                tags: spec.tags.clone(),
                attributes: attributes
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                targets: std::collections::BTreeMap::new(),
                used: None,
                made: self.now,
            },
        );
        Ok(Reply::Made(arn))
    }

    fn may_register(&self, arn: &str, target: &Target) -> Result<(), Failure> {
        let fits = match self.group(arn)?.spec.kind.target_type {
            TargetType::Instance => self.instances.contains_key(&target.id),
            TargetType::Ip => target.id.parse().is_ok_and(|address: std::net::IpAddr| {
                target.outside != self.ranges.iter().any(|range| range.contains(&address))
            }),
        };
        if fits {
            Ok(())
        } else {
            refuse("InvalidTarget", target.to_string())
        }
    }

    fn read_group(&self, arn: &str, it: &Group) -> GroupRead {
        let leads = self
            .listeners
            .values()
            .find(|listener| listener.spec.group.as_str() == arn);
        GroupRead {
            arn: arn.to_owned(),
            name: it.spec.name.clone(),
            kind: it.spec.kind,
            health: it.spec.health.clone(),
            balancer: leads.map(|listener| listener.balancer.clone()),
        }
    }

    fn health(&self, group: &Group, target: &Target, its: &Registered) -> Health {
        let Some(used) = group.used else {
            return Health::Unused;
        };
        if its.leaving.is_some() {
            return Health::Draining;
        }
        if self.now.since(its.since.max(used)) < INITIAL {
            return Health::Initial;
        }
        if self.sick.contains(&target.id) || self.sick.contains(&group.spec.name) {
            Health::Unhealthy
        } else {
            Health::Healthy
        }
    }

    /// Whoever has drained is gone.
    pub(super) fn end_draining(&mut self) {
        let now = self.now;
        for group in self.groups.values_mut() {
            let delay = group.attributes.get("deregistration_delay.timeout_seconds");
            let delay: u64 = delay.and_then(|delay| delay.parse().ok()).unwrap_or(300);
            group
                .targets
                .retain(|_, its| its.leaving.is_none_or(|since| now.since(since) < delay));
        }
    }

    /// Which groups a listener leads to, and since when.
    pub(super) fn note_use(&mut self) {
        let now = self.now;
        for (arn, group) in &mut self.groups {
            let leads = self
                .listeners
                .values()
                .any(|listener| listener.spec.group.as_str() == arn);
            group.used = leads.then(|| group.used.unwrap_or(now));
        }
    }
}

fn missing(what: &str) -> Failure {
    Failure::new("TargetGroupNotFound", what)
}
