//! Kernel settings and modules that a policy needs.

use std::collections::BTreeMap;

use crate::policy::ir::{IfName, Network, NetworkId, Policy};
use crate::source::{SourceMap, Span};

/// One setting for sysctl.d(5), with the place that asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// With `.` between its parts, or with `/` where a part holds a dot.
    pub key: String,
    pub value: String,
    pub span: Span,
}

/// The module that sends packets between ports of one bridge through iptables.
pub const BR_NETFILTER: &str = "br_netfilter";

/// Returns all settings: forwarding, router advertisements, bridges, loopback addresses, then the
/// policy's own lines.
pub fn settings(policy: &Policy) -> Vec<Setting> {
    let mut settings = forwarding(policy);
    if let Some(span) = policy.filters_bridges() {
        // Both families: link-local IPv6 works on every bridge, also where nobody asked for it.
        for tool in ["iptables", "ip6tables"] {
            settings.push(setting(
                format!("net.bridge.bridge-nf-call-{tool}"),
                "1",
                span,
            ));
        }
    }
    settings.extend(loopback(policy));
    settings.extend(loose_sources(policy));
    let own = policy.host.sysctls.iter();
    settings.extend(own.map(|line| setting(line.key.clone(), &line.value, line.span)));
    settings
}

/// Returns the modules that have to be loaded before the settings can be made.
pub fn modules(policy: &Policy) -> Vec<String> {
    policy
        .filters_bridges()
        .map(|_| BR_NETFILTER.to_owned())
        .into_iter()
        .collect()
}

fn setting(key: String, value: &str, span: Span) -> Setting {
    Setting {
        key,
        value: value.to_owned(),
        span,
    }
}

fn forwarding(policy: &Policy) -> Vec<Setting> {
    let Some((on, span)) = policy.host.forwarding else {
        return Vec::new();
    };
    let value = if on { "1" } else { "0" };
    let mut settings = vec![setting(
        "net.ipv4.conf.all.forwarding".to_owned(),
        value,
        span,
    )];
    if !uses_ipv6(policy) {
        return settings;
    }
    settings.push(setting(
        "net.ipv6.conf.all.forwarding".to_owned(),
        value,
        span,
    ));
    if on {
        // A router ignores router advertisements unless told otherwise (accept_ra in the kernel's
        // ip-sysctl.rst), and would lose its own default route.
        let uplinks = policy.host.uplinks.iter();
        settings.extend(
            uplinks.map(|uplink| setting(of_interface("ipv6", uplink, "accept_ra"), "2", span)),
        );
    }
    settings
}

/// Returns the key of an interface's setting.
fn of_interface(family: &str, IfName(name): &IfName, setting: &str) -> String {
    if name.contains('.') {
        format!("net/{family}/conf/{name}/{setting}")
    } else {
        format!("net.{family}.conf.{name}.{setting}")
    }
}

/// Answers of another host's containers may come by another way than the kernel would send to
/// them. Of `all` and the interface the greater value counts (`rp_filter` in the kernel's
/// ip-sysctl.rst), so 2 on the interface is loose whatever `all` is.
fn loose_sources(policy: &Policy) -> Vec<Setting> {
    let host = &policy.host;
    let mut loose: BTreeMap<String, Span> = BTreeMap::new();
    for route in host.routes.iter().filter(|route| route.via.is_ipv4()) {
        let devices = match &route.device {
            Some(device) => std::slice::from_ref(device),
            None => &host.uplinks,
        };
        for device in devices {
            let key = of_interface("ipv4", device, "rp_filter");
            loose.entry(key).or_insert(route.span);
        }
    }
    let line = |(key, span)| setting(key, "2", span);
    loose.into_iter().map(line).collect()
}

/// Bridges to which the host's own connections to its loopback addresses are translated have to
/// route these (`route_localnet` in the kernel's ip-sysctl.rst); `raw` drops them from elsewhere.
fn loopback(policy: &Policy) -> Vec<Setting> {
    let networks = policy.networks.iter().zip((0..).map(NetworkId));
    let networks = networks.filter(|(network, _)| network.local);
    let setting = |(network, id): (&Network, NetworkId)| {
        let span = policy.loopback_published(id)?;
        let key = of_interface("ipv4", &network.bridge, "route_localnet");
        Some(setting(key, "1", span))
    };
    networks.filter_map(setting).collect()
}

fn uses_ipv6(policy: &Policy) -> bool {
    let networks = policy.networks.iter().filter(|network| network.local);
    let mut subnets = networks.flat_map(|network| &network.subnets);
    subnets.any(|subnet| subnet.addr().is_ipv6())
}

/// Returns the fragment for sysctl.d: one line a setting, with its place as a comment.
pub fn render(settings: &[Setting], sources: &SourceMap) -> String {
    let line = |setting: &Setting| {
        let place: String = sources
            .place(setting.span)
            .chars()
            .filter(|c| !c.is_control())
            .collect();
        format!("# {place}\n{} = {}\n", setting.key, setting.value)
    };
    settings.iter().map(line).collect()
}
