//! Whether a line opens a connection, from `docs/language.md` and the promise of the README alone:
//! what no line opens is closed from outside, declared or not, in either family, published, routed
//! or through the proxy; what the policy does not speak of stays as the engine made it.
//!
//! A container counts as declared by its name on a network of the policy's, and a network by its
//! name or its bridge. So a line may be said to open what the rules cannot open at this moment; that
//! is no fault where every command tells of it.

use std::net::IpAddr;

use super::policy::{Access, Expose, Member, Policy, Verb};
use super::truth::{Container, Port, Truth};

/// Who connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sender {
    /// By an interface of the machine's, with these addresses.
    Wire {
        name: &'static str,
        interface: &'static str,
        addresses: [IpAddr; 2],
    },
    Host,
    Container(String),
}

/// To what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) at: IpAddr,
    pub(super) port: u16,
    pub(super) is_udp: bool,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A published port: the container behind it, and its port there.
    Published(String, Port),
    /// A container at its own address.
    Own(String),
    /// A socket of the host's own.
    Host,
    /// Somebody on the segment, for those inside.
    Elsewhere(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A line opens it.
    Open,
    Closed,
    /// It is none of the policy's business: as it was before.
    Left,
    /// The language's page does not say.
    Unsaid,
}

/// A policy, and what runs.
pub(super) struct Oracle<'a> {
    pub(super) policy: &'a Policy,
    pub(super) truth: &'a Truth,
}

