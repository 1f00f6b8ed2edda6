//! A draft as a policy that compiles, with what nobody could know marked by comments.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::draft::{Container, Draft, Network, Published};
use crate::diag::hidden::is_hidden;

/// Length of a bridge's name at most; `IFNAMSIZ` of the kernel's `if.h`, less its zero.
const MAX_BRIDGE: usize = 15;

/// Writes a policy. It keeps open what is open today, but for what is routed straight to a container.
pub(super) fn print(draft: &Draft) -> String {
    let mut text = format!(
        "# A first policy, from {}: what is open today stays open. Lines that say \"choose\" want you to.\n",
        one_line(&draft.origin)
    );
    for reason in &draft.left_out {
        let _ = writeln!(text, "# Left out: {}.", one_line(reason));
    }
    text.push_str(&host(draft.engine.as_deref()));
    let mut taken = Taken::of(draft);
    for network in &draft.networks {
        let fixed = fixed(draft, &network.name);
        text.push_str(&self::network(network, &fixed, &mut taken));
    }
    for container in &draft.containers {
        text.push_str(&self::container(container));
    }
    text.push_str(&links(draft));
    text
}

/// Returns the addresses that containers have on a network.
fn fixed(draft: &Draft, network: &str) -> Vec<IpAddr> {
    let all = draft.containers.iter().flat_map(|it| &it.networks);
    all.filter(|(name, _)| name == network)
        .flat_map(|(_, at)| at.iter().copied())
        .collect()
}

/// Returns a text of somebody else's as part of a comment, which ends where its line does.
fn one_line(text: &str) -> String {
    let odd = |c: char| c.is_control() || is_hidden(c);
    text.replace(odd, "?")
}

/// Returns the `host` block. Where Docker accepts in tables of its own, a closed FORWARD would end what it
/// lets in.
fn host(engine: Option<&str>) -> String {
    let setting = engine.map(|engine| format!("  engine     {engine}\n"));
    let nftables = engine.is_some_and(|engine| engine.ends_with("nftables"));
    let forward = if nftables { "" } else { "  forward    drop\n" };
    format!(
        "
host {{
  # uplink eth0      choose: the interfaces that face outside; without it, all but the bridges here
{}  forwarding on
{forward}}}

# choose: who is trusted, and write `from office` in the place of `from any` below
# trust office {{ 203.0.113.0/24 }}
",
        setting.unwrap_or_default()
    )
}

/// What networks have, so that proposals keep clear of it.
struct Taken {
    bridges: BTreeSet<String>,
    subnets: Vec<IpNet>,
}

impl Taken {
    fn of(draft: &Draft) -> Self {
        let networks = draft.networks.iter();
        Taken {
            bridges: networks
                .clone()
                .filter_map(|it| it.bridge.clone())
                .collect(),
            subnets: networks.flat_map(|it| it.subnets.iter().copied()).collect(),
        }
    }

    fn bridge(&mut self, name: &str) -> String {
        let bridge = free_bridge(name, &self.bridges);
        self.bridges.insert(bridge.clone());
        bridge
    }

    /// Returns subnets that hold all addresses that containers have there, or one that is free.
    fn subnets_for(&mut self, fixed: &[IpAddr]) -> Vec<IpNet> {
        let mut found: Vec<IpNet> = Vec::new();
        for address in fixed {
            let length = if address.is_ipv4() { 24 } else { 64 };
            let subnet = IpNet::new(*address, length).map(|it| it.trunc());
            let new = |subnet: &IpNet| !found.contains(subnet);
            found.extend(subnet.ok().filter(new));
        }
        if found.is_empty() {
            found.push(free_subnet(&self.subnets).into());
        }
        self.subnets.extend(found.iter().copied());
        found
    }
}

fn network(network: &Network, fixed: &[IpAddr], taken: &mut Taken) -> String {
    let name = &network.name;
    let engine_name = one_line(&network.engine_name);
    let mut text = format!("\nnetwork {name} {{\n");
    if let Some(note) = &network.note {
        let _ = writeln!(text, "  # {}", one_line(note));
    }
    let bridge = network.bridge.clone().unwrap_or_else(|| taken.bridge(name));
    let known: Vec<IpNet> = if network.subnets.is_empty() {
        taken.subnets_for(fixed)
    } else {
        network.subnets.clone()
    };
    let proposed = network.subnets.is_empty();
    let subnets: Vec<String> = known.iter().map(IpNet::to_string).collect();
    if proposed || network.bridge.is_none() {
        let _ = writeln!(
            text,
            "  # choose: nobody says these yet. The network {engine_name} must get them, or the policy is about\n  \
             # another one: `tidegate check --compose` tells. In the compose file, below this network:"
        );
        if network.bridge.is_none() {
            let _ = writeln!(
                text,
                "  #   driver_opts: {{ com.docker.network.bridge.name: {bridge} }}"
            );
        }
        if proposed {
            let _ = writeln!(
                text,
                "  #   ipam: {{ config: [ {{ subnet: {} }} ] }}",
                subnets.join(" }, { subnet: ")
            );
        }
    }
    let _ = writeln!(text, "  bridge {bridge}\n  subnet {}", subnets.join(", "));
    if network.icc {
        text.push_str("  icc    on     # as today; off leaves what links say\n");
    }
    if network.internal {
        text.push_str("  egress off    # it is internal\n");
    }
    text + "}\n"
}

