//! Calls that change something. Each is one request.

use aws_sdk_elasticloadbalancingv2::types::{
    IpAddressType, ListenerAttribute, LoadBalancerAttribute, LoadBalancerSchemeEnum,
    LoadBalancerTypeEnum, ProtocolEnum, TargetGroupAttribute, TargetGroupIpAddressTypeEnum,
    TargetTypeEnum,
};
use herald_aws::{
    Alpn, Attributes, BalancerSpec, Call, Failure, GroupSpec, ListenerSpec, Reply, Stack, Tags,
};

use super::{Elb, fields};
use crate::{
    client::{all_known, known, misplaced},
    failure::failure,
    pace::Lane,
};

impl Elb {
    pub(crate) async fn write(&self, call: Call) -> Result<Reply, Failure> {
        self.pace.turn(Lane::ElbWrite).await?;
        match call {
            Call::CreateBalancer(spec) => self.create_balancer(spec).await,
            Call::CreateGroup(spec) => self.create_group(spec).await,
            Call::CreateListener {
                balancer,
                port,
                spec,
                tags,
            } => {
                self.create_listener(known(balancer)?, port, spec, tags)
                    .await
            }
            Call::ModifyListener { listener, spec } => {
                self.modify_listener(known(listener)?, spec).await
            }
            Call::AddCertificate { .. }
            | Call::RemoveCertificate { .. }
            | Call::DeleteListener(_)
            | Call::ModifyListenerAttributes { .. } => self.change_listener(call).await,
            Call::ModifyGroup { .. }
            | Call::ModifyGroupAttributes { .. }
            | Call::RegisterTargets { .. }
            | Call::DeregisterTargets { .. }
            | Call::DeleteGroup(_) => self.change_group(call).await,
            _ => self.change_balancer(call).await,
        }
    }

    async fn create_balancer(&self, spec: BalancerSpec) -> Result<Reply, Failure> {
        let groups = all_known(spec.security_groups)?;
        let request = self.sdk.create_load_balancer();
        let answer = request
            .name(spec.name)
            .r#type(LoadBalancerTypeEnum::Network)
            .scheme(LoadBalancerSchemeEnum::from(spec.scheme.as_str()))
            .ip_address_type(stack(spec.stack))
            .set_subnet_mappings(fields::mappings(spec.places))
            .set_security_groups((!groups.is_empty()).then_some(groups))
            .set_tags(fields::tags(spec.tags))
            .send()
            .await
            .map_err(failure)?;
        let made = answer.load_balancers.unwrap_or_default().into_iter().next();
        named(made.and_then(|made| made.load_balancer_arn))
    }

    async fn create_group(&self, spec: GroupSpec) -> Result<Reply, Failure> {
        let check = fields::check(spec.health);
        let request = self.sdk.create_target_group();
        let answer = request
            .name(spec.name)
            .protocol(ProtocolEnum::from(spec.kind.wire.as_str()))
            .port(i32::from(spec.port))
            .vpc_id(spec.vpc)
            .target_type(TargetTypeEnum::from(spec.kind.target_type.as_str()))
            .ip_address_type(TargetGroupIpAddressTypeEnum::from(
                spec.kind.family.as_str(),
            ))
            .health_check_enabled(true)
            .health_check_protocol(check.protocol)
            .health_check_port(check.port)
            .set_health_check_path(check.path)
            .set_matcher(check.matcher)
            .health_check_interval_seconds(check.interval)
            .health_check_timeout_seconds(check.timeout)
            .healthy_threshold_count(check.healthy)
            .unhealthy_threshold_count(check.unhealthy)
            .set_tags(fields::tags(spec.tags))
            .send()
            .await
            .map_err(failure)?;
        let made = answer.target_groups.unwrap_or_default().into_iter().next();
        named(made.and_then(|made| made.target_group_arn))
    }

