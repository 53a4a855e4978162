//! What the lab's processes say to each other: one JSON value a line, over a unix socket in the lab's directory,
//! which reaches into every network namespace.
//!
//! ```text
//!   role ──Greeting──▶ lab      once, when its namespaces are ready, or why they are not
//!   lab ──order──▶ role         one at a time
//!   role ──answer──▶ lab        or why the order failed
//! ```
//! The end of the stream ends the role.

use std::{io, net::IpAddr, path::Path, time::Duration};

use anyhow::{Context as _, anyhow};
use herald_spi::Mac;
use ipnet::IpNet;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time,
};

/// Who a role is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Greeting {
    pub(super) name: String,
    pub(super) pid: u32,
    /// Why the role cannot play, for people.
    pub(super) trouble: Option<String>,
}

/// What the switch is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SwitchOrder {
    /// Make the bridge, and start the hosts.
    Start,
    /// Connect the network namespace of a process with a cable.
    Plug {
        /// The name of the switch's port.
        port: String,
        pid: u32,
        /// The hardware address of the other end, `eth0`.
        mac: Mac,
    },
}

/// What a node is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum NodeOrder {
    /// Take these addresses on `eth0`, start the backend, the way to the API server and the data path.
    Join {
        addresses: Vec<IpNet>,
        api_port: u16,
        data_path: DataPathKind,
    },
    /// Start the agent; answers its process id.
    StartAgent,
    /// Kill the agent with SIGKILL, and leave it dead.
    KillAgent,
    /// The agent's process id, if it runs.
    Agent,
    /// Stop everything that was started.
    Leave,
}

/// What carries traffic from node to backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum DataPathKind {
    /// The lab's own forwarder.
    Forwarder,
    /// A real kube-proxy in nftables mode, with the directory of its binary.
    KubeProxy(std::path::PathBuf),
}

/// What the client is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ClientOrder {
    /// Take these addresses on `eth0`.
    Join { addresses: Vec<IpNet> },
    /// Make HTTP requests, a new connection each; answers [`Attempt`]s.
    Fetch {
        address: IpAddr,
        port: u16,
        times: u32,
    },
    /// What the neighbour table says; answers a [`Mac`] if there is one.
    Neighbour(IpAddr),
    /// Make requests, forgetting the neighbour before each, until one is answered; answers the [`Attempt`]s.
    Recover {
        address: IpAddr,
        port: u16,
        give_up: Duration,
    },
    /// Ask the wire several times; answers all [`Mac`]s that claimed the address.
    WhoAnswers { address: IpAddr, port: u16 },
}

/// One HTTP request of the client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) took: Duration,
    /// The body of the answer, or why there was none.
    pub(super) outcome: Result<String, String>,
}

/// One end of a connection between the lab and a role.
#[derive(Debug)]
pub(super) struct Line {
    reader: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Line {
    /// Takes an accepted connection.
    pub(super) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader).lines(),
            writer,
        }
    }

    /// A role calls the lab.
    pub(super) async fn call(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket)
            .await
            .with_context(|| format!("cannot reach the lab at {}", socket.display()))?;
        Ok(Self::new(stream))
    }

    /// Sends one value.
    pub(super) async fn send<T: Serialize>(&mut self, value: &T) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(value)?;
        text.push(b'\n');
        self.writer
            .write_all(&text)
            .await
            .context("the other end is gone")
    }

    /// The next value; none when the other end is gone.
    pub(super) async fn receive<T: DeserializeOwned>(&mut self) -> anyhow::Result<Option<T>> {
        let line = match self.reader.next_line().await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            line => line?,
        };
        line.map(|line| serde_json::from_str(&line).context("not understood"))
            .transpose()
    }

    /// Gives an order and waits for the answer.
    pub(super) async fn ask<A: DeserializeOwned>(
        &mut self,
        order: &impl Serialize,
        patience: Duration,
    ) -> anyhow::Result<A> {
        let answer = async {
            self.send(order).await?;
            self.receive::<Result<A, String>>().await
        };
        match time::timeout(patience, answer).await {
            Ok(Ok(Some(answer))) => answer.map_err(|why| anyhow!(why)),
            Ok(Ok(None)) => Err(anyhow!("its process is gone")),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(anyhow!("no answer within {patience:?}")),
        }
    }

    /// Answers an order.
    pub(super) async fn answer<A: Serialize>(
        &mut self,
        answer: anyhow::Result<A>,
    ) -> anyhow::Result<()> {
        self.send(&answer.map_err(|error| format!("{error:#}")))
            .await
    }
}
