//! Many prefixes as a chain of their own: one for all rules of a table that name the same ones and do
//! the same to what comes from there.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::forest::Forest;
use super::prefixes::{Range, addresses, by_prefix, common};
use crate::hash::sha256;
use crate::netfilter::rule::{Origin, Rule, Target};
use crate::netfilter::{ChainName, Table};

/// Hex digits of a set's hash in its name.
const DIGITS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Source,
    Destination,
}

/// The prefixes of a set, none within another.
pub(super) enum Members {
    /// Of one statement.
    Alike(Arc<[IpNet]>, Option<Origin>),
    /// Of several, each with what it is there for.
    Various(Vec<(IpNet, Option<Origin>)>),
}

impl Members {
    /// Returns what the first of them is there for.
    fn origin(&self) -> Option<&Origin> {
        match self {
            Members::Alike(_, origin) => origin.as_ref(),
            Members::Various(all) => all.first()?.1.as_ref(),
        }
    }
}

type Content = (Table, Side, Target, Arc<[IpNet]>);
/// Where a list lies in memory, and its length.
type Place = (Table, Side, Target, usize, usize);

#[derive(Default)]
pub(super) struct Sets {
    /// By content; the same list in memory is found at once.
    seen: HashMap<Content, ChainName>,
    same: HashMap<Place, ChainName>,
    planted: BTreeMap<(Table, ChainName), Planted>,
}

struct Planted {
    /// The chains of its tree.
    chains: Vec<ChainName>,
    origin: Option<Origin>,
    /// Another statement names the same prefixes.
    shared: bool,
}

impl Forest {
    /// Returns the chain whose packets that come from, or go to, one of `members` meet `target`.
    pub(super) fn set_chain(
        &mut self,
        table: Table,
        side: Side,
        members: &Members,
        target: &Target,
    ) -> ChainName {
        let nets: Arc<[IpNet]> = match members {
            Members::Alike(nets, _) => nets.clone(),
            Members::Various(all) => all.iter().map(|(net, _)| *net).collect(),
        };
        let origin = members.origin();
        let place = (
            table,
            side,
            target.clone(),
            nets.as_ptr().addr(),
            nets.len(),
        );
        if let Some(name) = self.sets.same.get(&place).cloned() {
            self.share(table, &name, origin);
            return name;
        }
        let key = (table, side, target.clone(), nets.clone());
        if let Some(name) = self.sets.seen.get(&key).cloned() {
            self.share(table, &name, origin);
            // `seen` keeps only the first list alive, so the place of this one is not kept.
            return name;
        }
        let name = self.fresh(table, side, &nets, target);
        self.sets.same.insert(place, name.clone());
        self.sets.seen.insert(key, name.clone());
        self.plant((table, &name), side, members, target);
        name
    }

    fn fresh(&mut self, table: Table, side: Side, nets: &[IpNet], target: &Target) -> ChainName {
        let mut text = format!("{side:?} {target:?}");
        loop {
            let hash = content(&text, nets);
            let name = ChainName::of_set(hash.get(..DIGITS).unwrap_or(""));
            if self.take(table, &name) {
                return name;
            }
            text.push('+');
        }
    }

    /// Makes the tree of a set in the chain `root` and in others below it.
    fn plant(&mut self, root: (Table, &ChainName), side: Side, members: &Members, target: &Target) {
        let sorted = Entries::new(side, members, target);
        let (table, name) = root;
        let leaf = self.shape.leaf(sorted.nets.len());
        let mut chains = Vec::new();
        let mut open = vec![(name.clone(), (0..sorted.nets.len()).collect())];
        while let Some((chain, part)) = open.pop() {
            let body = self.set_node(root, &sorted, (part, leaf), &mut open);
            self.chains.insert((table, chain.clone()), body);
            chains.push(chain);
        }
        let planted = Planted {
            chains,
            origin: members.origin().cloned(),
            shared: false,
        };
        self.sets.planted.insert((table, name.clone()), planted);
    }

    /// Makes the rules of one chain of a set, as [`Forest::tree`] makes those of a list; what belongs below
    /// them is left in `open`.
    fn set_node(
        &mut self,
        (table, owner): (Table, &ChainName),
        sorted: &Entries<'_>,
        (part, leaf): (Vec<usize>, usize),
        open: &mut Vec<(ChainName, Vec<usize>)>,
    ) -> Vec<Rule> {
        let parts = if part.len() <= leaf {
            Vec::new()
        } else {
            sorted.split(&part, self.shape.ways(part.len(), leaf))
        };
        if parts.len() < 2 {
            return part.into_iter().map(|at| sorted.rule(at)).collect();
        }
        let mut body = Vec::new();
        for part in parts {
            if self.shape.few(part.len()) {
                body.extend(part.into_iter().map(|at| sorted.rule(at)));
                continue;
            }
            let name = self.name(table, owner);
            body.push(sorted.way(&part, Target::Goto(name.clone())));
            open.push((name, part));
        }
        body
    }

