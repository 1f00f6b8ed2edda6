//! The policy at a glance: its host, networks and sets.

use std::fmt::Write;

use super::Review;
use super::html::{Part, code, count, table};
use crate::picture::escape::xml;
use crate::policy::ir::{Backend, Engine, ForwardPolicy, Host, Network, Others, Policy, Trust};

/// Most prefixes of a set that are written out.
const MAX_PREFIXES: usize = 6;

pub(super) fn glance(review: &Review<'_>) -> Part {
    let policy = review.policy;
    let mut body = facts(review);
    let networks: Vec<Vec<String>> = policy
        .networks
        .iter()
        .map(|it| network(policy, it))
        .collect();
    let heads = ["network", "bridge", "subnets", "settings", "containers"];
    body.push_str(&table("Networks", &heads, &networks));
    if !policy.trusts.is_empty() {
        let sets: Vec<Vec<String>> = policy.trusts.iter().map(set).collect();
        body.push_str(&table("Sets", &["set", "addresses"], &sets));
    }
    Part {
        id: "glance",
        title: "At a glance",
        body,
    }
}

fn facts(review: &Review<'_>) -> String {
    let policy = review.policy;
    let exposures = policy.containers.iter().flat_map(|it| &it.exposures);
    let published = exposures
        .clone()
        .filter(|it| it.published.is_some())
        .count();
    let changes = review.change.map(|(_, diff)| diff.rows.len());
    let mut facts = vec![
        ("version", review.version.to_owned()),
        ("engine", engine(policy.host.engine)),
        ("host", host(&policy.host)),
        (
            "counts",
            [
                count(policy.networks.len(), "network"),
                count(policy.containers.len(), "container"),
                count(policy.trusts.len(), "set"),
                count(exposures.count(), "exposed port"),
                format!("{published} of them published"),
            ]
            .join(", "),
        ),
        ("warnings", review.warnings.len().to_string()),
        ("expectations", policy.expectations.len().to_string()),
    ];
    facts.extend(changes.map(|count| ("changes", count.to_string())));
    let mut text = "<dl>\n".to_owned();
    for (name, what) in facts {
        let _ = writeln!(text, "<div><dt>{name}</dt><dd>{}</dd></div>", xml(&what));
    }
    text + "</dl>\n"
}

fn engine(engine: Engine) -> String {
    match engine {
        Engine::None(_) => "none".to_owned(),
        Engine::Docker { version, backend } => {
            let version = version.map(|(major, minor)| format!(" {major}.{minor}"));
            let backend = match backend {
                Backend::Iptables => "",
                Backend::Nftables => ", nftables",
            };
            format!("docker{}{backend}", version.unwrap_or_default())
        }
    }
}

fn host(host: &Host) -> String {
    let uplinks: Vec<&str> = host.uplinks.iter().map(|it| it.0.as_str()).collect();
    let mut said = Vec::new();
    if !uplinks.is_empty() {
        said.push(format!("uplink {}", uplinks.join(", ")));
    }
    if let Some((on, _)) = host.forwarding {
        said.push(format!("forwarding {}", word(on)));
    }
    if let Some((policy, _)) = host.forward {
        said.push(match policy {
            ForwardPolicy::Accept => "forward accept".to_owned(),
            ForwardPolicy::Drop => "forward drop".to_owned(),
        });
    }
    said.extend(match host.others {
        Others::Closed(_) => None,
        Others::Drop(_) => Some("others drop".to_owned()),
        Others::Leave => Some("others leave".to_owned()),
    });
    said.extend(host.log_denied.map(|_| "log denied".to_owned()));
    said.join(", ")
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn network(policy: &Policy, network: &Network) -> Vec<String> {
    let subnets: Vec<String> = network
        .subnets
        .iter()
        .map(|it| code(&it.to_string()))
        .collect();
    let at = policy
        .networks
        .iter()
        .position(|it| it.name == network.name);
    let here = policy.containers.iter().filter(|container| {
        let mut all = container.attachments.iter();
        all.any(|it| Some(it.network.0) == at)
    });
    let here = here.map(|it| format!("<span class=\"name\">{}</span>", xml(&it.name)));
    let here: Vec<String> = here.collect();
    let settings = format!(
        "icc {}, egress {}, host-access {}, antispoof {}",
        word(network.icc),
        word(network.egress),
        word(network.host_access),
        word(network.antispoof)
    );
    let bridge = if network.local {
        code(&network.bridge.0)
    } else {
        "on another host".to_owned()
    };
    vec![
        format!("<strong>{}</strong>", xml(&network.name)),
        bridge,
        subnets.join("<br>"),
        settings,
        here.join(", "),
    ]
}

fn set(trust: &Trust) -> Vec<String> {
    let four = trust.set.v4_prefixes().into_iter().map(|it| it.to_string());
    let six = trust.set.v6_prefixes().into_iter().map(|it| it.to_string());
    let all: Vec<String> = four.chain(six).collect();
    let first: Vec<String> = all.iter().take(MAX_PREFIXES).map(|it| code(it)).collect();
    let more = all.len().saturating_sub(MAX_PREFIXES);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more prefixes")
    };
    let name = format!("<strong>{}</strong>", xml(&trust.name));
    vec![name, format!("{}{more}", first.join(" "))]
}
