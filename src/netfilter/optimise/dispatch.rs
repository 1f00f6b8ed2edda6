//! Rules that do different things, told apart by port: their order among those of one port counts, and
//! nothing else does. A packet is led to the chain of its port by `-g`, where its rules stand as they
//! stood; what they let go on, and what has no port there, goes on behind them.

use super::forest::{Forest, Site, alike};
use super::split::{Key, Way, range, sorted, split};
use crate::netfilter::ChainName;
use crate::netfilter::rule::{Rule, Target};

impl Forest {
    /// Returns how many rules at the beginning of a list are to be told apart by port, if that is worth
    /// it and if not most of them do the same.
    pub(super) fn dispatchable(&self, rules: &[Rule]) -> Option<usize> {
        let key = [Key::FirstPort, Key::Port].into_iter().find(|key| {
            rules
                .first()
                .is_some_and(|rule| range(*key, rule).is_some())
        })?;
        let ported = rules
            .iter()
            .take_while(|rule| range(key, rule).is_some() && own_key(rule, key));
        let length = ported.count();
        let all = values(key, rules.get(..length)?);
        let same = values(key, rules.get(..alike(rules))?);
        let long = !self.shape.is_short(length) && all >= self.shape.list;
        (long && same * 2 < all).then_some(length)
    }

    /// Makes a tree of a list in the order of its ports, and a chain of what comes behind it.
    pub(super) fn dispatch(
        &mut self,
        site: &Site<'_>,
        rules: Vec<Rule>,
        behind: Vec<Rule>,
    ) -> Vec<Rule> {
        let granted = site.granted || rules.iter().any(|rule| rule.target == Target::SetMark);
        let rest = (!behind.is_empty()).then(|| {
            let name = self.name(site.table, site.owner);
            let mut site = Site { granted, ..*site };
            let body = self.body(&mut site, behind);
            self.chains.insert((site.table, name.clone()), body);
            name
        });
        let key = match rules.first() {
            Some(rule) if range(Key::FirstPort, rule).is_some() => Key::FirstPort,
            _ => Key::Port,
        };
        let leaf = self.shape.leaf(rules.len());
        self.by_port(site, (key, leaf), rules, rest.as_ref())
    }

    fn by_port(
        &mut self,
        site: &Site<'_>,
        (key, leaf): (Key, usize),
        rules: Vec<Rule>,
        rest: Option<&ChainName>,
    ) -> Vec<Rule> {
        let ways = self.shape.ways(rules.len(), leaf);
        let short = rules.len() <= leaf;
        let parts = if short {
            Err(rules)
        } else {
            split(sorted(key, rules), ways)
        };
        let mut body = Vec::new();
        match parts {
            Err(rules) => {
                let mut site = Site { ..*site };
                body = self.leaf(&mut site, rules);
            }
            Ok(ways) => {
                for Way { condition, rules } in ways {
                    let chain = self.by_port(site, (key, leaf), rules, rest);
                    let name = self.name(site.table, site.owner);
                    self.chains.insert((site.table, name.clone()), chain);
                    body.push(Rule {
                        target: Target::Goto(name),
                        ..condition
                    });
                }
            }
        }
        body.extend(rest.map(|rest| Rule {
            target: Target::Goto(rest.clone()),
            ..Rule::default()
        }));
        body
    }

    /// Makes the rules of a list that nothing parts any more.
    fn leaf(&mut self, site: &mut Site<'_>, rules: Vec<Rule>) -> Vec<Rule> {
        let mut body = Vec::new();
        let mut rest = rules;
        while !rest.is_empty() {
            let behind = rest.split_off(alike(&rest));
            body.extend(self.step(site, rest));
            rest = behind;
        }
        body
    }
}

/// The first port, where a rule asks it, tells more than the port behind the translation.
fn own_key(rule: &Rule, key: Key) -> bool {
    key == Key::FirstPort || range(Key::FirstPort, rule).is_none()
}

fn values(key: Key, rules: &[Rule]) -> usize {
    let mut ranges: Vec<_> = rules.iter().filter_map(|rule| range(key, rule)).collect();
    ranges.sort_unstable();
    ranges.dedup();
    ranges.len()
}
