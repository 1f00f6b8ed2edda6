//! The hosts of a policy: which network is on which, and the routes between them.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::diag::{Diagnostic, Diagnostics, code, suggest};
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::Name;

use super::hidden::Hidden;
use super::ir::{ContainerId, Host, NetworkId, Party, Policy, Route};
use super::networks::Draft;
use super::{check, containers};
use super::{settings, sysctl};

/// Most things that all hosts of a policy know together; each has a copy of its own.
const MAX_SEEN: usize = 1_000_000;

/// All hosts, in the order written; at least one.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) list: Vec<Host>,
    /// The `host` block's name, or all of it.
    places: Vec<Option<Span>>,
}

/// Reads all `host` blocks; a policy without one has a host with the defaults. A second block of one
/// host is refused, but its settings are checked.
pub(super) fn resolve(written: &[&ast::Host], diagnostics: &mut Diagnostics) -> Hosts {
    let mut hosts = Hosts {
        list: Vec::new(),
        places: Vec::new(),
    };
    let mut first: BTreeMap<Option<&str>, &ast::Host> = BTreeMap::new();
    for host in written {
        let block = settings::block(host, diagnostics);
        let name = host.name.as_ref().map(|name| name.node.as_str());
        if let Some(first) = first.get(&name) {
            diagnostics.push(described_twice(first, host));
        } else {
            first.insert(name, host);
            hosts.places.push(Some(place(host)));
            hosts.list.push(block);
        }
    }
    if let Some(host) = first.get(&None).filter(|_| hosts.list.len() > 1) {
        diagnostics.push(nameless(host));
    }
    if hosts.list.is_empty() {
        hosts.list.push(settings::defaults());
        hosts.places.push(None);
    }
    hosts
}

fn place(host: &ast::Host) -> Span {
    host.name.as_ref().map_or(host.span, |name| name.span)
}

fn described_twice(first: &ast::Host, other: &ast::Host) -> Diagnostic {
    Diagnostic::error(code::DUPLICATE_SETTING, "the host is described twice")
        .at(place(other), "described again here")
        .also(place(first), "the first `host` block")
        .help("put all settings into one `host` block, or give each host its name")
}

fn nameless(host: &ast::Host) -> Diagnostic {
    Diagnostic::error(code::HOST_UNNAMED, "a host has no name")
        .at(host.span, "which one?")
        .note("A policy with several hosts tells by their names which network is where.")
        .help("write its name before the brace, as in `host alpha {`")
}

impl Hosts {
    /// Returns the place in the list of the host that a network is on, or `None` after an error.
    pub(super) fn of_network(
        &self,
        network: &ast::Network,
        hidden: &Hidden,
        diagnostics: &mut Diagnostics,
    ) -> Option<usize> {
        match &network.host {
            None if self.list.len() == 1 => Some(0),
            None if hidden.spoils(network.span) => None,
            None => {
                diagnostics.push(self.placeless(&network.name));
                None
            }
            Some(name) => {
                let found = self.names().position(|known| known == name.node);
                if found.is_none() && !hidden.may_declare(&name.node) {
                    diagnostics.push(self.unknown(name));
                }
                found
            }
        }
    }

    /// Returns the names, an empty one for a host without.
    fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.list.iter().map(|host| host.name.as_deref());
        names.map(Option::unwrap_or_default)
    }

    fn placeless(&self, network: &Name) -> Diagnostic {
        let name = &network.node;
        let first = self.names().next().unwrap_or_default();
        let title = format!("nothing says on which host the network `{name}` is");
        Diagnostic::error(code::NETWORK_WITHOUT_HOST, title)
            .at(network.span, "`on` and a host are missing")
            .help(format!(
                "write `network {name} on {first} {{` if it is on {first}"
            ))
    }

    fn unknown(&self, written: &Name) -> Diagnostic {
        let title = format!("there is no host `{}`", written.node);
        let unknown = Diagnostic::error(code::UNKNOWN_NAME, title)
            .at(written.span, "no `host` block has this name");
        let names: Vec<&str> = self.names().filter(|name| !name.is_empty()).collect();
        match suggest::nearest(&written.node, names.iter().copied()) {
            Some(near) => unknown
                .help(format!("did you mean `{near}`?"))
                .fix(written.span, near),
            None if names.is_empty() => unknown.help(format!(
                "give the host its name: `host {} {{ … }}`",
                written.node
            )),
            None => unknown,
        }
    }

    /// Checks what lies between hosts and networks.
    pub(super) fn check(
        &self,
        networks: &[Draft],
        containers: &[containers::Draft],
        diagnostics: &mut Diagnostics,
    ) {
        for (host, id) in self.list.iter().zip(0..) {
            let local: Vec<&Draft> = networks.iter().filter(|draft| draft.host == id).collect();
            diagnostics.extend(
                host.routes
                    .iter()
                    .filter_map(|route| into_own(route, &local)),
            );
            diagnostics.extend(twice(&host.routes));
            diagnostics.extend(loose_sources(host));
        }
        let split = |draft| on_two_hosts(draft, networks);
        diagnostics.extend(containers.iter().filter_map(split));
        check::offers::check(containers, networks, diagnostics);
    }
}

