//! What a machine is like, as far as it matters to a policy; looked at once, and nothing changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde_json::Value;

use super::report::Counts;
use crate::artifact::{Manifest, Origins, Parties};
use crate::deploy::report::{Drift, DriftKind};
use crate::deploy::{self, Mismatches, OpenFrames, store};
use crate::diag::finding::Finding;
use crate::host::{Access, ContainerPowers, EngineFacts, Host, HostError, SOCKET, Variant};
use crate::netfilter::save::{self, Tables};
use crate::netfilter::{Family, Table};

/// Files of others that are read, each wherever its path leads.
const FILES: &[&str] = &[
    "/etc/default/netfilter-persistent",
    "/etc/default/ufw",
    "/etc/docker/daemon.json",
    "/etc/firewalld/firewalld.conf",
    "/etc/group",
    "/etc/iptables/rules.v4",
    "/etc/iptables/rules.v6",
    "/etc/network/interfaces",
    "/etc/nftables.conf",
    "/etc/rc.d/rc.local",
    "/etc/rc.local",
    "/etc/sysconfig/ip6tables",
    "/etc/sysconfig/iptables",
    "/etc/sysconfig/nftables.conf",
    "/etc/ufw/after.rules",
    "/etc/ufw/after6.rules",
    "/etc/ufw/before.rules",
    "/etc/ufw/before6.rules",
    "/etc/ufw/ufw.conf",
];

/// Folders whose files are read: what runs when an interface comes or goes.
const FOLDERS: &[&str] = &[
    "/etc/NetworkManager/dispatcher.d",
    "/etc/network/if-down.d",
    "/etc/network/if-post-down.d",
    "/etc/network/if-pre-up.d",
    "/etc/network/if-up.d",
    "/etc/network/interfaces.d",
    "/etc/networkd-dispatcher/routable.d",
];

/// Where units are looked for, the first one counts; systemd.unit(5).
pub(super) const UNIT_FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Kernel settings that are looked at, below /proc/sys.
const SYSCTLS: &[&str] = &[
    "net/ipv4/conf/all/accept_source_route",
    "net/ipv6/conf/all/accept_source_route",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_helper",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
];

/// Something that could not be looked at, so that nothing is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    pub what: String,
    pub why: String,
}

/// Whether there is a bundle to be in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Installed {
    #[default]
    Nothing,
    /// Why it cannot be used.
    Damaged(String),
    Whole,
}

/// A unit of tidegate's, as its files have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFacts {
    pub name: String,
    /// Where its file is; nothing if there is none.
    pub path: Option<String>,
    /// The file is a link to nothing.
    pub masked: bool,
    /// The file is the one of this tidegate.
    pub same: bool,
    /// It starts by itself, or need not.
    pub enabled: bool,
    /// Files that change it.
    pub drop_ins: Vec<String>,
    /// As `systemctl show` says, such as `active` or `failed`; nothing where systemd does not run.
    pub state: Option<String>,
}

/// All that the checks look at.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub installed: Installed,
    /// Why this boot did not load the policy in whole, if nothing has done so since.
    pub boot_failed: Option<String>,
    pub manifest: Option<Manifest>,
    /// Whom the installed bundle is about, and where its rules come from; empty where there is none.
    pub parties: Parties,
    pub origins: Origins,
    /// How many differences from the bundle there are.
    pub drifts: usize,
    /// What runs otherwise than the policy in force says.
    pub compared: Vec<Finding>,
    /// What the bundle cannot hold back in frames with tags, or only with more.
    pub frames: Option<OpenFrames>,
    /// What `iptables --version` says.
    pub iptables: String,
    pub rules: BTreeMap<Family, Tables>,
    /// The rules of the iptables that is not the machine's usual one.
    pub other: BTreeMap<Family, Tables>,
    /// Every table of nftables, libnftables-json(5).
    pub nftables: Value,
    /// Interfaces, as ip(8) has them.
    pub interfaces: Value,
    /// Queueing disciplines, as tc(8) has them.
    pub queues: Value,
    pub files: BTreeMap<String, String>,
    /// Units that some target starts.
    pub enabled: BTreeSet<String>,
    pub units: Vec<UnitFacts>,
    /// Files that close containers at boot and are not as they should be, and what is wrong with each.
    pub closed: Vec<(String, &'static str)>,
    pub sysctls: BTreeMap<String, String>,
    /// Settings that a later file of sysctl.d undoes.
    pub overridden: Vec<String>,
    pub engine: Option<EngineFacts>,
    pub mismatches: Mismatches,
    pub powers: Vec<ContainerPowers>,
    /// Of the engine's socket.
    pub socket: Option<Access>,
    pub unseen: Vec<Unseen>,
}

