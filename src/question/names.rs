//! Sets of addresses and interfaces in the fewest words: names of the policies first.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use crate::diagram::Node;
use crate::meaning::{Atom, Field, Space, bits};
use crate::net::{Family, IntervalSet};
use crate::netfilter::trace::Machine;
use crate::policy::ir::Policy;

/// A set as a list of words, all but some others where that is shorter.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Words {
    pub these: Vec<String>,
    pub except: Vec<String>,
}

/// Most words of a list that are written out for people.
const MAX_WORDS: usize = 12;

impl Words {
    pub(super) fn of(these: Vec<String>) -> Self {
        Words {
            these,
            except: Vec::new(),
        }
    }

    /// Counts the words; a range is as hard to read as three.
    fn count(&self) -> usize {
        let address = |text: &str| text.parse::<IpAddr>().is_ok();
        let both = |(first, last): (&str, &str)| address(first) && address(last);
        let is_range = |word: &String| {
            word.split_once('-').is_some_and(both) || word.starts_with("protocols ")
        };
        let count = |word: &String| if is_range(word) { 3 } else { 1 };
        self.these.iter().chain(&self.except).map(count).sum()
    }

    /// Writes all of them.
    pub fn whole(&self) -> String {
        self.written(usize::MAX)
    }

    fn written(&self, most: usize) -> String {
        let these = list(&self.these, most);
        if self.except.is_empty() {
            these
        } else {
            format!("{these} except {}", list(&self.except, most))
        }
    }

    /// Returns the one with fewer words, the first of equal ones.
    pub(super) fn or_shorter(self, other: Words) -> Words {
        if other.count() < self.count() {
            other
        } else {
            self
        }
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written(MAX_WORDS))
    }
}

fn list(words: &[String], most: usize) -> String {
    let shown: Vec<&str> = words.iter().take(most).map(String::as_str).collect();
    let more = words.len() - shown.len();
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    format!("{}{more}", shown.join(", "))
}

/// A network as packets show it.
#[derive(Debug)]
struct Net {
    bridge: String,
    addresses: IntervalSet,
}

/// The names that some policies give to addresses of one family.
#[derive(Debug)]
pub(super) struct Names {
    family: Family,
    /// Larger ones first.
    sources: Vec<(String, IntervalSet)>,
    destinations: Vec<(String, IntervalSet)>,
    nets: Vec<Net>,
    /// Those that face outside; every one that is no bridge, where no policy says it.
    uplinks: Vec<String>,
    /// The host's own addresses.
    pub(super) own: IntervalSet,
    pub(super) loopback: IntervalSet,
    /// Destinations that no packet from elsewhere can have: `ip_route_input_slow` and `ip6_forward` of
    /// the kernel.
    pub(super) unrouted: IntervalSet,
    /// Addresses that several receive.
    pub(super) shared: IntervalSet,
}

impl Names {
    /// Takes the names of several policies, of the last one where two have the same.
    pub(super) fn new(policies: &[&Policy], machine: &Machine) -> Self {
        let family = machine.family;
        let mut names = Names {
            family,
            sources: Vec::new(),
            destinations: Vec::new(),
            nets: Vec::new(),
            uplinks: Vec::new(),
            own: own(machine),
            loopback: loopback(family),
            unrouted: IntervalSet::default(),
            shared: IntervalSet::default(),
        };
        let neighbours = link_local(family).difference(&names.own);
        names.unrouted = names.loopback.union(&neighbours);
        for policy in policies.iter().rev() {
            names.policy(policy);
        }
        names.destinations.clone_from(&names.sources);
        names.places(machine);
        for list in [&mut names.sources, &mut names.destinations] {
            list.retain(|(_, set)| !set.is_empty());
            list.sort_by_key(|(_, set)| std::cmp::Reverse(size(set)));
        }
        names
    }

    fn policy(&mut self, policy: &Policy) {
        let family = self.family;
        for container in &policy.containers {
            let all = container.attachments.iter().flat_map(|at| &at.addresses);
            let own = all.filter(|it| family.has(**it)).map(|it| bits(*it));
            self.add(&container.name, singles(own));
        }
        for trust in &policy.trusts {
            self.add(&trust.name, trust.set.of(family).clone());
        }
        for network in &policy.networks {
            let addresses = subnets(&network.subnets, family);
            self.add(&network.name, addresses.clone());
            if network.local {
                self.nets.push(Net {
                    bridge: network.bridge.0.clone(),
                    addresses,
                });
            }
        }
        let uplinks = policy.host.uplinks.iter();
        self.uplinks.extend(uplinks.map(|name| name.0.clone()));
    }

