//! `herald rebalance`: asks the agents to move addresses to better places, and shows how they do.
//!
//! ```text
//!   cluster ──▶ Watched ──foresee──▶ moves ──▶ annotation on the pools ──▶ agents
//!      ▲                                                                     │
//!      └──────────── NodeAnnouncements, until nothing is foreseen ◀──────────┘
//! ```

mod foresight;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use herald_spi::{NodeName, PoolName};
use k8s_openapi::{
    api::{
        core::v1::{Node, Service},
        discovery::v1::EndpointSlice,
    },
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde::Serialize;
use serde_json::json;
use tokio::time::{self, Instant};

use self::foresight::{Foresight, foresee};
use super::{
    RebalanceArgs,
    output::{self, Answer, Format, Look, Table, listed, plain},
    reading::Reader,
    status::BALANCERS,
};
use crate::{
    agent::{Watch, Watched},
    api::{self, AddressAllocation, AddressPool, NodeAnnouncements},
    cluster,
    survey::Report,
    world::Change,
};

/// How often the agents' reports are read again.
const LOOK: Duration = Duration::from_secs(1);
/// Agents wait for calm before they start, for up to half a minute where an address has no owner.
const STALLED: Duration = Duration::from_secs(45);
/// The field manager of the annotation.
const MANAGER: &str = "herald-rebalance";

/// What became of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    well: bool,
    result: Verdict,
    pools: Vec<String>,
    nodes: Vec<Load>,
    moves: Vec<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Verdict {
    /// There was nothing to do.
    Balanced,
    /// Only shown.
    DryRun,
    /// Asked for, and not waited for.
    Asked,
    /// Every address is where it should be.
    Rebalanced,
    /// Some moves are left, and the agents make no more.
    Stalled,
}

/// How many addresses a node announces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Load {
    node: String,
    before: usize,
    after: usize,
}

/// One move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    address: IpAddr,
    from: String,
    to: String,
    done: bool,
}

pub(super) async fn ask(args: RebalanceArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::connect().await?;
    let mut scene = reader.patiently(Scene::read(&reader, &args.pools)).await?;
    let before = scene.foresee();
    let outcome = if before.moves.is_empty() {
        scene.outcome(Verdict::Balanced, &before, &before.owners)
    } else if args.dry_run {
        scene.outcome(Verdict::DryRun, &before, &before.owners)
    } else {
        request(&reader, &scene.pools).await?;
        match args.no_wait {
            true => scene.outcome(Verdict::Asked, &before, &before.owners),
            false => wait(&reader, &mut scene, &before, args.output).await?,
        }
    };
    output::print(&outcome, args.output)
}

/// What the cluster says, and which pools are meant.
struct Scene {
    watched: Watched,
    reports: Vec<Report>,
    pools: BTreeSet<PoolName>,
}

impl Scene {
    async fn read(reader: &Reader, wanted: &[String]) -> anyhow::Result<Self> {
        let client = || reader.client();
        let everything = ListParams::default;
        let pools: Api<AddressPool> = Api::all(client());
        let services: Api<Service> = Api::all(client());
        let allocations: Api<AddressAllocation> = Api::all(client());
        let nodes: Api<Node> = Api::all(client());
        let slices: Api<EndpointSlice> = Api::all(client());
        let (pools, services, allocations, nodes, slices, reports) = tokio::try_join!(
            reader.list(&pools, everything()),
            reader.list(&services, everything().fields(BALANCERS)),
            reader.list(&allocations, everything()),
            reader.list(&nodes, everything()),
            reader.list(&slices, everything()),
            reports(reader),
        )?;
        let mut watched = Watched::default();
        let services = services.iter().filter_map(cluster::service).map(Into::into);
        let locks = allocations
            .iter()
            .filter_map(cluster::allocation)
            .map(Into::into);
        for list in [
            Watch::Pools(Box::new(Change::Reset(
                pools.iter().filter_map(cluster::pool).collect(),
            ))),
            Watch::Services(Change::Reset(services.collect())),
            Watch::Locks(Change::Reset(locks.collect())),
            Watch::Nodes(Change::Reset(
                nodes.iter().filter_map(cluster::node).collect(),
            )),
            Watch::Slices(Change::Reset(
                slices.iter().filter_map(cluster::slice).collect(),
            )),
        ] {
            watched.take(list);
        }
        let there: BTreeSet<PoolName> =
            watched.pools.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self {
            pools: meant(wanted, there)?,
            watched,
            reports,
        })
    }

    fn foresee(&mut self) -> Foresight {
        foresee(&mut self.watched, &self.reports, &self.pools)
    }

    fn outcome(
        &self,
        result: Verdict,
        before: &Foresight,
        owners: &BTreeMap<IpAddr, NodeName>,
    ) -> Outcome {
        let made = !matches!(result, Verdict::DryRun | Verdict::Asked);
        let after = |node: &NodeName, now: usize| {
            let to = before.moves.iter().filter(|next| next.to == *node).count();
            let from = before.moves.iter().filter(|next| next.from == *node);
            (now + to).saturating_sub(from.count())
        };
        let announced = |node: &NodeName| owners.values().filter(|owner| *owner == node).count();
        let nodes = before.loads.iter().map(|(node, now)| Load {
            node: node.to_string(),
            before: *now,
            after: match result {
                Verdict::Balanced => *now,
                _ if made => announced(node),
                _ => after(node, *now),
            },
        });
        let moves = before.moves.iter().map(|next| Line {
            address: next.address,
            from: next.from.to_string(),
            to: next.to.to_string(),
            done: made && owners.get(&next.address) == Some(&next.to),
        });
        Outcome {
            well: result != Verdict::Stalled,
            result,
            pools: self.pools.iter().map(ToString::to_string).collect(),
            nodes: nodes.collect(),
            moves: moves.collect(),
        }
    }
}

