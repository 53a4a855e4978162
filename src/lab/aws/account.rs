//! The account in which the lab makes balancers: an AWS on this machine, and in it a VPC of the lab's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    net::IpAddr,
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use herald_aws::{Call, Executor as _, Failure, Hints, Id, Inventory, Orphan, Reply};
use herald_aws_client::{Client, Observer, TRIAL_KEY, trial};
use tracing::warn;

use crate::{controller::cloud, lab::environment::Environment};

/// Where nobody says another.
const REGION: &str = "eu-west-1";
const ZONES: [&str; 3] = ["a", "b", "c"];
/// An image that moto knows.
const IMAGE: &str = "ami-12c6146b";
const HELP: &str = "start one as the README says, by `moto_server -p 5566`, and set \
                    AWS_ENDPOINT_URL=http://127.0.0.1:5566";

/// An AWS on this machine.
pub(in super::super) struct Account {
    client: Client,
    url: String,
    /// Marks what the controller makes. Each lab has its own, for several may share an AWS.
    pub(super) cluster: String,
    vpc: String,
    group: String,
    subnets: Vec<String>,
    pub(super) instances: Vec<Instance>,
}

/// The instance of a node.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) node: String,
    pub(super) id: String,
    pub(super) zone: String,
    pub(super) address: IpAddr,
}

/// What there is for the lab's Service.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) listeners: BTreeSet<u16>,
    /// The instances behind each of their ports.
    pub(super) targets: BTreeMap<u16, BTreeSet<String>>,
}

/// Nobody counts.
struct Unwatched;

impl Observer for Unwatched {
    fn attempted(&self, _: &str, _: &str) {}
}

