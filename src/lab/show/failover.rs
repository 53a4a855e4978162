//! The loud part of the show: the owner's agent dies, another takes over, and the dead one comes back to nothing.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use tokio::time;

use super::{
    super::{
        cluster::Cluster,
        look::{self, Announcers, until},
        progress::{Progress, Unmet},
        supervised::agent_of,
    },
    Outcome, PATIENCE, Target, Targets, list, owner,
};

/// What Herald promises: one owner again within this time.
const PROMISE: Duration = Duration::from_secs(1);
/// What the lab puts up with: it shares its machine with everything else that runs there.
const LATEST: Duration = Duration::from_secs(3);
/// How long the client tries.
const GIVE_UP: Duration = Duration::from_secs(10);
/// How long an agent that came back is watched.
const WATCH: Duration = Duration::from_secs(3);

/// Kills the owner of the first IPv4 address and sees it through.
pub(super) async fn run(
    cluster: &mut Cluster,
    progress: &mut Progress,
    targets: Targets,
    before: &Announcers,
) -> Result<Outcome, Unmet> {
    let target = targets.ipv4;
    let dead = owner(before, target.address).unwrap_or_default().to_owned();
    let killed = kill(cluster, progress, &dead, target.address).await?;
    let failover = answered_again(cluster, progress, target, killed).await?;
    let after = new_owner(cluster, progress, &dead, before, target.address).await?;
    for target in targets.each() {
        alone(cluster, progress, target, &after, "one owner").await?;
    }
    comes_back(cluster, progress, &dead, &after).await?;
    alone(cluster, progress, target, &after, "returned").await?;
    Ok(Outcome {
        failover: Some(failover),
    })
}

/// Kills an agent; gives the moment before.
async fn kill(
    cluster: &mut Cluster,
    progress: &mut Progress,
    node: &str,
    address: IpAddr,
) -> Result<Instant, Unmet> {
    let expected = format!("the agent of {node} runs, and is killed");
    let work = async {
        let pid = cluster.agent(node).await?;
        let pid = pid.ok_or_else(|| Unmet::new("it does not run").suspecting(agent_of(node)))?;
        let moment = Instant::now();
        cluster.kill_agent(node).await?;
        let seen =
            format!("the agent of {node}, which announced {address}, by SIGKILL (process {pid})");
        Ok((moment, seen))
    };
    progress.step("killed", &expected, work).await
}

/// The client, which asks for the address before each request, is answered again.
async fn answered_again(
    cluster: &mut Cluster,
    progress: &mut Progress,
    target: Target,
    killed: Instant,
) -> Result<Duration, Unmet> {
    let Target { address, port } = target;
    let expected = format!("the client is answered at {address} within {PROMISE:?}");
    let work = async {
        let attempts = cluster.recover(address, port, GIVE_UP).await?;
        let took = killed.elapsed();
        let count = attempts.len();
        match attempts.last().map(|last| &last.outcome) {
            Some(Ok(_)) if took <= LATEST => {
                let mut seen = format!(
                    "the client is answered at {address} {} after the kill (try {count})",
                    millis(took)
                );
                if took > PROMISE {
                    seen +=
                        &format!("; {PROMISE:?} is what Herald promises: is this machine busy?");
                }
                Ok((took, seen))
            }
            Some(Ok(_)) => Err(Unmet::new(format!(
                "answered {} after the kill",
                millis(took)
            ))),
            Some(Err(why)) => Err(Unmet::new(format!(
                "{count} tries in vain, the last: {why}"
            ))),
            None => Err(Unmet::new("the client did not try")),
        }
    };
    progress.step("recovered", &expected, work).await
}