/// Returns an error for a route to addresses that are behind a bridge of this host.
fn into_own(route: &Route, local: &[&Draft]) -> Option<Diagnostic> {
    let inside = |draft: &&&Draft| {
        let mut subnets = draft.network.subnets.iter();
        subnets.any(|subnet| subnet.contains(&route.prefix))
    };
    let network = &local.iter().find(inside)?.network;
    let title = format!("the route leads away from the network `{}`", network.name);
    let error = Diagnostic::error(code::BAD_ROUTE, title)
        .at(route.span, format!("{} is on this host", route.prefix))
        .also(network.span, "here");
    Some(error.help("a route is for the networks of other hosts"))
}

fn twice(routes: &[Route]) -> Vec<Diagnostic> {
    let mut seen: BTreeMap<IpNet, Span> = BTreeMap::new();
    let mut found = Vec::new();
    for route in routes {
        if let Some(first) = seen.insert(route.prefix, route.span) {
            let title = format!("there are two routes to {}", route.prefix);
            let twice = Diagnostic::error(code::BAD_ROUTE, title)
                .at(route.span, "routed again here")
                .also(first, "first routed here");
            found.push(twice);
        }
    }
    found
}

/// Returns an error for each `rp_filter` that the routes decide.
fn loose_sources(host: &Host) -> Vec<Diagnostic> {
    let devices = host.routes.iter().filter(|route| route.via.is_ipv4());
    let devices = devices.flat_map(|route| {
        route
            .device
            .as_ref()
            .map_or(&host.uplinks[..], std::slice::from_ref)
    });
    let owned: Vec<String> = devices
        .map(|device| format!("net/ipv4/conf/{}/rp_filter", device.0))
        .collect();
    let clashes = host.sysctls.iter().filter(|line| {
        let path = sysctl::path(&line.key);
        path.is_ok_and(|path| owned.contains(&path))
    });
    let instead = "leave it out: it follows from the routes";
    clashes
        .map(|line| sysctl::owned(&line.key, line.span, instead))
        .collect()
}

fn on_two_hosts(draft: &containers::Draft, networks: &[Draft]) -> Option<Diagnostic> {
    let attachments = draft.container.attachments.iter();
    let mut homes = attachments.filter_map(|at| networks.get(at.network.0));
    let first = homes.next().filter(|home| home.host_known)?;
    let other = homes.find(|home| home.host_known && home.host != first.host)?;
    let title = format!("the container `{}` is on two hosts", draft.container.name);
    let error = Diagnostic::error(code::ON_TWO_HOSTS, title)
        .at(
            draft.container.span,
            "a container lives where its networks are",
        )
        .also(first.network.span, "on one host")
        .also(other.network.span, "on another");
    Some(error)
}

/// Returns a warning for each network of another host that statements join with one of this host
/// and to which this host has no route.
fn missing_routes(host: Option<Span>, policy: &Policy) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (id, needs) in joined(policy) {
        let subnets = policy.networks.get(id.0).map(|network| &network.subnets);
        for subnet in subnets.into_iter().flatten() {
            let routed = |route: &Route| route.prefix.contains(subnet);
            if usable(policy, *subnet) && !policy.host.routes.iter().any(routed) {
                found.push(no_route(policy, *subnet, host.unwrap_or(needs), needs));
            }
        }
    }
    found
}

/// Returns false for a family that no network of this host has.
fn usable(policy: &Policy, subnet: IpNet) -> bool {
    let local = policy.networks.iter().filter(|network| network.local);
    let mut subnets = local.flat_map(|network| &network.subnets);
    subnets.any(|own| own.addr().is_ipv4() == subnet.addr().is_ipv4())
}

