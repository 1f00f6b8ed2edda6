//! Exposures: ports that a container offers, and to whom.

use std::net::IpAddr;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::net::PortRange;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{Expose, Name, Protocol, Spanned};

use super::check::addresses::{Need, Use};
use super::check::host_ports::Claim;
use super::ir::{ContainerId, Exposure, Party, Published};
use super::names::Scope;
use super::{limits, literal, ports};

/// What all exposures together ask for, checked when all are read.
#[derive(Debug, Default)]
pub(super) struct Exposures {
    pub(super) claims: Vec<Claim>,
    pub(super) uses: Vec<Use>,
}

/// Reads a container's exposures. Returns `None` after an error in any of them.
pub(super) fn resolve<'a>(
    container: ContainerId,
    written: &'a [Expose],
    scope: &mut Scope<'a>,
    all: &mut Exposures,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Exposure>> {
    let mut reading = Reading {
        container,
        scope,
        all,
        diagnostics,
    };
    let found: Vec<_> = written
        .iter()
        .map(|expose| reading.expose(expose))
        .collect();
    let found: Option<Vec<Vec<Exposure>>> = found.into_iter().collect();
    found.map(|exposures| exposures.concat())
}

struct Reading<'a, 'r> {
    container: ContainerId,
    scope: &'r mut Scope<'a>,
    all: &'r mut Exposures,
    diagnostics: &'r mut Diagnostics,
}

/// Container ports, each with the host's ports that lead there.
type Pairs = Vec<(PortRange, Option<Published>)>;

impl<'a> Reading<'a, '_> {
    /// Reads one statement; every part of it is checked before it is given up.
    fn expose(&mut self, expose: &'a Expose) -> Option<Vec<Exposure>> {
        let limits = limits::read(expose, self.diagnostics);
        let pairs = self.pairs(expose);
        let from = self.from(expose);
        let (pairs, from) = (pairs?, from?);
        self.need_addresses(expose, &from);
        let exposure = |(ports, published)| Exposure {
            protocol: expose.service.protocol.node,
            ports,
            published,
            from: from.clone(),
            limits,
            log: expose.log.is_some(),
            span: expose.span,
        };
        Some(pairs.into_iter().map(exposure).collect())
    }

    fn from(&mut self, expose: &'a Expose) -> Option<Vec<Party>> {
        let Some(names) = &expose.from else {
            if let Some(published) = &expose.published {
                self.diagnostics.push(to_nobody(expose, published));
                return None;
            }
            return Some(Vec::new());
        };
        let from = self.scope.parties(names)?;
        let address = expose.published.as_ref().and_then(|it| it.address.as_ref());
        if let Some(address) = address.filter(|text| is_loopback(text)) {
            self.check_loopback(address, names, &from)?;
        }
        Some(from)
    }

    /// Only the host itself reaches its loopback addresses.
    fn check_loopback(
        &mut self,
        address: &Spanned<String>,
        names: &[Name],
        from: &[Party],
    ) -> Option<()> {
        let far = |party: &Party| !matches!(party, Party::Any | Party::Host);
        let mut both = names.iter().zip(from);
        let Some((name, _)) = both.find(|(_, party)| far(party)) else {
            return Some(());
        };
        self.diagnostics.push(unreachable_from(name, address));
        None
    }

    fn pairs(&mut self, expose: &'a Expose) -> Option<Pairs> {
        let service = &expose.service;
        if service.protocol.node == Protocol::Icmp {
            self.diagnostics.push(icmp(service.span));
            return None;
        }
        let inner = self.container_ports(expose);
        let Some(published) = &expose.published else {
            let unpublished = |ports| (ports, None);
            return inner.map(|inner| inner.into_iter().map(unpublished).collect());
        };
        let written = published.address.as_ref();
        let address = written.map_or(Some(None), |text| self.host_address(text).map(Some));
        let outer = ports::ranges(&published.ports, self.diagnostics);
        let (inner, outer, address) = (inner?, outer?, address?);
        let Some(pairs) = pair(&inner, &outer) else {
            let mismatch = count_mismatch(expose, published, &inner, &outer);
            self.diagnostics.push(mismatch);
            return None;
        };
        self.claim(published, &outer, address, service.protocol.node);
        let publish = |(ports, outer)| {
            let published = Published {
                address,
                ports: outer,
            };
            (ports, Some(published))
        };
        Some(pairs.into_iter().map(publish).collect())
    }

    fn container_ports(&mut self, expose: &Expose) -> Option<Vec<PortRange>> {
        let service = &expose.service;
        if !service.ports.is_empty() {
            return ports::ranges(&service.ports, self.diagnostics);
        }
        if expose.published.is_some() {
            self.diagnostics.push(no_ports(service));
            return None;
        }
        Some(vec![ports::ALL])
    }

    /// Returns the address that a port is published on, or `None` after an error.
    fn host_address(&mut self, written: &Spanned<String>) -> Option<IpAddr> {
        let (text, span) = (written.node.as_str(), written.span);
        let flaw = match literal::address(text) {
            Ok(address) if address.is_unspecified() => unspecified(text, span),
            Ok(address) if address.is_multicast() => multicast(text, span),
            Ok(address) => return Some(address),
            Err(flaw) => flaw.diagnostic(text, span),
        };
        self.diagnostics.push(flaw);
        None
    }

    fn claim(
        &mut self,
        published: &ast::Published,
        outer: &[PortRange],
        address: Option<IpAddr>,
        protocol: Protocol,
    ) {
        let claim = |(ports, written): (&PortRange, &Spanned<ast::PortRange>)| Claim {
            container: self.container,
            protocol,
            address,
            ports: *ports,
            span: written.span,
        };
        let claims = outer.iter().zip(&published.ports).map(claim);
        self.all.claims.extend(claims);
    }

    /// Remembers whose addresses the rules of this exposure must name.
    fn need_addresses(&mut self, expose: &'a Expose, from: &[Party]) {
        let names = expose.from.iter().flatten();
        for (name, party) in names.zip(from) {
            let used = |container| Use {
                container,
                need: Need::Some,
                span: name.span,
            };
            if let Party::Container(container) = party {
                self.all.uses.push(used(*container));
            }
            if expose.published.is_none() && *party != Party::Host {
                self.all.uses.push(used(self.container));
            }
        }
    }
}

