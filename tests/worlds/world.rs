//! A world as text: what is done to a machine, a step a line, and the policies that somebody wrote
//! without looking at it.
//!
//! | step | what is done |
//! | --- | --- |
//! | `engine OPTION…` | first line: how the engine runs |
//! | `net NAME OPTION…` | `docker network create` |
//! | `run NAME NET PORT,… OPTION…` | `docker run` of a container that answers on those ports |
//! | `join NAME NET` | the container gets a second network |
//! | `gone NAME` | the container is removed |
//! | `down NET`, `up NET` | the network and its containers are removed; made anew with the same lines |
//! | `restart` | the engine is restarted |
//! | `host COMMAND…` | a shell command on the machine |
//! | `apply [FILE]`, `refused [FILE]`, `try` | `tidegate apply`, which takes the policy, does not, or either |
//! | `repair` | `tidegate drift --repair` |
//! | `judge` | everybody connects to everything, and every command is asked |
//! | `serves FROM TARGET NAME`, `closed FROM TARGET` | one connection |
//! | `leaves NAME` | a container connects to the office |
//! | `says CODE COMMAND…: TEXT` | what `tidegate COMMAND` must print, and end with |
//!
//! A line `--- FILE` begins a policy. In it `@bridge:NET`, `@subnet:NET` and `@address:CONTAINER` are
//! what the engine has chosen when the policy is first applied.

use std::collections::BTreeMap;
use std::fmt;

/// The policy of a world that has but one.
pub(super) const MAIN: &str = "main.tide";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct World {
    pub(super) name: String,
    pub(super) steps: Vec<String>,
    pub(super) policies: BTreeMap<String, String>,
}

impl World {
    pub(super) fn read(name: &str, text: &str) -> Self {
        let (mut steps, mut policies) = (Vec::new(), BTreeMap::<String, String>::new());
        let mut file = None;
        for line in text.lines() {
            if let Some(next) = line.strip_prefix("--- ") {
                file = Some(next.to_owned());
                policies.insert(next.to_owned(), String::new());
            } else if let Some(file) = &file {
                let policy = policies.get_mut(file).expect("begun");
                policy.push_str(line);
                policy.push('\n');
            } else if !line.trim().is_empty() && !line.starts_with('#') {
                steps.push(line.to_owned());
            }
        }
        World {
            name: name.to_owned(),
            steps,
            policies,
        }
    }

    /// Returns how the engine runs.
    pub(super) fn engine(&self) -> &str {
        let first = self
            .steps
            .first()
            .and_then(|step| step.strip_prefix("engine"));
        let options = first.unwrap_or_else(|| panic!("{}: it begins with `engine`", self.name));
        options.trim()
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        for (file, text) in &self.policies {
            write!(f, "--- {file}\n{text}")?;
        }
        Ok(())
    }
}

#[test]
fn a_world_that_is_printed_is_the_same_when_it_is_read() {
    let text = "engine --icc=false\nnet a\nrun b a 80\napply\n--- main.tide\nhost {\n}\n";
    let world = World::read("w", text);
    assert_eq!(world.to_string(), text);
    assert_eq!(World::read("w", &world.to_string()), world);
    assert_eq!(world.engine(), "--icc=false");
}
