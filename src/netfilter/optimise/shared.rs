//! One way into a set that many rules of a list ask.
//!
//! If each of them led into the set's tree by itself, everything that walks over all rules would walk
//! the tree as often: the kernel at every load, and the proof. So the rules give the grant's mark, and
//! one rule behind them leads what carries it into the tree:
//!
//! ```text
//! -p tcp --dport 8080 -j MARK  ┐
//! -p tcp --dport 8081 -j MARK  │ a tree where they are many
//! …                            ┘
//! --mark -j TIDE-set~….way         clears the mark ─g─► the set's tree, which does what the rules did
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ipnet::IpNet;

use super::forest::{Forest, Site, alike, is_free};
use super::sets::{Members, Side};
use super::split::{Key, range};
use super::union::marked;
use crate::netfilter::Table;
use crate::netfilter::rule::{Rule, Target};

/// Most sets of a list with one way in: each is met by all packets of the list.
const MOST: usize = 4;

/// A set that rules ask, by where it lies in memory, and what they do.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Shared {
    set: (usize, usize),
    target: Target,
}

impl Shared {
    fn of(rule: &Rule) -> Option<Self> {
        let set = rule.sources.as_ref().filter(|_| is_free(rule))?;
        Some(Shared {
            set: (set.as_ptr().addr(), set.len()),
            target: rule.target.clone(),
        })
    }
}

impl Forest {
    /// Returns the sets of a list that are to have one way in, those first that have most of it.
    pub(super) fn shared(&self, table: Table, rules: &[Rule]) -> Vec<Shared> {
        // In `nat` nobody expects marks.
        if table == Table::Nat {
            return Vec::new();
        }
        let mut ways: HashMap<Shared, (usize, usize)> = HashMap::new();
        for (at, shared) in rules.iter().map(Shared::of).enumerate() {
            if let Some(shared) = shared {
                ways.entry(shared).or_insert((0, at)).0 += 1;
            }
        }
        let spared = |it: &Shared, ways: usize| it.set.1.saturating_mul(ways - 1);
        let mut all: Vec<(usize, usize, Shared)> = ways
            .into_iter()
            .filter(|(_, (ways, _))| *ways > 1)
            .map(|(it, (ways, at))| (spared(&it, ways), at, it))
            .filter(|(spared, _, _)| *spared >= self.shape.shared)
            .collect();
        all.sort_by_key(|(spared, at, _)| (std::cmp::Reverse(*spared), *at));
        all.truncate(MOST);
        all.into_iter().map(|(_, _, shared)| shared).collect()
    }

    /// Makes rules of those of a run that ask one of its shared sets, and returns the others. Where a
    /// packet may have been granted, only what grants or leads on may be said of granted ones by
    /// letting them pass.
    pub(super) fn one_way_each(
        &mut self,
        site: &mut Site<'_>,
        rules: Vec<Rule>,
    ) -> (Vec<Rule>, Vec<Rule>) {
        let (mut body, mut rest) = (Vec::new(), rules);
        let target = rest.first().map(|rule| rule.target.clone());
        let passes = matches!(
            target,
            Some(Target::Goto(_) | Target::Return | Target::SetMark)
        );
        if alike(&rest) < rest.len() || site.granted && !passes {
            return (body, rest);
        }
        for shared in self.shared(site.table, &rest) {
            let (asking, others) = rest
                .into_iter()
                .partition(|rule| Shared::of(rule).as_ref() == Some(&shared));
            rest = others;
            body.extend(self.one_way(site, asking, &shared.target));
            site.granted |= shared.target == Target::SetMark;
        }
        (body, rest)
    }

    fn one_way(&mut self, site: &mut Site<'_>, asking: Vec<Rule>, target: &Target) -> Vec<Rule> {
        let leads_on = matches!(target, Target::Goto(_) | Target::Return);
        let does = if leads_on { &Target::SetMark } else { target };
        let mut body = Self::unmarked(site);
        let Some(way) = self.way(site.table, &asking, does) else {
            return asking;
        };
        let doors = asking.into_iter().map(|rule| Rule {
            sources: None,
            target: Target::SetMark,
            ..rule
        });
        body.extend(self.union(site, doors.collect(), &Target::SetMark));
        body.push(marked(way));
        if leads_on {
            let behind = self.cleared(site.table, target);
            body.push(marked(Target::Goto(behind)));
        }
        body
    }

