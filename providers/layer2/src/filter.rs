//! Which frames the kernel hands up: classic BPF programs, computed here and attached in `socket.rs`.
//!
//! A program passes only what this node was sent (never its own frames, never those of others), of the right
//! kind, and about one of our addresses. Up to [`EXACT`] addresses are compared one by one. More are covered
//! by a few prefixes, and the machine looks each address up anyway: a filter may pass too much, never too little.
//!
//! Every refusal and every acceptance returns on the spot, so no jump is longer than one block, whatever the
//! number of addresses; a program stays far below the kernel's 4,096 instructions, and small enough to be
//! attached beside its predecessor within the 20 KiB that older kernels grant a socket's options.

mod cover;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cover::Prefix;

/// Up to so many addresses of a family are compared exactly.
pub const EXACT: usize = 100;
/// So many prefixes cover a larger set.
const PREFIXES_V4: usize = 64;
/// Fewer for IPv6, whose prefixes take up to four comparisons each.
const PREFIXES_V6: usize = 24;

/// One instruction of classic BPF, as `struct sock_filter` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if a condition holds.
    pub jt: u8,
    /// How many to skip if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A program.
pub type Program = Vec<Instruction>;

// <linux/bpf_common.h>; words and half-words are loaded at absolute offsets.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;
/// `BPF_LDX | BPF_B | BPF_MSH`: four times the low half of an octet.
const LOAD_HEADER_LENGTH: u16 = 0xb1;
/// `BPF_LD | BPF_H | BPF_IND`: at an offset from the index.
const LOAD_HALF_INDEXED: u16 = 0x48;

/// `SKF_AD_OFF + SKF_AD_PKTTYPE`: to whom the frame was sent.
const PACKET_TYPE: u32 = 0xffff_f004;
/// `PACKET_MULTICAST`, after `PACKET_HOST` and `PACKET_BROADCAST`; what is greater was meant for another host
/// or was sent by this one.
const FOR_US: u32 = 2;
/// What an accepting program returns: at most so many octets are kept.
const WHOLE: u32 = 0x4_0000;

// Offsets into an Ethernet frame.
const ETHERTYPE: u32 = 12;
const ARP_OPERATION: u32 = 20;
const ARP_SENDER: u32 = 28;
const ARP_TARGET: u32 = 38;
const NEXT_HEADER: u32 = 20;
/// In a Hop-by-Hop Options header right behind that of IPv6, and behind it if it is as short as it can be.
const NEXT_HEADER_BEHIND_OPTIONS: u32 = 54;
const ICMP_TYPE_BEHIND_OPTIONS: u32 = 62;
const ICMP_TYPE: u32 = 54;
const ETHERNET_HEADER: u32 = 14;
const IP_FRAGMENT: u32 = 20;
const IP_PROTOCOL: u32 = 23;
/// Into a UDP header.
const UDP_DESTINATION: u32 = 2;
const NDP_TARGET: u32 = 62;

/// Passes ARP requests and replies whose target or sender is one of the IPv4 `addresses`.
#[must_use]
pub fn arp(addresses: &[IpAddr]) -> Program {
    let ours: Vec<_> = addresses.iter().filter_map(v4).collect();
    let mut program = arp_start();
    let prefixes = cover::cover(
        &ours,
        32,
        if ours.len() > EXACT {
            PREFIXES_V4
        } else {
            EXACT
        },
    );
    for field in [ARP_TARGET, ARP_SENDER] {
        compare_words(&mut program, field, &prefixes);
    }
    program.push(refuse());
    program
}

/// Passes Neighbor Solicitations and Advertisements whose target is one of the IPv6 `addresses`, and questions who
/// listens to multicast groups.
#[must_use]
pub fn ndp(addresses: &[IpAddr]) -> Program {
    let ours: Vec<_> = addresses.iter().filter_map(v6).collect();
    let mut program = ndp_start();
    let groups = same_upper_bits(&ours);
    if ours.len() <= EXACT && groups.len() <= PREFIXES_V6 {
        for (upper, lower) in groups {
            compare_group(&mut program, upper, &lower);
        }
    } else {
        for prefix in cover::cover(&ours, 128, PREFIXES_V6) {
            compare_prefix(&mut program, prefix);
        }
    }
    program.push(refuse());
    program
}

/// As [`arp`], for any address: for a kernel that refuses the longer program.
#[must_use]
pub fn any_arp() -> Program {
    let mut program = arp_start();
    program.push(accept());
    program
}

/// As [`ndp`], for any address.
#[must_use]
pub fn any_ndp() -> Program {
    let mut program = ndp_start();
    program.push(accept());
    program
}

/// Passes UDP datagrams over IPv4, not fragments of such, to the port of DHCP clients.
#[must_use]
pub fn to_dhcp_clients() -> Program {
    let mut program = start(0x0800);
    program.extend([load(LOAD_BYTE, IP_PROTOCOL), equal(17, 1, 0), refuse()]);
    // Any bit of the offset: not the first fragment.
    program.extend([
        load(LOAD_HALF, IP_FRAGMENT),
        Instruction {
            code: JUMP_SET,
            jt: 0,
            jf: 1,
            k: 0x1fff,
        },
        refuse(),
    ]);
    // The header's length into the index, and the port behind it.
    program.extend([
        load(LOAD_HEADER_LENGTH, ETHERNET_HEADER),
        load(LOAD_HALF_INDEXED, ETHERNET_HEADER + UDP_DESTINATION),
        equal(68, 1, 0),
        refuse(),
        accept(),
    ]);
    program
}

fn arp_start() -> Program {
    let mut program = start(0x0806);
    // Not 1: look for 2. Not 2: refuse.
    program.extend([
        load(LOAD_HALF, ARP_OPERATION),
        equal(1, 2, 0),
        equal(2, 1, 0),
        refuse(),
    ]);
    program
}

