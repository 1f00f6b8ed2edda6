//! Rules in a row that do the same: a packet fares the same whichever of them it meets, so they are
//! sorted by what they ask beside the source, and sources that are many have a chain of their own.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::forest::{Forest, Site};
use super::sets::{Members, Side};
use crate::net::PortRange;
use crate::netfilter::bounds::PORTS;
use crate::netfilter::rule::{Origin, Rule, Service, Target};
use crate::netfilter::{ChainName, Table};

impl Forest {
    /// Makes rules of a run whose target ends a packet, or lets it go on marked.
    pub(super) fn union(
        &mut self,
        site: &Site<'_>,
        rules: Vec<Rule>,
        target: &Target,
    ) -> Vec<Rule> {
        let list = self.pieces(site.table, rules, target);
        if self.shape.is_short(list.len()) {
            return list;
        }
        // Of more rules than this no short list can come.
        let merged = self.shape.is_short(list.len() / PORTS);
        let merged = merged.then(|| merge_ports(&list));
        match merged.filter(|merged| self.shape.is_short(merged.len())) {
            Some(short) => short,
            None => self.jump_to_tree(site, list),
        }
    }

    /// Makes rules of a run that leads a packet on: RETURN, or another chain. From within a tree
    /// neither would, since the tree was jumped to. So the tree gives the grant's mark, nobody
    /// carries it before, and one rule behind the tree takes it away and leads on.
    pub(super) fn led_on(
        &mut self,
        site: &mut Site<'_>,
        rules: Vec<Rule>,
        target: &Target,
    ) -> Vec<Rule> {
        let mut body = Self::unmarked(site);
        body.extend(self.union(site, rules, &Target::SetMark));
        let behind = self.cleared(site.table, target);
        body.push(marked(Target::Goto(behind)));
        body
    }

    /// Returns the rules behind which no packet carries the mark.
    pub(super) fn unmarked(site: &mut Site<'_>) -> Vec<Rule> {
        if site.table != Table::Mangle {
            return vec![clear()];
        }
        // What is granted by now passes with its grant, as it would at the chain's end.
        let granted = std::mem::take(&mut site.granted);
        let passes = granted.then_some([Target::SaveMark, Target::Return].map(marked));
        passes.into_iter().flatten().collect()
    }

    /// Returns the chain that takes the mark away and leads on.
    pub(super) fn cleared(&mut self, table: Table, target: &Target) -> ChainName {
        let (name, next) = match target {
            Target::Goto(chain) => (chain.below("on"), Some(chain.clone())),
            _ => (ChainName::fixed("LEFT"), None),
        };
        let goto = next.map(|chain| Rule {
            target: Target::Goto(chain),
            ..Rule::default()
        });
        let rules = [clear()].into_iter().chain(goto).collect();
        self.once(table, name, rules)
    }

    /// Makes one rule for each thing asked, or one for each of its few sources.
    fn pieces(&mut self, table: Table, rules: Vec<Rule>, target: &Target) -> Vec<Rule> {
        let mut pieces = Vec::new();
        for Group { key, entries } in groups(rules) {
            let whole: usize = entries.iter().map(Entry::len).sum();
            let open = entries
                .iter()
                .find(|entry| entry.source.is_none() && entry.sources.is_none());
            let (sources, origin) = match open {
                Some(entry) => (Vec::new(), entry.origin.clone()),
                None => (entries, None),
            };
            let aim = self.aim(table, &key, origin.as_ref(), &sources, target);
            let rule = |source, origin| Rule {
                source,
                destinations: None,
                target: aim.clone(),
                origin,
                ..key.clone()
            };
            if sources.is_empty() {
                pieces.push(rule(None, origin));
            } else if whole < self.shape.list {
                let each = sources.iter().flat_map(Entry::each);
                pieces.extend(each.map(|(source, origin)| rule(Some(source), origin)));
            } else {
                let first = sources.first().and_then(|entry| entry.origin.clone());
                let chain = self.set_chain(table, Side::Source, &members(sources), &aim);
                let target = Target::Jump(chain);
                pieces.push(Rule {
                    target,
                    ..rule(None, first)
                });
            }
        }
        pieces
    }

    /// Returns what a packet that a key's sources let through meets: the run's target, by way of the
    /// chain of many destinations where there are many.
    fn aim(
        &mut self,
        table: Table,
        key: &Rule,
        origin: Option<&Origin>,
        sources: &[Entry],
        target: &Target,
    ) -> Target {
        let Some(destinations) = &key.destinations else {
            return target.clone();
        };
        let origin = origin.or_else(|| sources.first()?.origin.as_ref()).cloned();
        let members = Members::Alike(destinations.clone(), origin);
        let chain = self.set_chain(table, Side::Destination, &members, target);
        Target::Jump(chain)
    }
}

