//! What each command says of the machine, and whether that is true.

use std::process::Output;

use super::judge::{Findings, Try};
use super::oracle::Sender;
use super::truth::Truth;
use crate::support::lab::Host;

/// Commands that look at the machine, and change nothing. `POLICY` is the policy's path.
const LOOK: [&str; 5] = [
    "drift",
    "doctor",
    "status",
    "check --live POLICY",
    "plan POLICY",
];
/// Those that ask what is in force, and end with something else than 0 where a connection is open that
/// should not be. `check --live` asks what the policy would do, and may name it alone.
const STRICT: [&str; 2] = ["drift", "doctor"];

/// What a command said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) command: &'static str,
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

impl Said {
    pub(super) fn of(command: &'static str, output: &Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Said {
            command,
            code: output.status.code(),
            text: text(&output.stdout) + &text(&output.stderr),
        }
    }

    /// Whether it names one of those; `redis` is not in `redis2`.
    fn names(&self, words: &[String]) -> bool {
        let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let mut said = self.text.split(|c| !is_word(c));
        said.any(|word| words.iter().any(|other| other == word))
    }
}

/// Asks every command.
pub(super) fn all(host: &Host, policy: &str) -> Vec<Said> {
    LOOK.iter()
        .map(|command| {
            let line = command.replace("POLICY", policy);
            Said::of(command, &host.attempt(&format!("tidegate {line}")))
        })
        .collect()
}

/// Returns what is untrue: who says nothing about what is open, or dead.
pub(super) fn untrue(said: &[Said], findings: &Findings, truth: &Truth) -> Vec<String> {
    let mut untrue = Vec::new();
    for (kind, tries) in [("open", &findings.open), ("dead", &findings.dead)] {
        for said in said {
            let is_fine = kind == "open" && said.code == Some(0) && STRICT.contains(&said.command);
            let silent = |attempt: &&Try| is_fine || !said.names(&words(attempt, truth));
            let silent: Vec<&Try> = tries.iter().filter(silent).collect();
            if let [first, rest @ ..] = silent.as_slice() {
                let (from, to, more) = (&first.from, &first.to, rest.len());
                let (command, code) = (said.command, said.code);
                untrue.push(format!(
                    "`{command}` ({code:?}) does not tell that {from} -> {to} is {kind}, nor {more} more, \
                     but: {}",
                    said.text
                ));
            }
        }
    }
    untrue
}

/// Returns the words by which somebody would know what is meant.
fn words(attempt: &Try, truth: &Truth) -> Vec<String> {
    let mut words = vec![attempt.to.port.to_string()];
    let sender = match &attempt.from {
        Sender::Container(name) => Some(name.as_str()),
        Sender::Wire { .. } | Sender::Host => None,
    };
    let names = [sender, attempt.to.container()].into_iter().flatten();
    for container in names.filter_map(|name| truth.container(name)) {
        words.push(container.name.clone());
        for name in container.networks.keys() {
            words.push(name.clone());
            words.extend(
                truth
                    .networks
                    .get(name)
                    .map(|network| network.bridge.clone()),
            );
        }
    }
    words
}
