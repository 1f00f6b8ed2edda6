//! Works out the iptables-restore(8) text that brings tidegate's share of the rules from what it
//! is to what it should be, and touches nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::state::{
    DOCKER_USER, EngineChain, FORWARD, Hook, Spot, TO_DOCKER_USER, TideState, TideTable,
    is_jumped_to, is_tide,
};
use crate::netfilter::save::{self, ChainPolicy, RuleLines, TableText, Tables};
use crate::netfilter::{Table, is_of_tree, verbatim};

/// Returns whether a rule of somebody's chain is tidegate's: it leads into one of our chains. One that no
/// line of iptables-restore(8) could take away again is somebody else's.
pub fn is_ours(rule: &str) -> bool {
    save::target(rule).is_some_and(is_tide) && !verbatim::is_broken(rule)
}

/// Returns the text for `iptables-restore --noflush`, or nothing where nothing has to change.
///
/// Tables come in the order of [`Table::ALL`]; one that is right already is left out. Each is
/// one transaction of the kernel, so that there is no moment in which it is half written.
pub fn transaction(live: &Tables, wanted: &TideState) -> Option<String> {
    let no_text = TableText::default();
    let nothing = TideTable::default();
    let mut text = String::new();
    for table in known(live, wanted) {
        let now = live.table(table).unwrap_or(&no_text);
        let wanted = wanted.table(table).unwrap_or(&nothing);
        if let Some(lines) = Change::new(now, wanted).lines() {
            let _ = writeln!(text, "*{table}\n{lines}COMMIT");
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Returns the tables of which both is known: what is in them and what should be.
fn known(live: &Tables, wanted: &TideState) -> impl Iterator<Item = Table> {
    let known = |table: &Table| !live.unread().contains_key(table) && !wanted.leaves(*table);
    Table::ALL.into_iter().filter(known)
}

/// Returns what [`transaction`] does in words, by table.
pub(super) fn steps(live: &Tables, wanted: &TideState) -> Vec<(Table, String)> {
    let no_text = TableText::default();
    let nothing = TideTable::default();
    let mut steps = Vec::new();
    for table in known(live, wanted) {
        let now = live.table(table).unwrap_or(&no_text);
        let wanted = wanted.table(table).unwrap_or(&nothing);
        let change = Change::new(now, wanted);
        steps.extend(change.steps().into_iter().map(|step| (table, step)));
    }
    steps
}

/// Returns the rules of a chain with the hooks put in their places among those of others.
pub(super) fn layout<'r>(others: &[&'r str], hooks: &[&'r Hook]) -> Vec<&'r str> {
    let mut placed: Vec<(usize, &'r Hook)> = hooks
        .iter()
        .map(|hook| (index(others, hook.spot), *hook))
        .collect();
    placed.sort_by_key(|(at, _)| *at);
    let mut rules = others.to_vec();
    for (earlier, (at, hook)) in placed.into_iter().enumerate() {
        rules.insert(at + earlier, &hook.rule);
    }
    rules
}

fn index(others: &[&str], spot: Spot) -> usize {
    match spot {
        Spot::After(count) => count.min(others.len()),
        Spot::BeforeReturn => others
            .iter()
            .position(|rule| *rule == "-j RETURN")
            .unwrap_or(others.len()),
        Spot::First => 0,
    }
}

/// What has to become of one table.
struct Change<'a> {
    now: &'a TableText,
    wanted: &'a TideTable,
    stale: Vec<&'a str>,
    docker_user: EngineStep,
}

/// What has to become of `DOCKER-USER` and its jump.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EngineStep {
    Create,
    Jump,
    Nothing,
    Remove,
    Unjump,
}

impl EngineStep {
    fn words(self) -> Option<&'static str> {
        match self {
            EngineStep::Create => Some("new chain DOCKER-USER, with a jump to it from FORWARD"),
            EngineStep::Jump => Some("new jump to DOCKER-USER from FORWARD"),
            EngineStep::Nothing => None,
            EngineStep::Remove => Some("chain DOCKER-USER goes, with the jump to it"),
            EngineStep::Unjump => Some("the jump to DOCKER-USER goes"),
        }
    }
}

impl<'a> Change<'a> {
    fn new(now: &'a TableText, wanted: &'a TideTable) -> Self {
        let stale = now.chains.keys().map(String::as_str);
        let stale = stale.filter(|name| is_tide(name) && !wanted.chains.contains_key(*name));
        Change {
            now,
            wanted,
            stale: stale.collect(),
            docker_user: engine_step(now, wanted.docker_user),
        }
    }

    /// Returns the lines between the table's name and COMMIT, or nothing if all is right.
    ///
    /// Every jump of ours goes before its chain can, and comes back when the chain is full.
    fn lines(&self) -> Option<String> {
        let hooks = self.hooks();
        let forward = self.forward();
        if self.wanted.has_its_chains(self.now)
            && hooks.is_empty()
            && forward.is_none()
            && self.docker_user == EngineStep::Nothing
        {
            return None;
        }
        let mut text = String::new();
        if let Some(policy) = forward {
            let _ = writeln!(text, ":{FORWARD} {} [0:0]", policy.name());
        }
        if self.docker_user == EngineStep::Create {
            // -N and not `:`, which would empty the chain had Docker made it by now.
            let _ = writeln!(text, "-N {DOCKER_USER}");
        }
        self.declare(&mut text);
        for hooked in &hooks {
            hooked.delete(&mut text);
        }
        fill(&mut text, &self.wanted.chains);
        self.jump_to_docker_user(&mut text);
        for hooked in &hooks {
            hooked.insert(&mut text);
        }
        self.delete_stale(&mut text);
        Some(text)
    }

    fn steps(&self) -> Vec<String> {
        let (mut new, mut others) = (Vec::new(), Vec::new());
        for (name, rules) in &self.wanted.chains {
            match self.now.chains.get(name) {
                None => new.push(name.as_str()),
                Some(chain) if chain.rules != *rules => others.push(name.as_str()),
                Some(_) => {}
            }
        }
        let hooks = self.hooks();
        let hooks: Vec<&str> = hooks.iter().map(|hook| hook.name).collect();
        let lists = [
            ("new chains", new),
            ("other rules in", others),
            ("chains that go:", self.stale.clone()),
            ("jumps put in place in", hooks),
        ];
        let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
        let mut steps: Vec<String> = lists
            .map(|(what, names)| format!("{what} {}", names.join(", ")))
            .collect();
        let policy = self.forward().map(ChainPolicy::name);
        steps.extend(policy.map(|policy| format!("the policy of {FORWARD} becomes {policy}")));
        steps.extend(self.docker_user.words().map(str::to_owned));
        steps
    }

    fn forward(&self) -> Option<ChainPolicy> {
        let forward = self.now.chains.get(FORWARD);
        // The nft variant shows no chain before its first rule; the kernel then accepts.
        let now = forward.map_or(Some(ChainPolicy::Accept), |chain| chain.policy);
        self.wanted.forward.filter(|policy| Some(*policy) != now)
    }

    /// Declaring a chain makes or empties it. Those of trees come later, where they are filled.
    fn declare(&self, text: &mut String) {
        let names = self.wanted.chains.keys().map(String::as_str);
        let names = names.filter(|name| !is_of_tree(name));
        for name in names.chain(self.stale.iter().copied()) {
            declare(text, name);
        }
    }

    fn delete_stale(&self, text: &mut String) {
        for name in &self.stale {
            let _ = writeln!(text, "-X {name}");
        }
        if self.docker_user == EngineStep::Remove {
            let _ = writeln!(text, "-X {DOCKER_USER}");
        }
    }

    fn jump_to_docker_user(&self, text: &mut String) {
        match self.docker_user {
            EngineStep::Create | EngineStep::Jump => {
                let _ = writeln!(text, "-I {FORWARD} 1 {TO_DOCKER_USER}");
            }
            EngineStep::Remove | EngineStep::Unjump => {
                let forward = self.now.chains.get(FORWARD);
                let rules = forward.into_iter().flat_map(|chain| chain.rules.iter());
                for _ in rules.filter(|rule| *rule == TO_DOCKER_USER) {
                    let _ = writeln!(text, "-D {FORWARD} {TO_DOCKER_USER}");
                }
            }
            EngineStep::Nothing => {}
        }
    }

    /// Returns the chains of others whose jumps to ours are not what they should be.
    fn hooks(&self) -> Vec<Hooked<'a>> {
        let chains = self.now.chains.keys().filter(|name| !is_tide(name));
        let names: BTreeSet<&str> = chains
            .chain(self.wanted.hooks.iter().map(|hook| &hook.chain))
            .map(String::as_str)
            .collect();
        let hooked = names.into_iter().map(|name| self.hooked(name));
        hooked.filter(|chain| chain.now != chain.wanted).collect()
    }

    fn hooked(&self, name: &'a str) -> Hooked<'a> {
        let chain = self.now.chains.get(name);
        let rules = chain.into_iter().flat_map(|chain| chain.rules.iter());
        let mut now: Vec<&str> = rules.collect();
        if name == FORWARD {
            self.foresee_docker_user(&mut now);
        }
        let others = now.iter().copied().filter(|rule| !is_ours(rule));
        let others: Vec<&str> = others.collect();
        let hooks: Vec<&Hook> = self
            .wanted
            .hooks
            .iter()
            .filter(|hook| hook.chain == name)
            .collect();
        let wanted = layout(&others, &hooks);
        Hooked { name, now, wanted }
    }

    /// Numbers in FORWARD count what [`Change::jump_to_docker_user`] will have written by then.
    fn foresee_docker_user(&self, forward: &mut Vec<&str>) {
        match self.docker_user {
            EngineStep::Create | EngineStep::Jump => forward.insert(0, TO_DOCKER_USER),
            EngineStep::Remove | EngineStep::Unjump => {
                forward.retain(|rule| *rule != TO_DOCKER_USER);
            }
            EngineStep::Nothing => {}
        }
    }
}

/// A chain of others, with our jumps in it as they are and as they should be.
struct Hooked<'a> {
    name: &'a str,
    now: Vec<&'a str>,
    wanted: Vec<&'a str>,
}

