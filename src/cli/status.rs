//! `herald status`: every Service of Herald's, its addresses, and who announces them.
//!
//! ```text
//!   Service ──────────▶ ServiceRecord ─┐
//!                                      ├─ survey ──▶ Status ──▶ table, json, yaml
//!   NodeAnnouncements ─▶ Report ───────┘
//! ```

use std::process::ExitCode;

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, api::ListParams, runtime::watcher};

use super::{
    StatusArgs,
    output::{self, Answer, Cell, Look, Table, Tone, listed, plain},
    reading::Reader,
    watching::{self, Picture},
};
use crate::{
    api::NodeAnnouncements,
    cluster::{self, Reachability, pump},
    survey::{Line, Report, Status, is_heralds, survey},
    world::{Change, ServiceRecord, Table as Records},
};

/// The Services that can be Herald's.
pub(super) const BALANCERS: &str = "spec.type=LoadBalancer";

/// What the watches say.
#[expect(
    clippy::large_enum_variant,
    reason = "made, handed on and taken apart at once"
)]
enum Input {
    Services(Change<ServiceRecord>),
    Reports(Change<Report>),
}

#[derive(Default)]
struct Watched {
    services: Records<ServiceRecord>,
    reports: Records<Report>,
}

pub(super) async fn show(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::connect().await?;
    let services = services(reader.client(), args.namespace.as_deref());
    let nodes: Api<NodeAnnouncements> = Api::all(reader.client());
    if args.watch {
        tokio::try_join!(reader.probe(&services), reader.probe(&nodes))?;
        return follow(args.output, services, nodes).await;
    }
    let balancers = ListParams::default().fields(BALANCERS);
    let (services, nodes) = reader
        .patiently(async {
            tokio::try_join!(
                reader.list(&services, balancers),
                reader.list(&nodes, ListParams::default()),
            )
        })
        .await?;
    let services: Vec<_> = services
        .iter()
        .filter_map(cluster::service)
        .filter(is_heralds)
        .collect();
    let reports: Vec<_> = nodes.iter().filter_map(cluster::report).collect();
    output::print(&survey(&services, &reports), args.output)
}

/// Services of one namespace, or of all.
fn services(client: Client, namespace: Option<&str>) -> Api<Service> {
    match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

async fn follow(
    format: output::Format,
    services: Api<Service>,
    nodes: Api<NodeAnnouncements>,
) -> anyhow::Result<ExitCode> {
    let reachability = Reachability::default();
    watching::follow(Watched::default(), format, |watches, sender| {
        let config = watcher::Config::default();
        watches.spawn(pump(
            services,
            config.clone().fields(BALANCERS),
            // All of them, for a change of class must take the line away.
            cluster::service,
            Input::Services,
            sender.clone(),
            reachability.clone(),
        ));
        watches.spawn(pump(
            nodes,
            config,
            cluster::report,
            Input::Reports,
            sender,
            reachability,
        ));
    })
    .await
}

impl Picture for Watched {
    type Input = Input;
    type Answer = Status;

    fn take(&mut self, input: Input) {
        match input {
            Input::Services(change) => drop(self.services.take(change)),
            Input::Reports(change) => drop(self.reports.take(change)),
        }
    }

    fn answer(&self) -> Option<Status> {
        let (services, reports) = (&self.services, &self.reports);
        (services.synced() && reports.synced()).then(|| {
            survey(
                services
                    .iter()
                    .map(|(_, service)| &**service)
                    .filter(|service| is_heralds(service)),
                reports.iter().map(|(_, report)| &**report),
            )
        })
    }
}

impl Answer for Status {
    fn well(&self) -> bool {
        self.well
    }

    fn text(&self, look: &Look) -> String {
        let mut notes = String::new();
        for agent in &self.agents {
            notes += &format!("{}: {}\n", agent.state, agent.message);
        }
        if self.services.is_empty() {
            return format!(
                "No Service of type LoadBalancer is Herald's. To make one: kubectl apply -f examples/service.yaml\n{notes}"
            );
        }
        let mut table = Table::new(if look.wide { &WIDE } else { &NARROW });
        for line in &self.services {
            table.row(if look.wide { wide(line) } else { narrow(line) });
        }
        table.text(look) + &notes
    }
}

const NARROW: [&str; 8] = [
    "NAMESPACE",
    "NAME",
    "ADDRESS",
    "POOL",
    "NODE",
    "SINCE",
    "STATE",
    "MESSAGE",
];
const WIDE: [&str; 12] = [
    "NAMESPACE",
    "NAME",
    "CLASS",
    "POLICY",
    "PORTS",
    "ADDRESS",
    "POOL",
    "NODES",
    "INTERFACES",
    "SINCE",
    "STATE",
    "MESSAGE",
];

/// The address, or the name that stands for it in a cloud.
fn address(line: &Line) -> &str {
    let address = line.address.as_deref().or(line.hostname.as_deref());
    address.unwrap_or_default()
}

fn narrow(line: &Line) -> Vec<Cell> {
    let node = match line.nodes.as_slice() {
        [] => String::new(),
        [node] => node.clone(),
        [node, more @ ..] => format!("{node} +{}", more.len()),
    };
    vec![
        plain(&line.namespace),
        plain(&line.name),
        plain(address(line)),
        plain(line.pool.as_deref().unwrap_or_default()),
        plain(node),
        plain(line.since.as_deref().unwrap_or_default()),
        Cell::new(&line.state, Tone::of(line.well)),
        plain(&line.message),
    ]
}

fn wide(line: &Line) -> Vec<Cell> {
    vec![
        plain(&line.namespace),
        plain(&line.name),
        plain(line.class.as_deref().unwrap_or_default()),
        plain(&line.policy),
        plain(listed(&line.ports)),
        plain(address(line)),
        plain(line.pool.as_deref().unwrap_or_default()),
        plain(listed(&line.nodes)),
        plain(listed(&line.interfaces)),
        plain(line.since.as_deref().unwrap_or_default()),
        Cell::new(&line.state, Tone::of(line.well)),
        plain(&line.message),
    ]
}
