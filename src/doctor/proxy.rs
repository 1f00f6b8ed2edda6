//! Ports that Docker's userland proxy serves although no line of the policy is about them.

use std::net::IpAddr;

use super::engine::daemon;
use super::facts::Facts;
use crate::artifact::Parties;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::host::ContainerPowers;
use crate::netfilter::Family;

/// The proxy is a process of the machine, docker-proxy of libnetwork: rules for what is forwarded are
/// not asked, and rules for the machine's own ports know those alone that the policy mentions.
pub(super) fn unmentioned(facts: &Facts) -> Vec<Finding> {
    if facts.manifest.is_none() || !is_on(facts) {
        return Vec::new();
    }
    let containers = facts.powers.iter();
    let open = containers
        .filter(|it| is_in_policy(&facts.parties, it) && !is_denied_to_the_host(facts, it));
    let found = open.filter_map(|container| {
        let open = container.published.iter();
        let open = open.filter(|port| !is_mentioned(&facts.parties, port));
        let open: Vec<&str> = open.map(String::as_str).collect();
        (!open.is_empty()).then(|| finding(&container.name, &open.join(", ")))
    });
    found.collect()
}

fn finding(name: &str, ports: &str) -> Finding {
    let seen = format!("container {name} publishes what the policy does not mention: {ports}");
    Finding::new(code::PROXY_SERVES, Weight::Warning, seen)
        .why(
            "Docker's userland proxy serves it as a process of the machine, past the policy: to \
            clients by IPv6 where the container has none, and to containers of its own network",
        )
        .remedy(format!(
            "expose it to somebody, write `deny host -> {name}`, which stops the proxy, or do not \
            publish it"
        ))
}

/// It is on unless it was switched off; dockerd(8).
fn is_on(facts: &Facts) -> bool {
    let options = facts.engine.iter().flat_map(|engine| &engine.options);
    let off = |option: &String| option == "--userland-proxy=false";
    let file = daemon(facts);
    let file = file
        .get("userland-proxy")
        .and_then(serde_json::Value::as_bool);
    file != Some(false) && !options.into_iter().any(off)
}

fn is_in_policy(parties: &Parties, container: &ContainerPowers) -> bool {
    let networks = parties.networks.iter().filter(|network| network.local);
    let mut subnets = networks.flat_map(|network| &network.subnets);
    subnets.any(|subnet| container.addresses.iter().any(|it| subnet.contains(it)))
}

/// The proxy connects as the host does.
fn is_denied_to_the_host(facts: &Facts, container: &ContainerPowers) -> bool {
    let name = declared_name(&facts.parties, container).unwrap_or(&container.name);
    let denials = ["host", "any"].map(|from| format!("{from} may not reach {name}"));
    let chains = Family::BOTH.map(|family| {
        let chains = facts.origins.chains(family);
        chains.map(move |(table, chain, _)| (family, table, chain))
    });
    let mut own = chains.into_iter().flatten();
    own.any(|(family, table, chain)| {
        let mut rules = facts.origins.of_chain(family, table, chain);
        chain.ends_with("-own") && rules.any(|rule| denials.contains(&rule.says))
    })
}

/// Returns what the policy calls the container that has an address of this one.
fn declared_name<'p>(parties: &'p Parties, container: &ContainerPowers) -> Option<&'p str> {
    let declared = parties.containers.iter().find(|declared| {
        let mut networks = declared.networks.iter();
        networks.any(|at| {
            at.addresses
                .iter()
                .any(|it| container.addresses.contains(it))
        })
    });
    declared.map(|it| it.name.as_str())
}

/// Returns whether some container of the policy has the published port, whichever it leads to, or
/// nobody but the machine itself can come to it.
fn is_mentioned(parties: &Parties, port: &str) -> bool {
    let mut declared = parties.containers.iter().flat_map(|it| &it.ports);
    let wanted = Published::of(port);
    wanted.is_none_or(|wanted| {
        let is_local = wanted.address.is_some_and(|it| it.is_loopback());
        is_local || declared.any(|it| Published::of(it).is_some_and(|it| it.covers(&wanted)))
    })
}

/// A published port as manifests and inventories write it, `192.0.2.1:8080-8081->80-81/tcp`.
struct Published<'p> {
    address: Option<IpAddr>,
    ports: (u16, u16),
    protocol: &'p str,
}

impl<'p> Published<'p> {
    fn of(text: &'p str) -> Option<Self> {
        let (outer, inner) = text.split_once("->")?;
        let (address, ports) = match outer.rsplit_once(':') {
            None => (None, outer),
            Some((address, ports)) => {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                (Some(address.parse().ok()?), ports)
            }
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        Some(Published {
            address,
            ports: (first.parse().ok()?, last.parse().ok()?),
            protocol: inner.rsplit_once('/')?.1,
        })
    }

    fn covers(&self, other: &Self) -> bool {
        let within = self.ports.0 <= other.ports.0 && other.ports.1 <= self.ports.1;
        let address = self.address.is_none() || self.address == other.address;
        within && address && self.protocol == other.protocol
    }
}
