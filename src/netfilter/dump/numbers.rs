//! Numbers and their names in rules: ports, protocols, ICMP types, TCP flags, marks, addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{DumpErrorKind, protocols};
use crate::net::{Family, PortRange};

/// Returns the ports of `80`, `80:90`, `:90` or `80:`; nothing for a service's name, which only the
/// machine's own list could tell.
pub(super) fn port(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str, empty| match text {
        "" => Some(empty),
        digits => digits.parse().ok(),
    };
    let (first, last) = (number(first, 0)?, number(last, u16::MAX)?);
    (first <= last && !text.is_empty()).then_some(PortRange { first, last })
}

/// Most ports of one match; `XT_MULTI_PORTS` of the kernel's `xt_multiport.h`.
const MAX_PORTS: usize = 15;

/// Returns the ports of a list with commas; nothing where one is a service's name.
pub(super) fn ports(text: &str) -> Result<Option<Vec<PortRange>>, DumpErrorKind> {
    if text.split(',').count() > MAX_PORTS {
        return Err(DumpErrorKind::Ports);
    }
    Ok(text.split(',').map(port).collect())
}

/// Returns a protocol's number; nothing for `all`, and an error for a name unknown here.
pub(super) fn protocol(text: &str) -> Result<Option<u8>, DumpErrorKind> {
    if protocols::is_any(text) {
        return Ok(None);
    }
    let number = protocols::number(text).or_else(|| text.parse().ok());
    number.map(Some).ok_or(DumpErrorKind::Number)
}

/// Tells whether a type of ICMP stands for all; 255 is what iptables makes of `any`.
pub(super) fn is_any_icmp(text: &str, family: Family) -> bool {
    text == "any" || (text == "255" && family == Family::V4)
}

/// Returns type and code of `8`, `3/4` or a name; nothing for names unknown here.
pub(super) fn icmp(text: &str, family: Family) -> Option<(u8, Option<u8>)> {
    const V4: [(&str, u8, Option<u8>); 12] = [
        ("address-mask-request", 17, None),
        ("destination-unreachable", 3, None),
        ("echo-reply", 0, None),
        ("echo-request", 8, None),
        ("fragmentation-needed", 3, Some(4)),
        ("parameter-problem", 12, None),
        ("port-unreachable", 3, Some(3)),
        ("redirect", 5, None),
        ("router-advertisement", 9, None),
        ("source-quench", 4, None),
        ("time-exceeded", 11, None),
        ("timestamp-request", 13, None),
    ];
    const V6: [(&str, u8, Option<u8>); 13] = [
        ("destination-unreachable", 1, None),
        ("echo-reply", 129, None),
        ("echo-request", 128, None),
        ("neighbor-advertisement", 136, None),
        ("neighbor-solicitation", 135, None),
        ("neighbour-advertisement", 136, None),
        ("neighbour-solicitation", 135, None),
        ("packet-too-big", 2, None),
        ("parameter-problem", 4, None),
        ("redirect", 137, None),
        ("router-advertisement", 134, None),
        ("router-solicitation", 133, None),
        ("time-exceeded", 3, None),
    ];
    let names: &[(&str, u8, Option<u8>)] = match family {
        Family::V4 => &V4,
        Family::V6 => &V6,
    };
    if let Some((_, kind, code)) = names.iter().find(|(name, ..)| *name == text) {
        return Some((*kind, *code));
    }
    match text.split_once('/') {
        None => Some((text.parse().ok()?, None)),
        Some((kind, code)) => Some((kind.parse().ok()?, Some(code.parse().ok()?))),
    }
}

/// Returns the bits of a list of TCP flags, RFC 9293 section 3.1.
pub(super) fn tcp_flags(text: &str) -> Result<u8, DumpErrorKind> {
    const FLAGS: [(&str, u8); 8] = [
        ("FIN", 1),
        ("SYN", 2),
        ("RST", 4),
        ("PSH", 8),
        ("ACK", 16),
        ("URG", 32),
        ("ALL", 63),
        ("NONE", 0),
    ];
    let bits = |word: &str| {
        let flag = FLAGS.iter().find(|(name, _)| *name == word);
        flag.map(|(_, bits)| *bits).ok_or(DumpErrorKind::Number)
    };
    text.split(',')
        .try_fold(0, |all, word| Ok(all | bits(word)?))
}

/// Returns a number that is written in decimal or, with `0x`, in hexadecimal.
pub(super) fn number(text: &str) -> Result<u32, DumpErrorKind> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| DumpErrorKind::Number)
}

/// Returns value and mask of `0x1/0xff`; without a mask it is all bits.
pub(super) fn masked(text: &str) -> Result<(u32, u32), DumpErrorKind> {
    match text.split_once('/') {
        None => Ok((number(text)?, u32::MAX)),
        Some((value, mask)) => Ok((number(value)?, number(mask)?)),
    }
}

/// Returns the prefixes of a list of addresses. A mask with holes is `Ok(None)`: no prefix says it.
pub(super) fn nets(text: &str, family: Family) -> Result<Option<Vec<IpNet>>, DumpErrorKind> {
    text.split(',').map(|one| net(one, family)).collect()
}

fn net(text: &str, family: Family) -> Result<Option<IpNet>, DumpErrorKind> {
    let (address, mask) = text.split_once('/').unwrap_or((text, ""));
    let address = match (family, address.parse()) {
        (_, Ok(whole)) => fitting(whole, family)?,
        (Family::V4, Err(_)) => padded(address)?,
        (Family::V6, Err(_)) => return Err(DumpErrorKind::Name),
    };
    let length = match (mask, mask.parse::<u8>()) {
        ("", _) => Some(family_bits(family)),
        (_, Ok(length)) => Some(length),
        (_, Err(_)) => ipnet::ip_mask_to_prefix(self::address(mask, family)?).ok(),
    };
    let Some(length) = length else {
        return Ok(None);
    };
    let net = IpNet::new(address, length).map_err(|_| DumpErrorKind::Number)?;
    Ok(Some(net.trunc()))
}

fn family_bits(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

pub(super) fn address(text: &str, family: Family) -> Result<IpAddr, DumpErrorKind> {
    fitting(text.parse().map_err(|_| DumpErrorKind::Name)?, family)
}

/// Returns the address of `10` or `172.16`: bytes that are missing are zero, `__numeric_to_ipaddr` of
/// iptables.
fn padded(text: &str) -> Result<IpAddr, DumpErrorKind> {
    let mut bytes = [0; 4];
    let parts: Vec<&str> = text.split('.').collect();
    for (byte, part) in bytes.iter_mut().zip(&parts) {
        // With a zero in front a number would be octal.
        let plain = *part == "0" || !part.starts_with('0');
        let number = part.parse().ok().filter(|_| plain);
        *byte = number.ok_or(DumpErrorKind::Name)?;
    }
    if parts.len() < 4 {
        Ok(bytes.into())
    } else {
        Err(DumpErrorKind::Name)
    }
}

fn fitting(address: IpAddr, family: Family) -> Result<IpAddr, DumpErrorKind> {
    let fits = address.is_ipv6() == (family == Family::V6);
    if fits {
        Ok(address)
    } else {
        Err(DumpErrorKind::Address)
    }
}

/// Returns both ends of `A-B`, or the address twice.
pub(super) fn range(text: &str, family: Family) -> Result<(IpAddr, IpAddr), DumpErrorKind> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Ok((address(first, family)?, address(last, family)?))
}
