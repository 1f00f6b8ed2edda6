//! From all files' items to the policy.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::facts::Facts;
use crate::source::{SourceId, Span};
use crate::syntax::ast::{self, HostSetting, Item, Name};

use super::access::{self, Reading};
use super::check;
use super::containers::{self, Surroundings};
use super::exposures::Exposures;
use super::hosts::{self, Hosts};
use super::imports::Imports;
use super::ir::{ContainerId, Names, NetworkId, Policy, TrustId, Undeclared};
use super::names::{Entity, Scope};
use super::reader::Reader;
use super::{internal, networks, settings, stock, trust, undeclared};

const MAX_NETWORKS: usize = 4_096;
const MAX_CONTAINERS: usize = 100_000;

/// Items by kind, each kind in the order written.
#[derive(Debug, Default)]
struct Items<'a> {
    accesses: Vec<&'a ast::Access>,
    containers: Vec<&'a ast::Container>,
    expects: Vec<&'a ast::Expect>,
    hosts: Vec<&'a ast::Host>,
    networks: Vec<&'a ast::Network>,
    trusts: Vec<&'a ast::Trust>,
}

impl<'a> Items<'a> {
    fn sort(items: &'a [Item]) -> Self {
        let mut sorted = Items::default();
        for item in items {
            match item {
                Item::Access(access) => sorted.accesses.push(access),
                Item::Container(container) => sorted.containers.push(container),
                Item::Expect(expect) => sorted.expects.push(expect),
                Item::Host(host) => sorted.hosts.push(host),
                Item::Include(_) => {}
                Item::Network(network) => sorted.networks.push(network),
                Item::Trust(trust) => sorted.trusts.push(trust),
            }
        }
        sorted
    }

    /// Returns the interfaces that face outside, as written, each with its host's place.
    fn uplinks(&self, hosts: &Hosts) -> Vec<(usize, &'a Name)> {
        let mut uplinks = Vec::new();
        for host in &self.hosts {
            let at = hosts.place(host);
            for setting in &host.settings {
                if let HostSetting::Uplink(names) = &setting.node {
                    uplinks.extend(names.iter().map(|name| (at, name)));
                }
            }
        }
        uplinks
    }
}

/// Looks up all names and makes all checks. The result stands only if no errors were reported.
pub(super) fn resolve(
    imports: &Imports,
    main: SourceId,
    inventory: Option<&Facts>,
    reader: &mut Reader<'_>,
) -> Vec<Policy> {
    let items = Items::sort(&imports.items);
    check_size(&items, imports, main, reader);
    let mut scope = declare(&items, imports, reader);
    let trusts = trust::resolve(&items.trusts, &imports.hidden, &mut scope, reader);
    let diagnostics = &mut reader.diagnostics;
    let hosts = hosts::resolve(&items.hosts, diagnostics);
    let mut networks = networks::resolve(
        &items.networks,
        &hosts,
        &items.uplinks(&hosts),
        &imports.hidden,
        diagnostics,
    );
    if let Some(inventory) = inventory {
        stock::check(inventory, &networks, diagnostics);
        stock::internal(inventory, &mut networks);
    }
    let around = Surroundings {
        inventory,
        networks: &networks,
        hidden: &imports.hidden,
    };
    let mut found = Exposures::default();
    let containers = containers::resolve(
        &items.containers,
        &around,
        &mut scope,
        &mut found,
        diagnostics,
    );
    let mut reading = Reading {
        scope: &mut scope,
        containers: &containers,
        uses: &mut found.uses,
        diagnostics,
    };
    let accesses = access::resolve(&items.accesses, &mut reading);
    let expectations = access::expectations(&items.expects, &mut reading);
    let host_of = |draft: &containers::Draft| draft.host(&networks);
    check::host_ports::check(&found.claims, &containers, host_of, diagnostics);
    if !inventory.is_some_and(|inventory| inventory.complete) {
        check::addresses::check(&found.uses, &containers, &networks, diagnostics);
    }
    check_hosts(&hosts, &networks, &containers, diagnostics);
    scope.report_unknown(diagnostics);
    let shared = Policy {
        host: settings::defaults(),
        networks: networks.iter().map(|draft| draft.network.clone()).collect(),
        containers: containers
            .into_iter()
            .map(|draft| draft.container)
            .collect(),
        trusts,
        accesses,
        expectations,
        names: names(&items),
        undeclared: Undeclared::default(),
    };
    for_hosts(hosts, (&networks, shared), inventory, diagnostics)
}