    async fn create_listener(
        &self,
        balancer: String,
        port: u16,
        spec: ListenerSpec,
        tags: Tags,
    ) -> Result<Reply, Failure> {
        let certificates = spec.certificate.map(|arn| vec![fields::certificate(arn)]);
        let request = self.sdk.create_listener();
        let answer = request
            .load_balancer_arn(balancer)
            .port(i32::from(port))
            .protocol(ProtocolEnum::from(spec.wire.as_str()))
            .default_actions(fields::forward(known(spec.group)?))
            .set_certificates(certificates)
            .set_ssl_policy(spec.ssl_policy)
            .set_alpn_policy(spec.alpn.map(|alpn| vec![alpn.to_string()]))
            .set_tags(fields::tags(tags))
            .send()
            .await
            .map_err(failure)?;
        let made = answer.listeners.unwrap_or_default().into_iter().next();
        named(made.and_then(|made| made.listener_arn))
    }

    async fn modify_listener(
        &self,
        listener: String,
        spec: ListenerSpec,
    ) -> Result<Reply, Failure> {
        // What is left out stays as it is, so that of TLS is said even where it is nothing.
        let alpn = spec.is_tls().then(|| spec.alpn.unwrap_or(Alpn::None));
        let certificates = spec.certificate.map(|arn| vec![fields::certificate(arn)]);
        let request = self.sdk.modify_listener();
        let request = request
            .listener_arn(listener)
            .protocol(ProtocolEnum::from(spec.wire.as_str()))
            .default_actions(fields::forward(known(spec.group)?))
            .set_certificates(certificates)
            .set_ssl_policy(spec.ssl_policy)
            .set_alpn_policy(alpn.map(|alpn| vec![alpn.to_string()]));
        request.send().await.map_err(failure)?;
        Ok(Reply::Done)
    }

    async fn change_listener(&self, call: Call) -> Result<Reply, Failure> {
        match call {
            Call::AddCertificate {
                listener,
                certificate,
            } => {
                let request = self.sdk.add_listener_certificates();
                let request = request
                    .listener_arn(known(listener)?)
                    .certificates(fields::certificate(certificate));
                drop(request.send().await.map_err(failure)?);
            }
            Call::RemoveCertificate {
                listener,
                certificate,
            } => {
                let request = self.sdk.remove_listener_certificates();
                let request = request
                    .listener_arn(known(listener)?)
                    .certificates(fields::certificate(certificate));
                drop(request.send().await.map_err(failure)?);
            }
            Call::ModifyListenerAttributes {
                listener,
                attributes,
            } => {
                let request = self.sdk.modify_listener_attributes();
                let attribute =
                    |(key, value)| ListenerAttribute::builder().key(key).value(value).build();
                let request = request
                    .listener_arn(known(listener)?)
                    .set_attributes(each(attributes, attribute));
                drop(request.send().await.map_err(failure)?);
            }
            Call::DeleteListener(id) => {
                let request = self.sdk.delete_listener().listener_arn(known(id)?);
                drop(request.send().await.map_err(failure)?);
            }
            _ => return Err(misplaced(&call)),
        }
        Ok(Reply::Done)
    }