impl Hooked<'_> {
    /// Deletes by text: a number would hit another rule if somebody changed the chain meanwhile.
    fn delete(&self, text: &mut String) {
        for rule in self.now.iter().filter(|rule| is_ours(rule)) {
            let _ = writeln!(text, "{}", command("-D", self.name, None, rule));
        }
    }

    fn insert(&self, text: &mut String) {
        let mut length = self.wanted.iter().filter(|rule| !is_ours(rule)).count();
        for (rule, at) in self.wanted.iter().zip(0..) {
            if !is_ours(rule) {
                continue;
            }
            let line = if at == length && at > 0 {
                command("-A", self.name, None, rule)
            } else {
                command("-I", self.name, Some(at + 1), rule)
            };
            let _ = writeln!(text, "{line}");
            length += 1;
        }
    }
}

/// Fills chains. Trees come from the last name to the first, and each of their chains is declared where it
/// is first named, as in a bundle's own file (`render_trees`): so `iptables-nft-restore` loads them fastest.
pub(super) fn fill(text: &mut String, chains: &BTreeMap<String, RuleLines>) {
    let (trees, lists): (Vec<_>, Vec<_>) = chains.iter().partition(|(name, _)| is_of_tree(name));
    let mut open: BTreeSet<&str> = trees.iter().map(|(name, _)| name.as_str()).collect();
    let mut declare_once = |text: &mut String, name: &str| {
        if open.remove(name) {
            declare(text, name);
        }
    };
    for (name, rules) in trees.into_iter().rev() {
        declare_once(text, name);
        for rule in rules.iter() {
            // A jump ends its rule, and a name has no blank.
            declare_once(text, rule.rsplit(' ').next().unwrap_or(""));
        }
        append(text, name, rules);
    }
    for (name, rules) in lists {
        append(text, name, rules);
    }
}

