//! The figures: median and worst of the lost time, by case and family, told as a table or as JSON.

use std::{fmt::Write as _, time::Duration};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{
    case::Case,
    connection::Fate,
    prober::Seen,
    trial::{Contestant, Trial},
};

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// What one run showed, for each family.
#[derive(Clone, Debug)]
pub struct Run {
    seen: [Seen; 2],
    /// For how long two hosts answered.
    rivalries: [Duration; 2],
    /// Whether the node that was struck owned the family's address.
    struck: [bool; 2],
}

/// All figures so far.
pub struct Board {
    format: Format,
    lines: Vec<Line>,
}

struct Line {
    trial: Trial,
    family: &'static str,
    runs: usize,
    probes: usize,
    median: usize,
    worst: usize,
    broke: usize,
    /// The longest standstill of a connection that lived.
    stall: Option<u128>,
    /// For how long two hosts answered at most.
    rivalry: u128,
}

impl Run {
    pub fn of(seen: [Seen; 2], owners: [Option<usize>; 2], rivalries: [Duration; 2]) -> Self {
        Self {
            seen,
            rivalries,
            struck: [true, owners[1] == owners[0]],
        }
    }
}

impl Board {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            lines: Vec::new(),
        }
    }

    /// Adds the runs of a case.
    pub fn add(&mut self, trial: &Trial, runs: &[Run]) {
        for (family, name) in FAMILIES.into_iter().enumerate() {
            let all_are_struck = matches!(trial.case, Case::RollingRestart | Case::ApiAway);
            let struck = |run: &&Run| all_are_struck || run.struck[family];
            let runs: Vec<_> = runs.iter().filter(struck).collect();
            let seen: Vec<_> = runs.iter().map(|run| &run.seen[family]).collect();
            let mut lost: Vec<_> = seen.iter().map(|seen| seen.lost).collect();
            lost.sort_unstable();
            let Some(worst) = lost.last().copied() else {
                continue;
            };
            let stalls = seen.iter().filter_map(|seen| match seen.connection {
                Fate::Lived(longest) => Some(longest.as_millis()),
                Fate::Broke => None,
            });
            self.lines.push(Line {
                trial: *trial,
                family: name,
                runs: lost.len(),
                probes: seen.iter().map(|seen| seen.sent).sum(),
                median: lost[lost.len() / 2],
                worst,
                broke: seen
                    .iter()
                    .filter(|seen| seen.connection == Fate::Broke)
                    .count(),
                stall: stalls.max(),
                rivalry: runs
                    .iter()
                    .map(|run| run.rivalries[family].as_millis())
                    .max()
                    .unwrap_or_default(),
            });
            if self.format == Format::Text {
                println!("{}", self.lines.last().map(Line::text).unwrap_or_default());
            }
        }
    }

    /// Tells what is to be told at the end.
    pub fn tell(&self) {
        match self.format {
            Format::Json => {
                let all: Vec<_> = self.lines.iter().map(Line::json).collect();
                println!("{}", serde_json::to_string_pretty(&all).unwrap_or_default());
            }
            Format::Text => print!("{}", self.ratios()),
        }
    }

    /// How many times longer keepalived takes, by the medians.
    fn ratios(&self) -> String {
        let mut text = String::new();
        let (rivals, ours): (Vec<_>, Vec<_>) = self
            .lines
            .iter()
            .partition(|line| matches!(line.trial.contestant, Contestant::Keepalived(_)));
        for rival in rivals {
            let same =
                |line: &&&Line| line.trial.case == rival.trial.case && line.family == rival.family;
            let Some(own) = ours.iter().find(same) else {
                continue;
            };
            let ratio = match own.median {
                0 => "(Herald loses nothing)".to_owned(),
                own => format!("{:.1} times Herald's", rival.median as f64 / own as f64),
            };
            writeln!(text, "{}, {}: {ratio}", rival.trial, rival.family).unwrap_or_default();
        }
        text
    }
}

impl Line {
    fn text(&self) -> String {
        let stall = self
            .stall
            .map_or("-".to_owned(), |stall| format!("{stall} ms"));
        format!(
            "{:34} {:19} {} median {:>5} ms  worst {:>5} ms  of {:>3} runs; two owners for {} ms at most; connection broke in \
             {:>2}, stood still for {stall} at most",
            self.trial.contestant,
            self.trial.case,
            self.family,
            self.median,
            self.worst,
            self.runs,
            self.rivalry,
            self.broke
        )
    }

    fn json(&self) -> Value {
        json!({
            "contestant": self.trial.contestant.to_string(), "case": self.trial.case.to_string(), "family": self.family, "runs": self.runs, "probes": self.probes,
            "lostMilliseconds": { "median": self.median, "worst": self.worst },
            "twoOwnersMilliseconds": self.rivalry.to_string(),
            "connection": { "broke": self.broke, "longestStandstillMilliseconds": self.stall.map(|s| s.to_string()) },
        })
    }
}
