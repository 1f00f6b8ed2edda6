//! Checks on other tools that write rules: when they run, and what they do to ours then.

use super::facts::Facts;
use super::nftables;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::host::Variant;

/// What heals it, once somebody has emptied tables.
const BUNDLE_AGAIN: &str = "`systemctl restart tidegate` puts tidegate's back at once, the timer within \
                            70 s";

/// Returns the value of `KEY=VALUE` in a file of settings, without quotes; the last one counts.
fn setting<'f>(facts: &'f Facts, path: &str, key: &str) -> Option<&'f str> {
    let mut lines = facts.file(path)?.lines().rev();
    lines.find_map(|line| {
        let (name, value) = line.trim().split_once('=')?;
        (name.trim_end() == key).then(|| value.trim().trim_matches(['"', '\'']))
    })
}

fn is_yes(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("yes") || value == "true")
}

/// Returns the first line of a file that `is` says, from 1.
fn line_of(text: &str, is: impl Fn(&str) -> bool) -> Option<usize> {
    let lines = text.lines().map(str::trim).zip(1..);
    let mut code = lines.filter(|(line, _)| !line.starts_with(['#', ';']));
    code.find(|(line, _)| is(line)).map(|(_, number)| number)
}

/// Files of saved rules, and the unit that loads each.
const SAVED: &[(&str, &str)] = &[
    ("/etc/iptables/rules.v4", "netfilter-persistent.service"),
    ("/etc/iptables/rules.v6", "netfilter-persistent.service"),
    ("/etc/sysconfig/iptables", "iptables.service"),
    ("/etc/sysconfig/ip6tables", "ip6tables.service"),
];

pub(super) fn saved_rules(facts: &Facts) -> Vec<Finding> {
    let saved = SAVED.iter().filter_map(|(path, unit)| {
        let text = facts.file(path)?;
        let others = line_of(text, |line| line.starts_with(":DOCKER"));
        let ours = line_of(text, |line| line.starts_with(":TIDE-"));
        line_of(text, |line| line.starts_with('*'))?;
        let place = ours
            .or(others)
            .map_or_else(|| (*path).to_owned(), |line| format!("{path}:{line}"));
        let whose = match (ours, others) {
            (Some(_), _) => "with old chains of tidegate",
            (None, Some(_)) => "with old chains of Docker",
            (None, None) => "of one day",
        };
        let weight = if facts.enabled.contains(*unit) || ours.or(others).is_some() {
            Weight::Warning
        } else {
            // A restart of the unit by hand would load them.
            Weight::Note
        };
        let (why, remedy) = saved_remedy(facts);
        Some(
            Finding::new(
                code::SAVED_RULES,
                weight,
                format!("{unit} loads saved rules {whose}"),
            )
            .at(place)
            .why(format!("{why}; {BUNDLE_AGAIN}"))
            .remedy(remedy),
        )
    });
    saved.collect()
}

/// Says what loading does to the rest, and how to keep it from that.
fn saved_remedy(facts: &Facts) -> (&'static str, &'static str) {
    const DEFAULTS: &str = "/etc/default/netfilter-persistent";
    if is_yes(setting(facts, DEFAULTS, "IPTABLES_RESTORE_NOFLUSH")) {
        (
            "chains that it names begin anew as they were then",
            "save again without them: take the lines with DOCKER and TIDE- out of the file",
        )
    } else {
        (
            "each table that it names is emptied of all else, at boot and by every restart",
            "keep your own rules alone in it, and set IPTABLES_RESTORE_NOFLUSH=yes in \
             /etc/default/netfilter-persistent, or load them by `iptables-restore --noflush`",
        )
    }
}

