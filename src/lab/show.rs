//! The show: Herald gives addresses, announces them, loses a node's agent, and goes on.

mod failover;
mod page;
mod serving;

use std::{net::IpAddr, time::Duration};

use super::{
    cluster::{CONTROLLER, Cluster},
    look::{self, Announcers, Seen, until},
    objects::{self, Member},
    progress::{Progress, Unmet},
    supervised::agent_of,
};

/// How long Herald may take to start, or to give and announce addresses, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the show was about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// From the death of an owner's agent until the client was answered again, where there are agents.
    pub(super) failover: Option<Duration>,
}

/// Two addresses that requests go to, one of each family.
#[derive(Clone, Copy, Debug)]
struct Targets {
    ipv4: Target,
    ipv6: Target,
}

/// Where a Service is reached.
#[derive(Clone, Copy, Debug)]
struct Target {
    address: IpAddr,
    port: u16,
}

impl Targets {
    fn of(services: &[Seen]) -> Result<Self, Unmet> {
        let first = |ipv4| {
            let mut targets = services.iter().filter_map(|service| {
                service.address(ipv4).map(|address| Target {
                    address,
                    port: service.port,
                })
            });
            targets
                .next()
                .ok_or_else(|| Unmet::new("no Service has an address of each family"))
        };
        Ok(Self {
            ipv4: first(true)?,
            ipv6: first(false)?,
        })
    }

    fn each(self) -> [Target; 2] {
        [self.ipv4, self.ipv6]
    }
}

/// Runs every step; the first that does not hold ends the show.
pub(super) async fn run(cluster: &mut Cluster, progress: &mut Progress) -> Result<Outcome, Unmet> {
    objects(cluster, progress).await?;
    herald(cluster, progress).await?;
    let services = addresses(cluster, progress).await?;
    let announcers = serving::announced(cluster, progress, &services).await?;
    let targets = Targets::of(&services)?;
    for target in targets.each() {
        serving::neighbour(cluster, progress, target, &announcers).await?;
    }
    for target in targets.each() {
        serving::requests(cluster, progress, target).await?;
    }
    let outcome = failover::run(cluster, progress, targets, &announcers).await?;
    page::well(cluster, progress).await?;
    Ok(outcome)
}

async fn objects(cluster: &Cluster, progress: &mut Progress) -> Result<(), Unmet> {
    let expected = "the API server takes Herald's resource definitions and rights, and the nodes";
    let work = async {
        let nodes: Vec<_> = cluster.segment.nodes.iter().map(Member::of).collect();
        objects::prepare(&cluster.api, &nodes).await?;
        Ok((
            (),
            "Herald's resource definitions are served; the nodes are known".to_owned(),
        ))
    };
    progress.step("objects", expected, work).await
}

async fn herald(cluster: &mut Cluster, progress: &mut Progress) -> Result<(), Unmet> {
    let count = cluster.segment.nodes.len();
    let expected = format!("a controller, and {count} agents that hear each other");
    let work = async {
        cluster.start_herald().await?;
        let wanted = u32::try_from(count - 1).unwrap_or(u32::MAX);
        let api = &cluster.api;
        let heard = until(PATIENCE, async || {
            let peers = look::peers(api).await?;
            let all = peers.len() == count && peers.values().all(|heard| *heard == wanted);
            let told = || {
                peers
                    .iter()
                    .map(|(node, heard)| format!("{node} hears {heard}"))
            };
            Ok(if all {
                Ok(())
            } else {
                Err(told().collect::<Vec<_>>().join(", "))
            })
        });
        match heard.await {
            Ok(()) => {
                let seen = format!(
                    "controller and {count} agents run, each a process of its own; all hear each other"
                );
                Ok(((), seen))
            }
            Err(last) => {
                let last = if last.is_empty() {
                    "no agent has reported".to_owned()
                } else {
                    last
                };
                let suspect = cluster
                    .segment
                    .nodes
                    .first()
                    .map(|node| agent_of(&node.name));
                Err(Unmet::new(last).suspecting(suspect.unwrap_or_default()))
            }
        }
    };
    progress.step("herald", &expected, work).await
}

/// Applies the examples and waits for each Service's addresses.
async fn addresses(cluster: &Cluster, progress: &mut Progress) -> Result<Vec<Seen>, Unmet> {
    let api = &cluster.api;
    let expected = "the API server takes the examples";
    let work = async {
        let files = objects::apply_examples(api).await?;
        Ok(((), format!("{} from examples/", files.join(", "))))
    };
    progress.step("applied", expected, work).await?;
    let mut served = Vec::new();
    for service in objects::example_services(api).await? {
        let wish = Seen::of(&service);
        let expected = match (wish.requested.first(), wish.families) {
            (Some(address), _) => format!("{} has {address}, which it asks for", wish.key),
            (None, 1) => format!("{} has an address", wish.key),
            (None, count) => format!("{} has {count} addresses, one of each family", wish.key),
        };
        let work = async {
            let given = until(PATIENCE, async || {
                let services = look::services(api).await?;
                let seen = services.into_iter().find(|seen| seen.key == wish.key);
                let seen = seen.ok_or_else(|| anyhow::anyhow!("{} is gone", wish.key))?;
                Ok(if seen.is_served() {
                    Ok(seen)
                } else {
                    Err(seen.condition)
                })
            });
            let seen = given
                .await
                .map_err(|last| Unmet::new(last).suspecting(CONTROLLER))?;
            let told = told(&seen);
            Ok((seen, told))
        };
        served.push(progress.step("address", &expected, work).await?);
    }
    Ok(served)
}

fn told(seen: &Seen) -> String {
    let addresses: Vec<_> = seen.addresses.iter().map(ToString::to_string).collect();
    let pool = seen.pool.as_deref().unwrap_or("an unnamed one");
    let asked = if seen.requested.is_empty() {
        ""
    } else {
        ", as requested"
    };
    format!(
        "{:24} {} from pool {pool}{asked}",
        seen.key,
        addresses.join(" and ")
    )
}

/// Who announces an address, if exactly one node does.
fn owner(announcers: &Announcers, address: IpAddr) -> Option<&str> {
    let nodes = announcers.get(&address)?;
    nodes
        .first()
        .filter(|_| nodes.len() == 1)
        .map(String::as_str)
}

/// Addresses and nodes for people: `192.168.77.200 by node-2, fd77::200 by node-1`.
fn list(announcers: &Announcers) -> String {
    let by = |(address, nodes): (&IpAddr, &std::collections::BTreeSet<String>)| {
        let nodes: Vec<_> = nodes.iter().map(String::as_str).collect();
        let nodes = if nodes.is_empty() {
            "nobody".to_owned()
        } else {
            nodes.join(" and ")
        };
        format!("{address} by {nodes}")
    };
    announcers.iter().map(by).collect::<Vec<_>>().join(", ")
}
