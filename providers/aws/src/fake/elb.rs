//! Balancers, and tags of everything that ELB has.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Balancer, Fake, known, name_is_fine, refuse, tag_limit};
use crate::{
    call::{BalancerRead, Call, Reply, State},
    failure::Failure,
    model::{BalancerSpec, Place, Tags},
    words::{Id, Moment, Scheme},
};

/// So long AWS makes a balancer.
const PROVISIONING: u64 = 120;
/// So long the interfaces of a deleted balancer stay.
const LINGERING: u64 = 45;

impl Fake {
    pub(super) fn load_balancers(&mut self, call: &Call) -> Answer {
        match call {
            Call::DescribeAllBalancers => {
                let all = self.balancers.iter().filter(|(_, it)| self.seen(it.made));
                Ok(Reply::Balancers(
                    all.map(|(arn, it)| self.read(arn, it)).collect(),
                ))
            }
            Call::DescribeBalancerNamed(name) => {
                let found = self
                    .balancers
                    .iter()
                    .find(|(_, it)| it.spec.name == *name && self.seen(it.made));
                let (arn, it) = found.ok_or_else(|| missing(name))?;
                Ok(Reply::Balancers(vec![self.read(arn, it)]))
            }
            Call::DescribeBalancers(ids) => {
                let read = |id: &Id| {
                    let arn = known(id)?;
                    let it = self.balancer(arn)?;
                    if self.seen(it.made) {
                        Ok(self.read(arn, it))
                    } else {
                        Err(missing(arn))
                    }
                };
                ids.iter()
                    .map(read)
                    .collect::<Result<_, _>>()
                    .map(Reply::Balancers)
            }
            Call::DescribeBalancerAttributes(id) => Ok(Reply::Attributes(
                self.balancer(known(id)?)?.attributes.clone(),
            )),
            Call::DescribeTags(ids) => self.describe_tags(ids),
            Call::CreateBalancer(spec) => self.create_balancer(spec),
            Call::SetSecurityGroups { balancer, groups } => {
                self.set_security_groups(known(balancer)?, groups)
            }
            Call::SetSubnets { balancer, places } => self.set_subnets(known(balancer)?, places),
            Call::SetStack { balancer, stack } => {
                self.balancer_mut(known(balancer)?)?.spec.stack = *stack;
                Ok(Reply::Done)
            }
            Call::ModifyBalancerAttributes {
                balancer,
                attributes,
            } => {
                let it = self.balancer_mut(known(balancer)?)?;
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
            Call::DeleteBalancer(id) => self.delete_balancer(known(id)?),
            Call::AddTags { object, tags } => {
                let its = self.tags_mut(known(object)?)?;
                its.extend(tags.clone());
                tag_limit(its)?;
                Ok(Reply::Done)
            }
            Call::RemoveTags { object, keys } => {
                let its = self.tags_mut(known(object)?)?;
                its.retain(|key, _| !keys.contains(key));
                Ok(Reply::Done)
            }
            _ => refuse("InvalidAction", call.to_string()),
        }
    }

    pub(super) fn balancer(&self, arn: &str) -> Result<&Balancer, Failure> {
        self.balancers.get(arn).ok_or_else(|| missing(arn))
    }

    fn balancer_mut(&mut self, arn: &str) -> Result<&mut Balancer, Failure> {
        self.balancers.get_mut(arn).ok_or_else(|| missing(arn))
    }

    pub(super) fn read(&self, arn: &str, it: &Balancer) -> BalancerRead {
        BalancerRead {
            arn: arn.to_owned(),
            name: it.spec.name.clone(),
            dns_name: format!("{}-{}.elb.example.com", it.spec.name, it.made.0),
            created: it.made,
            state: if self.now.since(it.made) < PROVISIONING {
                State::Provisioning
            } else {
                State::Active
            },
            scheme: it.spec.scheme,
            stack: it.spec.stack,
            places: it.spec.places.clone(),
            security_groups: it.security_groups.clone(),
        }
    }

    fn create_balancer(&mut self, spec: &BalancerSpec) -> Answer {
        let groups = spec
            .security_groups
            .iter()
            .map(|id| known(id).map(str::to_owned))
            .collect::<Result<BTreeSet<_>, _>>()?;
        if let Some((arn, there)) = self
            .balancers
            .iter()
            .find(|(_, it)| it.spec.name == spec.name)
        {
            let alike = there.spec.scheme == spec.scheme
                && there.spec.stack == spec.stack
                && there.spec.places == spec.places
                && there.security_groups == groups;
            // Tags are no settings: a stranger's balancer is handed out, too.
            return if alike {
                Ok(Reply::Made(arn.clone()))
            } else {
                refuse("DuplicateLoadBalancerName", &spec.name)
            };
        }
        if !name_is_fine(&spec.name) || spec.name.starts_with("internal-") {
            return refuse("ValidationError", format!("name {}", spec.name));
        }
        tag_limit(&spec.tags)?;
        if self.balancers.len() >= self.quotas.balancers {
            return refuse("TooManyLoadBalancers", "quota");
        }
        if let Some(id) = groups
            .iter()
            .find(|id| !self.security_groups.contains_key(*id))
        {
            return refuse("InvalidSecurityGroup", id);
        }
        self.places_are_fine(&spec.places, spec.scheme, &BTreeMap::new())?;
        let arn = format!("arn:lb/{}/{}", spec.name, self.count());
        self.take_allocations(&arn, &spec.places);
        let attributes = [
            ("deletion_protection.enabled", "false"),
            ("access_logs.s3.enabled", "false"),
            ("access_logs.s3.bucket", ""),
            ("access_logs.s3.prefix", ""),
            ("load_balancing.cross_zone.enabled", "false"),
            ("dns_record.client_routing_policy", "any_availability_zone"),
        ];
        self.balancers.insert(
            arn.clone(),
            Balancer {
                spec: spec.clone(),
                security_groups: groups,
                tags: spec.tags.clone(),
                attributes: attributes
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                made: self.now,
            },
        );
        Ok(Reply::Made(arn))
    }

    fn places_are_fine(
        &self,
        places: &BTreeMap<String, Place>,
        scheme: Scheme,
        held: &BTreeMap<String, Place>,
    ) -> Result<(), Failure> {
        let mut zones = BTreeSet::new();
        for (id, place) in places {
            let Some(subnet) = self.subnets.get(id) else {
                return refuse("SubnetNotFound", id);
            };
            if !zones.insert(&subnet.zone) {
                return refuse(
                    "InvalidConfigurationRequest",
                    format!("two subnets in {}", subnet.zone),
                );
            }
            if held.get(id) == Some(place) {
                continue;
            }
            if let Some(allocation) = &place.allocation {
                match self.allocations.get(allocation) {
                    _ if scheme == Scheme::Internal => {
                        return refuse(
                            "InvalidConfigurationRequest",
                            "an elastic address on an internal balancer",
                        );
                    }
                    None => return refuse("AllocationIdNotFound", allocation),
                    Some(Some(_)) => return refuse("ResourceInUse", allocation),
                    Some(None) => {}
                }
            }
            if let Some(address) = place.private_v4
                && (scheme != Scheme::Internal
                    || !subnet.v4.is_some_and(|range| range.contains(&address))
                    || self.has_private(address))
            {
                return refuse("InvalidConfigurationRequest", address.to_string());
            }
        }
        if places.is_empty() {
            refuse("ValidationError", "no subnet")
        } else {
            Ok(())
        }
    }

    fn take_allocations(&mut self, arn: &str, places: &BTreeMap<String, Place>) {
        for allocation in places
            .values()
            .filter_map(|place| place.allocation.as_ref())
        {
            self.allocations
                .insert(allocation.clone(), Some(arn.to_owned()));
        }
    }

    fn set_security_groups(&mut self, arn: &str, groups: &[Id]) -> Answer {
        let ids = groups
            .iter()
            .map(|id| known(id).map(str::to_owned))
            .collect::<Result<BTreeSet<_>, _>>()?;
        if let Some(id) = ids
            .iter()
            .find(|id| !self.security_groups.contains_key(*id))
        {
            return refuse("InvalidSecurityGroup", id);
        }
        let it = self.balancer_mut(arn)?;
        if it.security_groups.is_empty() || ids.is_empty() {
            return refuse(
                "InvalidConfigurationRequest",
                "a balancer made without security groups never has any, and the other way round",
            );
        }
        it.security_groups = ids;
        Ok(Reply::Done)
    }

    fn set_subnets(&mut self, arn: &str, places: &BTreeMap<String, Place>) -> Answer {
        let it = self.balancer(arn)?;
        let (scheme, held) = (it.spec.scheme, it.spec.places.clone());
        if held.iter().any(|(id, place)| places.get(id) != Some(place)) {
            return refuse(
                "InvalidConfigurationRequest",
                "a subnet in use cannot be changed at once",
            );
        }
        self.places_are_fine(places, scheme, &held)?;
        self.take_allocations(arn, places);
        self.balancer_mut(arn)?.spec.places = places.clone();
        Ok(Reply::Done)
    }

    fn delete_balancer(&mut self, arn: &str) -> Answer {
        let Some(it) = self.balancers.get(arn) else {
            return Ok(Reply::Done);
        };
        if it
            .attributes
            .get("deletion_protection.enabled")
            .is_some_and(|value| value == "true")
        {
            return refuse("OperationNotPermitted", "deletion protection is enabled");
        }
        let until = Moment(self.now.0 + LINGERING);
        self.lingering
            .extend(it.security_groups.iter().map(|id| (id.clone(), until)));
        for holder in self
            .allocations
            .values_mut()
            .filter(|holder| holder.as_deref() == Some(arn))
        {
            *holder = None;
        }
        self.balancers.remove(arn);
        self.listeners
            .retain(|_, listener| listener.balancer != arn);
        self.note_use();
        Ok(Reply::Done)
    }

    fn describe_tags(&self, ids: &[Id]) -> Answer {
        if ids.len() > 20 {
            return refuse("ValidationError", "20 objects at most");
        }
        let mut all = BTreeMap::new();
        for id in ids {
            let arn = known(id)?;
            let (tags, made) = self.tags(arn).ok_or_else(|| missing(arn))?;
            if !self.seen(made) {
                return Err(missing(arn));
            }
            all.insert(arn.to_owned(), tags.clone());
        }
        Ok(Reply::Tags(all))
    }

    fn tags(&self, arn: &str) -> Option<(&Tags, Moment)> {
        let balancer = self.balancers.get(arn).map(|it| (&it.tags, it.made));
        let listener = || self.listeners.get(arn).map(|it| (&it.tags, it.made));
        let group = || self.groups.get(arn).map(|it| (&it.tags, it.made));
        balancer.or_else(listener).or_else(group)
    }

    fn tags_mut(&mut self, arn: &str) -> Result<&mut Tags, Failure> {
        let balancer = self.balancers.get_mut(arn).map(|it| &mut it.tags);
        let listener = self.listeners.get_mut(arn).map(|it| &mut it.tags);
        let group = self.groups.get_mut(arn).map(|it| &mut it.tags);
        balancer.or(listener).or(group).ok_or_else(|| missing(arn))
    }
}

fn missing(what: &str) -> Failure {
    Failure::new("LoadBalancerNotFound", what)
}
