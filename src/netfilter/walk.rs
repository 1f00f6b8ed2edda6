//! Evaluates a rule set on one packet, as the kernel would; see `nft_do_chain` and `ipt_do_table`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::rule::{Conntrack, Interface, Rule, Ruleset, Service, Target};
use super::{ChainName, Table};
use crate::policy::ir::Protocol;

/// What connection tracking knows about a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnState {
    /// RELATED or ESTABLISHED.
    pub known: bool,
    /// The destination and port before DNAT; `None` when nothing was translated.
    pub translated_from: Option<(IpAddr, u16)>,
    /// The connection's mark.
    pub mark: u32,
}

/// A packet as a table sees it: after DNAT in every table but `raw`.
#[derive(Debug, Clone)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub input: String,
    /// Empty where it is not known yet or the packet goes to the host. In `nat` PREROUTING and
    /// OUTPUT, the interface that leads to the destination before it is translated.
    pub output: String,
    pub protocol: Protocol,
    /// Zero for ICMP.
    pub source_port: u16,
    /// Zero for ICMP.
    pub port: u16,
    pub icmp_type: u8,
    pub conn: ConnState,
    pub mark: u32,
    /// Whether its source is over every limit, or over none.
    pub over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    /// Back to the chain that called ours.
    Return,
}

/// How an evaluation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    pub verdict: Verdict,
    /// Chain and number, from 1, of every rule that matched, in order.
    pub matched: Vec<(ChainName, usize)>,
}

/// Most jumps that a walk follows; the kernel's own limit for rules loaded by nft is 16.
const MAX_DEPTH: usize = 16;

/// Sends a packet through one of our chains, changing its marks and destination as the rules say.
///
/// A chain that does not exist, or jumps nested deeper than the kernel allows, drop the packet.
pub fn walk(ruleset: &Ruleset, table: Table, chain: &str, packet: &mut Packet) -> Trail {
    let mut walker = Walker {
        ruleset,
        table,
        packet,
        matched: Vec::new(),
    };
    let verdict = walker.find(chain).and_then(|name| walker.chain(name, 0));
    let verdict = verdict.unwrap_or(Verdict::Drop);
    Trail {
        verdict,
        matched: walker.matched,
    }
}

struct Walker<'r, 'p> {
    ruleset: &'r Ruleset,
    table: Table,
    packet: &'p mut Packet,
    matched: Vec<(ChainName, usize)>,
}

impl<'r> Walker<'r, '_> {
    fn find(&self, chain: &str) -> Option<&'r ChainName> {
        let mut names = self.ruleset.table(self.table).map(|(name, _)| name);
        names.find(|name| name.as_str() == chain)
    }

    /// Returns `None` where the kernel would have refused to load the rules.
    fn chain(&mut self, name: &'r ChainName, depth: usize) -> Option<Verdict> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let rules = self.ruleset.chains.get(&(self.table, name.clone()))?;
        for (rule, number) in rules.iter().zip(1..) {
            if !self.matches(rule) {
                continue;
            }
            self.matched.push((name.clone(), number));
            match &rule.target {
                Target::Accept | Target::Masquerade => return Some(Verdict::Accept),
                Target::Dnat { address, port } => {
                    translate(self.packet, *address, *port);
                    return Some(Verdict::Accept);
                }
                Target::Drop => return Some(Verdict::Drop),
                Target::Return => return Some(Verdict::Return),
                Target::Goto(next) => return self.chain(next, depth + 1),
                Target::Jump(next) => match self.chain(next, depth + 1)? {
                    Verdict::Return => {}
                    verdict => return Some(verdict),
                },
                effect => self.apply(effect),
            }
        }
        Some(Verdict::Return)
    }

    fn apply(&mut self, effect: &Target) {
        let grant = self.ruleset.grant;
        match effect {
            Target::ClearMark => self.packet.mark &= !grant,
            Target::SaveMark => self.packet.conn.mark |= grant,
            Target::SetMark => self.packet.mark |= grant,
            Target::Accept
            | Target::Dnat { .. }
            | Target::Drop
            | Target::Goto(_)
            | Target::Jump(_)
            | Target::Log(_)
            | Target::Masquerade
            | Target::Return => {}
        }
    }

    fn matches(&self, rule: &Rule) -> bool {
        let (packet, grant) = (&*self.packet, self.ruleset.grant);
        within(rule.source, packet.source)
            && within(rule.destination, packet.destination)
            && among(rule.sources.as_deref(), packet.source)
            && among(rule.destinations.as_deref(), packet.destination)
            && passes(rule.input.as_ref(), &packet.input)
            && passes(rule.output.as_ref(), &packet.output)
            && rule.service.is_none_or(|service| serves(service, packet))
            && rule
                .ports
                .as_deref()
                .is_none_or(|ports| ports.iter().any(|it| it.contains(packet.port)))
            && (!rule.to_local || packet.output.is_empty())
            && rule
                .conntrack
                .is_none_or(|conntrack| tracks(conntrack, &packet.conn))
            && (rule.over.is_none() || packet.over)
            && (!rule.connmark || packet.conn.mark & grant == grant)
            && (!rule.mark || packet.mark & grant == grant)
    }
}

fn translate(packet: &mut Packet, address: IpAddr, port: Option<u16>) {
    packet.conn.translated_from = Some((packet.destination, packet.port));
    packet.destination = address;
    packet.port = port.unwrap_or(packet.port);
}

fn within(net: Option<IpNet>, address: IpAddr) -> bool {
    net.is_none_or(|net| net.contains(&address))
}

fn among(nets: Option<&[IpNet]>, address: IpAddr) -> bool {
    nets.is_none_or(|nets| nets.iter().any(|net| net.contains(&address)))
}

fn passes(interface: Option<&Interface>, name: &str) -> bool {
    interface.is_none_or(|wanted| {
        let own = &wanted.name.0;
        let found = own == name || wanted.begins && name.starts_with(own);
        found != wanted.not
    })
}

fn serves(service: Service, packet: &Packet) -> bool {
    match service {
        Service::All(protocol) => packet.protocol == protocol,
        Service::From(protocol, ports) => {
            packet.protocol == protocol && ports.contains(packet.source_port)
        }
        Service::Icmp(kind) => packet.protocol == Protocol::Icmp && packet.icmp_type == kind,
        Service::To(protocol, ports) => packet.protocol == protocol && ports.contains(packet.port),
    }
}

fn tracks(conntrack: Conntrack, conn: &ConnState) -> bool {
    match conntrack {
        Conntrack::Known => conn.known,
        Conntrack::Dnat => conn.translated_from.is_some(),
        Conntrack::NotDnat => conn.translated_from.is_none(),
        // Replies are known and have passed before; what is left runs in the original direction.
        Conntrack::Published { address, ports } => {
            conn.translated_from.is_some_and(|(to, port)| {
                ports.contains(port) && address.is_none_or(|address| address == to)
            })
        }
    }
}