/// Returns the networks of other hosts that statements join with this host, each with the first that
/// does.
fn joined(policy: &Policy) -> BTreeMap<NetworkId, Span> {
    let mut by_access = BTreeMap::new();
    for access in &policy.accesses {
        join(
            policy,
            (&access.left, &access.right),
            access.span,
            &mut by_access,
        );
    }
    let mut by_exposure = BTreeMap::new();
    for (container, id) in policy.containers.iter().zip((0..).map(ContainerId)) {
        let container_side = [Party::Container(id)];
        for exposure in &container.exposures {
            let sides = (exposure.from.as_slice(), container_side.as_slice());
            join(policy, sides, exposure.span, &mut by_exposure);
        }
    }
    for (network, span) in by_exposure {
        let first = by_access.entry(network).or_insert(span);
        *first = span.min(*first);
    }
    by_access
}

/// Notes a statement for the networks of other hosts on one side, where this host is on the other.
fn join(
    policy: &Policy,
    (left, right): (&[Party], &[Party]),
    span: Span,
    found: &mut BTreeMap<NetworkId, Span>,
) {
    let is_here = |id: &NetworkId| policy.networks.get(id.0).is_some_and(|it| it.local);
    let has_here = |side: &[Party]| {
        side.iter()
            .any(|it| homes(policy, *it).any(|id| is_here(&id)))
    };
    for (near, far) in [(left, right), (right, left)] {
        if has_here(near) {
            let far = far.iter().flat_map(|party| homes(policy, *party));
            for id in far.filter(|id| !is_here(id)) {
                found.entry(id).or_insert(span);
            }
        }
    }
}

/// Returns the networks that a party is on.
fn homes(policy: &Policy, party: Party) -> impl Iterator<Item = NetworkId> + '_ {
    let (network, container) = match party {
        Party::Network(id) => (Some(id), None),
        Party::Container(id) => (None, policy.containers.get(id.0)),
        Party::Any | Party::Host | Party::Outside | Party::Trust(_) => (None, None),
    };
    let attachments = container.into_iter().flat_map(|it| &it.attachments);
    network.into_iter().chain(attachments.map(|at| at.network))
}

fn no_route(policy: &Policy, subnet: IpNet, place: Span, needs: Span) -> Diagnostic {
    let name = policy.host.name.as_deref().unwrap_or("this host");
    let title = format!("`{name}` has no route to {subnet}");
    Diagnostic::warning(code::NO_ROUTE, title)
        .at(place, "packets would leave by its default route")
        .also(needs, "needed here")
        .help(format!(
            "add `route {subnet} via ADDRESS`, with the other host's address, unless a router knows the way"
        ))
}

impl Hosts {
    /// Returns the place in the list of the host that a block describes.
    pub(super) fn place(&self, block: &ast::Host) -> usize {
        let name = block.name.as_ref().map_or("", |name| name.node.as_str());
        self.names().position(|known| known == name).unwrap_or(0)
    }

    /// Says where hosts, with all that each of them knows, are more than anybody could compare.
    pub(super) fn too_much(&self, shared: &Policy) -> Option<Diagnostic> {
        let exposures = shared.containers.iter().map(|it| it.exposures.len() + 1);
        let prefixes = shared.trusts.iter().map(|it| it.set.range_count() + 1);
        let things = shared.networks.len()
            + shared.accesses.len()
            + exposures.sum::<usize>()
            + prefixes.sum::<usize>();
        let count = self.list.len();
        if count < 2 || count.saturating_mul(things) <= MAX_SEEN {
            return None;
        }
        let title = format!("the policy has {count} hosts, and each would know {things} things");
        let found = Diagnostic::error(code::TOO_MANY_TO_PROVE, title)
            .note("Networks, containers, their ports, prefixes and statements are such.")
            .help("make a policy of each group of hosts, with what they share in an included file");
        let last = self.places.iter().flatten().last();
        Some(match last {
            Some(place) => found.at(*place, "the last of them"),
            None => found,
        })
    }

    /// Makes the policy of each host out of what they share, and reports the routes that it misses.
    pub(super) fn split(
        self,
        networks: &[Draft],
        shared: Policy,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Policy> {
        let mut policies = Vec::with_capacity(self.list.len());
        let last = self.list.len().saturating_sub(1);
        let mut shared = Some(shared);
        for (at, (host, place)) in self.list.into_iter().zip(self.places).enumerate() {
            // One host is what most policies have, and copies of large ones take their time.
            let copy = if at == last {
                shared.take()
            } else {
                shared.clone()
            };
            let mut policy = copy.unwrap_or_else(|| unreachable!("taken for the last host"));
            policy.host = host;
            for (network, draft) in policy.networks.iter_mut().zip(networks) {
                network.local = draft.host == at;
            }
            diagnostics.extend(missing_routes(place, &policy));
            policies.push(policy);
        }
        policies
    }
}
