//! How a list is parted by prefix.
//!
//! A part is what lies below a prefix, less what inner parts have taken from there; so a list parts evenly
//! however its prefixes lie. The complement of one address, say, has a prefix of each length: halved at the
//! first bit it would give a part of one prefix, and a tree as deep as an address has bits.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A range of numbers: of addresses with the bits of IPv4 on top, or of ports behind their protocol.
pub(super) type Range = (u128, u128);

pub(super) fn addresses(net: IpNet) -> Range {
    let bits = |address| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    (
        bits(net.network()),
        bits(net.network()) | (u128::MAX.checked_shr(net.prefix_len().into()).unwrap_or(0)),
    )
}

/// Returns the smallest prefix that holds all addresses of a range, in the family of `like`.
pub(super) fn common(like: IpNet, first: u128, last: u128) -> Option<IpNet> {
    let bits = u8::try_from((first ^ last).leading_zeros()).unwrap_or(128);
    match like {
        IpNet::V4(_) => {
            let address = Ipv4Addr::from_bits(u32::try_from(first >> 96).unwrap_or(0));
            Ipv4Net::new(address, bits.min(32))
                .ok()
                .map(|net| net.trunc().into())
        }
        IpNet::V6(_) => {
            let address = Ipv6Addr::from_bits(first);
            Ipv6Net::new(address, bits)
                .ok()
                .map(|net| net.trunc().into())
        }
    }
}

/// Parts sorted prefixes in at most so many parts, each the places of its prefixes, in the order in which
/// packets have to be held against them: a part's common prefix may hold that of one before it, never of
/// one behind it. As far as that allows the longest is first. Prefixes that hold each other stay together.
pub(super) fn by_prefix(ranges: &[Range], ways: usize) -> Vec<Vec<usize>> {
    let mut parts = vec![Part(atoms(ranges))];
    while parts.len() < ways {
        let divisible = parts.iter_mut().filter(|part| part.0.len() > 1);
        let Some(part) = divisible.max_by_key(|part| part.weight()) else {
            break;
        };
        let inner = part.carve();
        parts.push(inner);
    }
    let places = |part: Part| part.0.into_iter().flat_map(|atom| atom.places).collect();
    inner_first(parts).into_iter().map(places).collect()
}

/// A prefix with all that it holds.
struct Atom {
    range: Range,
    places: ops::Range<usize>,
}

fn atoms(ranges: &[Range]) -> Vec<Atom> {
    let mut atoms: Vec<Atom> = Vec::new();
    for (place, range) in ranges.iter().enumerate() {
        match atoms.last_mut().filter(|atom| range.0 <= atom.range.1) {
            Some(atom) => {
                atom.range.1 = atom.range.1.max(range.1);
                atom.places.end = place + 1;
            }
            None => atoms.push(Atom {
                range: *range,
                places: place..place + 1,
            }),
        }
    }
    atoms
}

struct Part(Vec<Atom>);

impl Part {
    fn weight(&self) -> usize {
        self.0.iter().map(|atom| atom.places.len()).sum()
    }

    /// Returns the addresses of its common prefix.
    fn prefix(&self) -> Range {
        let first = self.0.first().map_or(0, |atom| atom.range.0);
        let last = self.0.last().map_or(0, |atom| atom.range.1);
        let host = u128::MAX.checked_shr((first ^ last).leading_zeros());
        let host = host.unwrap_or(0);
        (first & !host, first | host)
    }

    /// Takes out what lies below one prefix: of all those the one that has closest to half of the part.
    fn carve(&mut self) -> Part {
        let mut sums = vec![0];
        for atom in &self.0 {
            sums.push(sums.last().unwrap_or(&0) + atom.places.len());
        }
        let sum = |to: usize| sums.get(to).copied().unwrap_or(0);
        let weight = |part: &ops::Range<usize>| sum(part.end) - sum(part.start);
        let whole = 0..self.0.len();
        let uneven = |part: &ops::Range<usize>| (weight(part) * 2).abs_diff(weight(&whole));
        // What has more than half lies below what has more than half.
        let mut outer = whole.clone();
        loop {
            let middle = self.halved(&outer);
            let halves = [outer.start..middle, middle..outer.end];
            let [left, right] = halves;
            let heavier = if weight(&left) >= weight(&right) {
                left
            } else {
                right
            };
            let is_last = heavier.len() < 2 || weight(&heavier) * 2 <= weight(&whole);
            if is_last {
                let better = outer != whole && uneven(&outer) < uneven(&heavier);
                let taken = if better { outer } else { heavier };
                return Part(self.0.drain(taken).collect());
            }
            outer = heavier;
        }
    }

