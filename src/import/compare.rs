//! Where a policy and compose files contradict each other.

use ipnet::IpNet;

use super::draft::{Draft, Network as Drafted, Published as Port};
use super::from_compose::from_compose;
use super::links;
use crate::compose::{Project, Protocol};
use crate::diag::{Diagnostic, code};
use crate::policy::internal;
use crate::policy::ir::{self, Policy};

/// Returns what a project has otherwise than a policy. Contradictions by which a rule would be about
/// another network or container are errors; what is only closed, or open to nobody, is a warning.
pub fn compare(policy: &Policy, project: &Project, origin: &str) -> Vec<Diagnostic> {
    let draft = from_compose(project, origin);
    let pairs = Pairs {
        policy,
        project,
        draft: &draft,
    };
    let mut found = Vec::new();
    for network in &draft.networks {
        match pairs.network(network) {
            Some(known) => found.extend(networks(known, network, origin)),
            None => found.push(network_missing(network, origin)),
        }
    }
    for service in project.services.keys() {
        for name in project.containers(service) {
            found.extend(pairs.containers(service, &name));
        }
    }
    found.extend(pairs.absent());
    found.extend(internal::check(policy, &pairs.internal(), origin));
    found
}

struct Pairs<'a> {
    policy: &'a Policy,
    project: &'a Project,
    draft: &'a Draft,
}

impl<'a> Pairs<'a> {
    /// Finds a network by its bridge where the files name it, else by its name.
    fn network(&self, drafted: &Drafted) -> Option<&'a ir::Network> {
        let mut all = self.policy.networks.iter();
        let named =
            |network: &&ir::Network| [&drafted.name, &drafted.engine_name].contains(&&network.name);
        match &drafted.bridge {
            Some(bridge) => all
                .clone()
                .find(|it| it.bridge.0 == *bridge)
                .or_else(|| all.find(named)),
            None => all.find(named),
        }
    }

    /// Returns the networks that the files keep apart.
    fn internal(&self) -> Vec<ir::NetworkId> {
        let apart = self.draft.networks.iter().filter(|it| it.internal);
        let names: Vec<&str> = apart
            .filter_map(|it| self.network(it))
            .map(|it| it.name.as_str())
            .collect();
        let all = (0..).map(ir::NetworkId).zip(&self.policy.networks);
        all.filter(|(_, it)| names.contains(&it.name.as_str()))
            .map(|(id, _)| id)
            .collect()
    }

    /// Finds a container by its own name, by that which `import` gives it, or by its service's.
    fn container(&self, service: &str, name: &str) -> Option<&'a ir::Container> {
        let mut all = self.policy.containers.iter();
        let drafted = self.draft.container(name).map(|it| it.name.as_str());
        all.clone()
            .find(|it| it.name == name || Some(it.name.as_str()) == drafted)
            .or_else(|| all.find(|it| it.name == service))
    }

    fn containers(&self, service: &str, name: &str) -> Vec<Diagnostic> {
        let Some(drafted) = self.draft.container(name) else {
            return Vec::new();
        };
        let Some(known) = self.container(service, name) else {
            return unknown(name, &drafted.published, &self.draft.origin);
        };
        let mut found = self.addresses(service, known);
        for port in &drafted.published {
            found.extend(not_declared(known, port));
        }
        for exposure in &known.exposures {
            found.extend(not_published(
                known,
                exposure,
                &drafted.published,
                &self.draft.origin,
            ));
        }
        let origin = &self.draft.origin;
        for target in self.linked(service) {
            found.extend(links::check(self.policy, known, &target, origin));
        }
        found
    }

    /// Returns the policy's names for the containers that a service is linked to.
    fn linked(&self, service: &str) -> Vec<String> {
        let links = self.project.services.get(service).map(|it| &it.links);
        let targets = links.into_iter().flatten();
        let all = targets.flat_map(|target| {
            let names = self.project.containers(target);
            names.into_iter().map(move |name| (target, name))
        });
        all.filter_map(|(target, name)| self.container(target, &name))
            .map(|it| it.name.clone())
            .collect()
    }

    /// Rules about an address that another container has would be about that one.
    fn addresses(&self, service: &str, known: &ir::Container) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let Some(service) = self.project.services.get(service) else {
            return found;
        };
        for (key, fixed) in &service.networks {
            let engine_name = self.project.networks.get(key).map(|it| it.name.as_str());
            let drafted = engine_name.and_then(|name| self.draft.network(name));
            let Some(network) = drafted.and_then(|it| self.network(it)) else {
                continue;
            };
            let here = known.attachments.iter().find(|at| {
                let other = self.policy.networks.get(at.network.0);
                other.is_some_and(|other| other.name == network.name)
            });
            let Some(at) = here else {
                let title = format!(
                    "`{}` is not on `{}`, says the policy",
                    known.name, network.name
                );
                found.push(
                    Diagnostic::error(code::COMPOSE_DIFFERS, title)
                        .at(known.span, format!("{} puts it there", self.draft.origin)),
                );
                continue;
            };
            for address in &at.addresses {
                let same = fixed.iter().filter(|it| it.is_ipv4() == address.is_ipv4());
                let same: Vec<String> = same.map(ToString::to_string).collect();
                if !same.contains(&address.to_string()) {
                    found.push(address_differs(
                        known,
                        &address.to_string(),
                        &same,
                        &self.draft.origin,
                    ));
                }
            }
        }
        found
    }

    /// Returns the containers of the project's networks that no service makes.
    fn absent(&self) -> Vec<Diagnostic> {
        let services = self.project.services.keys();
        let made: Vec<String> = services
            .flat_map(|name| {
                self.project
                    .containers(name)
                    .into_iter()
                    .chain([name.clone()])
            })
            .chain(self.draft.containers.iter().map(|it| it.name.clone()))
            .collect();
        let ours: Vec<&str> = self
            .draft
            .networks
            .iter()
            .filter_map(|network| self.network(network).map(|it| it.name.as_str()))
            .collect();
        let of_project = |container: &&ir::Container| {
            let mut names = container.attachments.iter().filter_map(|at| {
                self.policy
                    .networks
                    .get(at.network.0)
                    .map(|network| network.name.as_str())
            });
            names.any(|name| ours.contains(&name)) && !made.contains(&container.name)
        };
        let warn = |container: &ir::Container| {
            let title = format!("no service makes the container `{}`", container.name);
            Diagnostic::warning(code::NOT_IN_COMPOSE, title)
                .at(container.span, format!("not in {}", self.draft.origin))
                .note("Its rules are about nobody, or about whoever gets its address.")
        };
        self.policy
            .containers
            .iter()
            .filter(of_project)
            .map(warn)
            .collect()
    }
}

