//! After the show: what to try, and what changes meanwhile.

use std::{collections::BTreeMap, net::IpAddr, path::Path, time::Duration};

use tokio::time;

use super::{
    client::url,
    cluster::Cluster,
    kubeconfig,
    look::{self, Seen},
    progress::Progress,
};

const POLL: Duration = Duration::from_millis(500);
/// An address of the sample pool that no example asks for.
const FREE: &str = "192.168.77.240";

/// Says what can be tried.
pub(super) async fn invite(cluster: &mut Cluster, progress: &Progress) -> anyhow::Result<()> {
    let services = look::services(&cluster.api).await?;
    let herald = std::env::args()
        .next()
        .unwrap_or_else(|| "herald".to_owned());
    let mut lines = vec![
        String::new(),
        format!(
            "The lab stays up until Ctrl-C. The controller's status page: http://{}/",
            cluster.page
        ),
        "To try in another terminal:".to_owned(),
        String::new(),
        format!(
            "  export KUBECONFIG={}",
            kubeconfig::path(cluster.floor.dir()).display()
        ),
        "  kubectl get services".to_owned(),
        format!("  kubectl annotate service echo herald.dev/addresses={FREE}"),
        format!("  {herald} status"),
    ];
    if let Some(service) = services
        .iter()
        .find(|service| !service.addresses.is_empty())
    {
        lines.extend(from_the_segment(cluster, service)?);
    }
    for node in cluster.segment.nodes.clone() {
        if let Some(pid) = cluster.agent(&node.name).await? {
            lines.push(format!(
                "  kill -9 {pid:<7} # the agent of {}; it comes again",
                node.name
            ));
        }
    }
    lines.push(String::new());
    progress.say(&lines.join("\n"));
    Ok(())
}

/// A request from the client's namespace.
fn from_the_segment(cluster: &Cluster, service: &Seen) -> anyhow::Result<Option<String>> {
    let Some(address) = service.addresses.first() else {
        return Ok(None);
    };
    let pid = cluster.pid(&cluster.segment.client.name)?;
    // In a user namespace of the lab's own its user must be entered too.
    let same_user =
        |pid: &str| std::fs::read_link(Path::new("/proc").join(pid).join("ns/user")).ok();
    let user = if same_user("self") == same_user(&pid.to_string()) {
        ""
    } else {
        " -U --preserve-credentials"
    };
    let url = url(*address, service.port);
    Ok(Some(format!(
        "  nsenter -t {pid}{user} -n curl {url}   # as the client on the segment"
    )))
}

/// Tells of every change of an address or its announcer; ends only with an error.
pub(super) async fn follow(cluster: &mut Cluster, progress: &Progress) -> anyhow::Error {
    let api = cluster.api.clone();
    tokio::select! {
        error = cluster.failed() => error,
        () = tell(progress, async || state(&api).await) => anyhow::anyhow!("nothing more to tell"),
    }
}

/// Tells of every change of what is looked at, for ever.
pub(super) async fn tell<S>(progress: &Progress, look: impl Fn() -> S)
where
    S: Future<Output = anyhow::Result<BTreeMap<String, String>>>,
{
    let mut known = look().await.unwrap_or_default();
    loop {
        time::sleep(POLL).await;
        // An API server that does not answer has no news.
        let Ok(now) = look().await else { continue };
        for line in news(&known, &now) {
            progress.say(&line);
        }
        known = now;
    }
}

/// What there is to tell of: each Service's addresses, each address's announcers.
async fn state(api: &kube::Client) -> anyhow::Result<BTreeMap<String, String>> {
    let mut state = BTreeMap::new();
    for service in look::services(api).await? {
        let addresses: Vec<_> = service.addresses.iter().map(ToString::to_string).collect();
        let has = if addresses.is_empty() {
            format!("has no address ({})", service.condition)
        } else {
            format!("has {}", addresses.join(" and "))
        };
        state.insert(service.key, has);
    }
    for (address, nodes) in look::announcers(api).await? {
        let nodes: Vec<_> = nodes.into_iter().collect();
        state.insert(
            address.to_string(),
            format!("is announced by {}", nodes.join(" and ")),
        );
    }
    Ok(state)
}

fn news(known: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let changed = now
        .iter()
        .filter(|(what, how)| known.get(*what) != Some(*how));
    let changed = changed.map(|(what, how)| format!("  {what} {how}"));
    let gone = known.keys().filter(|what| !now.contains_key(*what));
    let gone = gone.map(|what| match what.parse::<IpAddr>() {
        Ok(address) => format!("  {address} is announced by nobody"),
        Err(_) => format!("  {what} is gone"),
    });
    changed.chain(gone).collect()
}