/// Makes the policy of each host, and says what internal networks make empty.
fn for_hosts(
    hosts: Hosts,
    (networks, shared): (&[networks::Draft], Policy),
    inventory: Option<&Facts>,
    diagnostics: &mut Diagnostics,
) -> Vec<Policy> {
    if let Some(found) = hosts.too_much(&shared) {
        diagnostics.push(found);
        return Vec::new();
    }
    let apart = (0..).zip(&shared.networks).filter(|(_, it)| it.internal);
    let apart: Vec<NetworkId> = apart.map(|(id, _)| NetworkId(id)).collect();
    diagnostics.extend(internal::check(&shared, &apart, "the inventory"));
    let mut policies = hosts.split(networks, shared, diagnostics);
    for policy in &mut policies {
        policy.undeclared =
            inventory.map_or_else(Undeclared::default, |facts| undeclared::of(policy, facts));
        if let Some(facts) = inventory {
            undeclared::keep_out_of_trust(policy, facts);
        }
    }
    policies
}

fn check_hosts(
    hosts: &Hosts,
    networks: &[networks::Draft],
    containers: &[containers::Draft],
    diagnostics: &mut Diagnostics,
) {
    for (host, at) in hosts.list.iter().zip(0..) {
        check::no_engine::check((host, at), containers, networks, diagnostics);
        settings::warn(host, first_v6(networks, at), diagnostics);
    }
    hosts.check(networks, containers, diagnostics);
}

/// Returns the places of names of which a statement has several.
fn names(items: &Items<'_>) -> BTreeMap<Span, Names> {
    let places = |names: &[Name]| names.iter().map(|name| name.span).collect::<Vec<_>>();
    let accesses = items.accesses.iter().map(|it| {
        let (left, right) = (places(&it.left), places(&it.right));
        (it.span, Names { left, right })
    });
    let exposures = items.containers.iter().flat_map(|it| &it.exposures);
    let exposures = exposures.map(|it| {
        let left = places(it.from.as_deref().unwrap_or_default());
        let right = Vec::new();
        (it.span, Names { left, right })
    });
    let several = |(_, names): &(Span, Names)| names.left.len() > 1 || names.right.len() > 1;
    accesses.chain(exposures).filter(several).collect()
}

/// Declares all names in the order of their kinds. Ids are places in the lists of items.
fn declare<'a>(items: &Items<'a>, imports: &'a Imports, reader: &mut Reader<'_>) -> Scope<'a> {
    let mut names: Vec<(&Name, Entity)> = Vec::new();
    let networks = items.networks.iter().enumerate();
    names.extend(networks.map(|(id, it)| (&it.name, Entity::Network(NetworkId(id)))));
    let containers = items.containers.iter().enumerate();
    names.extend(containers.map(|(id, it)| (&it.name, Entity::Container(ContainerId(id)))));
    let trusts = items.trusts.iter().enumerate();
    names.extend(trusts.map(|(id, it)| (&it.name, Entity::Trust(TrustId(id)))));
    names.sort_by_key(|(name, _)| name.span);
    let mut scope = Scope::new(&imports.hidden);
    for (name, entity) in names {
        scope.declare(name, entity, &mut reader.diagnostics);
    }
    scope
}

fn check_size(items: &Items<'_>, imports: &Imports, main: SourceId, reader: &mut Reader<'_>) {
    let diagnostics = &mut reader.diagnostics;
    if items.networks.is_empty() && !imports.hidden.spoils_all() {
        diagnostics.push(no_network(main, imports.items.is_empty()));
    }
    if let Some(network) = items.networks.get(MAX_NETWORKS) {
        let title = format!("the policy has more than {MAX_NETWORKS} networks");
        let many = Diagnostic::error(code::TOO_MANY_NETWORKS, title);
        diagnostics.push(many.at(network.name.span, "one too many"));
    }
    if let Some(container) = items.containers.get(MAX_CONTAINERS) {
        let title = format!("the policy has more than {MAX_CONTAINERS} containers");
        let many = Diagnostic::error(code::TOO_MANY_CONTAINERS, title);
        diagnostics.push(many.at(container.name.span, "one too many"));
    }
}

fn no_network(main: SourceId, empty: bool) -> Diagnostic {
    let start = Span {
        source: main,
        start: 0,
        end: 0,
    };
    let title = if empty {
        "the policy is empty"
    } else {
        "the policy declares no network"
    };
    Diagnostic::error(code::NO_NETWORK, title)
        .at(
            start,
            "no `network` in this file, nor in one that it includes",
        )
        .note("Only declared networks are closed, so this policy would protect nothing.")
        .help("add a `network` block with its `bridge` and `subnet`")
}

/// Returns the place of an IPv6 subnet of a host's.
fn first_v6(networks: &[networks::Draft], host: usize) -> Option<Span> {
    let mut subnets = networks
        .iter()
        .filter(|draft| draft.host == host)
        .flat_map(|draft| draft.network.subnets.iter().zip(&draft.subnet_spans));
    subnets
        .find(|(subnet, _)| matches!(subnet, IpNet::V6(_)))
        .map(|(_, span)| *span)
}
