//! `herald status`: every Service of Herald's, its addresses, and who announces them.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::anyhow;
use comfy_table::{Table, presets};
use herald_spi::ServiceKey;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, ResourceExt as _, api::ListParams};
use serde::Serialize;
use tokio::time;

use crate::{
    api::{AnnouncementState, NodeAnnouncements},
    cluster::{self, Classes, explain},
    world::ServiceRecord,
};

/// How long the whole question may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize)]
struct Line {
    namespace: String,
    name: String,
    address: Option<String>,
    pool: Option<String>,
    nodes: Vec<String>,
    since: Option<String>,
    state: String,
    message: String,
    #[serde(skip)]
    well: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    well: bool,
    services: Vec<Line>,
}

/// What a node says of one address.
struct Said {
    node: String,
    state: AnnouncementState,
    since: String,
    detail: Option<String>,
}

pub(super) async fn show(json: bool) -> anyhow::Result<ExitCode> {
    let client = cluster::connect().await?;
    let (services, nodes) = time::timeout(PATIENCE, read(&client)).await.map_err(|_| {
        anyhow!("the API server did not answer within {PATIENCE:?}: check that it is reachable, then try again")
    })??;
    let status = survey(&services, &nodes);
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &status)?;
        writeln!(out)?;
    } else if status.services.is_empty() {
        writeln!(
            out,
            "No Service of type LoadBalancer is Herald's. To make one: kubectl apply -f examples/service.yaml"
        )?;
    } else {
        writeln!(out, "{}", table(&status))?;
    }
    Ok(if status.well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn read(client: &Client) -> anyhow::Result<(Vec<ServiceRecord>, Vec<NodeAnnouncements>)> {
    let services: Api<Service> = Api::all(client.clone());
    let only_balancers = ListParams::default().fields("spec.type=LoadBalancer");
    let services = services
        .list(&only_balancers)
        .await
        .map_err(|e| anyhow!(explain(&e)))?;
    let nodes: Api<NodeAnnouncements> = Api::all(client.clone());
    let nodes = nodes
        .list(&ListParams::default())
        .await
        .map_err(|e| anyhow!(explain(&e)))?;
    let ours = services
        .iter()
        .filter_map(cluster::service)
        .filter(|s| Classes::OwnOnly.include(s.class.as_deref()) || s.allocated.is_some());
    Ok((ours.collect(), nodes.items))
}

fn survey(services: &[ServiceRecord], nodes: &[NodeAnnouncements]) -> Status {
    let mut said: BTreeMap<String, Vec<Said>> = BTreeMap::new();
    for node in nodes {
        for address in node.status.iter().flat_map(|s| &s.addresses) {
            said.entry(address.address.clone()).or_default().push(Said {
                node: node.name_any(),
                state: address.state,
                since: address.since.clone(),
                detail: address.message.clone(),
            });
        }
    }
    let services: Vec<_> = services.iter().flat_map(|s| lines(s, &said)).collect();
    Status {
        well: services.iter().all(|line| line.well),
        services,
    }
}

fn lines(service: &ServiceRecord, said: &BTreeMap<String, Vec<Said>>) -> Vec<Line> {
    let ServiceKey { namespace, name } = service.key.clone();
    let (allocated, reason, message) = match &service.allocated {
        Some(condition) => (
            condition.holds,
            condition.reason.clone(),
            condition.message.clone(),
        ),
        None => (
            false,
            "Pending".to_owned(),
            "no controller has looked at it yet; is one running?".to_owned(),
        ),
    };
    let blank = Line {
        namespace,
        name,
        address: None,
        pool: service
            .annotations
            .get(crate::api::ANNOTATION_ALLOCATED_FROM)
            .cloned(),
        nodes: Vec::new(),
        since: None,
        state: reason,
        message,
        well: false,
    };
    let addresses: Vec<_> = service.status_addresses().map(|a| a.to_string()).collect();
    if addresses.is_empty() {
        return vec![blank];
    }
    let line = |address: String| {
        let said = said.get(&address).map_or(&[][..], Vec::as_slice);
        let owners: Vec<_> = said
            .iter()
            .filter(|s| s.state == AnnouncementState::Announcing)
            .collect();
        let trouble = said
            .iter()
            .find(|s| s.state != AnnouncementState::Announcing);
        let (state, message) = match (allocated, owners.as_slice(), trouble) {
            (false, ..) => (blank.state.clone(), blank.message.clone()),
            (true, _, Some(said)) => (
                format!("{:?}", said.state),
                said.detail.clone().unwrap_or_default(),
            ),
            (true, [], None) => ("Unannounced".to_owned(), "no node announces it".to_owned()),
            (true, ..) => ("Announcing".to_owned(), String::new()),
        };
        Line {
            namespace: blank.namespace.clone(),
            name: blank.name.clone(),
            pool: blank.pool.clone(),
            well: state == "Announcing",
            since: owners.first().map(|s| s.since.clone()),
            nodes: owners.iter().map(|s| s.node.clone()).collect(),
            address: Some(address),
            state,
            message,
        }
    };
    addresses.into_iter().map(line).collect()
}

fn table(status: &Status) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "NAMESPACE",
        "NAME",
        "ADDRESS",
        "POOL",
        "NODE",
        "SINCE",
        "STATE",
        "MESSAGE",
    ]);
    let dash = |text: Option<&str>| text.filter(|t| !t.is_empty()).unwrap_or("-").to_owned();
    let colours = std::io::stdout().is_terminal();
    for line in &status.services {
        let state = match (colours, line.well) {
            (false, _) => line.state.clone(),
            (true, true) => format!("\u{1b}[32m{}\u{1b}[0m", line.state),
            (true, false) => format!("\u{1b}[31m{}\u{1b}[0m", line.state),
        };
        table.add_row([
            line.namespace.clone(),
            line.name.clone(),
            dash(line.address.as_deref()),
            dash(line.pool.as_deref()),
            dash(Some(&line.nodes.join(","))),
            dash(line.since.as_deref()),
            state,
            line.message.clone(),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}