impl Oracle<'_> {
    pub(super) fn verdict(&self, from: &Sender, to: &Target) -> Verdict {
        match &to.what {
            What::Published(name, port) => self.container(from, to, name, *port),
            What::Own(name) => {
                let port = Port {
                    number: to.port,
                    is_udp: to.is_udp,
                };
                self.container(from, to, name, port)
            }
            What::Host => self.host(from, to),
            What::Elsewhere(_) => self.elsewhere(from, to),
        }
    }

    /// Whether a network of the policy's holds a container.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        let container = self.truth.container(name).expect("it runs");
        !self.policy_networks(container).is_empty()
    }

    fn container(&self, from: &Sender, to: &Target, name: &str, port: Port) -> Verdict {
        let container = self.truth.container(name).expect("it runs");
        if *from == Sender::Container(name.to_owned()) {
            return Verdict::Unsaid;
        }
        let parties = self.names(container);
        let is_published = matches!(to.what, What::Published(..));
        if let Some(denied) = self.denied(from, to, &parties, port) {
            return denied;
        }
        let opened = self.opened(from, to, container, port);
        if opened == Verdict::Open || *from == Sender::Host {
            return if opened == Verdict::Open {
                opened
            } else {
                Verdict::Left
            };
        }
        let shared = self.shared(from, container);
        if parties.len() > 1 {
            let has_icc = shared
                .iter()
                .any(|name| self.declared(name).is_some_and(|it| it.has_icc));
            return match (has_icc, is_published, shared.is_empty()) {
                (true, false, _) => Verdict::Open,
                (true, true, _) => Verdict::Unsaid,
                // A container that is declared is so at all its addresses; who shares another
                // network with it is left unsaid.
                (false, _, false) if self.is_undeclared(&shared) => Verdict::Unsaid,
                _ => opened,
            };
        }
        match from {
            Sender::Container(name) if self.is_kept_in(name) => Verdict::Closed,
            Sender::Container(_) if self.policy.others == "drop" => Verdict::Unsaid,
            Sender::Wire { .. } if self.policy.others != "leave" => Verdict::Closed,
            // A line speaks of that port of the host's, and means somebody else.
            _ if is_published && self.is_spoken_of(to) => Verdict::Unsaid,
            _ => Verdict::Left,
        }
    }

    fn is_spoken_of(&self, to: &Target) -> bool {
        let mut exposes = self.policy.containers.values().flat_map(|it| &it.exposes);
        exposes.any(|expose| expose.published.is_some_and(|(_, host)| host == to.port))
    }

    fn host(&self, from: &Sender, to: &Target) -> Verdict {
        let port = Port {
            number: to.port,
            is_udp: to.is_udp,
        };
        if let Some(denied) = self.denied(from, to, &["host".to_owned()], port) {
            return denied;
        }
        let grants = self
            .policy
            .access
            .iter()
            .filter(|line| line.verb == Verb::Allow);
        let is_granted = grants
            .filter(|line| line.to.iter().any(|name| name == "host"))
            .any(|line| line.covers(port) && self.is_any(from, to, &line.from));
        let is_shut_in = match from {
            Sender::Container(name) => self.networks_of(name).iter().any(|it| !it.reaches_host),
            Sender::Wire { .. } | Sender::Host => false,
        };
        match (is_granted, is_shut_in) {
            (true, _) => Verdict::Open,
            (false, true) => Verdict::Closed,
            (false, false) => Verdict::Left,
        }
    }

    fn elsewhere(&self, from: &Sender, to: &Target) -> Verdict {
        let Sender::Container(sender) = from else {
            return Verdict::Unsaid;
        };
        let trusts = |set: &String| self.policy.trusts(set, to.at);
        let names = |list: &[String]| {
            list.iter()
                .any(|it| it == "any" || it == "outside" || trusts(it))
        };
        let port = Port {
            number: to.port,
            is_udp: to.is_udp,
        };
        let lines = |verb| {
            let of_verb = self
                .policy
                .access
                .iter()
                .filter(move |line| line.verb == verb);
            of_verb.filter(|line| names(&line.to) && line.covers(port))
        };
        if lines(Verb::Deny).any(|line| self.is_any(from, to, &line.from)) {
            return Verdict::Closed;
        }
        let is_allowed = lines(Verb::Allow).any(|line| self.is_any(from, to, &line.from));
        if self.is_kept_in(sender) && !is_allowed {
            return Verdict::Closed;
        }
        if self.policy.others == "drop" && !self.is_declared(sender) {
            return Verdict::Unsaid;
        }
        Verdict::Left
    }

    /// Returns what a `deny` says, if one says anything.
    fn denied(
        &self,
        from: &Sender,
        to: &Target,
        parties: &[String],
        port: Port,
    ) -> Option<Verdict> {
        let denials = self
            .policy
            .access
            .iter()
            .filter(|line| line.verb == Verb::Deny);
        let mut unsaid = None;
        for line in denials.filter(|line| line.covers(port)) {
            let is_from = self.is_any(from, to, &line.from);
            let is_to = line
                .to
                .iter()
                .any(|name| parties.contains(name) || name == "any");
            if is_from && is_to {
                return Some(Verdict::Closed);
            }
            // The proxy connects as the host; and the host's addresses are the host, too.
            let names_host = |list: &[String]| list.iter().any(|it| it == "host" || it == "any");
            if matches!(to.what, What::Published(..))
                && (is_from && names_host(&line.to) || names_host(&line.from) && is_to)
            {
                unsaid = Some(Verdict::Unsaid);
            }
        }
        unsaid
    }

    /// Returns whether a line opens it: `Unsaid` where one opens the same by another way.
    fn opened(&self, from: &Sender, to: &Target, container: &Container, port: Port) -> Verdict {
        let parties = self.names(container);
        let mut verdict = Verdict::Closed;
        for expose in self.members(container).flat_map(|member| &member.exposes) {
            verdict = match self.exposed(from, to, expose, port) {
                Verdict::Open => return Verdict::Open,
                Verdict::Closed => verdict,
                other => other,
            };
        }
        for line in self
            .policy
            .access
            .iter()
            .filter(|line| line.verb != Verb::Deny)
        {
            let is_to = line
                .to
                .iter()
                .any(|name| parties.contains(name) || name == "any");
            let is_service = match line.verb {
                Verb::Link if line.ports.is_empty() => self.offers(container, port),
                _ => line.covers(port),
            };
            if is_to && is_service && self.is_any(from, to, &line.from) {
                return Verdict::Open;
            }
        }
        verdict
    }

    fn exposed(&self, from: &Sender, to: &Target, expose: &Expose, port: Port) -> Verdict {
        if expose.port != port || !self.is_any(from, to, &expose.from) {
            return Verdict::Closed;
        }
        match (&expose.published, &to.what) {
            (Some((address, host)), What::Published(..)) => {
                let is_address = address.is_none_or(|address| address == to.at);
                if *host == to.port && is_address {
                    Verdict::Open
                } else {
                    Verdict::Closed
                }
            }
            (Some(_), _) => Verdict::Closed,
            (None, What::Published(..)) => Verdict::Unsaid,
            (None, _) => Verdict::Open,
        }
    }

    fn offers(&self, container: &Container, port: Port) -> bool {
        let mut exposes = self.members(container).flat_map(|member| &member.exposes);
        exposes.any(|expose| expose.port == port)
    }

    /// Returns what the policy says of a container of this name, on a network of its own.
    fn members<'a>(&'a self, container: &'a Container) -> impl Iterator<Item = &'a Member> {
        let member = self.policy.containers.get(&container.name);
        member.into_iter().filter(|member| {
            let networks = self.policy_networks(container);
            member.networks.iter().any(|name| networks.contains(name))
        })
    }

    /// Returns the policy's networks that hold a container, by bridge or by name.
    fn policy_networks(&self, container: &Container) -> Vec<String> {
        let mut found = Vec::new();
        for name in container.networks.keys() {
            let bridge = self.truth.networks.get(name).map(|network| &network.bridge);
            let declared = self.policy.networks.iter();
            let same = declared.filter(|(other, it)| *other == name || Some(&it.bridge) == bridge);
            found.extend(same.map(|(name, _)| name.clone()));
        }
        found
    }

    /// Returns every name by which lines can mean a container; an undeclared one has one.
    fn names(&self, container: &Container) -> Vec<String> {
        let mut names = self.policy_networks(container);
        if names.is_empty() {
            return vec![format!("{} (undeclared)", container.name)];
        }
        names.push(container.name.clone());
        names
    }

    /// Returns the engine's networks that the sender shares with a container.
    fn shared(&self, from: &Sender, container: &Container) -> Vec<String> {
        let Sender::Container(name) = from else {
            return Vec::new();
        };
        let sender = self.truth.container(name).expect("it runs");
        let names = container.networks.keys();
        names
            .filter(|name| sender.networks.contains_key(*name))
            .cloned()
            .collect()
    }

    fn is_undeclared(&self, networks: &[String]) -> bool {
        networks.iter().any(|name| self.declared(name).is_none())
    }

    /// Returns what the policy says of a network of the engine's.
    fn declared(&self, name: &str) -> Option<&super::policy::Declared> {
        let bridge = self.truth.networks.get(name).map(|network| &network.bridge);
        let mut declared = self.policy.networks.iter();
        let found = declared.find(|(other, it)| *other == name || Some(&it.bridge) == bridge);
        found.map(|(_, it)| it)
    }

    fn networks_of(&self, name: &str) -> Vec<&super::policy::Declared> {
        let container = self.truth.container(name).expect("it runs");
        let names = container.networks.keys();
        names.filter_map(|name| self.declared(name)).collect()
    }

    /// Whether a container may not leave for what no line declares.
    fn is_kept_in(&self, name: &str) -> bool {
        self.networks_of(name).iter().any(|it| !it.has_egress)
    }

    fn is_any(&self, from: &Sender, to: &Target, list: &[String]) -> bool {
        list.iter().any(|name| self.is(from, to, name))
    }

    /// Whether a name of the policy's means the sender.
    fn is(&self, from: &Sender, to: &Target, name: &str) -> bool {
        match (name, from) {
            ("any", _) | ("host", Sender::Host) => true,
            ("outside", Sender::Wire { interface, .. }) => {
                let uplinks = &self.policy.uplinks;
                uplinks.is_empty() || uplinks.iter().any(|uplink| uplink == interface)
            }
            // Without an uplink that is every interface that is no declared bridge.
            ("outside", Sender::Container(sender)) => {
                self.policy.uplinks.is_empty() && !self.is_declared(sender)
            }
            (_, Sender::Wire { addresses, .. }) => {
                let mut same = addresses
                    .iter()
                    .filter(|it| it.is_ipv4() == to.at.is_ipv4());
                same.any(|address| self.policy.trusts(name, *address))
            }
            (_, Sender::Container(sender)) => {
                let container = self.truth.container(sender).expect("it runs");
                self.names(container).iter().any(|it| it == name)
            }
            _ => false,
        }
    }
}

impl Access {
    fn covers(&self, port: Port) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }
}
