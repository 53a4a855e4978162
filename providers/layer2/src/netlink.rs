//! The links of this node, as the kernel tells them by netlink. The only file that knows rtnetlink.
//!
//! Owns: a model of links and addresses, filled by a dump and kept up by the kernel's notices; which links count
//! ([`Selection`] adds names). When the kernel had to drop notices everything is read again.
//!
//! A link counts if it is Ethernet, does ARP, is no loopback, and is not enslaved to a bridge or a bond (a VRF
//! does not take over a link's frames, so its members count). An IPv6 address counts once duplicate address detection is over.
//!
//! ```text
//!   dump ──▶ Model ◀── notices          Model ──view──▶ Links ──▶ run
//! ```

use std::{collections::BTreeMap, future, net::IpAddr, time::Duration};

use futures::{StreamExt, TryStreamExt, channel::mpsc::UnboundedReceiver};
use herald_spi::{IfIndex, Link, Links, Mac};
use ipnet::IpNet;
use rtnetlink::{
    Handle, MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        address::{AddressAttribute, AddressFlags, AddressMessage},
        link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage},
    },
    sys::SocketAddr,
};
use tokio::{sync::mpsc, task::JoinHandle, time};

use crate::{error::Layer2Error, select::Selection};

/// The kernel answers at once or never.
const PATIENCE: Duration = Duration::from_secs(5);
/// Changes of addresses come in crowds, and no one waits for them.
const CROWD: Duration = Duration::from_millis(50);
/// Everything is read again so often, whatever was noticed.
const AUDIT: Duration = Duration::from_secs(60);
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The links that count, read once.
///
/// # Errors
/// When the kernel does not answer.
pub async fn links(selection: &Selection) -> Result<Links, Layer2Error> {
    Subscription::open()
        .await
        .map(|subscription| subscription.model.view(selection))
}

/// The addresses on every link by the link's name, read once. Links that cannot announce count too: loopbacks,
/// tunnels, members of a bond.
///
/// # Errors
/// When the kernel does not answer.
pub async fn addresses() -> Result<BTreeMap<String, Vec<IpAddr>>, Layer2Error> {
    Subscription::open()
        .await
        .map(|subscription| subscription.model.addresses())
}

/// A source of snapshots.
#[derive(Debug)]
pub(crate) struct Watch {
    selection: Selection,
    subscription: Subscription,
    last: Links,
}

impl Watch {
    /// Subscribes, and reads the links for the first time.
    pub(crate) async fn open(selection: Selection) -> Result<(Self, Links), Layer2Error> {
        let subscription = Subscription::open().await?;
        let last = subscription.model.view(&selection);
        Ok((
            Self {
                selection,
                subscription,
                last: last.clone(),
            },
            last,
        ))
    }

    /// Sends a snapshot after each change, until nobody takes them any more. Every change of a link's state gets
    /// a snapshot of its own, so that none is missed between two; changes of addresses are gathered.
    pub(crate) async fn run(mut self, sender: mpsc::Sender<Links>) {
        let mut audit = time::interval_at(time::Instant::now() + AUDIT, AUDIT);
        // When a change of addresses will be told; further notices do not put it off.
        let mut due = None;
        loop {
            tokio::select! {
                message = self.subscription.messages.next() => match message {
                    Some((message, _)) => self.take(message).await,
                    None => self.reopen().await,
                },
                () = wait_until(due) => {
                    if !self.send(&sender).await { return }
                }
                _ = audit.tick() => self.read_again().await,
                () = sender.closed() => return,
            }
            let view = self.subscription.model.view(&self.selection);
            if !same_links(&view, &self.last) && !self.send(&sender).await {
                return;
            }
            due = (view != self.last).then(|| due.unwrap_or_else(|| time::Instant::now() + CROWD));
        }
    }

    async fn send(&mut self, sender: &mpsc::Sender<Links>) -> bool {
        self.last = self.subscription.model.view(&self.selection);
        sender.send(self.last.clone()).await.is_ok()
    }

