//! Work that cannot wait, each on a thread of its own with a runtime of its own: heartbeats and decisions. Nothing that
//! is decoded, written or served meanwhile can delay it, and on a busy node the scheduler prefers it
//! ([`herald_layer2::prompt`]).

use std::io;

use herald_layer2::prompt;
use tokio::{runtime, sync::oneshot};
use tracing::info;

/// Runs what `start` returns until it ends. The receiver is told what it returned; nothing if the thread panicked.
pub(super) fn run<W: Future>(
    name: &str,
    start: impl FnOnce() -> W + Send + 'static,
) -> io::Result<oneshot::Receiver<W::Output>>
where
    W::Output: Send + 'static,
{
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (ended, end) = oneshot::channel();
    let _detached = prompt::spawn(name, move || {
        // Who does not wait for the end does not want it.
        let _unheard = ended.send(runtime.block_on(async { start().await }));
    })?;
    Ok(end)
}

/// Says it if the node does not let the agent's threads run first.
pub(super) fn tell() {
    if !prompt::is_allowed() {
        info!(
            "no real-time scheduling: give the agent CAP_SYS_NICE, or on a busy node its heartbeats and answers may be late"
        );
    }
}
