//! What iptables cannot close between the ports of a bridge: it is shown no frame with a VLAN tag, and a
//! receiver strips a tag of VLAN 0. A table of nftables lets nothing pass there but ARP, IPv4 and IPv6
//! without one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::policy::ir::{Access, Policy};
use crate::source::SourceMap;

/// The name of the table; its family is `bridge`.
pub const TABLE: &str = "tidegate";

/// What a table holds back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// Frames within bridges of these names.
    Bridges(BTreeSet<String>),
    /// Frames between any two ports that an engine gives to containers, for kernels that cannot tell
    /// bridges apart (without `NFT_BRIDGE_META`).
    Ports,
}

/// The names that engines begin those of their ports with.
const PORTS: &str = "veth*";
/// What may pass, by the names that nft prints and their numbers (IEEE 802).
const PASS: [(&str, u64); 3] = [("arp", 0x0806), ("ip", 0x0800), ("ip6", 0x86dd)];
/// Before everybody else's rules; `NF_BR_PRI_NAT_DST_BRIDGED` of the kernel.
const PRIORITY: i64 = -300;

impl Closed {
    /// Returns what a policy needs; nothing where no rule is about containers of one bridge.
    pub fn of(policy: &Policy) -> Option<Self> {
        policy.filters_bridges()?;
        let denied = policy.accesses.iter().any(Access::denies_inside);
        let local = policy.networks.iter().filter(|network| network.local);
        let needy = local.filter(|network| denied || !network.icc || network.antispoof);
        let bridges: BTreeSet<String> = needy.map(|network| network.bridge.0.clone()).collect();
        (!bridges.is_empty()).then_some(Closed::Bridges(bridges))
    }

    /// Returns the text for `nft -f` that puts the table in the place of one that is there.
    pub fn text(&self) -> String {
        let whose = match self {
            Closed::Bridges(bridges) => {
                let names: Vec<String> = bridges.iter().map(|it| format!("\"{it}\"")).collect();
                format!("meta ibrname {{ {} }}", names.join(", "))
            }
            Closed::Ports => format!("iifname \"{PORTS}\" oifname \"{PORTS}\""),
        };
        let pass = PASS.map(|(name, _)| name).join(", ");
        format!(
            "add table bridge {TABLE}\n{REMOVE}table bridge {TABLE} {{\n\tchain forward {{\n\
             \t\ttype filter hook forward priority {PRIORITY}; policy accept;\n\
             \t\t{whose} ether type != {{ {pass} }} drop\n\t}}\n}}\n"
        )
    }

    /// Reads [`Closed::text`] again.
    pub fn of_text(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim_start);
        let rule = lines.find(|line| line.ends_with(" drop"))?;
        let read = match rule.strip_prefix("meta ibrname { ") {
            Some(rest) => {
                let names = rest.split_once(" }")?.0.split(", ");
                let names = names.map(|name| name.trim_matches('"').to_owned());
                Closed::Bridges(names.collect())
            }
            None => Closed::Ports,
        };
        text.ends_with(&read.text()).then_some(read)
    }

    /// Reads what `nft -j list table` prints, libnftables-json(5); nothing where it is not as
    /// [`Closed::text`] makes it.
    pub fn of_listing(listing: &str) -> Option<Self> {
        let listing: Value = serde_json::from_str(listing).ok()?;
        let entries = listing.get("nftables")?.as_array()?.iter();
        let known = ["metainfo", "table"];
        let mut entries = entries.filter(|entry| known.iter().all(|it| entry.get(it).is_none()));
        let (chain, rule) = (entries.next()?.get("chain")?, entries.next()?.get("rule")?);
        let same = |key: &str, wanted: &str| chain.get(key).and_then(Value::as_str) == Some(wanted);
        let hooked = same("hook", "forward") && same("type", "filter") && same("policy", "accept");
        let dormant = listing.pointer("/nftables/1/table/flags").is_some();
        let first = chain.get("prio").and_then(Value::as_i64) == Some(PRIORITY);
        if entries.next().is_some() || !hooked || dormant || !first {
            return None;
        }
        of_rule(rule.get("expr")?.as_array()?)
    }
}

/// The line that removes the table, which must be there.
pub const REMOVE: &str = "delete table bridge tidegate\n";

fn of_rule(expression: &[Value]) -> Option<Closed> {
    let (whose, [types, verdict]) = expression.split_last_chunk::<2>()?;
    let pass: Option<BTreeSet<u64>> = values(matched(types, "!=", "/payload/field", "type")?)
        .into_iter()
        .map(ether_type)
        .collect();
    if pass? != PASS.iter().map(|(_, number)| *number).collect() || verdict.get("drop").is_none() {
        return None;
    }
    match whose {
        [bridge] => {
            let names = values(matched(bridge, "==", "/meta/key", "ibrname")?);
            let names: Option<BTreeSet<String>> = names
                .into_iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect();
            names.map(Closed::Bridges)
        }
        [from, to] => {
            let by = |side, key| matched(side, "==", "/meta/key", key)?.as_str();
            let ports = by(from, "iifname") == Some(PORTS) && by(to, "oifname") == Some(PORTS);
            ports.then_some(Closed::Ports)
        }
        _ => None,
    }
}

