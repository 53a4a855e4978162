//! `herald status`: every Service of Herald's, its addresses, and who announces them.
//!
//! ```text
//!   Service ──────────▶ Balancer ─┐
//!                                 ├─ survey ──▶ Status ──▶ table, json, yaml
//!   NodeAnnouncements ─▶ Report ──┘
//! ```

mod agents;
mod records;
mod survey;

use std::process::ExitCode;

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, api::ListParams, runtime::watcher};

pub(super) use records::{Balancer, Report, ports};
pub(super) use survey::survey;
use survey::{Line, Status};

use super::{
    StatusArgs,
    output::{self, Answer, Cell, Look, Table, Tone, listed, plain},
    reading::Reader,
    watching::{self, Picture},
};
use crate::{
    api::NodeAnnouncements,
    cluster::{Reachability, pump},
    world::{Change, Table as Records},
};

/// The Services that can be Herald's.
pub(super) const BALANCERS: &str = "spec.type=LoadBalancer";

/// What the watches say.
#[expect(
    clippy::large_enum_variant,
    reason = "made, handed on and taken apart at once"
)]
enum Input {
    Balancers(Change<Balancer>),
    Reports(Change<Report>),
}

#[derive(Default)]
struct Watched {
    balancers: Records<Balancer>,
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
    let balancers: Vec<_> = services.iter().filter_map(Balancer::of_herald).collect();
    let reports: Vec<_> = nodes.iter().filter_map(Report::of).collect();
    output::print(&survey(&balancers, &reports), args.output)
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
            Balancer::of,
            Input::Balancers,
            sender.clone(),
            reachability.clone(),
        ));
        watches.spawn(pump(
            nodes,
            config,
            Report::of,
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
            Input::Balancers(change) => drop(self.balancers.take(change)),
            Input::Reports(change) => drop(self.reports.take(change)),
        }
    }

    fn answer(&self) -> Option<Status> {
        let (balancers, reports) = (&self.balancers, &self.reports);
        (balancers.synced() && reports.synced()).then(|| {
            survey(
                balancers
                    .iter()
                    .map(|(_, balancer)| &**balancer)
                    .filter(|balancer| balancer.is_heralds()),
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

fn narrow(line: &Line) -> Vec<Cell> {
    let node = match line.nodes.as_slice() {
        [] => String::new(),
        [node] => node.clone(),
        [node, more @ ..] => format!("{node} +{}", more.len()),
    };
    vec![
        plain(&line.namespace),
        plain(&line.name),
        plain(line.address.as_deref().unwrap_or_default()),
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
        plain(line.address.as_deref().unwrap_or_default()),
        plain(line.pool.as_deref().unwrap_or_default()),
        plain(listed(&line.nodes)),
        plain(listed(&line.interfaces)),
        plain(line.since.as_deref().unwrap_or_default()),
        Cell::new(&line.state, Tone::of(line.well)),
        plain(&line.message),
    ]
}
