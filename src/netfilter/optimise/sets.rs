//! Many prefixes as a chain of their own: one for all rules of a table that name the same ones and do
//! the same to what comes from there.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::forest::Forest;
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
        members: Members,
        target: &Target,
    ) -> ChainName {
        let (nets, origin): (Arc<[IpNet]>, _) = match &members {
            Members::Alike(nets, origin) => (nets.clone(), origin.clone()),
            Members::Various(all) => (
                all.iter().map(|(net, _)| *net).collect(),
                all.first().and_then(|(_, origin)| origin.clone()),
            ),
        };
        let place = (
            table,
            side,
            target.clone(),
            nets.as_ptr().addr(),
            nets.len(),
        );
        if let Some(name) = self.sets.same.get(&place).cloned() {
            self.share(table, &name, origin.as_ref());
            return name;
        }
        let key = (table, side, target.clone(), nets.clone());
        if let Some(name) = self.sets.seen.get(&key).cloned() {
            self.share(table, &name, origin.as_ref());
            // `seen` keeps only the first list alive, so the place of this one is not kept.
            return name;
        }
        let name = self.fresh(table, side, &nets, target);
        self.sets.same.insert(place, name.clone());
        self.sets.seen.insert(key, name.clone());
        self.plant(table, &name, rules(side, members, target), origin);
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

    fn plant(&mut self, table: Table, name: &ChainName, rules: Vec<Rule>, origin: Option<Origin>) {
        let chains = self.tree(table, name, name, rules);
        let planted = Planted {
            chains,
            origin,
            shared: false,
        };
        self.sets.planted.insert((table, name.clone()), planted);
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

fn rules(side: Side, members: Members, target: &Target) -> Vec<Rule> {
    let rule = |net: IpNet, origin: Option<Origin>| Rule {
        source: (side == Side::Source).then_some(net),
        destination: (side == Side::Destination).then_some(net),
        target: target.clone(),
        origin,
        ..Rule::default()
    };
    match members {
        Members::Alike(nets, origin) => nets.iter().map(|net| rule(*net, origin.clone())).collect(),
        Members::Various(all) => all
            .into_iter()
            .map(|(net, origin)| rule(net, origin))
            .collect(),
    }
}
