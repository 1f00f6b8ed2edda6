//! Ports of the host that two exposures want.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::net::PortRange;
use crate::policy::containers::Draft;
use crate::policy::ir::ContainerId;
use crate::policy::ports;
use crate::source::Span;
use crate::syntax::ast::Protocol;

/// Ports of the host that an exposure publishes on.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Claim {
    pub(in crate::policy) container: ContainerId,
    pub(in crate::policy) protocol: Protocol,
    /// `None` is every address, and clashes with each.
    pub(in crate::policy) address: Option<IpAddr>,
    pub(in crate::policy) ports: PortRange,
    pub(in crate::policy) span: Span,
}

/// Checks that no two claims to one host have a port, protocol and address in common; `host_of`
/// tells where a container is.
pub(in crate::policy) fn check(
    claims: &[Claim],
    containers: &[Draft],
    host_of: impl Fn(&Draft) -> usize,
    diagnostics: &mut Diagnostics,
) {
    let mut hosts: BTreeMap<usize, Vec<Claim>> = BTreeMap::new();
    for claim in claims {
        let host = containers.get(claim.container.0).map_or(0, &host_of);
        hosts.entry(host).or_default().push(*claim);
    }
    let check = Check { containers };
    for claims in hosts.values() {
        check.host(claims, diagnostics);
    }
}

type Groups = BTreeMap<(Protocol, Option<IpAddr>), Vec<Claim>>;

/// Keeps of sorted claims those that reach further than all before, so that their ends are
/// sorted too.
fn reaching(group: &[Claim]) -> Vec<Claim> {
    let mut kept: Vec<Claim> = Vec::new();
    for claim in group {
        if kept
            .last()
            .is_none_or(|last| last.ports.last < claim.ports.last)
        {
            kept.push(*claim);
        }
    }
    kept
}

struct Check<'c> {
    containers: &'c [Draft],
}

impl Check<'_> {
    fn host(&self, claims: &[Claim], diagnostics: &mut Diagnostics) {
        let mut groups = Groups::new();
        for claim in claims {
            let group = groups.entry((claim.protocol, claim.address)).or_default();
            group.push(*claim);
        }
        let mut everywhere: Vec<Claim> = Vec::new();
        // `None` sorts before every address, so the claims to all addresses come first.
        for ((_, address), mut group) in groups {
            group.sort_by_key(|claim| (claim.ports, claim.span));
            self.within(&group, diagnostics);
            if address.is_none() {
                everywhere = reaching(&group);
            } else {
                self.against(&group, &everywhere, diagnostics);
            }
        }
    }

    /// Checks claims to one address, sorted, against the one that reaches furthest so far.
    fn within(&self, group: &[Claim], diagnostics: &mut Diagnostics) {
        let mut furthest: Option<Claim> = None;
        for claim in group {
            match furthest {
                Some(before) if before.ports.last >= claim.ports.first => {
                    diagnostics.extend(self.clash(*claim, before));
                }
                _ => {}
            }
            if furthest.is_none_or(|before| before.ports.last < claim.ports.last) {
                furthest = Some(*claim);
            }
        }
    }

    /// Checks claims to one address against those to every address of the same protocol.
    fn against(&self, group: &[Claim], everywhere: &[Claim], diagnostics: &mut Diagnostics) {
        for claim in group {
            let at = everywhere.partition_point(|other| other.ports.last < claim.ports.first);
            let other = everywhere.get(at).filter(|other| {
                other.protocol == claim.protocol && other.ports.first <= claim.ports.last
            });
            if let Some(other) = other {
                diagnostics.extend(self.clash(*claim, *other));
            }
        }
    }

    /// Tells of a clash, except between declarations of one container, reported as such.
    fn clash(&self, a: Claim, b: Claim) -> Option<Diagnostic> {
        let name = |claim: Claim| {
            let draft = self.containers.get(claim.container.0);
            draft.map_or("", |draft| draft.container.name.as_str())
        };
        let (first, later) = if a.span < b.span { (a, b) } else { (b, a) };
        if first.container != later.container && name(first) == name(later) {
            return None;
        }
        let common = first.ports.intersection(later.ports)?;
        Some(twice(first, later, common, (name(first), name(later))))
    }
}

fn twice(first: Claim, later: Claim, common: PortRange, names: (&str, &str)) -> Diagnostic {
    let protocol = ports::word(later.protocol);
    let title = format!("the host's port {common}/{protocol} is published twice");
    let twice = Diagnostic::error(code::HOST_PORT_TWICE, title)
        .at(later.span, format!("for `{}` here", names.1))
        .also(first.span, format!("for `{}` here", names.0));
    if first.address == later.address {
        twice.help("take another host port, or put all who may connect into one `from`")
    } else {
        twice.note("Without an address a port is on every address of the host.")
    }
}