    fn share(&mut self, table: Table, name: &ChainName, origin: Option<&Origin>) {
        if let Some(planted) = self.sets.planted.get_mut(&(table, name.clone())) {
            planted.shared |= planted.origin.as_ref() != origin;
        }
    }

    /// A rule of a set that several statements name says so: the rule that leads to it says which.
    pub(super) fn say_shared(&mut self) {
        let planted = std::mem::take(&mut self.sets.planted);
        for ((table, _), Planted { chains, origin, .. }) in
            planted.into_iter().filter(|(_, it)| it.shared)
        {
            let Some(origin) = origin else { continue };
            let says: Arc<str> = format!("{}, and others from here", origin.says).into();
            for chain in chains {
                let rules = self.chains.get_mut(&(table, chain));
                let origins = rules
                    .into_iter()
                    .flatten()
                    .filter_map(|rule| rule.origin.as_mut());
                origins.for_each(|origin| origin.says = says.clone());
            }
        }
    }
}

fn content(head: &str, nets: &[IpNet]) -> String {
    let mut bytes = head.as_bytes().to_vec();
    for net in nets {
        match net.addr() {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
        bytes.push(net.prefix_len());
    }
    sha256(&bytes)
}

/// The prefixes of a set in order, and what they become.
struct Entries<'m> {
    side: Side,
    target: &'m Target,
    members: &'m Members,
    nets: Vec<IpNet>,
    /// The addresses of each prefix.
    ranges: Vec<Range>,
    /// Where each prefix stands among the members.
    places: Vec<usize>,
}

impl<'m> Entries<'m> {
    fn new(side: Side, members: &'m Members, target: &'m Target) -> Self {
        let nets: Vec<IpNet> = match members {
            Members::Alike(nets, _) => nets.to_vec(),
            Members::Various(all) => all.iter().map(|(net, _)| *net).collect(),
        };
        let mut all: Vec<_> = nets.iter().map(|net| addresses(*net)).zip(0..).collect();
        all.sort_unstable();
        let (ranges, places): (Vec<_>, Vec<usize>) = all.into_iter().unzip();
        Entries {
            side,
            target,
            members,
            nets: places
                .iter()
                .filter_map(|at| nets.get(*at).copied())
                .collect(),
            ranges,
            places,
        }
    }

    /// Parts some of them, in at most so many parts and in the order of [`by_prefix`].
    fn split(&self, part: &[usize], ways: usize) -> Vec<Vec<usize>> {
        let ranges = self.ranges_of(part);
        let places = |of: Vec<usize>| of.iter().filter_map(|at| part.get(*at).copied()).collect();
        let parts = by_prefix(&ranges, ways).into_iter();
        parts.map(places).collect()
    }

    fn ranges_of(&self, part: &[usize]) -> Vec<Range> {
        let range = |at: &usize| self.ranges.get(*at).copied();
        part.iter().filter_map(range).collect()
    }

    fn asking(&self, net: Option<IpNet>, target: Target, origin: Option<Origin>) -> Rule {
        let (source, destination) = match self.side {
            Side::Source => (net, None),
            Side::Destination => (None, net),
        };
        Rule {
            source,
            destination,
            target,
            origin,
            ..Rule::default()
        }
    }

    /// Returns the rule of one prefix.
    fn rule(&self, at: usize) -> Rule {
        let origin = match (self.members, self.places.get(at)) {
            (Members::Alike(_, origin), _) => origin.as_ref(),
            (Members::Various(all), Some(place)) => all.get(*place).and_then(|it| it.1.as_ref()),
            (Members::Various(_), None) => None,
        };
        self.asking(
            self.nets.get(at).copied(),
            self.target.clone(),
            origin.cloned(),
        )
    }

    /// Returns the rule that leads to some of them.
    fn way(&self, part: &[usize], target: Target) -> Rule {
        let like = part.first().and_then(|at| self.nets.get(*at).copied());
        let ranges = self.ranges_of(part);
        let first = ranges.first().map_or(0, |range| range.0);
        let last = ranges.iter().map(|range| range.1).max().unwrap_or(0);
        self.asking(like.and_then(|net| common(net, first, last)), target, None)
    }
}
