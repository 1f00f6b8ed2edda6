//! What belongs to tidegate in one family's rules: its chains, the jumps to them and one policy.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::plan::is_ours;
use crate::artifact::{Bundle, HookEntry, Place};
use crate::netfilter::save::{self, ChainPolicy, Insert, RuleLines, SaveError, TableText, Tables};
use crate::netfilter::{Family, Table};

pub(super) const DOCKER_USER: &str = "DOCKER-USER";
pub(super) const FORWARD: &str = "FORWARD";
pub(super) const TO_DOCKER_USER: &str = "-j DOCKER-USER";

/// Returns whether a chain of that name is tidegate's own.
pub(super) fn is_tide(chain: &str) -> bool {
    chain.starts_with("TIDE-")
}

/// Where among the rules of others a jump of ours stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// Behind that many rules of others.
    After(usize),
    /// Before the first `-j RETURN` without conditions: what stands behind one is never met.
    BeforeReturn,
    First,
}

/// A jump from a chain of others to one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub chain: String,
    /// The rule's text, as in `-j TIDE-GATE`.
    pub rule: String,
    pub spot: Spot,
}

/// What is to become of `DOCKER-USER`, a chain that Docker shares with everybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChain {
    /// Whatever it is now.
    #[default]
    Leave,
    /// There, and jumped to from FORWARD.
    Need,
    /// Gone with its jump, unless Docker manages it or others have rules in it.
    Remove,
    /// There, but not jumped to.
    Unjumped,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TideTable {
    pub chains: BTreeMap<String, RuleLines>,
    pub hooks: Vec<Hook>,
    /// FORWARD's policy; nothing where it is left as it is.
    pub forward: Option<ChainPolicy>,
    pub docker_user: EngineChain,
}

/// Tidegate's share of one family's rules; a table that is absent holds nothing of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TideState {
    tables: BTreeMap<Table, TideTable>,
    /// Tables that are left as they are, since nothing is known of them.
    left: BTreeSet<Table>,
}

/// Why a bundle's rules are not what its manifest promises.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    #[error("{family} rules, table {table}: chain {chain} is not tidegate's to write")]
    Chain {
        family: Family,
        table: Table,
        chain: String,
    },
    #[error("FORWARD's policy in the {0} rules differs from the manifest")]
    Forward(Family),
    #[error("{family} rules, table {table}: hooks differ from the manifest: {hooks}")]
    Hooks {
        family: Family,
        table: Table,
        hooks: String,
    },
    #[error("{0} rules: {1}")]
    Text(Family, SaveError),
}

impl TideTable {
    /// Returns whether the chains of ours in a table are these, each with its rules, and no others.
    ///
    /// Nearly always they are: both are in order, so that no chain of thousands is looked up.
    pub(super) fn has_its_chains(&self, now: &TableText) -> bool {
        let now = now.chains.iter().filter(|(name, _)| is_tide(name));
        now.map(|(name, chain)| (name, &chain.rules))
            .eq(self.chains.iter())
    }
}

impl TideState {
    /// Returns the part of `table`, if there is one.
    pub fn table(&self, table: Table) -> Option<&TideTable> {
        self.tables.get(&table)
    }

    /// Returns whether a table is left as it is.
    pub(super) fn leaves(&self, table: Table) -> bool {
        self.left.contains(&table)
    }

    /// Returns the state without tables, which are left as they are.
    pub(super) fn leaving(&self, tables: &[Table]) -> Self {
        let mut state = self.clone();
        state.tables.retain(|table, _| !tables.contains(table));
        state.left.extend(tables);
        state
    }

    /// Returns what a bundle wants of one family.
    ///
    /// Its rules may do no more than its manifest says: write chains named `TIDE-*`, hook them in
    /// where the manifest has a hook, and set FORWARD's policy.
    pub fn of_bundle(bundle: &Bundle, family: Family) -> Result<Self, StateError> {
        let state = TideState::of_text(bundle.rules(family), family, |table, _| {
            let hooks = bundle.manifest().hooks.iter();
            let here = hooks.filter(|hook| hook.family == family && hook.table == table);
            here.cloned().collect()
        })?;
        state.check_forward(bundle, family)?;
        Ok(state)
    }

