//! The handle on the running protocol.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use herald_spi::{IfIndex, Links, NodeName, Pulse};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Config, ConfigError, Counters, Incarnation, Keys, Membership, NodeAddresses, OwnClaims, View,
    run, socket,
};

/// What an agent needs to hear its peers.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The times.
    pub config: Config,
    /// The name of this node.
    pub me: NodeName,
    /// Which life of the agent; see [`Incarnation::starting`].
    pub incarnation: Incarnation,
    /// The keys that all agents share.
    pub keys: Keys,
    /// The UDP port, 9471 unless told otherwise.
    pub port: u16,
    /// What [`herald_spi::Time::ZERO`] is in the whole agent.
    pub origin: Instant,
    /// Where the task tells other threads that it speaks.
    pub pulse: Arc<Pulse>,
}

/// Why an agent cannot hear its peers at all.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// The times do not work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Someone else has the port.
    #[error(
        "UDP port {port} is in use by another process; choose another one with --peer-port, the same on every node"
    )]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// No socket at all.
    #[error("cannot open a UDP socket")]
    Socket(#[source] io::Error),
}

/// A handle on the running protocol. Every call returns at once, and the newest wins: wishes are a state, not a
/// queue, so nothing can fill up. Dropping every handle does not end the task; its token does.
#[derive(Clone, Debug)]
pub struct Peers {
    wishes: Arc<watch::Sender<Wishes>>,
    view: watch::Receiver<Arc<View>>,
    problems: watch::Receiver<Arc<Problems>>,
    counters: Arc<Counters>,
}

/// Per interface that cannot be used: why, for people.
pub type Problems = BTreeMap<IfIndex, String>;

/// What the agent wants, whole.
#[derive(Clone, Debug)]
pub(super) struct Wishes {
    pub(super) links: Arc<Links>,
    pub(super) silent: Arc<BTreeSet<IfIndex>>,
    pub(super) nodes: Arc<NodeAddresses>,
    pub(super) claims: Arc<OwnClaims>,
    pub(super) settled: bool,
    pub(super) impaired: bool,
    pub(super) leaving: bool,
    pub(super) keys: Arc<Keys>,
}

impl PeersError {
    /// The one-word reason for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Config(error) => error.reason(),
            Self::PortInUse { .. } => "PeerPortInUse",
            Self::Socket(_) => "PeerSocketFailed",
        }
    }
}

impl Peers {
    /// Starts to listen and to speak on the current tokio runtime. The task ends soon after `stop` is cancelled,
    /// having said goodbye; if it ends before that, the agent is deaf and should end too.
    ///
    /// Whatever blocks the runtime's thread for longer than three quarters of the dead time counts as a pause of the
    /// agent, so keep long computations off it.
    ///
    /// # Errors
    /// The times do not work, or the port is taken.
    pub fn start(
        setup: Setup,
        stop: CancellationToken,
    ) -> Result<(Self, JoinHandle<()>), PeersError> {
        let Setup {
            config,
            me,
            incarnation,
            keys,
            port,
            origin,
            pulse,
        } = setup;
        let config = config.check()?;
        socket::try_port(port).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => PeersError::PortInUse { port },
            _ => PeersError::Socket(error),
        })?;
        let (view, seen) = watch::channel(Arc::new(View::empty(me.clone(), incarnation)));
        let (problems, seen_problems) = watch::channel(Arc::default());
        let core = Membership::new(config, me, incarnation, keys.clone(), rand::random());
        let wishes = Wishes {
            links: Arc::default(),
            silent: Arc::default(),
            nodes: Arc::default(),
            claims: Arc::default(),
            settled: false,
            impaired: false,
            leaving: false,
            keys: Arc::new(keys),
        };
        let (wish, wished) = watch::channel(wishes.clone());
        let peers = Self {
            wishes: Arc::new(wish),
            view: seen,
            problems: seen_problems,
            counters: Arc::clone(core.counters()),
        };
        let driver = run::Driver::new(core, origin, port, pulse, view, problems);
        Ok((peers, run::spawn(driver, wishes, wished, stop)))
    }

    /// The links on which to speak and listen: all that may announce. Sockets open where a link has an IPv4 address
    /// or an IPv6 link-local one. Peers are told of 16 subnets per link and of 16 hardware addresses.
    pub fn set_links(&self, links: impl Into<Arc<Links>>) {
        let links = links.into();
        self.wishes.send_modify(|wishes| wishes.links = links);
    }

    /// The links on which there is nobody to speak with, though they are up: no sockets there. Peers hear of their
    /// carrier all the same.
    pub fn set_silent(&self, silent: BTreeSet<IfIndex>) {
        self.wishes.send_if_modified(|wishes| {
            let changed = *wishes.silent != silent;
            if changed {
                wishes.silent = Arc::new(silent);
            }
            changed
        });
    }

    /// Where the nodes of the cluster are, this one among them: the second path opens on this node's address, and goes to
    /// the others'. Without this node there is none.
    pub fn set_nodes(&self, nodes: &Arc<NodeAddresses>) {
        self.wishes.send_if_modified(|wishes| {
            let changed = !Arc::ptr_eq(&wishes.nodes, nodes);
            wishes.nodes = Arc::clone(nodes);
            changed
        });
    }

    /// Everything that this agent claims, with epochs.
    pub fn set_claims(&self, claims: impl Into<Arc<OwnClaims>>) {
        let claims = claims.into();
        self.wishes.send_modify(|wishes| wishes.claims = claims);
    }

    /// Whether this agent has listened for long enough to claim what is its.
    pub fn set_settled(&self, settled: bool) {
        self.wishes.send_modify(|wishes| wishes.settled = settled);
    }

    /// Whether this node's kube-proxy is not healthy, so that others are preferred.
    pub fn set_impaired(&self, impaired: bool) {
        self.wishes.send_if_modified(|wishes| {
            std::mem::replace(&mut wishes.impaired, impaired) != impaired
        });
    }

    /// Replaces the keys; nothing is lost in between.
    pub fn set_keys(&self, keys: Keys) {
        self.wishes
            .send_modify(|wishes| wishes.keys = Arc::new(keys));
    }

    /// What tells the key that signs from others.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.wishes.borrow().keys.id()
    }

    /// Tells the peers that this agent hands over and will end. Claims stay until [`Self::set_claims`] drops them.
    pub fn leave(&self) {
        self.wishes.send_modify(|wishes| wishes.leaving = true);
    }

    /// The peers, now and after each change.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Interfaces that cannot be used. They are tried again every second and after each change of links.
    #[must_use]
    pub fn problems(&self) -> watch::Receiver<Arc<Problems>> {
        self.problems.clone()
    }

    /// Numbers for metrics.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}