    /// Makes the one way into the set that rules ask.
    fn way(&mut self, table: Table, asking: &[Rule], does: &Target) -> Option<Target> {
        let nets: &Arc<[IpNet]> = asking.first()?.sources.as_ref()?;
        let mut set = None;
        for rule in asking {
            let members = Members::Alike(nets.clone(), rule.origin.clone());
            set = Some(self.set_chain(table, Side::Source, &members, does));
        }
        let set = set?;
        let rule = |target| Rule {
            target,
            ..Rule::default()
        };
        let rules = [Target::ClearMark, Target::Goto(set.clone())].map(rule);
        Some(Target::Jump(self.once(
            table,
            set.below("way"),
            rules.into(),
        )))
    }
}

/// Takes those rules out of the beginning of a list that ask shared sets and do the same, to have them
/// in one place: rules that do something else for other ports may stand between them. The beginning is what
/// asks for ports. Returns also how many rules there are behind it.
pub(super) fn gather(sets: &[Shared], rules: &mut Vec<Rule>) -> (Vec<Rule>, usize) {
    let port = |rule: &Rule| range(Key::Port, rule);
    let begin = rules.iter().take_while(|rule| port(rule).is_some()).count();
    // A rule without ports stays, and is behind by then.
    let behind = rules.split_off(begin.max(1).min(rules.len()));
    let count = behind.len();
    let Some(first) = sets.first() else {
        rules.extend(behind);
        return (Vec::new(), count);
    };
    let mut passed = Ports::default();
    let (gathered, others) = std::mem::take(rules).into_iter().partition(|rule| {
        let asks = Shared::of(rule).filter(|it| it.target == first.target);
        let free = port(rule).is_some_and(|ports| !passed.meet(ports));
        let moves = free && asks.is_some_and(|it| sets.contains(&it));
        // What does the same may come before or behind.
        let may_wait = moves || is_free(rule) && rule.target == first.target;
        if let (false, Some(ports)) = (may_wait, port(rule)) {
            passed.add(ports);
        }
        moves
    });
    *rules = others;
    rules.extend(behind);
    (gathered, count)
}

/// Ports as ranges that do not touch, by their first.
#[derive(Default)]
struct Ports(BTreeMap<u128, u128>);

impl Ports {
    fn meet(&self, (first, last): (u128, u128)) -> bool {
        let before = self.0.range(..=last).next_back();
        before.is_some_and(|(_, end)| *end >= first)
    }

    fn add(&mut self, (mut first, mut last): (u128, u128)) {
        while let Some((start, end)) = self.0.range(..=last).next_back() {
            let (start, end) = (*start, *end);
            if end < first {
                break;
            }
            (first, last) = (first.min(start), last.max(end));
            self.0.remove(&start);
        }
        self.0.insert(first, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PortRange;
    use crate::netfilter::rule::Service;
    use crate::policy::ir::Protocol;

    fn rule(first: u16, last: u16, set: Option<&Arc<[IpNet]>>, target: Target) -> Rule {
        Rule {
            service: Some(Service::To(Protocol::Tcp, PortRange { first, last })),
            sources: set.cloned(),
            target,
            ..Rule::default()
        }
    }

    #[test]
    fn nothing_moves_past_what_its_packets_meet() {
        let set: Arc<[IpNet]> = ["192.0.2.0/24".parse().expect("a prefix")].into();
        let asks = |first, last| rule(first, last, Some(&set), Target::Return);
        let drops = |first, last| rule(first, last, None, Target::Drop);
        let sets = [Shared::of(&asks(1, 1)).expect("it asks")];
        let mut list = vec![
            asks(1, 1),
            drops(1, 1),
            asks(2, 2),
            drops(4, 9),
            asks(9, 12),
            asks(10, 12),
            Rule::default(),
            asks(20, 20),
        ];
        let (gathered, behind) = gather(&sets, &mut list);
        assert_eq!(gathered, [asks(1, 1), asks(2, 2), asks(10, 12)]);
        assert_eq!(behind, 2);
        let left = [
            drops(1, 1),
            drops(4, 9),
            asks(9, 12),
            Rule::default(),
            asks(20, 20),
        ];
        assert_eq!(list, left);
        let mut list = vec![Rule::default(), asks(1, 1)];
        assert_eq!(gather(&sets, &mut list), (Vec::new(), 1));
    }

    #[test]
    fn ranges_of_ports_grow_together() {
        let mut ports = Ports::default();
        for range in [(5, 6), (10, 12), (1, 1), (6, 10)] {
            ports.add(range);
        }
        assert_eq!(Vec::from_iter(ports.0.clone()), [(1, 1), (5, 12)]);
        assert!(ports.meet((12, 20)) && ports.meet((0, 1)) && ports.meet((7, 8)));
        assert!(!ports.meet((13, 20)) && !ports.meet((2, 4)));
    }
}
