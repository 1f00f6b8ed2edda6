//! Networks that are not as the policy says.

use ipnet::IpNet;

use super::World;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::facts::{Facts, NetworkFacts};
use crate::policy::ir::{Network, Policy};

pub(super) fn compare(world: World<'_>) -> Vec<Finding> {
    let here = world.policy.networks.iter().filter(|it| it.local);
    here.filter_map(|network| compare_one(world, network))
        .collect()
}

fn compare_one(world: World<'_>, network: &Network) -> Option<Finding> {
    match found(world.policy, world.facts, network) {
        Found::Absent => Some(absent(network)),
        Found::Same(_, facts) => other_subnet(network, facts),
        Found::Other(facts) if facts.driver == "bridge" => Some(other_bridge(network, facts)),
        Found::Other(facts) => Some(other_driver(network, facts)),
    }
}

/// The engine's network that a line is about.
pub(super) enum Found<'f> {
    Absent,
    /// Its name and what is known of it; the bridge is that of the policy.
    Same(&'f str, &'f NetworkFacts),
    /// It has the name, and not the bridge.
    Other(&'f NetworkFacts),
}

/// Finds a network by its bridge, which is what rules go by, else by its name. A name that another line's
/// bridge has is only a name that the policy gives.
pub(super) fn found<'f>(policy: &Policy, facts: &'f Facts, network: &Network) -> Found<'f> {
    let named = facts.networks.get(&network.name).filter(|named| {
        let mut others = policy.networks.iter().filter(|it| it.local);
        let bridge = named.bridge.as_deref();
        !others.any(|it| bridge == Some(&it.bridge.0))
    });
    match (named, facts.network_of(&network.bridge.0)) {
        (Some(named), _) => Found::Other(named),
        (None, Some((name, found))) => Found::Same(name, found),
        (None, None) => Found::Absent,
    }
}

fn absent(network: &Network) -> Finding {
    let name = &network.name;
    let seen = format!("network `{name}` is not there");
    Finding::new(code::NETWORK_ABSENT, Weight::Note, seen)
        .underlines(network.span, "the engine has no such network")
        .why("its rules wait until the engine makes it")
        .remedy("nothing, if it is made later; else take it out of the policy")
}

fn other_bridge(network: &Network, facts: &NetworkFacts) -> Finding {
    let (name, wanted) = (&network.name, &network.bridge.0);
    let bridge = facts.bridge.as_deref().unwrap_or("none");
    let seen = format!("network `{name}` has the bridge {bridge}, not {wanted}");
    Finding::new(code::NETWORK_BRIDGE, Weight::Error, seen)
        .underlines(network.span, format!("says `bridge {wanted}`"))
        .why(format!(
            "the rules of `{name}` are about {wanted}: what the policy opens there is dead, and what it \
             closes is closed on a bridge that is not there"
        ))
        .remedy(format!(
            "write `{}`, and apply; or make the network anew with `-o \
             com.docker.network.bridge.name={wanted}`: a network keeps what it was made with",
            lines(bridge, &facts.subnets)
        ))
}

/// Returns what the policy would have to say of a network.
pub(super) fn lines(bridge: &str, subnets: &[IpNet]) -> String {
    let subnets: Vec<String> = subnets.iter().map(IpNet::to_string).collect();
    match subnets.as_slice() {
        [] => format!("bridge {bridge}"),
        subnets => format!("bridge {bridge}; subnet {}", subnets.join(", ")),
    }
}

fn other_subnet(network: &Network, facts: &NetworkFacts) -> Option<Finding> {
    let mut subnets = facts.subnets.iter().map(IpNet::trunc);
    let other = subnets.find(|net| !network.subnets.contains(net))?;
    let name = &network.name;
    let said: Vec<String> = network.subnets.iter().map(IpNet::to_string).collect();
    let said = said.join(", ");
    let seen = format!("network `{name}` has the subnet {other}, which the policy does not name");
    let finding = Finding::new(code::NETWORK_SUBNET, Weight::Error, seen)
        .underlines(network.span, format!("says `subnet {said}`"))
        .why("its containers have addresses that no rule knows")
        .remedy(format!(
            "write `{}`, and apply; or make the network anew with `--subnet`: a network keeps what it was \
             made with",
            lines(&network.bridge.0, &facts.subnets)
        ));
    Some(finding)
}

fn other_driver(network: &Network, facts: &NetworkFacts) -> Finding {
    let (name, driver) = (&network.name, &facts.driver);
    let seen = format!("network `{name}` is of the driver {driver}, which nobody here can filter");
    Finding::new(code::NETWORK_DRIVER, Weight::Error, seen)
        .underlines(network.span, "no rule of this host sees its packets")
        .why("its containers are on the wire themselves, or packed into others' packets, past the rules")
        .remedy("take it out of the policy, or make it a bridge network")
}
