//! Memberships in multicast groups. The kernel sends the MLD reports that switches with snooping wait for; it
//! asks nothing in return but an open socket.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv6Addr,
};

use herald_spi::IfIndex;
use socket2::{Domain, Socket, Type};

type Group = (IfIndex, Ipv6Addr);

/// Sockets that are members of groups. One holds a few hundred memberships (`net.core.optmem_max`), so there are
/// as many as needed.
#[derive(Debug, Default)]
pub(super) struct Groups {
    sockets: BTreeMap<usize, (Socket, BTreeSet<Group>)>,
    members: BTreeMap<Group, usize>,
    /// Wanted, but the kernel said no: IPv6 may come up on the link later.
    missing: BTreeSet<Group>,
}

impl Groups {
    pub(super) fn join(&mut self, interface: IfIndex, group: Ipv6Addr) {
        if self.members.contains_key(&(interface, group)) {
            return;
        }
        match self.try_join((interface, group)) {
            Ok(()) => {}
            Err(error) => {
                tracing::debug!(%interface, %group, %error, "cannot join yet");
                self.missing.insert((interface, group));
            }
        }
    }

    pub(super) fn leave(&mut self, interface: IfIndex, group: Ipv6Addr) {
        self.missing.remove(&(interface, group));
        let Some(number) = self.members.remove(&(interface, group)) else {
            return;
        };
        let Some((socket, groups)) = self.sockets.get_mut(&number) else {
            return;
        };
        // A link that is gone has taken the membership with it.
        drop(socket.leave_multicast_v6(&group, interface.0));
        groups.remove(&(interface, group));
        if groups.is_empty() {
            self.sockets.remove(&number);
        }
    }

    /// Whether a group could not be joined.
    pub(super) fn is_incomplete(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Tries again to join those.
    pub(super) fn retry(&mut self) {
        for (interface, group) in std::mem::take(&mut self.missing) {
            self.join(interface, group);
        }
    }

    fn try_join(&mut self, group: Group) -> io::Result<()> {
        let newest = self.sockets.last_key_value().map(|(number, _)| *number);
        if let Some(number) = newest {
            match self.join_with(number, group) {
                Err(error) if is_full(&error) => {}
                result => return result,
            }
        }
        let number = newest.map_or(0, |number| number + 1);
        let socket = Socket::new(Domain::IPV6, Type::DGRAM.cloexec(), None)?;
        self.sockets.insert(number, (socket, BTreeSet::new()));
        self.join_with(number, group).inspect_err(|_| {
            self.sockets.remove(&number);
        })
    }

    fn join_with(&mut self, number: usize, group: Group) -> io::Result<()> {
        let Some((socket, groups)) = self.sockets.get_mut(&number) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        match socket.join_multicast_v6(&group.1, group.0.0) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => Err(error),
            _ => {
                groups.insert(group);
                self.members.insert(group, number);
                Ok(())
            }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    [libc::ENOBUFS, libc::ENOMEM]
        .map(Some)
        .contains(&error.raw_os_error())
}
