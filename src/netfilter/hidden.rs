//! Tables that iptables-nft-save does not show.
//!
//! One rule that nft(8) made and iptables has no words for hides its whole table: `# Table ... is
//! incompatible`. iptables still loads rules into it and lists its other chains one by one, and nft
//! lists all. From both comes the text that iptables-save would print, with a stand-in for each rule
//! that it cannot: a target that nobody knows.

use std::fmt::Write as _;

use serde_json::Value;

use super::nftables::{is_foreign_base, is_native, objects, statements, text};
use super::{Family, verbatim};

/// The target of a stand-in, `-j NFT --handle 7`: whoever reads the rule knows nothing of it.
pub const STAND_IN: &str = "NFT";

/// Returns the name of the table that a line of iptables-save says it cannot show.
pub fn table(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("# Table `")?;
    let (name, rest) = rest.split_once('\'')?;
    rest.starts_with(" is incompatible").then_some(name)
}

/// A table as nft shows it, while iptables is asked for its chains.
#[derive(Debug)]
pub struct Hidden {
    name: String,
    chains: Vec<Chain>,
    /// How many of the chains were asked for.
    asked: usize,
}

#[derive(Debug)]
struct Chain {
    name: String,
    /// As iptables writes it, `-` for a user's chain.
    policy: String,
    /// The rules as far as nft tells them.
    rules: Vec<Rule>,
    /// The rules as iptables tells them, where it does.
    told: Option<Vec<String>>,
}

#[derive(Debug)]
struct Rule {
    text: String,
    native: bool,
}

impl Hidden {
    /// Reads `nft -j list table FAMILY NAME`.
    pub fn read(json: &str, name: &str) -> Result<Self, serde_json::Error> {
        let list: Value = serde_json::from_str(json)?;
        let own = objects(&list, "chain").filter(|chain| !is_foreign_base(chain));
        let mut chains: Vec<Chain> = own.map(Chain::new).collect();
        for rule in objects(&list, "rule") {
            let at = text(rule, "chain");
            if let Some(chain) = chains.iter_mut().find(|chain| chain.name == at) {
                chain.rules.push(Rule::new(rule));
            }
        }
        Ok(Hidden {
            name: name.to_owned(),
            chains,
            asked: 0,
        })
    }

    /// Returns the text that has `iptables-restore --noflush` list the chains that were not asked for yet;
    /// nothing where all were. It changes no rule; with `--test`, iptables would list none.
    pub fn question(&self) -> Option<String> {
        let left = self.chains.get(self.asked..).filter(|it| !it.is_empty())?;
        let mut text = format!("*{}\n", self.name);
        for chain in left {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "-S {}", chain.name);
        }
        Some(text + "COMMIT\n")
    }

    /// Takes what iptables answered. It stops at the first chain that it cannot list, which is passed over.
    pub fn hear(&mut self, answer: &str) {
        for line in answer.lines() {
            let mut words = line.splitn(3, ' ');
            let (Some(command), Some(chain)) = (words.next(), words.next()) else {
                continue;
            };
            let next = self.chains.get_mut(self.asked);
            match (command, next) {
                ("-N" | "-P", Some(next)) if next.name == chain => {
                    next.told = Some(Vec::new());
                    self.asked += 1;
                }
                ("-A", _) => self.add(chain, words.next().unwrap_or_default()),
                _ => {}
            }
        }
        self.asked = (self.asked + 1).min(self.chains.len());
    }

    fn add(&mut self, chain: &str, rule: &str) {
        let last = self.asked.checked_sub(1);
        let last = last.and_then(|last| self.chains.get_mut(last));
        if let Some(told) = last
            .filter(|it| it.name == chain)
            .and_then(|it| it.told.as_mut())
        {
            told.push(rule.to_owned());
        }
    }

    /// Returns the table as iptables-save would print it.
    pub fn text(&self) -> String {
        let mut text = format!("*{}\n", self.name);
        // Writing to a String cannot fail.
        for chain in &self.chains {
            let _ = writeln!(text, ":{} {} [0:0]", chain.name, chain.policy);
        }
        for chain in &self.chains {
            for rule in chain.lines() {
                let _ = writeln!(text, "{}", format!("-A {} {rule}", chain.name).trim_end());
            }
        }
        text + "COMMIT\n"
    }
}

impl Chain {
    fn new(chain: &Value) -> Self {
        let policy = text(chain, "policy").to_ascii_uppercase();
        Chain {
            name: text(chain, "name").to_owned(),
            policy: if policy.is_empty() {
                "-".to_owned()
            } else {
                policy
            },
            rules: Vec::new(),
            told: None,
        }
    }

    /// Returns the rules: iptables' words for those that it made, where the two lists fit each other.
    fn lines(&self) -> Vec<&str> {
        let told = self.told.as_ref().filter(|it| it.len() == self.rules.len());
        let mut told = told.into_iter().flatten().map(String::as_str);
        let rules = self.rules.iter().map(|rule| match told.next() {
            Some(told) if !rule.native => told,
            _ => &rule.text,
        });
        rules.collect()
    }
}

