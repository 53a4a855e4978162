//! The kernel's tables of sockets, `/proc/net/{tcp,tcp6,udp,udp6}`, as far as they tell who waits for traffic. Pure.
//!
//! A row begins with its number, the local address and port, the remote ones, and the state, in hexadecimal
//! (Linux, Documentation/networking/proc_net_tcp.rst; the UDP tables look the same):
//!
//! ```text
//!    0: 0100007F:0019 00000000:0000 0A ...      127.0.0.1:25 listens
//! ```

use std::{
    io::{self, BufRead},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use herald_spi::{Port, Protocol};

/// `TCP_LISTEN`.
const LISTEN: u8 = 0x0A;
/// `TCP_SYN_RECV`: older kernels show such rows beneath the listening socket that they belong to.
const SYN_RECV: u8 = 0x03;
/// `TCP_CLOSE`: of a UDP socket it means that it is not connected.
const CLOSE: u8 = 0x07;

/// A socket that waits for traffic from anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    /// The address that it is bound to; unspecified: every one.
    pub(super) address: IpAddr,
    pub(super) port: Port,
}

struct Row {
    local: (IpAddr, u16),
    remote_port: u16,
    state: u8,
}

/// Reads one table. Rows that cannot be understood are passed over.
///
/// A TCP table lists all listening sockets before all connections. Of those there may be very many, and listing them
/// costs the kernel time, so they are not read.
pub(super) fn waiting(protocol: Protocol, table: impl BufRead) -> io::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    for line in table.lines() {
        let Some(row) = Row::parse(&line?) else {
            continue;
        };
        let waits = match protocol {
            Protocol::Udp => row.state == CLOSE && row.remote_port == 0,
            Protocol::Tcp | Protocol::Sctp if row.state == LISTEN => true,
            Protocol::Tcp | Protocol::Sctp if row.state == SYN_RECV => false,
            Protocol::Tcp | Protocol::Sctp => break,
        };
        let (address, number) = row.local;
        if waits && number != 0 {
            sockets.push(Socket {
                address,
                port: Port::new(protocol, number),
            });
        }
    }
    Ok(sockets)
}

/// Reads `/proc/sys/net/ipv4/ip_local_port_range`, which counts for IPv6 too.
pub(super) fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(first), Ok(last)) => Some(first..=last),
        _ => None,
    }
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().skip(1);
        let local = endpoint(words.next()?)?;
        let (_, remote_port) = endpoint(words.next()?)?;
        let state = u8::from_str_radix(words.next()?, 16).ok()?;
        Some(Self {
            local,
            remote_port,
            state,
        })
    }
}

fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(address)?)),
        32 => {
            let mut octets = [0; 16];
            for (chunk, at) in octets.chunks_exact_mut(4).zip((0..).step_by(8)) {
                chunk.copy_from_slice(&word(address.get(at..at + 8)?)?);
            }
            // A socket may be bound to an IPv4 address by its IPv6 name.
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// Four octets of an address: the kernel prints them as a number of this machine's byte order.
fn word(text: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes)
}

#[cfg(test)]
#[cfg(target_endian = "little")] // as the tables below were written
mod tests {
    use super::*;

    fn read(protocol: Protocol, table: &str) -> Vec<String> {
        let sockets = waiting(protocol, table.as_bytes()).unwrap();
        let show = |s: &Socket| format!("{} {}", s.port, s.address);
        sockets.iter().map(show).collect()
    }

    #[test]
    fn listening_tcp_sockets_are_read_and_connections_are_not() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2809 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23456 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23457 1 0000000000000000 100 0 0 10 0
   2: 00000000:0016 0A4DA8C0:C001 03 00000000:00000000 01:00000062 00000000     0        0 0 1 0000000000000000
   3: 014DA8C0:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23458 1 0000000000000000 100 0 0 10 0
   4: 014DA8C0:0016 0A4DA8C0:C000 01 00000000:00000000 02:000A7A39 00000000     0        0 23459 2 0000000000000000 20 4 29 10 -1
   5: 00000000:1F90 00000000:0000 0A not reached: connections come last
";
        assert_eq!(
            read(Protocol::Tcp, table),
            [
                "TCP/10249 127.0.0.1",
                "TCP/22 0.0.0.0",
                "TCP/80 192.168.77.1"
            ]
        );
    }

    #[test]
    fn ipv6_addresses_are_read_and_mapped_ones_are_ipv4() {
        let table = "  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:280A 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 000077FD000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000
   3: 0000000000000000FFFF00000100007F:1F40 00000000000000000000000000000000:0000 0A 00000000:00000000
";
        assert_eq!(
            read(Protocol::Tcp, table),
            [
                "TCP/10250 ::",
                "TCP/25 ::1",
                "TCP/443 fd77::1",
                "TCP/8000 127.0.0.1"
            ]
        );
    }

    #[test]
    fn udp_sockets_wait_unless_they_are_connected() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  113: 00000000:24FF 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31234 2 0000000000000000 0
  200: 014DA8C0:A000 0A4DA8C0:0035 01 00000000:00000000 00:00000000 00000000     0        0 31235 2 0000000000000000 0
  201: 00000000:0000 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31237 2 0000000000000000 0
  300: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31236 2 0000000000000000 0
";
        assert_eq!(
            read(Protocol::Udp, table),
            ["UDP/9471 0.0.0.0", "UDP/53 127.0.0.53"]
        );
    }

    #[test]
    fn ill_rows_are_passed_over() {
        let table = "\n 0:\n 0: 00000000:0016\n 0: 0000:0016 00000000:0000 0A\n 0: zz000000:0016 00000000:0000 0A
 0: 00000000:99999 00000000:0000 0A\n 0: 00000000:0050 00000000:0000 0A\n 0: ééééé\n";
        assert_eq!(read(Protocol::Tcp, table), ["TCP/80 0.0.0.0"]);
    }

    #[test]
    fn the_range_of_ephemeral_ports_is_read() {
        assert_eq!(port_range("32768\t60999\n"), Some(32768..=60999));
        for ill in ["", "32768", "a b", "32768 70000"] {
            assert_eq!(port_range(ill), None, "{ill:?}");
        }
    }
}
