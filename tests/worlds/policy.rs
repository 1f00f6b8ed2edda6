//! A policy, read anew from its text and `docs/language.md`: nothing here is the compiler's.
//!
//! It reads what the worlds write: one statement a line, no `include`, no lists of ports.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::truth::Port;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Policy {
    pub(super) uplinks: Vec<String>,
    /// What `others` says; nothing is `closed`.
    pub(super) others: String,
    pub(super) trust: BTreeMap<String, Vec<(bool, IpNet)>>,
    pub(super) networks: BTreeMap<String, Declared>,
    pub(super) containers: BTreeMap<String, Member>,
    pub(super) access: Vec<Access>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Declared {
    pub(super) bridge: String,
    pub(super) has_icc: bool,
    pub(super) has_egress: bool,
    pub(super) reaches_host: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Member {
    pub(super) networks: Vec<String>,
    pub(super) exposes: Vec<Expose>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expose {
    pub(super) port: Port,
    /// The host's port, and the only address where one is named.
    pub(super) published: Option<(Option<IpAddr>, u16)>,
    pub(super) from: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Link,
    Allow,
    Deny,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Access {
    pub(super) verb: Verb,
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
    /// Nothing is every service.
    pub(super) ports: Vec<Port>,
}

impl Policy {
    pub(super) fn read(text: &str) -> Self {
        let mut policy = Policy::default();
        let mut block = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("");
            for part in line.replace('{', "{\n").replace('}', "\n}").lines() {
                let part = part.trim();
                let words: Vec<&str> = part.trim_end_matches('{').split_whitespace().collect();
                if part.is_empty() {
                    continue;
                }
                if part == "}" {
                    block.clear();
                } else if part.ends_with('{') {
                    policy.begin(&words);
                    block = words.iter().map(|word| (*word).to_owned()).collect();
                } else if block.is_empty() {
                    policy.begin(&words);
                } else {
                    policy.inside(&block, &words);
                }
            }
        }
        policy
    }

    /// Reads what stands in no block, or begins one.
    fn begin(&mut self, words: &[&str]) {
        match words {
            ["network", name, ..] => {
                let network = Declared {
                    has_egress: true,
                    reaches_host: true,
                    ..Declared::default()
                };
                self.networks.insert((*name).to_owned(), network);
            }
            ["container", name, rest @ ..] => {
                let pairs = rest.windows(2).filter(|pair| pair[0] == "on");
                let networks = pairs.map(|pair| pair[1].to_owned()).collect();
                let member = Member {
                    networks,
                    exposes: Vec::new(),
                };
                self.containers.insert((*name).to_owned(), member);
            }
            ["trust", name] => {
                self.trust.insert((*name).to_owned(), Vec::new());
            }
            ["link", rest @ ..] => self.access.push(access(Verb::Link, rest)),
            ["allow", rest @ ..] => self.access.push(access(Verb::Allow, rest)),
            ["deny", rest @ ..] => self.access.push(access(Verb::Deny, rest)),
            [] | ["host" | "expect", ..] => {}
            _ => panic!("{words:?}: this reader does not know it"),
        }
    }

    fn inside(&mut self, block: &[String], words: &[&str]) {
        let name = block.get(1).map_or("", String::as_str);
        match (block[0].as_str(), words) {
            ("host", ["uplink", rest @ ..]) => self.uplinks = list(rest),
            ("host", ["others", how]) => (*how).clone_into(&mut self.others),
            ("host", _) => {}
            ("trust", words) => {
                let members = self.trust.get_mut(name).expect("begun");
                members.extend(words.join(" ").split(',').filter_map(member));
            }
            ("network", words) => self.networks.get_mut(name).expect("begun").set(words),
            ("container", ["expose", rest @ ..]) => {
                let member = self.containers.get_mut(name).expect("begun");
                member.exposes.push(expose(rest));
            }
            _ => panic!("{block:?}: {words:?}: this reader does not know it"),
        }
    }

    /// Whether a trust set holds an address. An `except` takes away, wherever it stands.
    pub(super) fn trusts(&self, name: &str, address: IpAddr) -> bool {
        let members = self.trust.get(name).into_iter().flatten();
        let holds = |wanted| {
            let of_kind = members.clone().filter(move |(is_in, _)| *is_in == wanted);
            of_kind.clone().any(|(_, net)| net.contains(&address))
        };
        holds(true) && !holds(false)
    }
}

impl Declared {
    fn set(&mut self, words: &[&str]) {
        match words {
            ["bridge", name] => (*name).clone_into(&mut self.bridge),
            ["icc", how] => self.has_icc = *how == "on",
            ["egress", how] => self.has_egress = *how == "on",
            ["host-access", how] => self.reaches_host = *how == "on",
            _ => {}
        }
    }
}

fn list(words: &[&str]) -> Vec<String> {
    let joined = words.join(" ");
    let parts = joined.split([',', ' ']).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Reads an address or a prefix, with `except` before it or not.
fn member(text: &str) -> Option<(bool, IpNet)> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let (is_in, text) = match text.strip_prefix("except ") {
        Some(rest) => (false, rest),
        None => (true, text),
    };
    let single = || text.parse::<IpAddr>().map(IpNet::from);
    let net = text.parse().or_else(|_| single());
    Some((
        is_in,
        net.unwrap_or_else(|_| panic!("{text}: this reader does not know it")),
    ))
}

fn expose(words: &[&str]) -> Expose {
    let after = |word| {
        let at = words.iter().position(|other| *other == word)?;
        Some(&words[at + 1..])
    };
    let end = |words: &[&str]| {
        let ends = |word: &&str| ["limit", "log"].contains(word);
        words.iter().position(ends).unwrap_or(words.len())
    };
    Expose {
        port: Port::read(words[0]),
        published: after("as").map(|rest| published(rest[0])),
        from: after("from").map_or_else(Vec::new, |rest| list(&rest[..end(rest)])),
    }
}

/// Reads `8080`, `192.0.2.1:8080` or `[2001:db8::1]:8080`.
fn published(text: &str) -> (Option<IpAddr>, u16) {
    let (address, port) = text.rsplit_once(':').unwrap_or(("", text));
    let address = address.trim_matches(['[', ']']);
    (address.parse().ok(), port.parse().expect("a port"))
}

fn access(verb: Verb, words: &[&str]) -> Access {
    let joined = words.join(" ");
    let (parties, ports) = joined.split_once(" : ").unwrap_or((&joined, ""));
    let (from, to) = parties.split_once("->").expect("an arrow");
    let ports = list(&[ports]);
    Access {
        verb,
        from: list(&[from]),
        to: list(&[to]),
        ports: ports.iter().map(|port| Port::read(port)).collect(),
    }
}

#[test]
fn the_shop_is_read_as_it_is_written() {
    let policy = Policy::read(include_str!("../docker/shop.tide"));
    assert_eq!(policy.uplinks, ["eth0"]);
    assert!(policy.trusts("office", "192.0.2.10".parse().unwrap()));
    assert!(!policy.trusts("office", "192.0.2.66".parse().unwrap()));
    assert_eq!(policy.networks["shop"].bridge, "br-shop");
    let web = &policy.containers["web"];
    assert_eq!(web.exposes[0].published, Some((None, 8080)));
    assert_eq!(web.exposes[0].from, ["office"]);
    assert_eq!(policy.access[0].to, ["db"]);
    let last = Policy::read("deny a, b -> any : 53/udp, 22/tcp")
        .access
        .remove(0);
    assert_eq!((last.from.len(), last.ports.len()), (2, 2));
    assert_eq!(published("[2001:db8::1]:80").1, 80);
}
