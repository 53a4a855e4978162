//! Security groups and their rules.

use std::collections::BTreeSet;

use super::{Answer, Fake, Rule, SecurityGroup, known, refuse, tag_limit};
use crate::{
    call::{Call, Reply, RuleRead},
    failure::Failure,
    model::{Permit, Source, Tags},
    words::Id,
};

impl Fake {
    pub(super) fn ec2(&mut self, call: &Call) -> Answer {
        match call {
            Call::DescribeSecurityGroups(wanted) => {
                let fits = self
                    .security_groups
                    .iter()
                    .filter(|(_, it)| self.seen(it.made) && carries(&it.tags, wanted));
                Ok(Reply::SecurityGroups(
                    fits.map(|(id, it)| (id.clone(), it.tags.clone())).collect(),
                ))
            }
            Call::DescribeSecurityGroupRules(wanted) => {
                let fits = self
                    .rules
                    .values()
                    .filter(|it| self.seen(it.made) && carries(&it.read.tags, wanted));
                Ok(Reply::Rules(fits.map(|it| it.read.clone()).collect()))
            }
            Call::CreateSecurityGroup { name, tags, .. } => {
                tag_limit(tags)?;
                if self.security_groups.values().any(|it| it.name == *name) {
                    return refuse("InvalidGroup.Duplicate", name);
                }
                let id = format!("sg-{}", self.count());
                let group = SecurityGroup {
                    name: name.clone(),
                    tags: tags.clone(),
                    made: self.now,
                };
                self.security_groups.insert(id.clone(), group);
                Ok(Reply::Made(id))
            }
            Call::AuthorizeIngress {
                group,
                permits,
                tags,
            } => self.authorize(known(group)?, permits, tags),
            Call::RevokeIngress { group, rules } => {
                let group = known(group)?;
                let of_group = |id: &&String| {
                    self.rules
                        .get(*id)
                        .is_some_and(|rule| rule.read.group == group)
                };
                if let Some(id) = rules.iter().find(|id| !of_group(id)) {
                    return refuse("InvalidSecurityGroupRuleId.NotFound", id);
                }
                self.rules.retain(|id, _| !rules.contains(id));
                Ok(Reply::Done)
            }
            Call::DeleteSecurityGroup(id) => self.delete_security_group(known(id)?),
            _ => refuse("InvalidAction", call.to_string()),
        }
    }

    fn authorize(&mut self, group: &str, permits: &BTreeSet<Permit>, tags: &Tags) -> Answer {
        self.group_exists(group)?;
        let there = self.rules.values().filter(|rule| rule.read.group == group);
        if there
            .clone()
            .any(|rule| permits.contains(&rule.read.permit))
        {
            return refuse("InvalidPermission.Duplicate", group);
        }
        if there.count() + permits.len() > self.quotas.rules {
            return refuse("RulesPerSecurityGroupLimitExceeded", group);
        }
        for permit in permits {
            if let Source::Group(id) = &permit.source {
                self.group_exists(known(id)?)?;
            }
        }
        for permit in permits {
            let id = format!("sgr-{}", self.count());
            let read = RuleRead {
                id: id.clone(),
                group: group.to_owned(),
                permit: permit.clone(),
                tags: tags.clone(),
            };
            self.rules.insert(
                id,
                Rule {
                    read,
                    made: self.now,
                },
            );
        }
        Ok(Reply::Done)
    }

    fn group_exists(&self, id: &str) -> Result<(), Failure> {
        if self.security_groups.contains_key(id) {
            Ok(())
        } else {
            refuse("InvalidGroup.NotFound", id)
        }
    }

    fn delete_security_group(&mut self, id: &str) -> Answer {
        self.group_exists(id)?;
        let named = Source::Group(Id::known(id));
        let used = self
            .balancers
            .values()
            .any(|it| it.security_groups.contains(id))
            || self.lingering.iter().any(|(group, _)| group == id)
            || self
                .rules
                .values()
                .any(|rule| rule.read.group != id && rule.read.permit.source == named);
        if used {
            return refuse("DependencyViolation", id);
        }
        self.security_groups.remove(id);
        self.rules.retain(|_, rule| rule.read.group != id);
        Ok(Reply::Done)
    }
}

fn carries(tags: &Tags, wanted: &Tags) -> bool {
    wanted
        .iter()
        .all(|(key, value)| tags.get(key) == Some(value))
}
