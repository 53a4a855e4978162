//! Links, addresses, routes and neighbours of one network namespace. The only file of the lab that knows rtnetlink.
//!
//! A service address is made deliverable on a node without being on a NIC: a `local` route for it alone. The kernel
//! then takes its packets, and stays silent in ARP (with `arp_ignore`) and NDP, where only the agent speaks.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use futures::TryStreamExt as _;
use herald_spi::Mac;
use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::{
    Handle, LinkBridge, LinkUnspec, LinkVeth, RouteMessageBuilder,
    packet_core::ErrorMessage,
    packet_route::{
        address::AddressHeaderFlags,
        link::{InfoData, InfoVeth},
        neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage},
        route::{RouteMessage, RouteProtocol, RouteScope, RouteType},
    },
};
use tokio::{task::JoinHandle, time};

use super::namespace::set_sysctl;

/// The name of every host's link.
pub(super) const HOST_LINK: &str = "eth0";

const LOOPBACK: &str = "lo";
const BRIDGE: &str = "br0";
/// RT_TABLE_LOCAL.
const LOCAL_TABLE: u32 = 255;
/// The kernel answers at once or never.
const PATIENCE: Duration = Duration::from_secs(5);

/// A netlink socket of the namespace that this process is in.
#[derive(Debug)]
pub(super) struct Wire {
    handle: Handle,
    connection: JoinHandle<()>,
}

impl Wire {
    /// Opens the socket, and brings up the loopback link.
    pub(super) async fn open() -> anyhow::Result<Self> {
        let (connection, handle, _) =
            rtnetlink::new_connection().context("cannot open a netlink socket")?;
        let wire = Self {
            handle,
            connection: tokio::spawn(connection),
        };
        wire.bring_up(LOOPBACK).await?;
        Ok(wire)
    }

    /// Makes the switch.
    pub(super) async fn make_bridge(&self) -> anyhow::Result<()> {
        let bridge = LinkBridge::new(BRIDGE).build();
        within(self.handle.link().add(bridge).execute())
            .await
            .context("cannot make a bridge")
    }

    /// Connects the namespace of a process with the switch: `port` here, `eth0` with that hardware address there.
    pub(super) async fn plug(&self, port: &str, pid: u32, mac: Mac) -> anyhow::Result<()> {
        let bridge = self.index(BRIDGE).await?;
        let far_end = LinkUnspec::new_with_name(HOST_LINK)
            .address(mac.0.to_vec())
            .setns_by_pid(pid)
            .build();
        let cable = LinkVeth::new(port, HOST_LINK)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
            .controller(bridge)
            .up()
            .build();
        within(self.handle.link().add(cable).execute())
            .await
            .with_context(|| format!("cannot connect {port}"))
    }