fn networks(known: &ir::Network, drafted: &Drafted, origin: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let error = |title: String, label: String| {
        Diagnostic::error(code::COMPOSE_DIFFERS, title)
            .at(known.span, label)
            .note("The rules would be about a network that nobody has.")
    };
    match &drafted.bridge {
        Some(bridge) if *bridge != known.bridge.0 => found.push(error(
            format!(
                "the bridge of `{}` is `{bridge}`, says {origin}",
                known.name
            ),
            format!("the policy says `{}`", known.bridge.0),
        )),
        Some(_) => {}
        None => found.push(silent(
            known,
            "bridge",
            origin,
            &format!(
                "write `driver_opts: {{ com.docker.network.bridge.name: {} }}` there",
                known.bridge.0
            ),
        )),
    }
    let missing = |subnet: &&IpNet| !known.subnets.contains(*subnet);
    for subnet in drafted.subnets.iter().filter(missing) {
        found.push(error(
            format!(
                "the network `{}` has the subnet {subnet}, says {origin}",
                known.name
            ),
            "the policy does not name it".to_owned(),
        ));
    }
    if drafted.subnets.is_empty() {
        let subnets: Vec<String> = known
            .subnets
            .iter()
            .map(|net| format!("{{ subnet: {net} }}"))
            .collect();
        let help = format!(
            "write `ipam: {{ config: [ {} ] }}` there",
            subnets.join(", ")
        );
        found.push(silent(known, "subnet", origin, &help));
    }
    found
}

fn silent(known: &ir::Network, what: &str, origin: &str, help: &str) -> Diagnostic {
    let title = format!("{origin} leaves the {what} of `{}` to Docker", known.name);
    Diagnostic::warning(code::COMPOSE_SILENT, title)
        .at(
            known.span,
            "the policy is true only where Docker picks the same",
        )
        .help(help)
}

fn network_missing(drafted: &Drafted, origin: &str) -> Diagnostic {
    let title = format!(
        "the policy does not declare the network `{}` of {origin}",
        drafted.engine_name
    );
    Diagnostic::warning(code::NOT_IN_POLICY, title)
        .note("What is not declared is left to the engine, published ports among it.")
        .help("declare it, as `tidegate import` shows")
}

