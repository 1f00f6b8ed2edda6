//! Random texts of iptables-save that iptables-restore would take.

use std::fmt::Write;

use tidegate::net::Family;

use super::dice::Dice;
use super::dump_machines::{INTERFACES, NETS, PORTS, nets_of};

/// The hooks of each table.
const TABLES: [(&str, &[&str]); 5] = [
    ("raw", &["PREROUTING", "OUTPUT"]),
    (
        "mangle",
        &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
    ),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("security", &["INPUT", "FORWARD", "OUTPUT"]),
];
/// Chains of users in each table, `U0` to `U3`. Each leads to later ones only, and in `nat` those with
/// an even number translate destinations, the others sources.
const USERS: usize = 4;

/// Returns the rules of a machine in one family; with `open`, some that only the kernel can answer.
pub fn text(dice: &mut Dice, family: Family, open: bool) -> String {
    let mut text = String::new();
    for (table, hooks) in TABLES {
        let rare = table == "security";
        if dice.one_in(3) || rare && (!open || dice.below(4) > 0) {
            continue;
        }
        Writer {
            dice,
            family,
            open,
            table,
            text: &mut text,
            chain: String::new(),
        }
        .table(hooks);
    }
    text
}

struct Writer<'w> {
    dice: &'w mut Dice,
    family: Family,
    open: bool,
    table: &'static str,
    text: &'w mut String,
    /// The chain whose rules are being written.
    chain: String,
}