    /// Adds containers that no policy names, by the engine's names.
    pub(super) fn add_known(&mut self, known: &BTreeMap<String, Vec<IpAddr>>) {
        for (name, addresses) in known {
            let here = addresses.iter().filter(|it| self.family.has(**it));
            let set = singles(here.map(|it| bits(*it)));
            let is_new = self.sources.iter().all(|(other, _)| other != name);
            if is_new && !set.is_empty() {
                self.sources.push((name.clone(), set.clone()));
                self.destinations.push((name.clone(), set));
            }
        }
    }

    fn add(&mut self, name: &str, set: IntervalSet) {
        if self.sources.iter().all(|(known, _)| known != name) {
            self.sources.push((name.to_owned(), set));
        }
    }

    /// Adds who is no name of a policy: the host, all that is declared nowhere, and whole networks
    /// without the addresses in them that are the host's.
    fn places(&mut self, machine: &Machine) {
        let all = everything(self.family);
        let declared = self.declared();
        let (broadcast, multicast) = (broadcast(machine), multicast(self.family));
        let several = broadcast.union(&multicast);
        self.shared = several.union(&any_routers(machine));
        let kept = self.own.union(&self.shared);
        if !declared.is_empty() {
            let rest = all.difference(&declared);
            self.sources.push(("outside".to_owned(), rest.clone()));
            let rest = rest.difference(&kept).difference(&self.unrouted);
            self.destinations.push(("outside".to_owned(), rest));
        }
        let smaller = self.destinations.iter();
        let smaller = smaller.map(|(name, set)| (name.clone(), set.difference(&kept)));
        let smaller: Vec<_> = smaller.collect();
        self.destinations.extend(smaller);
        for (name, set) in [
            ("host", kept),
            ("host", self.own.clone()),
            ("loopback", self.loopback.clone()),
            ("broadcast", broadcast),
            ("multicast", multicast),
        ] {
            self.destinations.push((name.to_owned(), set));
        }
    }

    /// Names sources; those of `free` cannot occur.
    pub(super) fn sources(&self, set: &IntervalSet, free: &IntervalSet) -> Words {
        self.words(&self.sources, set, free)
    }

    /// Names destinations; what several receive is told apart.
    pub(super) fn destinations(&self, set: &IntervalSet, free: &IntervalSet) -> Words {
        let free = free.union(&self.shared);
        self.words(&self.destinations, &set.union(&self.shared), &free)
    }

    fn words(
        &self,
        known: &[(String, IntervalSet)],
        set: &IntervalSet,
        free: &IntervalSet,
    ) -> Words {
        let all = everything(self.family);
        let mut best = Words::of(self.positive(known, set, free));
        let any = ("any".to_owned(), all);
        for (name, base) in [&any].into_iter().chain(known) {
            let outside = set.difference(base).difference(free);
            let without = base.difference(set).difference(free);
            if outside.is_empty() && without.is_empty() {
                return Words::of(vec![name.clone()]);
            }
            if outside.is_empty() {
                best = best.or_shorter(Words {
                    these: vec![name.clone()],
                    except: self.positive(known, &without, free),
                });
            }
        }
        best
    }

    fn positive(
        &self,
        known: &[(String, IntervalSet)],
        set: &IntervalSet,
        free: &IntervalSet,
    ) -> Vec<String> {
        let mut words = Vec::new();
        let mut rest = set.clone();
        for (name, known) in known {
            let needed = known.difference(free);
            let fits = needed.difference(set).is_empty();
            if fits && needed.overlaps(&rest) && !words.contains(name) {
                words.push(name.clone());
                rest = rest.difference(known);
            }
        }
        let ranges = rest.ranges().iter();
        let ranges = ranges.filter(|(first, last)| {
            let range = IntervalSet::from_ranges(vec![(*first, *last)]);
            !range.difference(free).is_empty()
        });
        words.extend(ranges.map(|(first, last)| self.range(*first, *last)));
        words
    }

