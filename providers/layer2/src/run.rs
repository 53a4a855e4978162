//! The thread that runs the machine: one OS thread with a runtime of its own, so that nothing the agent does can
//! delay an answer.
//!
//! ```text
//!   Layer2 ──watch: Desired, latest wins──▶ ┌────────────────────────────┐ ──▶ sink(Report)
//!      ▲                                    │ thread: Loop               │
//!      │ ended()                            │   machine, sockets, clock  │ ◀── task: netlink::Watch
//!      └─────────── watch: Ending ───────── └────────────────────────────┘
//! ```

mod event_loop;
mod standstill;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, mpsc as blocking},
    thread::{self, JoinHandle},
};

use herald_spi::{Announcer, Desired, Pulse, Report};
use tokio::{runtime, sync::watch};

use crate::{counters::Counters, error::Layer2Error, prompt, select::Selection};
use event_loop::EventLoop;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which links may announce.
    pub selection: Selection,
    /// Decides about all jitter; from the clock if left out.
    pub seed: Option<u64>,
    /// Where the thread of the heartbeats tells that this node speaks, and how long it may be silent.
    pub pulse: Arc<Pulse>,
}

/// Why the thread is no more.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It was asked to.
    Stopped,
    /// It could not go on.
    Failed(Arc<Layer2Error>),
    /// It panicked; a defect.
    Panicked,
}

/// Announces addresses on the links of this node. Dropping it stops answering at once.
pub struct Layer2 {
    desired: Option<watch::Sender<Arc<Desired>>>,
    ending: watch::Receiver<Option<Ending>>,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Layer2 {
    /// Starts the thread, in the network namespace of the caller's, and waits until the links are known. The
    /// first report is [`Report::Links`]. `sink` is called on that thread and must not block: it should
    /// hand the report on through a channel.
    ///
    /// # Errors
    /// When packet sockets are forbidden ([`Layer2Error::NeedsNetRaw`]), when the links cannot be read, or when
    /// there can be no thread.
    pub fn start(
        options: Options,
        sink: impl FnMut(Report) + Send + 'static,
    ) -> Result<Self, Layer2Error> {
        let (desired, wishes) = watch::channel(Arc::default());
        let (ended, ending) = watch::channel(None);
        let (started, start) = blocking::sync_channel(1);
        let counters = Arc::new(Counters::default());
        let shared = Arc::clone(&counters);
        let body = move || {
            let ended = Obituary(ended);
            let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(Layer2Error::Thread(error)))),
            };
            let result = runtime.block_on(async {
                match EventLoop::open(options, wishes, shared, sink).await {
                    Ok(event_loop) => {
                        drop(started.send(Ok(())));
                        event_loop.run().await
                    }
                    Err(error) => {
                        drop(started.send(Err(error)));
                        Ok(())
                    }
                }
            });
            ended.write(match result {
                Ok(()) => Ending::Stopped,
                Err(error) => Ending::Failed(Arc::new(error)),
            });
        };
        let thread = prompt::spawn("layer2", body).map_err(Layer2Error::Thread)?;
        let layer2 = Self {
            desired: Some(desired),
            ending,
            counters,
            thread: Mutex::new(Some(thread)),
        };
        match start.recv() {
            Ok(Ok(())) => Ok(layer2),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Layer2Error::Netlink("the thread panicked".to_owned())),
        }
    }

    /// Ends when the thread does, whatever the reason. The agent then ends too: without its thread it would hold
    /// addresses that nobody answers for. Any number of tasks may wait, of any runtime.
    pub fn ended(&self) -> impl Future<Output = Ending> + Send + 'static {
        let mut ending = self.ending.clone();
        async move {
            let ending = ending.wait_for(Option::is_some).await;
            ending.map_or(Ending::Panicked, |ending| {
                ending.clone().unwrap_or(Ending::Panicked)
            })
        }
    }

    /// Counters for metrics.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Lets everything go, and returns when the thread has ended. The same as dropping it.
    pub fn stop(self) {
        drop(self);
    }
}

impl Announcer for Layer2 {
    fn name(&self) -> &'static str {
        "layer2"
    }

    fn set_desired(&self, desired: Arc<Desired>) {
        if let Some(sender) = &self.desired {
            sender.send_replace(desired);
        }
    }
}

impl Drop for Layer2 {
    fn drop(&mut self) {
        // The loop ends when nobody can wish any more.
        self.desired = None;
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread.filter(|it| it.thread().id() != thread::current().id()) {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Layer2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer2")
            .field("ending", &*self.ending.borrow())
            .finish_non_exhaustive()
    }
}

/// Tells how the thread ended, even if it panics.
struct Obituary(watch::Sender<Option<Ending>>);

impl Obituary {
    fn write(self, ending: Ending) {
        self.0.send_replace(Some(ending));
    }
}

impl Drop for Obituary {
    fn drop(&mut self) {
        self.0.send_if_modified(|ending| {
            let unknown = ending.is_none();
            if unknown {
                *ending = Some(Ending::Panicked);
            }
            unknown
        });
    }
}
