//! The client: probes by the thousand, neighbour entries that are dropped, and one long-lived connection per family.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use herald_layer2::prompt;
use rtnetlink::Handle;
use tokio::task::JoinHandle;

use crate::{
    connection::{Connection, Fate},
    segment::{PORT, Segment, VIPS},
};

const PACE: Duration = Duration::from_millis(1);
/// An answer that takes longer is lost.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often the neighbour entries are dropped.
pub const FORGET: Duration = Duration::from_millis(50);

/// ENOENT, as netlink says it.
const NO_ENTRY: i32 = -2;

/// What a family's client saw in one run.
#[derive(Clone, Debug)]
pub struct Seen {
    pub sent: usize,
    pub lost: usize,
    pub connection: Fate,
}

/// The running client; dropping it ends it.
pub struct Client {
    probes: [Arc<Mutex<Probes>>; 2],
    connections: [Connection; 2],
    stop: Arc<AtomicBool>,
    forgetting: [JoinHandle<()>; 2],
}

/// The probes of one family since the run began: when each was sent, and whether it was answered in time.
#[derive(Debug, Default)]
struct Probes {
    first: u64,
    sent: Vec<(Instant, bool)>,
    owner: Option<usize>,
}

impl Client {
    pub fn start(segment: &Segment) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let probes = [(); 2].map(|()| Arc::new(Mutex::new(Probes::default())));
        let mut sockets = Vec::new();
        for (vip, probes) in VIPS.into_iter().zip(&probes) {
            let to = SocketAddr::new(vip.parse()?, PORT);
            let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse()?;
            let socket = Arc::new(segment.client.run(move || UdpSocket::bind(any))?);
            socket.set_read_timeout(Some(Duration::from_millis(100)))?;
            let (receiver, probes, stop) =
                (Arc::clone(&socket), Arc::clone(probes), Arc::clone(&stop));
            prompt::spawn("receiving", move || receive(&receiver, &probes, &stop))?;
            sockets.push((socket, to));
        }
        let (sending, ended) = (probes.clone(), Arc::clone(&stop));
        prompt::spawn("sending", move || send(&sockets, &sending, &ended))?;
        let link = segment.client_link()?;
        let runtime = tokio::runtime::Handle::current();
        let (connection, handle, _) = segment.client.run(move || {
            let _within = runtime.enter();
            rtnetlink::new_connection()
        })?;
        let connected = tokio::spawn(connection);
        Ok(Self {
            probes,
            connections: [
                Connection::start(segment, VIPS[0])?,
                Connection::start(segment, VIPS[1])?,
            ],
            stop,
            forgetting: [connected, tokio::spawn(forget(handle, link))],
        })
    }

    /// Waits until both addresses are answered.
    pub async fn until_answered(&self, patience: Duration) -> anyhow::Result<()> {
        let answered = async {
            while self.owners().iter().any(Option::is_none) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(patience, answered).await;
        waited.with_context(|| format!("an address is not answered within {patience:?}"))
    }

    /// Who answered last, for each family.
    pub fn owners(&self) -> [Option<usize>; 2] {
        self.probes
            .each_ref()
            .map(|probes| probes.lock().unwrap().owner)
    }

    /// Begins to count.
    pub fn begin(&self) {
        for probes in &self.probes {
            let mut probes = probes.lock().unwrap();
            probes.first += probes.sent.len() as u64;
            probes.sent.clear();
        }
        self.connections.iter().for_each(Connection::begin);
    }

    /// What was seen since.
    pub async fn end(&self) -> [Seen; 2] {
        let until = Instant::now();
        tokio::time::sleep(PATIENCE * 2).await;
        [0, 1].map(|family| {
            let probes = self.probes[family].lock().unwrap();
            let counted = probes.sent.iter().filter(|(sent, _)| *sent < until);
            Seen {
                sent: counted.clone().count(),
                lost: counted.filter(|(_, answered)| !answered).count(),
                connection: self.connections[family].fate(),
            }
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.forgetting.iter().for_each(JoinHandle::abort);
    }
}

fn send(
    sockets: &[(Arc<UdpSocket>, SocketAddr)],
    probes: &[Arc<Mutex<Probes>>; 2],
    stop: &AtomicBool,
) {
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        for ((socket, to), probes) in sockets.iter().zip(probes) {
            let number = {
                let mut probes = probes.lock().unwrap();
                probes.sent.push((Instant::now(), false));
                probes.first + probes.sent.len() as u64 - 1
            };
            // A neighbour that does not answer is an error of the next datagram: this one is lost.
            drop(socket.send_to(&number.to_be_bytes(), to));
        }
        due += PACE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn receive(socket: &UdpSocket, probes: &Mutex<Probes>, stop: &AtomicBool) {
    let mut datagram = [0; 64];
    while !stop.load(Ordering::Relaxed) {
        let Ok(9) = socket.recv(&mut datagram) else {
            continue;
        };
        let now = Instant::now();
        let number = u64::from_be_bytes(datagram[1..9].try_into().unwrap());
        let mut probes = probes.lock().unwrap();
        probes.owner = Some(usize::from(datagram[0]));
        let Some(at) = number.checked_sub(probes.first) else {
            continue;
        };
        if let Some((sent, answered)) = usize::try_from(at)
            .ok()
            .and_then(|at| probes.sent.get_mut(at))
        {
            *answered = now.duration_since(*sent) <= PATIENCE;
        }
    }
}

/// Drops the entries again and again: what keeps an old answer proves nothing.
async fn forget(handle: Handle, link: u32) {
    let mut pace = tokio::time::interval(FORGET);
    loop {
        pace.tick().await;
        for vip in VIPS {
            let vip: IpAddr = vip.parse().expect("an address");
            let entry = handle.neighbours().add(link, vip).message_mut().clone();
            match handle.neighbours().del(entry).execute().await {
                Ok(()) => {}
                Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == NO_ENTRY => {}
                Err(error) => panic!("the client's neighbour entries cannot be dropped: {error}"),
            }
        }
    }
}
