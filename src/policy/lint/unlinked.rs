//! Ports that are exposed to linked containers, and to which nobody is linked.

use std::collections::BTreeMap;

use crate::diag::{Diagnostic, code};
use crate::net::AddrSet;
use crate::policy::ir::{Access, Container, ContainerId, Effect, Exposure, Party, Policy, Service};
use crate::policy::ports;

/// How many exposures of one container are shown.
const MAX_SHOWN: usize = 8;

/// Warns of each container that exposes ports without `from` which no link and no allow is about. On
/// a network with `icc on` its neighbours use them.
pub(super) fn check(policy: &Policy) -> Vec<Diagnostic> {
    let openings = Openings::of(policy);
    let containers = policy.containers.iter().zip((0..).map(ContainerId));
    let closed = containers.filter(|(container, _)| !has_neighbours(policy, container));
    let found = closed.filter_map(|(container, id)| {
        let exposures = container.exposures.iter();
        let idle = exposures.filter(|it| it.from.is_empty() && !openings.reach(it, container, id));
        unlinked(container, &idle.collect::<Vec<_>>())
    });
    found.collect()
}

fn has_neighbours(policy: &Policy, container: &Container) -> bool {
    let mut attachments = container.attachments.iter();
    attachments.any(|at| {
        let network = policy.networks.get(at.network.0);
        network.is_some_and(|it| it.icc)
    })
}

/// What allows and links open, by whom they open it to.
struct Openings<'p> {
    by_right: BTreeMap<Party, Vec<&'p Access>>,
    /// Trust sets may hold containers' addresses.
    trusted: AddrSet,
}

impl<'p> Openings<'p> {
    fn of(policy: &'p Policy) -> Self {
        let mut by_right: BTreeMap<Party, Vec<&Access>> = BTreeMap::new();
        let mut sets = Vec::new();
        let allows = policy.accesses.iter();
        for access in allows.filter(|it| it.effect == Effect::Allow) {
            for party in &access.right {
                by_right.entry(*party).or_default().push(access);
                if let Party::Trust(id) = party {
                    sets.extend(policy.trusts.get(id.0).map(|it| &it.set));
                }
            }
        }
        Openings {
            by_right,
            trusted: AddrSet::union_of(sets),
        }
    }

    fn reach(&self, exposure: &Exposure, container: &Container, id: ContainerId) -> bool {
        let networks = container.attachments.iter();
        let networks = networks.map(|at| Party::Network(at.network));
        let mut meant = networks.chain([Party::Any, Party::Container(id)]);
        let mut addresses = container.attachments.iter().flat_map(|at| &at.addresses);
        meant.any(|party| self.to(party, exposure))
            || addresses.any(|address| self.trusted.contains(*address))
    }

    fn to(&self, party: Party, exposure: &Exposure) -> bool {
        let accesses = self.by_right.get(&party);
        let mut accesses = accesses.into_iter().flatten();
        accesses.any(|access| is_about(&access.services, exposure))
    }
}

/// Tells whether services have a port of an exposure among them; none written are all.
fn is_about(services: &[Service], exposure: &Exposure) -> bool {
    services.is_empty()
        || services.iter().any(|service| match service {
            Service::Icmp(_) => false,
            Service::Ports(protocol, range) => {
                *protocol == exposure.protocol
                    && range.is_none_or(|range| range.intersection(exposure.ports).is_some())
            }
        })
}

fn unlinked(container: &Container, idle: &[&Exposure]) -> Option<Diagnostic> {
    let (first, rest) = idle.split_first()?;
    let (name, ports) = (&container.name, shown(first));
    let more = match rest.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let title = format!("nobody is linked to {ports}{more} of `{name}`");
    let warning = Diagnostic::warning(code::UNLINKED, title)
        .at(first.span, "for linked containers, and there is no link")
        .help(format!(
            "write `link NAME -> {name}`, say `from` whom, or take it out"
        ));
    let others = rest.iter().filter(|it| it.span != first.span);
    Some(others.take(MAX_SHOWN).fold(warning, |warning, other| {
        warning.also(other.span, format!("nor {}", shown(other)))
    }))
}

fn shown(exposure: &Exposure) -> String {
    format!("{}/{}", exposure.ports, ports::word(exposure.protocol))
}
