//! One port for plain and for encrypted connections: the first byte tells which it is.
//!
//! Probes and loopback speak plainly. Whoever shows a token from elsewhere does so in TLS, with a certificate that this
//! process has made for itself: nobody on the way can read the token.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OnceCell,
    task::{AbortHandle, JoinSet},
    time,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

/// How long somebody may take to say what he wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many may be about to say it at the same time. Then the one who has been silent for longest must go: whoever opens
/// connections and says nothing must not keep the kubelet out.
const UNDECIDED: usize = 64;
/// After an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(500);
/// What a TLS connection begins with (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// His address; of a socket for both families IPv4 as such.
    pub peer: SocketAddr,
    /// Whether nobody else can read along.
    pub encrypted: bool,
}

type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The listening port.
pub(super) struct Doors {
    listener: TcpListener,
    /// Made when somebody wants it: most processes are never asked.
    acceptor: Arc<OnceCell<TlsAcceptor>>,
    arriving: JoinSet<Option<(Stream, Caller)>>,
    /// The same, in the order in which they came.
    undecided: VecDeque<AbortHandle>,
}

impl Doors {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            acceptor: Arc::default(),
            arriving: JoinSet::new(),
            undecided: VecDeque::new(),
        }
    }

    /// Lets somebody say what he wants, beside others.
    fn receive(&mut self, stream: TcpStream, peer: SocketAddr) {
        let acceptor = Arc::clone(&self.acceptor);
        let handle = self.arriving.spawn(async move {
            let arrived = time::timeout(PATIENCE, enter(stream, peer, acceptor)).await;
            arrived.ok()?.ok()
        });
        self.undecided.retain(|one| !one.is_finished());
        if self.undecided.len() >= UNDECIDED
            && let Some(silent) = self.undecided.pop_front()
        {
            silent.abort();
        }
        self.undecided.push_back(handle);
    }
}

impl Listener for Doors {
    type Io = Stream;
    type Addr = Caller;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(arrived) = self.arriving.join_next() => {
                    if let Ok(Some(arrived)) = arrived {
                        return arrived;
                    }
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.receive(stream, peer),
                    Err(_) => time::sleep(PAUSE).await,
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        let peer = self.listener.local_addr()?;
        let encrypted = false;
        Ok(Caller { peer, encrypted })
    }
}

impl Connected<IncomingStream<'_, Doors>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        *stream.remote_addr()
    }
}

async fn enter(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Arc<OnceCell<TlsAcceptor>>,
) -> io::Result<(Stream, Caller)> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    let encrypted = first == [HANDSHAKE];
    let stream = if encrypted {
        let acceptor = acceptor.get_or_try_init(async || own_certificate()).await?;
        Either::Right(Box::new(acceptor.accept(stream).await?))
    } else {
        Either::Left(stream)
    };
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    Ok((stream, Caller { peer, encrypted }))
}

/// A certificate that nobody vouches for: it keeps others from reading along, and proves nothing.
fn own_certificate() -> io::Result<TlsAcceptor> {
    let names = ["herald".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let chain = vec![made.cert.der().clone()];
            let builder = builder.with_no_client_auth();
            builder.with_single_cert(chain, PrivateKeyDer::from(key))
        });
    Ok(TlsAcceptor::from(Arc::new(
        config.map_err(io::Error::other)?,
    )))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn doors() -> (Doors, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Doors::new(listener), address)
    }

    #[tokio::test]
    async fn whoever_says_nothing_keeps_nobody_out() {
        let (mut doors, address) = doors().await;
        let accepting = tokio::spawn(async move {
            let accepted = doors.accept().await;
            (doors, accepted)
        });
        let mut silent = Vec::new();
        for _ in 0..3 * UNDECIDED {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut speaks = TcpStream::connect(address).await.unwrap();
        speaks.write_all(b"GET").await.unwrap();
        let (doors, (mut stream, caller)) = accepting.await.unwrap();
        assert_eq!(caller.peer, speaks.local_addr().unwrap());
        assert!(!caller.encrypted);
        let mut said = [0; 3];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"GET", "nothing of it is lost");
        assert!(doors.undecided.len() <= UNDECIDED);
    }

    #[tokio::test]
    async fn what_is_no_handshake_is_plain_and_a_broken_one_is_dropped() {
        let (mut doors, address) = doors().await;
        let mut broken = TcpStream::connect(address).await.unwrap();
        broken
            .write_all(&[HANDSHAKE, 3, 1, 0, 1, 99])
            .await
            .unwrap();
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET").await.unwrap();
        let (_stream, caller) = doors.accept().await;
        assert_eq!(caller.peer, plain.local_addr().unwrap());
    }
}
