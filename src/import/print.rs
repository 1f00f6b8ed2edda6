//! A draft as a policy that compiles, with what nobody could know marked by comments.

use std::collections::BTreeSet;
use std::fmt::Write;

use ipnet::{IpNet, Ipv4Net};

use super::draft::{Container, Draft, Network, Published};

/// Length of a bridge's name at most; `IFNAMSIZ` of the kernel's `if.h`, less its zero.
const MAX_BRIDGE: usize = 15;

/// Writes a policy. It keeps open what is open today, but for what is routed straight to a container.
pub fn print(draft: &Draft) -> String {
    let mut text = format!(
        "# A first policy, from {}: what is open today stays open. Lines that say \"choose\" want you to.\n",
        draft.origin
    );
    for reason in &draft.left_out {
        let _ = writeln!(text, "# Left out: {reason}.");
    }
    text.push_str(HOST);
    let mut taken = Taken::of(draft);
    for network in &draft.networks {
        text.push_str(&self::network(network, &mut taken));
    }
    for container in &draft.containers {
        text.push_str(&self::container(container));
    }
    text.push_str(&links(draft));
    text
}

const HOST: &str = "
host {
  # uplink eth0      choose: the interfaces that face outside; without it, all but the bridges here
  forwarding on
  forward    drop
}

# choose: who is trusted, and write `from office` in the place of `from any` below
# trust office { 203.0.113.0/24 }
";

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

    fn subnet(&mut self) -> String {
        let subnet = free_subnet(&self.subnets);
        self.subnets.push(subnet.into());
        subnet.to_string()
    }
}

fn network(network: &Network, taken: &mut Taken) -> String {
    let Network {
        name, engine_name, ..
    } = network;
    let mut text = format!("\nnetwork {name} {{\n");
    if let Some(note) = &network.note {
        let _ = writeln!(text, "  # {note}");
    }
    let bridge = network.bridge.clone().unwrap_or_else(|| taken.bridge(name));
    let mut subnets: Vec<String> = network.subnets.iter().map(IpNet::to_string).collect();
    let proposed = subnets.is_empty();
    if proposed {
        subnets.push(taken.subnet());
    }
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
                subnets.join(", ")
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
        let _ = writeln!(text, "# {note}");
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
            let line = format!("link {} -> {target}", container.name);
            match missing(draft, container, target) {
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
            if draft.container(target).is_some() {
                let _ = writeln!(
                    text,
                    "# link {} -> {target}    it depends on it",
                    container.name
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
fn missing(draft: &Draft, container: &Container, target: &str) -> Option<String> {
    let Some(to) = draft.container(target) else {
        return Some(format!("{target} is not in this policy"));
    };
    if to.published.is_empty() && to.exposed.is_empty() {
        return Some(format!("say which ports {target} exposes"));
    }
    let loose = [container, to]
        .into_iter()
        .find(|it| it.networks.iter().any(|(_, at)| at.is_empty()));
    let fix = |it: &Container| format!("fix the addresses of {}, or give an inventory", it.name);
    loose.map(fix)
}
