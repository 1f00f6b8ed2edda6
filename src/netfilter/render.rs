//! A rule set as text for `iptables-restore --noflush`, spelled as iptables-save prints it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::rule::{
    Conntrack, Hook, Interface, Over, Rule, Ruleset, Service, Target, protocol_word,
};
use super::{ChainName, Family, Place, Table};
use crate::net::PortRange;
use crate::policy::ir::{ForwardPolicy, Protocol};
use crate::source::SourceMap;

/// Usual length of a rule's line, to make room at once.
const LINE: usize = 160;

/// Longest comment that iptables keeps; it cuts longer ones without a word.
const COMMENT_MAX: usize = 255;

/// The rules of one chain as text: what iptables-save prints for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainText {
    pub table: Table,
    pub name: ChainName,
    /// One `-A` line a rule.
    pub rules: String,
}

/// Returns every chain as text, by table and name.
pub fn render_chains(ruleset: &Ruleset, sources: &SourceMap) -> Vec<ChainText> {
    let text = |((table, name), rules): (&(Table, ChainName), &Vec<Rule>)| {
        let mut text = String::with_capacity(rules.len() * LINE);
        for rule in rules {
            text.push_str("-A ");
            text.push_str(name.as_str());
            write_rule(&mut text, rule, ruleset, sources);
            text.push('\n');
        }
        ChainText {
            table: *table,
            name: name.clone(),
            rules: text,
        }
    };
    ruleset.chains.iter().map(text).collect()
}

/// Returns the whole file of one family. Tables come in loading order. The hook in a chain that
/// may not exist yet is a block of its own at the end: where it fails, all else is in force.
pub fn render(ruleset: &Ruleset, chains: &[ChainText]) -> String {
    let mut out = String::new();
    let engine_owned = |hook: &&Hook| hook.place == Place::BeforeReturn;
    for table in Table::ALL {
        let chains: Vec<&ChainText> = chains.iter().filter(|chain| chain.table == table).collect();
        if chains.is_empty() {
            continue;
        }
        push(&mut out, format_args!("*{table}"));
        if let (Table::Filter, Some(policy)) = (table, ruleset.forward) {
            push(
                &mut out,
                format_args!(":FORWARD {} [0:0]", policy_name(policy)),
            );
        }
        let (trees, lists): (Vec<&ChainText>, _) =
            chains.iter().partition(|chain| chain.name.is_of_tree());
        for chain in &lists {
            push(&mut out, format_args!(":{} - [0:0]", chain.name));
        }
        render_trees(&mut out, &trees);
        out.extend(lists.iter().map(|chain| chain.rules.as_str()));
        let hooks = ruleset.hooks.iter().filter(|hook| hook.table == table);
        for hook in hooks.filter(|hook| !engine_owned(hook)) {
            render_hook(&mut out, hook);
        }
        out.push_str("COMMIT\n");
    }
    for hook in ruleset.hooks.iter().filter(engine_owned) {
        push(&mut out, format_args!("*{}", hook.table));
        render_hook(&mut out, hook);
        out.push_str("COMMIT\n");
    }
    out
}

/// Writes trees from the last name to the first, and declares each chain where it is first named.
/// `iptables-nft-restore` 1.8.9 walks a sorted list of the names that it has met, for every line
/// (`cache_chain_list_insert` in iptables/nft-cache.c): this way a name stands at its beginning.
fn render_trees(out: &mut String, trees: &[&ChainText]) {
    let mut open: BTreeSet<&str> = trees.iter().map(|chain| chain.name.as_str()).collect();
    let mut declare = |out: &mut String, name: &str| {
        if open.remove(name) {
            push(out, format_args!(":{name} - [0:0]"));
        }
    };
    for chain in trees.iter().rev() {
        declare(out, chain.name.as_str());
        for line in chain.rules.lines() {
            // A jump ends its line, and a name has no blank.
            declare(out, line.rsplit(' ').next().unwrap_or(""));
        }
        out.push_str(&chain.rules);
    }
}

fn render_hook(out: &mut String, hook: &Hook) {
    push(out, format_args!("-I {} -j {}", hook.chain, hook.target));
}

/// Returns FORWARD's policy as iptables writes it.
pub fn policy_name(policy: ForwardPolicy) -> &'static str {
    match policy {
        ForwardPolicy::Accept => "ACCEPT",
        ForwardPolicy::Drop => "DROP",
    }
}