fn is_loopback(written: &Spanned<String>) -> bool {
    literal::address(&written.node).is_ok_and(|address| address.is_loopback())
}

/// Puts container ports and host ports side by side, in the order written, cutting ranges where
/// the other side's end. Returns `None` when there are not as many of both.
fn pair(inner: &[PortRange], outer: &[PortRange]) -> Option<Vec<(PortRange, PortRange)>> {
    let (mut inner, mut outer) = (inner.iter().copied(), outer.iter().copied());
    let (mut left, mut right) = (inner.next(), outer.next());
    let mut pairs = Vec::new();
    while let (Some(a), Some(b)) = (left, right) {
        let count = a.count().min(b.count());
        let ((a, a_rest), (b, b_rest)) = (cut(a, count), cut(b, count));
        pairs.push((a, b));
        left = a_rest.or_else(|| inner.next());
        right = b_rest.or_else(|| outer.next());
    }
    (left.is_none() && right.is_none()).then_some(pairs)
}

/// Cuts a range after its first `count` ports, of which there are at least one.
fn cut(range: PortRange, count: u32) -> (PortRange, Option<PortRange>) {
    let last = u32::from(range.first) + count - 1;
    let Some(last) = u16::try_from(last).ok().filter(|last| *last < range.last) else {
        return (range, None);
    };
    let rest = PortRange {
        first: last + 1,
        ..range
    };
    (PortRange { last, ..range }, Some(rest))
}

fn to_nobody(expose: &Expose, published: &ast::Published) -> Diagnostic {
    Diagnostic::error(
        code::PUBLISHED_TO_NOBODY,
        "a published port must say `from` whom",
    )
    .at(published.span, "published on the host, for nobody named")
    .note("Docker alone opens a published port to everybody who reaches the host.")
    .help(
        "add `from any` if that is meant, or `from` with trust sets, networks or containers; \
         without `as` the port is for linked containers only",
    )
    .also(expose.service.span, "the container's side")
}

fn unreachable_from(name: &Name, address: &Spanned<String>) -> Diagnostic {
    let title = format!("`{}` cannot reach {}", name.node, address.node);
    Diagnostic::error(code::LOOPBACK_UNREACHABLE, title)
        .at(name.span, "not the host itself")
        .also(address.span, "a loopback address")
        .note("Only the host itself reaches its loopback addresses.")
        .help("write `from host`, or publish the port on another address")
}

fn icmp(span: Span) -> Diagnostic {
    Diagnostic::error(code::EXPOSED_WITHOUT_PORTS, "icmp cannot be exposed")
        .at(span, "it has no ports")
        .help("write an `allow` outside the block, such as `allow any -> NAME : icmp`")
}

fn no_ports(service: &ast::Service) -> Diagnostic {
    let word = ports::word(service.protocol.node);
    let title = "a published exposure needs the container's ports";
    Diagnostic::error(code::EXPOSED_WITHOUT_PORTS, title)
        .at(service.span, "the ports are missing")
        .help(format!("write them before the protocol, as in `80/{word}`"))
}

fn unspecified(text: &str, span: Span) -> Diagnostic {
    let title = format!("a port cannot be published on {text}");
    Diagnostic::error(code::BAD_HOST_ADDRESS, title)
        .at(span, "no connection goes to this address")
        .help("leave it out: without an address the port is on every address, IPv4 and IPv6")
}

fn multicast(text: &str, span: Span) -> Diagnostic {
    let title = format!("a port cannot be published on {text}");
    Diagnostic::error(code::BAD_HOST_ADDRESS, title).at(span, "this address is multicast")
}

fn count_mismatch(
    expose: &Expose,
    published: &ast::Published,
    inner: &[PortRange],
    outer: &[PortRange],
) -> Diagnostic {
    let total = |ranges: &[PortRange]| ranges.iter().map(|range| u64::from(range.count())).sum();
    let (inner, outer): (u64, u64) = (total(inner), total(outer));
    let named = |count: u64| match count {
        1 => "1 port".to_owned(),
        many => format!("{many} ports"),
    };
    Diagnostic::error(
        code::PORT_COUNT,
        "there must be as many host ports as container ports",
    )
    .at(published.span, format!("{} of the host", named(outer)))
    .also(
        expose.service.span,
        format!("{} of the container", named(inner)),
    )
}
