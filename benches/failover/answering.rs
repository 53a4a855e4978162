//! What answers on the nodes, as Pods behind kube-proxy would: each datagram, and each octet of a connection.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use herald_layer2::prompt;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime,
    sync::oneshot,
    task::JoinSet,
};

use crate::segment::{PORT, Segment, VIPS};

/// Answers on every node until it is dropped.
pub struct Answering {
    _ends: oneshot::Sender<()>,
}

/// Starts to answer, on a thread that runs first: what is measured is who answers, not how busy the machine is. The first
/// octet of an answer is the node's number, from 0.
pub fn start(segment: &Segment) -> anyhow::Result<Answering> {
    let mut sockets = Vec::new();
    for (number, node) in segment.nodes.iter().enumerate() {
        let number = u8::try_from(number)?;
        for vip in VIPS {
            let at = SocketAddr::new(vip.parse()?, PORT);
            let (socket, listener) = node.run(move || (UdpSocket::bind(at), TcpListener::bind(at)));
            let (socket, listener) = (socket?, listener?);
            socket.set_nonblocking(true)?;
            listener.set_nonblocking(true)?;
            sockets.push((number, socket, listener));
        }
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (ends, end) = oneshot::channel();
    let answer = async move {
        let mut tasks = JoinSet::new();
        for (number, socket, listener) in sockets {
            tasks.spawn(answer_datagrams(
                tokio::net::UdpSocket::from_std(socket)?,
                number,
            ));
            tasks.spawn(answer_connections(tokio::net::TcpListener::from_std(
                listener,
            )?));
        }
        drop(end.await);
        io::Result::Ok(())
    };
    prompt::spawn("answering", move || runtime.block_on(answer))?;
    Ok(Answering { _ends: ends })
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