async fn reports(reader: &Reader) -> anyhow::Result<Vec<Report>> {
    let announcements: Api<NodeAnnouncements> = Api::all(reader.client());
    let announcements = reader.list(&announcements, ListParams::default()).await?;
    Ok(announcements.iter().filter_map(cluster::report).collect())
}

/// The pools that are meant, if they are there.
fn meant(wanted: &[String], there: BTreeSet<PoolName>) -> anyhow::Result<BTreeSet<PoolName>> {
    if there.is_empty() {
        bail!("there is no AddressPool, so there is nothing to rebalance; see `herald pools`");
    }
    if wanted.is_empty() {
        return Ok(there);
    }
    let wanted: BTreeSet<_> = wanted
        .iter()
        .map(|name| PoolName::from(name.as_str()))
        .collect();
    match wanted.difference(&there).next() {
        Some(missing) => bail!(
            "there is no AddressPool {missing}; there are: {}",
            listed(&there)
        ),
        None => Ok(wanted),
    }
}

/// Writes the annotation that the agents wait for.
async fn request(reader: &Reader, pools: &BTreeSet<PoolName>) -> anyhow::Result<()> {
    let api: Api<AddressPool> = Api::all(reader.client());
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let now = Timestamp::now().to_string();
    let body = json!({ "metadata": { "annotations": { api::ANNOTATION_REBALANCE: now } } });
    for pool in pools {
        reader
            .change(api.patch_metadata(pool.as_str(), &params, &Patch::Merge(&body)))
            .await
            .with_context(|| format!("cannot ask for a rebalance of pool {pool}"))?;
    }
    Ok(())
}

/// Follows the agents' reports until nothing is left to move, or nothing moves any more.
async fn wait(
    reader: &Reader,
    scene: &mut Scene,
    before: &Foresight,
    format: Format,
) -> anyhow::Result<Outcome> {
    let people = matches!(format, Format::Table | Format::Wide);
    let mut owners = before.owners.clone();
    let mut moved_at = Instant::now();
    if people {
        output::write(&format!(
            "{} to make, one a second, when nothing has come or gone for 5 s:\n",
            counted(before.moves.len())
        ))?;
    }
    loop {
        time::sleep(LOOK).await;
        scene.reports = reports(reader).await?;
        let now = scene.foresee();
        for (address, owner) in &now.owners {
            let Some(former) = owners.insert(*address, owner.clone()) else {
                continue;
            };
            if former == *owner {
                continue;
            }
            moved_at = Instant::now();
            if people && !output::write(&format!("{address}  {former} -> {owner}\n"))? {
                return Ok(scene.outcome(Verdict::Asked, before, &owners));
            }
        }
        if now.moves.is_empty() {
            return Ok(scene.outcome(Verdict::Rebalanced, before, &owners));
        }
        if moved_at.elapsed() >= STALLED {
            return Ok(scene.outcome(Verdict::Stalled, before, &owners));
        }
    }
}

fn counted(moves: usize) -> String {
    match moves {
        1 => "1 move".to_owned(),
        moves => format!("{moves} moves"),
    }
}

impl Answer for Outcome {
    fn well(&self) -> bool {
        self.well
    }

    fn text(&self, look: &Look) -> String {
        let left = self.moves.iter().filter(|line| !line.done).count();
        let words = match self.result {
            Verdict::Balanced => "Nothing to move: every address is where it should be.".to_owned(),
            Verdict::DryRun => format!("{} to make; nothing was asked for.", counted(left)),
            Verdict::Asked => format!(
                "Asked for {}; `herald status` shows who announces what.",
                counted(left)
            ),
            Verdict::Rebalanced => "Rebalanced.".to_owned(),
            Verdict::Stalled => format!(
                "{} not made for {} s. An agent does not take an address while a node or an agent comes or goes, \
                 from or to a node that is not well, or where its links cannot carry it; see `herald status` and \
                 the agents' logs.",
                counted(left),
                STALLED.as_secs()
            ),
        };
        let mut text = String::new();
        let shows = !matches!(self.result, Verdict::Balanced | Verdict::Rebalanced);
        if shows {
            let mut moves = Table::new(&["ADDRESS", "FROM", "TO"]);
            for line in self.moves.iter().filter(|line| !line.done) {
                moves.row([
                    plain(line.address.to_string()),
                    plain(&line.from),
                    plain(&line.to),
                ]);
            }
            text.push_str(&moves.text(look));
            text.push('\n');
        }
        let mut nodes = Table::new(&["NODE", "BEFORE", "AFTER"]);
        for load in &self.nodes {
            nodes.row([
                plain(&load.node),
                plain(load.before.to_string()),
                plain(load.after.to_string()),
            ]);
        }
        text.push_str(&nodes.text(look));
        text.push_str(&format!("\n{words}\n"));
        text
    }
}
