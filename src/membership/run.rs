//! Runs the protocol: one task that owns the core, the sockets and the clock.
//!
//! ```text
//!   Peers ──wishes (watch)──▶ ┌────────┐ ──view, problems (watch)──▶ the agent
//!   sockets ──datagrams─────▶ │ Driver │ ──datagrams──▶ sockets
//!   timer ──tick────────────▶ └────────┘ ──notices──▶ the log
//! ```
//!
//! Nothing between the agent and the task queues: wishes and views are states, of which the newest replaces the last.
//! What the task cannot read in time waits in the sockets' buffers, and the kernel drops what does not fit there; what
//! a socket does not take for sending is dropped and counted. Both are like a loss on the wire, which the protocol
//! bears.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use herald_spi::{IfIndex, Links, Pulse, Time};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Input, Keys, Membership, NodeAddresses, Notice, Output, Problems, View, Weight,
    node_socket::NodeSocket, peers::Wishes, socket::Port,
};

/// Longer than any datagram of an agent; what is cut off here fails the signature.
const LONGEST: usize = 2_048;
/// After so many datagrams in a row the clock is looked at.
const IN_A_ROW: usize = 64;
/// How often an interface that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// And the second path: nobody waits for it.
const RETRY_NODE: Duration = Duration::from_secs(10);

/// The task's state.
pub(super) struct Driver {
    core: Membership,
    origin: Instant,
    port: u16,
    pulse: Arc<Pulse>,
    links: Arc<Links>,
    silent: Arc<BTreeSet<IfIndex>>,
    ports: BTreeMap<IfIndex, Port>,
    nodes: Arc<NodeAddresses>,
    node_socket: Option<NodeSocket>,
    /// The log knows that there is no second path.
    node_socket_failing: bool,
    /// The interface whose sockets are read first next time, so that a busy one does not starve the others.
    turn: usize,
    retry: Option<Instant>,
    view: watch::Sender<Arc<View>>,
    problems: watch::Sender<Arc<Problems>>,
    buffer: Box<[u8; LONGEST]>,
    outputs: Vec<Output>,
}

/// Starts the task. It ends when `stop` is cancelled, and not before.
pub(super) fn spawn(
    driver: Driver,
    granted: Wishes,
    wished: watch::Receiver<Wishes>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(driver.run(granted, wished, stop))
}

impl Driver {
    /// A task's state before any link is known.
    pub(super) fn new(
        core: Membership,
        origin: Instant,
        port: u16,
        pulse: Arc<Pulse>,
        view: watch::Sender<Arc<View>>,
        problems: watch::Sender<Arc<Problems>>,
    ) -> Self {
        Self {
            core,
            origin,
            port,
            pulse,
            links: Arc::default(),
            silent: Arc::default(),
            ports: BTreeMap::new(),
            nodes: Arc::default(),
            node_socket: None,
            node_socket_failing: false,
            turn: 0,
            retry: None,
            view,
            problems,
            buffer: Box::new([0; LONGEST]),
            outputs: Vec::new(),
        }
    }

