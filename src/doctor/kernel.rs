//! Checks on the kernel: its settings, and the ways that lead around netfilter.

use serde_json::Value;

use super::facts::Facts;
use super::nftables;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};

/// The share of the connection table, in percent, from which it is nearly full.
const NEARLY_FULL: u64 = 80;

pub(super) fn offloads(facts: &Facts) -> Vec<Finding> {
    let flowtables = nftables::flowtables(&facts.nftables).into_iter();
    let flowtables = flowtables.map(|place| {
        Finding::new(
            code::AROUND_NETFILTER,
            Weight::Warning,
            "a flowtable takes connections \
            past FORWARD",
        )
        .at(place)
        .why(
            "what was open once stays open: a changed policy does not reach a connection \
                that is offloaded",
        )
        .remedy("leave the policy's bridges out of the flowtable's devices")
    });
    let interfaces = facts.interfaces.as_array().into_iter().flatten();
    let xdp = interfaces
        .filter(|it| it.get("xdp").is_some())
        .filter_map(name);
    let xdp = xdp.map(|name| note("an XDP program", name));
    let queues = facts.queues.as_array().into_iter().flatten();
    let classifiers = queues.filter(|it| it.get("kind").and_then(Value::as_str) == Some("clsact"));
    let devices = classifiers.filter_map(|it| it.get("dev").and_then(Value::as_str));
    let tc = devices.map(|name| note("a tc classifier", name));
    flowtables.chain(xdp).chain(tc).collect()
}

fn name(interface: &Value) -> Option<&str> {
    interface.get("ifname").and_then(Value::as_str)
}

fn note(what: &str, interface: &str) -> Finding {
    Finding::new(
        code::AROUND_NETFILTER,
        Weight::Note,
        format!("{what} sees packets before netfilter"),
    )
    .at(format!("interface {interface}"))
    .why("it may answer, drop or send on a packet that no rule is asked about")
    .remedy("know whose it is: bpftool net; Cilium, Calico and Katran do this")
}

pub(super) fn later_files(facts: &Facts) -> Vec<Finding> {
    let finding = |text: &String| {
        Finding::new(code::SETTING_UNDONE, Weight::Warning, text.clone())
            .why("the next boot, or `sysctl --system`, undoes what the policy needs")
            .remedy("take that line out, then `tidegate drift`")
    };
    facts.overridden.iter().map(finding).collect()
}

/// Settings that should be off: path, what it does when on, how much that counts.
const OFF: &[(&str, &str, Weight)] = &[
    (
        "net/netfilter/nf_conntrack_helper",
        "the kernel reads in packets which port to expect next and takes that for RELATED: who is let \
         in to one port can open others",
        Weight::Warning,
    ),
    (
        "net/ipv4/conf/all/accept_source_route",
        "a sender may choose the way of a packet past the machine that should see it",
        Weight::Warning,
    ),
    (
        "net/ipv6/conf/all/accept_source_route",
        "a sender may choose the way of a packet past the machine that should see it",
        Weight::Warning,
    ),
    (
        "net/netfilter/nf_conntrack_tcp_be_liberal",
        "packets outside of the window count as part of their connection",
        Weight::Note,
    ),
];

pub(super) fn settings(facts: &Facts) -> Vec<Finding> {
    let on = OFF.iter().filter(|(path, ..)| {
        let value = facts
            .sysctls
            .get(*path)
            .and_then(|value| value.parse::<i64>().ok());
        value.is_some_and(|value| value > 0)
    });
    let found = on.map(|(path, why, weight)| {
        let key = path.replace('/', ".");
        Finding::new(code::KERNEL_SETTING, *weight, format!("{key} is on"))
            .at(format!("/proc/sys/{path}"))
            .why(*why)
            .remedy(format!(
                "sysctl -w {key}=0, and take it out of the file that sets it"
            ))
    });
    found.collect()
}

pub(super) fn connections(facts: &Facts) -> Vec<Finding> {
    let read = |name: &str| {
        let value = facts
            .sysctls
            .get(&format!("net/netfilter/nf_conntrack_{name}"));
        value.and_then(|value| value.parse::<u64>().ok())
    };
    let (Some(count), Some(max)) = (read("count"), read("max")) else {
        return Vec::new();
    };
    // A maximum of 0 is none.
    if max == 0 || count.saturating_mul(100) / max < NEARLY_FULL {
        return Vec::new();
    }
    vec![
        Finding::new(
            code::CONNECTIONS_FULL,
            Weight::Warning,
            format!(
                "{count} of {max} \
            connections are tracked"
            ),
        )
        .at("/proc/sys/net/netfilter/nf_conntrack_max")
        .why(
            "when the table is full, new connections are dropped, those that the policy \
                allows, too",
        )
        .remedy(
            "raise net.netfilter.nf_conntrack_max in sysctl.d, or find who opens them: \
                conntrack -L",
        ),
    ]
}
