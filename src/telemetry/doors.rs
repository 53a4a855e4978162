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

/// Why nothing can be encrypted.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorsError {
    #[error("no certificate can be made")]
    Certificate(#[from] rcgen::Error),
    #[error("the certificate cannot be used")]
    Tls(#[from] rustls::Error),
}

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
    acceptor: TlsAcceptor,
    arriving: JoinSet<Option<(Stream, Caller)>>,
}

impl Doors {
    pub(super) fn new(listener: TcpListener) -> Result<Self, DoorsError> {
        Ok(Self {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(own_certificate()?)),
            arriving: JoinSet::new(),
        })
    }

    /// Lets somebody say what he wants, beside others.
    fn receive(&mut self, stream: TcpStream, peer: SocketAddr) {
        let acceptor = self.acceptor.clone();
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
    acceptor: TlsAcceptor,
) -> io::Result<(Stream, Caller)> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    let encrypted = first == [HANDSHAKE];
    let stream = if encrypted {
        Either::Right(Box::new(acceptor.accept(stream).await?))
    } else {
        Either::Left(stream)
    };
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    Ok((stream, Caller { peer, encrypted }))
}

fn own_certificate() -> Result<ServerConfig, DoorsError> {
    let made = rcgen::generate_simple_self_signed(["herald".to_owned(), "localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))?;
    Ok(config)
}