impl Facts {
    /// Looks at a machine.
    pub fn of(host: &dyn Host) -> Self {
        let mut facts = Facts::default();
        facts.bundle(host);
        facts.tables(host);
        facts.network(host);
        facts.texts(host);
        facts.units(host);
        facts.engine(host);
        facts
    }

    pub(super) fn counts(&self, checks: impl Iterator<Item = &'static str>) -> Counts {
        let rules = self.rules.values().chain(self.other.values());
        Counts {
            checks: checks.collect(),
            rules: rules.map(count).sum(),
            files: self.files.len(),
            containers: self.powers.len(),
        }
    }

    /// Returns the variant that the usual iptables is; before 1.8 there was legacy alone.
    pub(super) fn variant(&self) -> Variant {
        Variant::of_version(&self.iptables)
    }

    pub(super) fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Keeps what was seen, and remembers what was not.
    fn saw<T, E: Display>(&mut self, what: &str, looked: Result<T, E>) -> Option<T> {
        match looked {
            Ok(seen) => Some(seen),
            Err(error) => {
                let (what, why) = (what.to_owned(), error.to_string());
                self.unseen.push(Unseen { what, why });
                None
            }
        }
    }

    fn bundle(&mut self, host: &dyn Host) {
        let failed = self.saw("what became of this boot", deploy::boot_failure(host));
        self.boot_failed = failed.flatten();
        match store::installed(host) {
            Ok(None) => return,
            Ok(Some(bundle)) => {
                self.installed = Installed::Whole;
                self.manifest = Some(bundle.manifest().clone());
                let frames = deploy::open_frames(host, &bundle);
                self.frames = self.saw("frames with tags", frames).flatten();
                let parties = self.saw("whom the rules are about", bundle.parties().cloned());
                self.parties = parties.unwrap_or_default();
                let origins = self.saw("where the rules come from", bundle.origins().cloned());
                self.origins = origins.unwrap_or_default();
            }
            Err(problem) => {
                self.installed = Installed::Damaged(problem.to_string());
                return;
            }
        }
        let drift = deploy::drift(host);
        let drift = self.saw("drift from the installed bundle", drift);
        if let Some(report) = drift {
            // A boot's failure is a finding of its own.
            let differs = |it: &&Drift| it.kind != DriftKind::BootFailed;
            self.drifts = report.drifts.iter().filter(differs).count();
            self.compared = report.findings;
        }
        if let Some(manifest) = self.manifest.clone() {
            let overridden = deploy::overridden(host, &manifest.sysctls);
            let overridden = self.saw("files of sysctl.d", overridden);
            self.overridden = overridden.unwrap_or_default();
            let mismatches = deploy::look_at_engine(host, &manifest);
            let mismatches = self.saw("the engine's settings", mismatches);
            self.mismatches = mismatches.unwrap_or_default();
        }
    }

    fn tables(&mut self, host: &dyn Host) {
        let version = self.saw("the release of iptables", host.iptables_version());
        version
            .unwrap_or_default()
            .trim()
            .clone_into(&mut self.iptables);
        let other = self.variant().other();
        let families = Family::BOTH.into_iter();
        for family in families.filter(|family| *family == Family::V4 || host.has_ipv6()) {
            let what = format!("the {family} rules");
            if let Some(tables) = self.saw_tables(&what, host.save(family)) {
                self.rules.insert(family, tables);
            }
            let what = format!("the {family} rules of the other iptables");
            if let Some(tables) = self.saw_tables(&what, host.save_variant(other, family)) {
                self.other.insert(family, tables);
            }
        }
        if let Some(text) = self.saw("tables of nftables", host.nftables()) {
            self.nftables = self.json("tables of nftables", &text);
        }
    }

    /// Reads rules as far as they can be, and remembers which tables cannot.
    fn saw_tables(&mut self, what: &str, saved: Result<String, HostError>) -> Option<Tables> {
        let text = self.saw(what, saved)?;
        let tables = self.saw(what, save::parse_live(&text))?;
        for (table, error) in tables.unread() {
            self.saw::<(), _>(&format!("{what}, table {table}"), Err(error));
        }
        Some(tables)
    }

