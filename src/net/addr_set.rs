//! Sets of IPv4 and IPv6 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};

use super::{Family, IntervalSet};

/// Addresses of both families; equal sets compare equal however they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AddrSet {
    v4: IntervalSet,
    v6: IntervalSet,
}

impl AddrSet {
    /// Makes the set of the addresses `first` to `last`. Both must be of one family and in order,
    /// else the set is empty.
    pub fn range(first: IpAddr, last: IpAddr) -> Self {
        match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) => AddrSet {
                v4: IntervalSet::from_ranges(vec![(a.to_bits().into(), b.to_bits().into())]),
                v6: IntervalSet::default(),
            },
            (IpAddr::V6(a), IpAddr::V6(b)) => AddrSet {
                v4: IntervalSet::default(),
                v6: IntervalSet::from_ranges(vec![(a.to_bits(), b.to_bits())]),
            },
            _ => AddrSet::default(),
        }
    }

    pub fn prefix(net: IpNet) -> Self {
        Self::range(net.network(), net.broadcast())
    }

    /// Makes the union of many sets in n log n time.
    pub fn union_of<'a>(sets: impl IntoIterator<Item = &'a AddrSet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for set in sets {
            v4.extend_from_slice(set.v4.ranges());
            v6.extend_from_slice(set.v6.ranges());
        }
        AddrSet {
            v4: IntervalSet::from_ranges(v4),
            v6: IntervalSet::from_ranges(v6),
        }
    }

    /// Returns the addresses of one family as numbers.
    pub fn of(&self, family: Family) -> &IntervalSet {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        AddrSet {
            v4: self.v4.difference(&other.v4),
            v6: self.v6.difference(&other.v6),
        }
    }

    /// Returns how many separate ranges both families have.
    pub fn range_count(&self) -> usize {
        self.v4.ranges().len() + self.v6.ranges().len()
    }

    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Tells whether any address of a family is in it.
    pub fn has(&self, family: Family) -> bool {
        match family {
            Family::V4 => !self.v4.is_empty(),
            Family::V6 => !self.v6.is_empty(),
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.to_bits().into()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.v4.overlaps(&other.v4) || self.v6.overlaps(&other.v6)
    }

    /// Returns the lowest address of a family.
    pub fn first(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4_prefixes().first().map(|net| net.network().into()),
            Family::V6 => self.v6_prefixes().first().map(|net| net.network().into()),
        }
    }

    /// Returns the IPv4 part as the fewest prefixes, in order.
    pub fn v4_prefixes(&self) -> Vec<Ipv4Net> {
        let address = |bits: u128| Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX));
        let ranges = self.v4.ranges().iter();
        ranges
            .flat_map(|&(a, b)| Ipv4Subnets::new(address(a), address(b), 0))
            .collect()
    }

    /// Returns the IPv6 part as the fewest prefixes, in order.
    pub fn v6_prefixes(&self) -> Vec<Ipv6Net> {
        let address = Ipv6Addr::from_bits;
        let ranges = self.v6.ranges().iter();
        ranges
            .flat_map(|&(a, b)| Ipv6Subnets::new(address(a), address(b), 0))
            .collect()
    }
}