/// Returns a rule for what carries the mark.
pub(super) fn marked(target: Target) -> Rule {
    Rule {
        mark: true,
        target,
        ..Rule::default()
    }
}

fn clear() -> Rule {
    Rule {
        target: Target::ClearMark,
        ..Rule::default()
    }
}

/// Sources of one key.
struct Entry {
    source: Option<IpNet>,
    sources: Option<Arc<[IpNet]>>,
    origin: Option<Origin>,
}

impl Entry {
    fn len(&self) -> usize {
        self.sources.as_ref().map_or(1, |many| many.len())
    }

    fn each(&self) -> impl Iterator<Item = (IpNet, Option<Origin>)> + '_ {
        let many = self.sources.iter().flat_map(|many| many.iter().copied());
        let all = self.source.into_iter().chain(many);
        all.map(|net| (net, self.origin.clone()))
    }
}

struct Group {
    /// What is asked beside the source.
    key: Rule,
    entries: Vec<Entry>,
}

/// Sorts rules by what they ask beside the source, in the order in which they come first.
fn groups(rules: Vec<Rule>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Rule, usize> = HashMap::with_capacity(rules.len());
    for mut rule in rules {
        let entry = Entry {
            source: rule.source.take(),
            sources: rule.sources.take(),
            origin: rule.origin.take(),
        };
        let place = places.get(&rule).copied().unwrap_or(groups.len());
        if let Some(group) = groups.get_mut(place) {
            group.entries.push(entry);
        } else {
            places.insert(rule.clone(), place);
            let entries = vec![entry];
            groups.push(Group { key: rule, entries });
        }
    }
    groups
}

/// Returns the prefixes of many sources, without those that lie in others.
fn members(mut entries: Vec<Entry>) -> Members {
    if let [
        Entry {
            sources: Some(many),
            origin,
            ..
        },
    ] = entries.as_mut_slice()
    {
        return Members::Alike(many.clone(), origin.take());
    }
    let mut all: Vec<(IpNet, Option<Origin>)> = entries.iter().flat_map(Entry::each).collect();
    all.sort_by_key(|(net, _)| (net.network(), net.prefix_len()));
    let mut kept: Vec<(IpNet, Option<Origin>)> = Vec::with_capacity(all.len());
    for (net, origin) in all {
        if kept.last().is_none_or(|(last, _)| !last.contains(&net)) {
            kept.push((net, origin));
        }
    }
    Members::Various(kept)
}

/// Puts rules that differ in their ports alone together, fifteen ports in a rule. Only where that makes
/// a short list of a long one: else ports are what a tree tells rules by.
fn merge_ports(list: &[Rule]) -> Vec<Rule> {
    let mut merged: Vec<(Rule, Vec<PortRange>)> = Vec::new();
    let mut places: HashMap<Rule, usize> = HashMap::new();
    for rule in list {
        let Some((key, ports)) = ported(rule) else {
            merged.push((rule.clone(), Vec::new()));
            continue;
        };
        let place = places.get(&key).and_then(|at| merged.get_mut(*at));
        let place = place.filter(|(_, all)| room(all) + room(&[ports]) <= PORTS);
        if let Some((_, all)) = place {
            all.push(ports);
        } else {
            places.insert(key, merged.len());
            merged.push((rule.clone(), vec![ports]));
        }
    }
    merged.into_iter().map(together).collect()
}

fn room(ports: &[PortRange]) -> usize {
    let places = |it: &PortRange| if it.first == it.last { 1 } else { 2 };
    ports.iter().map(places).sum()
}

/// Returns a rule without its ports, and them. The words of one statement are about one port each.
fn ported(rule: &Rule) -> Option<(Rule, PortRange)> {
    let Some(Service::To(protocol, ports)) = rule.service else {
        return None;
    };
    let origin = rule.origin.as_ref().map(|origin| Origin {
        span: origin.span,
        says: "".into(),
    });
    let key = Rule {
        service: Some(Service::All(protocol)),
        origin,
        ..rule.clone()
    };
    Some((key, ports))
}

fn together((rule, ports): (Rule, Vec<PortRange>)) -> Rule {
    let (true, Some(Service::To(protocol, _))) = (ports.len() > 1, rule.service) else {
        return rule;
    };
    let more = ports.len() - 1;
    let origin = rule.origin.as_ref().map(|origin| Origin {
        span: origin.span,
        says: format!("{} and {more} more", origin.says).into(),
    });
    Rule {
        service: Some(Service::All(protocol)),
        ports: Some(ports.into()),
        origin,
        ..rule
    }
}