pub(super) fn nftables_service(facts: &Facts) -> Vec<Finding> {
    if facts.variant() == Variant::Legacy || !facts.enabled.contains("nftables.service") {
        return Vec::new();
    }
    let paths = ["/etc/nftables.conf", "/etc/sysconfig/nftables.conf"];
    let flushing = paths.iter().filter_map(|path| {
        let line = line_of(facts.file(path)?, |line| line.starts_with("flush ruleset"))?;
        Some(format!("{path}:{line}"))
    });
    let finding = |place| {
        Finding::new(
            code::NFTABLES_FLUSHES,
            Weight::Warning,
            "nftables.service empties every \
            table when it starts",
        )
        .at(place)
        .why(format!(
            "iptables-nft keeps its rules in nftables: Docker's and tidegate's go \
                with all others; {BUNDLE_AGAIN}"
        ))
        .remedy(
            "write `table inet NAME`, then `delete table inet NAME`, for your own tables \
                instead of `flush ruleset`",
        )
    };
    flushing.map(finding).collect()
}

const UFW_DEFAULTS: &str = "/etc/default/ufw";

pub(super) fn ufw(facts: &Facts) -> Vec<Finding> {
    if !is_yes(setting(facts, "/etc/ufw/ufw.conf", "ENABLED")) {
        return Vec::new();
    }
    let told = [ufw_builtins(facts), ufw_forward(facts), ufw_docker(facts)];
    let mut found: Vec<Finding> = told.into_iter().flatten().collect();
    if found.is_empty() {
        found.push(
            Finding::new(code::UFW, Weight::Note, "ufw is enabled")
                .why(
                    "its rules are asked behind tidegate's, and both must let a packet in; \
                     published ports pass ufw by, not tidegate",
                )
                .remedy(
                    "nothing: `ufw reload` leaves tidegate's rules as they are; after `ufw disable`, which \
                     has FORWARD accept: tidegate drift --repair",
                ),
        );
    }
    found
}

fn ufw_builtins(facts: &Facts) -> Option<Finding> {
    if !is_yes(setting(facts, UFW_DEFAULTS, "MANAGE_BUILTINS")) {
        return None;
    }
    let seen = "ufw empties the chains of the kernel at each start and reload";
    Some(
        Finding::new(code::UFW, Weight::Warning, seen)
            .at(format!("{UFW_DEFAULTS}: MANAGE_BUILTINS=yes"))
            .why(format!(
                "tidegate's jumps in INPUT and FORWARD go with them; {BUNDLE_AGAIN}"
            ))
            .remedy("set MANAGE_BUILTINS=no"),
    )
}

fn ufw_forward(facts: &Facts) -> Option<Finding> {
    let policy = setting(facts, UFW_DEFAULTS, "DEFAULT_FORWARD_POLICY")?;
    let wanted = facts.manifest.as_ref()?.forward.as_ref()?;
    if policy == wanted.policy {
        return None;
    }
    let seen = format!(
        "ufw sets FORWARD's policy to {policy}, and the policy says {}",
        wanted.policy
    );
    Some(
        Finding::new(code::UFW, Weight::Warning, seen)
            .at(format!(
                "{UFW_DEFAULTS}: DEFAULT_FORWARD_POLICY, {}",
                wanted.source
            ))
            .why(
                "whoever starts or reloads last decides about networks that the policy does not \
                 declare",
            )
            .remedy(format!(
                "set DEFAULT_FORWARD_POLICY=\"{}\", or change `forward` in the policy",
                wanted.policy
            )),
    )
}

fn ufw_docker(facts: &Facts) -> Option<Finding> {
    let mut paths = ["/etc/ufw/after.rules", "/etc/ufw/after6.rules"].into_iter();
    let place = paths.find_map(|path| {
        let line = line_of(facts.file(path)?, |line| line.contains("DOCKER-USER"))?;
        Some(format!("{path}:{line}"))
    })?;
    let seen = "ufw's rules write DOCKER-USER, as ufw-docker has it";
    Some(
        Finding::new(code::UFW, Weight::Warning, seen)
            .at(place)
            .why(
                "each reload of ufw empties that chain and decides there before tidegate's grants: \
                 what the policy allows may stay closed",
            )
            .remedy(
                "take that block out: the policy closes what it was there to close; then \
                 `ufw reload` and `tidegate drift --repair`",
            ),
    )
}

