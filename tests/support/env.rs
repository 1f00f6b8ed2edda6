//! A machine of a test's own: a network namespace for the kernel's state, a folder for files.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;
use tidegate::host::{Host, LinuxHost, Variant, is_root};
use tidegate::netfilter::save::{self, ChainPolicy, Tables};
use tidegate::netfilter::{Family, Table};

pub(crate) struct Env {
    pub(crate) root: TempDir,
    pub(crate) variant: Variant,
    pub(crate) host: LinuxHost,
}

/// Runs a test in a new network namespace for each variant of iptables; without root's rights it
/// says that it does not.
pub(crate) fn on_both(test: impl Fn(&Env) + Sync) {
    for variant in [Variant::Nft, Variant::Legacy] {
        on(variant, &test);
    }
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn on(variant: Variant, test: impl Fn(&Env) + Sync) {
    if !is_root() {
        eprintln!("skipped: network namespaces need root's rights");
        return;
    }
    let enter = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test(&Env::new(variant));
    };
    let ended = std::thread::scope(|scope| scope.spawn(enter).join());
    if let Err(panic) = ended {
        eprintln!("with {variant:?}:");
        std::panic::resume_unwind(panic);
    }
}

impl Env {
    fn new(variant: Variant) -> Self {
        let root = tempfile::tempdir().unwrap();
        let host = LinuxHost::new(root.path(), variant);
        Env {
            root,
            variant,
            host,
        }
    }

    /// Loads rules as another program would.
    pub(crate) fn load(&self, family: Family, text: &str) {
        self.host.restore(family, text).unwrap();
    }

    fn tables(&self, family: Family) -> Tables {
        save::parse(&self.host.save(family).unwrap()).unwrap()
    }

    /// Returns what one family's tables hold: chains of users, policies that drop, and rules.
    ///
    /// That leaves out what means nothing: tables and chains of the kernel that are empty.
    pub(crate) fn rules(&self, family: Family) -> Vec<String> {
        let tables = self.tables(family);
        let mut lines = Vec::new();
        for table in Table::ALL {
            for (name, chain) in tables.table(table).iter().flat_map(|table| &table.chains) {
                match chain.policy {
                    Some(ChainPolicy::Accept) => {}
                    Some(ChainPolicy::Drop) => lines.push(format!("{table} :{name} DROP")),
                    None => lines.push(format!("{table} :{name}")),
                }
                lines.extend(
                    chain
                        .rules
                        .iter()
                        .map(|rule| format!("{table} {name} {rule}")),
                );
            }
        }
        lines
    }

    /// Returns the rules of one chain, in order.
    pub(crate) fn chain(&self, family: Family, table: Table, chain: &str) -> Vec<String> {
        let tables = self.tables(family);
        let chain = tables.chain(table, chain);
        let rules = chain.into_iter().flat_map(|chain| chain.rules.iter());
        rules.map(str::to_owned).collect()
    }

    /// Returns what both families' tables hold.
    pub(crate) fn everything(&self) -> Vec<String> {
        let lines = Family::BOTH.map(|family| {
            let rules = self.rules(family).into_iter();
            rules.map(move |rule| format!("{family} {rule}"))
        });
        lines.into_iter().flatten().collect()
    }

    pub(crate) fn has_rules_of_ours(&self) -> bool {
        self.everything().iter().any(|line| line.contains("TIDE-"))
    }

    /// Runs iptables' own commands.
    pub(crate) fn iptables(&self, family: Family, line: &str) {
        let table = line.split(' ').nth(1).unwrap();
        let rest = line.split_once(table).unwrap().1;
        self.load(family, &format!("*{table}\n{}\nCOMMIT\n", rest.trim()));
    }

    /// Runs ip(8) with words that hold no blanks, and returns what it prints.
    pub(crate) fn ip(line: &str) -> String {
        let output = Command::new("ip").args(line.split(' ')).output().unwrap();
        let (text, error) = (output.stdout, output.stderr);
        assert!(
            output.status.success(),
            "ip {line}: {}",
            String::from_utf8_lossy(&error)
        );
        String::from_utf8(text).unwrap()
    }

    pub(crate) fn variant_name(&self) -> &'static str {
        match self.variant {
            Variant::Auto => "auto",
            Variant::Legacy => "legacy",
            Variant::Nft => "nft",
        }
    }
}