    async fn take(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) {
        match message.payload {
            NetlinkPayload::InnerMessage(notice) => self.subscription.model.apply(notice),
            NetlinkPayload::Overrun(_) => {
                tracing::warn!("the kernel dropped notices about links; reading them again");
                self.read_again().await;
            }
            _ => {}
        }
    }

    async fn read_again(&mut self) {
        if let Err(error) = self.subscription.resynchronise().await {
            tracing::warn!(reason = error.reason(), %error, "reopening netlink");
            self.reopen().await;
        }
    }

    /// Opens a new subscription, however long it takes; until then the last view holds.
    async fn reopen(&mut self) {
        loop {
            time::sleep(RETRY).await;
            match Subscription::open().await {
                Ok(subscription) => {
                    self.subscription = subscription;
                    return;
                }
                Err(error) => tracing::warn!(reason = error.reason(), %error, "trying on"),
            }
        }
    }
}

async fn wait_until(due: Option<time::Instant>) {
    match due {
        Some(due) => time::sleep_until(due).await,
        None => future::pending().await,
    }
}

/// Whether the same links are up with the same hardware addresses.
fn same_links(left: &Links, right: &Links) -> bool {
    let state = |link: &Link| (link.index, link.mac, link.up);
    left.values().map(state).eq(right.values().map(state))
}

/// A netlink socket that receives notices, and what they amount to.
#[derive(Debug)]
struct Subscription {
    handle: Handle,
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    connection: JoinHandle<()>,
    model: Model,
}