/// Returns the right side of a match of one kind.
fn matched<'v>(statement: &'v Value, op: &str, path: &str, what: &str) -> Option<&'v Value> {
    let found = statement.get("match")?;
    let is = found.get("op")?.as_str() == Some(op)
        && found.get("left")?.pointer(path)?.as_str() == Some(what);
    found.get("right").filter(|_| is)
}

/// Returns the members of a set; a set of one may be printed without braces.
fn values(right: &Value) -> Vec<&Value> {
    match right.get("set").and_then(Value::as_array) {
        Some(members) => members.iter().collect(),
        None => vec![right],
    }
}

fn ether_type(value: &Value) -> Option<u64> {
    let text = value.as_str();
    let named = |text: &str| PASS.iter().find(|(name, _)| *name == text);
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let of_text = |text: &str| named(text).map(|(_, number)| *number).or_else(|| hex(text));
    value.as_u64().or_else(|| text.and_then(of_text))
}

/// Returns the file of a bundle: the table, and above it the line of the policy that declares each bridge's
/// network.
pub fn render(policy: &Policy, sources: &SourceMap) -> Option<String> {
    let closed = Closed::of(policy)?;
    let mut text = String::new();
    let is_closed = |bridge| matches!(&closed, Closed::Bridges(all) if all.contains(bridge));
    let networks = policy.networks.iter().filter(|network| network.local);
    for network in networks.filter(|network| is_closed(&network.bridge.0)) {
        let place = sources.place(network.span);
        let place: String = place.chars().filter(|it| !it.is_control()).collect();
        let _ = writeln!(text, "# {}: {place}", network.bridge.0);
    }
    Some(text + &closed.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridges(names: &[&str]) -> Closed {
        Closed::Bridges(names.iter().map(|&name| name.to_owned()).collect())
    }

    /// As nft prints it.
    fn listing(rule: &str) -> String {
        format!(
            r#"{{"nftables": [{{"metainfo": {{"version": "1.0.6"}}}},
            {{"table": {{"family": "bridge", "name": "tidegate", "handle": 2}}}},
            {{"chain": {{"family": "bridge", "table": "tidegate", "name": "forward", "handle": 1,
              "type": "filter", "hook": "forward", "prio": -300, "policy": "accept"}}}},
            {{"rule": {{"family": "bridge", "table": "tidegate", "chain": "forward", "handle": 3,
              "expr": [{rule}]}}}}]}}"#
        )
    }

    const TYPES: &str = r#"{"match": {"op": "!=", "left": {"payload": {"protocol": "ether", "field": "type"}},
        "right": {"set": ["ip", "arp", "ip6"]}}}, {"drop": null}"#;

    #[test]
    fn texts_are_read_again() {
        for closed in [
            bridges(&["br-a"]),
            bridges(&["br-a", "br-b.1"]),
            Closed::Ports,
        ] {
            let text = format!("# br-a: shop.tide:3\n{}", closed.text());
            assert_eq!(Closed::of_text(&text), Some(closed.clone()));
            assert_eq!(Closed::of_text(&text.replace("drop", "accept")), None);
            assert_eq!(Closed::of_text(&text.replace("forward p", "input p")), None);
        }
    }

    #[test]
    fn listings_of_all_releases_are_read() {
        let by = |right: &str| {
            let left = r#"{"meta": {"key": "ibrname"}}"#;
            listing(&format!(
                r#"{{"match": {{"op": "==", "left": {left}, "right": {right}}}}}, {TYPES}"#
            ))
        };
        let one = bridges(&["br-a"]);
        assert_eq!(Closed::of_listing(&by(r#""br-a""#)), Some(one.clone()));
        assert_eq!(Closed::of_listing(&by(r#"{"set": ["br-a"]}"#)), Some(one));
        let two = by(r#"{"set": ["br-b", "br-a"]}"#);
        let found = Some(bridges(&["br-a", "br-b"]));
        assert_eq!(Closed::of_listing(&two), found);
        let numbers = two.replace(r#""ip", "arp", "ip6""#, r#"2048, "0x0806", 34525"#);
        assert_eq!(Closed::of_listing(&numbers), found);
    }

    #[test]
    fn what_closes_less_is_not_taken_for_it() {
        let side = |key: &str| {
            format!(
                r#"{{"match": {{"op": "==", "left": {{"meta": {{"key": "{key}"}}}}, "right": "veth*"}}}}"#
            )
        };
        let rule = format!("{}, {}, {TYPES}", side("iifname"), side("oifname"));
        let whole = listing(&rule);
        assert_eq!(Closed::of_listing(&whole), Some(Closed::Ports));
        let changes = [
            ("\"drop\"", "\"accept\""),
            ("-300", "300"),
            ("\"forward\", \"prio\"", "\"input\", \"prio\""),
            ("\"policy\": \"accept\"", "\"policy\": \"drop\""),
            ("\"ip6\"]", "\"ip6\", \"vlan\"]"),
            ("\"right\": \"veth*\"", "\"right\": \"veth1\""),
            (
                "\"name\": \"tidegate\", ",
                "\"name\": \"tidegate\", \"flags\": \"dormant\", ",
            ),
            ("\"op\": \"!=\"", "\"op\": \"==\""),
        ];
        for (from, to) in changes {
            let other = whole.replace(from, to);
            assert_ne!(other, whole, "{from}");
            assert_eq!(Closed::of_listing(&other), None, "{to}");
        }
        let accepting = listing("{\"accept\": null}");
        assert_eq!(Closed::of_listing(&accepting), None);
    }
}