pub(super) fn declare(text: &mut String, chain: &str) {
    let _ = writeln!(text, ":{chain} - [0:0]");
}

fn append(text: &mut String, chain: &str, rules: &RuleLines) {
    for rule in rules.iter() {
        text.push_str("-A ");
        text.push_str(chain);
        if !rule.is_empty() {
            text.push(' ');
            text.push_str(rule);
        }
        text.push('\n');
    }
}

fn command(verb: &str, chain: &str, number: Option<usize>, rule: &str) -> String {
    let number = number
        .map(|number| format!(" {number}"))
        .unwrap_or_default();
    format!("{verb} {chain}{number} {rule}")
        .trim_end()
        .to_owned()
}

fn engine_step(now: &TableText, wanted: EngineChain) -> EngineStep {
    let chain = now.chains.get(DOCKER_USER);
    match (wanted, chain) {
        (EngineChain::Need, None) => EngineStep::Create,
        (EngineChain::Need, Some(_)) if !is_jumped_to(now) => EngineStep::Jump,
        (EngineChain::Remove, Some(chain))
            if chain.rules.iter().all(is_ours) && !now.chains.contains_key("DOCKER") =>
        {
            EngineStep::Remove
        }
        (EngineChain::Unjumped, Some(_)) if is_jumped_to(now) => EngineStep::Unjump,
        _ => EngineStep::Nothing,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
