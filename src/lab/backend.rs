//! What answers requests in the lab: on every node, on the node's own addresses, as a pod with the host's network
//! would. The answer is the node's name.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use anyhow::Context as _;
use axum::{Router, routing::get};
use tokio::{
    net::{TcpListener, UdpSocket},
    task::JoinSet,
};
use tracing::warn;

/// The port that backends listen on, by TCP and UDP.
pub(super) const PORT: u16 = 8080;

/// Runs the backend until the returned set is dropped.
pub(super) async fn serve(node: &str, addresses: &[IpAddr]) -> anyhow::Result<JoinSet<()>> {
    let answer: Arc<str> = format!("{node}\n").into();
    let mut tasks = JoinSet::new();
    for address in addresses {
        let at = SocketAddr::new(*address, PORT);
        let cannot = || format!("the backend cannot listen on {at}");
        let listener = TcpListener::bind(at).await.with_context(cannot)?;
        let body = Arc::clone(&answer);
        let router = Router::new().fallback(get(async move || body.to_string()));
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                warn!(%error, "the backend stopped");
            }
        });
        let socket = UdpSocket::bind(at).await.with_context(cannot)?;
        tasks.spawn(answer_datagrams(socket, Arc::clone(&answer)));
    }
    Ok(tasks)
}

async fn answer_datagrams(socket: UdpSocket, answer: Arc<str>) {
    let mut ignored = [0; 2048];
    loop {
        let sent = match socket.recv_from(&mut ignored).await {
            Ok((_, from)) => socket.send_to(answer.as_bytes(), from).await.map(drop),
            Err(error) => Err(error),
        };
        // Such as the refusal of an earlier answer; the next datagram is another matter.
        if let Err(error) = sent {
            warn!(%error, "a datagram was not answered");
        }
    }
}