    /// Returns what the rules of a bundle say by themselves, where its manifest cannot be read.
    ///
    /// They may do no more than those of any bundle: write chains named `TIDE-*`, hook them in, and
    /// set FORWARD's policy.
    pub fn of_rules(rules: &str, family: Family) -> Result<Self, StateError> {
        TideState::of_text(rules, family, |table, text| {
            let inserts = text.inserts.iter();
            inserts.map(|it| promise(family, table, it)).collect()
        })
    }

    /// Returns what a text wants, if its hooks are those of `promised`.
    fn of_text(
        text: &str,
        family: Family,
        promised: impl Fn(Table, &TableText) -> Vec<HookEntry>,
    ) -> Result<Self, StateError> {
        let mut texts = save::parse(text).map_err(|error| StateError::Text(family, error))?;
        let mut state = TideState::default();
        for table in Table::ALL {
            let text = texts.take(table);
            let hooks = promised(table, &text);
            check_hooks(family, table, &text, hooks.iter())?;
            let wanted = TideTable {
                hooks: hooks.iter().map(hook).collect(),
                forward: text.chains.get(FORWARD).and_then(|chain| chain.policy),
                chains: own_chains(family, table, text)?,
                docker_user: engine_chain(hooks.iter()),
            };
            if wanted != TideTable::default() {
                state.tables.insert(table, wanted);
            }
        }
        Ok(state)
    }

    /// Returns what is ours in the rules of a machine, so that it can be brought back.
    pub fn snapshot(mut live: Tables) -> Self {
        let unread: Vec<Table> = live.unread().keys().copied().collect();
        // The nft variant shows no table before its first rule; it is there nevertheless.
        let all = Table::ALL.into_iter();
        let state: TideState = all
            .map(|table| (table, snapshot_table(table, live.take(table))))
            .collect();
        if unread.is_empty() {
            state
        } else {
            state.leaving(&unread)
        }
    }

    /// Returns the state of a machine that tidegate has left: nothing of ours, FORWARD's policy
    /// as it is, and no `DOCKER-USER` that nobody else needs.
    pub fn uninstalled() -> Self {
        let filter = TideTable {
            docker_user: EngineChain::Remove,
            ..TideTable::default()
        };
        TideState {
            tables: BTreeMap::from([(Table::Filter, filter)]),
            left: BTreeSet::new(),
        }
    }

    /// Returns the state with FORWARD's policy.
    pub(super) fn with_forward(mut self, policy: ChainPolicy) -> Self {
        self.tables.entry(Table::Filter).or_default().forward = Some(policy);
        self
    }

    fn check_forward(&self, bundle: &Bundle, family: Family) -> Result<(), StateError> {
        let written = self.table(Table::Filter).and_then(|filter| filter.forward);
        let promised = bundle.manifest().forward.as_ref();
        let promised = promised.map(|forward| forward.policy.as_str());
        // A family that the policy has nothing for may leave its policy alone.
        let fits = match written {
            Some(policy) => promised == Some(policy.name()),
            None => promised.is_none() || self.tables.is_empty(),
        };
        if fits {
            Ok(())
        } else {
            Err(StateError::Forward(family))
        }
    }
}

impl FromIterator<(Table, TideTable)> for TideState {
    fn from_iter<I: IntoIterator<Item = (Table, TideTable)>>(tables: I) -> Self {
        TideState {
            tables: tables.into_iter().collect(),
            left: BTreeSet::new(),
        }
    }
}

/// Returns what a manifest would say of a hook: in `DOCKER-USER` others' rules come first.
fn promise(family: Family, table: Table, insert: &Insert) -> HookEntry {
    HookEntry {
        family,
        table,
        chain: insert.chain.clone(),
        target: save::target(&insert.rule).unwrap_or_default().to_owned(),
        place: if insert.chain == DOCKER_USER {
            Place::BeforeReturn
        } else {
            Place::First
        },
        says: String::new(),
    }
}

fn hook(entry: &HookEntry) -> Hook {
    Hook {
        chain: entry.chain.clone(),
        rule: jump(entry),
        spot: match entry.place {
            Place::BeforeReturn => Spot::BeforeReturn,
            Place::First => Spot::First,
        },
    }
}

/// Returns the rule's text.
pub(super) fn jump(entry: &HookEntry) -> String {
    format!("-j {}", entry.target)
}

