//! A call on one line: for `herald aws plan`, for logs and for the recordings.

use std::fmt;

use super::Call;
use crate::model::ListenerSpec;

impl Call {
    /// The family of the API, as IAM has it, and the action's name there.
    #[must_use]
    pub const fn action(&self) -> (&'static str, &'static str) {
        const ELB: &str = "elasticloadbalancing";
        match self {
            Self::DescribeBalancers(_)
            | Self::DescribeBalancerNamed(_)
            | Self::DescribeAllBalancers => (ELB, "DescribeLoadBalancers"),
            Self::DescribeGroups(_) | Self::DescribeGroupNamed(_) | Self::DescribeAllGroups => {
                (ELB, "DescribeTargetGroups")
            }
            Self::DescribeListeners(_) => (ELB, "DescribeListeners"),
            Self::DescribeListenerCertificates(_) => (ELB, "DescribeListenerCertificates"),
            Self::DescribeBalancerAttributes(_) => (ELB, "DescribeLoadBalancerAttributes"),
            Self::DescribeListenerAttributes(_) => (ELB, "DescribeListenerAttributes"),
            Self::DescribeGroupAttributes(_) => (ELB, "DescribeTargetGroupAttributes"),
            Self::DescribeTargetHealth(_) => (ELB, "DescribeTargetHealth"),
            Self::DescribeTags(_) => (ELB, "DescribeTags"),
            Self::DescribeSecurityGroups(_) | Self::DescribeGroupsOfVpc(_) => {
                ("ec2", "DescribeSecurityGroups")
            }
            Self::DescribeSecurityGroupRules(_) => ("ec2", "DescribeSecurityGroupRules"),
            Self::DescribeVpc(_) => ("ec2", "DescribeVpcs"),
            Self::DescribeSubnets(_) => ("ec2", "DescribeSubnets"),
            Self::DescribeRouteTables(_) => ("ec2", "DescribeRouteTables"),
            Self::DescribeZones => ("ec2", "DescribeAvailabilityZones"),
            Self::DescribeInstances(_) | Self::DescribeInstancesAt { .. } => {
                ("ec2", "DescribeInstances")
            }
            Self::CreateSecurityGroup { .. } => ("ec2", "CreateSecurityGroup"),
            Self::AuthorizeIngress { .. } => ("ec2", "AuthorizeSecurityGroupIngress"),
            Self::RevokeIngress { .. } => ("ec2", "RevokeSecurityGroupIngress"),
            Self::DeleteSecurityGroup(_) => ("ec2", "DeleteSecurityGroup"),
            Self::CreateGroup(_) => (ELB, "CreateTargetGroup"),
            Self::ModifyGroup { .. } => (ELB, "ModifyTargetGroup"),
            Self::ModifyGroupAttributes { .. } => (ELB, "ModifyTargetGroupAttributes"),
            Self::RegisterTargets { .. } => (ELB, "RegisterTargets"),
            Self::DeregisterTargets { .. } => (ELB, "DeregisterTargets"),
            Self::DeleteGroup(_) => (ELB, "DeleteTargetGroup"),
            Self::CreateBalancer(_) => (ELB, "CreateLoadBalancer"),
            Self::SetSecurityGroups { .. } => (ELB, "SetSecurityGroups"),
            Self::SetSubnets { .. } => (ELB, "SetSubnets"),
            Self::SetStack { .. } => (ELB, "SetIpAddressType"),
            Self::ModifyBalancerAttributes { .. } => (ELB, "ModifyLoadBalancerAttributes"),
            Self::DeleteBalancer(_) => (ELB, "DeleteLoadBalancer"),
            Self::CreateListener { .. } => (ELB, "CreateListener"),
            Self::ModifyListener { .. } => (ELB, "ModifyListener"),
            Self::AddCertificate { .. } => (ELB, "AddListenerCertificates"),
            Self::RemoveCertificate { .. } => (ELB, "RemoveListenerCertificates"),
            Self::ModifyListenerAttributes { .. } => (ELB, "ModifyListenerAttributes"),
            Self::DeleteListener(_) => (ELB, "DeleteListener"),
            Self::AddTags { .. } => (ELB, "AddTags"),
            Self::RemoveTags { .. } => (ELB, "RemoveTags"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action().1)?;
        match self {
            Self::DescribeBalancers(ids) | Self::DescribeGroups(ids) | Self::DescribeTags(ids) => {
                write!(f, " {}", joined(ids))
            }
            Self::DescribeBalancerNamed(name) | Self::DescribeGroupNamed(name) => {
                write!(f, " name={name}")
            }
            Self::DescribeAllBalancers | Self::DescribeAllGroups | Self::DescribeZones => Ok(()),
            Self::DescribeVpc(vpc) => write!(f, " {vpc}"),
            Self::DescribeSubnets(vpc)
            | Self::DescribeRouteTables(vpc)
            | Self::DescribeGroupsOfVpc(vpc) => write!(f, " of {vpc}"),
            Self::DescribeInstances(ids) => write!(f, " {}", joined(ids)),
            Self::DescribeInstancesAt { vpc, addresses } => {
                write!(f, " of {vpc} at {}", joined(addresses))
            }
            Self::DescribeListeners(id)
            | Self::DescribeListenerCertificates(id)
            | Self::DescribeBalancerAttributes(id)
            | Self::DescribeListenerAttributes(id)
            | Self::DescribeGroupAttributes(id)
            | Self::DescribeTargetHealth(id)
            | Self::DeleteSecurityGroup(id)
            | Self::DeleteGroup(id)
            | Self::DeleteBalancer(id)
            | Self::DeleteListener(id) => write!(f, " {id}"),
            Self::DescribeSecurityGroups(tags) | Self::DescribeSecurityGroupRules(tags) => {
                write!(f, " tags [{}]", pairs(tags))
            }
            Self::CreateSecurityGroup { name, vpc, tags } => {
                write!(f, " {name} in {vpc} tags [{}]", pairs(tags))
            }
            Self::AuthorizeIngress {
                group,
                permits,
                tags,
            } => {
                write!(f, " {group} [{}] tags [{}]", joined(permits), pairs(tags))
            }
            Self::RevokeIngress { group, rules } => write!(f, " {group} [{}]", joined(rules)),
            Self::CreateGroup(spec) => write!(
                f,
                " {} {} in {}, asked {} tags [{}]",
                spec.name,
                spec.kind,
                spec.vpc,
                spec.health,
                pairs(&spec.tags)
            ),
            Self::ModifyGroup { group, health } => write!(f, " {group} asked {health}"),
            Self::ModifyGroupAttributes {
                group: id,
                attributes,
            }
            | Self::ModifyBalancerAttributes {
                balancer: id,
                attributes,
            }
            | Self::ModifyListenerAttributes {
                listener: id,
                attributes,
            } => {
                write!(f, " {id} [{}]", pairs(attributes))
            }
            Self::RegisterTargets { group, targets }
            | Self::DeregisterTargets { group, targets } => {
                write!(f, " {group} [{}]", joined(targets))
            }
            Self::CreateBalancer(spec) => write!(
                f,
                " {} {} {} in [{}] security groups [{}] tags [{}]",
                spec.name,
                spec.scheme,
                spec.stack,
                places(&spec.places),
                joined(&spec.security_groups),
                pairs(&spec.tags)
            ),
            Self::SetSecurityGroups { balancer, groups } => {
                write!(f, " {balancer} [{}]", joined(groups))
            }
            Self::SetSubnets {
                balancer,
                places: wanted,
            } => {
                write!(f, " {balancer} [{}]", places(wanted))
            }
            Self::SetStack { balancer, stack } => write!(f, " {balancer} {stack}"),
            Self::CreateListener {
                balancer,
                port,
                spec,
                tags,
            } => {
                write!(
                    f,
                    " {balancer} port {port} {} tags [{}]",
                    listener(spec),
                    pairs(tags)
                )
            }
            Self::ModifyListener { listener: id, spec } => write!(f, " {id} {}", listener(spec)),
            Self::AddCertificate {
                listener: id,
                certificate,
            }
            | Self::RemoveCertificate {
                listener: id,
                certificate,
            } => {
                write!(f, " {id} {certificate}")
            }
            Self::AddTags { object, tags } => write!(f, " {object} [{}]", pairs(tags)),
            Self::RemoveTags { object, keys } => write!(f, " {object} [{}]", joined(keys)),
        }
    }
}

fn joined<'a, T: fmt::Display + 'a>(all: impl IntoIterator<Item = &'a T>) -> String {
    let words: Vec<_> = all.into_iter().map(ToString::to_string).collect();
    words.join(", ")
}

fn pairs<'a>(all: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let words: Vec<_> = all
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    words.join(", ")
}

fn places(all: &std::collections::BTreeMap<String, crate::model::Place>) -> String {
    let words: Vec<_> = all
        .iter()
        .map(|(subnet, place)| format!("{subnet}{place}"))
        .collect();
    words.join(", ")
}

fn listener(spec: &ListenerSpec) -> String {
    let mut text = format!("{} to {}", spec.wire, spec.group);
    let tls = [
        ("certificate", spec.certificate.clone()),
        ("policy", spec.ssl_policy.clone()),
        ("alpn", spec.alpn.map(|alpn| alpn.to_string())),
    ];
    for (name, value) in tls {
        if let Some(value) = value {
            text.push_str(&format!(" {name} {value}"));
        }
    }
    text
}