impl Account {
    /// Finds the AWS that the environment names; nothing is made in it yet.
    pub(in super::super) async fn find() -> anyhow::Result<Self> {
        let url = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
        if url.is_empty() {
            bail!(
                "the lab makes its balancers in an AWS on this machine, and AWS_ENDPOINT_URL names none; {HELP}"
            );
        }
        if !is_here(&url) {
            bail!(
                "AWS_ENDPOINT_URL is {url}, and the lab makes things only in an AWS on this machine; {HELP}"
            );
        }
        let region = std::env::var("AWS_REGION")
            .ok()
            .filter(|region| !region.is_empty());
        let region = region.as_deref().unwrap_or(REGION);
        let client = Client::connect(trial(&url), Some(region), Arc::new(Unwatched)).await?;
        Ok(Self {
            client,
            url,
            cluster: format!("herald-lab-{:08x}", rand::random::<u32>()),
            vpc: String::new(),
            group: String::new(),
            subnets: Vec::new(),
            instances: Vec::new(),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn vpc(&self) -> &str {
        &self.vpc
    }

    /// What the controller finds in its environment: this AWS, and no credentials that are anybody's.
    pub(super) fn environment(&self) -> Environment {
        let nowhere = Some("/dev/null".into());
        vec![
            ("AWS_ENDPOINT_URL", Some(OsString::from(&self.url))),
            ("AWS_ENDPOINT_URL_EC2", None),
            ("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", None),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", None),
            ("AWS_REGION", Some(OsString::from(self.client.region()))),
            ("AWS_ACCESS_KEY_ID", Some(TRIAL_KEY.into())),
            ("AWS_SECRET_ACCESS_KEY", Some(TRIAL_KEY.into())),
            ("AWS_SESSION_TOKEN", None),
            ("AWS_PROFILE", None),
            ("AWS_CONFIG_FILE", nowhere.clone()),
            ("AWS_SHARED_CREDENTIALS_FILE", nowhere),
            ("AWS_USE_FIPS_ENDPOINT", None),
            ("AWS_USE_DUALSTACK_ENDPOINT", None),
            ("AWS_EC2_METADATA_DISABLED", Some("true".into())),
        ]
    }

    /// Makes the VPC, and the instances that the nodes are.
    pub(super) async fn furnish(&mut self, nodes: u8) -> anyhow::Result<()> {
        self.vpc = self
            .one("CreateVpc", &[("CidrBlock", "10.77.0.0/16")], "vpcId")
            .await?;
        let region = self.client.region().to_owned();
        for (number, zone) in (0..).zip(ZONES) {
            let zone = format!("{region}{zone}");
            let range = format!("10.77.{number}.0/24");
            let subnet = [
                ("VpcId", self.vpc.as_str()),
                ("CidrBlock", range.as_str()),
                ("AvailabilityZone", zone.as_str()),
                ("TagSpecification.1.ResourceType", "subnet"),
                (
                    "TagSpecification.1.Tag.1.Key",
                    "kubernetes.io/role/internal-elb",
                ),
                ("TagSpecification.1.Tag.1.Value", "1"),
            ];
            let subnet = self.one("CreateSubnet", &subnet, "subnetId").await?;
            self.subnets.push(subnet);
        }
        let group = Call::CreateSecurityGroup {
            name: "nodes".to_owned(),
            vpc: self.vpc.clone(),
            tags: [(
                format!("kubernetes.io/cluster/{}", self.cluster),
                "owned".to_owned(),
            )]
            .into(),
        };
        match self.call(group).await? {
            Reply::Made(group) => self.group = group,
            other => bail!("no security group: {other:?}"),
        }
        for number in 1..=nodes {
            let at = usize::from(number - 1) % ZONES.len();
            let (Some(zone), Some(subnet)) = (ZONES.get(at), self.subnets.get(at)) else {
                bail!("no subnet");
            };
            let run = [
                ("ImageId", IMAGE),
                ("MinCount", "1"),
                ("MaxCount", "1"),
                ("SubnetId", subnet.as_str()),
                ("SecurityGroupId.1", self.group.as_str()),
            ];
            let id = self.one("RunInstances", &run, "instanceId").await?;
            let read = self
                .call(Call::DescribeInstances([id.clone()].into()))
                .await?;
            let Reply::Instances(read) = read else {
                bail!("no instance {id}");
            };
            let address = read.iter().flat_map(|read| &read.addresses).next();
            let address = *address.with_context(|| format!("{id} has no address"))?;
            self.instances.push(Instance {
                node: format!("node-{number}"),
                zone: format!("{region}{zone}"),
                address: address.into(),
                id,
            });
        }
        Ok(())
    }

    /// What carries the lab's tag.
    pub(super) async fn ours(&self) -> anyhow::Result<Inventory> {
        let surveyed = cloud::survey(&self.client, &self.cluster).await;
        surveyed.map_err(|why| anyhow!("{}", why.refusal))
    }

    /// What there is for a Service.
    pub(super) async fn found(&self, uid: &str) -> anyhow::Result<Found> {
        let Hints {
            balancers, groups, ..
        } = self.ours().await?.of(uid);
        let mut found = Found::default();
        for balancer in balancers {
            if let Reply::Listeners(read) = self
                .call(Call::DescribeListeners(Id::Known(balancer)))
                .await?
            {
                found
                    .listeners
                    .extend(read.iter().map(|listener| listener.port));
            }
        }
        for group in groups {
            if let Reply::Targets(targets) = self
                .call(Call::DescribeTargetHealth(Id::Known(group)))
                .await?
            {
                for target in targets.into_keys() {
                    found
                        .targets
                        .entry(target.port)
                        .or_default()
                        .insert(target.id);
                }
            }
        }
        Ok(found)
    }

    /// Takes away what the controller made and did not live to delete, and the VPC, as far as that goes.
    pub(super) async fn clear(&self) {
        let left = self.ours().await.unwrap_or_default();
        for Orphan { left, .. } in left.orphans(&BTreeSet::new()) {
            let balancers = left.balancers.iter().map(Id::known);
            let groups = left.groups.iter().map(Id::known);
            let security = left.security_groups.iter().map(Id::known);
            let calls = balancers
                .map(Call::DeleteBalancer)
                .chain(groups.map(Call::DeleteGroup))
                .chain(security.map(Call::DeleteSecurityGroup));
            for call in calls {
                self.try_to(self.client.execute(call)).await;
            }
        }
        for instance in &self.instances {
            let gone = [("InstanceId.1", instance.id.as_str())];
            self.try_to(self.ask("TerminateInstances", &gone)).await;
        }
        if !self.group.is_empty() {
            let gone = Call::DeleteSecurityGroup(Id::known(&self.group));
            self.try_to(self.client.execute(gone)).await;
        }
        for subnet in &self.subnets {
            let gone = [("SubnetId", subnet.as_str())];
            self.try_to(self.ask("DeleteSubnet", &gone)).await;
        }
        if !self.vpc.is_empty() {
            let gone = [("VpcId", self.vpc.as_str())];
            self.try_to(self.ask("DeleteVpc", &gone)).await;
        }
    }

    /// What stays is told in the lab's log: the AWS may be gone already, and the lab ends anyway.
    async fn try_to<T>(&self, call: impl Future<Output = Result<T, Failure>>) {
        if let Err(failure) = call.await {
            warn!(%failure, "something stays in the AWS");
        }
    }

    async fn ask(
        &self,
        action: &'static str,
        fields: &[(&str, &str)],
    ) -> Result<Vec<String>, Failure> {
        self.client.ask_ec2(action, fields, "return").await
    }

    async fn call(&self, call: Call) -> anyhow::Result<Reply> {
        let (_, action) = call.action();
        let answer = self.client.execute(call).await;
        answer.map_err(|failure| anyhow!("{action} in the AWS at {}: {failure}", self.url))
    }

    async fn one(
        &self,
        action: &'static str,
        fields: &[(&str, &str)],
        element: &str,
    ) -> anyhow::Result<String> {
        let texts = self.client.ask_ec2(action, fields, element).await;
        let texts = texts
            .map_err(|failure| anyhow!("{action} in the AWS at {}: {failure}; {HELP}", self.url))?;
        texts
            .into_iter()
            .next()
            .with_context(|| format!("{action} names no {element}"))
    }
}

/// Whether a URL leads to this machine.
fn is_here(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else {
        return false;
    };
    let (Some(_), Some(host)) = (url.scheme(), url.host()) else {
        return false;
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_here;

    #[test]
    fn things_are_made_on_this_machine_alone() {
        for here in [
            "http://127.0.0.1:5566",
            "http://localhost:5566/",
            "https://[::1]:1",
            "http://localhost",
        ] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "",
            "127.0.0.1",
            "https://ec2.eu-west-1.amazonaws.com",
            "http://localhost@example.com",
            "http://localhost.example.com",
            "http://127.0.0.1:80@example.com/",
            "http://10.0.0.1:5566",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