    /// Returns where atoms begin to differ in their first differing bit.
    fn halved(&self, part: &ops::Range<usize>) -> usize {
        let atoms = self.0.get(part.clone()).unwrap_or_default();
        let ends = atoms.first().zip(atoms.last());
        let Some(bit) =
            ends.and_then(|(first, last)| (first.range.0 ^ last.range.0).checked_ilog2())
        else {
            return part.end;
        };
        let low = |atom: &Atom| atom.range.0 >> bit & 1 == 0;
        part.start + atoms.partition_point(low)
    }
}

fn inner_first(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by_cached_key(|part| (Reverse(part.weight()), part.prefix()));
    let mut parts: Vec<(Range, Part)> = parts.into_iter().map(|it| (it.prefix(), it)).collect();
    let mut ordered = Vec::with_capacity(parts.len());
    while !parts.is_empty() {
        let holds = |outer: &Range, inner: &Range| {
            outer != inner && outer.0 <= inner.0 && inner.1 <= outer.1
        };
        let is_free = |it: &(Range, Part)| parts.iter().all(|other| !holds(&it.0, &other.0));
        let next = parts.iter().position(is_free).unwrap_or(0);
        ordered.push(parts.remove(next).1);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(nets: &[&str]) -> Vec<Range> {
        let parsed = nets.iter().map(|net| net.parse().expect("a prefix"));
        let mut ranges: Vec<Range> = parsed.map(addresses).collect();
        ranges.sort_unstable();
        ranges
    }

    /// Returns the prefixes of all addresses but one.
    fn all_but(one: u128, bits: u32) -> Vec<Range> {
        let range = |length: u32| {
            let size = 1u128 << (128 - length);
            let first = (one ^ size) & !(size - 1);
            (first, first | (size - 1))
        };
        let mut ranges: Vec<Range> = (1..=bits).map(range).collect();
        ranges.sort_unstable();
        ranges
    }

    #[test]
    fn prefixes_of_every_length_part_evenly() {
        for one in [0, u128::MAX, 0x2001_0db8 << 96 | 0x66] {
            let parts = by_prefix(&all_but(one, 128), 4);
            let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
            assert_eq!(sizes, [32; 4], "all but {one:x}");
        }
    }

    #[test]
    fn every_prefix_is_in_the_first_part_whose_prefix_holds_it() {
        for one in [0, u128::MAX, 0x2001_0db8 << 96 | 0x66, 0x5555 << 64] {
            let ranges = all_but(one, 100);
            let parts = by_prefix(&ranges, 7);
            let of = |part: &Vec<usize>| {
                Part(atoms(
                    &part.iter().map(|at| ranges[*at]).collect::<Vec<_>>(),
                ))
            };
            let prefixes: Vec<Range> = parts.iter().map(|part| of(part).prefix()).collect();
            for (number, part) in parts.iter().enumerate() {
                for at in part {
                    let holds = |it: &Range| it.0 <= ranges[*at].0 && ranges[*at].1 <= it.1;
                    assert_eq!(prefixes.iter().position(holds), Some(number));
                }
            }
        }
    }

    #[test]
    fn what_holds_each_other_stays_together() {
        let ranges = sorted(&["10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "192.0.2.0/24"]);
        assert_eq!(by_prefix(&ranges, 4), [vec![0, 1, 2], vec![3]]);
        let one = sorted(&["10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/24"]);
        assert_eq!(by_prefix(&one, 4), [vec![0, 1, 2]]);
    }
}
