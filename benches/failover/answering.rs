//! What answers on the nodes, as Pods behind kube-proxy would: each datagram, and each octet of a connection.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use crate::segment::{PORT, Segment, VIPS};

/// Answers on every node until it is dropped. The first octet of an answer is the node's number, from 0.
pub fn start(segment: &Segment) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    for (number, node) in segment.nodes.iter().enumerate() {
        let number = u8::try_from(number)?;
        for vip in VIPS {
            let at = SocketAddr::new(vip.parse()?, PORT);
            let (socket, listener) = node.run(move || (UdpSocket::bind(at), TcpListener::bind(at)));
            let (socket, listener) = (socket?, listener?);
            socket.set_nonblocking(true)?;
            listener.set_nonblocking(true)?;
            let socket = tokio::net::UdpSocket::from_std(socket)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tasks.spawn(answer_datagrams(socket, number));
            tasks.spawn(answer_connections(listener));
        }
    }
    Ok(tasks)
}

async fn answer_datagrams(socket: tokio::net::UdpSocket, number: u8) {
    let mut datagram = [0; 64];
    loop {
        // An error tells of an earlier answer that could not be delivered.
        let Ok((length, from)) = socket.recv_from(&mut datagram[1..]).await else {
            continue;
        };
        datagram[0] = number;
        drop(socket.send_to(&datagram[..=length], from).await);
    }
}

async fn answer_connections(listener: tokio::net::TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(async move {
            let mut octet = [0];
            while stream.read_exact(&mut octet).await.is_ok()
                && stream.write_all(&octet).await.is_ok()
            {}
        });
    }
}