fn engine_chain<'a>(mut hooks: impl Iterator<Item = &'a HookEntry>) -> EngineChain {
    if hooks.any(|hook| hook.table == Table::Filter && hook.chain == DOCKER_USER) {
        EngineChain::Need
    } else {
        EngineChain::Leave
    }
}

fn own_chains(
    family: Family,
    table: Table,
    text: TableText,
) -> Result<BTreeMap<String, RuleLines>, StateError> {
    let mut own = BTreeMap::new();
    for (name, chain) in text.chains {
        let policy_only = table == Table::Filter && name == FORWARD && chain.rules.is_empty();
        if is_tide(&name) && chain.policy.is_none() {
            own.insert(name, chain.rules);
        } else if !(policy_only && chain.policy.is_some()) {
            let chain = name;
            return Err(StateError::Chain {
                family,
                table,
                chain,
            });
        }
    }
    Ok(own)
}

/// Checks that the rules hook in exactly what the manifest names, each target being a chain of
/// ours and each hooked chain one that always exists.
fn check_hooks<'a>(
    family: Family,
    table: Table,
    text: &TableText,
    entries: impl Iterator<Item = &'a HookEntry>,
) -> Result<(), StateError> {
    let mut wrong = BTreeSet::new();
    let mut left: Vec<(String, String)> = text
        .inserts
        .iter()
        .map(|insert| (insert.chain.clone(), insert.rule.clone()))
        .collect();
    for entry in entries {
        let found = left
            .iter()
            .position(|(chain, rule)| *chain == entry.chain && *rule == jump(entry));
        let known = text.chains.contains_key(&entry.target) && is_tide(&entry.target);
        match found {
            Some(at) if known && can_hook(table, &entry.chain) => drop(left.swap_remove(at)),
            _ => drop(wrong.insert(format!("{} -> {}", entry.chain, entry.target))),
        }
    }
    wrong.extend(left.iter().map(|(chain, rule)| format!("{chain} {rule}")));
    if wrong.is_empty() {
        return Ok(());
    }
    let hooks = wrong.into_iter().collect::<Vec<_>>().join(", ");
    Err(StateError::Hooks {
        family,
        table,
        hooks,
    })
}

/// Returns whether the chain is built into the table, iptables(8), or is `DOCKER-USER`.
fn can_hook(table: Table, chain: &str) -> bool {
    let built_in: &[&str] = match table {
        Table::Filter => &["INPUT", FORWARD, "OUTPUT", DOCKER_USER],
        Table::Mangle => &["PREROUTING", "INPUT", FORWARD, "OUTPUT", "POSTROUTING"],
        Table::Nat => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        Table::Raw => &["PREROUTING", "OUTPUT"],
    };
    built_in.contains(&chain)
}

fn snapshot_table(table: Table, live: TableText) -> TideTable {
    let mut state = TideTable::default();
    if table == Table::Filter {
        let forward = live.chains.get(FORWARD).and_then(|chain| chain.policy);
        state.forward = Some(forward.unwrap_or(ChainPolicy::Accept));
        state.docker_user = snapshot_engine_chain(&live);
    }
    for (name, chain) in live.chains {
        if is_tide(&name) {
            state.chains.insert(name, chain.rules);
        } else {
            state.hooks.extend(snapshot_hooks(&name, &chain.rules));
        }
    }
    state
}

fn snapshot_hooks(chain: &str, rules: &RuleLines) -> Vec<Hook> {
    let mut others = 0;
    let mut hooks = Vec::new();
    for rule in rules.iter() {
        if is_ours(rule) {
            hooks.push(Hook {
                chain: chain.to_owned(),
                rule: rule.to_owned(),
                spot: Spot::After(others),
            });
        } else {
            others += 1;
        }
    }
    hooks
}

fn snapshot_engine_chain(live: &TableText) -> EngineChain {
    if !live.chains.contains_key(DOCKER_USER) {
        return EngineChain::Remove;
    }
    if is_jumped_to(live) {
        EngineChain::Leave
    } else {
        EngineChain::Unjumped
    }
}

/// Returns whether a packet that is forwarded comes to `DOCKER-USER`.
pub(super) fn is_jumped_to(filter: &TableText) -> bool {
    let forward = filter.chains.get(FORWARD);
    forward.is_some_and(|chain| chain.rules.iter().any(|rule| rule == TO_DOCKER_USER))
}
