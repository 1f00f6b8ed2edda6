//! Checks on the rules of others, in both families.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::facts::Facts;
use super::nftables;
use crate::artifact::{HookEntry, Place};
use crate::deploy::is_ours;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::host::Variant;
use crate::netfilter::save::{Tables, target, words};
use crate::netfilter::{Family, Table};

/// One rule of somebody else's.
pub(super) struct Stranger<'f> {
    family: Family,
    table: Table,
    chain: &'f str,
    /// Its number in the chain, from 1.
    number: usize,
    rule: &'f str,
}

impl Stranger<'_> {
    fn place(&self) -> String {
        let Stranger {
            family,
            table,
            chain,
            number,
            rule,
        } = self;
        format!("{family} {table} {chain}, rule {number}: {rule}")
    }

    fn has(&self, word: &str) -> bool {
        words(self.rule).any(|it| it == word)
    }

    /// Returns the word behind an option.
    fn value(&self, option: &str) -> Option<&str> {
        let mut words = words(self.rule);
        words.find(|word| *word == option)?;
        words.next()
    }
}

/// Returns the rules in chains that are not tidegate's, without its jumps.
fn strangers(facts: &Facts) -> Vec<Stranger<'_>> {
    let mut all = Vec::new();
    for (family, tables) in &facts.rules {
        for table in Table::ALL {
            let chains = tables.table(table).into_iter().flat_map(|it| &it.chains);
            for (chain, text) in chains.filter(|(name, _)| !name.starts_with("TIDE-")) {
                let rules = text.rules.iter().zip(1..);
                let others = rules.filter(|(rule, _)| !is_ours(rule));
                all.extend(others.map(|(rule, number)| Stranger {
                    family: *family,
                    table,
                    chain,
                    number,
                    rule,
                }));
            }
        }
    }
    all
}

pub(super) fn other_variant(facts: &Facts) -> Vec<Finding> {
    let (usual, other) = match facts.variant() {
        Variant::Nft => ("nft", "legacy"),
        Variant::Auto | Variant::Legacy => ("legacy", "nft"),
    };
    let held: Vec<String> = facts
        .other
        .iter()
        .filter_map(|(family, tables)| held(*family, tables))
        .collect();
    if held.is_empty() {
        return Vec::new();
    }
    let weight = if held.iter().any(|text| text.contains("chains")) {
        Weight::Error
    } else {
        Weight::Warning
    };
    let seen = format!("iptables-{other} holds rules, and iptables here is {usual}");
    let why = "the kernel asks both, whoever drops last wins; neither tool shows the other's rules, \
               and a grant does not arrive where Docker's DOCKER-USER is in the other one";
    let remedy = format!(
        "have everything use one of them (update-alternatives --config iptables), restart Docker, then \
         empty the other: iptables-{other}-save > saved; iptables-{other} -F, for each table"
    );
    vec![
        Finding::new(code::OTHER_VARIANT, weight, seen)
            .at(held.join("; "))
            .why(why)
            .remedy(remedy),
    ]
}

/// Says what one family's tables hold; nothing for tables without a rule.
fn held(family: Family, tables: &Tables) -> Option<String> {
    let present = Table::ALL
        .into_iter()
        .filter_map(|table| tables.table(table));
    let (mut rules, mut names) = (0, BTreeSet::new());
    for (name, chain) in present.flat_map(|table| &table.chains) {
        rules += chain.rules.len();
        if ["TIDE-", "DOCKER"]
            .iter()
            .any(|start| name.starts_with(start))
        {
            names.insert(name.as_str());
        }
    }
    if rules == 0 {
        return None;
    }
    let names: Vec<&str> = names.into_iter().take(3).collect();
    let chains = match names.as_slice() {
        [] => String::new(),
        names => format!(", with chains {}", names.join(", ")),
    };
    let ending = if rules == 1 { "" } else { "s" };
    Some(format!("{family}: {rules} rule{ending}{chains}"))
}

/// Rules in a chain that is hooked first which end a packet's way before ours see it.
pub(super) fn in_front(facts: &Facts) -> Vec<Finding> {
    let hooks = facts.manifest.iter().flat_map(|manifest| &manifest.hooks);
    let first = hooks.filter(|hook| hook.place == Place::First);
    first.flat_map(|hook| before(facts, hook)).collect()
}