/// Writes a rule's text behind the chain's name, with a blank before each word.
fn write_rule(out: &mut String, rule: &Rule, ruleset: &Ruleset, sources: &SourceMap) {
    let (family, grant) = (ruleset.family, ruleset.grant);
    write_address(out, "-s", rule.source);
    write_address(out, "-d", rule.destination);
    write_interface(out, "-i", rule.input.as_ref());
    write_interface(out, "-o", rule.output.as_ref());
    if let Some(service) = rule.service {
        write_service(out, service, family);
    }
    if let Some(ports) = &rule.ports {
        let ports: Vec<String> = ports.iter().map(|ports| port_text(*ports)).collect();
        word(
            out,
            format_args!("-m multiport --dports {}", ports.join(",")),
        );
    }
    if rule.to_local {
        word(out, format_args!("-m addrtype --dst-type LOCAL"));
    }
    if let Some(conntrack) = rule.conntrack {
        write_conntrack(out, conntrack);
    }
    for (present, module) in [(rule.connmark, "connmark"), (rule.mark, "mark")] {
        if present {
            word(
                out,
                format_args!("-m {module} --mark {grant:#x}/{grant:#x}"),
            );
        }
    }
    if let Some(limit) = rule.limit {
        let rate = rate(limit.period.into(), 10_000);
        word(out, format_args!("-m limit --limit {rate}"));
    }
    if let Some(over) = &rule.over {
        write_over(out, over, family);
    }
    // A comment for rules that decide; one that only leads on is no answer to "which line was it?".
    let leads_on = matches!(rule.target, Target::Goto(_));
    if let Some(origin) = rule.origin.as_ref().filter(|_| !leads_on) {
        let place = comment(&sources.place(origin.span));
        word(out, format_args!("-m comment --comment {place}"));
    }
    write_target(out, &rule.target, grant);
}

/// Every address is no condition, and iptables-save prints none.
fn write_address(out: &mut String, flag: &str, net: Option<IpNet>) {
    if let Some(net) = net.filter(|net| net.prefix_len() > 0) {
        word(out, format_args!("{flag} {net}"));
    }
}

fn write_interface(out: &mut String, flag: &str, interface: Option<&Interface>) {
    if let Some(Interface { name, begins, not }) = interface {
        let not = if *not { "! " } else { "" };
        let more = if *begins { "+" } else { "" };
        word(out, format_args!("{not}{flag} {}{more}", name.0));
    }
}

fn write_service(out: &mut String, service: Service, family: Family) {
    let name = |protocol| protocol_name(protocol, family);
    match service {
        Service::All(protocol) => word(out, format_args!("-p {}", name(protocol))),
        Service::From(protocol, ports) => {
            let name = name(protocol);
            word(
                out,
                format_args!("-p {name} -m {name} --sport {}", port_text(ports)),
            );
        }
        Service::Icmp(kind) => {
            let (module, flag) = match family {
                Family::V4 => ("icmp", "--icmp-type"),
                Family::V6 => ("icmp6", "--icmpv6-type"),
            };
            word(
                out,
                format_args!("-p {} -m {module} {flag} {kind}", name(Protocol::Icmp)),
            );
        }
        Service::To(protocol, ports) => {
            let name = name(protocol);
            word(
                out,
                format_args!("-p {name} -m {name} --dport {}", port_text(ports)),
            );
        }
    }
}

fn write_conntrack(out: &mut String, conntrack: Conntrack) {
    match conntrack {
        Conntrack::Known => {
            word(
                out,
                format_args!("-m conntrack --ctstate RELATED,ESTABLISHED"),
            );
        }
        Conntrack::Dnat => word(out, format_args!("-m conntrack --ctstate DNAT")),
        Conntrack::NotDnat => word(out, format_args!("-m conntrack ! --ctstate DNAT")),
        Conntrack::Published { address, ports } => {
            word(out, format_args!("-m conntrack --ctstate DNAT"));
            if let Some(address) = address {
                word(out, format_args!("--ctorigdst {address}"));
            }
            let ports = port_text(ports);
            word(
                out,
                format_args!("--ctorigdstport {ports} --ctdir ORIGINAL"),
            );
        }
    }
}