    async fn change_group(&self, call: Call) -> Result<Reply, Failure> {
        match call {
            Call::ModifyGroup { group, health } => {
                let check = fields::check(health);
                let request = self.sdk.modify_target_group();
                let request = request
                    .target_group_arn(known(group)?)
                    .health_check_protocol(check.protocol)
                    .health_check_port(check.port)
                    .set_health_check_path(check.path)
                    .set_matcher(check.matcher)
                    .health_check_interval_seconds(check.interval)
                    .health_check_timeout_seconds(check.timeout)
                    .healthy_threshold_count(check.healthy)
                    .unhealthy_threshold_count(check.unhealthy);
                drop(request.send().await.map_err(failure)?);
            }
            Call::ModifyGroupAttributes { group, attributes } => {
                let request = self.sdk.modify_target_group_attributes();
                let attribute = |(key, value)| {
                    TargetGroupAttribute::builder()
                        .key(key)
                        .value(value)
                        .build()
                };
                let request = request
                    .target_group_arn(known(group)?)
                    .set_attributes(each(attributes, attribute));
                drop(request.send().await.map_err(failure)?);
            }
            Call::RegisterTargets { group, targets } => {
                let request = self.sdk.register_targets().target_group_arn(known(group)?);
                let request = request.set_targets(fields::targets(targets));
                drop(request.send().await.map_err(failure)?);
            }
            Call::DeregisterTargets { group, targets } => {
                let request = self
                    .sdk
                    .deregister_targets()
                    .target_group_arn(known(group)?);
                let request = request.set_targets(fields::targets(targets));
                drop(request.send().await.map_err(failure)?);
            }
            Call::DeleteGroup(id) => {
                let request = self.sdk.delete_target_group().target_group_arn(known(id)?);
                drop(request.send().await.map_err(failure)?);
            }
            _ => return Err(misplaced(&call)),
        }
        Ok(Reply::Done)
    }

    async fn change_balancer(&self, call: Call) -> Result<Reply, Failure> {
        match call {
            Call::SetSecurityGroups { balancer, groups } => {
                let request = self.sdk.set_security_groups();
                let request = request
                    .load_balancer_arn(known(balancer)?)
                    .set_security_groups(Some(all_known(groups)?));
                drop(request.send().await.map_err(failure)?);
            }
            Call::SetSubnets { balancer, places } => {
                let request = self.sdk.set_subnets().load_balancer_arn(known(balancer)?);
                let request = request.set_subnet_mappings(fields::mappings(places));
                drop(request.send().await.map_err(failure)?);
            }
            Call::SetStack {
                balancer,
                stack: wanted,
            } => {
                let request = self.sdk.set_ip_address_type();
                let request = request
                    .load_balancer_arn(known(balancer)?)
                    .ip_address_type(stack(wanted));
                drop(request.send().await.map_err(failure)?);
            }
            Call::ModifyBalancerAttributes {
                balancer,
                attributes,
            } => {
                let request = self.sdk.modify_load_balancer_attributes();
                let attribute = |(key, value)| {
                    LoadBalancerAttribute::builder()
                        .key(key)
                        .value(value)
                        .build()
                };
                let request = request
                    .load_balancer_arn(known(balancer)?)
                    .set_attributes(each(attributes, attribute));
                drop(request.send().await.map_err(failure)?);
            }
            Call::DeleteBalancer(id) => {
                let request = self.sdk.delete_load_balancer();
                let request = request.load_balancer_arn(known(id)?);
                drop(request.send().await.map_err(failure)?);
            }
            Call::AddTags { object, tags } => {
                let request = self.sdk.add_tags().resource_arns(known(object)?);
                let request = request.set_tags(fields::tags(tags));
                drop(request.send().await.map_err(failure)?);
            }
            Call::RemoveTags { object, keys } => {
                let request = self.sdk.remove_tags().resource_arns(known(object)?);
                let request = request.set_tag_keys(Some(keys.into_iter().collect()));
                drop(request.send().await.map_err(failure)?);
            }
            _ => return Err(misplaced(&call)),
        }
        Ok(Reply::Done)
    }
}

fn each<T>(attributes: Attributes, build: impl Fn((String, String)) -> T) -> Option<Vec<T>> {
    Some(attributes.into_iter().map(build).collect())
}

const fn stack(stack: Stack) -> IpAddressType {
    match stack {
        Stack::V4 => IpAddressType::Ipv4,
        Stack::Dual => IpAddressType::Dualstack,
    }
}

/// What was made, if AWS says so: else it may be there.
fn named(arn: Option<String>) -> Result<Reply, Failure> {
    arn.map(Reply::Made)
        .ok_or_else(|| Failure::new(Failure::NO_ANSWER, "the answer does not name what was made"))
}