fn before(facts: &Facts, hook: &HookEntry) -> Vec<Finding> {
    let tables = facts.rules.get(&hook.family);
    let chain = tables.and_then(|tables| tables.chain(hook.table, &hook.chain));
    let rules = || chain.into_iter().flat_map(|chain| chain.rules.iter());
    let end = rules()
        .position(|rule| target(rule) == Some(hook.target.as_str()) && rule.starts_with("-j"));
    let Some(end) = end else { return Vec::new() };
    let rules = rules().zip(1..).take(end);
    let rules = rules.filter(|(rule, _)| !is_ours(rule) && may_accept(rule));
    let found = rules.map(|(rule, number)| {
        let HookEntry {
            family,
            table,
            chain,
            ..
        } = hook;
        let seen = format!("a rule of others stands in front of {}", hook.target);
        Finding::new(code::RULE_IN_FRONT, Weight::Error, seen)
            .at(format!("{family} {table} {chain}, rule {number}: {rule}"))
            .why("what it accepts is never asked for by the policy")
            .remedy("tidegate drift --repair, and have whoever wrote it append it instead")
    });
    found.collect()
}

/// Returns whether a rule can let a packet past those behind it: what only drops or counts cannot.
fn may_accept(rule: &str) -> bool {
    !matches!(
        target(rule),
        None | Some("DROP" | "REJECT" | "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TCPMSS")
    )
}

pub(super) fn untracked(facts: &Facts) -> Vec<Finding> {
    let strangers = strangers(facts).into_iter();
    let rules = strangers.filter(|it| match target(it.rule) {
        Some("NOTRACK") => true,
        Some("CT") => ["--notrack", "--zone", "--zone-orig"]
            .iter()
            .any(|word| it.has(word)),
        _ => false,
    });
    let places = rules.map(|it| it.place());
    let places = places.chain(nftables::with(&facts.nftables, "notrack"));
    let found = places.map(|place| {
        Finding::new(
            code::UNTRACKED,
            Weight::Warning,
            "packets pass without connection tracking",
        )
        .at(place)
        .why(
            "published ports and answers are known by their connection; without one a packet is \
                 INVALID, and what is accepted or dropped is not what the policy says",
        )
        .remedy("take the rule out, or narrow it to what does not go to a container")
    });
    found.collect()
}

pub(super) fn redirected(facts: &Facts) -> Vec<Finding> {
    let strangers = strangers(facts).into_iter();
    let rules = strangers.filter(|it| match target(it.rule) {
        Some("TPROXY") => true,
        Some("DNAT") if !it.chain.starts_with("DOCKER") => it
            .value("--to-destination")
            .is_some_and(|to| is_in_network(facts, to)),
        _ => false,
    });
    let places = rules.map(|it| it.place());
    let places = places.chain(nftables::with(&facts.nftables, "tproxy"));
    let found = places.map(|place| {
        Finding::new(
            code::REDIRECTED,
            Weight::Warning,
            "others lead packets elsewhere",
        )
        .at(place)
        .why(
            "a port that Docker does not publish leads into a network of the policy, or a packet \
                 ends in a local program, which asks the container in the host's name",
        )
        .remedy("publish the port by Docker and write it in the policy, or take the rule out")
    });
    found.collect()
}

/// Returns whether `192.0.2.1:80` or `[2001:db8::1]:80` is in a network of the policy.
fn is_in_network(facts: &Facts, to: &str) -> bool {
    let address = match to.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, _)) => inner,
        None if to.matches(':').count() == 1 => to.split(':').next().unwrap_or(to),
        None => to,
    };
    let address = address.split('-').next().unwrap_or(address);
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let networks = facts.parties.networks.iter();
    let mut subnets = networks.flat_map(|network| &network.subnets);
    subnets.any(|subnet| subnet.contains(&address))
}

pub(super) fn queued(facts: &Facts) -> Vec<Finding> {
    let strangers = strangers(facts).into_iter();
    let rules = strangers.filter(|it| matches!(target(it.rule), Some("NFQUEUE" | "QUEUE")));
    let places = rules.map(|it| it.place());
    let places = places.chain(nftables::with(&facts.nftables, "queue"));
    let found = places.map(|place| {
        Finding::new(
            code::QUEUED,
            Weight::Warning,
            "packets are given to a program to decide",
        )
        .at(place)
        .why(
            "what the program accepts skips the rest of its chain; with bypass, so does everything \
                 while the program does not run",
        )
        .remedy("queue what the policy has let through: behind tidegate's jumps, not before")
    });
    found.collect()
}

/// Chains and tables by which other engines are known.
const ENGINES: &[(&str, &str)] = &[
    ("CNI-", "containerd or podman with CNI"),
    ("KUBE-", "Kubernetes (kube-proxy or kubelet)"),
    ("LIBVIRT_", "libvirt"),
    ("NETAVARK", "podman with netavark"),
    ("cali-", "Calico"),
];
const ENGINE_TABLES: &[(&str, &str)] = &[
    ("incus", "Incus"),
    ("kube-proxy", "Kubernetes (kube-proxy)"),
    ("libvirt_network", "libvirt"),
    ("lxd", "LXD"),
    ("netavark", "podman with netavark"),
];

