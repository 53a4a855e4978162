//! Ports of the host's namespace.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;

/// A loopback address with a port that nothing listens on now.
pub(super) async fn free() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("no free port")?;
    listener.local_addr().context("no free port")
}
