//! What `engine none` asks of the rest of the policy, where nobody else translates and forwards.

use std::net::{IpAddr, Ipv6Addr};

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::net::Family;
use crate::policy::containers::Draft;
use crate::policy::ir::{Engine, Exposure, Host};
use crate::policy::{networks, sysctl};
use crate::source::Span;

/// Reports what an engine of the host, the one at place `at`, would have done and a policy without one has to say.
pub(in crate::policy) fn check(
    (host, at): (&Host, usize),
    containers: &[Draft],
    networks: &[networks::Draft],
    diagnostics: &mut Diagnostics,
) {
    let Engine::None(engine) = host.engine else {
        return;
    };
    diagnostics.extend(not_forwarding(host, engine));
    let local = networks.iter().filter(|draft| draft.host == at);
    diagnostics.extend(loopback_settings(host, local));
    let local = containers.iter().filter(|draft| draft.host(networks) == at);
    for draft in local.filter(|draft| draft.addresses_known) {
        let exposures = &draft.container.exposures;
        let flaw = |exposure| flaw(exposure, draft, networks, engine);
        diagnostics.extend(exposures.iter().find_map(flaw));
    }
}

fn not_forwarding(host: &Host, engine: Span) -> Option<Diagnostic> {
    let title = "`engine none` without `forwarding on`";
    let error = Diagnostic::error(code::FORWARDING_NEEDED, title)
        .at(engine, "nobody else turns forwarding on")
        .note("A kernel that does not forward carries no packet to a container or from it.");
    match host.forwarding {
        Some((true, _)) => None,
        Some((false, off)) => Some(
            error
                .also(off, "off here")
                .help("write `forwarding on`")
                .fix(off, "forwarding on"),
        ),
        None => Some(
            error
                .help("add `forwarding on` to the block")
                .line_behind(engine, "forwarding on"),
        ),
    }
}

/// Returns an error for each `route_localnet` of a declared bridge: published ports decide it.
fn loopback_settings<'n>(
    host: &Host,
    networks: impl Iterator<Item = &'n networks::Draft>,
) -> Vec<Diagnostic> {
    let bridges = networks.map(|draft| &draft.network.bridge.0);
    let owned: Vec<String> = bridges
        .map(|bridge| format!("net/ipv4/conf/{bridge}/route_localnet"))
        .collect();
    let clashes = host.sysctls.iter().filter(|line| {
        let path = sysctl::path(&line.key);
        path.is_ok_and(|path| owned.contains(&path))
    });
    let error = |line: &crate::policy::ir::Sysctl| {
        let instead = "leave it out: with `engine none` it follows from the published ports";
        sysctl::owned(&line.key, line.span, instead)
    };
    clashes.map(error).collect()
}

/// Returns what keeps one published port from leading to its container.
fn flaw(
    exposure: &Exposure,
    draft: &Draft,
    networks: &[networks::Draft],
    engine: Span,
) -> Option<Diagnostic> {
    let address = exposure.published.as_ref()?.address;
    if address == Some(IpAddr::V6(Ipv6Addr::LOCALHOST)) {
        return Some(loopback(exposure, engine));
    }
    let leads = |family: Family| draft.container.published_at(family).is_some();
    match address {
        None if Family::BOTH.into_iter().any(leads) => None,
        None => Some(no_address(exposure, draft, networks, engine, None)),
        Some(address) => {
            let family = Family::of(address);
            (!leads(family)).then(|| no_address(exposure, draft, networks, engine, Some(family)))
        }
    }
}

fn loopback(exposure: &Exposure, engine: Span) -> Diagnostic {
    let title = "a port on ::1 cannot be translated";
    Diagnostic::error(code::LOOPBACK_V6, title)
        .at(exposure.span, "published on the IPv6 loopback address")
        .also(engine, "tidegate translates published ports")
        .note(
            "The kernel lets loopback addresses leave for another interface in IPv4 only \
             (route_localnet).",
        )
        .help("publish it on 127.0.0.1, or on another address of the host")
}

/// `family` is the one that is missing, where only one will do.
fn no_address(
    exposure: &Exposure,
    draft: &Draft,
    networks: &[networks::Draft],
    engine: Span,
    family: Option<Family>,
) -> Diagnostic {
    let name = &draft.container.name;
    let kind = family.map_or_else(String::new, |family| format!("{family} "));
    let title = format!("the {kind}address of the container `{name}` is not known");
    let error = Diagnostic::error(code::ADDRESS_NEEDED, title)
        .at(exposure.span, format!("this port has to lead to `{name}`"))
        .also(draft.container.span, format!("has no fixed {kind}address"))
        .also(engine, "no engine translates published ports");
    match place(draft, networks, family) {
        Some((network, subnet)) => error.help(format!(
            "give it a fixed address of {subnet}, as in `on {network} at ADDRESS`, or compile with \
             an `--inventory` that knows it"
        )),
        None => error
            .help("give its network a subnet of that family and the container an address there"),
    }
}

/// Returns a network and a subnet that the container can have an address of.
fn place(
    draft: &Draft,
    networks: &[networks::Draft],
    family: Option<Family>,
) -> Option<(String, ipnet::IpNet)> {
    let attachments = draft.container.attachments.iter();
    let mut joined = attachments.filter_map(|at| networks.get(at.network.0));
    joined.find_map(|joined| {
        let fits = |net: &&ipnet::IpNet| family.is_none_or(|family| family.has(net.addr()));
        let subnet = joined.network.subnets.iter().find(fits)?;
        Some((joined.network.name.clone(), *subnet))
    })
}
