//! Which interfaces a policy means without naming them, and which it leaves alone.

use super::{Asks, World};
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::facts::{Interface, MachineFacts};
use crate::policy::ir::{Party, Policy};

/// Told before something changes: `outside` without an uplink is whatever the machine has.
pub(super) fn compare(world: World<'_>) -> Vec<Finding> {
    let Some(machine) = world
        .facts
        .machine
        .as_ref()
        .filter(|_| world.asks == Asks::Change)
    else {
        return Vec::new();
    };
    let found = [outside(world.policy, machine), left_alone(world, machine)];
    found.into_iter().flatten().collect()
}

fn outside(policy: &Policy, machine: &MachineFacts) -> Option<Finding> {
    if !policy.host.uplinks.is_empty() || !says_outside(policy) {
        return None;
    }
    let is_own = |name: &str| {
        policy
            .networks
            .iter()
            .any(|it| it.local && it.bridge.0 == name)
    };
    let is_port = |it: &Interface| it.master.is_some() || it.kind.as_deref() == Some("veth");
    let faces = machine.interfaces.iter();
    let faces = faces.filter(|(name, it)| *name != "lo" && !is_own(name) && !is_port(it));
    let faces: Vec<&str> = faces.map(|(name, _)| name.as_str()).collect();
    let seen = if faces.is_empty() {
        "`outside` is no interface that this machine has now".to_owned()
    } else {
        format!("`outside` is {}", faces.join(", "))
    };
    let finding = Finding::new(code::OUTSIDE_UNNAMED, Weight::Note, seen)
        .why("without an uplink it is every interface that is no declared bridge, also one made later")
        .remedy("name in `host` which ones are meant, as in `uplink eth0`");
    Some(finding)
}

fn says_outside(policy: &Policy) -> bool {
    let exposures = policy.containers.iter().flat_map(|it| &it.exposures);
    let from = exposures.flat_map(|it| &it.from);
    let sides = policy.accesses.iter();
    let sides = sides.flat_map(|it| it.left.iter().chain(&it.right));
    let expected = policy.expectations.iter();
    let expected = expected.flat_map(|it| [&it.left, &it.right]);
    let mut all = from.chain(sides).chain(expected);
    all.any(|party| *party == Party::Outside)
}

/// Bridges of libvirt, LXD or a router are no engine's, and no rule of ours is about them.
fn left_alone(world: World<'_>, machine: &MachineFacts) -> Option<Finding> {
    let is_bridge = |it: &Interface| it.kind.as_deref() == Some("bridge");
    let bridges = machine.interfaces.iter().filter(|(_, it)| is_bridge(it));
    let others = bridges.filter(|(name, _)| !world.policy.is_engines(name));
    let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
    if others.is_empty() {
        return None;
    }
    let seen = format!("bridges that are not the engine's: {}", others.join(", "));
    let finding = Finding::new(code::BRIDGES_LEFT, Weight::Note, seen)
        .why("what is behind them is left as it is: no rule of tidegate closes it")
        .remedy("nothing, unless containers are behind one: then declare its network");
    Some(finding)
}
