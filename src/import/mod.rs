//! A first policy from what there is: compose files, a running engine, or both.

mod compare;
mod draft;
mod from_compose;
mod from_engine;
mod links;
mod ports;
mod print;
#[cfg(test)]
mod tests;

pub use compare::compare;
pub use draft::{Container, Draft, Network, Published};
pub use from_compose::from_compose;
pub use from_engine::{fill, from_engine};

use std::collections::BTreeMap;

use serde_json::Value;

use crate::compile::{Compiled, How, compile_with};
use crate::diag::Diagnostics;
use crate::format::format;
use crate::policy::{LoadError, Loader};
use crate::source::SourceMap;

/// Name that messages give to the policy.
const NAME: &str = "import.tide";

/// Writes a draft as a policy.
///
/// Errors: what speaks against the policy, where the draft itself contradicts the language: nobody
/// gets a text that does not compile.
pub fn policy(draft: &Draft) -> Result<String, Box<Compiled>> {
    let text = laid_out(print::print(draft));
    let compiled = compile_with(&Text(&text), NAME, None, How::default());
    if compiled.has_errors() {
        return Err(Box::new(compiled));
    }
    let daemon = compiled
        .bundle()
        .map(|bundle| bundle.manifest().daemon.clone());
    Ok(daemon.as_ref().map(needs).unwrap_or_default() + &text)
}

/// Writes what the engine's own settings have to be, as comments; `apply` refuses the policy before.
fn needs(daemon: &BTreeMap<String, Value>) -> String {
    if daemon.is_empty() {
        return String::new();
    }
    let lines = daemon
        .iter()
        .map(|(key, value)| format!("\"{key}\": {value}"));
    let lines: Vec<String> = lines.collect();
    format!(
        "# /etc/docker/daemon.json must have this before `apply`, and Docker a restart:\n#   {}\n\n",
        lines.join(",\n#   ")
    )
}

/// Lays a text out as `tidegate fmt` would; one with mistakes stays, so that they are told.
fn laid_out(text: String) -> String {
    let source = SourceMap::default().add(NAME, text.as_str());
    format(source, &text, &mut Diagnostics::default()).unwrap_or(text)
}

/// A policy of one file.
struct Text<'t>(&'t str);

impl Loader for Text<'_> {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        let known = name == NAME;
        known.then(|| self.0.to_owned()).ok_or(LoadError::Missing)
    }
}
