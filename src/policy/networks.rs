//! Networks: their bridges and subnets.

use std::collections::HashMap;

use ipnet::IpNet;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{Name, NetworkSetting, Spanned};

use super::hidden::Hidden;
use super::hosts::Hosts;
use super::ir::{IfName, Network};
use super::literal::Flaw;
use super::once::Once;
use super::{interface, literal};

/// A network, and what is known of it besides.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) network: Network,
    /// Place of its host among the policy's.
    pub(super) host: usize,
    /// False when that is wrong: what follows from it is not reported.
    pub(super) host_known: bool,
    /// Places of the subnets, in their order.
    pub(super) subnet_spans: Vec<Span>,
    /// False when a subnet is missing or wrong: what follows from it is not reported.
    pub(super) is_whole: bool,
    bridge_span: Option<Span>,
}

/// Reads all networks and checks them against each other.
pub(super) fn resolve(
    written: &[&ast::Network],
    hosts: &Hosts,
    uplinks: &[(usize, &Name)],
    hidden: &Hidden,
    diagnostics: &mut Diagnostics,
) -> Vec<Draft> {
    let drafts = written.iter();
    let drafts: Vec<Draft> = drafts
        .map(|network| {
            let host = hosts.of_network(network, hidden, diagnostics);
            Draft {
                host: host.unwrap_or(0),
                host_known: host.is_some(),
                ..draft(network, hidden, diagnostics)
            }
        })
        .collect();
    check_bridges(&drafts, uplinks, diagnostics);
    check_overlaps(&drafts, diagnostics);
    drafts
}

fn draft(written: &ast::Network, hidden: &Hidden, diagnostics: &mut Diagnostics) -> Draft {
    let mut once = Once::default();
    let mut draft = empty(written);
    for setting in &written.settings {
        if once.first(keyword(&setting.node), setting.span, diagnostics) {
            apply(&setting.node, &mut draft, diagnostics);
        }
    }
    if !hidden.spoils(written.span) {
        check_required(written, diagnostics);
    }
    draft
}

/// A network with the defaults of the language.
fn empty(written: &ast::Network) -> Draft {
    Draft {
        network: Network {
            name: written.name.node.clone(),
            local: true,
            bridge: IfName(String::new()),
            subnets: Vec::new(),
            icc: false,
            egress: true,
            host_access: true,
            antispoof: true,
            internal: false,
            span: written.name.span,
        },
        host: 0,
        host_known: true,
        subnet_spans: Vec::new(),
        is_whole: false,
        bridge_span: None,
    }
}

fn keyword(setting: &NetworkSetting) -> &'static str {
    match setting {
        NetworkSetting::Antispoof(_) => "antispoof",
        NetworkSetting::Bridge(_) => "bridge",
        NetworkSetting::Egress(_) => "egress",
        NetworkSetting::HostAccess(_) => "host-access",
        NetworkSetting::Icc(_) => "icc",
        NetworkSetting::Subnet(_) => "subnet",
    }
}

fn apply(setting: &NetworkSetting, draft: &mut Draft, diagnostics: &mut Diagnostics) {
    let network = &mut draft.network;
    match setting {
        NetworkSetting::Antispoof(on) => network.antispoof = *on,
        NetworkSetting::Bridge(name) => {
            if let Some(bridge) = interface::name(name, diagnostics) {
                network.bridge = bridge;
                draft.bridge_span = Some(name.span);
            }
        }
        NetworkSetting::Egress(on) => network.egress = *on,
        NetworkSetting::HostAccess(on) => network.host_access = *on,
        NetworkSetting::Icc(on) => network.icc = *on,
        NetworkSetting::Subnet(subnets) => apply_subnets(subnets, draft, diagnostics),
    }
}

fn apply_subnets(written: &[Spanned<String>], draft: &mut Draft, diagnostics: &mut Diagnostics) {
    draft.is_whole = !written.is_empty();
    for text in written {
        match subnet(text) {
            Ok(subnet) => {
                draft.network.subnets.push(subnet);
                draft.subnet_spans.push(text.span);
            }
            Err(flaw) => {
                draft.is_whole = false;
                diagnostics.push(*flaw);
            }
        }
    }
}

fn subnet(written: &Spanned<String>) -> Result<IpNet, Box<Diagnostic>> {
    let (text, span) = (written.node.as_str(), written.span);
    let subnet = literal::prefix(text).map_err(|flaw| match flaw {
        // One address is no subnet, so the advice for sets would mislead.
        Flaw::HostBits(net) => flaw.diagnostic(text, span).help(format!("write `{net}`")),
        other => other.diagnostic(text, span),
    })?;
    match reserved_within(subnet) {
        Some((reserved, what)) => Err(Box::new(unusable(text, span, reserved, what))),
        None => Ok(subnet),
    }
}

/// Ranges whose addresses no bridge forwards; RFC 6890 and its registries.
const RESERVED: [(&str, &str); 7] = [
    ("0.0.0.0/8", "means this host"),
    ("127.0.0.0/8", "is loopback"),
    ("224.0.0.0/3", "is multicast and reserved"),
    ("::/128", "means no address"),
    ("::1/128", "is loopback"),
    ("fe80::/10", "is link-local"),
    ("ff00::/8", "is multicast"),
];

