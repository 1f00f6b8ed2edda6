//! The rules that Docker writes for the networks and published ports of a policy, as its own chains
//! look after a start, from 1.12 to 29 with its iptables backend.
//!
//! They stand in for an engine where a packet is followed and none runs. A test compares them with
//! what a real one writes. Rules for what no policy says are left out: other networks, Swarm, the
//! masquerade of a container that asks itself.

use std::fmt::Write;
use std::net::IpAddr;

use crate::policy::ir::{
    Container, Engine, Exposure, Network, NetworkId, Policy, Published, Release,
};

use super::rule::protocol_word;

/// One of the releases with which something changed that packets notice, and how it was started.
#[derive(Debug, Clone, Copy)]
pub struct DockerSetup {
    pub version: (u32, u32),
    /// Docker since 1.13 closes FORWARD where it was the one to turn forwarding on.
    pub closed: bool,
    /// It writes IPv6 rules, too.
    pub ip6tables: bool,
    /// It has a process for each published port.
    pub proxy: bool,
}

/// The first releases of all eras, and 20.10.
pub const VERSIONS: [(u32, u32); 11] = [
    (1, 12),
    (1, 13),
    (17, 4),
    (17, 6),
    (18, 5),
    (20, 10),
    (23, 0),
    (27, 0),
    (28, 0),
    (28, 2),
    (29, 0),
];

impl DockerSetup {
    /// Returns the engine that a policy is for, one of 20.10 where it does not say; with its proxy,
    /// IPv6 rules, and FORWARD left as it is.
    pub fn of(policy: &Policy) -> Self {
        let release = match policy.host.engine {
            Engine::Docker { release, .. } => release,
            Engine::None(_) | Engine::Podman => None,
        };
        DockerSetup {
            version: release.map_or((20, 10), Release::first),
            closed: false,
            ip6tables: true,
            proxy: true,
        }
    }

    /// Returns every way to start a release.
    pub fn all(version: (u32, u32)) -> Vec<Self> {
        let both = [false, true];
        let mut found = Vec::new();
        for (closed, ip6tables, proxy) in both
            .into_iter()
            .flat_map(|closed| both.map(|six| (closed, six)))
            .flat_map(|(closed, six)| both.map(|proxy| (closed, six, proxy)))
        {
            // 1.13 began to close FORWARD, and 20.10 to write IPv6 rules.
            let exists = (!closed || version >= (1, 13)) && (!ip6tables || version >= (20, 10));
            if exists {
                found.push(DockerSetup {
                    version,
                    closed,
                    ip6tables,
                    proxy,
                });
            }
        }
        found
    }

    fn since(self, major: u32, minor: u32) -> bool {
        self.version >= (major, minor)
    }

    /// Returns the rules of one family for an empty machine.
    pub fn rules(self, policy: &Policy, v6: bool) -> String {
        if v6 && !self.ip6tables {
            return String::new();
        }
        let view = View {
            setup: self,
            policy,
            v6,
        };
        format!("{}{}{}", view.raw(), view.nat(), view.filter())
    }
}

/// Returns what the guard's bundle makes where an engine has no chain for the rules of others yet: in IPv6 up
/// to 22, and wherever it leaves a family alone.
pub fn guard(policy: &Policy, rules: &str) -> &'static str {
    if policy.host.engine.has_docker_user() && !rules.contains(":DOCKER-USER") {
        "*filter\n:DOCKER-USER - [0:0]\n-I FORWARD -j DOCKER-USER\nCOMMIT\n"
    } else {
        ""
    }
}

/// One family of a policy, as an engine sees it.
pub(super) struct View<'p> {
    setup: DockerSetup,
    policy: &'p Policy,
    pub(super) v6: bool,
}

/// A published port: the bridge and address behind it. Docker has a rule for each port of a range.
pub(super) struct Port<'p> {
    bridge: &'p str,
    /// The host's side.
    pub(super) asked: (Option<IpAddr>, u16),
    pub(super) address: IpAddr,
    pub(super) inner: u16,
    pub(super) protocol: &'static str,
}