impl Writer<'_> {
    fn table(&mut self, hooks: &[&str]) {
        let _ = writeln!(self.text, "*{}", self.table);
        for hook in hooks {
            let drops = self.table != "nat" && self.dice.one_in(6);
            let policy = if drops { "DROP" } else { "ACCEPT" };
            let _ = writeln!(self.text, ":{hook} {policy} [0:0]");
        }
        for user in 0..USERS {
            let _ = writeln!(self.text, ":U{user} - [0:0]");
        }
        for hook in hooks {
            if self.dice.below(4) > 0 {
                self.chain(hook);
            }
        }
        for user in 0..USERS {
            self.chain(&format!("U{user}"));
        }
        self.text.push_str("COMMIT\n");
    }

    fn chain(&mut self, name: &str) {
        name.clone_into(&mut self.chain);
        for _ in 0..self.dice.below(5) {
            let (conditions, ports) = self.conditions();
            let action = self.action(ports);
            let _ = writeln!(self.text, "-A {name}{conditions}{action}");
        }
    }

    fn not(&mut self) -> &'static str {
        if self.dice.one_in(4) { " !" } else { "" }
    }

    /// Returns conditions, and whether they want a protocol with ports.
    fn conditions(&mut self) -> (String, bool) {
        let mut text = String::new();
        for (letter, often) in [("s", 4), ("d", 3)] {
            if self.dice.one_in(often) {
                let net = self.net();
                // Nothing is outside of all, and nftables takes no such rule.
                let not = if net.ends_with("/0") { "" } else { self.not() };
                let _ = write!(text, "{not} -{letter} {net}");
            }
        }
        text.push_str(&self.interfaces());
        let ports = self.service(&mut text);
        if self.dice.one_in(4) {
            text.push_str(&self.connection());
        }
        if self.dice.one_in(5) {
            let module = self.dice.pick(&["mark", "connmark"]);
            let not = self.not();
            let _ = write!(text, " -m {module}{not} --mark {}", self.masked());
        }
        if self.dice.one_in(8) {
            text.push_str(&self.other());
        }
        if self.open && self.dice.one_in(10) {
            text.push_str(&self.only_the_kernels());
        }
        (text, ports)
    }

    fn net(&mut self) -> &'static str {
        self.dice.pick(&NETS.map(nets_of(self.family)))
    }

    /// iptables refuses the interface of the other side in chains of the kernel.
    fn interfaces(&mut self) -> String {
        let chain = self.chain.as_str();
        let comes = !["OUTPUT", "POSTROUTING"].contains(&chain);
        let goes = !["PREROUTING", "INPUT"].contains(&chain);
        let mut text = String::new();
        for letter in [("i", comes), ("o", goes)].iter().filter(|it| it.1) {
            if self.dice.one_in(5) {
                let name = self.dice.pick(&INTERFACES);
                let end = self.dice.pick(&["", "", "+"]);
                // `br-+` and `br-1+`, not only whole names.
                let long = name.len() - usize::from(!end.is_empty() && self.dice.one_in(2));
                let _ = write!(text, "{} -{} {}{end}", self.not(), letter.0, &name[..long]);
            }
        }
        text
    }

    fn service(&mut self, text: &mut String) -> bool {
        let (icmp, module, kind) = match self.family {
            Family::V4 => ("icmp", "icmp", "--icmp-type"),
            Family::V6 => ("ipv6-icmp", "icmp6", "--icmpv6-type"),
        };
        match self.dice.below(8) {
            0 => {
                let of = self.dice.pick(&["tcp", "udp", "47", icmp]);
                let _ = write!(text, "{} -p {of}", self.not());
                false
            }
            1 => {
                let of = self.dice.pick(&["3", "8", "128", "3/3", "3/4", "1/4"]);
                let not = self.not();
                let _ = write!(text, " -p {icmp} -m {module}{not} {kind} {of}");
                false
            }
            2..=4 => {
                let protocol = self.dice.pick(&["tcp", "udp", "tcp", "sctp"]);
                let _ = write!(text, " -p {protocol}{}", self.ports(protocol));
                protocol != "sctp"
            }
            _ => false,
        }
    }

    fn ports(&mut self, protocol: &str) -> String {
        let (not, range) = (self.not(), self.range());
        match self.dice.below(7) {
            0 => format!(" -m {protocol}{not} --dport {range}"),
            1 => format!(" -m {protocol}{not} --sport {range}"),
            2 => format!(" -m multiport{not} --dports {range},{}", self.range()),
            3 => format!(" -m multiport{not} --sports {range},{}", self.range()),
            4 => format!(" -m multiport{not} --ports {range},{}", self.range()),
            5 if protocol == "tcp" => {
                let set = self.dice.pick(&["SYN", "NONE", "ACK"]);
                format!(" -m tcp{not} --tcp-flags FIN,SYN,RST,ACK {set}")
            }
            _ => String::new(),
        }
    }

    fn range(&mut self) -> String {
        let (one, other) = (self.dice.pick(&PORTS), self.dice.pick(&PORTS));
        if one == other {
            one.to_string()
        } else {
            format!("{}:{}", one.min(other), one.max(other))
        }
    }

    fn connection(&mut self) -> String {
        const STATES: [&str; 9] = [
            "NEW",
            "RELATED,ESTABLISHED",
            "INVALID",
            "UNTRACKED",
            "NEW,UNTRACKED",
            "DNAT",
            "SNAT",
            "SNAT,DNAT",
            "ESTABLISHED,DNAT",
        ];
        let mut text = " -m conntrack".to_owned();
        let not = self.not();
        let _ = match self.dice.below(7) {
            0 => write!(text, "{not} --ctorigdst {}", self.net()),
            1 => write!(text, "{not} --ctorigsrc {}", self.net()),
            2 => write!(text, "{not} --ctorigdstport {}", self.range()),
            3 => write!(
                text,
                " --ctdir {}",
                self.dice.pick(&["ORIGINAL", "ORIGINAL", "REPLY"])
            ),
            _ => write!(text, "{not} --ctstate {}", self.dice.pick(&STATES)),
        };
        text
    }

    fn other(&mut self) -> String {
        let side = self.dice.pick(&["src", "dst"]);
        let not = self.not();
        if self.dice.one_in(2) {
            let kind = self.dice.pick(&["LOCAL", "UNICAST", "MULTICAST"]);
            return format!(" -m addrtype{not} --{side}-type {kind}");
        }
        let mut ends = [self.net(), self.net()].map(|net| {
            let net: ipnet::IpNet = net.parse().expect("a prefix");
            self.dice.pick(&[net.network(), net.broadcast()])
        });
        ends.sort();
        format!(" -m iprange{not} --{side}-range {}-{}", ends[0], ends[1])
    }

    /// Only the kernel can answer these. What depends on time is written once, so that it is seen which
    /// answers are of one rule.
    fn only_the_kernels(&mut self) -> String {
        let line = self.text.len();
        match self.dice.below(3) {
            0 => format!(" -m owner{} --uid-owner 7", self.not()),
            1 => format!(" -m ttl{} --ttl-eq 64", self.not()),
            _ => format!(" -m limit --limit {line}/hour"),
        }
    }

    fn masked(&mut self) -> String {
        let value = self.dice.pick(&[0u32, 1, 2, 3, 0x80_0000]);
        let mask = self.dice.pick(&[value, 1, 2, 3, 0x80_0003, u32::MAX]);
        format!("{value:#x}/{:#x}", mask | value)
    }

    fn action(&mut self, ports: bool) -> String {
        if self.table == "nat" && self.dice.below(3) > 0 {
            return self.translation(ports);
        }
        match self.dice.below(12) {
            0 => " -j ACCEPT".to_owned(),
            1 | 2 => self.end(),
            3 => " -j RETURN".to_owned(),
            4..=6 => self.lead(),
            7 if self.table == "raw" => self.dice.pick(&[" -j NOTRACK", " -j CT --notrack"]).into(),
            7 if self.open => " -j LOG".to_owned(),
            7 => " -m comment --comment x".to_owned(),
            8 if self.open && self.dice.one_in(4) => {
                format!(" -j NFQUEUE --queue-num {}", self.text.len())
            }
            8 | 9 => format!(" -j MARK --set-xmark {}", self.masked()),
            10 => format!(" -j CONNMARK --set-xmark {}", self.masked()),
            _ => self.copied(),
        }
    }

    fn copied(&mut self) -> String {
        let way = self.dice.pick(&["save", "restore"]);
        let masks = self.dice.pick(&[
            "--nfmask 0xffffffff --ctmask 0xffffffff",
            "--nfmask 0x3 --ctmask 0x3",
            "--nfmask 0x800000 --ctmask 0x800000",
            "--mask 0x800003",
        ]);
        format!(" -j CONNMARK --{way}-mark {masks}")
    }

    fn end(&mut self) -> String {
        match (self.table, self.family) {
            ("nat", _) => " -j ACCEPT",
            ("filter", Family::V4) => self
                .dice
                .pick(&[" -j DROP", " -j REJECT --reject-with icmp-host-prohibited"]),
            ("filter", Family::V6) => self
                .dice
                .pick(&[" -j DROP", " -j REJECT --reject-with icmp6-adm-prohibited"]),
            _ => " -j DROP",
        }
        .to_owned()
    }

    fn user(&self) -> Option<usize> {
        self.chain.strip_prefix('U')?.parse().ok()
    }

    /// Leads to a chain behind this one that may be reached from here.
    fn lead(&mut self) -> String {
        let first = self.user().map_or(0, |user| user + 1);
        let fits = |user: &usize| self.table != "nat" || self.side() == Some(user % 2);
        let all: Vec<usize> = (first..USERS).filter(fits).collect();
        if all.is_empty() {
            return " -j RETURN".to_owned();
        }
        let way = self.dice.pick(&["j", "j", "g"]);
        format!(" -{way} U{}", self.dice.pick(&all))
    }

    /// 0 where destinations are translated, 1 where sources are; nothing in `nat` INPUT, which has no
    /// MASQUERADE.
    fn side(&self) -> Option<usize> {
        match (self.user(), self.chain.as_str()) {
            (Some(user), _) => Some(user % 2),
            (None, "INPUT") => None,
            (None, hook) => Some(usize::from(hook == "POSTROUTING")),
        }
    }

    fn translation(&mut self, ports: bool) -> String {
        let address = super::dump_machines::target(self.dice, self.family);
        let literal = match self.family {
            Family::V4 => address.to_string(),
            Family::V6 => format!("[{address}]"),
        };
        let port = self.dice.pick(&PORTS).max(1);
        match (self.side(), ports && self.dice.one_in(2)) {
            (Some(0), with) if self.dice.one_in(4) => {
                let to = if with {
                    format!(" --to-ports {port}")
                } else {
                    String::new()
                };
                format!(" -j REDIRECT{to}")
            }
            (Some(0), true) => format!(" -j DNAT --to-destination {literal}:{port}"),
            (Some(0), false) => format!(" -j DNAT --to-destination {address}"),
            (Some(_), _) if self.dice.one_in(2) => " -j MASQUERADE".to_owned(),
            _ => format!(" -j SNAT --to-source {address}"),
        }
    }
}
