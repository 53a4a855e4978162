//! `--watch`: an answer that is given again whenever it changes, until Ctrl-C.
//!
//! ```text
//!   pump (src/cluster/watch.rs) ──Change──▶ Picture ──Answer──▶ printed, if it is not what was printed last
//! ```

use std::{process::ExitCode, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
    time,
};
use tracing_subscriber::{
    fmt::{self, format::debug_fn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::output::{self, Answer, Format};
use crate::telemetry;

/// How long changes are gathered before they are shown: what belongs together mostly comes within this time.
const GATHER: Duration = Duration::from_millis(150);
/// Changes on the way; a full channel slows the watches down and loses nothing.
const BACKLOG: usize = 1024;

/// What is watched, and the answer to be made of it.
pub(super) trait Picture {
    /// What a watch says.
    type Input: Send + 'static;
    /// What is shown.
    type Answer: Answer + PartialEq;

    /// Takes in what a watch says.
    fn take(&mut self, input: Self::Input);

    /// The answer, once every list has been read.
    fn answer(&self) -> Option<Self::Answer>;
}

/// Shows the picture until somebody stops it. `start` begins the watches, each of which sends what it hears.
pub(super) async fn follow<P: Picture>(
    mut picture: P,
    format: Format,
    start: impl FnOnce(&mut JoinSet<()>, mpsc::Sender<P::Input>),
) -> anyhow::Result<ExitCode> {
    tell_of_interruptions();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, mut inbox) = mpsc::channel(BACKLOG);
    let mut watches = JoinSet::new();
    start(&mut watches, sender);
    let mut shown: Option<P::Answer> = None;
    let mut due = None;
    loop {
        let show = async {
            match due {
                Some(due) => time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
            input = inbox.recv() => match input {
                Some(input) => {
                    picture.take(input);
                    due.get_or_insert_with(|| time::Instant::now() + GATHER);
                }
                None => anyhow::bail!("the watches ended, which no API server can cause: please report this"),
            },
            () = show => {
                due = None;
                let Some(answer) = picture.answer().filter(|answer| shown.as_ref() != Some(answer)) else {
                    continue;
                };
                let first = shown.is_none();
                if !output::write(&output::shown_again(&answer, format, first)?)? {
                    return Ok(ExitCode::SUCCESS);
                }
                shown = Some(answer);
            }
        }
    }
}

/// Lets what the watches say of an API server that goes away and comes back appear on standard error, as lines for
/// people.
fn tell_of_interruptions() {
    let message_alone = debug_fn(|out, field, value| match field.name() {
        "message" => write!(out, "herald: {value:?}"),
        _ => Ok(()),
    });
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false)
        .fmt_fields(message_alone);
    let started = tracing_subscriber::registry()
        .with(telemetry::logged("off,herald::cluster=info"))
        .with(lines)
        .try_init();
    // Only a test has started it before.
    drop(started);
}