impl<'p> View<'p> {
    pub(super) fn of(policy: &'p Policy, v6: bool) -> Self {
        let setup = DockerSetup::of(policy);
        View { setup, policy, v6 }
    }
}

impl View<'_> {
    fn networks(&self) -> impl Iterator<Item = &Network> {
        self.policy.networks.iter().filter(|network| network.local)
    }

    /// Returns those that may be left: an internal one has rules that keep it apart, and no others.
    pub(super) fn open_networks(&self) -> impl Iterator<Item = &Network> {
        self.networks().filter(|network| !network.internal)
    }

    fn address(&self, container: &Container, network: NetworkId) -> Option<IpAddr> {
        let mut addresses = container.addresses_on(network);
        addresses.find(|address| address.is_ipv6() == self.v6)
    }

    pub(super) fn published(&self) -> Vec<Port<'_>> {
        let mut found = Vec::new();
        for container in &self.policy.containers {
            let Some(first) = container.attachments.first().map(|at| at.network) else {
                continue;
            };
            let network = self.policy.networks.get(first.0);
            let address = self.address(container, first);
            let (Some(network), Some(address)) = (network.filter(|it| it.local), address) else {
                continue;
            };
            for exposure in &container.exposures {
                found.extend(self.ports(&network.bridge.0, address, exposure));
            }
        }
        found
    }

    fn ports<'p>(&self, bridge: &'p str, address: IpAddr, exposure: &Exposure) -> Vec<Port<'p>> {
        let host = exposure.published.as_ref();
        let here = |host: &&Published| host.address.is_none_or(|at| at.is_ipv6() == self.v6);
        let Some(host) = host.filter(here) else {
            return Vec::new();
        };
        let inner = exposure.ports.first..=exposure.ports.last;
        let outer = host.ports.first..=host.ports.last;
        let port = |(outer, inner)| Port {
            bridge,
            asked: (host.address, outer),
            address,
            inner,
            protocol: protocol_word(exposure.protocol),
        };
        outer.zip(inner).map(port).collect()
    }

    /// Docker since 28.2 drops what is routed straight to a container, unless its network is internal and
    /// drops it anyway, and before, up to 28.0, what is routed to a published port.
    fn raw(&self) -> String {
        let mut text = "*raw\n".to_owned();
        if self.setup.since(28, 2) {
            for container in &self.policy.containers {
                for at in &container.attachments {
                    let network = self.policy.networks.get(at.network.0);
                    let address = self.address(container, at.network);
                    let open = network.filter(|it| it.local && !it.internal);
                    if let (Some(network), Some(address)) = (open, address) {
                        let bridge = &network.bridge.0;
                        let _ = writeln!(text, "-A PREROUTING -d {address} ! -i {bridge} -j DROP");
                    }
                }
            }
        } else if self.setup.since(28, 0) {
            for port in self.published() {
                let _ = writeln!(
                    text,
                    "-A PREROUTING -d {} ! -i {} -p {} --dport {} -j DROP",
                    port.address, port.bridge, port.protocol, port.inner
                );
            }
        }
        if self.setup.since(28, 0) {
            for port in self.published() {
                let (protocol, (address, number)) = (port.protocol, port.asked);
                if let Some(address) = address.filter(IpAddr::is_loopback) {
                    let _ = writeln!(
                        text,
                        "-A PREROUTING -d {address} ! -i lo -p {protocol} --dport {number} -j DROP"
                    );
                }
            }
        }
        text + "COMMIT\n"
    }

    fn nat(&self) -> String {
        let mut text = "*nat\n:DOCKER - [0:0]\n".to_owned();
        let loopback = if self.v6 { "::1/128" } else { "127.0.0.0/8" };
        let but_loopback = if self.setup.proxy {
            format!("! -d {loopback} ")
        } else {
            String::new()
        };
        let _ = write!(
            text,
            "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
             -A OUTPUT {but_loopback}-m addrtype --dst-type LOCAL -j DOCKER\n"
        );
        for network in self.open_networks() {
            let bridge = &network.bridge.0;
            for subnet in &network.subnets {
                if subnet.addr().is_ipv6() == self.v6 {
                    let _ = writeln!(
                        text,
                        "-A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE"
                    );
                }
            }
            if !self.setup.proxy {
                let _ = writeln!(
                    text,
                    "-A POSTROUTING -o {bridge} -m addrtype --src-type LOCAL -j MASQUERADE"
                );
            } else if !self.setup.since(29, 0) {
                let _ = writeln!(text, "-A DOCKER -i {bridge} -j RETURN");
            }
        }
        for port in self.published() {
            text.push_str(&self.translation(&port));
        }
        text + "COMMIT\n"
    }

    fn translation(&self, port: &Port<'_>) -> String {
        let (address, number) = port.asked;
        let to = address.map(|at| format!("-d {at} ")).unwrap_or_default();
        let from = if self.setup.proxy {
            format!("! -i {} ", port.bridge)
        } else {
            String::new()
        };
        let link_local = if self.v6 && self.setup.since(28, 0) {
            "! -s fe80::/10 "
        } else {
            ""
        };
        let literal = match port.address {
            IpAddr::V4(four) => four.to_string(),
            IpAddr::V6(six) => format!("[{six}]"),
        };
        format!(
            "-A DOCKER {link_local}{to}{from}-p {} --dport {number} -j DNAT --to-destination {literal}:{}\n",
            port.protocol, port.inner
        )
    }

    fn filter(&self) -> String {
        let policy = if self.setup.closed { "DROP" } else { "ACCEPT" };
        let mut text = format!("*filter\n:FORWARD {policy} [0:0]\n:DOCKER - [0:0]\n");
        // IPv6 has had the chain since 23.0 alone.
        if self.setup.since(23, 0) || (self.setup.since(17, 6) && !self.v6) {
            text.push_str(":DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\n");
            if !self.setup.since(28, 2) {
                text.push_str("-A DOCKER-USER -j RETURN\n");
            }
        }
        if self.setup.since(28, 0) {
            text.push_str(&self.own_forward());
        } else {
            text.push_str(&self.shared_forward());
        }
        text.push_str(&self.isolation());
        for port in self.published() {
            let _ = writeln!(
                text,
                "-A DOCKER -d {0} ! -i {1} -o {1} -p {2} --dport {3} -j ACCEPT",
                port.address, port.bridge, port.protocol, port.inner
            );
        }
        for bridge in self.open_networks().map(|network| &network.bridge.0) {
            if self.setup.since(28, 0) {
                let _ = writeln!(text, "-A DOCKER ! -i {bridge} -o {bridge} -j DROP");
            }
        }
        text + "COMMIT\n"
    }

    /// Up to 27 every network has its rules in FORWARD itself; published ports come before replies up
    /// to 17.03.
    fn shared_forward(&self) -> String {
        let [first, _] = self.isolation_chains();
        let mut text = format!(":{first} - [0:0]\n-A FORWARD -j {first}\n");
        for network in self.networks().filter(|network| network.internal) {
            let (bridge, icc) = (&network.bridge.0, icc(network));
            let _ = writeln!(text, "-A FORWARD -i {bridge} -o {bridge} -j {icc}");
        }
        for network in self.open_networks() {
            let bridge = &network.bridge.0;
            let known = format!(
                "-A FORWARD -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
            );
            let published = format!("-A FORWARD -o {bridge} -j DOCKER\n");
            text.push_str(&if self.setup.since(17, 4) {
                known + &published
            } else {
                published + &known
            });
            let _ = writeln!(text, "-A FORWARD -i {bridge} ! -o {bridge} -j ACCEPT");
            let icc = icc(network);
            let _ = writeln!(text, "-A FORWARD -i {bridge} -o {bridge} -j {icc}");
        }
        text
    }

    /// Since 28.0.1 FORWARD has one jump to chains of Docker's own.
    fn own_forward(&self) -> String {
        let [first, _] = self.isolation_chains();
        let mut text = format!(
            ":DOCKER-FORWARD - [0:0]\n:DOCKER-CT - [0:0]\n:DOCKER-BRIDGE - [0:0]\n:{first} - [0:0]\n\
             -A FORWARD -j DOCKER-FORWARD\n-A DOCKER-FORWARD -j DOCKER-CT\n\
             -A DOCKER-FORWARD -j {first}\n-A DOCKER-FORWARD -j DOCKER-BRIDGE\n"
        );
        for network in self.networks().filter(|network| network.internal) {
            let (bridge, icc) = (&network.bridge.0, icc(network));
            let _ = writeln!(text, "-A DOCKER-FORWARD -i {bridge} -o {bridge} -j {icc}");
        }
        for network in self.open_networks() {
            let bridge = &network.bridge.0;
            let _ = write!(
                text,
                "-A DOCKER-CT -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 -A DOCKER-BRIDGE -o {bridge} -j DOCKER\n"
            );
            if network.icc {
                let _ = writeln!(text, "-A DOCKER-FORWARD -i {bridge} -j ACCEPT");
            } else {
                let _ = write!(
                    text,
                    "-A DOCKER-FORWARD -i {bridge} -o {bridge} -j DROP\n\
                     -A DOCKER-FORWARD -i {bridge} ! -o {bridge} -j ACCEPT\n"
                );
            }
        }
        text
    }

    fn isolation_chains(&self) -> [&'static str; 2] {
        if self.setup.since(29, 0) {
            ["DOCKER-INTERNAL", ""]
        } else if self.setup.since(18, 5) {
            ["DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"]
        } else {
            ["DOCKER-ISOLATION", ""]
        }
    }

    /// Up to 18.04 there is a rule for each pair of networks, and since 29 none at all.
    fn isolation(&self) -> String {
        let [first, second] = self.isolation_chains();
        let mut text = String::new();
        if !second.is_empty() {
            let _ = writeln!(text, ":{second} - [0:0]");
        }
        for network in self.networks().filter(|network| network.internal) {
            text.push_str(&self.kept_apart(network));
        }
        for bridge in self.open_networks().map(|network| &network.bridge.0) {
            if !second.is_empty() {
                let _ = write!(
                    text,
                    "-A {first} -i {bridge} ! -o {bridge} -j {second}\n-A {second} -o {bridge} -j DROP\n"
                );
            } else if !self.setup.since(29, 0) {
                for other in self.open_networks().map(|network| &network.bridge.0) {
                    if other != bridge {
                        let _ = writeln!(text, "-A {first} -i {bridge} -o {other} -j DROP");
                    }
                }
            }
        }
        text
    }

    /// An internal network: nothing comes or goes but between its own addresses. In IPv6 neighbours
    /// ask from link-local ones.
    fn kept_apart(&self, network: &Network) -> String {
        let [chain, _] = self.isolation_chains();
        let bridge = &network.bridge.0;
        let (no_input, no_output) = if self.v6 && self.setup.since(28, 0) {
            (format!("! -i {bridge} "), format!("! -o {bridge} "))
        } else {
            Default::default()
        };
        let subnets = network.subnets.iter();
        let subnets = subnets.filter(|subnet| subnet.addr().is_ipv6() == self.v6);
        let rules = subnets.map(|subnet| {
            format!(
                "-A {chain} ! -s {subnet} {no_input}-o {bridge} -j DROP\n\
                 -A {chain} ! -d {subnet} -i {bridge} {no_output}-j DROP\n"
            )
        });
        rules.collect()
    }
}

fn icc(network: &Network) -> &'static str {
    if network.icc { "ACCEPT" } else { "DROP" }
}
