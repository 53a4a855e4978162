//! What the command line says of AWS, the way there, and what can be asked about it.

mod orphans;
mod plan;
mod targets;

use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use herald_aws::{Scheme, Settings, TargetType};
use herald_aws_client::{Client as Aws, Observer, defaults};
use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, api::ListParams};

use super::{DefaultProvider, output::Format, reading::Reader};
use crate::{
    cluster,
    controller::cloud::{self, Lists, Viewer},
};

pub(super) use targets::{Target, targets};

/// So many nodes are asked which region they are in.
const ASKED: u32 = 50;

/// Network Load Balancers in AWS. Credentials, and a region that nothing here tells, are found as the AWS CLI finds
/// them, also by IRSA, pod identity and the instance's metadata.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "AWS")]
pub(super) struct AwsArgs {
    /// The cluster's name: make Network Load Balancers for Services of class herald.dev/aws-nlb, and mark all that is
    /// made with it. No two clusters of an account may have the same, and it must never change.
    #[arg(
        long = "aws-cluster-name",
        value_name = "NAME",
        env = "HERALD_AWS_CLUSTER_NAME"
    )]
    pub(super) cluster_name: Option<String>,
    /// The region. Left out: as AWS_REGION or the nodes tell.
    #[arg(long = "aws-region", value_name = "REGION", requires = "cluster_name")]
    region: Option<String>,
    /// The VPC. Left out: that of the nodes.
    #[arg(long = "aws-vpc-id", value_name = "ID", requires = "cluster_name")]
    vpc: Option<String>,
    /// Whether balancers face the internet where the Service does not say.
    #[arg(
        long = "aws-default-scheme",
        value_name = "SCHEME",
        value_enum,
        default_value_t
    )]
    scheme: SchemeWord,
    /// What balancers send to where the Service does not say: node ports of instances, or pods.
    #[arg(
        long = "aws-default-target-type",
        value_name = "TYPE",
        value_enum,
        default_value_t
    )]
    target_type: TargetWord,
    /// Tags on everything that is made.
    #[arg(long = "aws-default-tags", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = tag)]
    tags: Vec<(String, String)>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(super) enum AwsCommand {
    /// Show what would be called in AWS for each Service, and why. Changes nothing.
    #[command(after_help = PLAN_HELP)]
    Plan(AwsPlanArgs),
    /// Show what carries the cluster's tag in AWS and has no Service any more; delete it on request.
    #[command(after_help = ORPHANS_HELP)]
    Orphans(AwsOrphansArgs),
}