fn ndp_start() -> Program {
    let mut program = start(0x86dd);
    let query = [
        load(LOAD_BYTE, NEXT_HEADER_BEHIND_OPTIONS),
        equal(58, 1, 0),
        refuse(),
        load(LOAD_BYTE, ICMP_TYPE_BEHIND_OPTIONS),
        equal(130, 1, 0),
        refuse(),
        accept(),
    ];
    // Options first: it may be a query. Otherwise on to what stands behind it.
    let behind = u8::try_from(query.len()).unwrap_or(u8::MAX);
    program.extend([load(LOAD_BYTE, NEXT_HEADER), equal(0, 0, behind)]);
    program.extend(query);
    program.extend([equal(58, 1, 0), refuse()]);
    program.extend([
        load(LOAD_BYTE, ICMP_TYPE),
        equal(135, 2, 0),
        equal(136, 1, 0),
        refuse(),
    ]);
    program
}

/// Refuses what was not sent to us and what has another ethertype, as a tagged frame has.
fn start(ethertype: u32) -> Program {
    vec![
        load(LOAD_WORD, PACKET_TYPE),
        Instruction {
            code: JUMP_GREATER,
            jt: 0,
            jf: 1,
            k: FOR_US,
        },
        refuse(),
        load(LOAD_HALF, ETHERTYPE),
        equal(ethertype, 1, 0),
        refuse(),
    ]
}

/// Accepts if the word at `offset` is in one of the `prefixes` of 32-bit numbers.
fn compare_words(program: &mut Program, offset: u32, prefixes: &[Prefix]) {
    let mut loaded = false;
    for prefix in prefixes {
        if !loaded {
            program.push(load(LOAD_WORD, offset));
        }
        let mask = prefix.mask(32);
        // Masking spoils the accumulator; an exact comparison does not.
        loaded = mask == u32::MAX;
        if !loaded {
            program.push(Instruction {
                code: AND,
                jt: 0,
                jf: 0,
                k: mask,
            });
        }
        program.extend([equal(prefix.word(32), 0, 1), accept()]);
    }
}

/// Accepts if the target has these upper 96 bits and one of these lower words; refuses if only the former.
fn compare_group(program: &mut Program, upper: [u32; 3], lower: &[u32]) {
    let mut block = vec![load(LOAD_WORD, NDP_TARGET + 12)];
    block.extend(lower.iter().flat_map(|&word| [equal(word, 0, 1), accept()]));
    block.push(refuse());
    let [a, b, c] = upper;
    // From each comparison on: the instructions up to the end of the block, which a far jump passes over.
    let length = u32::try_from(block.len()).unwrap_or(u32::MAX);
    for (word, at, behind) in [(a, 0, 6), (b, 4, 3), (c, 8, 0)] {
        program.extend([
            load(LOAD_WORD, NDP_TARGET + at),
            equal(word, 1, 0),
            far(behind + length),
        ]);
    }
    program.extend(block);
}

/// Accepts if the target is in `prefix`.
fn compare_prefix(program: &mut Program, prefix: Prefix) {
    let mut block = Program::new();
    for (end, at) in [(32, 0), (64, 4), (96, 8), (128, 12)] {
        let mask = prefix.mask(end);
        if mask == 0 {
            break;
        }
        block.push(load(LOAD_WORD, NDP_TARGET + at));
        if mask != u32::MAX {
            block.push(Instruction {
                code: AND,
                jt: 0,
                jf: 0,
                k: mask,
            });
        }
        block.push(equal(prefix.word(end), 0, 0));
    }
    block.push(accept());
    // A comparison that fails goes to the end of the block, at most a dozen instructions on.
    let length = block.len();
    for (at, instruction) in block.iter_mut().enumerate() {
        if instruction.code == JUMP_EQUAL {
            instruction.jf = u8::try_from(length - at - 1).unwrap_or(u8::MAX);
        }
    }
    program.extend(block);
}

/// IPv6 addresses by their upper 96 bits.
fn same_upper_bits(addresses: &[u128]) -> Vec<([u32; 3], Vec<u32>)> {
    let mut groups: Vec<([u32; 3], Vec<u32>)> = Vec::new();
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    for address in sorted {
        let whole = Prefix::host(address, 128);
        let upper = [whole.word(32), whole.word(64), whole.word(96)];
        match groups.last_mut() {
            Some((last, lower)) if *last == upper => lower.push(whole.word(128)),
            _ => groups.push((upper, vec![whole.word(128)])),
        }
    }
    groups
}

fn v4(address: &IpAddr) -> Option<u128> {
    match address {
        IpAddr::V4(v4) => Some(u128::from(Ipv4Addr::to_bits(*v4))),
        IpAddr::V6(_) => None,
    }
}

fn v6(address: &IpAddr) -> Option<u128> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(Ipv6Addr::to_bits(*v6)),
    }
}

const fn load(code: u16, offset: u32) -> Instruction {
    Instruction {
        code,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

const fn equal(value: u32, jt: u8, jf: u8) -> Instruction {
    Instruction {
        code: JUMP_EQUAL,
        jt,
        jf,
        k: value,
    }
}

const fn far(by: u32) -> Instruction {
    Instruction {
        code: JUMP,
        jt: 0,
        jf: 0,
        k: by,
    }
}

const fn accept() -> Instruction {
    Instruction {
        code: RETURN,
        jt: 0,
        jf: 0,
        k: WHOLE,
    }
}

const fn refuse() -> Instruction {
    Instruction {
        code: RETURN,
        jt: 0,
        jf: 0,
        k: 0,
    }
}

#[cfg(test)]
mod tests;
