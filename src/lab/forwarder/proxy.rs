//! One listening address and the backends behind it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    task::JoinSet,
    time,
};
use tracing::{debug, warn};

use super::rules::{Front, Protocol};

/// A backend that is slower to take a connection is passed over.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A datagram's sender that is silent for longer is forgotten, as by conntrack.
const UDP_IDLE: Duration = Duration::from_secs(30);
/// More senders of datagrams than this are not remembered; the rest get no answer.
const MOST_SENDERS: usize = 1024;
const BACKLOG: i32 = 128;
const PAUSE: Duration = Duration::from_millis(100);

type Backends = Arc<[SocketAddr]>;

/// Listens until dropped. Connections that were accepted go on only as long as it does.
#[derive(Debug)]
pub(super) struct Proxy {
    backends: watch::Sender<Backends>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts to listen.
    pub(super) fn start(front: &Front, backends: &[SocketAddr]) -> anyhow::Result<Self> {
        let (sender, receiver) = watch::channel(Backends::from(backends));
        let cannot = || format!("cannot listen on {}", front.at);
        let mut tasks = JoinSet::new();
        match front.protocol {
            Protocol::Tcp => {
                let socket = bound(front.at, Type::STREAM).with_context(cannot)?;
                socket.listen(BACKLOG).with_context(cannot)?;
                let listener = TcpListener::from_std(socket.into()).with_context(cannot)?;
                tasks.spawn(carry_connections(listener, receiver));
            }
            Protocol::Udp => {
                let socket = bound(front.at, Type::DGRAM).with_context(cannot)?;
                let socket = UdpSocket::from_std(socket.into()).with_context(cannot)?;
                tasks.spawn(carry_datagrams(Arc::new(socket), receiver));
            }
        }
        Ok(Self {
            backends: sender,
            _tasks: tasks,
        })
    }

    /// Where new connections go from now on.
    pub(super) fn set_backends(&self, backends: &[SocketAddr]) {
        self.backends.send_if_modified(|current| {
            let differ = **current != *backends;
            if differ {
                *current = backends.into();
            }
            differ
        });
    }
}

/// A socket on an address that is on no NIC.
fn bound(at: SocketAddr, kind: Type) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), kind.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    match at {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    socket.bind(&at.into())?;
    Ok(socket)
}

async fn carry_connections(listener: TcpListener, backends: watch::Receiver<Backends>) {
    let mut carried = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((mut near, from)) => {
                let backends = Arc::clone(&backends.borrow());
                carried.spawn(async move {
                    match connect(&backends).await {
                        Some(mut far) => drop(copy_bidirectional(&mut near, &mut far).await),
                        None => warn!(%from, ?backends, "no backend took the connection"),
                    }
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                time::sleep(PAUSE).await;
            }
        }
        while carried.try_join_next().is_some() {}
    }
}

/// A connection to a backend by chance, or to the next one where that fails.
async fn connect(backends: &[SocketAddr]) -> Option<TcpStream> {
    let mut order = backends.to_vec();
    order.shuffle(&mut rand::rng());
    for backend in order {
        match time::timeout(CONNECT_TIMEOUT, TcpStream::connect(backend)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => debug!(%backend, %error, "passed over"),
            Err(_) => debug!(%backend, "passed over: too slow"),
        }
    }
    None
}

/// Each sender has a socket of its own towards its backend, as each has an entry in conntrack.
async fn carry_datagrams(socket: Arc<UdpSocket>, backends: watch::Receiver<Backends>) {
    let mut senders: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut answers = JoinSet::new();
    let mut datagram = vec![0; 1 << 16];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                let Ok((length, from)) = received else { continue };
                let Some(payload) = datagram.get(..length) else { continue };
                if !senders.contains_key(&from) && senders.len() < MOST_SENDERS {
                    let backends = Arc::clone(&backends.borrow());
                    let Some(far) = towards_one_of(&backends).await else { continue };
                    senders.insert(from, Arc::clone(&far));
                    answers.spawn(answer(Arc::clone(&socket), far, from));
                }
                if let Some(far) = senders.get(&from) {
                    // What the backend refuses is lost, as datagrams are.
                    drop(far.send(payload).await);
                }
            }
            Some(done) = answers.join_next() => {
                if let Ok(from) = done {
                    senders.remove(&from);
                }
            }
        }
    }
}

async fn towards_one_of(backends: &[SocketAddr]) -> Option<Arc<UdpSocket>> {
    let backend = backends.choose(&mut rand::rng())?;
    let any: IpAddr = match backend {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let far = UdpSocket::bind(SocketAddr::new(any, 0)).await.ok()?;
    far.connect(backend).await.ok()?;
    Some(Arc::new(far))
}

/// Carries answers back until there are none for a while; gives the sender.
async fn answer(near: Arc<UdpSocket>, far: Arc<UdpSocket>, to: SocketAddr) -> SocketAddr {
    let mut datagram = vec![0; 1 << 16];
    while let Ok(Ok(length)) = time::timeout(UDP_IDLE, far.recv(&mut datagram)).await {
        if let Some(payload) = datagram.get(..length) {
            drop(near.send_to(payload, to).await);
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A port at `::1` that nothing listens on.
    fn free(kind: Type) -> SocketAddr {
        let socket = bound((Ipv6Addr::LOCALHOST, 0).into(), kind).unwrap();
        socket.local_addr().unwrap().as_socket().unwrap()
    }

    async fn within<T>(work: impl Future<Output = T>) -> T {
        time::timeout(Duration::from_secs(5), work).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_datagram_is_carried_and_its_answer_comes_from_the_front() {
        let backend = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
        let front = Front {
            at: free(Type::DGRAM),
            protocol: Protocol::Udp,
        };
        let _proxy = Proxy::start(&front, &[backend.local_addr().unwrap()]).unwrap();
        let client = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
        for word in ["one", "two"] {
            let mut buffer = [0; 16];
            client.send_to(word.as_bytes(), front.at).await.unwrap();
            let (length, from) = within(backend.recv_from(&mut buffer)).await.unwrap();
            assert_eq!(&buffer[..length], word.as_bytes());
            backend.send_to(b"answer", from).await.unwrap();
            let (length, from) = within(client.recv_from(&mut buffer)).await.unwrap();
            assert_eq!((&buffer[..length], from), (&b"answer"[..], front.at));
        }
    }

    #[tokio::test]
    async fn a_dead_backend_is_passed_over_and_new_ones_serve_new_connections() {
        let (old, new) = (
            free(Type::STREAM),
            TcpListener::bind("[::1]:0").await.unwrap(),
        );
        let front = Front {
            at: free(Type::STREAM),
            protocol: Protocol::Tcp,
        };
        let proxy = Proxy::start(&front, &[old]).unwrap();
        let mut refused = TcpStream::connect(front.at).await.unwrap();
        assert_eq!(within(refused.read(&mut [0; 1])).await.unwrap_or(0), 0);
        proxy.set_backends(&[old, new.local_addr().unwrap()]);
        let mut near = TcpStream::connect(front.at).await.unwrap();
        let (mut far, _) = within(new.accept()).await.unwrap();
        near.write_all(b"?").await.unwrap();
        far.write_all(b"!").await.unwrap();
        assert_eq!(within(near.read_u8()).await.unwrap(), b'!');
        assert_eq!(within(far.read_u8()).await.unwrap(), b'?');
    }
}