fn reserved_within(subnet: IpNet) -> Option<(&'static str, &'static str)> {
    let overlaps = |text: &str| {
        let net = text.parse::<IpNet>().ok();
        net.is_some_and(|net| net.contains(&subnet) || subnet.contains(&net))
    };
    RESERVED.into_iter().find(|(text, _)| overlaps(text))
}

fn unusable(text: &str, span: Span, reserved: &str, what: &str) -> Diagnostic {
    let title = format!("containers cannot have the addresses of `{text}`");
    Diagnostic::error(code::SUBNET_UNUSABLE, title).at(span, format!("{reserved} {what}"))
}

fn check_required(written: &ast::Network, diagnostics: &mut Diagnostics) {
    let has = |word| {
        let mut settings = written.settings.iter();
        settings.any(|setting| keyword(&setting.node) == word)
    };
    let name = &written.name;
    if !has("bridge") {
        let title = format!("the network `{}` has no bridge", name.node);
        let missing = Diagnostic::error(code::BRIDGE_REQUIRED, title)
            .at(name.span, "`bridge` is missing")
            .note("Rules are bound to the bridge, the kernel's interface of the network.")
            .help("add `bridge` with the name that `ip link` shows, such as `bridge docker0`");
        diagnostics.push(missing);
    }
    if !has("subnet") {
        let title = format!("the network `{}` has no subnet", name.node);
        let missing = Diagnostic::error(code::SUBNET_REQUIRED, title)
            .at(name.span, "`subnet` is missing")
            .help("add `subnet` with the prefixes that `docker network inspect` shows");
        diagnostics.push(missing);
    }
}

/// Checks that each bridge of a host belongs to one network and faces no outside.
fn check_bridges(drafts: &[Draft], uplinks: &[(usize, &Name)], diagnostics: &mut Diagnostics) {
    let uplinks = uplinks
        .iter()
        .map(|(host, name)| ((*host, name.node.as_str()), name.span));
    let uplinks: HashMap<(usize, &str), Span> = uplinks.collect();
    let mut seen: HashMap<(usize, &str), (Span, &str)> = HashMap::new();
    for draft in drafts {
        let Some(span) = draft.bridge_span else {
            continue;
        };
        let (bridge, name) = (draft.network.bridge.0.as_str(), draft.network.name.as_str());
        let place = (draft.host, bridge);
        if let Some(uplink) = uplinks.get(&place) {
            diagnostics.push(is_uplink(bridge, span, *uplink));
        }
        match seen.get(&place) {
            Some((first, other)) if *other != name => {
                diagnostics.push(bridge_twice(bridge, span, *first, other));
            }
            Some(_) => {}
            None => _ = seen.insert(place, (span, name)),
        }
    }
}

fn is_uplink(bridge: &str, span: Span, uplink: Span) -> Diagnostic {
    let title = format!("`{bridge}` is a bridge and an uplink");
    Diagnostic::error(code::BRIDGE_IS_UPLINK, title)
        .at(span, "the bridge of this network")
        .also(uplink, "an uplink, where the outside arrives")
        .note("A packet from it would be from the network and from outside at once.")
}

fn bridge_twice(bridge: &str, span: Span, first: Span, other: &str) -> Diagnostic {
    let title = format!("`{bridge}` is the bridge of two networks");
    Diagnostic::error(code::BRIDGE_TWICE, title)
        .at(span, "taken again here")
        .also(first, format!("the bridge of `{other}`"))
        .help("a network with IPv4 and IPv6 names both prefixes in one `subnet`")
}

/// Checks that no address is in two subnets, also of different hosts: sorted by where they start, an overlap is with the
/// one that reaches furthest so far.
fn check_overlaps(drafts: &[Draft], diagnostics: &mut Diagnostics) {
    let mut subnets: Vec<(IpNet, Span, &str)> = drafts.iter().flat_map(placed).collect();
    subnets.sort_by_key(|(net, span, _)| (net.network(), net.prefix_len(), *span));
    let mut furthest: Option<(IpNet, Span, &str)> = None;
    for here in subnets {
        match furthest {
            Some(before) if overlap(before.0, here.0) => {
                let (first, later) = if before.1 < here.1 {
                    (before, here)
                } else {
                    (here, before)
                };
                diagnostics.push(overlapping(first, later));
            }
            _ => furthest = Some(here),
        }
    }
}

fn placed(draft: &Draft) -> impl Iterator<Item = (IpNet, Span, &str)> {
    let subnets = draft.network.subnets.iter().zip(&draft.subnet_spans);
    subnets.map(|(net, span)| (*net, *span, draft.network.name.as_str()))
}

/// Returns whether one of two prefixes is in the other; nothing else is possible for prefixes.
fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

fn overlapping(first: (IpNet, Span, &str), later: (IpNet, Span, &str)) -> Diagnostic {
    let title = format!("the subnets {} and {} overlap", first.0, later.0);
    Diagnostic::error(code::SUBNET_OVERLAP, title)
        .at(later.1, format!("a subnet of `{}`", later.2))
        .also(first.1, format!("a subnet of `{}`", first.2))
        .note("An address in both would belong to two networks, and rules could not tell which.")
}
