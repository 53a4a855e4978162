//! One port for plain and for encrypted connections: the first byte tells which it is.
//!
//! Probes and loopback speak plainly. Whoever shows a token from elsewhere does so in TLS, with a certificate that this
//! process has made for itself: nobody on the way can read the token.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

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
    task::JoinSet,
    time,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

/// How long somebody may take to say what he wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many may be about to say it at the same time; more wait in the kernel's queue.
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
}

impl Doors {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            acceptor: Arc::default(),
            arriving: JoinSet::new(),
        }
    }

    /// Lets somebody say what he wants, beside others.
    fn receive(&mut self, stream: TcpStream, peer: SocketAddr) {
        let acceptor = Arc::clone(&self.acceptor);
        self.arriving.spawn(async move {
            let arrived = time::timeout(PATIENCE, enter(stream, peer, acceptor)).await;
            arrived.ok()?.ok()
        });
    }
}

impl Listener for Doors {
    type Io = Stream;
    type Addr = Caller;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let has_place = self.arriving.len() < UNDECIDED;
            tokio::select! {
                Some(arrived) = self.arriving.join_next() => {
                    if let Ok(Some(arrived)) = arrived {
                        return arrived;
                    }
                }
                accepted = self.listener.accept(), if has_place => match accepted {
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
