//! `herald check`: what makes load balancing fail in practice, and what repairs it.
//!
//! ```text
//!   cluster ──gather──▶ Facts ──crate::check──▶ Findings ──▶ list, json, yaml
//!      ▲                  ▲
//!      └─ annotation ─▶ agents ─▶ NodeAnnouncements      with --wire
//! ```

mod definitions;
mod gather;
mod project;
mod survey;

use std::{process::ExitCode, time::Duration};

use serde::Serialize;

use super::{
    CheckArgs,
    output::{self, Answer, Cell, Look, Table, Tone, plain},
    reading::Reader,
};
use crate::check::{self, Finding, Severity};

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    well: bool,
    /// How many findings there are of each severity.
    counts: Counts,
    findings: Vec<Finding>,
    #[serde(skip)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    fail: usize,
    warn: usize,
    unknown: usize,
    skip: usize,
    ok: usize,
}

pub(super) async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::connect().await?;
    let mut facts = reader
        .patiently(gather::gather(&reader, &args.namespace))
        .await?;
    if args.wire {
        survey::ask(&reader, &mut facts, Duration::from_secs(args.timeout)).await;
    }
    let checked = Checked::new(check::examine(&facts), args.quiet);
    output::print(&checked, args.output)?;
    Ok(checked.counts.exit_code())
}

impl Checked {
    fn new(mut findings: Vec<Finding>, quiet: bool) -> Self {
        let mut counts = Counts::default();
        for finding in &findings {
            *match finding.severity {
                Severity::Fail => &mut counts.fail,
                Severity::Warn => &mut counts.warn,
                Severity::Unknown => &mut counts.unknown,
                Severity::Skip => &mut counts.skip,
                Severity::Ok => &mut counts.ok,
            } += 1;
        }
        if quiet {
            findings.retain(|finding| finding.severity <= Severity::Unknown);
        }
        Self {
            well: counts.fail + counts.warn + counts.unknown == 0,
            counts,
            findings,
            quiet,
        }
    }
}

impl Counts {
    /// What is amiss weighs more than what could not be found out.
    fn exit_code(self) -> ExitCode {
        match self {
            Self {
                fail: 0,
                warn: 0,
                unknown: 0,
                ..
            } => ExitCode::SUCCESS,
            Self {
                fail: 0, warn: 0, ..
            } => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl Answer for Checked {
    fn well(&self) -> bool {
        self.well
    }

    /// One line for each finding, with what was found and, below it, what repairs it. Nothing is cut: a command that is
    /// cut short helps nobody.
    fn text(&self, look: &Look) -> String {
        let mut table = Table::new(&[]);
        for finding in &self.findings {
            let tone = match finding.severity {
                Severity::Fail | Severity::Warn | Severity::Unknown => Tone::Bad,
                Severity::Skip => Tone::Plain,
                Severity::Ok => Tone::Good,
            };
            table.row([
                Cell::new(finding.severity.as_str(), tone),
                plain(finding.word.as_str()),
                plain(&finding.object),
                plain(&finding.message),
            ]);
            if let Some(repair) = &finding.repair {
                table.row([
                    Cell::default(),
                    Cell::default(),
                    Cell::default(),
                    plain(format!("-> {repair}")),
                ]);
            }
        }
        let Counts {
            fail,
            warn,
            unknown,
            ok,
            ..
        } = self.counts;
        let verdict = match self.well {
            true => format!("All is well: {ok} checks."),
            false => format!(
                "{fail} fail, {warn} warn, {unknown} unknown, {ok} ok. docs/check.md explains each word."
            ),
        };
        match (self.well, self.quiet) {
            (true, true) => String::new(),
            _ => table.text(&look.uncut()) + "\n" + &verdict + "\n",
        }
    }
}