    fn range(&self, first: u128, last: u128) -> String {
        let (a, b) = (self.address(first), self.address(last));
        if first == last {
            return a.to_string();
        }
        let mut prefixes: Box<dyn Iterator<Item = IpNet>> = match (a, b) {
            (IpAddr::V4(a), IpAddr::V4(b)) => Box::new(Ipv4Subnets::new(a, b, 0).map(IpNet::V4)),
            (IpAddr::V6(a), IpAddr::V6(b)) => Box::new(Ipv6Subnets::new(a, b, 0).map(IpNet::V6)),
            _ => Box::new(std::iter::empty()),
        };
        match (prefixes.next(), prefixes.next()) {
            (Some(one), None) => one.to_string(),
            _ => format!("{a}-{b}"),
        }
    }

    fn address(&self, value: u128) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(u32::try_from(value).unwrap_or(u32::MAX).into()),
            Family::V6 => IpAddr::V6(value.into()),
        }
    }

    /// Names one address.
    pub(super) fn one(&self, address: IpAddr) -> String {
        let set = singles([bits(address)]);
        self.destinations(&set, &IntervalSet::default()).to_string()
    }

    /// Returns yes for packets whose source is of another network than the one that they come from.
    pub(super) fn spoofed(&self, space: &mut Space) -> Node {
        let mut legitimate = Vec::new();
        let mut bridges = Vec::new();
        for net in &self.nets {
            let atom = space.atom(&net.bridge);
            bridges.push(atom);
            let by = space.is(Field::Input, atom);
            let from = space.within(Field::Source, &net.addresses);
            legitimate.push(space.diagrams.guard(by, from));
        }
        let behind = space.within(Field::Source, &self.declared());
        let by = space.within(Field::Input, &singles(bridges));
        let any = space.diagrams.or_else(behind, by);
        legitimate.push(space.diagrams.not(any));
        let legitimate = space.diagrams.first_of(&legitimate);
        space.diagrams.not(legitimate)
    }

    fn declared(&self) -> IntervalSet {
        let nets = self.nets.iter();
        nets.fold(IntervalSet::default(), |set, net| set.union(&net.addresses))
    }

    /// Returns by which interfaces some sources come, where it is not by those that they are behind.
    pub(super) fn by(
        &self,
        space: &Space,
        inputs: &IntervalSet,
        sources: &IntervalSet,
    ) -> Option<String> {
        let mut bridges = Vec::new();
        let mut behind = IntervalSet::default();
        let mut usual = Vec::new();
        for net in &self.nets {
            bridges.push(space.atom(&net.bridge));
            behind = behind.union(&net.addresses);
            if net.addresses.overlaps(sources) {
                usual.push(space.atom(&net.bridge));
            }
        }
        let outside = sources.difference(&behind).difference(&self.own);
        if !outside.is_empty() {
            usual.extend(self.facing_outside(space, &bridges));
        }
        let missing = singles(usual).difference(inputs);
        (!missing.is_empty()).then(|| interfaces(space, inputs))
    }

    /// Returns the interfaces that most packets come by.
    pub(super) fn likely(&self, space: &Space) -> Vec<u128> {
        self.uplinks.iter().map(|name| space.atom(name)).collect()
    }

    /// Returns sources by the interfaces that they come by; those that are the host's or nobody's are left
    /// out.
    pub(super) fn parts(
        &self,
        space: &Space,
        sources: &IntervalSet,
    ) -> Vec<(IntervalSet, IntervalSet)> {
        let never = self.own.union(&self.loopback).union(&self.shared);
        let sources = sources.difference(&never);
        let bridges = self.nets.iter().map(|net| space.atom(&net.bridge));
        let bridges: Vec<u128> = bridges.collect();
        let outside = singles(self.facing_outside(space, &bridges));
        let mut parts = vec![(outside, sources.difference(&self.declared()))];
        for net in &self.nets {
            let by = singles([space.atom(&net.bridge)]);
            parts.push((by, sources.intersection(&net.addresses)));
        }
        parts.retain(|(by, from)| !by.is_empty() && !from.is_empty());
        parts
    }

    /// Returns the addresses of no declared network.
    pub(super) fn outside(&self) -> IntervalSet {
        everything(self.family).difference(&self.declared())
    }

    fn facing_outside(&self, space: &Space, bridges: &[u128]) -> Vec<u128> {
        if self.uplinks.is_empty() {
            let never = [space.atom(""), space.atom("lo")];
            let all = 0..space.atoms().len() as u128;
            return all
                .filter(|at| !never.contains(at) && !bridges.contains(at))
                .collect();
        }
        self.likely(space)
    }
}

