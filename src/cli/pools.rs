//! `herald pools`: every pool, whether it gives out addresses, and how many are left.
//!
//! What a pool says of itself (`spec`) and what the controller has written about it (`status`); nothing is computed.

use std::process::ExitCode;

use kube::{Api, api::ListParams, runtime::watcher};

use super::{
    PoolsArgs,
    output::{self, Answer, Cell, Format, Look, Table, Tone, listed, plain},
    reading::Reader,
    watching::{self, Picture},
};
use crate::{
    api::AddressPool,
    cluster::{self, Reachability, pump},
    survey::{self, Numbers, Pool, Pools},
    world::{Change, Table as Records},
};

#[derive(Default)]
struct Watched(Records<Pool>);

pub(super) async fn show(args: PoolsArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::connect().await?;
    let pools: Api<AddressPool> = Api::all(reader.client());
    if args.watch {
        reader.probe(&pools).await?;
        return follow(args.output, pools).await;
    }
    let pools = reader
        .patiently(reader.list(&pools, ListParams::default()))
        .await?;
    let pools = pools.iter().filter_map(cluster::pool_line).collect();
    output::print(&Pools::new(pools), args.output)
}

async fn follow(format: Format, pools: Api<AddressPool>) -> anyhow::Result<ExitCode> {
    watching::follow(Watched::default(), format, |watches, sender| {
        watches.spawn(pump(
            pools,
            watcher::Config::default(),
            cluster::pool_line,
            |change| change,
            sender,
            Reachability::default(),
        ));
    })
    .await
}

impl Picture for Watched {
    type Input = Change<Pool>;
    type Answer = Pools;

    fn take(&mut self, input: Change<Pool>) {
        drop(self.0.take(input));
    }

    fn answer(&self) -> Option<Pools> {
        let lines = || self.0.iter().map(|(_, line)| Pool::clone(line)).collect();
        self.0.synced().then(|| Pools::new(lines()))
    }
}

impl Answer for Pools {
    fn well(&self) -> bool {
        self.well
    }

    fn text(&self, look: &Look) -> String {
        if self.pools.is_empty() {
            return NONE.to_owned();
        }
        let mut table = Table::new(if look.wide { &WIDE } else { &NARROW });
        for pool in &self.pools {
            if pool.families.is_empty() {
                table.row(cells(pool, None, look.wide));
            }
            for numbers in &pool.families {
                table.row(cells(pool, Some(numbers), look.wide));
            }
        }
        table.text(look)
    }
}

const NONE: &str = "There is no AddressPool, so no Service gets an address. To make one, with addresses of your network:

kubectl apply -f - <<END
apiVersion: herald.dev/v1alpha1
kind: AddressPool
metadata: {name: lan}
spec:
  addresses: [192.168.77.200-192.168.77.250]
END
";

const NARROW: [&str; 10] = [
    "NAME",
    "READY",
    "FAMILY",
    "CAPACITY",
    "USED",
    "RESERVED",
    "QUARANTINED",
    "FREE",
    "PRIORITY",
    "AUTOMATIC",
];
const WIDE: [&str; 20] = [
    "NAME",
    "READY",
    "FAMILY",
    "CAPACITY",
    "USED",
    "RESERVED",
    "QUARANTINED",
    "FREE",
    "PRIORITY",
    "AUTOMATIC",
    "NAMESPACES",
    "NAMESPACE SELECTOR",
    "SERVICE SELECTOR",
    "QUOTA",
    "RETENTION",
    "NODE PORTS",
    "FALLBACK",
    "SHARING",
    "DEGRADED",
    "MESSAGE",
];

fn cells(pool: &Pool, numbers: Option<&Numbers>, wide: bool) -> Vec<Cell> {
    let number = |of: fn(&Numbers) -> &Option<String>| {
        plain(numbers.and_then(|n| of(n).clone()).unwrap_or_default())
    };
    let mut cells = vec![
        plain(&pool.name),
        Cell::new(readiness(pool), Tone::of(pool.well)),
        plain(numbers.map(|n| n.family).unwrap_or_default()),
        number(|n| &n.capacity),
        number(|n| &n.used),
        number(|n| &n.reserved),
        number(|n| &n.quarantined),
        number(|n| &n.free),
        plain(pool.priority.to_string()),
        plain(if pool.automatic { "yes" } else { "no" }),
    ];
    if wide {
        let limits = &pool.limits;
        let text = |value: Option<String>| plain(value.unwrap_or_default());
        let names = limits
            .namespaces
            .as_ref()
            .map(|names| match names.as_slice() {
                [] => "none".to_owned(),
                names => listed(names),
            });
        cells.extend([
            text(names),
            text(limits.namespace_selector.as_ref().map(survey::selector)),
            text(limits.service_selector.as_ref().map(survey::selector)),
            text(limits.quota_per_namespace.map(|quota| quota.to_string())),
            text(pool.retention.clone()),
            plain(&pool.node_ports),
            plain(&pool.fallback),
            plain(&pool.sharing),
            text(
                pool.degraded
                    .as_ref()
                    .map(|d| format!("{}: {}", d.reason, d.message)),
            ),
            plain(&pool.message),
        ]);
    }
    cells
}

/// `True`, or why not; and whether something is amiss all the same.
fn readiness(pool: &Pool) -> String {
    match (pool.ready, &pool.degraded) {
        (false, _) => format!("False ({})", pool.reason),
        (true, Some(degraded)) => format!("True, Degraded ({})", degraded.reason),
        (true, None) => "True".to_owned(),
    }
}