/// Returns a bridge's name made of the network's that nothing in the draft has.
fn free_bridge(name: &str, taken: &BTreeSet<String>) -> String {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let numbered = |number: u32| {
        let end = if number == 1 {
            String::new()
        } else {
            number.to_string()
        };
        let room = MAX_BRIDGE - "br-".len() - end.len();
        let start: String = plain.chars().take(room).collect();
        format!("br-{start}{end}")
    };
    let mut free = (1..).map(numbered).filter(|bridge| !taken.contains(bridge));
    free.next().unwrap_or_default()
}

/// Returns a prefix of 172.30.0.0/15 and what follows it that nothing in the draft has.
fn free_subnet(taken: &[IpNet]) -> Ipv4Net {
    let candidates =
        (30u8..=31).flat_map(|second| (0u8..=255).map(move |third| [172, second, third, 0]));
    let nets = candidates.filter_map(|octets| Ipv4Net::new(octets.into(), 24).ok());
    let overlaps = |net: &Ipv4Net| {
        let net = IpNet::V4(*net);
        taken
            .iter()
            .any(|other| other.contains(&net) || net.contains(other))
    };
    let mut free = nets.filter(|net| !overlaps(net));
    free.next().unwrap_or_default()
}

fn container(container: &Container) -> String {
    let mut text = String::from("\n");
    for note in &container.notes {
        let _ = writeln!(text, "# {}", one_line(note));
    }
    let mut head = format!("container {}", container.name);
    for (network, addresses) in &container.networks {
        let _ = write!(head, " on {network}");
        if !addresses.is_empty() {
            let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let _ = write!(head, " at {}", all.join(", "));
        }
    }
    text.push_str(&head);
    let lines: Vec<String> = container
        .published
        .iter()
        .map(published)
        .chain(exposed(container))
        .collect();
    if lines.is_empty() {
        return text + "\n";
    }
    text + " {\n" + &lines.concat() + "}\n"
}

fn published(published: &Published) -> String {
    let Published {
        address,
        host,
        container,
        protocol,
    } = published;
    let at = match address {
        None => String::new(),
        Some(six) if six.is_ipv6() => format!("[{six}]:"),
        Some(four) => format!("{four}:"),
    };
    let loopback = address.is_some_and(|address| address.is_loopback());
    let from = if loopback {
        "host"
    } else {
        "any    # as today; choose who"
    };
    format!(
        "  expose {container}/{} as {at}{host} from {from}\n",
        protocol.name()
    )
}

fn exposed(container: &Container) -> impl Iterator<Item = String> {
    let mut known: Vec<_> = container
        .published
        .iter()
        .map(|it| (it.container, it.protocol))
        .collect();
    container.exposed.iter().filter_map(move |port| {
        if known.contains(port) {
            return None;
        }
        known.push(*port);
        Some(format!("  expose {}/{}\n", port.0, port.1.name()))
    })
}

/// Writes links, and as comments those that the draft does not know enough for.
fn links(draft: &Draft) -> String {
    let mut text = String::new();
    for container in &draft.containers {
        for target in &container.links {
            let known = draft.container(target);
            let name = known.map_or(target.as_str(), |it| it.name.as_str());
            let line = format!("link {} -> {}", container.name, one_line(name));
            match missing(container, target, known) {
                None => {
                    let _ = writeln!(text, "{line}");
                }
                Some(reason) => {
                    let _ = writeln!(text, "# {line}    choose: {reason}");
                }
            }
        }
        for target in container
            .needs
            .iter()
            .filter(|it| !container.links.contains(it))
        {
            if let Some(target) = draft.container(target) {
                let _ = writeln!(
                    text,
                    "# link {} -> {}    it depends on it",
                    container.name, target.name
                );
            }
        }
    }
    if text.is_empty() {
        return text;
    }
    format!("\n# Who may connect to whom where `icc` is off, and between networks.\n{text}")
}

/// Returns what a link lacks.
fn missing(container: &Container, target: &str, to: Option<&Container>) -> Option<String> {
    let Some(to) = to else {
        return Some(format!("{} is not in this policy", one_line(target)));
    };
    if to.published.is_empty() && to.exposed.is_empty() {
        return Some(format!("say which ports {} exposes", to.name));
    }
    let loose = [container, to]
        .into_iter()
        .find(|it| it.networks.iter().any(|(_, at)| at.is_empty()));
    let fix = |it: &Container| format!("fix the addresses of {}, or give an inventory", it.name);
    loose.map(fix)
}
