//! Carries byte streams from one network namespace to another: the way to the API server.
//!
//! ```text
//!   agent ──▶ 127.0.0.1:PORT (node) ──▶ api.sock ──▶ API server (host)
//! ```
//! So one kubeconfig is right everywhere, and the API does not depend on the segment. TLS passes through.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
    time,
};
use tracing::warn;

/// After a failure to accept, as when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens at a TCP address and carries every connection to a unix socket.
pub(super) async fn tcp_to_unix(from: SocketAddr, to: PathBuf) -> anyhow::Result<Relay> {
    let listener = TcpListener::bind(from)
        .await
        .with_context(|| format!("cannot listen on {from}"))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut carried = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((near, _)) => {
                    let to = to.clone();
                    carried.spawn(async move { carry(near, UnixStream::connect(to).await).await });
                }
                Err(error) => pause(&error).await,
            }
            while carried.try_join_next().is_some() {}
        }
    });
    Ok(Relay { _tasks: tasks })
}

/// Carries every connection from a unix socket to a TCP address.
pub(super) fn unix_to_tcp(from: UnixListener, to: SocketAddr) -> Relay {
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut carried = JoinSet::new();
        loop {
            match from.accept().await {
                Ok((near, _)) => {
                    carried.spawn(async move { carry(near, TcpStream::connect(to).await).await });
                }
                Err(error) => pause(&error).await,
            }
            while carried.try_join_next().is_some() {}
        }
    });
    Relay { _tasks: tasks }
}

/// A running relay; dropping it ends it and what it carries.
#[derive(Debug)]
pub(super) struct Relay {
    _tasks: JoinSet<()>,
}

async fn carry<N, F>(mut near: N, far: std::io::Result<F>)
where
    N: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    match far {
        // A connection that breaks off on one side breaks off on the other; there is nobody else to tell.
        Ok(mut far) => drop(copy_bidirectional(&mut near, &mut far).await),
        Err(error) => warn!(%error, "the API server cannot be reached"),
    }
}

async fn pause(error: &std::io::Error) {
    warn!(%error, "cannot accept a connection");
    time::sleep(PAUSE).await;
}
