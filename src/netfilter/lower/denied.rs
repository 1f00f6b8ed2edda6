//! What a `deny` closes beside the addresses that it names.
//!
//! On a bridge an address is not the only way to a container, nor the only one that it sends with:
//! every interface has a link-local IPv6 address that no policy knows, and what goes to a group or
//! to everybody reaches each container. A denial that tells a party by address covers these too,
//! since nothing tells whose they are; else two containers could talk past it.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::ways::{End, LINK_LOCAL, View, Way};
use crate::netfilter::Family;
use crate::policy::ir::{Access, Effect, NetworkId, Party};

impl View<'_> {
    /// Returns the sources of one left side of a statement.
    pub(super) fn left(&self, access: &Access, party: Party, way: Way) -> Vec<End> {
        let mut ends = self.sources(party, way);
        let bridge = match way {
            Way::HostFrom(network) | Way::Icc(network) => Some(network),
            Way::Away(_)
            | Way::Far(_)
            | Way::HostFar
            | Way::HostIn
            | Way::HostOut
            | Way::HostTo(_)
            | Way::In(_)
            | Way::Out(_)
            | Way::Peer(_) => None,
        };
        let told = bridge.is_some_and(|network| self.told_by_address(party, network));
        if access.effect == Effect::Deny && self.family == Family::V6 && told {
            ends.push(End::net(link_local()));
        }
        ends
    }

    /// Returns the targets of one right side of a statement.
    pub(super) fn right(&self, access: &Access, party: Party, way: Way) -> Vec<End> {
        let mut ends = self.targets(party, way);
        if access.effect == Effect::Deny {
            let more = match way {
                Way::HostTo(network) | Way::Icc(network)
                    if self.told_by_address(party, network) =>
                {
                    self.groups(network)
                }
                _ => Vec::new(),
            };
            ends.extend(more.into_iter().map(End::net));
        }
        ends
    }

    /// Returns true for a party on `network` that rules tell by its addresses.
    fn told_by_address(&self, party: Party, network: NetworkId) -> bool {
        match party {
            Party::Container(id) => self.container(id).is_on(network),
            Party::Any | Party::Host | Party::Network(_) | Party::Outside | Party::Trust(_) => {
                false
            }
        }
    }

    /// Returns the addresses of a bridge that a container answers to beside its own.
    fn groups(&self, network: NetworkId) -> Vec<IpNet> {
        let mut groups = self.unnamed();
        match self.family {
            Family::V4 => {
                let multicast = Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4);
                groups.push(multicast.into());
                groups.push(IpAddr::V4(Ipv4Addr::BROADCAST).into());
                let subnets = self.subnets(network);
                groups.extend(subnets.map(|subnet| IpNet::from(subnet.broadcast())));
            }
            Family::V6 => groups.push(Ipv6Net::new_assert(MULTICAST, 8).into()),
        }
        groups
    }

    /// Returns the addresses that every interface has by itself.
    fn unnamed(&self) -> Vec<IpNet> {
        match self.family {
            Family::V4 => Vec::new(),
            Family::V6 => vec![link_local()],
        }
    }
}

/// All groups of IPv6, `ff00::/8`.
const MULTICAST: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0);

fn link_local() -> IpNet {
    IpNet::V6(LINK_LOCAL)
}
