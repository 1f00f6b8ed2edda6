//! The algebra of address sets against a model that lists every address.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;

use super::AddrSet;

/// How many addresses each corner of the model has.
const CORNER: u8 = 40;

/// Corners of the address space, where counting could run over: the lowest and highest addresses
/// of each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Corner {
    HighV4,
    HighV6,
    LowV4,
    LowV6,
}

const CORNERS: [Corner; 4] = [Corner::HighV4, Corner::HighV6, Corner::LowV4, Corner::LowV6];

type Address = (Corner, u8);

fn real((corner, offset): Address) -> IpAddr {
    match corner {
        Corner::HighV4 => Ipv4Addr::from_bits(u32::MAX - u32::from(CORNER - 1 - offset)).into(),
        Corner::HighV6 => Ipv6Addr::from_bits(u128::MAX - u128::from(CORNER - 1 - offset)).into(),
        Corner::LowV4 => Ipv4Addr::from_bits(offset.into()).into(),
        Corner::LowV6 => Ipv6Addr::from_bits(offset.into()).into(),
    }
}

fn all() -> impl Iterator<Item = Address> {
    CORNERS
        .into_iter()
        .flat_map(|corner| (0..CORNER).map(move |offset| (corner, offset)))
}

/// A set and the addresses that it should hold.
#[derive(Debug, Clone)]
struct Both {
    set: AddrSet,
    model: BTreeSet<Address>,
}

impl Both {
    fn holds_the_same(&self) -> bool {
        all().all(|address| self.set.contains(real(address)) == self.model.contains(&address))
    }
}

fn range() -> impl Strategy<Value = (Address, Address)> {
    (0..CORNERS.len(), 0..CORNER, 0..CORNER).prop_map(|(corner, a, b)| {
        let corner = CORNERS[corner];
        ((corner, a.min(b)), (corner, a.max(b)))
    })
}

prop_compose! {
    fn both()(ranges in prop::collection::vec(range(), 0..6)) -> Both {
        let sets: Vec<AddrSet> = ranges
            .iter()
            .map(|(first, last)| AddrSet::range(real(*first), real(*last)))
            .collect();
        let within = |address: &Address| {
            ranges.iter().any(|(first, last)| first <= address && address <= last)
        };
        Both { set: AddrSet::union_of(&sets), model: all().filter(within).collect() }
    }
}

proptest! {
    #[test]
    fn unions_hold_what_either_holds(a in both(), b in both()) {
        let union = Both {
            set: AddrSet::union_of([&a.set, &b.set]),
            model: a.model.union(&b.model).copied().collect(),
        };
        prop_assert!(a.holds_the_same() && union.holds_the_same());
    }

    #[test]
    fn differences_hold_what_only_the_first_holds(a in both(), b in both()) {
        let difference = Both {
            set: a.set.difference(&b.set),
            model: a.model.difference(&b.model).copied().collect(),
        };
        prop_assert!(difference.holds_the_same());
        prop_assert_eq!(difference.set.is_empty(), difference.model.is_empty());
    }

    #[test]
    fn sets_overlap_when_an_address_is_in_both(a in both(), b in both()) {
        let common = a.model.intersection(&b.model).next().is_some();
        prop_assert_eq!(a.set.overlaps(&b.set), common);
        prop_assert_eq!(b.set.overlaps(&a.set), common);
    }

    #[test]
    fn equal_sets_compare_equal_however_they_were_made(a in both(), b in both()) {
        let union = AddrSet::union_of([&a.set, &b.set]);
        let rest = union.difference(&b.set);
        prop_assert_eq!(&rest, &a.set.difference(&b.set));
        prop_assert_eq!(AddrSet::union_of([&rest, &b.set]), union);
    }

    #[test]
    fn prefixes_make_the_set_again(a in both()) {
        let v4 = a.set.v4_prefixes().into_iter().map(IpNet::V4);
        let v6 = a.set.v6_prefixes().into_iter().map(IpNet::V6);
        let prefixes: Vec<AddrSet> = v4.chain(v6).map(AddrSet::prefix).collect();
        prop_assert_eq!(AddrSet::union_of(&prefixes), a.set);
    }

    #[test]
    fn ranges_do_not_touch(a in both()) {
        let runs = CORNERS.into_iter().map(|corner| {
            let holds = |offset| a.model.contains(&(corner, offset));
            (0..CORNER).filter(|at| holds(*at) && (*at == 0 || !holds(*at - 1))).count()
        });
        prop_assert_eq!(a.set.range_count(), runs.sum::<usize>());
    }
}