fn interfaces(space: &Space, set: &IntervalSet) -> String {
    let word = |atom: &Atom| match atom {
        Atom::None => None,
        Atom::Name(name) => (name != "lo").then(|| name.clone()),
        Atom::Beginning(start) => Some(format!("{start}+")),
        Atom::Other => Some("other interfaces".to_owned()),
    };
    let all = space.atoms().iter().zip(0u128..);
    let all = all.filter_map(|(atom, at)| Some((word(atom)?, set.contains(at))));
    let pick = |wanted: bool| {
        let these = all.clone().filter(|(_, inside)| *inside == wanted);
        these.map(|(word, _)| word).collect::<Vec<String>>()
    };
    let most = Words {
        these: vec!["any interface".to_owned()],
        except: pick(false),
    };
    Words::of(pick(true)).or_shorter(most).to_string()
}

pub(super) fn singles(values: impl IntoIterator<Item = u128>) -> IntervalSet {
    IntervalSet::from_ranges(values.into_iter().map(|it| (it, it)).collect())
}

fn subnets(nets: &[IpNet], family: Family) -> IntervalSet {
    let nets = nets.iter().filter(|net| family.has(net.addr()));
    IntervalSet::from_ranges(
        nets.map(|net| (bits(net.network()), bits(net.broadcast())))
            .collect(),
    )
}

/// Returns the addresses that the host has itself.
fn own(machine: &Machine) -> IntervalSet {
    let nets = machine.interfaces.iter().flat_map(|link| &link.addresses);
    let own = nets.map(|net| bits(net.addr()));
    singles(own).difference(&loopback(machine.family))
}

/// Returns the addresses that every router on a subnet of the host's takes for its own, the host too.
pub(super) fn any_routers(machine: &Machine) -> IntervalSet {
    let nets = machine.interfaces.iter().flat_map(|link| &link.addresses);
    let all = nets.map(IpNet::network);
    singles(all.filter(|it| machine.is_any_routers(*it)).map(bits))
}

fn loopback(family: Family) -> IntervalSet {
    let range = match family {
        Family::V4 => (0x7f00_0000, 0x7fff_ffff),
        Family::V6 => (1, 1),
    };
    IntervalSet::from_ranges(vec![range])
}

/// Returns the addresses that mean another host on each link.
fn link_local(family: Family) -> IntervalSet {
    let ranges = match family {
        Family::V4 => Vec::new(),
        Family::V6 => vec![(0xfe80 << 112, (0xfec0 << 112) - 1)],
    };
    IntervalSet::from_ranges(ranges)
}

fn broadcast(machine: &Machine) -> IntervalSet {
    if machine.family == Family::V6 {
        return IntervalSet::default();
    }
    let nets = machine.interfaces.iter().flat_map(|link| &link.addresses);
    let nets = nets.filter(|net| net.prefix_len() < 31);
    singles(
        nets.map(|net| bits(net.broadcast()))
            .chain([u32::MAX.into()]),
    )
}

fn multicast(family: Family) -> IntervalSet {
    let range = match family {
        Family::V4 => (0xe000_0000, 0xefff_ffff),
        Family::V6 => (0xff << 120, u128::MAX),
    };
    IntervalSet::from_ranges(vec![range])
}

fn everything(family: Family) -> IntervalSet {
    let last = match family {
        Family::V4 => u32::MAX.into(),
        Family::V6 => u128::MAX,
    };
    IntervalSet::from_ranges(vec![(0, last)])
}

fn size(set: &IntervalSet) -> u128 {
    let sizes = set.ranges().iter().map(|(first, last)| last - first);
    sizes.fold(0, |sum, size| sum.saturating_add(size).saturating_add(1))
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