impl Rule {
    fn new(rule: &Value) -> Self {
        Rule {
            text: words(rule).unwrap_or_else(|| stand_in(rule)),
            native: is_native(rule),
        }
    }
}

fn stand_in(rule: &Value) -> String {
    let handle = rule.get("handle").and_then(Value::as_u64);
    let handle = handle.unwrap_or_default();
    format!("-j {STAND_IN} --handle {handle}")
}

/// Returns a rule that only leads somewhere, whatever the packet, as iptables writes it.
fn words(rule: &Value) -> Option<String> {
    let mut rest = statements(rule).filter(|it| it.get("counter").is_none());
    let (statement, None) = (rest.next()?, rest.next()) else {
        return None;
    };
    let (name, value) = statement.as_object()?.iter().next()?;
    let to = || value.get("target").and_then(Value::as_str);
    let verdict = match name.as_str() {
        "accept" => "-j ACCEPT".to_owned(),
        "drop" => "-j DROP".to_owned(),
        "return" => "-j RETURN".to_owned(),
        "jump" => format!("-j {}", to()?),
        "goto" => format!("-g {}", to()?),
        _ => return None,
    };
    let comment = match text(rule, "comment") {
        "" => String::new(),
        said => format!("-m comment --comment {} ", quoted(said)),
    };
    Some(comment + &verdict)
}

/// Writes a text in quotes, as `xtables_save_string` of iptables does.
fn quoted(said: &str) -> String {
    let escaped = said.replace('\\', "\\\\").replace('"', "\\\"");
    let line = format!("- \"{escaped}\"");
    // A line break in it is one of a rule's text.
    let line = verbatim::text(line.as_bytes());
    line.trim_start_matches("- ").to_owned()
}

/// Returns nft's word for a family.
pub fn family_word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"nftables": [{"metainfo": {"json_schema_version": 1}},
        {"table": {"family": "ip", "name": "filter", "handle": 1}},
        {"chain": {"table": "filter", "name": "TIDE-GATE"}},
        {"chain": {"table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
        {"chain": {"table": "filter", "name": "mine", "hook": "forward", "policy": "accept"}},
        {"chain": {"table": "filter", "name": "DOCKER"}},
        {"rule": {"chain": "FORWARD", "handle": 9, "expr": [{"vmap": {"key": 1}}]}},
        {"rule": {"chain": "FORWARD", "expr": [{"counter": {}}, {"jump": {"target": "TIDE-GATE"}}]}},
        {"rule": {"chain": "FORWARD", "comment": "a \"b\"", "expr": [{"return": null}]}},
        {"rule": {"chain": "mine", "expr": [{"drop": null}]}},
        {"rule": {"chain": "TIDE-GATE", "expr": [{"xt": {}}, {"counter": {}}, {"drop": null}]}},
        {"rule": {"chain": "DOCKER", "handle": 12, "expr": [{"match": {"op": "==", "right": "@bad"}},
            {"counter": {}}, {"drop": null}]}}]}"#;

    #[test]
    fn what_iptables_cannot_say_has_a_stand_in_at_its_place() {
        let mut hidden = Hidden::read(JSON, "filter").unwrap();
        let question = hidden.question().unwrap();
        assert_eq!(
            question,
            "*filter\n-S TIDE-GATE\n-S FORWARD\n-S DOCKER\nCOMMIT\n"
        );
        hidden.hear("-N TIDE-GATE\n-A TIDE-GATE -m hashlimit --hashlimit-name x -j DROP\n");
        // It stopped at FORWARD.
        assert_eq!(hidden.question().unwrap(), "*filter\n-S DOCKER\nCOMMIT\n");
        // What iptables says of a named set is wrong.
        hidden.hear("-N DOCKER\n-A DOCKER -j DROP\n");
        assert_eq!(hidden.question(), None);
        let text = hidden.text();
        let rules = text.lines().filter(|line| line.starts_with('-'));
        assert!(
            text.contains(":FORWARD DROP [0:0]\n:DOCKER - [0:0]\n"),
            "{text}"
        );
        assert!(
            rules.eq([
                "-A TIDE-GATE -m hashlimit --hashlimit-name x -j DROP",
                "-A FORWARD -j NFT --handle 9",
                "-A FORWARD -j TIDE-GATE",
                r#"-A FORWARD -m comment --comment "a \"b\"" -j RETURN"#,
                "-A DOCKER -j NFT --handle 12",
            ]),
            "{text}"
        );
    }

    #[test]
    fn the_line_that_hides_a_table_names_it() {
        assert_eq!(
            table("# Table `filter' is incompatible, use 'nft' tool."),
            Some("filter")
        );
        let other = "# Table `raw' contains incompatible base-chains, use 'nft' tool to list them.";
        assert_eq!(table(other), None);
    }
}