impl Subscription {
    async fn open() -> Result<Self, Layer2Error> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
        ];
        let (connection, handle, messages) = rtnetlink::new_multicast_connection(&groups)
            .map_err(|error| Layer2Error::Netlink(error.to_string()))?;
        let connection = tokio::spawn(connection);
        let mut subscription = Self {
            handle,
            messages,
            connection,
            model: Model::default(),
        };
        subscription.model = subscription.dump().await?;
        Ok(subscription)
    }

    /// Reads everything after notices were lost. Notices that came before the first dump ended may be older than
    /// it and are thrown away; those that follow are complete, and only newer than or contained in the second one.
    async fn resynchronise(&mut self) -> Result<(), Layer2Error> {
        self.dump().await?;
        while self.messages.try_recv().is_ok() {}
        self.model = self.dump().await?;
        Ok(())
    }

    async fn dump(&self) -> Result<Model, Layer2Error> {
        let read = async {
            let mut model = Model::default();
            let mut links = std::pin::pin!(self.handle.link().get().execute());
            while let Some(link) = links.try_next().await? {
                model.apply(RouteNetlinkMessage::NewLink(link));
            }
            let mut addresses = std::pin::pin!(self.handle.address().get().execute());
            while let Some(address) = addresses.try_next().await? {
                model.apply(RouteNetlinkMessage::NewAddress(address));
            }
            Ok(model)
        };
        match time::timeout(PATIENCE, read).await {
            Ok(result) => {
                result.map_err(|error: rtnetlink::Error| Layer2Error::Netlink(error.to_string()))
            }
            Err(_) => Err(Layer2Error::Netlink("no answer within 5 s".to_owned())),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// What the kernel has said so far, about all links.
#[derive(Debug, Default)]
struct Model {
    links: BTreeMap<u32, Raw>,
    /// By link, then by address and prefix length; whether the address is ready.
    addresses: BTreeMap<u32, BTreeMap<(IpAddr, u8), bool>>,
}

#[derive(Debug)]
struct Raw {
    name: String,
    mac: Option<Mac>,
    ethernet: bool,
    flags: LinkFlags,
    master: Option<u32>,
    is_vrf: bool,
}

impl Model {
    fn apply(&mut self, notice: RouteNetlinkMessage) {
        match notice {
            // A bridge tells of its ports with a family of its own; the link as such does not change by that.
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link)
                if link.header.interface_family == AddressFamily::Bridge => {}
            RouteNetlinkMessage::NewLink(link) => {
                self.links.insert(link.header.index, Raw::from(&link));
            }
            RouteNetlinkMessage::DelLink(link) => {
                self.links.remove(&link.header.index);
                self.addresses.remove(&link.header.index);
            }
            RouteNetlinkMessage::NewAddress(message) => {
                if let Some(key) = key(&message) {
                    let ready = is_ready(&message);
                    self.addresses
                        .entry(message.header.index)
                        .or_default()
                        .insert(key, ready);
                }
            }
            RouteNetlinkMessage::DelAddress(message) => {
                if let (Some(key), Some(addresses)) =
                    (key(&message), self.addresses.get_mut(&message.header.index))
                {
                    addresses.remove(&key);
                }
            }
            _ => {}
        }
    }

    fn view(&self, selection: &Selection) -> Links {
        let counted = self.links.iter().filter(|(_, raw)| self.counts(raw));
        let links = counted.filter_map(|(&index, raw)| {
            let addresses = self.addresses.get(&index).into_iter().flatten();
            let addresses = addresses
                .filter(|(_, ready)| **ready)
                .filter_map(|((address, length), _)| IpNet::new(*address, *length).ok())
                .collect();
            let link = Link {
                index: IfIndex(index),
                name: raw.name.clone(),
                mac: raw.mac?,
                up: raw
                    .flags
                    .contains(LinkFlags::Up | LinkFlags::Running | LinkFlags::LowerUp),
                addresses,
            };
            selection.takes(&link).then_some((link.index, link))
        });
        links.collect()
    }

    fn addresses(&self) -> BTreeMap<String, Vec<IpAddr>> {
        let links = self.links.iter().map(|(index, raw)| {
            let addresses = self.addresses.get(index).into_iter().flatten();
            let ready = addresses.filter(|(_, ready)| **ready);
            (
                raw.name.clone(),
                ready.map(|((address, _), _)| *address).collect(),
            )
        });
        links.collect()
    }

    fn counts(&self, raw: &Raw) -> bool {
        let master = raw.master.and_then(|master| self.links.get(&master));
        raw.ethernet
            && !raw.flags.intersects(LinkFlags::Loopback | LinkFlags::Noarp)
            // A VRF is an Ethernet device that does no ARP itself.
            && !raw.is_vrf
            && (raw.master.is_none() || master.is_some_and(|master| master.is_vrf))
    }
}

impl From<&LinkMessage> for Raw {
    fn from(message: &LinkMessage) -> Self {
        let mut raw = Self {
            name: String::new(),
            mac: None,
            ethernet: message.header.link_layer_type == LinkLayerType::Ether,
            flags: message.header.flags,
            master: None,
            is_vrf: false,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => raw.name.clone_from(name),
                LinkAttribute::Address(octets) => {
                    raw.mac = octets.as_slice().try_into().ok().map(Mac);
                }
                LinkAttribute::Controller(0) => raw.master = None,
                LinkAttribute::Controller(master) => raw.master = Some(*master),
                LinkAttribute::LinkInfo(infos) => {
                    raw.is_vrf = infos.contains(&LinkInfo::Kind(InfoKind::Vrf));
                }
                _ => {}
            }
        }
        raw
    }
}

/// The address itself; on a point-to-point link `Address` is the peer's and `Local` is ours.
fn key(message: &AddressMessage) -> Option<(IpAddr, u8)> {
    let (mut local, mut address) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => address = Some(*ip),
            _ => {}
        }
    }
    Some((local.or(address)?, message.header.prefix_len))
}

/// Whether duplicate address detection has passed, or was not needed.
fn is_ready(message: &AddressMessage) -> bool {
    let flags = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Flags(flags) => Some(*flags),
            _ => None,
        });
    let header = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let flags = flags.unwrap_or(header);
    !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed)
}

#[cfg(test)]
mod tests;