fn write_target(out: &mut String, target: &Target, grant: u32) {
    match target {
        Target::Accept => word(out, format_args!("-j ACCEPT")),
        Target::ClearMark => word(out, format_args!("-j MARK --set-xmark 0x0/{grant:#x}")),
        Target::Dnat { address, port } => {
            let to = target_text(*address, *port);
            word(out, format_args!("-j DNAT --to-destination {to}"));
        }
        Target::Drop => word(out, format_args!("-j DROP")),
        Target::Goto(chain) => word(out, format_args!("-g {chain}")),
        Target::Jump(chain) => word(out, format_args!("-j {chain}")),
        Target::Log(prefix) => word(out, format_args!("-j LOG --log-prefix \"{prefix}\"")),
        Target::Masquerade => word(out, format_args!("-j MASQUERADE")),
        Target::Return => word(out, format_args!("-j RETURN")),
        Target::SaveMark => {
            word(
                out,
                format_args!("-j CONNMARK --set-xmark {grant:#x}/{grant:#x}"),
            );
        }
        Target::SetMark => word(
            out,
            format_args!("-j MARK --set-xmark {grant:#x}/{grant:#x}"),
        ),
    }
}

/// IPv6 addresses stand in brackets before a port, and only there.
fn target_text(address: IpAddr, port: Option<u16>) -> String {
    port.map_or_else(
        || address.to_string(),
        |port| SocketAddr::new(address, port).to_string(),
    )
}

fn protocol_name(protocol: Protocol, family: Family) -> &'static str {
    match (protocol, family) {
        (Protocol::Icmp, Family::V6) => "ipv6-icmp",
        _ => protocol_word(protocol),
    }
}

fn port_text(ports: PortRange) -> String {
    if ports.first == ports.last {
        ports.first.to_string()
    } else {
        format!("{}:{}", ports.first, ports.last)
    }
}

/// The default prefix, one address, is not printed for rates and is printed for connections.
fn write_over(out: &mut String, over: &Over, family: Family) {
    let whole = match family {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    match over {
        Over::Connections { count, sources } => word(
            out,
            format_args!(
                "-m connlimit --connlimit-above {count} --connlimit-mask {sources} --connlimit-saddr"
            ),
        ),
        Over::Rate {
            period,
            burst,
            sources,
            name,
        } => {
            let rate = rate(*period, 1_000_000);
            let limit =
                format_args!("-m hashlimit --hashlimit-above {rate} --hashlimit-burst {burst}");
            word(out, limit);
            if sources.is_some() {
                word(out, format_args!("--hashlimit-mode srcip"));
            }
            word(out, format_args!("--hashlimit-name {name}"));
            if let Some(length) = sources.filter(|length| *length != whole) {
                word(out, format_args!("--hashlimit-srcmask {length}"));
            }
        }
    }
}

/// Spells a rate as iptables does: in the largest unit that keeps it exact enough (`print_rate` in
/// `libxt_limit.c` and `libxt_hashlimit.c` of iptables 1.8). A second has `second` parts, and the
/// period is counted in them.
fn rate(period: u64, second: u64) -> String {
    let units = [
        ("day", 86_400 * second),
        ("hour", 3_600 * second),
        ("min", 60 * second),
        ("sec", second),
    ];
    let period = period.max(1);
    let exact = |(_, scale): &&(&str, u64)| period <= *scale && scale / period >= scale % period;
    // Units are tried from the longest and the first that does not fit ends the search.
    let [day, shorter @ ..] = units;
    let (name, scale) = shorter
        .iter()
        .take_while(exact)
        .last()
        .copied()
        .unwrap_or(day);
    format!("{}/{name}", scale / period)
}

/// Makes a comment that iptables prints as it was given: letters that it would escape become `_`,
/// and of a long text the end is kept, which holds the line number.
fn comment(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "_-./:".contains(c) {
            c
        } else {
            '_'
        }
    };
    let text: String = text.chars().map(plain).collect();
    let kept = text
        .get(text.len().saturating_sub(COMMENT_MAX)..)
        .unwrap_or("");
    if kept
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    {
        kept.to_owned()
    } else {
        format!("\"{kept}\"")
    }
}

fn word(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.push(' ');
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
    out.push('\n');
}
