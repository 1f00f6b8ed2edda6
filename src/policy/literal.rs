//! Addresses and prefixes as users write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::diag::{Diagnostic, code};
use crate::source::Span;

/// What is wrong with the text of an address or a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Bits right of the prefix length are set; holds the prefix without them.
    HostBits(IpNet),
    /// An octet such as `010`.
    LeadingZero,
    /// An IPv4 address or prefix in IPv6 clothes; holds what it stands for.
    Mapped(IpNet),
    NoAddress,
    /// An address where a prefix is needed; holds the prefix of just that address.
    NoLength(IpNet),
    /// A prefix where an address is needed.
    Prefix,
    /// The length is no number or too large; holds the largest.
    Length(u8),
    /// An IPv6 address with `%`.
    Zone,
}

/// Reads one address.
pub(super) fn address(text: &str) -> Result<IpAddr, Flaw> {
    if text.contains('/') {
        return Err(Flaw::Prefix);
    }
    let address: IpAddr = text.parse().map_err(|_| why_no_address(text))?;
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err(Flaw::Mapped(unmap(v6, 128))),
        IpAddr::V4(_) | IpAddr::V6(_) => Ok(address),
    }
}

/// Reads one prefix, which must have a length and no bits right of it.
pub(super) fn prefix(text: &str) -> Result<IpNet, Flaw> {
    let Some((base, length)) = text.split_once('/') else {
        return Err(address(text).map_or_else(|flaw| flaw, |only| Flaw::NoLength(only.into())));
    };
    let base: IpAddr = base.parse().map_err(|_| why_no_address(base))?;
    let most = if base.is_ipv4() { 32 } else { 128 };
    let net = read_length(length)
        .and_then(|length| IpNet::new(base, length).ok())
        .ok_or(Flaw::Length(most))?;
    match base {
        IpAddr::V6(v6) if net.prefix_len() >= 96 && v6.to_ipv4_mapped().is_some() => {
            Err(Flaw::Mapped(unmap(v6, net.prefix_len())))
        }
        _ if net.trunc() != net => Err(Flaw::HostBits(net.trunc())),
        _ => Ok(net),
    }
}

/// Reads an address or a prefix; an address is the prefix that holds nothing else.
pub(super) fn block(text: &str) -> Result<IpNet, Flaw> {
    if text.contains('/') {
        prefix(text)
    } else {
        address(text).map(IpNet::from)
    }
}

/// Reads a length without the sign and leading zeros that `parse` would let pass.
fn read_length(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (plain && !padded).then(|| text.parse().ok()).flatten()
}

fn why_no_address(text: &str) -> Flaw {
    if text
        .split_once('%')
        .is_some_and(|(base, _)| base.parse::<Ipv6Addr>().is_ok())
    {
        return Flaw::Zone;
    }
    let trimmed: Vec<&str> = text
        .split('.')
        .map(|octet| match octet.trim_start_matches('0') {
            "" => "0",
            rest => rest,
        })
        .collect();
    let padded = trimmed.join(".");
    if padded != text && text.contains('.') && padded.parse::<IpAddr>().is_ok() {
        Flaw::LeadingZero
    } else {
        Flaw::NoAddress
    }
}

fn unmap(address: Ipv6Addr, length: u8) -> IpNet {
    let v4 = address.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED);
    let net = Ipv4Net::new(v4, length.saturating_sub(96)).unwrap_or_else(|_| v4.into());
    IpNet::V4(net.trunc())
}

/// Returns the shortest way to write a prefix: without its length when it is one address.
pub(super) fn shown(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

impl Flaw {
    /// Tells the user about the flaw of `text`, which stands at `span`.
    pub(super) fn diagnostic(self, text: &str, span: Span) -> Diagnostic {
        let no_address =
            || Diagnostic::error(code::BAD_ADDRESS, format!("`{text}` is not an address"));
        let no_prefix = || Diagnostic::error(code::BAD_PREFIX, format!("`{text}` is not a prefix"));
        match self {
            Flaw::HostBits(net) => host_bits(text, span, net),
            Flaw::LeadingZero => no_address()
                .at(span, "a number here starts with 0")
                .note("Some programs read such a number as octal, so it could mean two addresses."),
            Flaw::Length(most) => no_prefix().at(
                span,
                format!("the length must be a plain number from 0 to {most}"),
            ),
            Flaw::Mapped(net) => mapped(text, span, net),
            Flaw::NoAddress => no_address().at(
                span,
                "neither IPv4, as in 192.0.2.1, nor IPv6, as in 2001:db8::1",
            ),
            Flaw::NoLength(net) => no_prefix()
                .at(span, "a length is missing, as in /24 or /64")
                .note(format!("One address alone is the prefix {net}.")),
            Flaw::Prefix => no_address().at(span, "a prefix, where one address is needed"),
            Flaw::Zone => no_address()
                .at(span, "an interface follows the address")
                .help("leave out `%` and what follows it"),
        }
    }
}

fn host_bits(text: &str, span: Span, net: IpNet) -> Diagnostic {
    let title = format!("`{text}` has bits set right of its length");
    Diagnostic::error(code::HOST_BITS, title)
        .at(
            span,
            format!("a length of /{} covers all of {net}", net.prefix_len()),
        )
        .help(format!(
            "write `{net}` for all of it, or leave out the length for one address"
        ))
        .fix(span, net.to_string())
}

fn mapped(text: &str, span: Span, net: IpNet) -> Diagnostic {
    Diagnostic::error(
        code::MAPPED_ADDRESS,
        format!("`{text}` is IPv4 written as IPv6"),
    )
    .at(span, "no packet carries such an address")
    .help(format!("write `{}`", shown(net)))
    .fix(span, shown(net))
}
