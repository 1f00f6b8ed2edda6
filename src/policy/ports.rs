//! Ports and services as written, checked.

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::net::PortRange;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{Protocol, Spanned};

use super::icmp;
use super::ir::Service;

/// All ports of a protocol. Port 0 is none: no connection can go there.
pub(super) const ALL: PortRange = PortRange {
    first: 1,
    last: u16::MAX,
};

/// Returns the checked ranges in their order, or `None` after an error.
pub(super) fn ranges(
    written: &[Spanned<ast::PortRange>],
    diagnostics: &mut Diagnostics,
) -> Option<Vec<PortRange>> {
    let checked: Vec<_> = written
        .iter()
        .map(|range| range_of(range, diagnostics))
        .collect();
    checked.into_iter().collect()
}

fn range_of(written: &Spanned<ast::PortRange>, diagnostics: &mut Diagnostics) -> Option<PortRange> {
    let ast::PortRange { first, last } = written.node;
    let checked = match (port(first), port(last)) {
        (Some(low), Some(high)) if low <= high => Ok(PortRange {
            first: low,
            last: high,
        }),
        (Some(_), Some(_)) => Err(reversed(written.span, first, last)),
        (None, _) => Err(no_port(written.span, first)),
        (_, None) => Err(no_port(written.span, last)),
    };
    checked.map_err(|flaw| diagnostics.push(flaw)).ok()
}

fn port(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port != 0)
}

fn no_port(span: Span, number: u32) -> Diagnostic {
    Diagnostic::error(code::BAD_PORT, format!("{number} is not a port"))
        .at(span, "ports go from 1 to 65535")
}

fn reversed(span: Span, first: u32, last: u32) -> Diagnostic {
    Diagnostic::error(code::BAD_PORT, "the range of ports ends before it starts")
        .at(span, format!("{last} comes before {first}"))
        .help(format!("did you mean `{last}-{first}`?"))
        .fix(span, format!("{last}-{first}"))
}

/// Returns the services of a statement, one for each range, or `None` after an error.
pub(super) fn services(
    written: &[ast::Service],
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Service>> {
    let checked: Vec<_> = written
        .iter()
        .map(|service| one(service, diagnostics))
        .collect();
    let checked: Option<Vec<Vec<Service>>> = checked.into_iter().collect();
    checked.map(|services| services.concat())
}

/// Returns what one written service stands for, or `None` after an error.
pub(super) fn one(written: &ast::Service, diagnostics: &mut Diagnostics) -> Option<Vec<Service>> {
    let protocol = written.protocol.node;
    if protocol == Protocol::Icmp {
        return icmp_service(written, diagnostics).map(|service| vec![service]);
    }
    if written.ports.is_empty() {
        return Some(vec![Service::Ports(protocol, None)]);
    }
    let ranges = ranges(&written.ports, diagnostics)?;
    let service = |range| Service::Ports(protocol, Some(range));
    Some(ranges.into_iter().map(service).collect())
}

fn icmp_service(written: &ast::Service, diagnostics: &mut Diagnostics) -> Option<Service> {
    if let Some(ports) = written.ports.first() {
        diagnostics.push(icmp_ports(ports.span));
        return None;
    }
    match &written.icmp_type {
        None => Some(Service::Icmp(None)),
        Some(name) => icmp::find(name, diagnostics).map(|found| Service::Icmp(Some(found))),
    }
}

fn icmp_ports(span: Span) -> Diagnostic {
    Diagnostic::error(code::BAD_PORT, "icmp has no ports")
        .at(span, "these would never match")
        .help("write `icmp`, or `icmp` with a type such as `icmp echo-request`")
}

/// Returns the protocol's word in the language.
pub(super) fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Icmp => "icmp",
        Protocol::Sctp => "sctp",
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}
