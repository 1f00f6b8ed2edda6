//! One chain: its rules in order, jumps, and what targets do to the packet.

use std::net::IpAddr;

use super::forks::Answers;
use super::{End, Event, Machine, Probe, Step};
use crate::netfilter::dump::{
    Action, ChainPolicy, Condition, DumpChain, DumpRule, DumpTable, Opaque, States, Test,
    Translation,
};

/// Jumps that may nest; the kernel refuses more than 16 levels of nft, and circles.
const MAX_DEPTH: usize = 64;
/// Most steps, or questions, that are told of one way, and most rules that are looked at: chains that
/// lead twice to the next one are met as often as one likes.
const MAX_STEPS: usize = 20_000;
const MAX_LOOKS: usize = 5_000_000;

/// The packet on its way.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub input: String,
    pub output: String,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub source_port: u16,
    pub port: u16,
    pub icmp: (u8, u8),
    pub tcp_flags: u8,
    pub state: States,
    pub original: bool,
    /// Destination and port of the connection's first packet, before any translation.
    pub asked: (IpAddr, u16),
    /// Its source.
    pub asker: IpAddr,
    pub mark: u32,
    pub connmark: u32,
}

impl Packet {
    pub(super) fn new(probe: &Probe) -> Self {
        Packet {
            input: probe.input.clone().unwrap_or_default(),
            output: String::new(),
            source: probe.source,
            destination: probe.destination,
            protocol: probe.protocol,
            source_port: probe.source_port,
            port: probe.port,
            icmp: probe.icmp,
            tcp_flags: probe.tcp_flags,
            state: probe.state,
            original: true,
            asked: (probe.destination, probe.port),
            asker: probe.source,
            mark: probe.mark,
            connmark: probe.connmark,
        }
    }

    /// Does what a rule says about marks and connection tracking.
    fn change(&mut self, action: &Action) {
        match action {
            Action::NoTrack => self.state = States::UNTRACKED,
            Action::Mark { flip, clear } => self.mark = (self.mark & !clear) ^ flip,
            Action::ConnMark { flip, clear } => self.connmark = (self.connmark & !clear) ^ flip,
            Action::SaveMark { from, to } => {
                self.connmark = (self.connmark & !to) ^ (self.mark & from);
            }
            Action::RestoreMark { from, to } => {
                self.mark = (self.mark & !to) ^ (self.connmark & from);
            }
            _ => {}
        }
    }

    pub(super) fn is_translated(&self) -> bool {
        self.asked != (self.destination, self.port)
    }
}

/// How a table's hook ended for a packet that goes on.
pub(super) enum Passed {
    /// Down to the next table.
    On,
    Ended(End),
}

enum Verdict {
    Accept,
    Return,
    Ended(End),
}

pub(super) struct Walker<'m> {
    pub machine: &'m Machine,
    pub packet: Packet,
    /// Connection tracking has seen the packet: everywhere but in `raw`.
    pub tracks: bool,
    /// The host sent the packet to itself, and its connection came along.
    pub returned: bool,
    pub steps: Vec<Step>,
    /// Rules looked at.
    pub looks: usize,
    pub answers: Answers,
    /// Where the connection goes, if that was decided before.
    pub translated: Option<(IpAddr, u16)>,
    pub table: &'static str,
}

/// Tells whether only the kernel knows if a rule matches.
fn is_open(rule: &DumpRule) -> bool {
    let opaque = |condition: &Condition| matches!(condition.test, Test::Opaque(_));
    rule.conditions.iter().any(opaque)
}

impl<'m> Walker<'m> {
    /// Sends the packet through a chain of the kernel.
    pub(super) fn hook(&mut self, table: &'static str, chain: &str) -> Passed {
        let Some(rules) = self.machine.rules.tables.get(table) else {
            return Passed::On;
        };
        let Some(first) = rules.chains.get(chain) else {
            return Passed::On;
        };
        self.table = table;
        self.tracks = table != "raw" || self.returned;
        // `nf_nat_inet_fn` of the kernel looks at no rule for what has no connection.
        if table == "nat" && !self.is_tracked() {
            return Passed::On;
        }
        if let Some(to) = self.translated.filter(|_| table == "nat") {
            if ["PREROUTING", "OUTPUT"].contains(&chain) {
                (self.packet.destination, self.packet.port) = to;
            }
            return Passed::On;
        }
        self.note(chain, Event::Hook);
        match self.chain(rules, chain, first, 0) {
            Verdict::Accept => Passed::On,
            Verdict::Ended(end) => Passed::Ended(end),
            Verdict::Return => {
                self.note(chain, Event::Policy);
                match first.policy {
                    Some(ChainPolicy::Drop) => Passed::Ended(End::Dropped),
                    _ => Passed::On,
                }
            }
        }
    }

    fn note(&mut self, chain: &str, event: Event) {
        self.steps.push(Step {
            table: self.table,
            chain: chain.to_owned(),
            event,
            translated: None,
            masked: None,
        });
    }