pub(super) fn other_engines(facts: &Facts) -> Vec<Finding> {
    let mut found = BTreeSet::new();
    let both = facts.rules.values().chain(facts.other.values());
    for tables in both {
        let present = Table::ALL
            .into_iter()
            .filter_map(|table| tables.table(table));
        for name in present.flat_map(|table| table.chains.keys()) {
            let known = ENGINES.iter().find(|(start, _)| name.starts_with(start));
            found.extend(known.map(|(_, engine)| *engine));
        }
    }
    for name in nftables::tables(&facts.nftables) {
        let known = ENGINE_TABLES.iter().find(|(table, _)| *table == name);
        found.extend(known.map(|(_, engine)| *engine));
    }
    let note = |engine| {
        Finding::new(
            code::OTHER_ENGINE_BESIDE,
            Weight::Note,
            format!("{engine} has rules here, too"),
        )
        .why(
            "a policy is about the networks that it declares; those of another engine are neither \
             opened nor closed by it, but for `others drop`",
        )
        .remedy("nothing, if that is meant; else declare its bridges, or write `others drop`")
    };
    found.into_iter().map(note).collect()
}

/// Rules of others that decide in DOCKER-USER before our grants are met there.
pub(super) fn docker_user(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (family, tables) in &facts.rules {
        let Some(chain) = tables.chain(Table::Filter, "DOCKER-USER") else {
            continue;
        };
        let Some(ours) = chain.rules.iter().position(is_ours) else {
            continue;
        };
        let ends = |rule: &str| match target(rule) {
            Some("RETURN") => true,
            Some("DROP" | "REJECT") => !rule.contains("--match-set"),
            _ => false,
        };
        let rules = chain.rules.iter().zip(1..).take(ours);
        let ending: Vec<_> = rules.filter(|(rule, _)| ends(rule)).collect();
        if let Some((rule, number)) = ending.first() {
            let count = ending.len();
            let seen = format!("{count} rules of others in DOCKER-USER decide before TIDE-PASS");
            let seen = if count == 1 {
                seen.replace("rules", "rule").replace("decide", "decides")
            } else {
                seen
            };
            found.push(
                Finding::new(code::DOCKER_USER_DECIDES, Weight::Note, seen)
                    .at(format!("{family} filter DOCKER-USER, rule {number}: {rule}"))
                    .why(
                        "what they drop stays closed although the policy allows it (so bans win), and \
                         what they return gets no grant; nothing is opened by it",
                    )
                    .remedy("nothing for bans; ufw-docker's block is not needed beside a policy"),
            );
        }
    }
    found
}

/// Rules of others that write the bit of the packet mark which carries a grant.
pub(super) fn mark(facts: &Facts) -> Vec<Finding> {
    let Some(bit) = facts.manifest.as_ref().and_then(|it| number(&it.mark)) else {
        return Vec::new();
    };
    let strangers = strangers(facts).into_iter();
    let found = strangers.filter_map(|it| {
        let (value, mask) = written(&it)?;
        if mask & bit == 0 {
            return None;
        }
        // What raw, nat and mangle PREROUTING write, the gate clears again.
        if it.table == Table::Raw || it.chain == "PREROUTING" {
            return None;
        }
        let (weight, effect) = if value & bit == 0 {
            (
                Weight::Warning,
                "takes grants away, so that what the policy allows may stay closed",
            )
        } else {
            (
                Weight::Error,
                "makes a grant of its own, which DOCKER-USER accepts",
            )
        };
        let seen = format!("a rule of others writes the mark {bit:#x} of grants");
        let why = format!("a rule that {effect}");
        Some(
            Finding::new(code::MARK_WRITTEN, weight, seen)
                .at(it.place())
                .why(why)
                .remedy(
                    "name a bit that nobody else uses in the policy: `mark` in its `host` block",
                ),
        )
    });
    found.collect()
}

/// Returns the value and the mask that a rule writes into the packet mark.
fn written(rule: &Stranger<'_>) -> Option<(u32, u32)> {
    match target(rule.rule)? {
        "MARK" => {
            let text = rule
                .value("--set-xmark")
                .or_else(|| rule.value("--set-mark"))?;
            let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
            Some((number(value)?, number(mask)?))
        }
        "CONNMARK" if rule.has("--restore-mark") => {
            // What a connection carries is not known; its grant is put back with it.
            let mask = rule.value("--nfmask").map_or(Some(u32::MAX), number)?;
            Some((0, mask))
        }
        _ => None,
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
