//! The words that start items and statements, where each belongs and how it is written.

use super::grammar::Rule;
use crate::diag::suggest::nearest;

/// Words kept for later versions of the language.
pub(super) const RESERVED: [&str; 6] = ["group", "let", "port", "service", "tag", "when"];

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    Container,
    File,
    Host,
    Network,
    Trust,
}

/// A word with the form of what it starts.
pub type Keyword = (&'static str, &'static str);

const FILE: &[Keyword] = &[
    ("allow", "allow WHO,… -> WHO,… [: PORTS/PROTOCOL,…]"),
    (
        "container",
        "container NAME on NETWORK [at ADDRESS,…] { … }",
    ),
    ("deny", "deny WHO,… -> WHO,… [: PORTS/PROTOCOL,…]"),
    (
        "expect",
        "expect WHO -> WHO [: PORTS/PROTOCOL] allowed|denied",
    ),
    ("host", "host [NAME] { … }"),
    ("include", "include \"FILE\""),
    (
        "link",
        "link CONTAINER,… -> CONTAINER,… [: PORTS/PROTOCOL,…]",
    ),
    ("network", "network NAME [on HOST] { … }"),
    ("trust", "trust NAME { … }"),
];

const CONTAINER: &[Keyword] = &[(
    "expose",
    "expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]",
)];

const HOST: &[Keyword] = &[
    ("engine", "engine docker [VERSION] [nftables]|none"),
    ("forward", "forward drop|accept"),
    ("forwarding", "forwarding on|off"),
    ("log", "log denied [limit N/UNIT]"),
    ("mark", "mark 0x10000000"),
    ("others", "others closed|leave|drop"),
    ("route", "route PREFIX via ADDRESS [dev INTERFACE]"),
    ("sysctl", "sysctl \"KEY\" = VALUE"),
    ("uplink", "uplink INTERFACE,…"),
];

const NETWORK: &[Keyword] = &[
    ("antispoof", "antispoof on|off"),
    ("bridge", "bridge INTERFACE"),
    ("egress", "egress on|off"),
    ("host-access", "host-access on|off"),
    ("icc", "icc on|off"),
    ("subnet", "subnet PREFIX,…"),
];

const TRUST: &[Keyword] = &[
    (
        "except",
        "except ADDRESS, PREFIX, RANGE, SET or file \"FILE\"",
    ),
    ("file", "file \"FILE\""),
];

const PLACES: [Context; 4] = [
    Context::Container,
    Context::File,
    Context::Host,
    Context::Network,
];

impl Context {
    /// Returns the word that starts such a block.
    pub(super) fn word(self) -> &'static str {
        match self {
            Context::Container => "container",
            Context::File => "policy",
            Context::Host => "host",
            Context::Network => "network",
            Context::Trust => "trust",
        }
    }

    /// Returns what a statement that stands here is called.
    pub(super) fn statement(self) -> &'static str {
        match self {
            Context::Container => "statement",
            Context::File => "item",
            Context::Host | Context::Network => "setting",
            Context::Trust => "keyword",
        }
    }

    /// Returns all that statements can start with here.
    pub fn keywords(self) -> &'static [Keyword] {
        match self {
            Context::Container => CONTAINER,
            Context::File => FILE,
            Context::Host => HOST,
            Context::Network => NETWORK,
            Context::Trust => TRUST,
        }
    }

    /// Returns the words that a statement can start with here.
    pub(super) fn words(self) -> Vec<&'static str> {
        self.keywords().iter().map(|(word, _)| *word).collect()
    }

    /// Returns the keyword that `word` is.
    pub fn exactly(self, word: &str) -> Option<Keyword> {
        let mut known = self.keywords().iter();
        known.find(|(known, _)| *known == word).copied()
    }

    /// Returns the keyword that `word` is most likely meant to be.
    pub(super) fn nearly(self, word: &str) -> Option<Keyword> {
        nearest(word, self.words()).and_then(|word| self.exactly(word))
    }

    /// Returns where statements start with `word`.
    pub(super) fn home_of(word: &str) -> Option<Context> {
        let mut places = PLACES.into_iter();
        places.find(|place| place.exactly(word).is_some())
    }
}

/// Returns words in backquotes, with commas between them.
pub(super) fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// Returns every word that means something by itself somewhere in the language, sorted.
pub fn all() -> Vec<&'static str> {
    let rules = Rule::all_rules().iter();
    let mut words: Vec<&str> = rules.filter_map(|rule| rule.keyword()).collect();
    words.sort_unstable();
    words
}