    pub(super) fn ask(&mut self, opaque: &Opaque) -> bool {
        self.answers.ask(opaque)
    }

    fn chain(
        &mut self,
        table: &'m DumpTable,
        name: &str,
        chain: &'m DumpChain,
        depth: usize,
    ) -> Verdict {
        if depth >= MAX_DEPTH {
            return Verdict::Ended(End::Endless);
        }
        for (rule, number) in chain.rules.iter().zip(1..) {
            if self.is_tired() {
                return Verdict::Ended(End::Endless);
            }
            // Whether it would be logged makes no difference to the packet.
            let idle = rule.action == Action::Continue && is_open(rule);
            if idle || !self.holds(&rule.conditions) {
                continue;
            }
            self.note(name, Event::Rule(number));
            let verdict = match &rule.action {
                Action::Jump(next) => self.lead(table, next, depth),
                Action::Goto(next) => return self.lead(table, next, depth),
                _ => self.act(rule),
            };
            match verdict {
                // A chain that was jumped to returned, or the rule only changed something.
                Verdict::Return if rule.action != Action::Return => {}
                verdict => return verdict,
            }
        }
        Verdict::Return
    }

    /// Counts a rule that is looked at, and tells whether there were too many.
    fn is_tired(&mut self) -> bool {
        self.looks += 1;
        let told = self.steps.len().max(self.answers.count());
        self.looks > MAX_LOOKS || told > MAX_STEPS
    }

    fn lead(&mut self, table: &'m DumpTable, next: &str, depth: usize) -> Verdict {
        match table.chains.get_key_value(next) {
            Some((name, chain)) => self.chain(table, name, chain, depth + 1),
            None => Verdict::Ended(End::Unknown(next.to_owned())),
        }
    }

    /// Does what a rule says; `Return` stands for going on, too.
    fn act(&mut self, rule: &DumpRule) -> Verdict {
        match &rule.action {
            Action::Accept => return Verdict::Accept,
            Action::Drop => return Verdict::Ended(End::Dropped),
            Action::Reject(answer) => return Verdict::Ended(End::Rejected(answer.clone())),
            Action::Dnat(to) => {
                self.translate(to);
                return Verdict::Accept;
            }
            Action::Snat(to) => {
                self.mask(to.addresses.map(|(first, _)| first));
                return Verdict::Accept;
            }
            Action::Masquerade => {
                let to = self.packet.destination;
                let own = self.machine.masquerade(&self.packet.output, to);
                self.mask(own);
                return Verdict::Accept;
            }
            Action::Redirect(ports) => {
                let own = self.own_address();
                if own.is_none() && self.machine.has(&self.packet.input) {
                    return Verdict::Ended(End::Dropped);
                }
                self.translate(&Translation {
                    addresses: own.map(|own| (own, own)),
                    ports: *ports,
                });
                return Verdict::Accept;
            }
            Action::Opaque(target) if self.ends(target) => {
                return Verdict::Ended(End::Unknown(target.clone()));
            }
            change if self.is_idle(change) => {}
            change => self.packet.change(change),
        }
        Verdict::Return
    }

    /// Tells whether a change needs a connection and there is none, or the other way round; `connmark_tg`
    /// of the kernel's `xt_connmark.c` and `notrack_tg` of `xt_CT.c`.
    fn is_idle(&self, action: &Action) -> bool {
        match action {
            Action::NoTrack => self.is_tracked(),
            Action::ConnMark { .. } | Action::SaveMark { .. } | Action::RestoreMark { .. } => {
                !self.is_tracked()
            }
            _ => false,
        }
    }

    fn ends(&mut self, target: &str) -> bool {
        let opaque = Opaque {
            text: format!("-j {target}"),
            stateful: true,
        };
        self.ask(&opaque)
    }

    /// Where the kernel may choose, this takes the first.
    fn translate(&mut self, to: &Translation) {
        if let Some((address, _)) = to.addresses {
            self.packet.destination = address;
        }
        if let Some(ports) = to.ports {
            self.packet.port = ports.first;
        }
        let now = (self.packet.destination, self.packet.port);
        if let Some(step) = self.steps.last_mut() {
            step.translated = Some(now);
        }
    }

    fn mask(&mut self, address: Option<IpAddr>) {
        self.packet.source = address.unwrap_or(self.packet.source);
        let now = self.packet.source;
        if let Some(step) = self.steps.last_mut() {
            step.masked = Some(now);
        }
    }

    /// Returns what REDIRECT leads to: loopback for the host's own packets, else the first address of
    /// the interface that the packet came by. Where that has none, the packet ends;
    /// `nf_nat_redirect_ipv4` of the kernel.
    fn own_address(&self) -> Option<IpAddr> {
        if self.packet.input.is_empty() {
            return Some(match self.packet.destination {
                IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
                IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            });
        }
        self.machine.address_of(&self.packet.input)
    }
}
