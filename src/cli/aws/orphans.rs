//! `herald aws orphans`: what carries the cluster's tag in AWS and has no Service any more, and its end.

use std::process::ExitCode;

use serde::Serialize;

use super::{AwsOrphansArgs, view};
use crate::cli::{
    output::{self, Answer, Format, Look, Table, plain},
    reading::Reader,
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Orphans {
    well: bool,
    orphans: Vec<Orphan>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Orphan {
    service: String,
    uid: String,
    balancers: Vec<String>,
    target_groups: Vec<String>,
    security_groups: Vec<String>,
    /// Rules in the nodes' security groups, or in any other.
    rules: Vec<String>,
    deleted: bool,
    /// Why it could not be deleted.
    trouble: Option<String>,
}

pub(super) async fn show(args: AwsOrphansArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::connect().await?;
    let viewer = view(&reader, &args.aws).await?;
    let people = matches!(args.output, Format::Table | Format::Wide);
    let mut orphans = Vec::new();
    for found in viewer.orphans() {
        let mut orphan = Orphan {
            service: found.service.clone(),
            uid: found.uid.clone(),
            balancers: found.left.balancers.iter().cloned().collect(),
            target_groups: found.left.groups.iter().cloned().collect(),
            security_groups: found.left.security_groups.iter().cloned().collect(),
            rules: found.left.rules.iter().cloned().collect(),
            deleted: false,
            trouble: None,
        };
        if args.delete {
            let tell = |plan: &herald_aws::Plan| {
                if people && !plan.gone {
                    eprintln!(
                        "{}: {} calls, {} waits",
                        found.service,
                        plan.steps.len(),
                        plan.waits.len()
                    );
                }
            };
            match viewer.delete(&found, tell).await {
                Ok(()) => orphan.deleted = true,
                Err(why) => orphan.trouble = Some(why.refusal.to_string()),
            }
        }
        orphans.push(orphan);
    }
    let answer = Orphans {
        well: orphans.iter().all(|orphan| orphan.deleted),
        orphans,
    };
    output::print(&answer, args.output)
}

impl Answer for Orphans {
    fn well(&self) -> bool {
        self.well
    }

    fn text(&self, look: &Look) -> String {
        if self.orphans.is_empty() {
            return "Nothing in AWS carries the cluster's tag without a Service.\n".to_owned();
        }
        let mut table = Table::new(&["SERVICE", "UID", "STATE", "LEFT"]);
        for orphan in &self.orphans {
            let state = match (&orphan.trouble, orphan.deleted) {
                (Some(why), _) => why.as_str(),
                (None, true) => "deleted",
                (None, false) => "left",
            };
            let elb = orphan.balancers.iter().chain(&orphan.target_groups);
            let left = elb.chain(&orphan.security_groups).chain(&orphan.rules);
            let left: Vec<_> = left.map(String::as_str).collect();
            table.row([
                plain(&orphan.service),
                plain(&orphan.uid),
                plain(state),
                plain(left.join(" ")),
            ]);
        }
        table.text(look)
    }
}
