//! What the trials showed, as a table or as JSON.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{
    trial::Trial,
    world::{Record, Traffic},
};

const HEADINGS: [&str; 9] = [
    "who",
    "agents",
    "deaths",
    "noticed by all, median",
    "slowest",
    "false deaths, no loss",
    "false deaths, 20 % loss",
    "sent by each",
    "heard by each",
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

pub struct Figures {
    trial: Trial,
    /// How long each death took to be noticed by all, the shortest first.
    noticed: Vec<Duration>,
    calm: FalseDeaths,
    lossy: FalseDeaths,
    idle: Duration,
    traffic: Traffic,
}

struct FalseDeaths {
    deaths: u64,
    views: u64,
    agent_hours: f64,
}

impl Figures {
    pub fn new(
        trial: Trial,
        idle_for: Duration,
        idle: &Record,
        deaths: Record,
        lossy: &Record,
    ) -> Self {
        let mut noticed = deaths.noticed.clone();
        noticed.sort_unstable();
        Self {
            trial,
            noticed,
            calm: FalseDeaths::of(&[idle, &deaths]),
            lossy: FalseDeaths::of(&[lossy]),
            idle: idle_for,
            traffic: idle.traffic,
        }
    }

    fn median(&self) -> u128 {
        let median = self.noticed.get(self.noticed.len() / 2);
        median.map_or(0, Duration::as_millis)
    }

    fn slowest(&self) -> u128 {
        self.noticed.last().map_or(0, Duration::as_millis)
    }

    /// What each agent sent or heard in a second.
    fn each(&self, total: u64) -> f64 {
        total as f64 / self.idle.as_secs_f64() / f64::from(self.trial.agents)
    }

    fn row(&self) -> [String; HEADINGS.len()] {
        let rate = |datagrams, bytes| {
            let (datagrams, bytes) = (self.each(datagrams), self.each(bytes));
            format!("{datagrams:.1}/s, {bytes:.0} B/s")
        };
        let Traffic {
            sent,
            sent_bytes,
            heard,
            heard_bytes,
        } = self.traffic;
        [
            self.trial.who.to_string(),
            self.trial.agents.to_string(),
            self.noticed.len().to_string(),
            format!("{} ms", self.median()),
            format!("{} ms", self.slowest()),
            self.calm.text(),
            self.lossy.text(),
            rate(sent, sent_bytes),
            rate(heard, heard_bytes),
        ]
    }

    fn json(&self) -> Value {
        let Traffic {
            sent,
            sent_bytes,
            heard,
            heard_bytes,
        } = self.traffic;
        json!({
            "who": self.trial.who.to_string(), "agents": self.trial.agents, "seed": self.trial.seed,
            "noticedByAllMilliseconds": {
                "deaths": self.noticed.len(), "median": self.median().to_string(), "slowest": self.slowest().to_string(),
            },
            "falseDeaths": { "withoutLoss": self.calm.json(), "atLossOf20Percent": self.lossy.json() },
            "eachPerSecondWhenIdle": {
                "datagramsSent": self.each(sent), "bytesSent": self.each(sent_bytes),
                "datagramsHeard": self.each(heard), "bytesHeard": self.each(heard_bytes),
            },
        })
    }
}

impl FalseDeaths {
    fn of(records: &[&Record]) -> Self {
        let lived: Duration = records.iter().map(|record| record.lived).sum();
        Self {
            deaths: records.iter().map(|record| record.false_deaths).sum(),
            views: records.iter().map(|record| record.false_views).sum(),
            agent_hours: lived.as_secs_f64() / 3_600.0,
        }
    }

    fn rate(&self) -> f64 {
        self.deaths as f64 / self.agent_hours
    }

    /// Where nothing was seen, for how long it was looked at.
    fn text(&self) -> String {
        match self.deaths {
            0 => format!("0 in {:.2} h", self.agent_hours),
            _ => format!("{:.1}/h", self.rate()),
        }
    }

    fn json(&self) -> Value {
        json!({
            "count": self.deaths, "views": self.views, "agentHours": self.agent_hours, "perAgentHour": self.rate(),
        })
    }
}

pub fn tell(format: Format, all: &[Figures]) {
    match format {
        Format::Json => {
            let all: Vec<_> = all.iter().map(Figures::json).collect();
            println!("{:#}", Value::from(all));
        }
        Format::Text => {
            let mut rows = vec![HEADINGS.map(str::to_owned)];
            rows.extend(all.iter().map(Figures::row));
            print!("{}", table(&rows));
        }
    }
}

/// A table that Markdown understands, too.
fn table(rows: &[[String; HEADINGS.len()]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max();
    let mut lines: Vec<_> = rows
        .iter()
        .map(|row| {
            let cell = |(column, text): (usize, &String)| {
                format!("| {text:<width$} ", width = width(column).unwrap_or(0))
            };
            row.iter().enumerate().map(cell).collect::<String>() + "|\n"
        })
        .collect();
    lines.insert(1, "|---".repeat(HEADINGS.len()) + "|\n");
    lines.concat()
}
