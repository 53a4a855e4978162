//! Looks at this node's own host: which addresses it has, which ports its processes listen on, how its kube-proxy
//! works, and how the kernel is set to treat ARP. Services that fall back to node addresses are served by what every agent tells of it.
//!
//! Everything is read anew from time to time, since the kernel gives no notice of sockets. A part that cannot be
//! read leaves what was known as it was: to forget that kube-proxy uses IPVS while it restarts would be an outage.
//!
//! ```text
//!   netlink ───────────────┐
//!   /proc/net/{tcp,udp}* ──┼──▶ Reading ──gist──▶ HostFacts ──▶ report
//!   routes, switches ──────┤
//!   kube-proxy's mode ─────┘
//! ```

mod gist;
mod routes;
mod sockets;
mod switches;

use std::{
    fs::{self, File},
    io::{self, BufReader},
    ops::RangeInclusive,
    time::Duration,
};

use anyhow::Context as _;
use herald_layer2::Selection;
use herald_spi::Protocol;
use tokio::{
    sync::watch,
    task,
    time::{self, MissedTickBehavior},
};
use tracing::{info, warn};

use self::{
    gist::Reading,
    sockets::{Socket, port_range, waiting},
};
use super::kube_proxy;
use crate::api::HostFacts;

/// How often to look.
const PACE: Duration = Duration::from_secs(10);
/// The tables of this process's network namespace, which is the node's.
const TABLES: [(Protocol, &str); 4] = [
    (Protocol::Tcp, "/proc/net/tcp"),
    (Protocol::Tcp, "/proc/net/tcp6"),
    (Protocol::Udp, "/proc/net/udp"),
    (Protocol::Udp, "/proc/net/udp6"),
];
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// The kernel's default.
const USUALLY_EPHEMERAL: RangeInclusive<u16> = 32768..=60999;

/// Looks until nobody wants to know, and tells what has changed.
pub(super) async fn keep(sender: watch::Sender<Option<HostFacts>>) {
    let mut mode = None;
    let mut failing = false;
    let mut pace = time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = pace.tick() => {}
            () = sender.closed() => return,
        }
        match look(kube_proxy::ADDRESS, &mut mode).await {
            Ok(facts) => {
                if std::mem::take(&mut failing) {
                    info!("this host's addresses and sockets are read again");
                }
                tell(&sender, facts);
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    warn!(
                        why = format!("{error:#}"),
                        "cannot read this host's addresses and sockets; what was known of them still counts"
                    );
                }
            }
        }
    }
}

fn tell(sender: &watch::Sender<Option<HostFacts>>, facts: HostFacts) {
    sender.send_if_modified(|known| {
        let changed = known.as_ref() != Some(&facts);
        if changed {
            *known = Some(facts);
        }
        changed
    });
}

/// Reads everything once. `mode` is the last one that kube-proxy told.
async fn look(kube_proxy: &str, mode: &mut Option<String>) -> anyhow::Result<HostFacts> {
    let told = kube_proxy::ask(kube_proxy, kube_proxy::MODE).await;
    if let Some(told) = told.as_deref().and_then(kube_proxy::mode) {
        *mode = Some(told.to_owned());
    }
    let interfaces = herald_layer2::addresses().await?;
    let links = herald_layer2::links(&Selection::default()).await?;
    let (sockets, ephemeral) = task::spawn_blocking(read_sockets).await??;
    let (links, gateways) = task::spawn_blocking(move || {
        let links = links.values().map(switches::of).collect();
        (links, routes::gateways())
    })
    .await?;
    let reading = Reading {
        interfaces,
        sockets,
        ephemeral,
        mode: mode.clone(),
        links,
        gateways,
    };
    Ok(reading.gist())
}

fn read_sockets() -> anyhow::Result<(Vec<Socket>, RangeInclusive<u16>)> {
    let mut sockets = Vec::new();
    for (protocol, path) in TABLES {
        let read = File::open(path).and_then(|file| waiting(protocol, BufReader::new(file)));
        match read {
            Ok(found) => sockets.extend(found),
            // Without IPv6 there is no such table.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context(path),
        }
    }
    let range = fs::read_to_string(EPHEMERAL).ok();
    let range = range.as_deref().and_then(port_range);
    Ok((sockets, range.unwrap_or(USUALLY_EPHEMERAL)))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn this_host_is_read() {
        let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
        let inside = TcpListener::bind("127.0.0.1:0").unwrap();
        let ephemeral = UdpSocket::bind("0.0.0.0:0").unwrap();
        let (sockets, range) = read_sockets().unwrap();
        let found = |protocol, number| {
            let port = herald_spi::Port::new(protocol, number);
            let mut fitting = sockets.iter().filter(|s| s.port == port);
            fitting.next().map(|socket| socket.address.to_string())
        };
        let everywhere = everywhere.local_addr().unwrap().port();
        assert_eq!(found(Protocol::Tcp, everywhere).as_deref(), Some("0.0.0.0"));
        let inside = inside.local_addr().unwrap().port();
        assert_eq!(found(Protocol::Tcp, inside).as_deref(), Some("127.0.0.1"));
        let ephemeral = ephemeral.local_addr().unwrap().port();
        assert_eq!(found(Protocol::Udp, ephemeral).as_deref(), Some("0.0.0.0"));
        assert!(range.contains(&ephemeral));

        // Nobody listens on port 1.
        let facts = look("127.0.0.1:1", &mut None).await.unwrap();
        assert!(facts.listening.contains(&format!("TCP/{everywhere}")));
        assert!(!facts.listening.contains(&format!("TCP/{inside}")));
        assert!(!facts.listening.contains(&format!("UDP/{ephemeral}")));
        assert!(!facts.addresses.contains(&"127.0.0.1".to_owned()));
    }

    #[tokio::test]
    async fn a_mode_counts_until_another_one_is_told() {
        let mut mode = None;
        for (answer, expected) in [
            ("200 OK\r\ncontent-length: 4\r\n\r\nipvs", Some("ipvs")),
            (
                "404 Not Found\r\ncontent-length: 3\r\n\r\nwhy",
                Some("ipvs"),
            ),
            (
                "200 OK\r\ncontent-length: 12\r\n\r\n<html>hello>",
                Some("ipvs"),
            ),
            (
                "200 OK\r\ncontent-length: 8\r\n\r\nnftables",
                Some("nftables"),
            ),
        ] {
            let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = server.local_addr().unwrap().to_string();
            let answering = tokio::spawn(async move {
                let (mut stream, _) = server.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                assert!(request[..length].starts_with(b"GET /proxyMode "));
                let answer = format!("HTTP/1.1 {answer}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
            let facts = look(&address, &mut mode).await.unwrap();
            answering.await.unwrap();
            assert_eq!(facts.kube_proxy_mode.as_deref(), expected, "{answer}");
            // While it restarts it tells nothing.
            let facts = look("127.0.0.1:1", &mut mode).await.unwrap();
            assert_eq!(facts.kube_proxy_mode.as_deref(), expected);
        }
    }

    #[tokio::test]
    async fn only_changes_are_told() {
        let (sender, mut receiver) = watch::channel(None);
        let with = |mode: &str| HostFacts {
            kube_proxy_mode: Some(mode.to_owned()),
            ..HostFacts::default()
        };
        tell(&sender, with("nftables"));
        assert!(receiver.has_changed().unwrap());
        receiver.mark_unchanged();
        tell(&sender, with("nftables"));
        assert!(!receiver.has_changed().unwrap());
        tell(&sender, with("ipvs"));
        assert!(receiver.has_changed().unwrap());
    }
}
