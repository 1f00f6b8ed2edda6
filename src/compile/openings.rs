//! Connections that stand for what a policy opens: whoever has the bundle alone can send them past the
//! rules of others.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::artifact::Opening;
use crate::net::Family;
use crate::policy::ir::{
    Access, Container, Effect, Exposure, Network, Party, Policy, Protocol, Service,
};
use crate::source::{SourceMap, Span};

/// Returns one connection for each exposure, each `allow` to the host, and each party and family of theirs.
pub(super) fn openings(policy: &Policy, sources: &SourceMap) -> Vec<Opening> {
    let exposures = policy.containers.iter().filter(|it| is_here(policy, it));
    let exposures =
        exposures.flat_map(|it| it.exposures.iter().map(move |exposure| (it, exposure)));
    let published =
        exposures.flat_map(|(container, exposure)| published(policy, container, exposure));
    let accesses = policy
        .accesses
        .iter()
        .filter(|it| it.effect == Effect::Allow);
    let all = published.chain(accesses.flat_map(|access| to_host(policy, access)));
    let placed = all.map(|(span, opening)| Opening {
        source: sources.place(span),
        ..opening
    });
    placed.take(Opening::MOST).collect()
}

fn is_here(policy: &Policy, container: &Container) -> bool {
    let mut at = container.attachments.iter();
    at.any(|at| policy.networks.get(at.network.0).is_some_and(|it| it.local))
}

fn published(policy: &Policy, container: &Container, exposure: &Exposure) -> Vec<(Span, Opening)> {
    let Some(host) = &exposure.published else {
        return Vec::new();
    };
    let (name, port) = (&container.name, host.ports.first);
    // What comes from inside does not come by the host's port alone.
    let senders = exposure
        .from
        .iter()
        .filter(|it| !matches!(it, Party::Container(_) | Party::Network(_)));
    let senders = senders.flat_map(|party| senders_of(policy, *party));
    let fits = senders.filter(|it| host.address.is_none_or(|to| it.family.has(to)));
    let opening = |from: Sender| {
        let opening = Opening {
            says: format!("{} -> {name} by port {port} of the host", from.name),
            container: Some(name.clone()),
            to: host.address,
            ..from.to(exposure.protocol, port)?
        };
        Some((exposure.span, opening))
    };
    fits.filter_map(opening).collect()
}

fn to_host(policy: &Policy, access: &Access) -> Vec<(Span, Opening)> {
    if !access.right.contains(&Party::Host) {
        return Vec::new();
    }
    let services = access.services.iter().filter_map(|service| match service {
        Service::Ports(protocol, Some(ports)) => Some((*protocol, ports.first)),
        Service::Ports(_, None) | Service::Icmp(_) => None,
    });
    let services: Vec<(Protocol, u16)> = services.collect();
    let senders = access
        .left
        .iter()
        .flat_map(|party| senders_of(policy, *party));
    let each =
        senders.flat_map(|from| services.iter().map(move |service| (from.clone(), *service)));
    let opening = |(from, (protocol, port)): (Sender, (Protocol, u16))| {
        let says = format!("{} -> host : {port}", from.name);
        let opening = Opening {
            says,
            ..from.to(protocol, port)?
        };
        Some((access.span, opening))
    };
    each.filter_map(opening).collect()
}

/// Somebody of a party.
#[derive(Debug, Clone)]
struct Sender {
    name: String,
    family: Family,
    /// A stranger has none.
    address: Option<IpAddr>,
    /// The bridge of his network.
    by: Option<String>,
}

impl Sender {
    /// Returns his connection to the host; nothing for a protocol without ports.
    fn to(&self, protocol: Protocol, port: u16) -> Option<Opening> {
        let protocol = match protocol {
            Protocol::Icmp => return None,
            Protocol::Sctp => "sctp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        Some(Opening {
            says: String::new(),
            source: String::new(),
            family: self.family,
            from: self.address,
            by: self.by.clone(),
            container: None,
            to: None,
            protocol: protocol.to_owned(),
            port,
        })
    }
}

/// Returns somebody of each family who belongs to a party.
fn senders_of(policy: &Policy, party: Party) -> Vec<Sender> {
    let sender = |family: Family| {
        let (address, by) = match party {
            Party::Any | Party::Outside => (None, None),
            Party::Trust(id) => (Some(policy.trusts.get(id.0)?.set.first(family)?), None),
            Party::Container(id) => {
                let (at, address) = policy.containers.get(id.0)?.published_at(family)?;
                let network = policy.networks.get(at.0).filter(|it| it.local)?;
                (Some(address), Some(network.bridge.0.clone()))
            }
            Party::Network(id) => {
                let network = policy.networks.get(id.0).filter(|it| it.local)?;
                (
                    Some(somebody_on(network, family)?),
                    Some(network.bridge.0.clone()),
                )
            }
            Party::Host => return None,
        };
        Some(Sender {
            name: policy.name(party).to_owned(),
            family,
            address,
            by,
        })
    };
    Family::BOTH.into_iter().filter_map(sender).collect()
}

/// Returns the last address of a network's first subnet of a family, which no bridge has by itself.
fn somebody_on(network: &Network, family: Family) -> Option<IpAddr> {
    let mut subnets = network.subnets.iter();
    let subnet = subnets.find(|subnet| family.has(subnet.addr()))?;
    match subnet {
        // The very last is the broadcast address.
        IpNet::V4(net) => {
            let last = u32::from(net.broadcast()).checked_sub(1)?;
            Some(IpAddr::from(Ipv4Addr::from(last)))
        }
        IpNet::V6(net) => Some(IpAddr::from(net.broadcast())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{LoadError, Loader, load};

    struct One(&'static str);

    impl Loader for One {
        fn load(&self, _: &str) -> Result<String, LoadError> {
            Ok(self.0.to_owned())
        }
    }

    #[test]
    fn an_allow_to_the_host_stands_for_somebody_of_each_family() {
        let text = "trust lan { 10.0.0.0/8 }\n\
            network shop {\n  bridge br-shop\n  subnet 172.28.0.0/16, fd00:28::/64\n}\n\
            container web on shop at 172.28.0.2\n\
            allow shop, web, lan -> host : 22/tcp\n";
        let loaded = load(&One(text), "p.tide");
        let found = openings(loaded.policy().expect("no mistakes"), &loaded.sources);
        let all: Vec<(String, Option<String>)> = found
            .iter()
            .map(|it| (it.from.expect("an address").to_string(), it.by.clone()))
            .collect();
        let bridge = Some("br-shop".to_owned());
        for (from, by) in [
            ("172.28.255.254", &bridge),
            ("fd00:28::ffff:ffff:ffff:ffff", &bridge),
            ("172.28.0.2", &bridge),
            ("10.0.0.0", &None),
        ] {
            assert!(
                all.contains(&(from.to_owned(), by.clone())),
                "{from}: {all:?}"
            );
        }
        assert_eq!(all.len(), 4, "{all:?}");
    }
}
