//! Ports that the engine publishes, and lines that open them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::containers::{bridges, is, local};
use super::outside::{Reach, reach, stranger};
use super::{Asks, World};
use crate::artifact::Opening;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::facts::{ContainerFacts, PublishedPort};
use crate::net::Family;
use crate::netfilter::trace::Machine;
use crate::policy::ir::{Container, Engine, Exposure, Policy};

/// Returns lines that open a port which leads to somebody else, or nowhere.
pub(super) fn compare(world: World<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in local(world.policy) {
        let mut exposures: Vec<&Exposure> = container.exposures.iter().collect();
        exposures.retain(|it| it.published.is_some());
        for exposure in exposures {
            let of_others = of_others(world, container, exposure);
            if of_others.is_none() {
                found.extend(unpublished(world, container, exposure));
            }
            found.extend(of_others);
        }
    }
    found
}

/// Tells whether a line opens a port of the host, at some address.
fn meets(exposure: &Exposure, port: &PublishedPort) -> bool {
    exposure.published.as_ref().is_some_and(|published| {
        let at = match (published.address, port.address) {
            (None, _) | (_, None) => true,
            (Some(said), Some(now)) if now.is_unspecified() => said.is_ipv4() == now.is_ipv4(),
            (Some(said), Some(now)) => said == now,
        };
        at && exposure.protocol == port.protocol && published.ports.contains(port.host)
    })
}

/// Tells whether a line speaks of a port wherever the engine publishes it.
fn covers(exposure: &Exposure, port: &PublishedPort) -> bool {
    let published = exposure.published.as_ref();
    meets(exposure, port)
        && published.is_some_and(|it| it.address.is_none() || it.address == port.address)
}

fn of_others(world: World<'_>, container: &Container, exposure: &Exposure) -> Option<Finding> {
    let others = world.facts.containers.iter();
    let mut others = others.filter(|(name, facts)| !is(container, name, facts));
    let (other, port) = others.find_map(|(name, facts)| {
        let port = facts.ports.iter().find(|port| meets(exposure, port))?;
        Some((name, port))
    })?;
    let (name, outer) = (&container.name, port.outer());
    let weight = world.if_in_force(Weight::Error, Weight::Warning);
    let seen =
        format!("{outer} of the host leads to `{other}`, and the policy opens it for `{name}`");
    let finding = Finding::new(code::PORT_OF_ANOTHER, weight, seen)
        .underlines(exposure.span, format!("the engine gave it to `{other}`"))
        .why(format!("nobody comes to `{name}` by it"))
        .remedy(format!(
            "publish it for `{name}`, or write the line for `{other}`, whichever is meant"
        ));
    Some(finding)
}

/// Returns a note where a container runs and does not publish what a line opens.
fn unpublished(world: World<'_>, container: &Container, exposure: &Exposure) -> Option<Finding> {
    // Where tidegate translates, nobody needs to publish anything.
    if matches!(world.policy.host.engine, Engine::None(_)) {
        return None;
    }
    let name = &container.name;
    let facts = world.facts.containers.get(name)?;
    if facts.ports.iter().any(|port| meets(exposure, port)) {
        return None;
    }
    let ports = exposure.published.as_ref()?.ports;
    let seen = format!("container `{name}` does not publish {ports}, which a line opens");
    let finding = Finding::new(code::PORT_UNPUBLISHED, Weight::Note, seen)
        .underlines(exposure.span, "the engine does not publish it")
        .why("nothing answers there")
        .remedy(format!(
            "run it with `-p {ports}:{}`, or take the `as` out",
            exposure.ports
        ));
    Some(finding)
}

/// What becomes of a port that no line opens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Open,
    /// To whom a line lets in that is for another container.
    OpenBy(String),
    Unknown(String),
    Closed,
}

/// Whose ports they are: a container's, on a network that some line declares or on none.
type Owner<'f> = (Option<&'f str>, &'f str, Fate);

/// Returns what becomes of each published port that no line opens.
pub(super) fn under_rules(
    world: World<'_>,
    openings: &[Opening],
    machines: Result<&[Machine], &str>,
) -> Vec<Finding> {
    let declared = bridges(world.policy);
    let mut found: BTreeMap<Owner<'_>, Vec<String>> = BTreeMap::new();
    for (name, facts) in &world.facts.containers {
        let undeclared = undeclared(world, &declared, facts);
        let unopened = facts
            .ports
            .iter()
            .filter(|port| !is_opened(world, name, facts, port));
        for port in unopened {
            let lines = lines_of_others(world, name, facts, port);
            let Some(fate) = fate(world, port, &lines, openings, machines) else {
                continue;
            };
            let owner = (undeclared, name.as_str(), fate);
            found.entry(owner).or_default().push(port.outer());
        }
    }
    let told = found
        .into_iter()
        .map(|(owner, ports)| told(world, &owner, &ports.join(", ")));
    told.collect()
}

/// Returns lines that open a port of the host's and mean something else behind it: another container, or
/// another of its ports.
fn lines_of_others<'p>(
    world: World<'p>,
    name: &str,
    facts: &ContainerFacts,
    port: &PublishedPort,
) -> Vec<(&'p Container, &'p Exposure)> {
    let all = local(world.policy).flat_map(|it| it.exposures.iter().map(move |line| (it, line)));
    let meant = |container: &Container, line: &Exposure| {
        let outer = line.published.as_ref().map_or(0, |it| it.ports.first);
        let inner = line.ports.first.wrapping_add(port.host.wrapping_sub(outer));
        is(container, name, facts) && inner == port.container
    };
    all.filter(|(container, line)| meets(line, port) && !meant(container, line))
        .collect()
}

