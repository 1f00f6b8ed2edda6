//! Flows on a host whose rules are all ours: what they translate, and what they let through.

use tidegate::netfilter::{Packet, Ruleset, Table, Verdict, walk};
use tidegate::policy::ir::{Engine, ForwardPolicy, Policy};

use super::table::{Flow, Origin};
use super::{bridge_of, untranslated};

/// Returns true where our rules serve a port of the host, whatever its protocol.
pub fn publishes(policy: &Policy, port: u16) -> bool {
    let mut exposures = policy.containers.iter().flat_map(|c| &c.exposures);
    matches!(policy.host.engine, Engine::None(_))
        && exposures.any(|exposure| {
            let published = exposure.published.as_ref();
            published.is_some_and(|published| published.ports.contains(port))
        })
}

/// Sends a flow's first packet through our chains in the kernel's order.
pub fn evaluate(policy: &Policy, ruleset: &Ruleset, flow: &Flow) -> bool {
    let mut packet = untranslated(policy, flow);
    if matches!(flow.from, Origin::Host) {
        translate(policy, ruleset, &mut packet);
        return packet.conn.translated_from.is_some();
    }
    let mut before = Packet {
        output: String::new(),
        ..packet.clone()
    };
    if walk(ruleset, Table::Raw, "TIDE-RAW", &mut before).verdict == Verdict::Drop {
        return false;
    }
    translate(policy, ruleset, &mut packet);
    if packet.output.is_empty() {
        return walk(ruleset, Table::Filter, "TIDE-INPUT", &mut packet).verdict != Verdict::Drop;
    }
    if walk(ruleset, Table::Mangle, "TIDE-GATE", &mut packet).verdict == Verdict::Drop {
        return false;
    }
    let accepts = policy
        .host
        .forward
        .is_some_and(|(policy, _)| policy == ForwardPolicy::Accept);
    accepts || walk(ruleset, Table::Filter, "TIDE-PASS", &mut packet).verdict == Verdict::Accept
}

fn translate(policy: &Policy, ruleset: &Ruleset, packet: &mut Packet) {
    walk(ruleset, Table::Nat, "TIDE-DNAT", packet);
    if packet.conn.translated_from.is_some() {
        packet.output = bridge_of(policy, packet.destination).expect("a container's address");
    }
}
