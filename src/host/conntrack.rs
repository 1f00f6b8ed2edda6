//! The connections that the kernel tracks: ctnetlink, `nfnetlink_conntrack.h` of the kernel.
//!
//! One dump, and removals by the kernel's own number of a connection, so that another one between the
//! same ends, made meanwhile, is never meant.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::HostError;
use crate::netfilter::Family;

/// `NFNL_SUBSYS_CTNETLINK` in the upper byte, `IPCTNL_MSG_CT_GET` and `_DELETE` in the lower one.
const GET: u16 = 0x101;
const DELETE: u16 = 0x102;
/// `NLM_F_REQUEST`, with `NLM_F_DUMP` or `NLM_F_ACK`; netlink(7).
const DUMP: u16 = 0x301;
const ACK: u16 = 0x005;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const TUPLE_MASTER: u16 = 14;
const ZONE: u16 = 18;
/// Largest message of a dump is 32 KiB, `NLMSG_GOODSIZE` and `netlink_dump` of the kernel.
const BUFFER: usize = 128 * 1024;
/// How many removals are sent at once; their answers fit the socket's buffer.
const BATCH: usize = 100;
const PATIENCE: i64 = 10;
const HEADER: usize = 20;

/// The ends of a connection as its first packet named them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ends {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// IANA's number.
    pub protocol: u8,
    /// Zero where the protocol has no ports, as `port`.
    pub source_port: u16,
    pub port: u16,
    /// Type and code of ICMP.
    pub icmp: (u8, u8),
}

/// A connection that the kernel tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    pub family: Family,
    pub ends: Ends,
    /// Where the kernel sends it, which differs from its destination behind a published port.
    pub to: (IpAddr, u16),
    /// The connection that announced this one, as FTP does.
    pub master: Option<Ends>,
    /// The attributes that name it, as the kernel gave them.
    key: Vec<u8>,
}

fn failed(error: impl Into<io::Error>) -> HostError {
    HostError::Conntrack(error.into())
}

fn open() -> Result<OwnedFd, HostError> {
    let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
    let socket = socket(
        family,
        kind,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    );
    let socket = socket.map_err(failed)?;
    setsockopt(
        &socket,
        sockopt::ReceiveTimeout,
        &TimeVal::seconds(PATIENCE),
    )
    .map_err(failed)?;
    Ok(socket)
}

/// Returns all connections of both families in the namespace of the calling thread.
pub(super) fn flows() -> Result<Vec<Flow>, HostError> {
    let socket = open()?;
    let request = message(GET, DUMP, 0, &[]);
    send(socket.as_raw_fd(), &request, MsgFlags::empty()).map_err(failed)?;
    let (mut found, mut buffer) = (Vec::new(), vec![0; BUFFER]);
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).map_err(failed)?;
        for part in messages(buffer.get(..length).unwrap_or_default()) {
            match part.kind {
                DONE => return Ok(found),
                ERROR => part.check().map_err(failed)?,
                _ => found.extend(flow(&part)),
            }
        }
    }
}

/// Removes connections, and returns how many of them were still there.
pub(super) fn cut(flows: &[&Flow]) -> Result<usize, HostError> {
    let socket = open()?;
    let (mut gone, mut buffer) = (0, vec![0; BUFFER]);
    for some in flows.chunks(BATCH) {
        let texts = some
            .iter()
            .map(|flow| message(DELETE, ACK, number(flow.family), &flow.key));
        let batch: Vec<u8> = texts.flatten().collect();
        send(socket.as_raw_fd(), &batch, MsgFlags::empty()).map_err(failed)?;
        let mut answers = 0;
        while answers < some.len() {
            let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty());
            let length = length.map_err(failed)?;
            for part in messages(buffer.get(..length).unwrap_or_default()) {
                answers += 1;
                match part.check() {
                    Ok(()) => gone += 1,
                    // It ended by itself.
                    Err(Errno::ENOENT) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
        }
    }
    Ok(gone)
}

/// `AF_INET` and `AF_INET6`; socket(2).
fn number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// Writes a `nlmsghdr`, a `nfgenmsg` and attributes; all three are multiples of four bytes.
fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + attributes.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + attributes.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0, 0, 0]);
    bytes.extend(attributes);
    bytes
}