    async fn run(
        mut self,
        mut granted: Wishes,
        mut wished: watch::Receiver<Wishes>,
        stop: CancellationToken,
    ) {
        let mut handles_left = true;
        self.feed(Input::Tick);
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                changed = wished.changed(), if handles_left => {
                    handles_left = changed.is_ok();
                    let wishes = wished.borrow_and_update().clone();
                    self.grant(&mut granted, wishes);
                }
                received = self.receive() => self.take(received),
                () = tokio::time::sleep_until(due) => {}
            }
            self.take_waiting();
            let now = Instant::now();
            if self.retry.is_some_and(|at| at <= now) {
                self.open_ports();
            }
            if self.due() <= now {
                self.feed(Input::Tick);
            }
            self.pulse.beat();
        }
        self.feed(Input::Goodbye);
    }

    fn now(&self) -> Time {
        Time::from_start(Instant::now().saturating_duration_since(self.origin))
    }

    fn due(&self) -> Instant {
        let core = self.core.next_deadline().unwrap_or_default();
        let core = self.origin + core.since_start();
        self.retry.map_or(core, |retry| retry.min(core))
    }

    /// Hands over what differs from the last wishes.
    fn grant(&mut self, granted: &mut Wishes, wishes: Wishes) {
        if !Arc::ptr_eq(&granted.keys, &wishes.keys) {
            self.feed(Input::Keys(Keys::clone(&wishes.keys)));
        }
        let (links, silent) = (&wishes.links, &wishes.silent);
        if !Arc::ptr_eq(&granted.links, links) || !Arc::ptr_eq(&granted.silent, silent) {
            self.links = Arc::clone(links);
            self.silent = Arc::clone(silent);
            self.open_ports();
        }
        if !Arc::ptr_eq(&granted.nodes, &wishes.nodes) {
            self.nodes = Arc::clone(&wishes.nodes);
            self.open_node_socket();
            self.feed(Input::Nodes(Arc::clone(&wishes.nodes)));
        }
        if !Arc::ptr_eq(&granted.claims, &wishes.claims) {
            self.feed(Input::Claims(Arc::clone(&wishes.claims)));
        }
        if granted.settled != wishes.settled {
            self.feed(Input::Settled(wishes.settled));
        }
        if granted.impaired != wishes.impaired {
            self.feed(Input::Impaired(wishes.impaired));
        }
        if wishes.leaving && !granted.leaving {
            self.feed(Input::Leave);
        }
        *granted = wishes;
    }

    /// Opens and closes sockets as the links ask for, and tells the core where it can listen.
    fn open_ports(&mut self) {
        let (links, silent) = (Arc::clone(&self.links), Arc::clone(&self.silent));
        let speaks =
            |interface: &IfIndex| links.contains_key(interface) && !silent.contains(interface);
        self.ports.retain(|interface, _| speaks(interface));
        let mut problems = Problems::new();
        for (interface, link) in links.iter().filter(|(interface, _)| speaks(interface)) {
            let port = self.ports.entry(*interface).or_default();
            if let Err(why) = port.adjust(link, self.port) {
                problems.insert(*interface, why);
            }
        }
        self.retry = (!problems.is_empty()).then(|| Instant::now() + RETRY);
        self.open_node_socket();
        self.problems.send_if_modified(|known| {
            if **known == problems {
                return false;
            }
            for why in problems
                .values()
                .filter(|why| !known.values().any(|k| k == *why))
            {
                tracing::error!("{why}");
            }
            *known = Arc::new(problems);
            true
        });
        let open = self.ports.iter().filter(|(_, port)| port.is_open());
        let open = open.map(|(interface, _)| *interface).collect();
        self.feed(Input::Links { links, open });
    }

    /// Opens the second path where the cluster says that this node is.
    fn open_node_socket(&mut self) {
        let wanted = self.nodes.get(self.core.me()).copied();
        let open = self.node_socket.as_ref().map(NodeSocket::address);
        if open == wanted {
            return;
        }
        self.node_socket = None;
        let Some(address) = wanted else { return };
        match NodeSocket::open(address, self.port) {
            Ok(socket) => {
                self.node_socket = Some(socket);
                self.node_socket_failing = false;
            }
            Err(error) => {
                let again = Instant::now() + RETRY_NODE;
                self.retry = Some(self.retry.map_or(again, |at| at.min(again)));
                if !std::mem::replace(&mut self.node_socket_failing, true) {
                    tracing::warn!(%address, port = self.port, %error,
                        "no second path between the nodes: cannot listen on this node's InternalIP");
                }
            }
        }
    }

    /// Waits for a datagram on any socket. No interface is the second path.
    async fn receive(&mut self) -> (Option<IfIndex>, usize, SocketAddr) {
        std::future::poll_fn(|cx| self.poll_receive(cx)).await
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<(Option<IfIndex>, usize, SocketAddr)> {
        // The second path has the last turn.
        let turns = self.ports.len() + 1;
        self.turn = self.turn.wrapping_add(1).checked_rem(turns).unwrap_or(0);
        let routed = |socket: &Option<NodeSocket>, cx: &mut Context<'_>, buffer: &mut [u8]| {
            let socket = socket.as_ref()?;
            match socket.poll_receive(cx, buffer) {
                Poll::Ready((length, source)) => Some((None, length, source)),
                Poll::Pending => None,
            }
        };
        if self.turn == self.ports.len()
            && let Some(received) = routed(&self.node_socket, cx, &mut *self.buffer)
        {
            return Poll::Ready(received);
        }
        let (before, after) = (
            self.ports.iter().take(self.turn),
            self.ports.iter().skip(self.turn),
        );
        for (interface, port) in after.chain(before) {
            if let Poll::Ready((length, source)) = port.poll_receive(cx, &mut *self.buffer) {
                return Poll::Ready((Some(*interface), length, source));
            }
        }
        match routed(&self.node_socket, cx, &mut *self.buffer) {
            Some(received) => Poll::Ready(received),
            None => Poll::Pending,
        }
    }

    /// Takes what already arrived, before anybody is declared dead.
    fn take_waiting(&mut self) {
        for _ in 0..IN_A_ROW {
            let waiting = {
                let mut cx = Context::from_waker(std::task::Waker::noop());
                pin!(self.receive()).as_mut().poll(&mut cx)
            };
            match waiting {
                Poll::Ready(received) => self.take(received),
                Poll::Pending => return,
            }
        }
    }

    fn take(&mut self, (interface, length, source): (Option<IfIndex>, usize, SocketAddr)) {
        let bytes = self.buffer.iter().take(length).copied().collect();
        self.feed(match interface {
            Some(interface) => Input::Datagram {
                interface,
                source,
                bytes,
            },
            None => Input::Routed { source, bytes },
        });
    }

    /// One step of the core, and everything that it wants done.
    fn feed(&mut self, input: Input) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.core.handle(self.now(), input, &mut outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Send { interface, bytes } => self.send(interface, &bytes),
                Output::SendRouted { to, bytes } => self.send_routed(&to, &bytes),
                Output::View(view) => {
                    self.view.send_replace(view);
                }
                Output::Notice(notice) => self.log(&notice),
            }
        }
        self.outputs = outputs;
    }

    fn send(&mut self, interface: IfIndex, bytes: &[u8]) {
        let Some(port) = self.ports.get_mut(&interface) else {
            return;
        };
        let counters = self.core.counters();
        for sent in port.send(interface, bytes) {
            if sent {
                &counters.sent
            } else {
                &counters.send_failures
            }
            .add_one();
        }
    }

    fn send_routed(&self, to: &[IpAddr], bytes: &[u8]) {
        let counters = self.core.counters();
        for to in to {
            let sent = self
                .node_socket
                .as_ref()
                .map(|socket| socket.send(*to, bytes));
            if sent == Some(true) {
                counters.routed_sent.add_one();
            } else {
                counters.routed_failures.add_one();
            }
        }
    }

    fn log(&self, notice: &Notice) {
        let link = notice
            .interface()
            .and_then(|interface| self.links.get(&interface));
        let interface = link.map(|link| link.name.as_str());
        match notice.weight() {
            Weight::Info => tracing::info!(interface, "{notice}"),
            Weight::Warning => tracing::warn!(interface, "{notice}"),
        }
    }
}
