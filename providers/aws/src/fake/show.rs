//! What is there, for tests: one line per object, by names, so that two histories that end alike show alike.

use super::Fake;
use crate::{
    call::{RuleRead, State},
    model::{Source, Tags, Target, Traffic},
    owner::RETIRED,
};

impl Fake {
    /// Every object whose tags fit.
    #[must_use]
    pub fn show(&self, fits: impl Fn(&Tags) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        for it in self.balancers.values().filter(|it| fits(&it.tags)) {
            let groups: Vec<_> = it
                .security_groups
                .iter()
                .map(|id| self.group_name(id))
                .collect();
            let mut tags = it.tags.clone();
            tags.entry(RETIRED.to_owned())
                .and_modify(|at| "some time".clone_into(at));
            lines.push(format!(
                "balancer {} {} {} {:?} {groups:?} {:?} {tags:?}",
                it.spec.name, it.spec.scheme, it.spec.stack, it.spec.places, it.attributes
            ));
        }
        for it in self.listeners.values().filter(|it| fits(&it.tags)) {
            let balancer = self
                .balancers
                .get(&it.balancer)
                .map(|it| it.spec.name.as_str());
            let mut spec = it.spec.clone();
            let group = self
                .groups
                .get(spec.group.as_str())
                .map(|it| it.spec.name.as_str());
            spec.group = crate::words::Id::known(group.unwrap_or("gone"));
            lines.push(format!(
                "listener {balancer:?} {} {spec:?} {:?} {:?} {:?}",
                it.port, it.attributes, it.certificates, it.tags
            ));
        }
        for it in self.groups.values().filter(|it| fits(&it.tags)) {
            let targets: Vec<_> = it
                .targets
                .iter()
                .map(|(target, its)| {
                    format!(
                        "{target}{}",
                        if its.leaving.is_some() {
                            " leaving"
                        } else {
                            ""
                        }
                    )
                })
                .collect();
            lines.push(format!(
                "group {} {:?} {targets:?} {:?} {:?}",
                it.spec.name, it.spec.health, it.attributes, it.tags
            ));
        }
        for it in self.security_groups.values().filter(|it| fits(&it.tags)) {
            lines.push(format!("security group {} {:?}", it.name, it.tags));
        }
        for it in self.rules.values().filter(|it| fits(&it.read.tags)) {
            lines.push(self.show_rule(&it.read));
        }
        lines.sort();
        lines
    }

    fn show_rule(&self, rule: &RuleRead) -> String {
        let mut permit = rule.permit.clone();
        if let Source::Group(id) = &permit.source {
            permit.source = Source::Group(crate::words::Id::known(self.group_name(id.as_str())));
        }
        format!(
            "rule of {} {permit} {:?}",
            self.group_name(&rule.group),
            rule.tags
        )
    }

    fn group_name(&self, id: &str) -> String {
        self.security_groups
            .get(id)
            .map_or_else(|| "gone".to_owned(), |it| it.name.clone())
    }

    /// How many targets may get a new connection of a client of this hostname at a port: registered ones whose security
    /// group lets the balancer in. `None`: no balancer, or none that is ready, or no listener.
    #[must_use]
    pub fn reaches(&self, hostname: &str, port: u16) -> Option<usize> {
        let mut all = self
            .balancers
            .iter()
            .map(|(arn, it)| (arn, self.read(arn, it)));
        let (arn, read) = all.find(|(_, read)| read.dns_name.eq_ignore_ascii_case(hostname))?;
        let mut listeners = self.listeners.values();
        let listener = listeners.find(|it| it.balancer == *arn && it.port == port)?;
        let group = self.groups.get(listener.spec.group.as_str())?;
        let let_in = |target: &&Target| {
            self.rules.values().any(|rule| {
                let reached = match rule.read.permit.traffic {
                    Traffic::Tcp(first, last) | Traffic::Udp(first, last) => {
                        (first..=last).contains(&target.port)
                    }
                    Traffic::TooLargeV4 | Traffic::TooLargeV6 => false,
                };
                let from = match &rule.read.permit.source {
                    Source::Group(id) => read.security_groups.contains(id.as_str()),
                    Source::Range(_) | Source::PrefixList(_) => read.security_groups.is_empty(),
                };
                reached && from
            })
        };
        let registered = group
            .targets
            .iter()
            .filter(|(_, its)| its.leaving.is_none());
        let reached = registered.map(|(target, _)| target).filter(let_in).count();
        (read.state == State::Active).then_some(reached)
    }

    /// A balancer's attribute, as a person changes it in the console.
    pub fn set_balancer_attribute(&mut self, key: &str, value: &str) {
        for it in self.balancers.values_mut() {
            it.attributes.insert(key.to_owned(), value.to_owned());
        }
    }
}