/// Every address of the dead agent has another announcer, and the others have theirs still.
async fn new_owner(
    cluster: &Cluster,
    progress: &mut Progress,
    dead: &str,
    before: &Announcers,
    address: IpAddr,
) -> Result<Announcers, Unmet> {
    let expected =
        format!("another node than {dead} announces each of its addresses, and the rest stay");
    let work = async {
        let api = &cluster.api;
        let found = until(PATIENCE, async || {
            let mut now = look::announcers(api).await?;
            now.retain(|address, _| before.contains_key(address));
            // A dead agent cannot take back what it said.
            now.values_mut()
                .for_each(|nodes| nodes.retain(|node| node != dead));
            let settled = before.iter().all(|(address, was)| {
                owner(&now, *address).is_some_and(|is| was.contains(dead) || was.contains(is))
            });
            Ok(if settled { Ok(now) } else { Err(list(&now)) })
        });
        let now = found.await.map_err(Unmet::new)?;
        let new = owner(&now, address).unwrap_or_default();
        let moved = before.values().filter(|nodes| nodes.contains(dead)).count();
        let seen = match moved {
            1 => format!("{address} is announced by {new}"),
            _ => format!(
                "{address} is announced by {new}; {dead} had {moved} addresses, now: {}",
                list(&now)
            ),
        };
        Ok((now, seen))
    };
    progress.step("new owner", &expected, work).await
}

/// On the wire exactly one hardware address answers, the owner's.
async fn alone(
    cluster: &mut Cluster,
    progress: &mut Progress,
    target: Target,
    announcers: &Announcers,
    step: &'static str,
) -> Result<(), Unmet> {
    let Target { address, port } = target;
    let node = owner(announcers, address)
        .and_then(|name| cluster.segment.node(name))
        .cloned();
    let node = node.ok_or_else(|| Unmet::new(format!("{address} has no single announcer")))?;
    let expected = format!(
        "on the wire {address} is answered for by {} ({}) alone",
        node.mac, node.name
    );
    let work = async {
        let macs = cluster.who_answers(address, port).await?;
        let names = macs.iter().map(|mac| {
            let name = cluster.segment.name_of(*mac).unwrap_or("nobody here");
            format!("{mac} ({name})")
        });
        let seen = names.collect::<Vec<_>>().join(" and ");
        if macs == [node.mac] {
            Ok((
                (),
                format!("on the wire {address} is answered for by {seen} alone"),
            ))
        } else {
            Err(Unmet::new(if seen.is_empty() {
                "no answer".to_owned()
            } else {
                seen
            }))
        }
    };
    progress.step(step, &expected, work).await
}

/// The killed agent is started again, and every address stays where it is.
async fn comes_back(
    cluster: &mut Cluster,
    progress: &mut Progress,
    node: &str,
    owners: &Announcers,
) -> Result<(), Unmet> {
    let expected = format!("the agent of {node} comes back and takes nothing");
    let others = u32::try_from(cluster.segment.nodes.len() - 1).unwrap_or(u32::MAX);
    let work = async {
        cluster.start_agent(node).await?;
        let api = &cluster.api;
        let same = async || -> anyhow::Result<Result<(), String>> {
            let hears = look::peers(api)
                .await?
                .get(node)
                .copied()
                .unwrap_or_default();
            let mut now = look::announcers(api).await?;
            now.retain(|address, _| owners.contains_key(address));
            Ok(if now != *owners {
                Err(list(&now))
            } else if hears != others {
                Err(format!("{node} hears {hears} of {others} agents"))
            } else {
                Ok(())
            })
        };
        // Until it reports, its object says what it said before it died.
        let suspect = |last: String| Unmet::new(last).suspecting(agent_of(node));
        until(PATIENCE, same).await.map_err(suspect)?;
        let began = Instant::now();
        while began.elapsed() < WATCH {
            time::sleep(Duration::from_millis(100)).await;
            same().await?.map_err(suspect)?;
        }
        Ok((
            (),
            format!("the agent of {node} is back, and took nothing in {WATCH:?}"),
        ))
    };
    progress.step("returned", &expected, work).await
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