pub(super) fn firewalld(facts: &Facts) -> Vec<Finding> {
    const CONF: &str = "/etc/firewalld/firewalld.conf";
    let runs = nftables::tables(&facts.nftables).any(|table| table == "firewalld");
    let enabled = [
        "firewalld.service",
        "dbus-org.fedoraproject.FirewallD1.service",
    ];
    if !runs && !enabled.iter().any(|unit| facts.enabled.contains(*unit)) {
        return Vec::new();
    }
    let mut found = vec![
        // Of nftables it removes its own tables alone, of iptables everything: all its backends are
        // flushed, whichever is in use.
        Finding::new(
            code::FIREWALLD,
            Weight::Warning,
            "firewalld is in use, and a reload of it empties all of iptables",
        )
        .at(CONF)
        .why(format!(
            "Docker puts its rules back by itself, and DOCKER-USER empty; {BUNDLE_AGAIN}"
        ))
        .remedy("after `firewall-cmd --reload`: systemctl restart tidegate"),
    ];
    if is_yes(setting(facts, CONF, "StrictForwardPorts")) {
        found.push(
            Finding::new(
                code::FIREWALLD,
                Weight::Warning,
                "firewalld closes ports that containers publish",
            )
            .at(format!("{CONF}: StrictForwardPorts=yes"))
            .why("what the policy opens stays closed unless firewalld forwards it, too")
            .remedy("set StrictForwardPorts=no, and leave published ports to the policy"),
        );
    }
    found
}

/// Where scripts may be that run at boot or when an interface comes.
const SCRIPTS: &[&str] = &["/etc/rc.", "/etc/network", "/etc/NetworkManager/"];

pub(super) fn scripts(facts: &Facts) -> Vec<Finding> {
    let is_script = |path: &str| SCRIPTS.iter().any(|start| path.starts_with(start));
    let files = facts.files.iter().filter(|(path, _)| is_script(path));
    let found = files.filter_map(|(path, text)| {
        let line = line_of(text, flushes)?;
        let words = text.lines().nth(line - 1).unwrap_or_default().trim();
        Some(
            Finding::new(
                code::SCRIPT_FLUSHES,
                Weight::Warning,
                "a script replaces or empties rules",
            )
            .at(format!("{path}:{line}: {words}"))
            .why(format!(
                "Docker's rules and tidegate's go with what it empties; {BUNDLE_AGAIN}"
            ))
            .remedy(
                "have it empty its own chains alone, and load with `iptables-restore --noflush`",
            ),
        )
    });
    found.collect()
}

/// Returns whether a line of a script takes rules of others away.
fn flushes(line: &str) -> bool {
    let words: Vec<&str> = line
        .split(|c: char| c.is_whitespace() || c == ';')
        .collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    let calls = |start: &[&str]| {
        words.iter().any(|word| {
            let program = word.rsplit('/').next().unwrap_or(word);
            start.contains(&program)
        })
    };
    let restore = [
        "iptables-restore",
        "ip6tables-restore",
        "iptables-legacy-restore",
        "iptables-nft-restore",
    ];
    let iptables = ["iptables", "ip6tables", "iptables-legacy", "iptables-nft"];
    // A chain named behind the flag is its owner's business.
    let flushes_all = |flag: &&str| {
        let mut rest = words.iter().skip_while(|word| *word != flag).skip(1);
        let next = rest.find(|word| !word.is_empty());
        words.contains(flag)
            && next.is_none_or(|next| {
                next.starts_with(['-', '|', '&', '>', '#', '2'])
                    || ["FORWARD", "INPUT", "DOCKER-USER", "PREROUTING"].contains(next)
            })
    };
    (calls(&restore) && !has(&["--noflush", "-n", "--test", "-t"]))
        || (calls(&iptables) && ["-F", "--flush"].iter().any(flushes_all))
        || (calls(&["nft"]) && line.contains("flush ruleset"))
}