    /// Takes the addresses on `eth0` and brings it up.
    pub(super) async fn join(&self, subnets: &[IpNet]) -> anyhow::Result<()> {
        quiet_kernel()?;
        let index = self.index(HOST_LINK).await?;
        for subnet in subnets {
            let add = self
                .handle
                .address()
                .add(index, subnet.addr(), subnet.prefix_len());
            within(add.execute())
                .await
                .with_context(|| format!("cannot take {subnet}"))?;
        }
        self.bring_up(HOST_LINK).await?;
        while !self.settled().await? {
            time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Makes an address deliverable here, on no NIC.
    pub(super) async fn deliver(&self, address: IpAddr) -> anyhow::Result<()> {
        let route = self.local_route(address).await?;
        ignore(
            Errno::EEXIST,
            within(self.handle.route().add(route).execute()).await,
        )
        .with_context(|| format!("cannot deliver {address} here"))
    }

    /// The opposite of [`Self::deliver`].
    pub(super) async fn stop_delivering(&self, address: IpAddr) -> anyhow::Result<()> {
        let route = self.local_route(address).await?;
        ignore(
            Errno::ESRCH,
            within(self.handle.route().del(route).execute()).await,
        )
        .with_context(|| format!("cannot stop delivering {address} here"))
    }

    /// The hardware address that the neighbour table has for an address.
    pub(super) async fn neighbour(&self, address: IpAddr) -> anyhow::Result<Option<Mac>> {
        let find = async {
            let mut entries = std::pin::pin!(self.handle.neighbours().get().execute());
            while let Some(entry) = entries.try_next().await? {
                if destination(&entry) == Some(address) {
                    return Ok(link_layer_address(&entry));
                }
            }
            Ok(None)
        };
        within(find)
            .await
            .context("cannot read the neighbour table")
    }

    /// Removes an address from the neighbour table, so that the next packet has to ask for it.
    pub(super) async fn forget(&self, address: IpAddr) -> anyhow::Result<()> {
        let index = self.index(HOST_LINK).await?;
        let entry = self
            .handle
            .neighbours()
            .add(index, address)
            .message_mut()
            .clone();
        ignore(
            Errno::ENOENT,
            within(self.handle.neighbours().del(entry).execute()).await,
        )
        .with_context(|| format!("cannot forget the neighbour {address}"))
    }

    /// Whether every address of this namespace can be used: the kernel takes a moment to decide for IPv6.
    async fn settled(&self) -> anyhow::Result<bool> {
        let read = async {
            let mut addresses = std::pin::pin!(self.handle.address().get().execute());
            while let Some(address) = addresses.try_next().await? {
                if address.header.flags.contains(AddressHeaderFlags::Tentative) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        within(read).await.context("cannot read the addresses")
    }

    async fn local_route(&self, address: IpAddr) -> anyhow::Result<RouteMessage> {
        let length = if address.is_ipv4() { 32 } else { 128 };
        let route = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(address, length)
            .map_err(|error| anyhow!("{error}"))?
            .output_interface(self.index(LOOPBACK).await?)
            .table_id(LOCAL_TABLE)
            .kind(RouteType::Local)
            .scope(RouteScope::Host)
            .protocol(RouteProtocol::Static);
        Ok(route.build())
    }

    async fn bring_up(&self, link: &str) -> anyhow::Result<()> {
        let up = LinkUnspec::new_with_index(self.index(link).await?)
            .up()
            .build();
        within(self.handle.link().set(up).execute())
            .await
            .with_context(|| format!("cannot bring up {link}"))
    }

    async fn index(&self, link: &str) -> anyhow::Result<u32> {
        let find = async {
            let get = self.handle.link().get().match_name(link);
            std::pin::pin!(get.execute()).try_next().await
        };
        let found = within(find)
            .await
            .with_context(|| format!("cannot find the link {link}"))?;
        found
            .map(|link| link.header.index)
            .with_context(|| format!("there is no link {link}"))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// What makes the kernel keep quiet about addresses that only agents speak for, and start at once.
fn quiet_kernel() -> anyhow::Result<()> {
    if !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        bail!("this kernel has no IPv6 (ipv6.disable=1?), and the lab shows both families");
    }
    for link in ["all", HOST_LINK] {
        // Answer only for addresses that are on the link that was asked, and ask only in their name.
        set_sysctl(&format!("ipv4/conf/{link}/arp_ignore"), "1")?;
        set_sysctl(&format!("ipv4/conf/{link}/arp_announce"), "2")?;
        set_sysctl(&format!("ipv4/conf/{link}/rp_filter"), "0")?;
        set_sysctl(&format!("ipv6/conf/{link}/disable_ipv6"), "0")?;
        // The lab's own addresses are known to be unique, and detection takes more than a second.
        set_sysctl(&format!("ipv6/conf/{link}/accept_dad"), "0")?;
    }
    Ok(())
}

async fn within<T>(
    request: impl Future<Output = Result<T, rtnetlink::Error>>,
) -> Result<T, WireError> {
    match time::timeout(PATIENCE, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(WireError::Refused(error)),
        Err(_) => Err(WireError::Silent),
    }
}

/// Why the kernel did not do it.
#[derive(Debug, thiserror::Error)]
enum WireError {
    #[error("the kernel refused: {0}")]
    Refused(rtnetlink::Error),
    #[error("the kernel did not answer within {PATIENCE:?}")]
    Silent,
}

/// Passes over an error number that only says that there is nothing left to do.
fn ignore(harmless: Errno, result: Result<(), WireError>) -> Result<(), WireError> {
    match result {
        Err(WireError::Refused(rtnetlink::Error::NetlinkError(ErrorMessage { code, .. })))
            if code.is_some_and(|code| code.get() == -(harmless as i32)) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn destination(entry: &NeighbourMessage) -> Option<IpAddr> {
    entry
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ipv4)) => Some((*ipv4).into()),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ipv6)) => Some((*ipv6).into()),
            _ => None,
        })
}

fn link_layer_address(entry: &NeighbourMessage) -> Option<Mac> {
    entry
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(octets) => {
                octets.as_slice().try_into().ok().map(Mac)
            }
            _ => None,
        })
}