/// Returns what becomes of a port: for strangers, and for those whom lines let in that mean something else.
fn fate(
    world: World<'_>,
    port: &PublishedPort,
    lines: &[(&Container, &Exposure)],
    openings: &[Opening],
    machines: Result<&[Machine], &str>,
) -> Option<Fate> {
    let strangers = |family| stranger(world.policy, family).into_iter().collect();
    match reach(world, port, machines, &strangers) {
        Reach::Open => return Some(Fate::Open),
        Reach::Unknown(why) => return Some(Fate::Unknown(why)),
        Reach::Nobody => return None,
        Reach::Closed => {}
    }
    for (container, line) in lines {
        let known = |family| trusted(openings, container, line, family);
        match reach(world, port, machines, &known) {
            Reach::Open => return Some(Fate::OpenBy(container.name.clone())),
            Reach::Unknown(why) => return Some(Fate::Unknown(why)),
            Reach::Nobody if openings.len() >= Opening::MOST => {
                let why = "the bundle does not keep whom all of its lines let in";
                return Some(Fate::Unknown(why.to_owned()));
            }
            Reach::Closed | Reach::Nobody => {}
        }
    }
    Some(Fate::Closed)
}

/// Returns those who stand for whom a line lets in.
fn trusted(
    openings: &[Opening],
    container: &Container,
    line: &Exposure,
    family: Family,
) -> Vec<IpAddr> {
    let first = line.published.as_ref().map(|it| it.ports.first);
    let of_line = openings.iter().filter(|it| {
        it.container.as_ref() == Some(&container.name)
            && Some(it.port) == first
            && it.family == family
    });
    of_line.filter_map(|it| it.from).collect()
}

/// Returns a network of a container's that no line declares, if it is on none that some line does.
fn undeclared<'f>(
    world: World<'f>,
    declared: &std::collections::BTreeSet<&str>,
    facts: &'f ContainerFacts,
) -> Option<&'f str> {
    let bridge = |name: &String| world.facts.networks.get(name)?.bridge.as_deref();
    let mut names = facts.networks.keys();
    let governed = names
        .clone()
        .filter_map(bridge)
        .any(|it| declared.contains(it));
    let first = names.next().map(String::as_str);
    first.filter(|_| !governed)
}

/// Tells whether some line opens it, for this container and at every address.
fn is_opened(world: World<'_>, name: &str, facts: &ContainerFacts, port: &PublishedPort) -> bool {
    let mut own = local(world.policy).filter(|it| is(it, name, facts));
    own.any(|it| it.exposures.iter().any(|exposure| covers(exposure, port)))
}

fn told(world: World<'_>, (undeclared, name, fate): &Owner<'_>, ports: &str) -> Finding {
    let who = match undeclared {
        Some(network) if is_named(world.policy, network) => {
            format!("container `{name}` on `{network}`, whose bridge no line names,")
        }
        Some(network) => format!("container `{name}` on `{network}`, which no line declares,"),
        None => format!("container `{name}`"),
    };
    let (is, rules) = match world.asks {
        Asks::Plan => ("would be", "the new rules"),
        Asks::Change | Asks::Look => ("is", "the rules in force"),
    };
    let (code, weight) = match (undeclared, fate) {
        (_, Fate::Closed) => (code::PORT_CLOSED, Weight::Note),
        (None, Fate::Open | Fate::OpenBy(_)) => (code::PORT_OPEN, Weight::Error),
        (None, Fate::Unknown(_)) => (code::PORT_OPEN, Weight::Warning),
        (Some(_), _) => (code::UNDECLARED_OPEN, Weight::Warning),
    };
    let (seen, why) = match fate {
        Fate::Closed => (
            format!("{who} publishes what no line opens: {ports}; it {is} closed"),
            format!("{rules} drop what comes from outside"),
        ),
        Fate::Open => (
            format!("{who} publishes what no line opens: {ports}; it {is} open"),
            format!("{rules} let what comes from outside through"),
        ),
        Fate::OpenBy(other) => (
            format!(
                "{who} publishes what no line opens: {ports}; it {is} open to whom a line for \
                 `{other}` lets in"
            ),
            format!("{rules} know the port of that line, and not who is behind it by now"),
        ),
        Fate::Unknown(why) => (
            format!("{who} publishes what no line opens: {ports}; it may be open"),
            why.clone(),
        ),
    };
    Finding::new(code, weight, seen)
        .why(why)
        .remedy(remedy(world, *undeclared, fate))
}

fn is_named(policy: &Policy, network: &str) -> bool {
    let mut named = policy.networks.iter().filter(|it| it.local);
    named.any(|it| it.name == network)
}

fn remedy(world: World<'_>, undeclared: Option<&str>, fate: &Fate) -> String {
    match (undeclared, fate) {
        (_, Fate::Closed) => "nothing, if it is to be closed; else write an `expose`".to_owned(),
        (_, Fate::OpenBy(_)) => {
            "apply the policy again, which closes it while the port is another's".to_owned()
        }
        (Some(network), _) if is_named(world.policy, network) => {
            format!("write the bridge of `{network}` into the policy, and apply it")
        }
        (Some(network), _) => {
            format!("declare `{network}` in the policy, or publish the port at 127.0.0.1")
        }
        (None, _) if world.asks == Asks::Look => {
            "apply the policy again, expose it to somebody, or do not publish it".to_owned()
        }
        (None, _) => "expose it to somebody, or do not publish it".to_owned(),
    }
}
