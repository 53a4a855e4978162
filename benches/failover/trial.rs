//! One case, played by one contestant on a segment of its own, again and again.

use std::{fmt, time::Duration};

use anyhow::Context as _;

use crate::{
    Options, answering,
    case::{Case, Guard},
    figures::Run,
    herald_cluster::Herald,
    keepalived::{self, Keepalived},
    prober::Client,
    segment::Segment,
    witness::Witness,
};

/// The time after which a settled segment is measured again.
const CALM: Duration = Duration::from_millis(300);
/// Until everything has come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who moves the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    Herald { api_away: bool },
    Keepalived(keepalived::Setting),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    pub contestant: Contestant,
    pub case: Case,
}

impl Contestant {
    /// Whether the case means anything to it.
    pub fn plays(self, case: Case) -> bool {
        match self {
            Self::Herald { api_away } => !(api_away && case == Case::ApiAway),
            Self::Keepalived(_) => keepalived::plays(case),
        }
    }
}

impl Trial {
    pub async fn play(&self, options: &Options) -> anyhow::Result<Vec<Run>> {
        let segment = Segment::new(options.nodes);
        let runs = match self.contestant {
            Contestant::Herald { .. } => {
                let logs = options
                    .keep_logs
                    .as_deref()
                    .map(|dir| dir.join(self.slug()));
                let mut herald = Herald::start(&segment, &options.agent, logs.as_deref())
                    .await
                    .context("Herald does not come up")?;
                self.repeat(options, &segment, &mut herald).await
            }
            Contestant::Keepalived(setting) => {
                let mut guard = Keepalived::start(&segment, setting).await?;
                self.repeat(options, &segment, &mut guard).await
            }
        };
        runs.with_context(|| self.to_string())
    }

    async fn repeat(
        &self,
        options: &Options,
        segment: &Segment,
        guard: &mut impl Guard,
    ) -> anyhow::Result<Vec<Run>> {
        let api_away = self.contestant == Contestant::Herald { api_away: true };
        let _answering = answering::start(segment)?;
        let client = Client::start(segment)?;
        let witness = Witness::start(segment)?;
        client.until_answered(PATIENCE).await?;
        let mut runs = Vec::new();
        let all = if self.case == Case::ApiAway {
            1
        } else {
            options.runs
        };
        for number in 1..=all {
            eprint!("\r{self}, run {number} of {all}    ");
            tokio::time::sleep(CALM).await;
            let owners = client.owners();
            let owner = owners[0].context("nobody answers")?;
            if api_away {
                guard.api_away(segment, true);
            }
            client.begin();
            witness.begin();
            self.case.play(options, segment, guard, owner).await?;
            if api_away {
                guard.api_away(segment, false);
            }
            guard
                .settle()
                .await
                .with_context(|| format!("after run {number}"))?;
            runs.push(Run::of(client.end().await, owners, witness.rivalries()));
        }
        eprintln!();
        Ok(runs)
    }

    /// The name of a folder.
    fn slug(&self) -> String {
        self.to_string().replace([' ', ','], "-")
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Herald { api_away: false } => "herald",
            Self::Herald { api_away: true } => "herald, API away",
            Self::Keepalived(setting) => setting.name,
        })
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.contestant, self.case)
    }
}
