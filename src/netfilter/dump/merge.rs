//! Names of chains that rules lead to, and one text loaded on top of another.

use super::lines::failure;
use super::{Action, Dump, DumpError, DumpErrorKind, DumpTable, Loose};

impl Dump {
    /// Loads a text of `iptables-restore --noflush` on top of this one: chains of users that it declares
    /// begin anew, and its other rules go where they say.
    pub fn load(&mut self, text: &Dump) -> Result<(), DumpError> {
        for (name, table) in &text.tables {
            let mine = self.tables.entry(name.clone()).or_default();
            for (name, chain) in &table.chains {
                let there = mine.chains.entry(name.clone()).or_default();
                there.policy = chain.policy.or(there.policy);
                if there.policy.is_none() {
                    there.rules.clear();
                }
                there.rules.extend(chain.rules.iter().cloned());
            }
            for loose in &table.loose {
                put(mine, loose)?;
            }
        }
        self.resolve()
    }

    /// Tells rules that lead to a chain from those with a target of that name.
    pub(super) fn resolve(&mut self) -> Result<(), DumpError> {
        for table in self.tables.values_mut() {
            let known: Vec<String> = table.chains.keys().cloned().collect();
            let is_chain = |name: &String| known.binary_search(name).is_ok();
            let rules = table.chains.values_mut().flat_map(|chain| &mut chain.rules);
            for rule in rules {
                match &rule.action {
                    Action::Opaque(name) if is_chain(name) => {
                        rule.action = Action::Jump(name.clone());
                    }
                    Action::Goto(name) if !is_chain(name) => {
                        return Err(failure(rule.line, DumpErrorKind::Missing, &rule.text));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Puts a rule into a chain. Those of the kernel are always there, in `security` and elsewhere.
fn put(table: &mut DumpTable, loose: &Loose) -> Result<(), DumpError> {
    const KERNEL: [&str; 5] = ["FORWARD", "INPUT", "OUTPUT", "POSTROUTING", "PREROUTING"];
    let missing = || failure(loose.rule.line, DumpErrorKind::Missing, &loose.chain);
    if KERNEL.contains(&loose.chain.as_str()) {
        let chain = table.chains.entry(loose.chain.clone()).or_default();
        chain.policy.get_or_insert(super::ChainPolicy::Accept);
    }
    let chain = table.chains.get_mut(&loose.chain).ok_or_else(missing)?;
    let at = match loose.place {
        None => chain.rules.len(),
        Some(place) => place.saturating_sub(1).min(chain.rules.len()),
    };
    chain.rules.insert(at, loose.rule.clone());
    Ok(())
}