/// A message of the kernel's, without its `nlmsghdr`.
struct Part<'b> {
    kind: u16,
    body: &'b [u8],
}

impl Part<'_> {
    /// Reads an `nlmsgerr`, whose error is negative and none at zero.
    fn check(&self) -> Result<(), Errno> {
        let error = self
            .body
            .first_chunk()
            .map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        if error == 0 {
            return Ok(());
        }
        Err(Errno::from_raw(-error))
    }
}

fn messages(mut bytes: &[u8]) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_ne_bytes(*length) as usize;
        let kind = rest.first_chunk().map(|kind| u16::from_ne_bytes(*kind));
        let (Some(kind), Some(body)) = (kind, bytes.get(16..length)) else {
            break;
        };
        found.push(Part { kind, body });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// An attribute: its kind, its value, and all of its bytes.
struct Attribute<'b> {
    kind: u16,
    value: &'b [u8],
    whole: &'b [u8],
}

fn attributes(mut bytes: &[u8]) -> Vec<Attribute<'_>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_ne_bytes(*length));
        let kind = rest.first_chunk().map(|kind| u16::from_ne_bytes(*kind));
        let (Some(kind), Some(value)) = (kind, bytes.get(4..length)) else {
            break;
        };
        let end = length.next_multiple_of(4).min(bytes.len());
        let whole = bytes.get(..end).unwrap_or_default();
        // The upper two bits say that it holds others, or numbers in network order.
        let kind = kind & 0x3fff;
        found.push(Attribute { kind, value, whole });
        bytes = bytes.get(end..).unwrap_or_default();
    }
    found
}

fn value(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = attributes(bytes).into_iter();
    all.find(|it| it.kind == kind).map(|it| it.value)
}

/// Reads one connection; nothing for what has no address of ours to judge by.
fn flow(part: &Part<'_>) -> Option<Flow> {
    let family = match part.body.first()? {
        2 => Family::V4,
        10 => Family::V6,
        _ => return None,
    };
    let body = part.body.get(4..)?;
    let reply = ends(value(body, TUPLE_REPLY)?)?;
    let names = attributes(body).into_iter();
    let names = names.filter(|it| [TUPLE_ORIG, ID, ZONE].contains(&it.kind));
    Some(Flow {
        family,
        ends: ends(value(body, TUPLE_ORIG)?)?,
        to: (reply.source, reply.source_port),
        master: value(body, TUPLE_MASTER).and_then(ends),
        key: names.flat_map(|it| it.whole.iter().copied()).collect(),
    })
}

fn ends(tuple: &[u8]) -> Option<Ends> {
    let (ip, protocol) = (value(tuple, 1)?, value(tuple, 2)?);
    let address = |four: u16, six: u16| -> Option<IpAddr> {
        let v4 = value(ip, four).and_then(|bytes| bytes.first_chunk::<4>());
        let v6 = value(ip, six).and_then(|bytes| bytes.first_chunk::<16>());
        let v4 = v4.map(|bytes| Ipv4Addr::from(*bytes).into());
        v4.or_else(|| v6.map(|bytes| Ipv6Addr::from(*bytes).into()))
    };
    let port = |kind| {
        let bytes = value(protocol, kind).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes))
    };
    let byte = |kinds: [u16; 2]| {
        let found = kinds
            .iter()
            .find_map(|kind| value(protocol, *kind)?.first());
        found.copied().unwrap_or(0)
    };
    Some(Ends {
        source: address(1, 3)?,
        destination: address(2, 4)?,
        protocol: *value(protocol, 1)?.first()?,
        source_port: port(2),
        port: port(3),
        icmp: (byte([5, 8]), byte([6, 9])),
    })
}