    fn network(&mut self, host: &dyn Host) {
        if let Some(text) = self.saw("interfaces", host.addresses()) {
            self.interfaces = self.json("interfaces", &text);
        }
        if let Some(text) = self.saw("traffic control", host.queues()) {
            self.queues = self.json("traffic control", &text);
        }
        for key in SYSCTLS {
            if let Some(Some(value)) = self.saw(key, host.sysctl(key)) {
                let value = value.trim().to_owned();
                self.sysctls.insert((*key).to_owned(), value);
            }
        }
    }

    fn json(&mut self, what: &str, text: &str) -> Value {
        self.saw(what, serde_json::from_str(text))
            .unwrap_or_default()
    }

    fn texts(&mut self, host: &dyn Host) {
        let mut paths: Vec<String> = FILES.iter().map(|&path| path.to_owned()).collect();
        for folder in FOLDERS {
            let names = self.saw(folder, host.names(folder)).unwrap_or_default();
            paths.extend(names.iter().map(|name| format!("{folder}/{name}")));
        }
        for path in paths {
            if let Some(Some(text)) = self.saw(&path, host.read_linked(&path)) {
                self.files.insert(path, text);
            }
        }
        let [etc, ..] = UNIT_FOLDERS;
        for folder in self.saw(etc, host.names(etc)).unwrap_or_default() {
            if matches!(folder.rsplit_once('.'), Some((_, "wants" | "requires"))) {
                let folder = format!("{etc}/{folder}");
                let names = self.saw(&folder, host.names(&folder));
                self.enabled.extend(names.unwrap_or_default());
            }
        }
    }

    fn units(&mut self, host: &dyn Host) {
        let units = deploy::units();
        let names: Vec<&str> = units.iter().map(|(name, ..)| *name).collect();
        let names: Vec<&str> = names.into_iter().filter(|it| !it.contains('@')).collect();
        let states = self.saw("states of units", host.units(&names));
        let states = states.flatten().unwrap_or_default();
        for (name, text, links) in units {
            let mut unit = UnitFacts {
                name: name.to_owned(),
                enabled: links.iter().all(|link| host.exists(link)),
                state: state(&states, name),
                ..UnitFacts::default()
            };
            let mut paths = UNIT_FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
            unit.path = paths.find(|path| host.exists(path));
            if let Some(path) = &unit.path
                && let Some(found) = self.saw(path, host.read_linked(path))
            {
                unit.masked = found.as_deref().is_none_or(str::is_empty);
                unit.same = found.as_deref() == Some(text);
            }
            for folder in UNIT_FOLDERS.map(|folder| format!("{folder}/{name}.d")) {
                let names = self.saw(&folder, host.names(&folder)).unwrap_or_default();
                let files = names
                    .iter()
                    .filter(|name| name.strip_suffix(".conf").is_some());
                let files = files.map(|name| format!("{folder}/{name}"));
                unit.drop_ins.extend(files);
            }
            self.units.push(unit);
        }
        let closed = deploy::closed_not_whole(host);
        let closed = self.saw("what closes containers at boot", closed);
        self.closed = closed.unwrap_or_default();
    }

    fn engine(&mut self, host: &dyn Host) {
        self.engine = self.saw("the engine", host.engine()).flatten();
        let powers = self.saw("the running containers", host.powers());
        self.powers = powers.flatten().unwrap_or_default();
        self.socket = self.saw(SOCKET, host.access(SOCKET)).flatten();
    }
}

fn count(tables: &Tables) -> usize {
    let tables = Table::ALL
        .into_iter()
        .filter_map(|table| tables.table(table));
    let chains = tables.flat_map(|table| table.chains.values());
    chains.map(|chain| chain.rules.len()).sum()
}

/// Finds a unit's state in what `systemctl show` prints: blocks of `KEY=VALUE`, a blank line between.
fn state(text: &str, name: &str) -> Option<String> {
    let block = text.split("\n\n").find(|block| {
        let mut lines = block.lines();
        lines.any(|line| line.strip_prefix("Id=") == Some(name))
    })?;
    let value = block
        .lines()
        .find_map(|line| line.strip_prefix("ActiveState="));
    value.map(str::to_owned)
}
