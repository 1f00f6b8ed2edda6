//! The `host` block.

use std::collections::HashMap;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{HostSetting, Name, Rate, RateUnit, Spanned};

use super::ir::{Backend, Engine, Host, IfName, LogDenied, Others};
use super::once::Once;
use super::sysctl::Sysctls;
use super::{engine, interface, routes};

/// The bit of the packet mark that carries a grant, unless `mark` names another.
pub(super) const DEFAULT_MARK: u32 = 0x1000_0000;

/// What holds for a host of which the policy says nothing.
pub(super) fn defaults() -> Host {
    Host {
        name: None,
        engine: Engine::Docker {
            version: None,
            backend: Backend::Iptables,
        },
        uplinks: Vec::new(),
        forwarding: None,
        forward: None,
        mark: DEFAULT_MARK,
        routes: Vec::new(),
        sysctls: Vec::new(),
        log_denied: None,
        others: Others::Closed(None),
    }
}

/// Reads a block.
pub(super) fn block(written: &ast::Host, diagnostics: &mut Diagnostics) -> Host {
    let mut block = Block {
        host: Host {
            name: written.name.as_ref().map(|name| name.node.clone()),
            ..defaults()
        },
        engine_at: None,
        once: Once::default(),
        sysctls: Sysctls::default(),
        diagnostics,
    };
    for setting in &written.settings {
        if block.is_first(setting) {
            block.setting(setting);
        }
    }
    engine::check(&block.host, block.engine_at, block.diagnostics);
    block.host.sysctls = block.sysctls.into_list();
    block.host
}

/// Returns the word of a setting that a block may have once.
fn keyword(setting: &HostSetting) -> Option<&'static str> {
    match setting {
        HostSetting::Engine { .. } => Some("engine"),
        HostSetting::Forward(_) => Some("forward"),
        HostSetting::Forwarding(_) => Some("forwarding"),
        HostSetting::LogDenied(_) => Some("log denied"),
        HostSetting::Mark(_) => Some("mark"),
        HostSetting::Others(_) => Some("others"),
        HostSetting::Route { .. } | HostSetting::Sysctl { .. } => None,
        HostSetting::Uplink(_) => Some("uplink"),
    }
}

struct Block<'d> {
    host: Host,
    engine_at: Option<Span>,
    once: Once,
    sysctls: Sysctls,
    diagnostics: &'d mut Diagnostics,
}

impl Block<'_> {
    fn is_first(&mut self, setting: &Spanned<HostSetting>) -> bool {
        keyword(&setting.node)
            .is_none_or(|keyword| self.once.first(keyword, setting.span, self.diagnostics))
    }

    fn setting(&mut self, setting: &Spanned<HostSetting>) {
        let span = setting.span;
        match &setting.node {
            HostSetting::Engine {
                docker,
                version,
                nftables,
            } => self.engine(*docker, version.as_ref(), *nftables, span),
            HostSetting::Forward(policy) => self.host.forward = Some((*policy, span)),
            HostSetting::Forwarding(on) => self.host.forwarding = Some((*on, span)),
            HostSetting::LogDenied(rate) => self.log_denied(rate.as_ref(), span),
            HostSetting::Mark(mark) => self.mark(mark),
            HostSetting::Others(others) => self.host.others = others_setting(*others, span),
            HostSetting::Route { prefix, via, dev } => {
                let route = routes::read(prefix, via, dev.as_ref(), span, self.diagnostics);
                self.host.routes.extend(route);
            }
            HostSetting::Sysctl { key, value } => {
                self.sysctls.add(key, value, span, self.diagnostics);
            }
            HostSetting::Uplink(names) => self.host.uplinks = uplinks(names, self.diagnostics),
        }
    }

    fn engine(
        &mut self,
        docker: bool,
        version: Option<&Spanned<String>>,
        nftables: bool,
        span: Span,
    ) {
        if !docker {
            self.host.engine = Engine::None(span);
            return;
        }
        self.engine_at = Some(span);
        self.host.engine = engine::docker(version, nftables, span, self.diagnostics);
    }

    fn log_denied(&mut self, rate: Option<&Spanned<Rate>>, span: Span) {
        if let Some(why) = rate.and_then(|rate| flaw(rate.node).map(|why| (rate.span, why))) {
            self.diagnostics.push(bad_rate(why.0, &why.1));
        }
        let rate = rate.map(|rate| rate.node);
        self.host.log_denied = Some(LogDenied { rate, span });
    }

    fn mark(&mut self, written: &Spanned<u64>) {
        match u32::try_from(written.node) {
            Ok(mark) if mark.is_power_of_two() => self.host.mark = mark,
            _ => self.diagnostics.push(bad_mark(written)),
        }
    }
}

