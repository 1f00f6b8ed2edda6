//! What is known of a host before it has a policy.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::compose::Protocol;
use crate::net::PortRange;
use crate::syntax;

/// Networks and containers in the order that a policy names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// Where it comes from, as in `compose.yaml`.
    pub origin: String,
    /// What the `engine` setting has to say, as in `docker 29 nftables`; nothing where the default fits.
    pub engine: Option<String>,
    pub networks: Vec<Network>,
    pub containers: Vec<Container>,
    /// What no policy can govern, each with the reason.
    pub left_out: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// The policy's name for it.
    pub name: String,
    /// What the engine calls it.
    pub engine_name: String,
    pub bridge: Option<String>,
    pub subnets: Vec<IpNet>,
    pub icc: bool,
    pub internal: bool,
    /// What a reader should know, in one line.
    pub note: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// The policy's name for it.
    pub name: String,
    /// What the engine calls it.
    pub engine_name: String,
    /// Networks by the policy's names, with the addresses that are fixed there.
    pub networks: Vec<(String, Vec<IpAddr>)>,
    pub published: Vec<Published>,
    pub exposed: Vec<(PortRange, Protocol)>,
    /// Containers that it is linked to, as the engine calls them.
    pub links: Vec<String>,
    /// Containers that must run before it, as the engine calls them.
    pub needs: Vec<String>,
    /// What a reader should know, one line each.
    pub notes: Vec<String>,
}

/// A port of the host that leads to one of the container's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub address: Option<IpAddr>,
    pub host: PortRange,
    pub container: PortRange,
    pub protocol: Protocol,
}

impl Draft {
    /// Finds a network by what the engine calls it.
    pub fn network(&self, engine_name: &str) -> Option<&Network> {
        let mut all = self.networks.iter();
        all.find(|network| network.engine_name == engine_name)
    }

    /// Finds a container by what the engine calls it.
    pub fn container(&self, engine_name: &str) -> Option<&Container> {
        let mut all = self.containers.iter();
        all.find(|container| container.engine_name == engine_name)
    }
}

impl Container {
    /// Returns a container of which the name is known, with a note where the policy cannot take it.
    pub(super) fn named(engine_name: &str, names: &mut Names) -> Self {
        let name = names.give(engine_name, "container");
        let other = (name != engine_name).then(|| {
            format!("the engine calls it {engine_name}, which is no name here: no inventory tells its address")
        });
        Container {
            name,
            engine_name: engine_name.to_owned(),
            notes: other.into_iter().collect(),
            ..Container::default()
        }
    }
}

/// Names that are given in a policy, each once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Returns `text` where the language takes it and nothing has it yet, else something like it:
    /// with `ending`, then with a number, too.
    pub(super) fn give(&mut self, text: &str, ending: &str) -> String {
        let numbered = (2u32..).map(|number| format!("-{ending}-{number}"));
        let endings = [String::new(), format!("-{ending}")]
            .into_iter()
            .chain(numbered);
        let mut names = endings.map(|ending| word(text, &ending));
        let free = |name: &String| syntax::may_be_declared(name) && !self.0.contains(name);
        let name = names.find(free).unwrap_or_default();
        self.0.insert(name.clone());
        name
    }
}

/// Returns a word of letters, digits, `-`, `_` and `.`, as long as a name may be, with its ending whole.
fn word(text: &str, ending: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let word = text.chars().map(|c| if fits(c) { c } else { '-' });
    let start = word.skip_while(|c| !c.is_ascii_alphanumeric() && *c != '_');
    let room = syntax::LONGEST_NAME.saturating_sub(ending.len());
    start.take(room).chain(ending.chars()).collect()
}
