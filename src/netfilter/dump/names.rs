//! Names that rules lead to.

use super::lines::failure;
use super::{Action, Dump, DumpError, DumpErrorKind};

impl Dump {
    /// Tells rules that lead to a chain from those with a target of that name.
    pub(super) fn name_chains(&mut self) -> Result<(), DumpError> {
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