fn unknown(name: &str, published: &[Port], origin: &str) -> Vec<Diagnostic> {
    let title = format!("the policy does not declare the container `{name}` of {origin}");
    let ports: Vec<String> = published.iter().map(shown).collect();
    let note = match ports.as_slice() {
        [] => "On a declared network it gets what the network gets, and nobody may connect to it."
            .to_owned(),
        ports => format!(
            "On a declared network its published ports are closed: {}.",
            ports.join(", ")
        ),
    };
    vec![Diagnostic::warning(code::NOT_IN_POLICY, title).note(note)]
}

fn shown(port: &Port) -> String {
    let at = port
        .address
        .map_or_else(String::new, |address| format!("{address}:"));
    format!(
        "{at}{}->{}/{}",
        port.host,
        port.container,
        port.protocol.name()
    )
}

fn protocol(of: Protocol) -> ir::Protocol {
    match of {
        Protocol::Sctp => ir::Protocol::Sctp,
        Protocol::Tcp => ir::Protocol::Tcp,
        Protocol::Udp => ir::Protocol::Udp,
    }
}

/// Tells whether an exposure is about a published port: the same ports of the container and the host.
fn is_about(exposure: &ir::Exposure, port: &Port) -> bool {
    let host = exposure.published.as_ref().map(|published| published.ports);
    exposure.protocol == protocol(port.protocol)
        && host.is_some_and(|host| {
            let offset = i64::from(port.container.first) - i64::from(port.host.first);
            let same = i64::from(exposure.ports.first) - i64::from(host.first) == offset;
            same && host.intersection(port.host).is_some()
        })
}

fn not_declared(known: &ir::Container, port: &Port) -> Option<Diagnostic> {
    if known
        .exposures
        .iter()
        .any(|exposure| is_about(exposure, port))
    {
        return None;
    }
    let title = format!(
        "`{}` publishes {}, and the policy does not say so",
        known.name,
        shown(port)
    );
    let warning = Diagnostic::warning(code::COMPOSE_PORTS, title)
        .at(known.span, "nobody may connect to it")
        .help(format!(
            "write `expose {}/{} as {} from …`, or take the port out there",
            port.container,
            port.protocol.name(),
            port.host
        ));
    Some(warning)
}

fn not_published(
    known: &ir::Container,
    exposure: &ir::Exposure,
    ports: &[Port],
    origin: &str,
) -> Option<Diagnostic> {
    let published = exposure.published.as_ref()?;
    let about: Vec<&Port> = ports
        .iter()
        .filter(|port| is_about(exposure, port))
        .collect();
    let Some(port) = about.first() else {
        let title = format!(
            "{origin} does not publish port {} of `{}`",
            published.ports, known.name
        );
        let warning = Diagnostic::warning(code::COMPOSE_PORTS, title)
            .at(exposure.span, "nothing leads there")
            .help(format!(
                "write `{}:{}` below its `ports`",
                published.ports, exposure.ports
            ));
        return Some(warning);
    };
    let wider = port.address.is_none() && published.address.is_some();
    let other = port.address.is_some() && port.address != published.address;
    if !wider && !other {
        return None;
    }
    let at = |address: Option<std::net::IpAddr>| {
        address.map_or_else(|| "every address".to_owned(), |address| address.to_string())
    };
    let title = format!(
        "{origin} publishes port {} of `{}` on {}",
        port.host,
        known.name,
        at(port.address)
    );
    let label = format!("the policy is about {}", at(published.address));
    Some(Diagnostic::warning(code::COMPOSE_PORTS, title).at(exposure.span, label))
}

fn address_differs(
    known: &ir::Container,
    address: &str,
    fixed: &[String],
    origin: &str,
) -> Diagnostic {
    let (title, label) = match fixed {
        [] => (
            format!(
                "{origin} does not fix the address {address} of `{}`",
                known.name
            ),
            "another container may get it".to_owned(),
        ),
        fixed => (
            format!("`{}` is at {}, says {origin}", known.name, fixed.join(", ")),
            format!("the policy says {address}"),
        ),
    };
    Diagnostic::error(code::COMPOSE_DIFFERS, title)
        .at(known.span, label)
        .note("Rules about an address are about whoever has it.")
        .help("write the same address as `ipv4_address` or `ipv6_address` of the service's network")
}