#[derive(Debug, Args)]
pub(super) struct AwsPlanArgs {
    /// One Service alone, by name or NAMESPACE/NAME. Left out: all.
    #[arg(value_name = "NAMESPACE/NAME")]
    service: Option<String>,
    /// As the controller has it: which provider serves Services without a class.
    #[arg(long, value_enum, default_value_t)]
    default_provider: DefaultProvider,
    #[command(flatten)]
    aws: AwsArgs,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
pub(super) struct AwsOrphansArgs {
    /// Delete them, and wait until nothing is left of each.
    #[arg(long)]
    delete: bool,
    #[command(flatten)]
    aws: AwsArgs,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

const PLAN_HELP: &str = "Examples:
  herald aws plan --aws-cluster-name prod             every Service of the provider aws-nlb
  herald aws plan shop/web --aws-cluster-name prod    one
  herald aws plan --aws-cluster-name prod -o json | jq '.services[].calls'

Give the same --aws options as to the controller. Decided by the same code, from what the cluster and AWS say now.
Exit codes: 0 all is well, 1 something is refused, 2 it could not be found out.";

const ORPHANS_HELP: &str = "Examples:
  herald aws orphans --aws-cluster-name prod             what is left of Services that are no more
  herald aws orphans --aws-cluster-name prod --delete    delete it

Only what carries the tag of this cluster is looked at, so a wrong name deletes nothing of another cluster.
Exit codes: 0 nothing is left, 1 something is, 2 it could not be found out.";

/// Answers a question.
pub(super) async fn show(command: AwsCommand) -> anyhow::Result<ExitCode> {
    match command {
        AwsCommand::Plan(args) => plan::show(args).await,
        AwsCommand::Orphans(args) => orphans::show(args).await,
    }
}

/// Reads the cluster, the region and the network.
async fn view(reader: &Reader, aws: &AwsArgs) -> anyhow::Result<Viewer> {
    let Some(options) = aws.options(&reader.client()).await? else {
        bail!(
            "name the cluster with --aws-cluster-name, as the controller does: it marks what is ours in AWS"
        );
    };
    let looked = Viewer::look_around(options, lists(reader)).await?;
    looked.map_err(|why| anyhow::anyhow!("AWS cannot be read: {}", why.refusal))
}

/// What the cluster has of what the provider looks at.
async fn lists(reader: &Reader) -> anyhow::Result<Lists> {
    let (services, slices, nodes): (Api<Service>, Api<EndpointSlice>, Api<Node>) = (
        Api::all(reader.client()),
        Api::all(reader.client()),
        Api::all(reader.client()),
    );
    let everything = ListParams::default;
    let (services, slices, nodes) = reader
        .patiently(async {
            tokio::try_join!(
                reader.list(&services, everything()),
                reader.list(&slices, everything()),
                reader.list(&nodes, everything()),
            )
        })
        .await?;
    let is_balancer = |service: &&Service| {
        let type_ = service.spec.as_ref().and_then(|spec| spec.type_.as_deref());
        type_ == Some("LoadBalancer")
    };
    let (balancers, others): (Vec<_>, Vec<_>) = services.iter().partition(is_balancer);
    Ok(Lists {
        services: balancers
            .into_iter()
            .filter_map(cluster::aws_service)
            .collect(),
        left: others.into_iter().filter_map(cluster::aws_left).collect(),
        slices: slices.iter().filter_map(cluster::aws_slice).collect(),
        nodes: nodes.iter().filter_map(cluster::aws_node).collect(),
    })
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum SchemeWord {
    #[default]
    Internal,
    InternetFacing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TargetWord {
    #[default]
    Instance,
    Ip,
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, several after commas".to_owned()),
    }
}

impl AwsArgs {
    /// The cloud's part of the controller; `None` without a cluster's name.
    pub(super) async fn options(&self, client: &Client) -> anyhow::Result<Option<cloud::Options>> {
        let Some(cluster) = &self.cluster_name else {
            return Ok(None);
        };
        if let Err(why) = herald_aws::check_cluster_name(cluster) {
            bail!("--aws-cluster-name {why}: it marks what is ours in AWS");
        }
        let attempts = cloud::Attempts::default();
        let region = match &self.region {
            Some(region) => Some(region.clone()),
            None if is_told_by_environment() => None,
            None => of_nodes(client).await?,
        };
        let observer: Arc<dyn Observer> = Arc::new(Counting(attempts.clone()));
        let aws = Aws::connect(defaults(), region.as_deref(), observer)
            .await
            .context("cannot make balancers in AWS; --aws-region names the region")?;
        let region = aws.region().to_owned();
        Ok(Some(cloud::Options {
            aws: Arc::new(aws),
            settings: self.settings(cluster, region),
            vpc: self.vpc.clone(),
            clock: cloud::Clock::wall(),
            attempts,
        }))
    }

    fn settings(&self, cluster: &str, region: String) -> Settings {
        let mut settings = Settings::new(cluster, region);
        settings.scheme = match self.scheme {
            SchemeWord::Internal => Scheme::Internal,
            SchemeWord::InternetFacing => Scheme::InternetFacing,
        };
        settings.target_type = match self.target_type {
            TargetWord::Instance => TargetType::Instance,
            TargetWord::Ip => TargetType::Ip,
        };
        settings.tags = self.tags.iter().cloned().collect();
        settings
    }
}

/// The chain asks the environment before anything that takes time.
fn is_told_by_environment() -> bool {
    ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// The region that most nodes say they are in.
async fn of_nodes(client: &Client) -> anyhow::Result<Option<String>> {
    let nodes: Api<Node> = Api::all(client.clone());
    let few = ListParams::default().limit(ASKED);
    let nodes = nodes
        .list(&few)
        .await
        .map_err(|error| anyhow::anyhow!(cluster::explain(&error)))
        .context("cannot ask the nodes which region they are in; --aws-region names it")?;
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for region in nodes
        .iter()
        .filter_map(|node| cluster::aws_node(node)?.region)
    {
        *said.entry(region).or_default() += 1;
    }
    let most = said.into_iter().max_by_key(|(_, count)| *count);
    Ok(most.map(|(region, _)| region))
}

struct Counting(cloud::Attempts);

impl Observer for Counting {
    fn attempted(&self, operation: &str, code: &str) {
        self.0.count(operation, code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_key_and_a_value() {
        assert_eq!(tag("team=web"), Ok(("team".to_owned(), "web".to_owned())));
        assert_eq!(tag("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(tag("empty="), Ok(("empty".to_owned(), String::new())));
        assert!(tag("=x").is_err() && tag("x").is_err());
    }
}
