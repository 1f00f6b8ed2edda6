//! The machine that packets go through: a policy's as it would be, a running one, or a saved one.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::Deserialize;
use thiserror::Error;

use crate::netfilter::docker::{DockerSetup, guard};
use crate::netfilter::dump::{Dump, DumpError, read};
use crate::netfilter::podman;
use crate::netfilter::trace::{Link, Machine};
use crate::netfilter::{Family, Table};
use crate::policy::ir::{Container, Engine, Policy};

/// The host's own address where nobody says it: of the prefixes for documentation, RFC 5737 and
/// RFC 3849.
const HOST: [&str; 2] = ["192.0.2.1/24", "2001:db8:0:1::1/64"];
/// The interface that faces outside where nobody says it.
const UPLINK: &str = "eth0";

/// A machine, and what was taken for granted about it; whole sentences.
#[derive(Debug, Clone)]
pub struct Assumed {
    pub machine: Machine,
    pub assumptions: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LiveError {
    #[error("there is no rule and no table in it")]
    Empty,
    #[error("{0}")]
    Rules(#[from] DumpError),
    #[error("what ip(8) printed is not understood: {0}")]
    Ip(String),
}

/// Returns the machine of a policy, with rules as written to its bundle on top of what its engine
/// would write.
pub fn of_policy(policy: &Policy, rules: &str, family: Family) -> Result<Assumed, LiveError> {
    of_placed(policy, &placed(policy), rules, family)
}

/// Like [`of_policy`], with the containers where `filled` has them.
pub fn of_placed(
    policy: &Policy,
    filled: &Policy,
    rules: &str,
    family: Family,
) -> Result<Assumed, LiveError> {
    let v6 = family == Family::V6;
    let (engine, assumption) = engine(filled, v6);
    let mut dump = bare(family)?;
    for text in [engine.as_str(), guard(policy, &engine), rules] {
        dump.load(text, family)?;
    }
    let mut assumptions = vec![format!("The host is {}.", address(v6))];
    assumptions.extend(assumption);
    assumptions.extend(moved(policy, filled, v6));
    Ok(Assumed {
        machine: Machine {
            family,
            rules: dump,
            interfaces: interfaces(policy, v6),
            routes: vec![(everywhere(v6), uplink(policy).to_owned())],
        },
        assumptions,
    })
}

/// Returns a machine that has only been saved: its networks are the policy's where one is given, and all
/// else is reached by `output`.
pub fn of_rules(
    rules: &str,
    policy: Option<&Policy>,
    output: &str,
    family: Family,
) -> Result<Assumed, LiveError> {
    let v6 = family == Family::V6;
    let interfaces = policy.map_or_else(Vec::new, |policy| interfaces(policy, v6));
    let rules = read(rules, family)?;
    if rules.tables.is_empty() {
        return Err(LiveError::Empty);
    }
    let mut assumptions = vec![format!("What is not known leaves by {output}.")];
    assumptions.extend(absent(&rules));
    Ok(Assumed {
        machine: Machine {
            family,
            rules,
            interfaces,
            routes: vec![(everywhere(v6), output.to_owned())],
        },
        assumptions,
    })
}

/// Says which tables that may decide a text leaves out: it may be a part of what a machine has.
fn absent(rules: &Dump) -> impl Iterator<Item = String> {
    let tables = [
        ("filter", "it is taken to let everything pass"),
        ("nat", "nothing is translated"),
    ];
    let absent = tables.map(|(name, taken)| {
        let is_there = rules.tables.contains_key(name);
        (!is_there).then(|| format!("The rules have no table {name}: {taken}."))
    });
    absent.into_iter().flatten()
}

/// Returns a running machine: its rules as iptables-save(8) prints them, addresses and routes as
/// `ip -json` does.
pub fn of_live(
    rules: &str,
    addresses: &str,
    routes: &str,
    family: Family,
) -> Result<Machine, LiveError> {
    Ok(Machine {
        family,
        rules: read(rules, family)?,
        interfaces: links(addresses, family)?,
        routes: live_routes(routes, family)?,
    })
}

/// Returns what the kernel has before anybody has loaded a rule.
fn bare(family: Family) -> Result<Dump, LiveError> {
    let table = |table: Table| {
        let chains: &[&str] = match table {
            Table::Filter => &["FORWARD", "INPUT", "OUTPUT"],
            Table::Mangle | Table::Nat | Table::Raw => &[],
        };
        let chain = |name: &&str| format!(":{name} ACCEPT\n");
        let chains: Vec<String> = chains.iter().map(chain).collect();
        format!("*{table}\n{}COMMIT\n", chains.concat())
    };
    Ok(read(&Table::ALL.map(table).concat(), family)?)
}

/// Returns the policy with an address for every container: one that the policy does not fix is taken
/// from the top of its network. No rule is about it.
pub fn placed(policy: &Policy) -> Policy {
    let mut placed = policy.clone();
    let mut taken: BTreeSet<IpAddr> = BTreeSet::new();
    for container in &policy.containers {
        taken.extend(container.attachments.iter().flat_map(|at| &at.addresses));
    }
    for container in &mut placed.containers {
        for at in &mut container.attachments {
            let subnets = policy.networks.get(at.network.0).into_iter();
            for net in subnets.flat_map(|network| &network.subnets) {
                let v6 = net.addr().is_ipv6();
                if at.addresses.iter().all(|address| address.is_ipv6() != v6) {
                    let mut free = (0..=u16::MAX).map(|down| from_top(*net, down));
                    let found = free.find(|address| taken.insert(*address));
                    at.addresses.extend(found);
                }
            }
        }
    }
    placed
}

/// Returns the address so many below the last one that a host can have.
pub(super) fn from_top(net: IpNet, down: u16) -> IpAddr {
    match net {
        IpNet::V4(net) => {
            let last = net
                .broadcast()
                .to_bits()
                .saturating_sub(u32::from(net.prefix_len() < 31));
            Ipv4Addr::from_bits(last.saturating_sub(down.into())).into()
        }
        IpNet::V6(net) => {
            let last = net.broadcast().to_bits();
            Ipv6Addr::from_bits(last.saturating_sub(down.into())).into()
        }
    }
}

/// Says where containers without a fixed address were put.
fn moved(policy: &Policy, placed: &Policy, v6: bool) -> Option<String> {
    let pairs = policy.containers.iter().zip(&placed.containers);
    let at = |(before, now): (&Container, &Container)| {
        let known = before.attachments.iter().flat_map(|at| &at.addresses);
        let mut all = now.attachments.iter().flat_map(|at| &at.addresses);
        let new = all.find(|it| it.is_ipv6() == v6 && !known.clone().any(|old| old == *it));
        new.map(|address| format!("{} {address}", now.name))
    };
    let moved: Vec<String> = pairs.filter_map(at).collect();
    let said = format!(
        "No address is fixed for these; they are taken to be at: {}.",
        moved.join(", ")
    );
    (!moved.is_empty()).then_some(said)
}

fn engine(policy: &Policy, v6: bool) -> (String, Option<String>) {
    let engine = policy.host.engine;
    match engine {
        Engine::None(_) => return (String::new(), None),
        Engine::Podman => {
            let said =
                "podman's rules are those that netavark 1.14 writes for this policy with iptables.";
            return (podman::rules(policy, v6), Some(said.to_owned()));
        }
        Engine::Docker { .. } => {}
    }
    if engine.is_nftables() {
        let said = "Docker's nftables tables come after these, and have the last word.";
        return (String::new(), Some(said.to_owned()));
    }
    let setup = DockerSetup::of(policy);
    let (major, minor) = setup.version;
    let said = format!(
        "Docker is of {major}.{minor}, with its proxy; its rules are those it writes for this \
         policy."
    );
    (setup.rules(policy, v6), Some(said))
}

/// Returns the first address that a host can have, which is what Docker gives the bridge. In IPv6, too, the
/// one of the subnet itself is no host's: it is that of any router (RFC 4291 section 2.6.1).
pub(super) fn first_host(net: IpNet) -> Option<IpAddr> {
    let subnet = net.addr().is_ipv6() && net.prefix_len() < 127;
    net.hosts().nth(usize::from(subnet))
}

fn uplink(policy: &Policy) -> &str {
    let first = policy.host.uplinks.first();
    first.map_or(UPLINK, |name| name.0.as_str())
}

fn address(v6: bool) -> &'static str {
    let [four, six] = HOST;
    let net = if v6 { six } else { four };
    net.split_once('/').map_or(net, |(address, _)| address)
}

pub(super) fn everywhere(v6: bool) -> IpNet {
    let all: IpAddr = if v6 { [0; 16].into() } else { [0; 4].into() };
    IpNet::new(all, 0).unwrap_or_else(|error| unreachable!("no bits fit: {error}"))
}

/// Returns the interface that faces outside, with the host's own address where nobody says it.
pub(super) fn facing_outside(name: &str, v6: bool) -> Link {
    let [four, six] = HOST;
    let own = if v6 { six } else { four };
    Link {
        name: name.to_owned(),
        addresses: own.parse().into_iter().collect(),
    }
}

fn interfaces(policy: &Policy, v6: bool) -> Vec<Link> {
    let mut found = vec![facing_outside(uplink(policy), v6)];
    for network in policy.networks.iter().filter(|network| network.local) {
        let subnets = network
            .subnets
            .iter()
            .filter(|net| net.addr().is_ipv6() == v6);
        let gateway = |net: &IpNet| IpNet::new(first_host(*net)?, net.prefix_len()).ok();
        found.push(Link {
            name: network.bridge.0.clone(),
            addresses: subnets.filter_map(gateway).collect(),
        });
    }
    found
}

/// An interface as `ip -json address` prints it; ip-address(8).
#[derive(Deserialize)]
struct LiveLink {
    ifname: Option<String>,
    #[serde(default)]
    addr_info: Vec<LiveAddress>,
}

#[derive(Deserialize)]
struct LiveAddress {
    local: Option<IpAddr>,
    prefixlen: Option<u8>,
}

fn links(text: &str, family: Family) -> Result<Vec<Link>, LiveError> {
    let all: Vec<LiveLink> = parse(text)?;
    let net = |address: &LiveAddress| IpNet::new(address.local?, address.prefixlen?).ok();
    let link = |link: LiveLink| {
        let nets = link.addr_info.iter().filter_map(net);
        Some(Link {
            name: link.ifname?,
            addresses: nets.filter(|net| family.has(net.addr())).collect(),
        })
    };
    Ok(all.into_iter().filter_map(link).collect())
}

/// A route as `ip -json route` prints it; ip-route(8).
#[derive(Deserialize)]
struct LiveRoute {
    dst: String,
    dev: Option<String>,
}

fn live_routes(text: &str, family: Family) -> Result<Vec<(IpNet, String)>, LiveError> {
    let all: Vec<LiveRoute> = parse(text)?;
    let route = |route: LiveRoute| {
        let address = || route.dst.parse::<IpAddr>().ok().map(IpNet::from);
        let prefix = match route.dst.as_str() {
            "default" => Some(everywhere(family == Family::V6)),
            prefix => prefix.parse().ok().or_else(address),
        };
        Some((prefix?, route.dev?))
    };
    Ok(all.into_iter().filter_map(route).collect())
}

fn parse<T: for<'d> Deserialize<'d>>(text: &str) -> Result<Vec<T>, LiveError> {
    // An empty table is no text at all.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|error| LiveError::Ip(error.to_string()))
}