fn others_setting(written: ast::Others, span: Span) -> Others {
    match written {
        ast::Others::Closed => Others::Closed(Some(span)),
        ast::Others::Drop => Others::Drop(span),
        ast::Others::Leave => Others::Leave,
    }
}

/// Returns what is wrong with a rate. The fastest is `XT_LIMIT_SCALE` of the kernel's
/// `include/uapi/linux/netfilter/xt_limit.h`: 10,000 a second.
pub(super) fn flaw(rate: Rate) -> Option<String> {
    let (seconds, unit) = match rate.unit {
        RateUnit::Day => (86_400, "day"),
        RateUnit::Hour => (3_600, "hour"),
        RateUnit::Minute => (60, "minute"),
        RateUnit::Second => (1, "second"),
    };
    let most = 10_000 * seconds;
    match rate.count {
        0 => Some("it must be at least 1".to_owned()),
        count if count > most => Some(format!("the kernel keeps at most {most}/{unit}")),
        _ => None,
    }
}

fn bad_rate(span: Span, why: &str) -> Diagnostic {
    Diagnostic::error(code::BAD_RATE, "the kernel cannot keep this rate").at(span, why)
}

fn bad_mark(written: &Spanned<u64>) -> Diagnostic {
    let title = format!("the mark {:#x} is not one bit", written.node);
    let text = match written.node {
        0 => "no bit is set".to_owned(),
        wide if u32::try_from(wide).is_err() => "a packet mark has 32 bits".to_owned(),
        some => format!("{} bits are set", some.count_ones()),
    };
    Diagnostic::error(code::BAD_MARK, title)
        .at(written.span, text)
        .note("The mark carries one answer, yes or no; other programs use the other bits.")
        .help(format!("write one bit, such as {DEFAULT_MARK:#x}"))
}

fn uplinks(names: &[Name], diagnostics: &mut Diagnostics) -> Vec<IfName> {
    let (mut uplinks, mut seen) = (Vec::new(), HashMap::new());
    for written in names {
        match seen.insert(written.node.as_str(), written.span) {
            Some(first) => diagnostics.push(uplink_twice(written, first)),
            None => uplinks.extend(interface::name(written, diagnostics)),
        }
    }
    uplinks
}

fn uplink_twice(written: &Name, first: Span) -> Diagnostic {
    let title = format!("the uplink `{}` is written twice", written.node);
    Diagnostic::error(code::UPLINK_TWICE, title)
        .at(written.span, "written again here")
        .also(first, "first written here")
}

/// Warns of what forwarding brings with it; `first_v6` is the place of an IPv6 subnet.
pub(super) fn warn(host: &Host, first_v6: Option<Span>, diagnostics: &mut Diagnostics) {
    let Some((true, forwarding)) = host.forwarding else {
        return;
    };
    // Docker's nftables backend drops what is not published in a table of its own.
    if host.forward.is_none() && !host.engine.is_nftables() {
        diagnostics.push(left_open(forwarding, host.engine));
    }
    if let Some(subnet) = first_v6.filter(|_| host.uplinks.is_empty()) {
        diagnostics.push(no_uplink(forwarding, subnet));
    }
}

fn left_open(span: Span, engine: Engine) -> Diagnostic {
    let title = "`forwarding on` without `forward drop`";
    let why = match engine {
        Engine::Docker { .. } => {
            "Docker sets the policy of FORWARD to DROP only when it turns forwarding on itself."
        }
        Engine::None(_) => "Without an engine nobody else sets the policy of FORWARD to DROP.",
    };
    Diagnostic::warning(code::FORWARD_LEFT_OPEN, title)
        .at(span, "FORWARD's policy is left as it is")
        .note(format!(
            "{why} Networks that this policy does not declare stay reachable for neighbours."
        ))
        .help("add `forward drop` to the block")
        .line_behind(span, "forward drop")
}

fn no_uplink(span: Span, subnet: Span) -> Diagnostic {
    Diagnostic::warning(
        code::UPLINK_UNNAMED,
        "IPv6 forwarding is on, and no uplink is named",
    )
    .at(span, "turns IPv6 forwarding on")
    .also(subnet, "because of this subnet")
    .note(
        "A kernel that forwards IPv6 stops taking router advertisements, and the host may lose \
         its IPv6 route. On a named uplink it goes on taking them.",
    )
    .help("add `uplink` with the interface that faces outside")
}
