//! One turn after the other: wait, notice a pause, read frames, do what is due, carry out.

use std::{
    future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use herald_spi::{Desired, IfIndex, Links, Report, Time};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time,
};

use super::{Options, standstill::Standstill};
use crate::{
    counters::{self, Counters},
    error::Layer2Error,
    machine::{Input, Machine, Output},
    netlink, socket,
    socket::Sockets,
    sys,
};

/// How often the kernel is asked for lost frames.
const STATISTICS: Duration = Duration::from_secs(5);

/// All that runs on the thread.
pub(super) struct EventLoop<S> {
    machine: Machine,
    sockets: Sockets,
    wishes: watch::Receiver<Arc<Desired>>,
    links: mpsc::Receiver<Links>,
    watch: JoinHandle<()>,
    first_links: Option<Links>,
    counters: Arc<Counters>,
    statistics_at: Time,
    standstill: Standstill,
    sink: S,
    outputs: Vec<Output>,
}

/// Why a turn began.
enum Event {
    Desired(Arc<Desired>),
    Links(Links),
    /// Frames, or a deadline.
    Time,
    /// Nobody can wish any more.
    Stop,
    /// The netlink task ended, which only a defect can cause.
    Blind,
}

impl<S: FnMut(Report)> EventLoop<S> {
    /// Checks what is needed and reads the links.
    pub(super) async fn open(
        options: Options,
        wishes: watch::Receiver<Arc<Desired>>,
        counters: Arc<Counters>,
        sink: S,
    ) -> Result<Self, Layer2Error> {
        socket::probe()?;
        let (watch, first_links) = netlink::Watch::open(options.selection).await?;
        // The receiver is never far behind; when it is, the watch waits for it.
        let (sender, links) = mpsc::channel(16);
        let seed = options.seed.unwrap_or_else(|| {
            u64::try_from(sys::since_boot().as_nanos() % u128::from(u64::MAX)).unwrap_or_default()
        });
        Ok(Self {
            machine: Machine::new(seed),
            sockets: Sockets::default(),
            wishes,
            links,
            watch: tokio::spawn(watch.run(sender)),
            first_links: Some(first_links),
            counters,
            statistics_at: Time::ZERO,
            standstill: Standstill::new(options.pulse, now()),
            sink,
            outputs: Vec::new(),
        })
    }

    /// Runs until nobody can wish any more.
    pub(super) async fn run(mut self) -> Result<(), Layer2Error> {
        loop {
            let planned = self.deadline();
            let event = self.wait(planned).await;
            let woken = now();
            if let Some(stood_still) = self.standstill.look(woken) {
                self.woke(woken, stood_still);
            }
            match event {
                Event::Desired(desired) => self.feed(woken, Input::Desired(desired)),
                Event::Links(links) => {
                    self.sockets.set_links(woken, &links);
                    self.feed(woken, Input::Links(links));
                }
                Event::Time => {}
                Event::Stop => {
                    self.sockets.part(woken);
                    return Ok(());
                }
                Event::Blind => return Err(Layer2Error::Netlink("the watch ended".to_owned())),
            }
            self.turn(now());
        }
    }

    /// When the next turn is due at the latest.
    fn deadline(&self) -> Time {
        let planned = [self.machine.next_deadline(), self.sockets.next_deadline()];
        planned
            .into_iter()
            .flatten()
            .fold(self.statistics_at, Time::min)
    }

    async fn wait(&mut self, planned: Time) -> Event {
        if let Some(links) = self.first_links.take() {
            return Event::Links(links);
        }
        tokio::select! {
            biased;
            changed = self.wishes.changed() => match changed {
                Ok(()) => Event::Desired(Arc::clone(&self.wishes.borrow_and_update())),
                Err(_) => Event::Stop,
            },
            links = self.links.recv() => links.map_or(Event::Blind, Event::Links),
            () = future::poll_fn(|context| self.sockets.poll_readable(context)) => Event::Time,
            () = time::sleep(planned.since(now())) => Event::Time,
        }
    }

    /// Frames first: an answer that is there counts even if its deadline has passed.
    fn turn(&mut self, now: Time) {
        let mut frames = Vec::new();
        self.sockets.read(now, |interface, bytes| {
            frames.push((interface, bytes.to_vec()))
        });
        counters::add(
            &self.counters.frames,
            frames.len().try_into().unwrap_or_default(),
        );
        for (interface, bytes) in frames {
            self.feed(now, Input::Frame { interface, bytes });
        }
        self.sockets.retry(now);
        self.tell_troubles(now);
        self.feed(now, Input::Tick);
        self.counters.set(&self.machine.tally());
        if now >= self.statistics_at {
            self.statistics_at = now + STATISTICS;
            self.counters
                .overruns
                .store(self.sockets.overruns(), Ordering::Relaxed);
        }
    }

    /// What queued up during a pause is old, and what it asks for may belong to another node by now.
    fn woke(&mut self, now: Time, stood_still: Duration) {
        let stale = self.sockets.drain(now);
        tracing::warn!(
            stood_still_ms = u64::try_from(stood_still.as_millis()).unwrap_or(u64::MAX),
            stale,
            "was paused"
        );
        counters::add(&self.counters.pauses, 1);
        counters::add(&self.counters.stale, stale.try_into().unwrap_or_default());
        self.feed(now, Input::Woke);
    }

    fn feed(&mut self, now: Time, input: Input) {
        self.machine.handle(now, input, &mut self.outputs);
        for output in std::mem::take(&mut self.outputs) {
            self.carry_out(now, output);
        }
    }

    fn carry_out(&mut self, now: Time, output: Output) {
        match output {
            Output::Send { interface, bytes } => {
                if !self.sockets.send(now, interface, &bytes) {
                    counters::add(&self.counters.unsent, 1);
                }
            }
            Output::Join { interface, group } => self.sockets.join(now, interface, group),
            Output::Leave { interface, group } => self.sockets.leave(now, interface, group),
            Output::Filter {
                interface,
                addresses,
            } => {
                self.sockets.set_addresses(now, interface, addresses);
            }
            Output::Report(report) => (self.sink)(report),
        }
    }

    /// Links that broke while outputs were carried out, or that work again.
    fn tell_troubles(&mut self, now: Time) {
        let troubles: Vec<(IfIndex, Option<String>)> = self.sockets.troubles();
        for (interface, why) in troubles {
            self.feed(now, Input::Trouble { interface, why });
        }
    }
}

impl<S> Drop for EventLoop<S> {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

fn now() -> Time {
    Time::from_start(sys::since_boot())
}
